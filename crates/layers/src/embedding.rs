use tidemill_autograd::{Error, Graph, Initializer, Var, ops};

use crate::Layer;
use crate::layer::{add, name};

/// A vector for each category, learned: row `i` of `weight` for category `i`.
///
/// First values are uniform on `±0.05`, as in Keras. (PyTorch draws from the standard normal distribution.)
///
/// # Shapes
///
/// Categories `[..]` below `N`, output `[.., D]`; parameter `weight [N, D]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Embedding, Layer};
///
/// let mut graph = Graph::new();
/// let carrier = graph.index_input("carrier", &[], 14)?;
/// let vector = Embedding::new(14, 8).apply(&mut graph, carrier)?;
/// assert_eq!(graph.shape(vector), [8]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    categories: u32,
    width: usize,
    padding: Option<u32>,
    weight: Initializer,
    name: Option<String>,
}

impl Embedding {
    /// For categories below `categories`, vectors of `width` elements.
    pub fn new(categories: u32, width: usize) -> Self {
        Self { categories, width, padding: None, weight: Initializer::Uniform { bound: 0.05 }, name: None }
    }

    /// The vector of this category is used but does not learn, as PyTorch's `padding_idx`. Its first value is drawn like
    /// the others'.
    #[must_use]
    pub fn padding(mut self, index: u32) -> Self {
        self.padding = Some(index);
        self
    }

    /// How the vectors' first values are drawn.
    #[must_use]
    pub fn weight_initializer(mut self, initializer: Initializer) -> Self {
        self.weight = initializer;
        self
    }

    /// What it and its parameter are called: `carrier.weight`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Layer for Embedding {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = name(graph, self.name.as_deref(), "embedding");
        let shape = [self.categories as usize, self.width];
        let weight = graph.parameter(&format!("{name}.weight"), &shape, self.weight)?;
        let op = self.padding.map_or_else(ops::Embedding::new, |index| ops::Embedding::new().padding(index));
        add(graph, &name, op, input, &[weight])
    }
}
