use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::split::{self, Hashed, Member, Rule};
use super::{Filter, Select, Take, filter};
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, Schema, Source, Split};

/// The rows of one part of a [`Split`]; made by [`part`](crate::SourceExt::part).
#[derive(Clone, Debug)]
pub struct Part<S, T>(Inner<S, T>);

#[derive(Clone, Debug)]
enum Inner<S, T> {
    Order(Take<S>),
    Row(Box<Select<S, T>>),
    Value(Box<Filter<S, T>>),
}

impl<T: Scalar, S: Source<T>> Part<S, T> {
    pub(super) fn new(inner: S, split: &Split, name: &str) -> Result<Self, Error> {
        let part = split.part(name)?;
        let member = |inner: S, member| Inner::Value(Box::new(Filter::new(inner, filter::Rule::Member(member))));
        Ok(Self(match &split.rule {
            Rule::Order => {
                let Some(rows) = inner.rows() else {
                    let problem = "the source does not know how many rows it has; split by row, key or value";
                    return Err(Error::invalid("split in order", problem));
                };
                Inner::Order(Take::new(inner, split::rows(rows, &part)))
            }
            &Rule::Row { seed } => Inner::Row(Box::new(Select::hashed(inner, Hashed::new(seed, &part)))),
            Rule::Key { column, seed } => {
                let rule = Member::by_key(inner.schema(), column, *seed, &part)?;
                member(inner, rule)
            }
            Rule::Value { column } => {
                let rule = Member::by_value(inner.schema(), column, part)?;
                member(inner, rule)
            }
        }))
    }
}

macro_rules! each {
    ($part:expr, $source:ident => $result:expr) => {
        match $part {
            Inner::Order($source) => $result,
            Inner::Row($source) => $result,
            Inner::Value($source) => $result,
        }
    };
}

impl<T: Scalar, S: Source<T>> Source<T> for Part<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        each!(&self.0, source => source.schema())
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        each!(&mut self.0, source => source.fill(batch, rows))
    }

    fn cursor(&self) -> Cursor {
        each!(&self.0, source => source.cursor())
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        each!(&mut self.0, source => source.seek(cursor))
    }

    fn rows(&self) -> Option<u64> {
        each!(&self.0, source => source.rows())
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        each!(&mut self.0, source => source.skip(rows))
    }

    fn memory_plan(&self) -> MemoryPlan {
        each!(&self.0, source => source.memory_plan())
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        each!(&mut self.0, source => source.limit(bytes))
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        each!(&mut self.0, source => source.watch(interrupt));
    }

    fn blocked(&self) -> Duration {
        each!(&self.0, source => source.blocked())
    }
}
