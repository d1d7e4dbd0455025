use super::link::Link;
use super::rank::Found;
use super::results::{Results, Task};
use super::table::{COLUMNS, failures, findings, lines};
use crate::format::{bytes, duration, exact, seconds};
use crate::markup::Markup;
use crate::plot::{
    Bar, BarPlot, Kind, LinePlot, Mark, Reference, Series, Shown, Size, Stroke, Ticks, XAxis, legend_sample,
};
use crate::report::{document, list, section};
use crate::summary::{Spread, band};

/// The report as the text of one self-contained HTML file.
pub(super) fn html(results: &Results) -> String {
    document("Processes, threads or ranks?", |m| {
        heading(m, results);
        ways(m, results);
        m.open("section").attr("class", "verdict").element("h2", "What came of it");
        list(m, "findings", findings(results).iter());
        let caveats: Vec<String> = results
            .left_out
            .iter()
            .map(|(link, why)| format!("{} could not be made, and is left out: {why}.", link.label()))
            .chain(failures(results).map(|(_, why)| format!("A run failed. {why}")))
            .collect();
        list(m, "caveats", caveats.iter());
        m.close();
        results.tasks.iter().for_each(|task| of_task(m, results, task));
        measured(m, results);
        machine(m, results);
    })
}

fn heading(m: &mut Markup, results: &Results) {
    m.open("header").element("h1", "Processes, threads or ranks?");
    let took = duration(results.seconds);
    m.open("p").attr("class", "quiet").text(format!("Run on {}, {took} in all.", results.started)).close();
    if results.quick {
        m.open("p").attr("class", "notice").attr("role", "note");
        m.text("A short trial, to see that everything works. Its numbers say little.").close();
    }
    m.close();
}

fn ways(m: &mut Markup, results: &Results) {
    section(m, "What was compared");
    let tasks: Vec<String> = results
        .tasks
        .iter()
        .map(|task| {
            format!(
                "{}: {}, {} parameters, {} rows a step, {} rows an epoch.",
                task.title,
                task.model,
                exact(task.parameters),
                exact(task.batch_size as u64),
                exact(task.rows)
            )
        })
        .collect();
    m.element(
        "p",
        "The same model, rows, optimizer and number of rows a step, spread over processors in several ways.",
    );
    list(m, "", tasks.iter());
    m.open("dl").attr("class", "ways");
    for (index, way) in results.ways.iter().enumerate() {
        m.open("dt").raw(&legend_sample(index)).text(&way.label).close();
        m.element("dd", &way.description);
    }
    m.close().close();
}

fn of_task(m: &mut Markup, results: &Results, task: &Task) {
    section(m, &task.title);
    m.open("div").attr("class", "scroll").open("table").attr("class", "raw").open("thead").open("tr");
    m.element("th", "");
    COLUMNS.iter().for_each(|column| {
        m.open("th").attr("scope", "col").text(column).close();
    });
    m.close().close().open("tbody");
    for line in lines(results, task) {
        m.open("tr").open("th").attr("scope", "row").raw(&legend_sample(line.index)).text(line.label()).close();
        line.cells().iter().for_each(|cell| {
            m.element("td", cell);
        });
        m.close();
    }
    m.close().close().close();
    let sum = "Efficiency: rows a second, by those of one thread and the number of workers. Expected: by the formula below. Sums, \
               waiting: the share of rank 0's time that it adds gradients up, or waits for the slowest rank.";
    m.open("p").attr("class", "quiet").text(sum).close();

    let links = results.links();
    m.open("figure").element("h3", format!("Time to a held-out loss of {}", task.target_loss));
    m.open("div").attr("class", "panels");
    for &link in &links {
        m.raw(&bars(results, task, link).svg());
    }
    m.close().element("figcaption", "The shorter the better; no bar: not reached in the time of a run.").close();
    for link in links {
        let plot = learning(results, task, link);
        if !plot.is_empty() {
            m.open("figure").element("h3", format!("Held-out loss over time, {}", link.label()));
            m.raw(&plot.svg(Size::Wide)).raw(&plot.svg(Size::Narrow)).close();
        }
    }
    m.close();
}

fn bars(results: &Results, task: &Task, link: Link) -> BarPlot {
    let bar = |(style, way): (usize, &super::Way)| {
        let times = results.of(&task.name, way, link).filter_map(|found| Some(found.to_target.as_ref()?.seconds));
        Bar { style, label: way.label.clone(), spread: Spread::of(times) }
    };
    BarPlot {
        description: format!("time to the target loss of each way, {}", link.label()),
        title: link.label(),
        bars: results.ways.iter().enumerate().map(bar).collect(),
        text: seconds,
    }
}

fn learning(results: &Results, task: &Task, link: Link) -> LinePlot {
    let series = |(style, way): (usize, &super::Way)| {
        let curve =
            |found: &Found| found.curve.iter().map(|point| (1e3 * point.seconds, point.loss)).collect::<Vec<_>>();
        let curves: Vec<_> = results.of(&task.name, way, link).map(curve).collect();
        let mark =
            |point: crate::summary::BandPoint| Mark { x: point.x, spread: point.spread, name: seconds(point.x / 1e3) };
        let marks = band(&curves).into_iter().filter(|point| point.x > 0.0).map(mark).collect();
        Series { style, label: way.label.clone(), strokes: vec![Stroke { hollow: false, marks }] }
    };
    let target = Reference { y: task.target_loss, label: format!("target {}", task.target_loss), shown: Shown::Always };
    LinePlot {
        id: format!("{}-{}", task.name, link.name()),
        description: format!("held-out loss of each way against seconds of training, {}", link.label()),
        x: XAxis { title: "Milliseconds of training, logarithmic".into(), kind: Kind::Log, ticks: Ticks::Counts },
        y_title: "Held-out log loss, lower is better".into(),
        limits: (f64::NEG_INFINITY, f64::INFINITY),
        series: results.ways.iter().enumerate().map(series).collect(),
        boundary: None,
        references: vec![target],
    }
}

fn measured(m: &mut Markup, results: &Results) {
    section(m, "How it was measured");
    let seeds = results.seeds.len();
    let points = [
        "Each run is a job of its own. Its time is that of the steps, as rank 0 sees it; looks at the held-out rows are \
         left out, and so is the start of processes."
            .to_owned(),
        format!("Numbers are medians over {}; a run ends when it has reached the target.", match seeds {
            1 => "one seed: of one run".to_owned(),
            n => format!("{n} seeds"),
        }),
        "Ranks over a link run on hosts that are network namespaces of one machine, joined by a virtual cable whose rate \
         a token bucket limits (tbf, both ways). Waiting ranks yield the processor. All share this machine's processors."
            .to_owned(),
        "Sent: bytes that rank 0 sends to others, by the number of steps.".to_owned(),
        "Expected efficiency is t / (n (t / n + bytes / rate)), with t the time of a step of one thread, n the ranks, and \
         the bytes that a rank sends in a step: of a sum 2 (n \u{2212} 1) / n of the gradient, of what is compressed n \
         \u{2212} 1 times the message. It knows no latency and no overhead."
            .to_owned(),
    ];
    list(m, "", points.iter());
    m.close();
}

fn machine(m: &mut Markup, results: &Results) {
    let machine = &results.machine;
    let memory = machine.memory_bytes.map_or_else(String::new, |size| format!(", {} of memory", bytes(size as f64)));
    section(m, "Machine");
    m.element("p", format!("{}, {} cores{memory}, {}.", machine.cpu, exact(machine.cores), machine.os)).close();
}
