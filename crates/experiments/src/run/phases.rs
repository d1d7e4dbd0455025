//! Each way to train, as phases one after the other.

use std::ops::Range;

use crate::results::Strategy;
use crate::spec::Spec;

/// One stretch of training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// With what it begins.
    pub begin: Begin,
    /// How it trains.
    pub train: Train,
    /// The spans that it trains on.
    pub spans: Range<usize>,
    /// A span that the model, as this phase leaves it, predicts before it is ever trained on.
    pub then_predict: Option<usize>,
}

/// What a phase begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// First parameters, as drawn from the seed.
    Fresh,
    /// What the phase before left.
    Continue,
}

/// How a phase trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Train {
    /// Several shuffled epochs.
    Batch,
    /// One pass in order, each batch tested before it is trained on.
    Online,
}

/// The strategies as reports show them.
pub fn strategies(spec: &Spec, span: &str) -> Vec<Strategy> {
    let epochs = if spec.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", spec.epochs) };
    let warm = match &spec.spans[..spec.warm_spans] {
        [] => String::new(),
        [only] => only.label.clone(),
        [first, .., last] => format!("{} to {}", first.label, last.label),
    };
    let of =
        |name: &str, label: &str, description: String| Strategy { name: name.into(), label: label.into(), description };
    let mut all = vec![
        of("batch", "Batch", format!("All training rows in memory, {epochs} in shuffled order, once at the end.")),
        of("online", "Online", "One pass in order; every batch is tested on, then trained on.".into()),
        of("warm-start", "Online, warm start", format!("Batch training on {warm} ({epochs}), then online from there.")),
        of(
            "retrained",
            "Batch, retrained",
            format!("Batch training from scratch at the end of every {span}, on all rows so far, {epochs} each."),
        ),
    ];
    if let Some(variant) = &spec.variant {
        for plain in 0..2 {
            let strategy: &Strategy = &all[plain];
            let description = format!("{} {}", strategy.description, variant.description);
            let label = format!("{} {}", strategy.label, variant.label);
            all.push(of(&format!("{}-{}", strategy.name, variant.name), &label, description));
        }
    }
    all
}

/// The phases of a strategy; `None` when there is none of that name.
pub fn phases(strategy: &str, spec: &Spec) -> Option<Vec<Phase>> {
    let all = spec.training_spans;
    let batch =
        |end: usize, then_predict| Phase { begin: Begin::Fresh, train: Train::Batch, spans: 0..end, then_predict };
    let online = |span: usize, first: usize| {
        let begin = if span == first && first == 0 { Begin::Fresh } else { Begin::Continue };
        Phase { begin, train: Train::Online, spans: span..span + 1, then_predict: None }
    };
    match strategy {
        "batch" => Some(vec![batch(all, None)]),
        "online" => Some((0..all).map(|span| online(span, 0)).collect()),
        "warm-start" => {
            let warm = spec.warm_spans;
            Some(std::iter::once(batch(warm, None)).chain((warm..all).map(|span| online(span, warm))).collect())
        }
        "retrained" => Some((1..=all).map(|end| batch(end, (end < all).then_some(end))).collect()),
        _ => None,
    }
}
