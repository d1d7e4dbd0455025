//! Files in object stores: the rows of local files, in few requests, whatever goes wrong on the way.

mod common;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::{Float64Array, Int64Array, StringArray};
use common::{array, cursor, read, read_all, seek, table};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use server::{Fault, Server};
use tempfile::TempDir;
use tidemill_data::{Batch, Error, Source, SourceExt};
use tidemill_data_parquet::{
    FileError, OnDamage, ParquetSource, ParquetSourceBuilder, Paths, Retry, StoreOptions, describe,
};

const ROWS: usize = 24_000;
const GROUPS: usize = 3;
const COLUMNS: [&str; 3] = ["plain", "dictionary", "text"];

/// Plain numbers, numbers by a dictionary with nulls, and texts, from some row on.
fn write(path: &Path, first: usize) {
    let rows = first..first + ROWS;
    let table = table([
        ("plain", array(Float64Array::from_iter_values(rows.clone().map(|i| (i as f64).sin())))),
        ("dictionary", array(Int64Array::from_iter(rows.clone().map(|i| (i % 9 > 0).then_some(i as i64 * 7 % 501))))),
        ("text", array(StringArray::from_iter_values(rows.map(|i| format!("{}", i * 7919 % 5003))))),
    ]);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(ROWS / GROUPS))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(500)
        .set_column_dictionary_enabled("plain".into(), false)
        .set_column_dictionary_enabled("text".into(), false)
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
}

struct Files {
    server: Server,
    local: PathBuf,
    _folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, local) = (Server::start(), folder.path().join("a.parquet"));
        write(&local, 0);
        server.put("/files/a.parquet", &local, Some("first"));
        Self { server, local, _folder: folder }
    }

    fn remote(&self) -> ParquetSourceBuilder {
        source(self.server.url("/files/a.parquet"))
    }

    fn expected(&self) -> Batch<f64> {
        read_all(&mut source(&self.local).build().unwrap()).unwrap()
    }
}

/// Repeats quickly, and a few times.
fn options() -> StoreOptions {
    let (first_wait, longest_wait) = (Duration::from_millis(1), Duration::from_millis(5));
    StoreOptions::new().retry(Retry { most: 3, first_wait, longest_wait, within: Duration::from_secs(60) })
}

fn source(paths: impl Into<Paths>) -> ParquetSourceBuilder {
    ParquetSource::open(paths).columns(COLUMNS).stores(options())
}

fn file_error(error: Error) -> FileError {
    match error {
        Error::Other(other) => *other.downcast().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn rows_are_those_of_the_local_file() {
    let files = Files::new();
    let Err(Error::Budget { needed, .. }) = files.remote().budget(1000).build::<f64>() else {
        panic!("a thousand bytes are too little")
    };
    assert!(
        matches!(files.remote().budget(needed - 1).build::<f64>(), Err(Error::Budget { needed: n, .. }) if n == needed)
    );
    let length = files.local.metadata().unwrap().len();
    for budget in [needed, needed * 3 / 2, 64 << 20] {
        for threads in [1, 2] {
            for shuffled in [false, true] {
                let of = |source: ParquetSourceBuilder| {
                    let source = source.threads(threads);
                    let source = if shuffled { source.shuffle_blocks(3).block_rows(3000) } else { source };
                    source.build::<f64>().unwrap()
                };
                let case = format!("budget {budget}, {threads} threads, shuffled {shuffled}");
                let expected = read_all(&mut of(source(&files.local))).unwrap();
                files.server.requests();
                let mut remote = of(files.remote().budget(budget));
                let opening = files.server.requests().len();
                assert!(read_all(&mut remote).unwrap() == expected, "{case}");
                let reading = files.server.requests().len();
                println!("{case}: {opening} requests to open it, {reading} to read it");
                if budget == 64 << 20 {
                    assert!(opening <= 2, "{case}: {opening} requests");
                }
                let chunks = GROUPS * COLUMNS.len();
                let least = (length / (64 << 10)) as usize;
                match (budget, shuffled) {
                    // All of a column's chunk, and the footer.
                    (0x400_0000, false) => assert!(reading <= 1 + chunks, "{case}: {reading} requests"),
                    (_, false) => assert!(reading <= 1 + 4 * chunks + least, "{case}: {reading} requests"),
                    // Each block is a reader of its own.
                    (_, true) => assert!(reading <= 1 + 3 * (4 * chunks + least), "{case}: {reading} requests"),
                }
            }
        }
    }
}

#[test]
fn cursors_prefetching_and_filters_work_alike() {
    let files = Files::new();
    let expected = read(&mut source(&files.local).build::<f64>().unwrap(), 1000).unwrap();
    let mut remote = files.remote().build::<f64>().unwrap();
    let mut batch = Batch::new(remote.schema().clone());
    remote.fill(&mut batch, 5000).unwrap();
    let stopped = cursor(&remote);
    let mut other = files.remote().build::<f64>().unwrap();
    seek(&mut other, stopped).unwrap();
    assert!(read(&mut other, 1000).unwrap() == expected[5..]);
    assert!(read(&mut remote.clone(), 1000).unwrap() == expected[5..]);

    let mut ahead = files.remote().build::<f64>().unwrap().prefetch(3, 1000).unwrap();
    for expected in &expected {
        batch.clear();
        ahead.fill(&mut batch, 1000).unwrap();
        assert!(batch == *expected);
    }

    let condition = || "dictionary > 300 and text != '7'".parse().unwrap();
    let all = |builder: ParquetSourceBuilder| {
        let mut source = builder.filter(condition()).build::<f64>().unwrap();
        let mut batch = Batch::new(source.schema().clone());
        while source.fill(&mut batch, 700).unwrap() > 0 {}
        batch
    };
    assert!(all(files.remote()) == all(source(&files.local)));
    let url = Paths::from(files.server.url("/files/a.parquet")).stores(options());
    assert_eq!(describe(url).unwrap(), describe(&files.local).unwrap());
}

#[test]
fn what_passes_is_repeated() {
    let files = Files::new();
    let expected = files.expected();
    // With an ETag, and without.
    files.server.put("/files/untold.parquet", &files.local, None);
    for path in ["/files/a.parquet", "/files/untold.parquet"] {
        let build = || source(files.server.url(path)).build::<f64>();
        for faults in [
            vec![Fault::Status(503)],
            vec![Fault::Status(500), Fault::Status(503), Fault::Status(503)],
            vec![Fault::Cut(1000)],
            vec![Fault::Cut(0), Fault::Cut(7)],
        ] {
            files.server.fail(faults.clone());
            let mut source = build().unwrap();
            files.server.fail(faults.clone());
            assert!(read_all(&mut source).unwrap() == expected, "{path}, {faults:?}");
        }
        // One that is cut over and over.
        files.server.fail([Fault::Cut(10); 100]);
        let error = build().err().unwrap().to_string();
        assert!(error.starts_with(&files.server.url(path)), "{error}");
        files.server.fail([]);
    }
}

/// A store that is out of order is no damage.
#[test]
fn what_does_not_pass_is_an_error() {
    let files = Files::new();
    for threads in [1, 2] {
        let mut source = files.remote().on_damage(OnDamage::Skip).threads(threads).build::<f64>().unwrap();
        files.server.fail([Fault::Status(503); 1000]);
        let error = file_error(read_all(&mut source).unwrap_err());
        assert!(matches!(error, FileError::Store { .. }) && error.to_string().contains("503"), "{error}");
        let error = file_error(files.remote().on_damage(OnDamage::Skip).build::<f64>().err().unwrap());
        assert!(matches!(error, FileError::Store { .. }), "{error}");
        files.server.fail([]);
        assert!(read_all(&mut source).unwrap() == files.expected(), "it goes on when the store does");
        // The footer is there, and the rows are not.
        let mut source = files.remote().threads(threads).build::<f64>().unwrap();
        let mut batch = Batch::new(source.schema().clone());
        source.fill(&mut batch, 100).unwrap();
        files.server.fail([Fault::Status(500); 1000]);
        let error = file_error(read_all(&mut source).unwrap_err());
        assert!(matches!(error, FileError::Store { .. }), "{error}");
        files.server.fail([]);
    }
}

#[test]
fn errors_name_the_url_and_what_to_do() {
    let files = Files::new();
    let text = files.local.with_file_name("text.parquet");
    std::fs::write(&text, "no Parquet file").unwrap();
    files.server.put("/files/text.parquet", &text, None);
    for (path, parts) in [
        ("/files/b.parquet", &["not found", "404"][..]),
        ("/files/secret.parquet", &["may not be read", "403", "signed URL"]),
        ("/files/text.parquet", &["not a Parquet file", "does not end in PAR1"]),
        ("/files/", &["lists no *.parquet file"]),
    ] {
        let url = files.server.url(path);
        let error = source(&url).build::<f64>().err().unwrap().to_string();
        assert!(error.starts_with(&url) && parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let unknown = ParquetSource::open(files.server.url("/files/a.parquet")).feature("plain");
    let error = unknown.stores(StoreOptions::new().set("colour", "red")).build::<f64>().err().unwrap().to_string();
    assert!(error.contains("colour"), "{error}");
}

#[test]
fn objects_that_change_are_told_of() {
    let files = Files::new();
    let other = files.local.with_file_name("other.parquet");
    write(&other, 1);
    let changed = |source: &mut ParquetSource<f64>, what: &str| {
        let error = file_error(read_all(source).unwrap_err());
        assert!(matches!(error, FileError::Changed { .. }) && error.to_string().contains(what), "{error}");
    };
    for (file, etag, what) in
        [(&files.local, Some("second"), "its ETag is \"second\", it was \"first\""), (&other, None, "bytes, it had")]
    {
        files.server.put("/files/a.parquet", &files.local, Some("first"));
        let mut before = files.remote().build::<f64>().unwrap();
        let mut midst = files.remote().build::<f64>().unwrap();
        let mut batch = Batch::new(midst.schema().clone());
        midst.fill(&mut batch, 1000).unwrap();
        files.server.put("/files/a.parquet", file, etag);
        changed(&mut before, what);
        changed(&mut midst, "its ETag is another");
    }
}

fn s3(server: &Server) -> StoreOptions {
    options()
        .set("AWS_ENDPOINT", format!("http://{}", server.address))
        .set("aws_allow_http", "true")
        .set("aws_region", "here")
        .set("aws_metadata_endpoint", format!("http://{}/nobody", server.address))
}

fn with_key(server: &Server) -> StoreOptions {
    s3(server).set("aws_access_key_id", "somebody").set("aws_secret_access_key", "a secret")
}

#[test]
fn buckets_are_listed_and_read() {
    let files = Files::new();
    let second = files.local.with_file_name("b.parquet");
    write(&second, ROWS);
    files.server.sign("somebody");
    for (key, file) in [
        ("in/b.parquet", &second),
        ("in/a.parquet", &files.local),
        ("in/_old/d.parquet", &second),
        ("keys/y=2/m=1/b.parquet", &second),
        ("keys/y=1/m=2/a.parquet", &files.local),
        ("keys/y=1/_c.parquet", &files.local),
    ] {
        files.server.put(&format!("/bucket/{key}"), file, Some(key));
    }
    files.server.put("/bucket/in/notes.txt", &second, None);
    let open = |url: &str| source(url).stores(with_key(&files.server));
    let mut listed = open("s3://bucket/in/").build::<f64>().unwrap();
    let names: Vec<_> = listed.files().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["s3://bucket/in/a.parquet", "s3://bucket/in/b.parquet"]);
    let expected = read_all(&mut source([&files.local, &second]).build::<f64>().unwrap()).unwrap();
    assert!(read_all(&mut listed).unwrap() == expected);
    let requests = files.server.requests();
    assert!(requests.iter().all(|request| request.authorization.is_some()));
    assert!(requests.len() <= 2 + 3 + 2 + 2 * GROUPS * COLUMNS.len(), "{} requests", requests.len());

    let keys = source("s3://bucket/keys/").columns(["y", "m"]).stores(with_key(&files.server)).build::<f64>();
    let mut keys = keys.unwrap();
    let names: Vec<_> = keys.files().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["s3://bucket/keys/y=1/m=2/a.parquet", "s3://bucket/keys/y=2/m=1/b.parquet"]);
    let rows = read_all(&mut keys).unwrap();
    let place = |name: &str| rows.schema().position(name).unwrap();
    assert_eq!((rows.reals(place("y"))[0], rows.reals(place("m"))[0]), (1.0, 2.0));
    assert_eq!((rows.reals(place("y")).last(), rows.reals(place("m")).last()), (Some(&2.0), Some(&1.0)));

    for (url, parts) in [
        ("s3://bucket/in/x.parquet", &["not found", "NoSuchKey"][..]),
        ("s3://elsewhere/x.parquet", &["not found", "bucket", "NoSuchBucket"]),
        ("s3://bucket/secret.parquet", &["may not be read", "AWS_ACCESS_KEY_ID", "AccessDenied"]),
        ("s3://bucket/empty/", &["no *.parquet"]),
    ] {
        let error = open(url).build::<f64>().err().unwrap().to_string();
        assert!(error.starts_with(url) && parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let nobody = source("s3://bucket/in/a.parquet").stores(s3(&files.server));
    let error = nobody.build::<f64>().err().unwrap().to_string();
    assert!(error.contains("no credentials were found") && error.contains("AWS_SKIP_SIGNATURE"), "{error}");
    assert!(!format!("{:?}", with_key(&files.server)).contains("a secret"));
}

#[test]
fn somebody_elses_runtime_is_no_matter() {
    let files = Files::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rows = runtime.block_on(async { read_all(&mut files.remote().build::<f64>().unwrap()).unwrap() });
    assert!(rows == files.expected());
}

#[test]
fn urls_of_local_files() {
    let files = Files::new();
    let url = format!("file://{}", files.local.display());
    assert!(read_all(&mut source(url).build::<f64>().unwrap()).unwrap() == files.expected());
    let error = source("gs://bucket/a.parquet").build::<f64>().err().unwrap().to_string();
    assert!(cfg!(feature = "gcp") || error.contains("features = [\"gcp\"]"), "{error}");
}
