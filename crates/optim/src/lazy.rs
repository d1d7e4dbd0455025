//! Decay of table rows that are skipped, caught up when they are touched next.
//!
//! A row that no step touches is multiplied by `1 − r` in each, where `r` is the step's learning rate times the
//! strength of the decay. A table's clock is the sum of all `ln(1 − r)`, and each row remembers where the clock stood
//! when it was last caught up; so it is brought up to date by one factor, after any number of steps and whatever the
//! rates were.

use std::ops::Range;

use tidemill_tensor::{DType, Scalar, kernels};

use crate::untouched::Decay;
use crate::{UpdateStep, Workers, workers};

/// A table whose rows decay without a gradient.
pub(crate) struct LazyTable {
    /// Where it lies in the arena.
    pub(crate) range: Range<usize>,
    /// Elements of a row.
    pub(crate) width: usize,
    pub(crate) decays: Vec<Decay>,
    /// The clock and the rows' times, in the optimizer's memory.
    pub(crate) memory: Range<usize>,
}

/// Rows of a table that one worker brings up to date.
struct Piece<'a, T> {
    first: u32,
    rows: &'a [u32],
    parameters: &'a mut [T],
    times: &'a mut [T],
}

impl LazyTable {
    /// Elements of the memory for so many rows.
    pub(crate) fn memory_len<T: Scalar>(rows: usize) -> usize {
        (rows + 1) * numbers::<T>()
    }

    /// The clock's place in the memory, and that of the rows' times.
    pub(crate) fn blocks<T: Scalar>(&self) -> [Range<usize>; 2] {
        let times = self.memory.start + numbers::<T>();
        [self.memory.start..times, times..self.memory.end]
    }

    /// Brings rows up to date. `memory` is that of all tables, `parameters` are the arena.
    pub(crate) fn catch_up_rows<T: Scalar>(
        &self,
        rows: &[u32],
        parameters: &mut [T],
        memory: &mut [T],
        workers: &mut dyn Workers,
    ) {
        let now = read(&memory[self.memory.clone()][..numbers::<T>()]);
        if now != 0.0 {
            self.advance(rows, [now, now], parameters, memory, workers);
        }
    }

    /// Writes rows as they are when they are up to date, but not that they are.
    pub(crate) fn preview<T: Scalar>(&self, rows: &[u32], parameters: &mut [T], memory: &[T]) {
        let (clock, times) = memory[self.memory.clone()].split_at(numbers::<T>());
        let (now, parameters) = (read(clock), &mut parameters[self.range.clone()]);
        for row in rows.iter().map(|&row| row as usize) {
            let time = read(&times[row * numbers::<T>()..(row + 1) * numbers::<T>()]);
            catch_up(&mut parameters[row * self.width..(row + 1) * self.width], now - time);
        }
    }

    /// Brings all rows up to date, and sets the clock back.
    pub(crate) fn catch_up<T: Scalar>(&self, parameters: &mut [T], memory: &mut [T]) {
        let (clock, times) = memory[self.memory.clone()].split_at_mut(numbers::<T>());
        let now = read(clock);
        if now == 0.0 {
            return;
        }
        let rows = parameters[self.range.clone()].chunks_exact_mut(self.width);
        for (row, time) in rows.zip(times.chunks_exact_mut(numbers::<T>())) {
            catch_up(row, now - read(time));
            time.fill(T::zero());
        }
        clock.fill(T::zero());
    }

    /// Brings the rows that a step touches up to date, which it then moves, and has the others decay.
    pub(crate) fn step<T: Scalar>(
        &self,
        step: UpdateStep,
        rows: &[u32],
        parameters: &mut [T],
        memory: &mut [T],
        workers: &mut dyn Workers,
    ) {
        let rate: f64 = self.decays.iter().map(|decay| decay.rate(step)).sum();
        let passed = (-rate).ln_1p();
        if !passed.is_finite() {
            // A decay by everything, or beyond: no clock can tell it.
            self.catch_up(parameters, memory);
            return self.scale_others(rows, T::of(1.0 - rate), parameters);
        }
        let now = read(&memory[self.memory.clone()][..numbers::<T>()]);
        if [now, passed] != [0.0; 2] {
            self.advance(rows, [now, now + passed], parameters, memory, workers);
            write(&mut memory[self.memory.clone()][..numbers::<T>()], now + passed);
        }
    }

    /// Brings rows from their times to `now`, and sets their times to `then`.
    fn advance<T: Scalar>(
        &self,
        rows: &[u32],
        [now, then]: [f64; 2],
        parameters: &mut [T],
        memory: &mut [T],
        workers: &mut dyn Workers,
    ) {
        let parameters = &mut parameters[self.range.clone()];
        let times = &mut memory[self.memory.clone()][numbers::<T>()..];
        let count = workers::worth(workers, rows.len() * self.width);
        let mut rest = Some(Piece { first: 0, rows, parameters, times });
        if count == 1 {
            return self.advance_piece(rest.as_mut().expect("it was just made"), [now, then]);
        }
        let pieces = workers::pieces(|i| {
            let piece = rest.take()?;
            if i + 1 >= count {
                return Some(piece);
            }
            let (piece, after) = self.cut(piece, rows.len() * (i + 1) / count - rows.len() * i / count);
            rest = Some(after);
            Some(piece)
        });
        workers::each(workers, &pieces, &|_, piece| self.advance_piece(piece, [now, then]));
    }

    /// A piece of the first so many of the rows, and one of the others.
    fn cut<'a, T: Scalar>(&self, piece: Piece<'a, T>, count: usize) -> (Piece<'a, T>, Piece<'a, T>) {
        let (rows, others) = piece.rows.split_at(count);
        let start = others.first().copied().unwrap_or(piece.first);
        let before = (start - piece.first) as usize;
        let (parameters, other_parameters) = piece.parameters.split_at_mut(before * self.width);
        let (times, other_times) = piece.times.split_at_mut(before * numbers::<T>());
        let after = Piece { first: start, rows: others, parameters: other_parameters, times: other_times };
        (Piece { first: piece.first, rows, parameters, times }, after)
    }

    fn advance_piece<T: Scalar>(&self, piece: &mut Piece<'_, T>, [now, then]: [f64; 2]) {
        for &row in piece.rows {
            let row = (row - piece.first) as usize;
            let time = &mut piece.times[row * numbers::<T>()..(row + 1) * numbers::<T>()];
            catch_up(&mut piece.parameters[row * self.width..(row + 1) * self.width], now - read(time));
            write(time, then);
        }
    }

    /// Multiplies all rows but these, which are in ascending order.
    fn scale_others<T: Scalar>(&self, rows: &[u32], factor: T, parameters: &mut [T]) {
        let parameters = &mut parameters[self.range.clone()];
        let mut start = 0;
        for &row in rows {
            kernels::scale(&mut parameters[start..row as usize * self.width], factor);
            start = (row as usize + 1) * self.width;
        }
        kernels::scale(&mut parameters[start..], factor);
    }
}

/// Multiplies a row by what it has missed, of which this is the logarithm.
fn catch_up<T: Scalar>(row: &mut [T], missed: f64) {
    if missed != 0.0 {
        kernels::scale(row, T::of(missed.exp()));
    }
}

/// How many numbers of the state hold an `f64`.
fn numbers<T: Scalar>() -> usize {
    match T::DTYPE {
        DType::F32 => 3,
        DType::F64 => 1,
    }
}

fn read<T: Scalar>(numbers: &[T]) -> f64 {
    numbers.iter().fold(0.0, |sum, number| sum + number.widen())
}

/// Writes a number as a sum, each part being what those before leave over.
fn write<T: Scalar>(numbers: &mut [T], mut number: f64) {
    for part in numbers {
        *part = T::of(number);
        number -= part.widen();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_of_f32_hold_one_of_f64() {
        for number in [0.0, -1e-9 / 3.0, -0.1, -12_345.678_901_234_5, f64::from(1 << 30) + 1e-6] {
            let mut kept = [0.0_f32; 3];
            write(&mut kept, number);
            assert_eq!(read(&kept), number);
        }
    }
}
