//! CSV and Arrow IPC, from files, pipes and sockets. What would hang if it were wrong is done with nobody to save it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Column, Cursor, Error, Interrupt, Source, SourceExt};
use tidemill_data_arrow::{CsvBuilder, CsvSource, CsvType, IpcBuilder, IpcSource};

const FORMS: [&str; 6] = ["rows.arrow", "rows.arrows", "zstd.arrow", "lz4.arrows", "legacy.arrows", "polars.arrows"];

/// Files whose messages are found only by their footers.
const BY_FOOTER: [&str; 1] = ["polars.arrow"];

fn path(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn chosen_ipc<T: Scalar>(builder: IpcBuilder) -> Result<IpcSource<T>, Error> {
    builder.columns(["x", "single", "count", "name", "flag"]).target_index("gear", 5).budget(1 << 20).build()
}

fn chosen_csv<T: Scalar>(builder: CsvBuilder) -> Result<CsvSource<T>, Error> {
    builder.columns(["x", "single", "count", "name", "flag"]).target_index("gear", 5).budget(1 << 20).build()
}

/// A row, written so that equal texts are equal bits; whether a column may have nulls is left out.
fn rows<T: Scalar>(batch: &Batch<T>) -> Vec<String> {
    let value = |column: &Column<T>, row: usize| match column {
        Column::Real { nulls, .. } if nulls.is_null(row) => "null".into(),
        Column::Real { width, values, .. } => format!("{:?}", &values[row * width..(row + 1) * width]),
        Column::Index { values } => format!("#{}", values[row]),
        Column::Text { .. } => format!("{:?}", column.text(row)),
    };
    (0..batch.rows()).map(|row| batch.columns().iter().map(|c| value(c, row)).collect::<Vec<_>>().join(" ")).collect()
}

fn read<T: Scalar>(source: &mut impl Source<T>, size: usize) -> Result<Vec<String>, Error> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut all = Vec::new();
    loop {
        batch.clear();
        if source.fill(&mut batch, size)? == 0 {
            return Ok(all);
        }
        all.extend(rows(&batch));
    }
}

/// Bytes that come a few at a time.
struct Trickle(io::Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.1);
        self.0.read(&mut into[..n])
    }
}

#[test]
fn the_same_rows_in_any_form_are_the_same_bits() {
    let want = read(&mut chosen_ipc::<f64>(IpcBuilder::file(path("rows.arrow"))).unwrap(), 8).unwrap();
    assert_eq!(want.len(), 50);
    assert_eq!(want[3], "[0.1411200080598672] [-0.9899924993515015] null Some(\"two\\nlines\") [1.0] #3");
    for form in FORMS {
        assert_eq!(read(&mut chosen_ipc::<f64>(IpcBuilder::file(path(form))).unwrap(), 7).unwrap(), want, "{form}");
        for size in [1, 100, 100_000] {
            let trickle = Trickle(io::Cursor::new(bytes(form)), size);
            let mut source = chosen_ipc::<f64>(IpcBuilder::reader(form, trickle)).unwrap();
            assert_eq!(read(&mut source, 16).unwrap(), want, "{form}, {size} bytes at a time");
        }
    }
    for form in BY_FOOTER {
        assert_eq!(read(&mut chosen_ipc::<f64>(IpcBuilder::file(path(form))).unwrap(), 7).unwrap(), want, "{form}");
    }
    // Numbers of 32 bits, as text, are those of 32 bits again.
    let want = read(&mut chosen_ipc::<f32>(IpcBuilder::file(path("rows.arrow"))).unwrap(), 8).unwrap();
    for size in [1, 10, 100_000] {
        let trickle = Trickle(io::Cursor::new(bytes("rows.csv")), size);
        let mut source = chosen_csv::<f32>(CsvBuilder::reader("pipe", trickle)).unwrap();
        assert_eq!(read(&mut source, 16).unwrap(), want, "{size} bytes at a time");
    }
    let mut twice = chosen_csv::<f32>(CsvBuilder::files([path("rows.csv"), path("rows.csv")])).unwrap();
    assert_eq!(read(&mut twice, 16).unwrap(), [&want[..], &want[..]].concat());
    let mut twice = chosen_ipc::<f32>(IpcBuilder::files([path("zstd.arrow"), path("rows.arrows")])).unwrap();
    assert_eq!(read(&mut twice, 16).unwrap(), [&want[..], &want[..]].concat());
}

#[test]
fn files_go_to_any_row_and_begin_again() {
    fn check(mut source: impl Source<f32>) {
        let all = read(&mut source, 16).unwrap();
        assert_eq!(all.len(), 100);
        for epoch in 0..2 {
            for row in [0, 1, 16, 17, 49, 50, 51, 83, 99, 100, 3] {
                let start = Cursor::start(epoch);
                let cursor = if row == 0 { start } else { start.push(row as u64) };
                source.seek(cursor).unwrap();
                assert_eq!(source.cursor(), cursor);
                assert_eq!(read(&mut source, 9).unwrap(), all[row..], "row {row}");
            }
        }
        assert!(matches!(source.seek(Cursor::start(0).push(101)), Err(Error::Seek { .. })));
        source.seek(Cursor::start(0)).unwrap();
        assert_eq!(read(&mut source, 9).unwrap(), all);
    }
    check(chosen_csv(CsvBuilder::files([path("rows.csv"), path("rows.csv")])).unwrap());
    for form in FORMS.into_iter().chain(BY_FOOTER) {
        check(chosen_ipc(IpcBuilder::files([path(form), path("rows.arrow")])).unwrap());
    }
}

#[test]
fn bad_csv_is_an_error_that_says_where() {
    let check = |text: &str, expected: &str| {
        let builder = CsvBuilder::reader("t.csv", io::Cursor::new(text.to_owned())).infer_rows(1);
        let built = builder.columns(["a", "b"]).budget(1 << 16).build::<f32>();
        let error = built.and_then(|mut source| read(&mut source, 4)).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text:?}");
    };
    check("", "t.csv: it is empty, not even a header is there");
    check("a,c\n1,2\n", "t.csv: there is no column b; it has a, c");
    let no_number = "expected a number; say otherwise by column_type(\"b\", ..), CsvType::Text, or count it as missing by \
                     nulls(..)";
    let x = |line: u64| format!("t.csv, line {line}, column b: it is \"x\", {no_number}");
    check("a,b\n1,2\n3,4\n5,x\n7,8\n", &x(4));
    check("a,b,c\n1,2,\"\n\"\n\n3,4,5\n5,x,6\n", &x(6));
    check(
        "a,b\n1,true\n3,1\n",
        "t.csv, line 3, column b: it is \"1\", expected true or false; say otherwise by \
          column_type(\"b\", ..), CsvType::Real or Text, or count it as missing by nulls(..)",
    );
    check(
        "a,b\n1,2\n3,4,5\n",
        "t.csv, line 3: expected fields: 2, found 3; quote fields that hold the delimiter, and remove lines of comments",
    );
    check(
        "a,b\n1,2\n3\n",
        "t.csv, line 3: expected fields: 2, found 1; quote fields that hold the delimiter, and remove lines of comments",
    );
    check("a,b\n1,2\n3,\"4\n", "t.csv, line 3: it ends inside quotes; is it whole?");
    check(
        "a,b\n\n1\n",
        "t.csv, line 3: expected fields: 2, found 1; quote fields that hold the delimiter, and remove lines of comments",
    );
    check("\n\n", "t.csv: it is empty, not even a header is there");
    let long = format!("a,b\n1,2\n3,\"{}", "x".repeat(100_000));
    check(
        &long,
        "t.csv, line 3: a record of more than 8192 bytes; is a quote left open? allow a larger budget, or mend the text",
    );
    let value = format!("a,b\n1,2\n3,{}\n", "x".repeat(1000));
    let shown = format!("\"{}... (1000 bytes)\"", "x".repeat(100));
    check(&value, &format!("t.csv, line 3, column b: it is {shown}, {no_number}"));
    let wide = format!("a,b{}\n", ",c".repeat(100));
    check(
        &wide,
        "t.csv: a table of 102 columns needs 104448 bytes, the budget is 65536 bytes; allow 1024 bytes a column",
    );
    let told = |bytes: &[u8], expected: &str| {
        let builder = CsvBuilder::reader("t.csv", io::Cursor::new(bytes.to_vec())).infer_rows(1).columns(["a", "b"]);
        let error = builder.build::<f32>().and_then(|mut source| read(&mut source, 4)).unwrap_err().to_string();
        assert_eq!(error, expected, "{bytes:?}");
    };
    let utf8 = |line: u64, column: u64, byte: &str| {
        format!(
            "t.csv, line {line}: byte {column} of the line is {byte}, which is not UTF-8; convert the text, as from \
             Latin-1 by `iconv -f LATIN1 -t UTF-8`"
        )
    };
    told(b"a,\xff\n1,2\n", &utf8(1, 3, "0xFF"));
    told(b"a,b\n1,\xff\n", &utf8(2, 3, "0xFF"));
    // Two broken fields that would be a letter together.
    told(b"a,b\n1,2\n\xc3,\xa9\n", &utf8(3, 1, "0xC3"));
    for delimiter in [b'"', b'\n', 0xc3] {
        let built = CsvBuilder::reader("t.csv", &b"a\n"[..]).delimiter(delimiter).columns(["a"]).build::<f32>();
        assert!(built.err().unwrap().to_string().starts_with("delimiter "), "{delimiter}");
    }
}

/// Whatever a text is cut and joined by, no row is lost.
#[test]
fn every_row_of_odd_csv_is_read() {
    let check = |text: String, rows: usize| {
        for size in [1, 7, 100_000] {
            let trickle = Trickle(io::Cursor::new(text.clone().into_bytes()), size);
            let builder = CsvBuilder::reader("t.csv", trickle).columns(["a", "b"]).column_type("b", CsvType::Text);
            let read = read(&mut builder.budget(1 << 16).build::<f64>().unwrap(), 16).unwrap();
            assert_eq!(read.len(), rows, "{:?}, {size} bytes at a time", &text[..20]);
            read.iter().enumerate().for_each(|(row, text)| assert!(text.starts_with(&format!("[{row}.0]")), "{text}"));
        }
    };
    let rows = |row: fn(usize) -> String| (0..2000).map(row).collect::<String>();
    check(format!("a,b\n{}", rows(|row| format!("{row},x\n"))), 2000);
    check(format!("\u{feff}a,b\r\n{}", rows(|row| format!("{row},x\r\n"))), 2000);
    // Carriage returns alone end records as well.
    check(format!("a,b\r{}", rows(|row| format!("{row},x\r"))), 2000);
    // A quote inside a field that does not begin with one opens nothing.
    check(format!("a,b\n{}", rows(|row| format!("{row},5\" wide\n"))), 2000);
    check(format!("a,b\n{}", rows(|row| format!("{row},\"x\"y\"\n"))), 2000);
    check(format!("\n\r\n\na,b\n{}", rows(|row| format!("\n{row},\"\n\"\n\n"))), 2000);
    let bytes = rows(|row| format!("{row},\0\n"));
    check(format!("a,b\n{bytes}"), 2000);
}

#[test]
fn files_of_csv_may_begin_with_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files =
        [put("1", "\u{feff}a\n1\n"), put("2", "a\n2\n"), put("3", "\n\u{feff}a\n"), put("4", "\u{feff}\na\n3\n")];
    let open = |files: &[&std::path::PathBuf]| CsvBuilder::files(files.iter().copied()).columns(["a"]).build::<f32>();
    let mut source = open(&[&files[0], &files[1], &files[3]]).unwrap();
    assert_eq!(read(&mut source, 2).unwrap(), ["[1.0]", "[2.0]", "[3.0]"]);
    source.seek(Cursor::start(0).push(2)).unwrap();
    assert_eq!(read(&mut source, 2).unwrap(), ["[3.0]"]);
    let error = read(&mut open(&[&files[0], &files[2]]).unwrap(), 2).unwrap_err().to_string();
    assert!(error.contains("its header is \u{feff}a, expected a"), "{error}");
    let none = put("5", "");
    let error = read(&mut open(&[&files[0], &none, &files[1]]).unwrap(), 2).unwrap_err().to_string();
    assert_eq!(error, format!("{}: it is empty, not even a header is there", none.display()));
    let mut bare = CsvBuilder::files([put("6", "\u{feff}1\n"), put("7", "\u{feff}2\n")]).names(["a"]).columns(["a"]);
    assert_eq!(read(&mut bare.build::<f32>().unwrap(), 2).unwrap(), ["[1.0]", "[2.0]"]);
    bare = CsvBuilder::reader("t", io::empty()).names(["a"]).columns(["a"]);
    assert!(read(&mut bare.build::<f32>().unwrap(), 2).unwrap().is_empty());
}

/// A sender that is gone before it has said that it is through has lost something, perhaps.
#[test]
fn a_stream_without_its_end_is_an_error() {
    for (form, mark) in [("rows.arrows", 8), ("lz4.arrows", 8), ("legacy.arrows", 4)] {
        let whole = bytes(form);
        let cut = whole[..whole.len() - mark].to_vec();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cut.arrows");
        std::fs::write(&file, &cut).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = cut.clone();
        let client = thread::spawn(move || TcpStream::connect(address)?.write_all(&served));
        for (builder, name) in [
            (IpcBuilder::reader("pipe", io::Cursor::new(cut.clone())), "pipe".to_owned()),
            (IpcBuilder::file(&file), file.display().to_string()),
            (IpcBuilder::listen(listener), format!("tcp listener {address}")),
        ] {
            let mut source = chosen_ipc::<f32>(builder).unwrap();
            let mut batch = Batch::new(Arc::clone(source.schema()));
            assert_eq!(source.fill(&mut batch, 64).unwrap(), 50, "all that came");
            for _ in 0..2 {
                let error = source.fill(&mut batch, 64).unwrap_err().to_string();
                let expected = format!(
                    "{name}, record batch 3: it ended without the end-of-stream mark: 50 rows read; is it whole? allow \
                     that by unmarked_end()"
                );
                assert_eq!(error, expected);
            }
        }
        client.join().unwrap().unwrap();
        let mut source = chosen_ipc::<f32>(IpcBuilder::file(&file).unmarked_end()).unwrap();
        assert_eq!(read(&mut source, 16).unwrap().len(), 50);
        // Inside of a message there is no end, whatever is allowed.
        let inside = IpcBuilder::reader("pipe", io::Cursor::new(cut[..cut.len() - 1].to_vec())).unmarked_end();
        let error = read(&mut chosen_ipc::<f32>(inside).unwrap(), 16).unwrap_err().to_string();
        assert_eq!(error, "pipe, record batch 2: it is cut off in the body of a message");
        // Two streams in one file are not taken for one.
        std::fs::write(&file, [&whole[..], &whole[..]].concat()).unwrap();
        let error = read(&mut chosen_ipc::<f32>(IpcBuilder::file(&file)).unwrap(), 16).unwrap_err().to_string();
        assert!(error.ends_with("there is more behind the end-of-stream mark; is it two streams?"), "{error}");
    }
}

#[test]
fn csv_is_read_as_it_is_declared() {
    let text = "NA;3;x\n1.5;-;007\n";
    let mut source = CsvBuilder::reader("t", text.as_bytes())
        .names(["a", "b", "c"])
        .delimiter(b';')
        .nulls(["NA", "-"])
        .column_type("c", CsvType::Text)
        .columns(["c", "b", "a"])
        .build::<f64>()
        .unwrap();
    assert_eq!(read(&mut source, 9).unwrap(), ["Some(\"x\") [3.0] null", "Some(\"007\") null [1.5]"]);
    let complete = CsvBuilder::reader("t", &b"a\n1\n\"\"\n"[..]).columns(["a"]).no_nulls().build::<f64>().unwrap();
    assert!(!complete.schema().fields[0].nullable);
    let error = read(&mut { complete }, 9).unwrap_err().to_string();
    assert_eq!(error, "t, column a, row 1: null, the schema says that the column has no nulls");
}

#[test]
fn broken_arrow_is_told() {
    let error =
        chosen_ipc::<f32>(IpcBuilder::reader("t", io::Cursor::new(bytes("polars.arrow")))).err().unwrap().to_string();
    assert!(error.ends_with("write it as a stream"), "{error}");
    let huge = [&[0xff; 4][..], &0x7fff_ffff_u32.to_le_bytes()].concat();
    let error = chosen_ipc::<f32>(IpcBuilder::reader("t", io::Cursor::new(huge))).err().unwrap().to_string();
    assert_eq!(error, "t, record batch 0: metadata of 2147483647 bytes, at most 262144 are allowed");
}

/// A server that sends some bytes, and then nothing.
fn server(bytes: Vec<u8>) -> (String, thread::JoinHandle<io::Result<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        client.write_all(&bytes)?;
        // Returns when the client is gone.
        client.read(&mut [0])
    });
    (address, serving)
}

#[test]
fn an_idle_socket_is_interrupted_and_closed() {
    let text = bytes("rows.csv");
    let whole = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(29).unwrap().0 + 1;
    let (address, serving) = server(text[..whole].to_vec());
    let mut source = chosen_csv::<f32>(CsvBuilder::tcp(&address).infer_rows(4)).unwrap();
    let interrupt = Interrupt::new();
    source.watch(&interrupt);
    let mut batch = Batch::new(Arc::clone(source.schema()));
    assert_eq!(source.fill(&mut batch, 10).unwrap(), 10);
    let setter = interrupt.clone();
    let setting = thread::spawn(move || setter.set());
    assert!(matches!(source.fill(&mut batch, 1000), Err(Error::Interrupted)));
    setting.join().unwrap();
    interrupt.clear();
    assert_eq!(source.cursor(), Cursor::start(0).push(10));
    assert_eq!(source.fill(&mut batch, 10).unwrap(), 10, "nothing is lost");
    drop(source.prefetch(2, 8).unwrap());
    let _ = serving.join().unwrap();
}

#[test]
fn a_client_that_connects_sends_rows() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || TcpStream::connect(address)?.write_all(&bytes("lz4.arrows")));
    let mut source = chosen_ipc::<f32>(IpcBuilder::listen(listener)).unwrap();
    assert_eq!(read(&mut source, 16).unwrap().len(), 50);
    client.join().unwrap().unwrap();

    let interrupt = Interrupt::new();
    interrupt.set();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let built = IpcBuilder::listen(listener).columns(["x"]).watch(&interrupt).build::<f32>();
    assert!(matches!(built, Err(Error::Interrupted)), "nobody connects");
}

#[test]
fn the_file_that_cannot_be_read_is_named() {
    let folder = std::env::temp_dir().join(format!("tidemill-sources-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let [file, csv] = [bytes("rows.arrow"), bytes("rows.csv")];
    let missing = folder.join("missing").display().to_string();
    let ipc = |bad: &str| {
        let built = chosen_ipc::<f32>(IpcBuilder::files([path("rows.arrow"), bad.into(), path("rows.arrows")]));
        built.and_then(|mut source| read(&mut source, 16)).unwrap_err().to_string()
    };
    let text = |bad: &str| {
        let built = chosen_csv::<f32>(CsvBuilder::files([path("rows.csv"), bad.into(), path("rows.csv")]));
        built.and_then(|mut source| read(&mut source, 16)).unwrap_err().to_string()
    };
    let names = |error: String, bad: &str| assert!(error.starts_with(bad), "{error}, not of {bad}");
    names(ipc(&missing), &missing);
    names(text(&missing), &missing);
    for cut in [6, 13, 100, 500, file.len() / 2, file.len() - 11, file.len() - 1] {
        let bad = put("cut.arrow", &file[..cut]);
        names(ipc(&bad), &bad);
    }
    // The footer is changed at each of its bytes.
    for at in file.len() - 466..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x81;
        let bad = put("changed.arrow", &changed);
        let read = chosen_ipc::<f32>(IpcBuilder::file(&bad)).and_then(|mut source| read(&mut source, 16));
        assert!(read.map_or_else(|error| error.to_string().starts_with(&bad), |_| true), "byte {at}");
    }
    let quoted = csv.iter().rposition(|&byte| byte == b'"').unwrap();
    let bad = put("cut.csv", &csv[..quoted]);
    names(text(&bad), &bad);
    std::fs::remove_dir_all(&folder).unwrap();
}
