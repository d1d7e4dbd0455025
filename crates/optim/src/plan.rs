//! From a chain to an optimizer: checks, selections, places in the state arena, passes.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::{DType, Layout, Scalar};

use crate::chain::{Chain, Link};
use crate::lazy::LazyTable;
use crate::norm::Group;
use crate::pass::{Action, MAX_STEPS, Pass, Reduce, Step};
use crate::rules::adam;
use crate::select::{merged, resolve};
use crate::transform::{Rate, Reduction, Rule, Transform};
use crate::untouched::{self, Decay};
use crate::{Error, MAX_SLOTS, Optimizer, StateBlock, Table};

pub(crate) fn optimizer<T: Scalar>(chain: &Chain, layout: &Layout, tables: &[Table]) -> Result<Optimizer<T>, Error> {
    let links = chain.links.iter().map(|link| Selected::new(link, layout)).collect::<Result<Vec<_>, _>>()?;
    check_rates(&links, layout)?;
    let mut plan = Plan::new(layout);
    for (i, link) in links.iter().enumerate() {
        if !fuses_with_move(i, &links) {
            plan.push(link);
        }
    }
    for (i, link) in links.iter().enumerate() {
        match link.transform.rate() {
            Rate::None => {}
            _ if fuses_with_move(i, &links) => plan.push_move(link, Some(Arc::clone(&link.transform))),
            _ => plan.push_move(link, None),
        }
    }
    plan.push_tables(&links, tables)?;
    Ok(plan.finish(&links, tables))
}

/// A link whose selection is resolved.
struct Selected {
    transform: Arc<dyn Transform>,
    /// Indices of parameters.
    selected: Vec<usize>,
    ranges: Vec<Range<usize>>,
}

impl Selected {
    fn new(link: &Link, layout: &Layout) -> Result<Self, Error> {
        link.transform.check()?;
        let selected = resolve(link.transform.name(), &link.selections, layout)?;
        let ranges = match link.transform.reduction() {
            Some(Reduction::PerParameter) => selected.iter().map(|&i| layout[i].range()).collect(),
            _ => merged(&selected, layout),
        };
        Ok(Self { transform: Arc::clone(&link.transform), selected, ranges })
    }

    fn sets_rate(&self) -> bool {
        !matches!(self.transform.rate(), Rate::None)
    }
}

fn check_rates(links: &[Selected], layout: &Layout) -> Result<(), Error> {
    let mut owners = vec![None; layout.parameters().len()];
    for link in links.iter().filter(|link| link.sets_rate()) {
        for &i in &link.selected {
            if let Some(first) = owners[i].replace(link.transform.name()) {
                let (first, second) = (first.to_owned(), link.transform.name().to_owned());
                return Err(Error::TwoLearningRates { parameter: layout[i].name().to_owned(), first, second });
            }
        }
    }
    if links.iter().any(Selected::sets_rate) { Ok(()) } else { Err(Error::NoLearningRate) }
}

/// Whether the link only multiplies by the learning rate and is the last to touch its parameters, so that the move can
/// do the multiplication.
fn fuses_with_move(i: usize, links: &[Selected]) -> bool {
    let touches = |later: &Selected| later.selected.iter().any(|p| links[i].selected.contains(p));
    matches!(links[i].transform.rate(), Rate::Factor(_)) && !links[i + 1..].iter().any(touches)
}

/// An optimizer that grows link by link.
struct Plan<'a, T> {
    layout: &'a Layout,
    initial: Vec<f64>,
    slot_names: Vec<String>,
    factor_blocks: Vec<(String, Range<usize>)>,
    passes: Vec<Pass<T>>,
    moved: Vec<Range<usize>>,
    whole: Vec<(Range<usize>, String)>,
    lazy: Vec<LazyTable>,
}

impl<'a, T: Scalar> Plan<'a, T> {
    fn new(layout: &'a Layout) -> Self {
        let passes = vec![Pass { first: true, reduce: None, steps: Vec::new() }];
        Self {
            layout,
            initial: Vec::new(),
            slot_names: Vec::new(),
            factor_blocks: Vec::new(),
            passes,
            moved: Vec::new(),
            whole: Vec::new(),
            lazy: Vec::new(),
        }
    }

    fn push(&mut self, link: &Selected) {
        let transform = &link.transform;
        if transform.moves_without_gradient() {
            self.moved.extend_from_slice(&link.ranges);
        }
        let slots = self.push_slots(transform);
        let factors = match transform.reduction() {
            Some(reduction) => self.push_reduction(link, reduction),
            None => 0..0,
        };
        let action = Action::Rule(typed::<T>(Arc::clone(transform)), adam::fused(&**transform));
        self.push_step(Step { action, at: Some(Arc::clone(transform)), ranges: link.ranges.clone(), slots, factors });
    }

    fn push_move(&mut self, link: &Selected, at: Option<Arc<dyn Transform>>) {
        self.push_step(Step { action: Action::Move, at, ranges: link.ranges.clone(), slots: 0..0, factors: 0..0 });
    }

    fn push_step(&mut self, step: Step<T>) {
        if self.last().steps.len() == MAX_STEPS {
            self.passes.push(Pass { first: false, reduce: None, steps: Vec::new() });
        }
        self.last().steps.push(step);
    }

    fn push_slots(&mut self, transform: &Arc<dyn Transform>) -> Range<usize> {
        let slots = transform.slots();
        let name = transform.name();
        assert!(slots.len() <= MAX_SLOTS, "{name} declares {} slots, at most {MAX_SLOTS} are possible", slots.len());
        let start = self.initial.len();
        for slot in &slots {
            self.initial.push(slot.initial);
            let unique = unique(name, slot.name, &self.slot_names);
            self.slot_names.push(unique);
        }
        start..self.initial.len()
    }

    fn push_reduction(&mut self, link: &Selected, reduction: Reduction) -> Range<usize> {
        let groups: Vec<Group> = match reduction {
            Reduction::Global(_) => vec![Group::new(&link.ranges)],
            Reduction::PerParameter => {
                link.ranges.iter().map(|range| Group::new(std::slice::from_ref(range))).collect()
            }
        };
        let start = self.factor_blocks.last().map_or(0, |(_, range)| range.end);
        let factors = start..start + groups.len();
        let names: Vec<String> = self.factor_blocks.iter().map(|(name, _)| name.clone()).collect();
        self.factor_blocks.push((unique(link.transform.name(), "factor", &names), factors.clone()));
        if !self.last().steps.is_empty() {
            self.passes.push(Pass { first: false, reduce: None, steps: Vec::new() });
        }
        self.last().reduce =
            Some(Reduce { transform: Arc::clone(&link.transform), reduction, groups, factors: factors.clone() });
        factors
    }

    /// Finds of each parameter whether rows of it can be updated alone, and what of a table must be caught up then.
    fn push_tables(&mut self, links: &[Selected], tables: &[Table]) -> Result<(), Error> {
        for (i, parameter) in self.layout.parameters().iter().enumerate() {
            let range = parameter.range();
            let table = tables.iter().find(|table| table.range == range && is_table(table));
            let links = links.iter().filter(|link| link.selected.contains(&i));
            match (untouched::decays(links.map(|link| &link.transform)), table) {
                (Err(why), _) => self.whole.push((range, format!("{}: {why}", parameter.name()))),
                (Ok(decays), _) if decays.is_empty() => {}
                (Ok(decays), Some(table)) => self.push_lazy(table, decays),
                (Ok(_), None) => {
                    let why = "its rows decay without a gradient; name it when the optimizer is built";
                    self.whole.push((range, format!("{}: {why}", parameter.name())));
                }
            }
        }
        let is_known =
            |table: &&Table| self.layout.parameters().iter().any(|p| p.range() == table.range && is_table(table));
        match tables.iter().find(|table| !is_known(table)) {
            None => Ok(()),
            Some(Table { range, width }) => Err(Error::NoTable { start: range.start, end: range.end, width: *width }),
        }
    }

    fn push_lazy(&mut self, table: &Table, decays: Vec<Decay>) {
        let Table { range, width } = table.clone();
        let start = self.lazy.last().map_or(0, |table| table.memory.end);
        let memory = start..start + LazyTable::memory_len::<T>(range.len() / width);
        self.lazy.push(LazyTable { range, width, decays, memory });
    }

    fn last(&mut self) -> &mut Pass<T> {
        self.passes.last_mut().expect("a plan starts with a pass")
    }

    fn finish(self, links: &[Selected], tables: &[Table]) -> Optimizer<T> {
        let len = self.layout.len();
        let slot = |(i, name)| StateBlock { name, range: i * len..(i + 1) * len };
        let mut blocks: Vec<StateBlock> = self.slot_names.into_iter().enumerate().map(slot).collect();
        let mut push = |offset: usize, name: String, range: Range<usize>| {
            blocks.push(StateBlock { name, range: offset + range.start..offset + range.end });
        };
        let offset = self.initial.len() * len;
        let factors = self.factor_blocks.last().map_or(0, |(_, range)| range.end);
        self.factor_blocks.into_iter().for_each(|(name, range)| push(offset, name, range));
        for table in &self.lazy {
            let parameter = self.layout.parameters().iter().find(|p| p.range() == table.range);
            let name = parameter.expect("tables are parameters").name();
            let [clock, times] = table.blocks::<T>();
            push(offset + factors, format!("decay.{name}"), clock);
            push(offset + factors, format!("decay.{name}.rows"), times);
        }
        let rates = links.iter().filter_map(|link| match link.transform.rate() {
            Rate::None => None,
            Rate::Factor(schedule) | Rate::Inside(schedule) => Some(schedule.clone()),
        });
        Optimizer {
            len,
            initial: self.initial,
            factors,
            blocks,
            rates: rates.collect(),
            passes: self.passes,
            moved: self.moved,
            whole: self.whole,
            lazy: self.lazy,
            tables: tables.to_vec(),
        }
    }
}

fn is_table(table: &Table) -> bool {
    !table.range.is_empty() && table.width > 0 && table.range.len().is_multiple_of(table.width)
}

/// `adam.first_moment`, or `adam2.first_moment` where the former is taken.
fn unique(transform: &str, what: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|n| format!("{transform}{n}.{what}"));
    let mut names = std::iter::once(format!("{transform}.{what}")).chain(numbered);
    names.find(|name| !taken.contains(name)).expect("numbers do not end")
}

/// The rule of a transform for `T`, which is `f32` or `f64`.
fn typed<T: Scalar>(transform: Arc<dyn Transform>) -> Arc<dyn Rule<T>> {
    let rule: Box<dyn Any> = match T::DTYPE {
        DType::F32 => Box::new(transform as Arc<dyn Rule<f32>>),
        DType::F64 => Box::new(transform as Arc<dyn Rule<f64>>),
    };
    *rule.downcast::<Arc<dyn Rule<T>>>().expect("DTYPE names the type")
}
