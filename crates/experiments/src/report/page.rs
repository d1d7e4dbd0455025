use super::{figures, tables};
use crate::format::{bytes, capitalized, duration, exact, number};
use crate::markup::Markup;
use crate::plot::legend_sample;
use crate::results::Results;
use crate::summary::summarize;
use crate::verdict::{Verdict, verdict};

/// Nothing may be fetched or run, whatever the page says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn page(results: &Results) -> String {
    let summaries = summarize(results);
    document(&results.title, |m| {
        heading(m, results);
        compared(m, results);
        said(m, results, &verdict(results));
        tables::medians(m, results, &summaries);
        figures::figures(m, results, &summaries);
        measured(m, results);
        settings(m, results);
        tables::segments(m, results);
        tables::runs(m, results);
        tables::memory(m, results);
    })
}

/// A whole page around what `body` writes.
pub(crate) fn document(title: &str, body: impl FnOnce(&mut Markup)) -> String {
    let mut m = Markup::default();
    m.open("html").attr("lang", "en");
    head(&mut m, title);
    m.open("body").open("main");
    body(&mut m);
    m.close().close().close();
    format!("<!DOCTYPE html>\n{}\n", m.finish())
}

fn head(m: &mut Markup, title: &str) {
    m.open("head");
    m.raw("<meta charset=\"utf-8\">\n");
    m.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    m.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    m.raw(&format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n"));
    m.element("title", title);
    m.open("style").raw(include_str!("style.css")).close();
    m.close();
}

fn heading(m: &mut Markup, results: &Results) {
    m.open("header");
    m.element("h1", &results.title);
    let took =
        if results.seconds.is_finite() { format!(", {} in all", duration(results.seconds)) } else { String::new() };
    m.open("p")
        .attr("class", "quiet")
        .text(format!("{}. Run on {}{took}.", results.data.name, results.started))
        .close();
    if let Some(notice) = &results.notice {
        m.open("p").attr("class", "notice").attr("role", "note").text(notice).close();
    }
    m.close();
}

fn compared(m: &mut Markup, results: &Results) {
    let (data, task, settings) = (&results.data, &results.task, &results.settings);
    section(m, "What was compared");
    let ways = results.strategies.len();
    let each = match settings.seeds.len() {
        1 => "with one seed".to_string(),
        n => format!("with {} seeds each", number(n)),
    };
    let in_ways = if ways == 1 { "in one way".to_string() } else { format!("in {} ways", number(ways)) };
    m.element(
        "p",
        format!(
            "The same model ({}) learns to predict {} from {} features, trained {in_ways} {each}. \
             The data are {} rows in time order: the first {} are for training, the last {} are held out \
             and never trained on.",
            settings.model,
            task.description,
            exact(data.features),
            exact(data.rows),
            exact(data.training_rows),
            exact(data.held_out_rows),
        ),
    );
    m.open("dl").attr("class", "ways");
    for (index, strategy) in results.strategies.iter().enumerate() {
        m.open("dt").raw(&legend_sample(index)).text(&strategy.label).close();
        m.element("dd", &strategy.description);
    }
    m.close().close();
}

fn said(m: &mut Markup, results: &Results, verdict: &Verdict) {
    m.open("section").attr("class", "verdict");
    m.element("h2", "Verdict");
    m.open("p").attr("class", "headline").text(&verdict.headline).close();
    list(m, "findings", verdict.findings.iter());
    let shown_above = |caveat: &&String| Some(*caveat) != results.notice.as_ref();
    list(m, "caveats", verdict.caveats.iter().filter(shown_above));
    m.close();
}

fn measured(m: &mut Markup, results: &Results) {
    let loss = &results.metrics.loss.name;
    section(m, "How it was measured");
    let mut points = vec![
        "Held out: values on the rows at the end of the stream, by models that were never trained on them.".to_string(),
        "Prequential: each row is predicted before it is trained on, so no prediction is of a row already seen. \
         It tells how well the model would have served while it learnt."
            .into(),
        "Rows trained count a row every time it is trained on: several epochs, a warm start and every retraining \
         included. Training time leaves evaluation out."
            .into(),
        "Every run is a process of its own, so that its peak memory is its own. It is the most that the process held."
            .into(),
        "Two ways are called equal when their ranges over the seeds, smallest to largest, overlap. Bands in the plots \
         and whiskers on the bars are these ranges; lines, bars and tables show medians."
            .into(),
    ];
    if let Some(target) = results.metrics.target_text() {
        points
            .push(format!("The target is a {loss} of {target} on the held-out rows, as first seen at an evaluation."));
    }
    points.extend(results.notes.iter().cloned());
    list(m, "", points.iter());
    m.close();
}

fn settings(m: &mut Markup, results: &Results) {
    let (settings, data, machine) = (&results.settings, &results.data, &results.machine);
    let seeds: Vec<String> = settings.seeds.iter().map(u64::to_string).collect();
    let parameters = settings.parameters.map(|p| format!(", {} parameters", exact(p))).unwrap_or_default();
    let mut rows = vec![
        ("Model", format!("{}{parameters}", settings.model)),
        ("Optimizer", settings.optimizer.clone()),
        ("Rows in a step", exact(settings.batch_size)),
        ("Epochs, where there are several", exact(settings.epochs)),
        ("Seeds", seeds.join(", ")),
        ("Quick trial", if settings.quick { "yes" } else { "no" }.into()),
    ];
    rows.extend(settings.more.iter().map(|setting| (setting.name.as_str(), setting.value.clone())));
    rows.push(("Target column", results.task.target.clone()));
    rows.push(("Data from", data.source.clone()));
    let memory = machine.memory_bytes.map(|b| format!(", {} memory", bytes(b as f64))).unwrap_or_default();
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    rows.push(("Machine", format!("{}, {} {cores}{memory}", machine.cpu, exact(machine.cores))));
    rows.push(("Operating system", machine.os.clone()));

    section(m, "Settings and machine");
    m.open("div").attr("class", "scroll").open("table").attr("class", "settings").open("tbody");
    for (name, value) in rows {
        m.open("tr").open("th").attr("scope", "row").text(capitalized(name)).close().element("td", value).close();
    }
    m.close().close().close().close();
}

/// Opens a section with its heading.
pub(crate) fn section(m: &mut Markup, title: &str) {
    m.open("section").element("h2", title);
}

/// A list, where there is anything in it.
pub(crate) fn list<'a>(m: &mut Markup, class: &str, items: impl Iterator<Item = &'a String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    m.open("ul");
    if !class.is_empty() {
        m.attr("class", class);
    }
    items.for_each(|item| {
        m.element("li", item);
    });
    m.close();
}
