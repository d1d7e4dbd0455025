//! Parquet files as a source of training rows, and tables of results written as Parquet.
//!
//! A [`ParquetSource`] reads chosen columns of one or many files, in order or block by block in a shuffled one, within a
//! byte budget that does not depend on their size, and fills [`Batch`](tidemill_data::Batch)es in place. This crate alone
//! knows Parquet's format; it knows nothing of models or encoders.
//!
//! # Object stores
//!
//! Files in S3, Google Cloud Storage, Azure and behind HTTP are read by their URLs where the features `aws`, `gcp`,
//! `azure` and `http` are turned on; none is, unless asked for: see [`Paths`]. The columns of a row group are read ahead,
//! each in a few requests that are as large as the [budget](ParquetSourceBuilder::budget) allows, up to 8 MiB.
//!
//! # Broken files
//!
//! Files may be broken in any way: what is wrong comes as an error with the file, the row group and the column. The
//! decoder underneath panics on some of them, which is caught and becomes an error as well, so that a program must not
//! be built with `panic = "abort"`; the panic's message still goes wherever the program's panic hook sends it.

mod blocks;
mod builder;
mod checked;
mod column;
mod damage;
mod delta;
mod describe;
mod error;
mod filtered;
mod find;
mod fit;
mod footer;
mod hive;
mod input;
mod lists;
mod locate;
mod outline;
mod pages;
mod paths;
mod plain;
mod plan;
mod prune;
mod reader;
mod save;
mod schema_message;
mod shape;
mod sizes;
mod sort;
mod source;
#[cfg(feature = "object-store")]
mod store;
mod stored;
mod survey;
mod thrift;
mod url;
mod varint;
mod verify;
mod window;
mod writer;

pub use blocks::Blocks;
pub use builder::ParquetSourceBuilder;
pub use damage::{Damage, DamageReport, OnDamage};
pub use describe::{ColumnDescription, Description, UndescribedColumn, describe, describe_within};
pub use error::{FileError, Place};
pub use filtered::{FilteredSource, FilteredSourceBuilder};
pub use hive::PathKeys;
pub use paths::Paths;
pub use prune::PassedOver;
pub use save::save;
pub use sort::{sort_by, sort_by_watched};
pub use source::ParquetSource;
#[cfg(feature = "object-store")]
pub use store::{Retry, StoreOptions};
pub use tidemill_data_arrow::{As, Choice, ListAs, NullItems, Usable};
pub use writer::{ParquetWriter, ValueType, Values};
