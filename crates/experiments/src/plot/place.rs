//! Where labels go so that none covers another.

use super::shapes::text_width;

/// Least distance of the baselines of two labels.
const LEADING: f64 = 16.0;

/// The heights nearest to those wanted at which labels do not touch, within `top..=bottom` where they fit.
pub(super) fn spread_out(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut placed = vec![0.0; wanted.len()];
    let mut next = top;
    for &i in &order {
        placed[i] = wanted[i].max(next);
        next = placed[i] + LEADING;
    }
    let mut last = bottom;
    for &i in order.iter().rev() {
        placed[i] = placed[i].min(last);
        last = placed[i] - LEADING;
    }
    placed
}

/// Left edges and row of each legend entry, in rows of at most `width`.
pub(super) fn legend_rows(labels: &[&str], width: f64) -> Vec<(f64, usize)> {
    let (mut x, mut row) = (0.0, 0);
    labels
        .iter()
        .map(|label| {
            let entry = 32.0 + text_width(label);
            if x > 0.0 && x + entry > width {
                (x, row) = (0.0, row + 1);
            }
            let at = (x, row);
            x += entry + 18.0;
            at
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance_and_their_order() {
        let placed = spread_out(&[50.0, 52.0, 10.0, 99.0], 0.0, 100.0);
        assert_eq!(placed, [50.0, 66.0, 10.0, 99.0]);
        let crowded = spread_out(&[100.0, 100.0, 100.0], 0.0, 100.0);
        assert_eq!(crowded, [68.0, 84.0, 100.0]);
    }

    #[test]
    fn legends_wrap() {
        let rows: Vec<usize> =
            legend_rows(&["Batch", "Online", "A long label here"], 160.0).iter().map(|r| r.1).collect();
        assert_eq!(rows, [0, 0, 1]);
    }
}
