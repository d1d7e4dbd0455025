use tidemill_data::Role;

use crate::As;

/// Which columns of a table make the columns of batches, in the order in which they were asked for.
///
/// What is inside a column is named by its path: `struct.field`, `list.field` for lists of structs, `map.key` and
/// `map.value`. A column of that very name comes first.
///
/// The builders of sources forward to it, by [`choose_columns!`](crate::choose_columns), so that columns of any format
/// are chosen in the same words.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
/// use tidemill_data::Batch;
/// use tidemill_data_arrow::{Columns, Layout};
///
/// let speed: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0]));
/// let gear: ArrayRef = Arc::new(Int64Array::from(vec![3, 0]));
/// let records = RecordBatch::try_from_iter([("speed", speed), ("gear", gear)])?;
///
/// let columns = Columns::new().feature("speed").target_index("gear", 5);
/// let layout = Layout::new(columns, "records", &records.schema())?;
/// let mut batch = Batch::<f32>::new(Arc::new(layout.schema()));
/// layout.append_batch(&layout.decode("records", &records)?, 0..2, &mut batch).expect("gears are below 5");
/// assert_eq!((batch.reals(0), batch.indices(1)), (&[1.0, 2.0][..], &[3, 0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "columns are found by a layout"]
pub struct Columns {
    pub(crate) chosen: Vec<Chosen>,
    /// Whether all others are features.
    pub(crate) all: bool,
    /// But for these.
    pub(crate) except: Vec<String>,
}

/// A column of the batch, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) made: Made,
    pub(crate) role: Role,
}

/// How it is made.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    /// From the column of the same name, as its type suggests.
    Column,
    /// From columns of one number each.
    Block(Vec<String>),
    /// From the column of the same name, integers below this.
    Index(u32),
    /// From the column of the same name, in this way.
    As(As),
}

impl Chosen {
    /// The columns, or their parts, that it is made from.
    pub(crate) fn sources(&self) -> &[String] {
        match &self.made {
            Made::Block(columns) => columns,
            Made::Column | Made::Index(_) | Made::As(_) => std::slice::from_ref(&self.name),
        }
    }
}

impl Columns {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds columns as features, each under its own name.
    pub fn columns<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        names.into_iter().fold(self, Self::feature)
    }

    /// Adds a column as a feature.
    pub fn feature(self, name: impl Into<String>) -> Self {
        self.choose(name, Made::Column, Role::Feature)
    }

    /// Adds columns of one number each, side by side, as one real feature of that width, rounded to the batch's scalar.
    /// Rows in which one of them is null count as null; the other numbers stay.
    pub fn real_block<N: Into<String>>(self, name: impl Into<String>, columns: impl IntoIterator<Item = N>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        self.choose(name, Made::Block(columns), Role::Feature)
    }

    /// Adds a column of integers from zero to `cardinality` (exclusive) as a categorical feature.
    pub fn feature_index(self, name: impl Into<String>, cardinality: u32) -> Self {
        self.choose(name, Made::Index(cardinality), Role::Feature)
    }

    /// Adds a column as a target.
    pub fn target(self, name: impl Into<String>) -> Self {
        self.choose(name, Made::Column, Role::Target)
    }

    /// Adds a column of integers from zero to `classes` (exclusive) as a target.
    pub fn target_index(self, name: impl Into<String>, classes: u32) -> Self {
        self.choose(name, Made::Index(classes), Role::Target)
    }

    /// Takes a column of one number as the rows' weights.
    pub fn weight(self, name: impl Into<String>) -> Self {
        self.choose(name, Made::Column, Role::Weight)
    }

    /// Adds a column as a feature that by its type it is not: a list, a map, or binary.
    pub fn feature_as(self, name: impl Into<String>, how: impl Into<As>) -> Self {
        self.choose(name, Made::As(how.into()), Role::Feature)
    }

    /// Adds a column as a target that by its type it is not: a list, a map, or binary.
    pub fn target_as(self, name: impl Into<String>, how: impl Into<As>) -> Self {
        self.choose(name, Made::As(how.into()), Role::Target)
    }

    /// Adds all columns that are not chosen otherwise as features, behind those that are, in the table's order. One that
    /// cannot serve is an error, unless it, or every part of it, is chosen or left out by [`except`](Self::except).
    pub fn all_columns(mut self) -> Self {
        self.all = true;
        self
    }

    /// Leaves columns out of [`all_columns`](Self::all_columns). A name that no table has is an error.
    pub fn except<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.except.extend(names.into_iter().map(Into::into));
        self
    }

    fn choose(mut self, name: impl Into<String>, made: Made, role: Role) -> Self {
        self.chosen.push(Chosen { name: name.into(), made, role });
        self
    }
}

/// Gives a builder the methods of [`Columns`], which it keeps in the field that is named.
///
/// # Example
///
/// ```
/// use tidemill_data_arrow::{Columns, choose_columns};
///
/// struct TableBuilder {
///     chosen: Columns,
///     separator: u8,
/// }
///
/// impl TableBuilder {
///     choose_columns!(chosen);
/// }
///
/// let builder = TableBuilder { chosen: Columns::new(), separator: b',' };
/// let builder = builder.columns(["a", "b"]).target("y");
/// # assert_eq!(builder.separator, b',');
/// ```
#[macro_export]
macro_rules! choose_columns {
    ($chosen:ident) => {
        /// Adds columns as features, each under its own name.
        pub fn columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.$chosen = self.$chosen.columns(names);
            self
        }

        /// Adds a column as a feature.
        pub fn feature(mut self, name: impl Into<String>) -> Self {
            self.$chosen = self.$chosen.feature(name);
            self
        }

        /// Adds columns of one number each, side by side, as one real feature of that width, rounded to the batch's
        /// scalar. Rows in which one of them is null count as null; the other numbers stay.
        pub fn real_block<N: Into<String>>(
            mut self,
            name: impl Into<String>,
            columns: impl IntoIterator<Item = N>,
        ) -> Self {
            self.$chosen = self.$chosen.real_block(name, columns);
            self
        }

        /// Adds a column of integers from zero to `cardinality` (exclusive) as a categorical feature.
        pub fn feature_index(mut self, name: impl Into<String>, cardinality: u32) -> Self {
            self.$chosen = self.$chosen.feature_index(name, cardinality);
            self
        }

        /// Adds a column as a target.
        pub fn target(mut self, name: impl Into<String>) -> Self {
            self.$chosen = self.$chosen.target(name);
            self
        }

        /// Adds a column of integers from zero to `classes` (exclusive) as a target.
        pub fn target_index(mut self, name: impl Into<String>, classes: u32) -> Self {
            self.$chosen = self.$chosen.target_index(name, classes);
            self
        }

        /// Takes a column of one number as the rows' weights.
        pub fn weight(mut self, name: impl Into<String>) -> Self {
            self.$chosen = self.$chosen.weight(name);
            self
        }

        /// Adds a column as a feature that by its type it is not: a list, a map, or binary.
        pub fn feature_as(mut self, name: impl Into<String>, how: impl Into<$crate::As>) -> Self {
            self.$chosen = self.$chosen.feature_as(name, how);
            self
        }

        /// Adds a column as a target that by its type it is not: a list, a map, or binary.
        pub fn target_as(mut self, name: impl Into<String>, how: impl Into<$crate::As>) -> Self {
            self.$chosen = self.$chosen.target_as(name, how);
            self
        }

        /// Adds all columns that are not chosen otherwise as features, behind those that are, in the table's order. One
        /// that cannot serve is an error, unless it, or every part of it, is chosen or left out by
        /// [`except`](Self::except).
        pub fn all_columns(mut self) -> Self {
            self.$chosen = self.$chosen.all_columns();
            self
        }

        /// Leaves columns out of [`all_columns`](Self::all_columns). A name that no table has is an error.
        pub fn except<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.$chosen = self.$chosen.except(names);
            self
        }
    };
}
