//! The report: one HTML page that needs no network and no script, light or dark as the reader's system is, fit to print.

mod figures;
mod page;
mod tables;

pub(crate) use page::{document, list, section};

use crate::results::Results;

/// The report as the text of one self-contained HTML file.
///
/// It says what was compared, the verdict, the table of medians, plots of quality over time and of cost, and how it was
/// measured. All text of the results is escaped.
pub fn html(results: &Results) -> String {
    page::page(results)
}
