//! The results as tables: for the terminal and in Markdown.
//!
//! Values are medians over seeds; the best of a column is marked unless all are the same.

mod columns;
mod text;

pub(crate) use columns::{Block, Cell, Column, Range, footnotes};

use crate::results::Results;
use crate::summary::{Summary, summarize};

/// Both tables, quality and cost, in ASCII but for the labels, at most 100 columns wide.
///
/// The best of a column is marked with `*`.
pub fn terminal(results: &Results) -> String {
    let summaries = summarize(results);
    text::terminal(&blocks(results, &summaries), &footnotes(results, &summaries))
}

/// Both tables in Markdown; the best of a column is bold.
pub fn markdown(results: &Results) -> String {
    let summaries = summarize(results);
    text::markdown(&blocks(results, &summaries), &footnotes(results, &summaries))
}

/// Quality and cost, without the columns that have no value, where any has.
pub(crate) fn blocks(results: &Results, summaries: &[Summary]) -> [Block; 2] {
    let mut blocks = [columns::quality(results, summaries), columns::cost(results, summaries)];
    for columns in blocks.iter_mut().map(|block| &mut block.columns) {
        let filled = |column: &Column| column.cells.iter().any(|cell| !cell.text.is_empty());
        if columns.iter().any(filled) {
            columns.retain(filled);
        }
    }
    blocks
}
