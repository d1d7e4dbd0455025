use crate::Var;

/// A named prediction of a model and, where it is trained, the loss that it is trained by.
///
/// A model with one head needs no names: losses make one that is called [`Head::NAME`].
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub(crate) name: String,
    pub(crate) prediction: Var,
    pub(crate) loss: Option<Var>,
    pub(crate) weight: f64,
}

impl Head {
    /// What a head is called that was given no name.
    pub const NAME: &'static str = "output";

    /// A prediction without a loss.
    pub fn new(prediction: Var) -> Self {
        Self { name: Self::NAME.into(), prediction, loss: None, weight: 1.0 }
    }

    /// A prediction, in the target's terms, and one loss value a row.
    pub fn with_loss(prediction: Var, loss: Var) -> Self {
        Self { loss: Some(loss), ..Self::new(prediction) }
    }

    /// Gives it a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With another prediction, such as the probabilities of the logits that the loss is of.
    #[must_use]
    pub fn predicting(mut self, prediction: Var) -> Self {
        self.prediction = prediction;
        self
    }

    /// What its loss is multiplied by in the sum of all heads' losses, which is minimised; 1 without it.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The prediction.
    pub fn prediction(&self) -> Var {
        self.prediction
    }

    /// The loss of each row.
    pub fn loss(&self) -> Option<Var> {
        self.loss
    }
}

/// What a graph ends in: one or several [`Head`]s.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
    pub(crate) heads: Vec<Head>,
}

impl From<Head> for ModelOutput {
    fn from(head: Head) -> Self {
        Self { heads: vec![head] }
    }
}

impl<const N: usize> From<[Head; N]> for ModelOutput {
    fn from(heads: [Head; N]) -> Self {
        Self { heads: heads.into() }
    }
}

impl From<Vec<Head>> for ModelOutput {
    fn from(heads: Vec<Head>) -> Self {
        Self { heads }
    }
}
