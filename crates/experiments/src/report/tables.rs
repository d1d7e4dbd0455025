use super::page::section;
use crate::format::{bytes, capitalized, decimal, exact};
use crate::markup::Markup;
use crate::plot::legend_sample;
use crate::results::{ModelState, Results, Run};
use crate::summary::{Spread, Summary};
use crate::table::{Block, Cell, blocks, footnotes};

/// The tables of medians, with the range over seeds below each.
pub(super) fn medians(m: &mut Markup, results: &Results, summaries: &[Summary]) {
    section(m, "The numbers");
    let blocks = blocks(results, summaries);
    blocks.iter().for_each(|block| median_table(m, block));
    let marked = blocks.iter().flat_map(|block| &block.columns).any(|column| column.cells.iter().any(|cell| cell.best));
    let legend = marked.then(|| "Bold with a triangle: the best median of its column.".to_string());
    let ranges = (results.settings.seeds.len() > 1).then(|| "Below in small: smallest and largest.".to_string());
    let notes: Vec<String> = legend.into_iter().chain(footnotes(results, summaries)).chain(ranges).collect();
    m.open("p").attr("class", "quiet").text(notes.join(" ")).close().close();
}

fn median_table(m: &mut Markup, block: &Block) {
    m.open("div").attr("class", "scroll").open("table").attr("class", "medians").open("thead").open("tr");
    m.open("th").attr("scope", "col").attr("rowspan", 2).text(block.title).close();
    let mut start = 0;
    while start < block.columns.len() {
        let group = &block.columns[start].group;
        let count = block.columns[start..].iter().take_while(|column| column.group == *group).count();
        m.open("th")
            .attr("scope", "colgroup")
            .attr("colspan", count)
            .attr("class", "group")
            .text(capitalized(group))
            .close();
        start += count;
    }
    m.close().open("tr");
    for (column, first) in block.columns.iter().zip(firsts(block)) {
        m.open("th").attr("scope", "col").attr("class", class(first, "")).text(column.title.replace('\n', " ")).close();
    }
    m.close().close().open("tbody");
    for (i, label) in block.rows.iter().enumerate() {
        m.open("tr");
        if label.series.is_none() {
            m.attr("class", "quiet");
        }
        m.open("th").attr("scope", "row");
        if let Some(index) = label.series {
            m.raw(&legend_sample(index));
        }
        m.text(&label.text).close();
        for (column, first) in block.columns.iter().zip(firsts(block)) {
            median_cell(m, &column.cells[i], first);
        }
        m.close();
    }
    m.close().close().close();
}

/// Which columns start a group.
fn firsts(block: &Block) -> impl Iterator<Item = bool> {
    (0..block.columns.len()).map(|i| i == 0 || block.columns[i].group != block.columns[i - 1].group)
}

fn class(first: bool, more: &str) -> String {
    format!("{} {more}", if first { "first" } else { "" }).trim().into()
}

fn median_cell(m: &mut Markup, cell: &Cell, first: bool) {
    m.open("td").attr("class", class(first, if cell.best { "best" } else { "" }));
    m.text(if cell.text.is_empty() { "\u{2013}" } else { &cell.text });
    if let Some(range) = &cell.range {
        m.element("small", range.replace(" to ", "\u{2013}"));
    }
    m.close();
}

/// The medians of the plots over time, for those who prefer numbers.
pub(super) fn segments(m: &mut Markup, results: &Results) {
    let mut keys: Vec<(u64, &str)> =
        results.runs.iter().flat_map(|run| &run.segments).map(|s| (s.first_row, s.label.as_str())).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return;
    }
    let (loss, score) = (&results.metrics.loss.name, &results.metrics.score.name);
    let segment = &results.data.segment;
    let heads = ["Way", "Tested", segment, "Rows", loss, score].map(capitalized);
    let mut rows = Vec::new();
    for strategy in &results.strategies {
        for (state, name) in [(ModelState::Prequential, "prequential"), (ModelState::HeldOut, "held out")] {
            for &(first_row, label) in &keys {
                let found = || {
                    let all = results.runs_of(&strategy.name).flat_map(|run| &run.segments);
                    all.filter(move |s| s.state == state && s.first_row == first_row && s.label == label)
                };
                let Some(first) = found().next() else { continue };
                let median = |spread: Option<Spread>| spread.map_or_else(|| "-".into(), |s| decimal(s.median));
                let values = [Spread::of(found().map(|s| s.loss)), Spread::of(found().map(|s| s.score))].map(median);
                let [loss, score] = values;
                let texts = [name.to_string(), label.to_string(), exact(first.rows), loss, score];
                rows.push((strategy.label.as_str(), texts.to_vec()));
            }
        }
    }
    details(m, &format!("Medians by {segment}"), &heads, &rows);
}

/// The raw numbers of every run.
pub(super) fn runs(m: &mut Markup, results: &Results) {
    let (loss, score) = (&results.metrics.loss.name, &results.metrics.score.name);
    let heads = [
        "Way".to_string(),
        "Seed".into(),
        "Threads".into(),
        format!("Held-out {loss}"),
        format!("Held-out {score}"),
        format!("Prequential {loss}"),
        format!("Prequential {score}"),
        "Prequential rows".into(),
        "Rows trained".into(),
        "Steps".into(),
        "Training s".into(),
        "Waited for data s".into(),
        "Total s".into(),
        "Rows/s".into(),
        "Peak memory".into(),
        "Rows to target".into(),
        "Steps to target".into(),
        "Seconds to target".into(),
        "Note".into(),
    ];
    let rows: Vec<_> = results.runs.iter().map(|run| (results.label(&run.strategy), run_texts(run))).collect();
    details(m, "Raw numbers of every run", &heads, &rows);
}

fn run_texts(run: &Run) -> Vec<String> {
    let raw = |value: f64, digits: usize| {
        if value.is_finite() { format!("{value:.digits$}") } else { "not finite".into() }
    };
    let none = || "\u{2013}".to_string();
    let prequential = run.prequential.as_ref();
    let target = run.to_target.as_ref();
    vec![
        run.seed.to_string(),
        run.threads.to_string(),
        raw(run.held_out.loss, 6),
        raw(run.held_out.score, 6),
        prequential.map_or_else(none, |p| raw(p.loss, 6)),
        prequential.map_or_else(none, |p| raw(p.score, 6)),
        prequential.map_or_else(none, |p| exact(p.rows)),
        exact(run.rows_trained),
        exact(run.steps),
        raw(run.training_seconds, 3),
        raw(run.waiting_seconds, 3),
        raw(run.total_seconds, 3),
        raw(run.rows_per_second, 0),
        run.peak_memory_bytes.map_or_else(none, |b| bytes(b as f64)),
        target.map_or_else(none, |t| exact(t.rows)),
        target.map_or_else(none, |t| exact(t.steps)),
        target.map_or_else(none, |t| raw(t.seconds, 3)),
        run.note.clone().unwrap_or_default(),
    ]
}

/// How memory was planned for reading.
pub(super) fn memory(m: &mut Markup, results: &Results) {
    let heads = ["Way", "Stage", "Plan", "At most"].map(String::from);
    let mut rows = Vec::new();
    for strategy in &results.strategies {
        let plan = results.runs_of(&strategy.name).map(|run| &run.memory_plan).next();
        for stage in plan.into_iter().flatten() {
            let texts = vec![stage.stage.clone(), stage.detail.clone(), bytes(stage.bytes as f64)];
            rows.push((strategy.label.as_str(), texts));
        }
    }
    details(m, "Memory planned for reading", &heads, &rows);
}

/// A table that opens on request.
fn details(m: &mut Markup, title: &str, heads: &[String], rows: &[(&str, Vec<String>)]) {
    if rows.is_empty() {
        return;
    }
    m.open("details").element("summary", title);
    m.open("div").attr("class", "scroll").open("table").attr("class", "raw").open("thead").open("tr");
    heads.iter().for_each(|head| {
        m.open("th").attr("scope", "col").text(head).close();
    });
    m.close().close().open("tbody");
    for (label, texts) in rows {
        m.open("tr").open("th").attr("scope", "row").text(label).close();
        texts.iter().for_each(|text| {
            m.element("td", text);
        });
        m.close();
    }
    m.close().close().close().close();
}
