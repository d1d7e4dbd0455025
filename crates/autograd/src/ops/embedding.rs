use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Domain, Forward, Kernel, Op, Specs};

/// Row `i` of a table for each category `i`.
///
/// # Shapes
///
/// Categories `[..]` below `N`, table `[N, D]`, output `[.., D]`.
///
/// # Panics
///
/// When run on an index that is not below `N`; sources check theirs when they are built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedding {
    padding: Option<u32>,
}

impl Embedding {
    /// Every row of the table learns.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row of this category is read but does not learn.
    #[must_use]
    pub fn padding(mut self, index: u32) -> Self {
        self.padding = Some(index);
        self
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let (&[x], &[&[rows, width]]) = (specs.operands, specs.params) else {
            return Err("takes one operand and one parameter, a table [N, D]".into());
        };
        let Domain::Index { cardinality } = x.domain else {
            return Err(format!("{} is of real numbers, expected categories", x.label));
        };
        if cardinality as usize > rows {
            return Err(format!("{} has {cardinality} categories, the table {rows} rows", x.label));
        }
        if let Some(padding) = self.padding.filter(|&p| p as usize >= rows) {
            return Err(format!("padding is {padding}, the table has {rows} rows"));
        }
        Ok(Bound::new([x.shape, &[width]].concat(), *self).reads_rows())
    }
}

impl<T: Scalar> Kernel<T> for Embedding {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (indices, table) = (cx.indices(0), cx.param(0));
        let width = cx.output.len() / indices.len().max(1);
        for (to, &index) in cx.output.chunks_exact_mut(width.max(1)).zip(indices) {
            let start = index as usize * width;
            to.copy_from_slice(&table[start..start + width]);
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let indices = cx.indices(0);
        let Some(table) = cx.param(0) else { return };
        table.write.begin(table.into);
        let width = table.upstream.len() / indices.len().max(1);
        for (from, &index) in table.upstream.chunks_exact(width.max(1)).zip(indices) {
            if Some(index) != self.padding {
                let start = index as usize * width;
                kernels::add_assign(&mut table.into[start..start + width], from);
            }
        }
    }
}
