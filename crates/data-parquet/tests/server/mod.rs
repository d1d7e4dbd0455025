//! A small HTTP server on the machine itself, which also speaks as much of S3 as reading takes.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Status(u16),
    /// The connection is cut after some bytes of the answer's body.
    Cut(u64),
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    if_match: Option<String>,
}

struct Object {
    file: PathBuf,
    etag: Option<String>,
}

#[derive(Default)]
struct State {
    objects: HashMap<String, Object>,
    faults: VecDeque<Fault>,
    requests: Vec<Request>,
    /// The key that requests must be signed with.
    key: Option<String>,
}

#[derive(Clone)]
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap().to_string(), state: Arc::default() };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                // A connection that is cut is an error here, and what is tested there.
                thread::spawn(move || stream.and_then(|stream| serving.serve(stream)));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn put(&self, path: &str, file: &Path, etag: Option<&str>) {
        let object = Object { file: file.to_owned(), etag: etag.map(|etag| format!("\"{etag}\"")) };
        self.state().objects.insert(path.to_owned(), object);
    }

    /// Wants requests to be signed with a key of this name.
    pub fn sign(&self, key: &str) {
        self.state().key = Some(key.to_owned());
    }

    /// The next requests go wrong.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.state();
        state.faults.clear();
        state.faults.extend(faults);
    }

    /// Requests since this was last asked.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut lines = BufReader::with_capacity(4096, stream.try_clone()?);
        while let Some(request) = read_request(&mut lines)? {
            let fault = {
                let mut state = self.state();
                state.requests.push(request.clone());
                state.faults.pop_front()
            };
            match fault {
                Some(Fault::Status(status)) => say(&stream, status, "", "<Error><Code>Broken</Code></Error>")?,
                Some(Fault::Cut(after)) => return self.answer(&stream, &request, after),
                None => self.answer(&stream, &request, u64::MAX)?,
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &TcpStream, request: &Request, cut: u64) -> io::Result<()> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let found = {
            let state = self.state();
            let signed = |key| request.authorization.as_ref().is_some_and(|text| text.contains(&format!("={key}/")));
            if !state.key.as_ref().is_none_or(signed) || path.contains("secret") {
                return say(stream, 403, "", "<Error><Code>AccessDenied</Code></Error>");
            }
            if query.contains("list-type=2") {
                return say(stream, 200, "Content-Type: application/xml\r\n", &list(&state, path, query));
            }
            state.objects.get(&decode(path)).map(|object| (object.file.clone(), object.etag.clone()))
        };
        let Some((file, etag)) = found else {
            let code = if path.starts_with("/bucket/") { "NoSuchKey" } else { "NoSuchBucket" };
            return say(stream, 404, "", &format!("<Error><Code>{code}</Code></Error>"));
        };
        if request.if_match.is_some() && request.if_match != etag {
            return say(stream, 412, "", "");
        }
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        let range = request.range.as_ref().map_or(0..length, |range| parse_range(range, length));
        let etag = etag.map_or(String::new(), |etag| format!("ETag: {etag}\r\n"));
        let (status, content_range) = match request.range {
            Some(_) => (206, format!("Content-Range: bytes {}-{}/{length}\r\n", range.start, range.end - 1)),
            None => (200, String::new()),
        };
        let n = range.end - range.start;
        write!(
            &mut &*stream,
            "HTTP/1.1 {status} OK\r\nContent-Length: {n}\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\
             {etag}{content_range}\r\n"
        )?;
        if request.method != "HEAD" {
            file.seek(SeekFrom::Start(range.start))?;
            io::copy(&mut file.take(n.min(cut)), &mut &*stream)?;
        }
        Ok(())
    }
}

fn parse_range(range: &str, length: u64) -> Range<u64> {
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    match (start.parse::<u64>(), end.parse::<u64>()) {
        (Ok(start), Ok(end)) => start..(end + 1).min(length),
        (Ok(start), Err(_)) => start..length,
        (Err(_), end) => length.saturating_sub(end.unwrap())..length,
    }
}

/// The characters of keys that clients escape.
fn decode(escaped: &str) -> String {
    escaped.replace("%2F", "/").replace("%3D", "=")
}

/// What is directly below a prefix, and what is further below, in two pages.
fn list(state: &State, bucket: &str, query: &str) -> String {
    let of = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let prefix = decode(of("prefix").unwrap_or(""));
    let prefix = format!("{}/{prefix}", bucket.trim_end_matches('/'));
    let mut found: Vec<_> = state.objects.iter().filter(|(path, _)| path.starts_with(&prefix)).collect();
    let key = |path: &str| path.splitn(3, '/').nth(2).unwrap().to_owned();
    let directory = |path: &str| Some(key(&path[..prefix.len() + path[prefix.len()..].find('/')? + 1]));
    let further: BTreeSet<String> = found.iter().filter_map(|(path, _)| directory(path)).collect();
    found.retain(|(path, _)| !path[prefix.len()..].contains('/'));
    found.sort_by_key(|(path, _)| path.as_str());
    let start = if of("continuation-token").is_some() { 1 } else { 0 };
    let (page, more) = if start == 0 { (&found[..found.len().min(1)], found.len() > 1) } else { (&found[1..], false) };
    let contents: String = page
        .iter()
        .map(|(path, object)| {
            let key = key(path);
            let size = object.file.metadata().unwrap().len();
            format!(
                "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
                 <ETag>{}</ETag><Size>{size}</Size></Contents>",
                object.etag.as_deref().unwrap_or("none")
            )
        })
        .collect();
    let further: String = further
        .iter()
        .filter(|_| start == 0)
        .map(|key| format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"))
        .collect();
    let token = if more { "<NextContinuationToken>second</NextContinuationToken>" } else { "" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>{more}</IsTruncated>{token}\
         {contents}<CommonPrefixes><Prefix>elsewhere/</Prefix></CommonPrefixes>{further}</ListBucketResult>"
    )
}

fn read_request(lines: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut request = Request { method, path, range: None, authorization: None, if_match: None };
    loop {
        line.clear();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { return Ok(Some(request)) };
        let value = Some(value.trim().to_owned());
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = value,
            "authorization" => request.authorization = value,
            "if-match" => request.if_match = value,
            _ => {}
        }
    }
}

fn say(mut stream: &TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
