use super::{Column, Inspection};
use crate::format;
use crate::printable::printable;

/// Widest line, where what is in it can be broken.
const WIDTH: usize = 100;
/// Longest name or type in a table.
const LONGEST: usize = 28;

/// An inspection as text.
pub fn text(inspection: &Inspection) -> String {
    let files: Vec<String> = inspection.files.iter().map(|file| file.display().to_string()).collect();
    let mut lines = format::wrapped(&files.join(", "), WIDTH);
    lines.extend(format::wrapped(&head(inspection), WIDTH));
    lines.push(String::new());
    lines.extend(columns(inspection));
    lines.push(String::new());
    lines.extend(suggestion(inspection));
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n"
}

fn head(found: &Inspection) -> String {
    let groups = if found.row_groups == 1 { "row group" } else { "row groups" };
    let mut text = format!(
        "{} rows in {} {groups} of up to {} rows; {} on disk, {} in memory as f32, {} as f64.",
        format::exact(found.rows),
        format::exact(found.row_groups),
        format::exact(found.largest_row_group),
        format::bytes(found.bytes as f64),
        format::bytes(found.memory_f32 as f64),
        format::bytes(found.memory_f64 as f64)
    );
    if let Some(filter) = &found.filter {
        text += &format!(
            " Where {filter}: {} row groups with {} rows are passed over by their statistics.",
            format::exact(found.row_groups_passed_over),
            format::exact(found.rows_passed_over)
        );
    }
    text += &match (found.rows_read, found.read_all) {
        (0, _) => " No row was read.".into(),
        (rows, true) => format!(" All {} rows were read.", format::exact(rows)),
        (rows, false) => format!(" The first {} rows were read; --scan reads all.", format::exact(rows)),
    };
    text
}

fn columns(found: &Inspection) -> Vec<String> {
    let titles = ["column", "type", "on disk", "nulls", "different", "values"];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(found.columns.iter().map(row));
    let widths: Vec<usize> = (0..5).map(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0)).collect();
    let set = |cells: &[String; 6]| {
        let mut line = String::new();
        for (place, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            line += &if place < 2 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
        }
        line + &cells[5]
    };
    let mut lines: Vec<String> = rows.iter().map(set).collect();
    lines.insert(1, "-".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(WIDTH)));
    lines
}

fn row(column: &Column) -> [String; 6] {
    let nulls = column.nulls.map_or_else(|| "?".into(), format::exact);
    let (mut distinct, mut values) = (String::new(), String::new());
    if let Some(seen) = &column.seen {
        distinct = format!("{}{}", if seen.distinct_is_exact { "" } else { ">" }, format::exact(seen.distinct));
        if let Some(numbers) = &seen.numbers {
            let [min, median, max] = [numbers.min, numbers.median, numbers.max].map(short);
            values = format!("{min} to {max}, median {median}");
        } else {
            let texts: Vec<String> = seen.most_frequent.iter().take(3).map(|(text, _)| cut(text, 14)).collect();
            let more = if seen.distinct > texts.len() as u64 && !texts.is_empty() { ", …" } else { "" };
            values = format!("{}{more}", texts.join(", "));
        }
    } else if column.serves_as == "not usable" {
        values = "not usable".into();
    }
    [
        cut(&column.name, LONGEST),
        cut(&column.data_type, LONGEST),
        format::bytes(column.bytes as f64),
        nulls,
        distinct,
        values,
    ]
}

fn suggestion(found: &Inspection) -> Vec<String> {
    let suggestion = &found.suggestion;
    let mut lines =
        vec![format!("Suggested: {} training, batches of {} rows.", suggestion.strategy, suggestion.batch_size)];
    lines.extend(format::wrapped(&format!("{}.", format::capitalized(&suggestion.why)), WIDTH));
    lines.push(String::new());
    let mut rows: Vec<[String; 3]> =
        suggestion.used.iter().map(|u| [cut(&u.column, LONGEST), u.encoding.clone(), u.why.clone()]).collect();
    rows.extend(suggestion.left_out.iter().map(|l| [cut(&l.column, LONGEST), "left out".into(), l.why.clone()]));
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let (names, encodings) = (width(0), width(1));
    lines.extend(rows.iter().map(|[name, what, why]| format!("  {name:<names$}  {what:<encodings$}  {why}")));
    lines.push(String::new());
    lines.push(suggestion.command.clone());
    lines.push(String::new());
    lines.extend(suggestion.rust.lines().map(str::to_owned));
    lines
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e10 { format!("{value}") } else { format::decimal(value) }
}

/// A text of at most so many characters, on one line.
fn cut(text: &str, longest: usize) -> String {
    let line = printable(text);
    if line.chars().count() <= longest {
        line.into()
    } else {
        line.chars().take(longest - 1).collect::<String>() + "…"
    }
}
