use tidemill_autograd::{Error, Graph, Var, ops};

use crate::{Embedding, Layer};

/// The inputs of a model of tables: columns of real numbers, and of categories, each of which gets a learned vector; all
/// of them one behind the other.
///
/// # Shapes
///
/// `[W]`, where `W` is the sum of the widths; a parameter `NAME.weight [N, D]` for each column of categories.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Dense, Features, Layer, Sequential};
///
/// let features = Features::new().reals("x", 6).category("carrier", 14, 4).category("origin", 300, 8);
/// let model = Sequential::new().add(Dense::new(64).relu()).add(Dense::new(1));
///
/// let mut graph = Graph::new();
/// let x = features.declare(&mut graph)?;
/// assert_eq!(graph.shape(x), [18]);
/// model.apply(&mut graph, x)?;
/// assert_eq!(graph.layout().find("origin.weight").unwrap().shape(), [300, 8]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Features {
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
enum Column {
    Reals { name: String, width: usize },
    Category { name: String, cardinality: u32, embedding: Embedding },
}

impl Features {
    /// No column yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an input of `width` real numbers a row.
    #[must_use]
    pub fn reals(mut self, name: impl Into<String>, width: usize) -> Self {
        self.columns.push(Column::Reals { name: name.into(), width });
        self
    }

    /// Appends an input of one category below `cardinality` a row, with a vector of `width` elements for each.
    #[must_use]
    pub fn category(self, name: impl Into<String>, cardinality: u32, width: usize) -> Self {
        let name = name.into();
        let embedding = Embedding::new(cardinality, width).name(name.clone());
        self.embedded(name, cardinality, embedding)
    }

    /// As [`category`](Features::category), with an embedding of one's own.
    #[must_use]
    pub fn embedded(mut self, name: impl Into<String>, cardinality: u32, embedding: Embedding) -> Self {
        self.columns.push(Column::Category { name: name.into(), cardinality, embedding });
        self
    }

    /// Declares the inputs and gives their numbers and vectors, one behind the other.
    ///
    /// # Errors
    ///
    /// When there is no column, one has no element, or a name is taken.
    pub fn declare(&self, graph: &mut Graph) -> Result<Var, Error> {
        let blocks = self.columns.iter().map(|column| column.declare(graph)).collect::<Result<Vec<Var>, Error>>()?;
        match *blocks {
            [] => Err(Error::invalid("features", "there is no column")),
            [block] => Ok(block),
            _ => {
                let widths: Vec<usize> = blocks.iter().map(|&block| graph.width(block)).collect();
                let joined = graph.add(ops::Concat::new(widths), &blocks, &[])?;
                graph.set_label(joined, "features");
                Ok(joined)
            }
        }
    }
}

impl Column {
    fn declare(&self, graph: &mut Graph) -> Result<Var, Error> {
        match self {
            Self::Reals { name, width } => graph.input(name, &[*width]),
            Self::Category { name, cardinality, embedding } => {
                let index = graph.index_input(name, &[], *cardinality)?;
                embedding.apply(graph, index)
            }
        }
    }
}
