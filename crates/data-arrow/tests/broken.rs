//! Broken texts, files and streams give an error or rows: never a panic or an abort, and never more memory than was
//! allowed. Each test reads them in a process of its own, which may die alone.

#[path = "../../data-parquet/tests/counting/mod.rs"]
mod counting;
mod hostile;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field};
use counting::{LIVE, PEAK};
use hostile::{Batch as Message, END, big_endian_schema, folded_schema, framed, remarked_schema, schema, tensor};
use tidemill_data::{Batch, Error, Source};
use tidemill_data_arrow::{As, CsvBuilder, IpcBuilder, ListAs, NullItems};

const CHILD: &str = "TIDEMILL_BROKEN_CHILD";

/// Bytes that reading may take.
const BUDGET: u64 = 256 << 10;

/// For what does not depend on the data: thread, names, messages.
const SLACK: u64 = 64 << 10;

/// Where it is said in the process of its own; otherwise starts that one, in which addresses and processor time end
/// early, and gives how many it has read.
fn in_a_process_of_its_own(test: &str, read: fn() -> usize) {
    if std::env::var_os(CHILD).is_some() {
        watch_panics();
        println!("\nread {}", read());
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let mut child = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        // Threads reserve far more than they use.
        shell.args(["-c", r#"ulimit -v 1000000; ulimit -t 60; exec "$@""#, "sh"]).arg(binary);
        shell
    } else {
        Command::new(binary)
    };
    let output = child.args(["--exact", test, "--nocapture"]).env(CHILD, "yes").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let tail: Vec<&str> = text.lines().rev().take(5).collect();
    assert!(output.status.success(), "{tail:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let read = text.lines().find_map(|line| line.strip_prefix("read ")).map(|count| count.parse::<usize>());
    assert!(matches!(read, Some(Ok(1..))), "nothing was read: {tail:?}");
}

/// The decoder's own panics are caught and become errors; those of this project's code end the process even there.
fn watch_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let own = info.location().is_some_and(|place| !place.file().contains("/registry/src/"));
        if own {
            before(info);
            std::process::abort();
        }
    }));
}

/// All rows, within the budget.
fn rows<S: Source<f32>>(build: impl FnOnce() -> Result<S, Error>) -> Result<usize, String> {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let read = || {
        let mut source = build()?;
        let mut batch = Batch::new(Arc::clone(source.schema()));
        let (mut rows, mut largest) = (0, 0);
        loop {
            batch.clear();
            match source.fill(&mut batch, 8) {
                Ok(0) => return Ok((rows, largest)),
                Ok(more) => rows += more,
                Err(error) => return Err(error),
            }
            // The source has rows of its own before it gives them.
            largest = largest.max(3 * batch.bytes());
        }
    };
    let read = read();
    let (largest, outcome) = match read {
        Ok((rows, largest)) => (largest, Ok(rows)),
        Err(error) => (0, Err(error.to_string())),
    };
    let peak = (PEAK.load(Ordering::Relaxed) - before).saturating_sub(largest) as u64;
    assert!(peak <= BUDGET + SLACK, "{peak} bytes at the peak: {outcome:?}");
    outcome
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

const COLUMNS: [&str; 6] = ["x", "single", "count", "gear", "name", "flag"];

fn ipc(builder: IpcBuilder) -> Result<usize, String> {
    rows(|| builder.columns(COLUMNS).budget(BUDGET).build())
}

fn csv(builder: CsvBuilder) -> Result<usize, String> {
    rows(|| builder.columns(COLUMNS).budget(BUDGET).build())
}

fn reader(bytes: &[u8]) -> io::Cursor<Vec<u8>> {
    io::Cursor::new(bytes.to_vec())
}

/// The patterns by which types are told are made once in a process, and are in nobody's budget.
fn warm() {
    CsvBuilder::reader("one row", &b"a\n1\n"[..]).columns(["a"]).build::<f32>().unwrap();
}

const STREAMS: [&str; 4] = ["rows.arrows", "lz4.arrows", "legacy.arrows", "polars.arrows"];
const FILES: [&str; 3] = ["rows.arrow", "zstd.arrow", "polars.arrow"];

struct Temporary(tempfile::TempDir);

impl Temporary {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("broken");
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn what_is_cut_off_is_an_error() {
    in_a_process_of_its_own("what_is_cut_off_is_an_error", || {
        let (folder, mut read) = (Temporary::new(), 0);
        for name in STREAMS.into_iter().chain(FILES) {
            let whole = fixture(name);
            assert_eq!(ipc(IpcBuilder::file(folder.put(&whole))), Ok(50), "{name}");
            // One of each kind is cut at every byte.
            let every = if name.starts_with("rows") { 1 } else { 5 };
            for length in (0..whole.len()).step_by(every) {
                let path = folder.put(&whole[..length]);
                let error = ipc(IpcBuilder::file(&path)).expect_err(&format!("{name} of {length} bytes"));
                assert!(error.starts_with(&*path.to_string_lossy()), "{name} of {length} bytes: {error}");
                let error = ipc(IpcBuilder::reader("pipe", reader(&whole[..length]))).unwrap_err();
                assert!(error.starts_with("pipe, record batch "), "{name} of {length} bytes: {error}");
                read += 2;
            }
        }
        read
    });
}

#[test]
fn what_is_cut_off_of_a_text_is_an_error_or_its_beginning() {
    in_a_process_of_its_own("what_is_cut_off_of_a_text_is_an_error_or_its_beginning", || {
        warm();
        let whole = fixture("rows.csv");
        assert_eq!(csv(CsvBuilder::reader("pipe", reader(&whole))), Ok(50));
        for length in 0..whole.len() {
            match csv(CsvBuilder::reader("pipe", reader(&whole[..length]))) {
                Ok(rows) => assert!(rows <= 50, "{length} bytes"),
                Err(error) => assert!(error.starts_with("pipe"), "{length} bytes: {error}"),
            }
        }
        whole.len()
    });
}

#[test]
fn what_is_changed_is_an_error_or_rows() {
    in_a_process_of_its_own("what_is_changed_is_an_error_or_rows", || {
        warm();
        let (folder, mut read) = (Temporary::new(), 0);
        for name in STREAMS.into_iter().chain(FILES).chain(["rows.csv"]) {
            let whole = fixture(name);
            let every = if name.starts_with("rows") { 1 } else { 3 };
            for at in (0..whole.len()).step_by(every) {
                let mut changed = whole.clone();
                changed[at] ^= if at % 3 == 0 { 0xff } else { 1 << (at % 8) };
                let path = folder.put(&changed);
                let outcome =
                    if name == "rows.csv" { csv(CsvBuilder::file(&path)) } else { ipc(IpcBuilder::file(&path)) };
                if let Err(error) = outcome {
                    // A column that has another name now is missing in that file.
                    assert!(error.starts_with(&*path.to_string_lossy()), "{name} at {at}: {error}");
                }
                read += 1;
            }
        }
        read
    });
}

#[test]
fn hostile_streams_are_refused() {
    in_a_process_of_its_own("hostile_streams_are_refused", || {
        let mut read = 0;
        let mut check = |what: &str, columns: fn(IpcBuilder) -> IpcBuilder, messages: &[&[u8]], expected: &str| {
            let bytes = [messages.concat(), END.to_vec()].concat();
            let builder = columns(IpcBuilder::reader("pipe", reader(&bytes)));
            // Rows that a stream keeps for going back are not the decoder's.
            let outcome = rows(|| Ok(builder.budget(BUDGET).build::<f32>()?.keep(0)));
            println!("{what}: {outcome:?}");
            match outcome {
                // Whatever such a thing means.
                Ok(_) if expected == "rows or an error" => {}
                Err(error) if expected == "rows or an error" => assert!(error.starts_with("pipe"), "{what}: {error}"),
                Ok(rows) => assert_eq!(format!("{rows} rows"), expected, "{what}"),
                Err(error) => {
                    assert!(error.starts_with("pipe") && error.contains(expected), "{what}: {error}");
                }
            }
            read += 1;
        };
        lengths(&mut check);
        types(&mut check);
        dictionaries(&mut check);
        compressed(&mut check);
        schemas(&mut check);
        read
    });
}

type Check<'a> = &'a mut dyn FnMut(&str, fn(IpcBuilder) -> IpcBuilder, &[&[u8]], &str);

fn x(builder: IpcBuilder) -> IpcBuilder {
    builder.columns(["x"])
}

fn join(builder: IpcBuilder) -> IpcBuilder {
    builder.feature_as("x", ListAs::FirstText)
}

fn lengths(check: Check) {
    let table = schema(&[("x", DataType::Int64)]);
    let numbers = Message::new(3, &[&[], &[0; 24]]);
    check("three rows", x, &[&table, &numbers.message()], "3 rows");
    for size in [0x7fff_ffff_u32, 0xffff_fff0, 1 << 17] {
        let head = [&[0xff; 4][..], &size.to_le_bytes()].concat();
        check("metadata", x, &[&table, &head], &format!("metadata of {size} bytes, at most 65536 are allowed"));
    }
    for length in [-1, i64::MIN, i64::MAX, 1 << 17] {
        let message = numbers.with(|batch| batch.body_length = Some(length)).message();
        check("a body", x, &[&table, &message], &format!("a message of {length} bytes, at most 65536 are allowed"));
    }
    for (offset, length) in [(0, 25), (25, 0), (-8, 8), (0, -1), (8, i64::MAX), (i64::MAX, i64::MAX), (i64::MIN, 0)] {
        let message = numbers.with(|batch| batch.buffers[1] = (offset, length)).message();
        check("a buffer", x, &[&table, &message], "record batch 0: a buffer lies outside of its message");
    }
    for rows in [-1, i64::MIN, i64::MAX, 1 << 40] {
        let message = numbers.with(|batch| batch.rows = rows).message();
        check("rows", x, &[&table, &message], &format!("a record batch of {rows} rows"));
    }
    for node in [(-1, 0), (i64::MAX, 0), (3, -1), (3, 4), (i64::MIN, i64::MIN)] {
        let message = numbers.with(|batch| batch.nodes[0] = node).message();
        check("a column", x, &[&table, &message], &format!("a column of {} values and {} nulls", node.0, node.1));
    }
    check("more rows than values", x, &[&table, &numbers.with(|batch| batch.rows = 4).message()], "record batch 0: ");
    check("short values", x, &[&table, &numbers.with(|batch| batch.nodes[0] = (4, 0)).message()], "record batch 0: ");
    check("no columns", x, &[&table, &numbers.with(|batch| batch.nodes.clear()).message()], "record batch 0: ");
    check("no buffers", x, &[&table, &numbers.with(|batch| batch.buffers.clear()).message()], "record batch 0: ");
    let unsaid = numbers.with(|batch| batch.nodes[0] = (3, 2)).message();
    check("nulls that are not there", x, &[&table, &unsaid], "record batch 0: ");
    check("rows before a schema", x, &[&numbers.message()], "it does not begin with a schema");
    check("two schemas", x, &[&table, &numbers.message(), &table], "record batch 1: a second schema");
    check("a tensor", x, &[&table, &tensor()], "record batch 0: ");
    check("noise", x, &[&table, &framed(&[7; 64], &[])], "record batch 0: its metadata is broken");
}

fn types(check: Check) {
    let item = |kind| Arc::new(Field::new("item", kind, true));
    let offsets = |values: &[i32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let table = schema(&[("x", DataType::Utf8)]);
    let texts = |places: &[i32], bytes: &[u8]| Message::new(2, &[&[], &offsets(places), bytes]).message();
    check("texts", x, &[&table, &texts(&[0, 1, 3], b"abc")], "2 rows");
    for (places, bytes) in [
        ([0, 1, 4], b"abc"),
        ([0, 3, 1], b"abc"),
        ([-1, 1, 3], b"abc"),
        ([0, i32::MAX, i32::MAX], b"abc"),
        ([0, 1, 3], b"a\xffc"),
        ([0, 1, 3], b"\xc3\xa9c"),
    ] {
        check("broken texts", x, &[&table, &texts(&places, bytes)], "record batch 0: ");
    }
    let view = schema(&[("x", DataType::Utf8View)]);
    let place = |length: u32, buffer: u32, offset: u32| {
        [&length.to_le_bytes()[..], b"aaaa", &buffer.to_le_bytes(), &offset.to_le_bytes()].concat()
    };
    let views = |views: &[u8], counts: &[i64]| {
        let text = [b'a'; 64];
        let rows = views.len() as i64 / 16;
        Message::new(rows, &[&[], views, &text]).with(|batch| batch.variadic = Some(counts.to_vec())).message()
    };
    check("views", x, &[&view, &views(&place(20, 0, 3), &[1])], "1 rows");
    for (broken, counts) in [
        (place(65, 0, 0), &[1][..]),
        (place(20, 1, 0), &[1]),
        (place(20, 0, u32::MAX), &[1]),
        (place(u32::MAX, 0, 0), &[1]),
        (place(20, 0, 0), &[-1]),
        (place(20, 0, 0), &[i64::MAX]),
        (place(20, 0, 0), &[]),
        (place(20, 0, 0), &[1, 1]),
    ] {
        check("broken views", x, &[&view, &views(&broken, counts)], "record batch 0: ");
    }
    // Many rows may be the same long text.
    let same = place(30_000, 0, 0).repeat(100);
    let long = Message::new(100, &[&[], &same, &[b'a'; 30_000]]).with(|batch| batch.variadic = Some(vec![1])).message();
    check("one text in many views", x, &[&view, &long], "100 rows");

    let same = place(30_000, 0, 0).repeat(2000);
    let heavy = Message::new(2000, &[&[], &same, &[b'a'; 30_000]]).with(|batch| batch.variadic = Some(vec![1]));
    let refused = "texts of 60000000 bytes, at most 4194304 are allowed";
    check("one text in too many views", x, &[&view, &heavy.message()], refused);
    let coded = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View));
    let coded = schema(&[("x", coded)]);
    check("one text in too many views of a dictionary", x, &[&coded, &heavy.dictionary(0, false)], refused);
    let lists = schema(&[("x", DataType::List(item(DataType::Utf8View)))]);
    let heavy = heavy.with(|batch| {
        batch.nodes.insert(0, (0, 0));
        batch.rows = 0;
        batch.buffers.splice(0..0, [(0, 0), (0, 0)]);
    });
    check("one text in too many views of lists", join, &[&lists, &heavy.message()], refused);

    // Nothing takes no bytes, however much of it there is.
    let nothing = Message::new(1 << 16, &[]);
    let null = schema(&[("x", DataType::Null)]);
    let all = nothing.with(|batch| batch.nodes[0] = (1 << 16, 1 << 16));
    check("nulls", x, &[&null, &all.message()], "65536 rows");
    let length: fn(IpcBuilder) -> IpcBuilder =
        |builder| builder.feature_as("x", ListAs::Length.nulls(NullItems::Fill(0.0)));
    let lists = |count: i64, end: i64| {
        let ends = [0_i64, end].map(i64::to_le_bytes).concat();
        Message::new(1, &[&[], &ends]).with(|batch| batch.nodes.push((count, count))).message()
    };
    let list = schema(&[("x", DataType::LargeList(item(DataType::Null)))]);
    check("a list of nothing", length, &[&list, &lists(1000, 1000)], "1 rows");
    check("a list of far too much of nothing", length, &[&list, &lists(i64::MAX, i64::MAX)], "a column of ");
    check("a list that ends outside", length, &[&list, &lists(1000, 1001)], "record batch 0: ");

    let fixed = |width| schema(&[("x", DataType::FixedSizeList(item(DataType::Float32), width))]);
    let one = Message::new(1, &[&[], &[], &[0; 8]]).with(|batch| batch.nodes.push((2, 0))).message();
    check("a fixed list", x, &[&fixed(2), &one], "1 rows");
    for width in [3, i32::MAX, i32::MIN, -1] {
        check("a fixed list of another width", x, &[&fixed(width), &one], "");
    }
    let bytes: fn(IpcBuilder) -> IpcBuilder = |builder| builder.feature_as("x", As::Bytes);
    let one = Message::new(1, &[&[], &[1, 2, 3]]).message();
    check("bytes", bytes, &[&schema(&[("x", DataType::FixedSizeBinary(3))]), &one], "1 rows");
    for width in [4, i32::MAX, i32::MIN, -1, 0] {
        check("bytes of another width", bytes, &[&schema(&[("x", DataType::FixedSizeBinary(width))]), &one], "");
    }
    for (precision, scale) in [(0, 0), (38, 127), (38, -128), (255, 3), (5, 100)] {
        let decimal = schema(&[("x", DataType::Decimal128(precision, scale))]);
        let row = Message::new(1, &[&[], &[0xff; 16]]).message();
        check("a decimal", x, &[&decimal, &row], "rows or an error");
    }
    // A union without the field that a row is of.
    let union = DataType::Union([(0_i8, item(DataType::Int32))].into_iter().collect(), arrow_schema::UnionMode::Sparse);
    let table = schema(&[("x", DataType::Int64), ("u", union)]);
    let row = Message::new(1, &[&[], &[0; 8], &[5], &[], &[0; 4]]);
    let row = row.with(|batch| batch.nodes = vec![(1, 0); 3]).message();
    check("a union", x, &[&table, &row], "record batch 0: ");
    let runs = DataType::RunEndEncoded(
        Arc::new(Field::new("run_ends", DataType::Int32, false)),
        Arc::new(Field::new("values", DataType::Int64, true)),
    );
    let table = schema(&[("x", DataType::Int64), ("r", runs)]);
    for end in [-1, 0, 2] {
        let row = Message::new(3, &[&[], &[0; 24], &[], &offsets(&[end]), &[], &[0; 8]]);
        let row = row.with(|batch| batch.nodes = vec![(3, 0), (3, 0), (1, 0), (1, 0)]).message();
        check("runs that end early", x, &[&table, &row], "record batch 0: ");
    }
}

fn dictionaries(check: Check) {
    let coded = |values: DataType| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    let table = schema(&[("x", coded(DataType::Utf8))]);
    let text = |bytes: usize| {
        let ends = [0, bytes as i32].map(i32::to_le_bytes).concat();
        Message::new(1, &[&[], &ends, &vec![b'a'; bytes]])
    };
    let keys = |keys: &[u8]| Message::new(keys.len() as i64, &[&[], keys]).message();
    check("a dictionary", x, &[&table, &text(3).dictionary(0, false), &keys(&[0, 0])], "2 rows");
    check("keys outside", x, &[&table, &text(3).dictionary(0, false), &keys(&[0, 1])], "record batch 0: ");
    check("negative keys", x, &[&table, &text(3).dictionary(0, false), &keys(&[0xff])], "record batch 0: ");
    check("no dictionary", x, &[&table, &keys(&[0])], "record batch 0: ");
    check("a dictionary of no column", x, &[&table, &text(3).dictionary(7, false)], "record batch 0: ");
    check("more of no dictionary", x, &[&table, &text(3).dictionary(0, true)], "record batch 0: ");
    let huge = text(3).with(|batch| batch.nodes[0] = (i64::MAX, 0)).dictionary(0, false);
    check("a huge dictionary", x, &[&table, &huge], "a column of ");
    let far = text(3).with(|batch| batch.buffers[2] = (16, 1 << 40)).dictionary(0, false);
    check("a dictionary outside", x, &[&table, &far], "a buffer lies outside of its message");
    let (base, more) = (text(20_000).dictionary(0, false), text(20_000).dictionary(0, true));
    let refused = "record batch 0: dictionaries of 80";
    check("one that grows", x, &[&table, &base, &more, &more, &more, &more, &more], refused);
    check("one that is replaced", x, &[&table, &base, &base, &base, &base, &base, &keys(&[0])], "1 rows");
    let two = schema(&[("x", coded(DataType::Utf8)), ("y", coded(DataType::Utf8))]);
    let [first, second] = [0, 1].map(|id| text(40_000).dictionary(id, false));
    check("two large ones", x, &[&two, &first, &second], "record batch 0: dictionaries of 80");

    // Many rows may be the same long text; in lists all of them are made texts at once.
    check("one text in many rows", x, &[&table, &text(30_000).dictionary(0, false), &keys(&[0; 1000])], "1000 rows");
    let list = schema(&[("x", DataType::List(Arc::new(Field::new("item", coded(DataType::Utf8), true))))]);
    let lists = |keys: &[u8]| {
        let ends = [0, keys.len() as i32].map(i32::to_le_bytes).concat();
        Message::new(1, &[&[], &ends, &[], keys]).with(|batch| batch.nodes.push((keys.len() as i64, 0))).message()
    };
    let words = text(30_000).dictionary(0, false);
    check("one text in a list", join, &[&list, &words, &lists(&[0])], "1 rows");
    check("one text many times in a list", join, &[&list, &words, &lists(&[0; 1000])], "unfold to 30000000 bytes");
}

fn compressed(check: Check) {
    let table = schema(&[("x", DataType::Int64)]);
    for codec in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let packed = |length: i64, frame: &[u8]| {
            let buffer = [&length.to_le_bytes()[..], frame].concat();
            Message::new(1, &[&[], &buffer]).with(|batch| batch.codec = Some(codec)).message()
        };
        check("not compressed", x, &[&table, &packed(-1, &[0; 8])], "1 rows");
        check("empty", x, &[&table, &packed(0, &[])], "record batch 0: ");
        for length in [1 << 40, i64::MAX, 1 << 17] {
            check("a huge claim", x, &[&table, &packed(length, &[0; 8])], "record batch 0: its buffers take ");
        }
        for length in [-2, i64::MIN] {
            check("a negative claim", x, &[&table, &packed(length, &[0; 8])], "record batch 0: ");
        }
        check("noise", x, &[&table, &packed(8, &[7; 30])], "record batch 0: ");
        let short = Message::new(1, &[&[], &[1, 2, 3]]).with(|batch| batch.codec = Some(codec)).message();
        check("no room for a length", x, &[&table, &short], "record batch 0: ");
        // Each of many buffers that lie in the same place.
        let buffer = [&30_000_i64.to_le_bytes()[..], &[0; 8]].concat();
        let many = Message::new(1, &[&[], &buffer]).with(|batch| {
            batch.codec = Some(codec);
            batch.buffers = vec![(0, 16); 50];
        });
        check("many claims", x, &[&table, &many.message()], "record batch 0: its buffers take ");
    }
    // Blocks of four megabytes, of which there is none.
    let frame = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 0, 0, 0, 0];
    let blocks = [&8_i64.to_le_bytes()[..], &frame].concat();
    let message = Message::new(1, &[&[], &blocks]).with(|batch| batch.codec = Some(CompressionType::LZ4_FRAME));
    check("large blocks", x, &[&table, &message.message()], "record batch 0: it is compressed in blocks");
    let message = message.with(|batch| batch.codec = Some(CompressionType(9)));
    check("no codec", x, &[&table, &message.message()], "record batch 0: ");
}

fn schemas(check: Check) {
    check("nothing", x, &[], "it has no schema");
    check("big-endian numbers", x, &[&big_endian_schema()], "record batch 0: its numbers are big-endian");
    let a: fn(IpcBuilder) -> IpcBuilder = |builder| builder.columns(["a.a.a"]);
    let row = Message::new(1, &[]);
    let row = row.with(|batch| {
        batch.nodes = vec![(1, 0); 7];
        batch.buffers = vec![(0, 0), (0, 0), (0, 0), (0, 4), (0, 0), (0, 4), (0, 0), (0, 0), (0, 4), (0, 0), (0, 4)];
        batch.body = vec![0; 8];
    });
    check("a struct with two fields of a name", a, &[&folded_schema(2), &row.message()], "two have this name");
    for levels in [8, 12, 20, 40] {
        check("a folded schema", a, &[&folded_schema(levels)], "its schema takes more than the 65536 bytes");
    }
    check("a deep schema", a, &[&folded_schema(200)], "record batch 0: ");
    check("remarks", x, &[&remarked_schema(10, 100)], "0 rows");
    check("remarks that lie in one place", x, &[&remarked_schema(100, 10_000)], "its schema takes more than ");
}

#[test]
fn hostile_texts_are_refused() {
    in_a_process_of_its_own("hostile_texts_are_refused", || {
        warm();
        let mut read = 0;
        let mut check = |what: &str, text: &[u8], expected: &str| {
            for size in [1, 4096, 1 << 20] {
                let pieces = Pieces(reader(text), size);
                let builder = CsvBuilder::reader("pipe", pieces).infer_rows(2).columns(["a", "b"]).budget(BUDGET);
                let outcome = rows(|| builder.build::<f32>());
                match outcome {
                    Ok(rows) => assert_eq!(format!("{rows} rows"), expected, "{what}"),
                    Err(error) => assert_eq!(error, expected, "{what}"),
                }
                read += 1;
            }
        };
        let record = "a record of more than 32768 bytes; is a quote left open? allow a larger budget, or mend the text";
        let endless = |start: &str, what: &str| [start.as_bytes(), what.repeat(200_000).as_bytes()].concat();
        check("an endless header", &endless("", "a"), &format!("pipe, line 1: {record}"));
        check("an endless record", &endless("a,b\n1,2\n", "7"), &format!("pipe, line 3: {record}"));
        check("an open quote", &endless("a,b\n1,2\n3,\"", "7\n"), &format!("pipe, line 3: {record}"));
        check("an open quote at the end", b"a,b\n1,2\n3,\"4\n", "pipe, line 3: it ends inside quotes; is it whole?");
        check("fields without end", &endless("a,b\n1,2\n", ","), &format!("pipe, line 3: {record}"));
        check("lines without end", &endless("a,b\n1,2\n", "\n"), "1 rows");
        check("returns without end", &endless("a,b\r1,2\r", "\r"), "1 rows");
        let columns = endless("a,b", ",")[..20_000].to_vec();
        let wide = "pipe: a table of 19999 columns needs 20478976 bytes, the budget is 262144 bytes; allow 1024 bytes a \
                    column";
        check("columns without end", &[&columns[..], b"\n"].concat(), wide);
        check(
            "a record of too many fields",
            &endless("a,b\n1,2\n", ",")[..20_000],
            "pipe, line 3: expected fields: 2, found 19993; quote fields that hold the delimiter, and remove lines of comments",
        );
        let late = [b"a,b\n1,2\n1,2\n", &columns[..], b"\n"].concat();
        check(
            "too many fields later on",
            &late,
            "pipe, line 4: expected fields: 2, found 19999; quote fields that hold the delimiter, and remove lines of comments",
        );
        check("nothing", b"", "pipe: it is empty, not even a header is there");
        let no_number = "pipe, line 4, column a: it is \"\\0\", expected a number; say otherwise by column_type(\"a\", ..), \
                         CsvType::Text, or count it as missing by nulls(..)";
        check("nulls", b"a,b\n1,2\n3,4\n\0,5\n", no_number);
        let nines = "9".repeat(5000);
        check("numbers", format!("a,b\n1,2\n3,4\n{nines}.5,1e999\n").as_bytes(), "3 rows");
        let rounded = format!(
            "pipe, line 4, column a: it is \"{}... (5000 bytes)\", expected a number that f64 does not round; say otherwise by \
             column_type(\"a\", ..), CsvType::Integer to keep all digits, Real to round, or Text, or count it as missing by \
             nulls(..)",
            &nines[..100]
        );
        check("integers", format!("a,b\n1,2\n3,4\n{nines},5\n").as_bytes(), &rounded);
        let utf8 = |line: u64, column: u64, byte: &str| {
            format!(
                "pipe, line {line}: byte {column} of the line is {byte}, which is not UTF-8; convert the text, as from \
                 Latin-1 by `iconv -f LATIN1 -t UTF-8`"
            )
        };
        check("Latin-1", b"a,b\n1,2\n3,4\n5,\xfc\n", &utf8(4, 3, "0xFC"));
        check("a broken letter at the end", b"a,b\n1,2\n3,4\n5,\xe2\x82", &utf8(4, 3, "0xE2"));
        check("UTF-16", b"\xff\xfea\0,\0b\0\n\0", &utf8(1, 1, "0xFF"));
        check("half a mark", b"\xef\xbb", &utf8(1, 1, "0xEF"));
        read
    });
}

/// Bytes that come a few at a time.
struct Pieces(io::Cursor<Vec<u8>>, usize);

impl io::Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.1);
        self.0.read(&mut into[..n])
    }
}

/// What a fuzzer has found to reach different code: see `fuzz/README.md`.
#[test]
fn what_the_fuzzer_found_gives_errors_or_rows() {
    in_a_process_of_its_own("what_the_fuzzer_found_gives_errors_or_rows", || {
        warm();
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let files = |folder: &str| {
            let mut files: Vec<_> =
                fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            assert!(files.len() >= 100, "{} in {folder}", files.len());
            files
        };
        let mut read = 0;
        for file in files("csv") {
            let outcome = rows(|| CsvBuilder::file(&file).all_columns().budget(BUDGET).build());
            println!("{}: {outcome:?}", file.display());
            read += 1;
        }
        for file in files("ipc") {
            let outcome = rows(|| IpcBuilder::file(&file).all_columns().budget(BUDGET).build());
            println!("{}: {outcome:?}", file.display());
            read += 1;
        }
        read
    });
}
