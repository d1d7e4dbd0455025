//! What is compressed by gzip or Zstandard, told by its first bytes.

use std::io::{self, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Most bytes that decompressing Zstandard looks back, as a power of two: 8 MiB, as of its levels up to 19.
const WINDOW: u32 = 23;

/// Decompresses what is read, if it is compressed by gzip or Zstandard.
///
/// # Example
///
/// ```
/// use std::io::Read;
/// use tidemill_data_arrow::decompressed;
///
/// let mut text = String::new();
/// decompressed("as it is".as_bytes()).read_to_string(&mut text)?;
/// assert_eq!(text, "as it is");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn decompressed(reader: impl Read + Send + 'static) -> impl Read + Send {
    Decompressed { head: Vec::new(), unknown: Some(Box::new(reader)), known: None }
}

/// Whether bytes are the first of what is compressed.
pub(crate) fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(GZIP) || head.starts_with(ZSTD)
}

struct Decompressed {
    /// What was read to know whether it is compressed.
    head: Vec<u8>,
    unknown: Option<Box<dyn Read + Send>>,
    known: Option<(&'static str, Box<dyn Read + Send>)>,
}

impl Decompressed {
    /// Reads as far as it takes to know whether it is compressed.
    fn begin(&mut self) -> io::Result<()> {
        let Some(unknown) = &mut self.unknown else { return Ok(()) };
        while [GZIP, ZSTD].iter().any(|magic| magic.len() > self.head.len() && magic.starts_with(&self.head)) {
            let mut byte = [0];
            if unknown.read(&mut byte)? == 0 {
                break;
            }
            self.head.push(byte[0]);
        }
        let (is_gzip, is_zstd) = (self.head.starts_with(GZIP), self.head.starts_with(ZSTD));
        if let Some(unknown) = self.unknown.take() {
            let whole = Cursor::new(std::mem::take(&mut self.head)).chain(unknown);
            self.known = Some(if is_gzip {
                ("gzip", Box::new(MultiGzDecoder::new(whole)))
            } else if is_zstd {
                let mut decoder = zstd::Decoder::new(whole)?;
                decoder.window_log_max(WINDOW)?;
                ("Zstandard", Box::new(decoder))
            } else {
                ("", Box::new(whole))
            });
        }
        Ok(())
    }
}

impl Read for Decompressed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.begin()?;
        let Some((method, reader)) = &mut self.known else { return Ok(0) };
        reader.read(bytes).map_err(|error| match error.kind() {
            ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => error,
            _ if method.is_empty() => error,
            kind => io::Error::new(kind, format!("{method} cannot be decompressed: {error}; is it whole?")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// One byte at a time.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let some = bytes.len().min(1);
            self.0.read(&mut bytes[..some])
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_is_told_by_its_first_bytes() {
        let check = |bytes: &[u8], expected: &[u8]| {
            let mut found = Vec::new();
            decompressed(Trickle(Cursor::new(bytes.to_vec()))).read_to_end(&mut found).unwrap();
            assert_eq!(found, expected);
        };
        for text in [&b""[..], b"a", b"\x1f", b"\x28\xb5\x2f", b"a,b\n1,2\n"] {
            check(text, text);
            check(&gzip(text), text);
            check(&zstd::encode_all(text, 3).unwrap(), text);
        }
        check(&[gzip(b"one "), gzip(b"two")].concat(), b"one two");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let text: Vec<u8> = (0..20_000u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        for (bytes, name) in [(gzip(&text), "gzip"), (zstd::encode_all(&text[..], 3).unwrap(), "Zstandard")] {
            let cut = bytes[..bytes.len() / 2].to_vec();
            let error = decompressed(Cursor::new(cut)).read_to_end(&mut Vec::new()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} cannot be decompressed")), "{error}");
        }
    }
}
