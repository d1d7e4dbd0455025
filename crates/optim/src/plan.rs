//! From a chain to an optimizer: checks, selections, places in the state arena, phases.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::{DType, Layout, Scalar};

use crate::chain::{Chain, Link};
use crate::norm::Group;
use crate::phase::{Action, MAX_STEPS, Phase, Reduce, Step};
use crate::select::{merged, resolve};
use crate::transform::{Rate, Reduction, Rule, Transform};
use crate::{Error, MAX_SLOTS, Optimizer, StateBlock};

pub(crate) fn optimizer<T: Scalar>(chain: &Chain, layout: &Layout) -> Result<Optimizer<T>, Error> {
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
    Ok(plan.finish(&links))
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
    phases: Vec<Phase<T>>,
    moved: Vec<Range<usize>>,
    whole: Vec<Range<usize>>,
}

impl<'a, T: Scalar> Plan<'a, T> {
    fn new(layout: &'a Layout) -> Self {
        let phases = vec![Phase { first: true, reduce: None, steps: Vec::new() }];
        Self {
            layout,
            initial: Vec::new(),
            slot_names: Vec::new(),
            factor_blocks: Vec::new(),
            phases,
            moved: Vec::new(),
            whole: Vec::new(),
        }
    }

    fn push(&mut self, link: &Selected) {
        let transform = &link.transform;
        if transform.moves_without_gradient() {
            self.moved.extend_from_slice(&link.ranges);
        }
        if !transform.leaves_rows() || transform.reduction() == Some(Reduction::PerParameter) {
            self.whole.extend_from_slice(&link.ranges);
        }
        let slots = self.push_slots(transform);
        let factors = match transform.reduction() {
            Some(reduction) => self.push_reduction(link, reduction),
            None => 0..0,
        };
        let action = Action::Rule(typed::<T>(Arc::clone(transform)));
        self.push_step(Step { action, at: Some(Arc::clone(transform)), ranges: link.ranges.clone(), slots, factors });
    }

    fn push_move(&mut self, link: &Selected, at: Option<Arc<dyn Transform>>) {
        self.push_step(Step { action: Action::Move, at, ranges: link.ranges.clone(), slots: 0..0, factors: 0..0 });
    }

    fn push_step(&mut self, step: Step<T>) {
        if self.last().steps.len() == MAX_STEPS {
            self.phases.push(Phase { first: false, reduce: None, steps: Vec::new() });
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
            self.phases.push(Phase { first: false, reduce: None, steps: Vec::new() });
        }
        self.last().reduce =
            Some(Reduce { transform: Arc::clone(&link.transform), reduction, groups, factors: factors.clone() });
        factors
    }

    fn last(&mut self) -> &mut Phase<T> {
        self.phases.last_mut().expect("a plan starts with a phase")
    }

    fn finish(self, links: &[Selected]) -> Optimizer<T> {
        let len = self.layout.len();
        let offset = self.initial.len() * len;
        let slot = |(i, name)| StateBlock { name, range: i * len..(i + 1) * len };
        let factor = |(name, range): (String, Range<usize>)| StateBlock {
            name,
            range: offset + range.start..offset + range.end,
        };
        let factors = self.factor_blocks.last().map_or(0, |(_, range)| range.end);
        let blocks = self.slot_names.into_iter().enumerate().map(slot);
        let blocks = blocks.chain(self.factor_blocks.into_iter().map(factor)).collect();
        let rates = links.iter().filter_map(|link| match link.transform.rate() {
            Rate::None => None,
            Rate::Factor(schedule) | Rate::Inside(schedule) => Some(schedule.clone()),
        });
        let (rates, moved, whole) = (rates.collect(), self.moved, self.whole);
        Optimizer { len, initial: self.initial, factors, blocks, rates, phases: self.phases, moved, whole }
    }
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
