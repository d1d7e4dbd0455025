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
    check("a,b\n1,2\n\"\n\",4\n", "t.csv, line 3, column a: it is '\n' and no 'Float64'");
    check("a,b\n1,2\n3,4\n5,x\n7,8\n", "t.csv, line 4, column b: it is 'x' and no 'Float64'");
    check("a,b,c\n1,2,\"\n\"\n\n3,4,5\n5,x,6\n", "t.csv, line 6, column b: it is 'x' and no 'Float64'");
    check("a,b\n1,2\n3,4,5\n", "t.csv, line 3: expected fields: 2, found 3");
    check("a,b\n1,2\n3\n", "t.csv, line 3: expected fields: 2, found 1");
    check("a,b\n1,2\n3,\"4\n", "t.csv: it ends inside quotes; is it whole?");
    let long = format!("a,b\n1,2\n3,\"{}", "x".repeat(100_000));
    check(
        &long,
        "t.csv: a record of more than 16384 bytes; is a quote left open? allow a larger budget, or mend the text",
    );
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

/// Cut off anywhere, a file is an error, and whatever is read of a stream is what it began with; changed anywhere, it is
/// an error or other rows.
#[test]
fn broken_arrow_is_an_error_and_nothing_worse() {
    for form in FORMS {
        let whole = bytes(form);
        let open = |bytes: Vec<u8>| {
            let built = chosen_ipc::<f32>(IpcBuilder::reader("broken", io::Cursor::new(bytes)));
            built.and_then(|mut source| read(&mut source, 16))
        };
        let want = open(whole.clone()).unwrap();
        for cut in (0..whole.len()).step_by(41) {
            match open(whole[..cut].to_vec()) {
                Ok(rows) => assert!(form.ends_with("s") && want.starts_with(&rows), "{form} cut at {cut}"),
                Err(error) => assert!(error.to_string().starts_with("broken"), "{error}"),
            }
        }
        for at in (0..whole.len()).step_by(31) {
            for value in [0, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = open(changed);
            }
        }
    }
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
