use std::sync::Arc;

use tidemill_tensor::{Layout, Scalar};

use crate::plan;
use crate::select::Selection;
use crate::{Error, Optimizer, Table, Transform};

/// Transforms one after another; what an optimizer is before it knows the parameters and their precision.
///
/// A chain of chains is a chain.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, Schedule, adam, clip_by_global_norm, l2};
/// use tidemill_tensor::{Initializer, Layout};
///
/// let cosine = Schedule::cosine(1e-3, 0.0, 10_000);
/// let chain = clip_by_global_norm(1.0).then(l2(1e-4).only("*.weight")).then(adam(cosine));
///
/// let mut layout = Layout::new();
/// layout.push("dense1.weight", &[3, 2], Initializer::GlorotUniform)?;
/// layout.push("dense1.bias", &[3], Initializer::Constant(0.0))?;
/// let optimizer = chain.build::<f32>(&layout)?;
/// assert_eq!(optimizer.learning_rate(5_000), 5e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chain {
    pub(crate) links: Vec<Link>,
}

/// A transform and the parameters to which it is restricted.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) transform: Arc<dyn Transform>,
    pub(crate) selections: Vec<Selection>,
}

impl Chain {
    /// A chain without transforms.
    pub fn new() -> Self {
        Self::default()
    }

    /// The optimizer for the [trainable](Layout::trainable) parameters of `layout`, in precision `T`.
    ///
    /// # Errors
    ///
    /// When a hyper-parameter lies outside its domain, a selection's pattern matches no parameter, or the learning rate
    /// of a parameter is set twice, or of none at all.
    pub fn build<T: Scalar>(&self, layout: &Layout) -> Result<Optimizer<T>, Error> {
        self.build_with_tables(layout, &[])
    }

    /// As [`build`](Self::build), for a model with tables, rows of which may be
    /// [updated alone](Optimizer::update_rows). It must be told them where rows decay without a gradient, so that it
    /// can remember which have missed what.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when a table is not the whole of a parameter of `layout`.
    pub fn build_with_tables<T: Scalar>(&self, layout: &Layout, tables: &[Table]) -> Result<Optimizer<T>, Error> {
        plan::optimizer(self, &layout.trainable(), tables)
    }
}

impl<X: Transform> From<X> for Chain {
    fn from(transform: X) -> Self {
        Self { links: vec![Link { transform: Arc::new(transform), selections: Vec::new() }] }
    }
}

/// What can be part of a [`Chain`]: transforms, optimizers such as [`adam`](crate::adam), and chains.
pub trait Compose: Into<Chain> + Clone {
    /// This, then `next`.
    fn then(self, next: impl Into<Chain>) -> Chain {
        let mut chain = self.into();
        chain.links.extend(next.into().links);
        chain
    }

    /// This, restricted to the parameters whose names match `pattern`: `*` stands for any characters, `?` for one.
    /// The others pass by unchanged; they stay where they are if nothing else sets a learning rate for them.
    fn only(self, pattern: &str) -> Chain {
        restrict(self.into(), &Selection::Only(pattern.to_owned()))
    }

    /// This, restricted to the parameters whose names do not match `pattern`.
    fn except(self, pattern: &str) -> Chain {
        restrict(self.into(), &Selection::Except(pattern.to_owned()))
    }

    /// The optimizer of this chain: [`Chain::build`].
    ///
    /// # Errors
    ///
    /// As [`Chain::build`].
    fn build<T: Scalar>(&self, layout: &Layout) -> Result<Optimizer<T>, Error> {
        self.clone().into().build(layout)
    }

    /// The optimizer of this chain for a model with tables: [`Chain::build_with_tables`].
    ///
    /// # Errors
    ///
    /// As [`Chain::build_with_tables`].
    fn build_with_tables<T: Scalar>(&self, layout: &Layout, tables: &[Table]) -> Result<Optimizer<T>, Error> {
        self.clone().into().build_with_tables(layout, tables)
    }
}

impl<C: Into<Chain> + Clone> Compose for C {}

fn restrict(mut chain: Chain, selection: &Selection) -> Chain {
    for link in &mut chain.links {
        link.selections.push(selection.clone());
    }
    chain
}
