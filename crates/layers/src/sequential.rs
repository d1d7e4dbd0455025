use std::sync::Arc;

use tidemill_autograd::{Error, Graph, Var};

use crate::Layer;

/// Layers one after the other; itself a [`Layer`].
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Dense, Dropout, Layer, Sequential};
///
/// let model = Sequential::new()
///     .add(Dense::new(512).relu())
///     .add(Dropout::new(0.2))
///     .add(Dense::new(10));
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[784])?;
/// let logits = model.apply(&mut graph, x)?;
/// assert_eq!(graph.shape(logits), [10]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    layers: Vec<Arc<dyn Layer>>,
    name: Option<String>,
}

impl Sequential {
    /// No layer yet: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the names of its layers' parameters begin with: `backbone.dense1.weight`.
    ///
    /// ```
    /// # use tidemill_autograd::Graph;
    /// # use tidemill_layers::{Dense, Layer, Sequential};
    /// # let mut graph = Graph::new();
    /// # let x = graph.input("x", &[8])?;
    /// let features = Sequential::new().add(Dense::new(4).relu()).name("backbone").apply(&mut graph, x)?;
    /// graph.freeze("backbone.*")?;
    /// let y = Dense::new(1).apply(&mut graph, features)?;
    /// # Ok::<(), tidemill_autograd::Error>(())
    /// ```
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Appends a layer.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads as the Keras method of that name")]
    pub fn add(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }
}

impl Layer for Sequential {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let all = |graph: &mut Graph| self.layers.iter().try_fold(input, |value, layer| layer.apply(graph, value));
        match &self.name {
            Some(name) => graph.scoped(name, all),
            None => all(graph),
        }
    }
}
