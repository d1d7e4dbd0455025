use std::fmt;
use std::ops::Range;

use tidemill_tensor::{Layout, Parameter};

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

    fn admits(&self, parameter: &Parameter) -> bool {
        parameter.matches(self.pattern()) == matches!(self, Self::Only(_))
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
        if !layout.parameters().iter().any(|p| p.matches(selection.pattern())) {
            let pattern = selection.pattern().to_owned();
            return Err(Error::NoMatch { owner: owner.to_owned(), pattern, parameters: names(layout) });
        }
    }
    let admitted = |&i: &usize| selections.iter().all(|s| s.admits(&layout[i]));
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
