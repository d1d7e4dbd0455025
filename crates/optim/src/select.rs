use std::fmt;
use std::ops::Range;

use tidemill_tensor::Layout;

use crate::Error;

/// A restriction to parameters by name. `*` stands for any characters, dots included, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Only(String),
    Except(String),
}

impl Selection {
    fn pattern(&self) -> &str {
        match self {
            Self::Only(pattern) | Self::Except(pattern) => pattern,
        }
    }

    fn admits(&self, name: &str) -> bool {
        matches(self.pattern(), name) == matches!(self, Self::Only(_))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(pattern) => write!(f, "only {pattern:?}"),
            Self::Except(pattern) => write!(f, "except {pattern:?}"),
        }
    }
}

/// The indices of the parameters that all `selections` admit.
pub(crate) fn resolve(owner: &str, selections: &[Selection], layout: &Layout) -> Result<Vec<usize>, Error> {
    for selection in selections {
        if !layout.parameters().iter().any(|p| matches(selection.pattern(), p.name())) {
            let pattern = selection.pattern().to_owned();
            return Err(Error::NoMatch { owner: owner.to_owned(), pattern, parameters: names(layout) });
        }
    }
    let admitted = |&i: &usize| selections.iter().all(|s| s.admits(layout[i].name()));
    let selected: Vec<usize> = (0..layout.parameters().len()).filter(admitted).collect();
    if selected.is_empty() && !selections.is_empty() {
        let selections = selections.iter().map(Selection::to_string).collect::<Vec<_>>().join(", ");
        return Err(Error::EmptySelection { owner: owner.to_owned(), selections });
    }
    Ok(selected)
}

/// The parameters' ranges, neighbours merged.
pub(crate) fn merged(selected: &[usize], layout: &Layout) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for range in selected.iter().map(|&i| layout[i].range()).filter(|range| !range.is_empty()) {
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    ranges
}

fn names(layout: &Layout) -> String {
    const SHOWN: usize = 20;
    let all = layout.parameters();
    let shown = all.iter().take(SHOWN).map(|p| p.name()).collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
        _ => shown,
    }
}

/// Backtracks to the last star only, which is enough: an earlier one could not match more.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    (p, n) = (at + 1, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, name, want| assert_eq!(matches(pattern, name), want, "{pattern} on {name}");
        check("dense1.weight", "dense1.weight", true);
        check("dense1.weight", "dense1.weights", false);
        check("*.weight", "block.dense1.weight", true);
        check("*.weight", "weight", false);
        check("*", "", true);
        check("dense?.*", "dense1.bias", true);
        check("dense?.*", "dense10.bias", false);
        check("*a*b", "xaxbxab", true);
        check("*a*b", "xaxbxa", false);
        check("", "a", false);
    }
}
