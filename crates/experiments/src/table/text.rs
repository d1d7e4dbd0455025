use super::columns::WHOLE;
use super::{Block, Cell, Column, Range};
use crate::format::wrapped;
use crate::printable::printable_lines;

/// Widest line of the terminal tables.
const WIDTH: usize = 100;
/// Narrowest column of labels, however wide the rest is.
const LABEL: usize = 12;
const GAP: usize = 2;

pub(super) fn terminal(blocks: &[Block], footnotes: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut marked = false;
    for block in blocks {
        lines.extend(block_lines(block));
        lines.push(String::new());
        marked |= block.columns.iter().any(|column| column.cells.iter().any(|cell| cell.best));
    }
    let legend = marked.then(|| "* best median of its column.".to_string());
    let notes: Vec<String> = legend.into_iter().chain(footnotes.iter().cloned()).collect();
    lines.extend(wrapped(&notes.join(" "), WIDTH));
    printable_lines(&lines.join("\n")).into_owned() + "\n"
}

pub(super) fn markdown(blocks: &[Block], footnotes: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for block in blocks {
        let columns = expanded(block);
        let row = |head: &str, cells: Vec<String>| format!("| {head} | {} |", cells.join(" | "));
        let title = |c: &Text| {
            let title = c.title.replace('\n', " ");
            markdown_escaped(&if c.group == WHOLE { title } else { format!("{title} ({})", c.group) })
        };
        lines.push(row(block.title, columns.iter().map(title).collect()));
        lines.push(row(":--", columns.iter().map(|_| "--:".to_string()).collect()));
        for (i, label) in block.rows.iter().enumerate() {
            lines.push(row(
                &markdown_escaped(&label.text),
                columns.iter().map(|c| markdown_cell(&c.cells[i])).collect(),
            ));
        }
        lines.push(String::new());
    }
    lines.push(footnotes.join(" "));
    lines.join("\n").trim_end().to_string() + "\n"
}

/// A column of texts, ready to be set.
struct Text {
    group: String,
    title: String,
    cells: Vec<Cell>,
}

/// The columns, with the ranges that go beside as columns of their own.
fn expanded(block: &Block) -> Vec<Text> {
    let mut texts = Vec::new();
    for Column { group, title, cells, range } in &block.columns {
        texts.push(Text { group: group.clone(), title: title.clone(), cells: cells.clone() });
        if *range == Range::Beside && cells.iter().any(|cell| cell.range.is_some()) {
            let range = |cell: &Cell| Cell { text: cell.range.clone().unwrap_or_default(), ..Cell::default() };
            texts.push(Text {
                group: group.clone(),
                title: "over seeds".into(),
                cells: cells.iter().map(range).collect(),
            });
        }
    }
    texts
}

fn block_lines(block: &Block) -> Vec<String> {
    let columns = expanded(block);
    let titles: Vec<(String, String)> = columns.iter().map(title_lines).collect();
    let widths = widths(&columns, &titles);
    let taken: usize = widths.iter().map(|width| width + GAP - 1).sum();
    let longest = block.rows.iter().map(|label| length(&label.text)).max().unwrap_or(0);
    let head = longest.max(length(block.title)).min(WIDTH.saturating_sub(taken)).max(LABEL);

    let mut lines = vec![group_line(&columns, &widths, head)];
    let upper: Vec<String> = titles.iter().map(|(upper, _)| format!("{upper} ")).collect();
    let lower: Vec<String> = titles.iter().map(|(_, lower)| format!("{lower} ")).collect();
    if upper.iter().any(|title| !title.trim().is_empty()) {
        lines.push(set("", &upper, head, &widths));
    }
    lines.push(set(block.title, &lower, head, &widths));
    lines.push("-".repeat((head + taken).min(WIDTH)));
    for (i, label) in block.rows.iter().enumerate() {
        let cells: Vec<String> = columns.iter().map(|column| terminal_cell(&column.cells[i])).collect();
        let mut parts = pieces(&label.text, head).into_iter();
        lines.push(set(&parts.next().unwrap_or_default(), &cells, head, &widths));
        lines.extend(parts);
    }
    lines.iter().map(|line| line.trim_end().to_string()).collect()
}

/// The widths of the columns; the last place of each is kept for its mark.
fn widths(columns: &[Text], titles: &[(String, String)]) -> Vec<usize> {
    let width = |(column, (upper, lower)): (&Text, &(String, String))| {
        let cells = column.cells.iter().map(|cell| length(&cell.text)).max().unwrap_or(0);
        cells.max(length(upper)).max(length(lower)) + 1
    };
    let mut widths: Vec<usize> = columns.iter().zip(titles).map(width).collect();
    for (start, count) in groups(columns) {
        let room: usize = widths[start..start + count].iter().map(|width| width + GAP - 1).sum();
        widths[start] += (length(&columns[start].group) + GAP + 1).saturating_sub(room);
    }
    widths
}

/// First column and number of columns of each shared heading.
fn groups(columns: &[Text]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        match groups.last_mut() {
            Some((start, count)) if columns[*start].group == column.group => *count += 1,
            _ => groups.push((i, 1)),
        }
    }
    groups
}

/// A label in lines that fit; a word that is too long for any is cut.
fn pieces(label: &str, width: usize) -> Vec<String> {
    let cut = |line: String| if length(&line) > width { line.chars().take(width).collect() } else { line };
    wrapped(label, width).into_iter().map(cut).collect()
}

fn title_lines(column: &Text) -> (String, String) {
    match column.title.split_once('\n') {
        Some((upper, lower)) => (upper.into(), lower.into()),
        None => (String::new(), column.title.clone()),
    }
}

/// The headings that neighbours share, between dashes over their columns.
fn group_line(columns: &[Text], widths: &[usize], head: usize) -> String {
    let mut line = " ".repeat(head);
    for (start, count) in groups(columns) {
        let group = &columns[start].group;
        let width: usize = widths[start..start + count].iter().map(|width| width + GAP - 1).sum();
        let room = width.saturating_sub(GAP + 1);
        let text: String = group.chars().take(room).collect();
        let dashes = room.saturating_sub(length(&text) + 2);
        let (left, right) = ("-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2));
        let framed = if dashes > 1 { format!("{left} {text} {right}") } else { text };
        line += &format!("{}{framed:<width$}", " ".repeat(GAP), width = width - GAP);
    }
    line
}

fn set(head: &str, cells: &[String], head_width: usize, widths: &[usize]) -> String {
    let mut line = format!("{head:<head_width$}");
    for (cell, width) in cells.iter().zip(widths) {
        line += &format!("{}{cell:>width$}", " ".repeat(GAP - 1));
    }
    line
}

fn terminal_cell(cell: &Cell) -> String {
    let text = if cell.text.is_empty() { "-" } else { &cell.text };
    format!("{text}{}", if cell.best { '*' } else { ' ' })
}

fn markdown_cell(cell: &Cell) -> String {
    let text = if cell.text.is_empty() { "-".into() } else { markdown_escaped(&cell.text) };
    if cell.best { format!("**{text}**") } else { text }
}

fn markdown_escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '\\' | '*' | '_' | '`' | '<' | '[' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn length(text: &str) -> usize {
    text.chars().count()
}
