//! Updates of the rows of tables that a step touches.

use std::ops::Range;

use tidemill_tensor::Scalar;

use crate::rows::Rows;
use crate::workers::{share_out, share_out_rows};
use crate::{Optimizer, TableRows, Touched, UpdateStep, Workers};

impl<T: Scalar> Optimizer<T> {
    /// Whether [rows](Self::update_rows) of a table that lies there can be updated without a look at the others.
    pub fn updates_rows(&self, table: Range<usize>) -> bool {
        self.why_not_rows(table).is_none()
    }

    /// Why rows of a table that lies there cannot be updated without a look at the others, and what to use instead.
    pub fn why_not_rows(&self, table: Range<usize>) -> Option<&str> {
        let (_, why) = self.whole.iter().find(|(whole, _)| whole.start < table.end && table.start < whole.end)?;
        Some(why)
    }

    /// As [`update_in_parallel`](Self::update_in_parallel), where only some rows of tables have a gradient: it looks at
    /// those rows and at what is in no table, and costs nothing for other rows. The gradients of the rows are zero
    /// afterwards. Tables of which a step touches no row are named too; one that is not named is updated whole.
    ///
    /// | transform | compared with an update of everything |
    /// |---|---|
    /// | SGD, Adagrad, clipping by value | the same bits |
    /// | clipping by global norm | the same norm, to rounding |
    /// | [`l2`](crate::l2) before SGD; [`weight_decay`](crate::weight_decay) | the same, to rounding: rows that were not touched are [caught up](Self::catch_up_rows) when they are |
    /// | Adam | PyTorch's `SparseAdam`: rows without a gradient keep their moments, and these do not move them; its `ε` is added as [`EpsilonMode::Keras`](crate::EpsilonMode) does |
    /// | momentum, RMSprop, L1, trust ratios and others | refused: [`why_not_rows`](Self::why_not_rows) |
    ///
    /// # Panics
    ///
    /// As [`update`](Self::update); and when tables do not come in the order of the arena, rows do not lie in their
    /// table, or rows of one cannot be updated alone; and where only a
    /// part of what is in no table is updated, when the optimizer is not [elementwise](Self::is_elementwise).
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_optim::{Alone, Compose, Table, TableRows, l2, sgd};
    /// use tidemill_tensor::{Initializer, Layout};
    ///
    /// let mut layout = Layout::new();
    /// layout.push("embedding.weight", &[3, 2], Initializer::Constant(0.0))?;
    /// let table = Table { range: 0..6, width: 2 };
    /// let optimizer = l2(1.0).then(sgd(0.5)).build_with_tables::<f64>(&layout, &[table])?;
    ///
    /// let (mut parameters, mut gradients) = ([4.0; 6], [0.0; 6]);
    /// let mut state = optimizer.initial_state();
    /// for step in 0..2 {
    ///     let arenas = [&mut parameters[..], &mut gradients, &mut state];
    ///     let touched = [TableRows { range: 0..6, width: 2, rows: vec![1] }];
    ///     optimizer.update_rows(step, 1.0, arenas, &touched[..], &mut Alone, &|_, _| ());
    /// }
    /// assert_eq!(parameters, [4.0, 4.0, 1.0, 1.0, 4.0, 4.0]);
    /// optimizer.catch_up(&mut parameters, &mut state);
    /// assert!(parameters.iter().all(|p| (p - 1.0).abs() < 1e-15));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_rows<'t>(
        &self,
        step: impl Into<UpdateStep>,
        scale: T,
        [parameters, gradients, state]: [&mut [T]; 3],
        touched: impl Into<Touched<'t>>,
        workers: &mut dyn Workers,
        complete: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        let (step, Touched { tables, others }) = (step.into(), touched.into());
        let rows = Rows(tables);
        let is_whole = rows.gaps(self.len).all(|gap| others.start <= gap.start && gap.end <= others.end);
        assert!(is_whole || self.is_elementwise(), "a part is updated alone, but norms are of the whole gradient");
        rows.check(self.len);
        self.check(parameters, state);
        for table in tables {
            if let Some(why) = self.why_not_rows(table.range.clone()) {
                panic!("rows cannot be updated alone: {why}");
            }
        }
        let memory = &mut state[self.memory_start()..];
        for lazy in &self.lazy {
            match tables.iter().find(|table| table.range == lazy.range) {
                Some(table) => lazy.step(step, &table.rows, parameters, memory, workers),
                None => lazy.catch_up(parameters, memory),
            }
        }
        let nothing = |_: Range<usize>, _: &mut [T]| ();
        for (number, pass) in self.passes.iter().enumerate() {
            let first: &(dyn Fn(Range<usize>, &mut [T]) + Sync) = if number == 0 { complete } else { &nothing };
            let is_last = number + 1 == self.passes.len();
            let (part, factors) = self.split(parameters, gradients, state);
            pass.prepare_rows(scale, part.parameters, part.gradients, factors, rows);
            for gap in rows.gaps(self.len) {
                let gap = gap.start.max(others.start)..gap.end.min(others.end);
                if gap.is_empty() {
                    continue;
                }
                let (part, factors) = self.split(parameters, gradients, state);
                let part = part.split_at(gap.end).0.split_at(gap.start).1;
                let factors = &*factors;
                share_out(workers, part, &|part| pass.update_after(step, scale, part, factors, first));
            }
            let (part, factors) = self.split(parameters, gradients, state);
            let factors = &*factors;
            share_out_rows(workers, part, rows, &|numbers, part| {
                pass.update_rows_after(step, scale, (rows, numbers.clone()), part, factors, first);
                if is_last {
                    let origin = part.range().start;
                    rows.each(numbers, usize::MAX, |place| {
                        part.gradients[place.start - origin..place.end - origin].fill(T::zero());
                    });
                }
            });
        }
    }

    /// Brings rows up to date that an [update of others](Self::update_rows) has skipped, where these have decayed
    /// meanwhile. To be called before rows are read, such as by the forward pass of a step that touches them.
    ///
    /// # Panics
    ///
    /// When a slice has another length than [`update`](Self::update) asks for.
    pub fn catch_up_rows(
        &self,
        tables: &[TableRows],
        parameters: &mut [T],
        state: &mut [T],
        workers: &mut dyn Workers,
    ) {
        self.check(parameters, state);
        let memory = &mut state[self.memory_start()..];
        for table in tables {
            if let Some(lazy) = self.lazy.iter().find(|lazy| lazy.range == table.range) {
                lazy.catch_up_rows(&table.rows, parameters, memory, workers);
            }
        }
    }

    /// Writes rows as they are when they are [caught up](Self::catch_up_rows), and says nothing of it to the state: to read
    /// them outside of a step. Whoever does puts back what was there before.
    ///
    /// # Panics
    ///
    /// When a slice has another length than [`update`](Self::update) asks for.
    pub fn preview_rows(&self, tables: &[TableRows], parameters: &mut [T], state: &[T]) {
        self.check(parameters, state);
        let memory = &state[self.memory_start()..];
        for table in tables {
            if let Some(lazy) = self.lazy.iter().find(|lazy| lazy.range == table.range) {
                lazy.preview(&table.rows, parameters, memory);
            }
        }
    }

    /// Brings all rows of all tables up to date; see [`catch_up_rows`](Self::catch_up_rows). To be called before all
    /// parameters are read, such as to save a model.
    ///
    /// A run that goes on from here differs in rounding from one that does not stop to catch up. Where it must not, as
    /// between checkpoints, catch up copies of parameters and state.
    ///
    /// # Panics
    ///
    /// When a slice has another length than [`update`](Self::update) asks for.
    pub fn catch_up(&self, parameters: &mut [T], state: &mut [T]) {
        self.check(parameters, state);
        let memory = &mut state[self.memory_start()..];
        self.lazy.iter().for_each(|table| table.catch_up(parameters, memory));
    }

    /// Whether there may be something to catch up, ever.
    pub fn catches_up(&self) -> bool {
        !self.lazy.is_empty()
    }
}
