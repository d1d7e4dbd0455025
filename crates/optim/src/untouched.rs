use std::sync::Arc;

use crate::UpdateStep;
use crate::transform::{Rate, Reduction, Transform};

/// What a transform does to rows of a table that a step does not touch, whose gradient is zero; by this
/// [`Optimizer::update_rows`](crate::Optimizer::update_rows) knows whether it may skip them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Untouched {
    /// They stay as they are, and so does their state; or skipping them is what the transform is documented to do.
    Stays,
    /// As [`Stays`](Self::Stays); and the transform does nothing but multiply updates by the first of its coefficients.
    Scaled,
    /// `u ← u + λ p` with this `λ`. They are caught up when they are touched next.
    Decays(f64),
    /// They change in a way that cannot be caught up: rows of such a table are not updated alone.
    Moves {
        /// What to use for tables, in an error.
        instead: &'static str,
    },
}

/// A decay of parameters, and what its strength is multiplied by before it reaches them.
pub(crate) struct Decay {
    name: &'static str,
    strength: f64,
    factors: Vec<Arc<dyn Transform>>,
}

impl Decay {
    /// Which part of a parameter without a gradient the step takes away.
    pub(crate) fn rate(&self, step: UpdateStep) -> f64 {
        self.factors.iter().fold(self.strength, |rate, factor| rate * factor.coefficients(step)[0])
    }
}

/// How parameters decay that pass through these transforms, in this order, without a gradient.
///
/// # Errors
///
/// When rows of them cannot be updated alone: why not, and what to do.
pub(crate) fn decays<'a>(transforms: impl Iterator<Item = &'a Arc<dyn Transform>>) -> Result<Vec<Decay>, String> {
    let mut decays: Vec<Decay> = Vec::new();
    let mut moves = false;
    for transform in transforms {
        let name = transform.name();
        if transform.reduction() == Some(Reduction::PerParameter) {
            return Err(format!("{name} measures all rows of a table; exclude tables from it by except(...)"));
        }
        match transform.untouched() {
            Untouched::Stays => {
                if let Some(Decay { name: decay, .. }) = decays.first() {
                    return Err(format!(
                        "{decay} stands before {name}; put it, or weight_decay, behind {name} for tables"
                    ));
                }
            }
            Untouched::Scaled => decays.iter_mut().for_each(|decay| decay.factors.push(Arc::clone(transform))),
            Untouched::Decays(0.0) => {}
            Untouched::Decays(strength) => decays.push(Decay { name, strength, factors: Vec::new() }),
            Untouched::Moves { instead } => {
                return Err(format!("{name} changes rows that have no gradient; use {instead} for tables"));
            }
        }
        moves |= !matches!(transform.rate(), Rate::None);
    }
    if !moves {
        decays.clear();
    }
    Ok(decays)
}
