//! What a run spends its time on is written down as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tidemill_data::SourceExt;
use tidemill_strategies::{Activity, Batch, DataParallel, Distributed, Online, Serial, Timeline, on_event};

use crate::model::{bits, metrics, rows, trainer};
use crate::ranks::{large, serial, world};

/// The lines of a trace, which needs no end.
fn events(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let closed = format!("{}]", text.trim_end().trim_end_matches(','));
    serde_json::from_str(&closed).unwrap()
}

#[test]
fn each_rank_writes_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = |rank: usize| folder.path().join(format!("{rank}.json"));
    let online = Online::new().batch_size(10);
    let states = world(2, |rank| {
        let number = tidemill_collective::Collective::rank(&rank);
        let timeline = Timeline::to_file(path(number)).unwrap();
        let trainer = large().engine(Distributed::new(rank, Serial)).timeline(timeline.clone());
        let mut state = trainer.start_with(7, metrics());
        let mut slow = on_event(|_, _| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        });
        let mut source = rows(100).shard(number as u64, 2).unwrap();
        trainer.run(&online, &mut state, &mut source, &mut slow).unwrap();
        let line = timeline.to_string();
        assert!(line.contains("backward") && line.ends_with("MB sent"), "{line}");
        (state, timeline)
    });
    for (rank, (state, timeline)) in states.iter().enumerate() {
        assert_eq!(bits(state), bits(&states[0].0));
        let mut counts = BTreeMap::new();
        let mut last_end = BTreeMap::new();
        let events = events(&path(rank));
        assert_eq!(events[0]["name"], "process_name");
        for event in &events[1..] {
            let name = event["name"].as_str().unwrap();
            assert_eq!((event["ph"].as_str(), event["pid"].as_u64()), (Some("X"), Some(rank as u64)), "{event}");
            *counts.entry(name).or_insert(0) += 1;
            // Spans come as they end, so one that began before the last ended holds it.
            let (start, took) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            let (thread, end) = (event["tid"].as_u64().unwrap(), start + took);
            let before = last_end.insert(thread, end).unwrap_or(f64::NEG_INFINITY);
            assert!(end >= before - 1.0, "{event} ends before {before}");
        }
        let steps = state.step as usize;
        assert_eq!(steps, 5);
        // And a round that finds that no rank has rows left.
        assert_eq!(counts["forward"], steps + 1, "{counts:?}");
        assert_eq!(counts["backward"], steps + 1, "{counts:?}");
        assert_eq!(counts["update"], steps, "{counts:?}");
        // Gradients are summed and parameters gathered.
        assert_eq!(counts["sum"], 2 * steps, "{counts:?}");
        assert!(counts["wait for ranks"] >= steps && counts["read"] > steps, "{counts:?}");
        assert!(timeline.total(Activity::Callbacks) >= Duration::from_millis(steps as u64));
        let sum: Duration = Activity::ALL.iter().map(|&activity| timeline.total(activity)).sum();
        assert!(sum <= timeline.whole(), "{sum:?} of {:?}", timeline.whole());
    }
}

#[test]
fn threads_are_told_apart_and_time_is_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads.json");
    let timeline = Timeline::to_file(&path).unwrap();
    let trainer = trainer::<f64>(0.0).engine(DataParallel::new(3)).timeline(timeline.clone());
    let mut state = trainer.start_with(7, metrics());
    trainer.run(&Batch::new(1), &mut state, &mut rows(3000), &mut ()).unwrap();
    let threads: std::collections::BTreeSet<_> = events(&path)
        .iter()
        .filter(|event| event["name"] == "backward")
        .map(|event| event["tid"].as_u64().unwrap())
        .collect();
    assert_eq!(threads.len(), 3);
    assert!(timeline.total(Activity::Backward) <= timeline.whole());
}

#[test]
fn a_timeline_changes_nothing() {
    let trainer_of = || trainer(0.3);
    let want = serial(trainer_of(), &Batch::new(2), rows(101));
    let got = serial(trainer_of().timeline(Timeline::new()), &Batch::new(2), rows(101));
    assert_eq!(bits(&got), bits(&want));
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let error = Timeline::to_file("/no/such/folder/trace.json").unwrap_err().to_string();
    assert!(error.contains("/no/such/folder/trace.json"), "{error}");
}
