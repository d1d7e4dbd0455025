use crate::Scalar;
use crate::kernels::rows::check_rows;
use crate::kernels::softmax::{exponentials, maximum};

vectorized! {
    /// Softmax and cross entropy at once: `lossᵢ ← ln Σₖ e^zᵢₖ - z_{i,yᵢ}` and `z ← softmax(z)`, which the backward pass
    /// needs.
    ///
    /// # Shapes
    ///
    /// `z [B, K]`, `classes [B]` with values below `K`, `losses [B]`.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit or a class is not below `K`.
    pub fn softmax_cross_entropy<T: Scalar>(z: &mut [T], classes: &[u32], losses: &mut [T]) {
        assert_eq!(classes.len(), losses.len());
        check_rows(z.len(), classes.len());
        let width = z.len() / classes.len().max(1);
        for ((row, &class), loss) in z.chunks_exact_mut(width.max(1)).zip(classes).zip(losses) {
            let max = maximum(row);
            let chosen = row[class as usize] - max;
            let sum = exponentials(row, max);
            *loss = sum.ln() - chosen;
            let factor = T::one() / sum;
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
}

vectorized! {
    /// `gᵢₖ ← uᵢ (pᵢₖ - [k = yᵢ])`: the gradient of [`softmax_cross_entropy`] with respect to the logits, from the
    /// probabilities `p` and the gradient `u` of each row's loss.
    ///
    /// # Shapes
    ///
    /// `g`, `p [B, K]`, `classes`, `u [B]`.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit or a class is not below `K`.
    pub fn softmax_cross_entropy_backward<T: Scalar>(g: &mut [T], p: &[T], classes: &[u32], u: &[T]) {
        assert!(g.len() == p.len() && classes.len() == u.len(), "{} {} {} {}", g.len(), p.len(), classes.len(), u.len());
        check_rows(g.len(), classes.len());
        let width = (g.len() / classes.len().max(1)).max(1);
        for (((g, p), &class), &u) in g.chunks_exact_mut(width).zip(p.chunks_exact(width)).zip(classes).zip(u) {
            for (g, &p) in g.iter_mut().zip(p) {
                *g = u * p;
            }
            let chosen = class as usize;
            g[chosen] = u * (p[chosen] - T::one());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::values;
    use crate::kernels::{log_softmax_rows, softmax_rows};

    #[test]
    fn loss_and_gradient_agree_with_log_softmax() {
        for (rows, width) in [(0, 3), (1, 1), (5, 2), (7, 10), (3, 16), (4, 37)] {
            let z = values::<f64>(rows * width, 1);
            let classes: Vec<u32> = (0..rows).map(|i| (i * 7 % width) as u32).collect();
            let upstream = values::<f64>(rows, 2);
            let (mut logs, mut want) = (z.clone(), z.clone());
            log_softmax_rows(&mut logs, width);
            softmax_rows(&mut want, width);
            crate::isa::on_every_path(|| {
                let (mut p, mut losses, mut g) = (z.clone(), vec![0.0; rows], vec![0.0; z.len()]);
                softmax_cross_entropy(&mut p, &classes, &mut losses);
                softmax_cross_entropy_backward(&mut g, &p, &classes, &upstream);
                assert_eq!(p, want);
                for i in 0..rows {
                    let chosen = classes[i] as usize;
                    assert!((losses[i] + logs[i * width + chosen]).abs() < 1e-12);
                    for k in 0..width {
                        let slope = upstream[i] * (p[i * width + k] - f64::from(k == chosen));
                        assert!((g[i * width + k] - slope).abs() < 1e-14);
                    }
                }
            });
        }
    }

    #[test]
    fn a_sure_and_wrong_prediction_has_a_large_finite_loss() {
        let (mut z, mut losses) = ([1000.0_f32, -1000.0], [0.0]);
        softmax_cross_entropy(&mut z, &[1], &mut losses);
        assert_eq!((z, losses), ([1.0, 0.0], [2000.0]));
    }

    #[test]
    #[should_panic]
    fn an_unknown_class_is_refused() {
        softmax_cross_entropy(&mut [0.0_f32, 1.0], &[2], &mut [0.0]);
    }
}
