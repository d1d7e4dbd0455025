//! A file of Arrow IPC, read by its footer, as the stream that would have the same messages.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom};

use arrow_ipc::{Footer, MessageHeader, root_as_footer_with_opts};

use super::message::{limits, refused};
use crate::guard::guarded;

/// How a file begins and ends.
const MAGIC: &[u8] = b"ARROW1";

/// The footer's length and the magic word behind it.
const TAIL: u64 = 10;

/// Where a message lies.
#[derive(Clone, Copy, Debug)]
struct Block {
    start: u64,
    bytes: u64,
}

/// The schema, the dictionaries and the record batches that the footer names, in its order, whatever else the file has.
struct Messages {
    file: File,
    /// What is given before the next block.
    ready: io::Cursor<Vec<u8>>,
    blocks: std::vec::IntoIter<Block>,
    /// Bytes of the block that are still to be given.
    left: u64,
    ended: bool,
}

/// Reads a file; a stream in a file is read as it is. A footer may have `most` bytes.
pub(crate) fn open(mut file: File, most: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        file.seek(SeekFrom::Start(0))?;
        return Ok(Box::new(file));
    }
    let bytes = footer(&mut file, most)?;
    let found = guarded(|| {
        let most = most as usize;
        let footer = root_as_footer_with_opts(&limits(most), &bytes).map_err(|error| refused(&error, most))?;
        let end = file.metadata().map_err(|error| error.to_string())?.len() - TAIL - bytes.len() as u64;
        Ok::<_, String>((schema(footer, &bytes)?, blocks(footer, end)?))
    });
    let (schema, blocks) = found.map_err(|problem| broken(format!("the file's footer is broken: {problem}")))?;
    let ready = io::Cursor::new(schema);
    Ok(Box::new(Messages { file, ready, blocks: blocks.into_iter(), left: 0, ended: false }))
}

fn broken(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, problem.into())
}

fn footer(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let no_end = || broken("the file has no end; is it whole?");
    let length = file.metadata()?.len();
    let at = length.checked_sub(TAIL).ok_or_else(no_end)?;
    file.seek(SeekFrom::Start(at))?;
    let mut tail = [0; TAIL as usize];
    file.read_exact(&mut tail)?;
    if !tail.ends_with(MAGIC) {
        return Err(no_end());
    }
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let Some(start) = at.checked_sub(size) else {
        return Err(broken(format!("a footer of {size} bytes in a file of {length}")));
    };
    if size > most {
        return Err(broken(format!("a footer of {size} bytes, at most {most} are allowed")));
    }
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; size as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Where the messages lie, which must be before `end`.
fn blocks(footer: Footer<'_>, end: u64) -> Result<Vec<Block>, String> {
    let all = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
    let block = |block: &arrow_ipc::Block| {
        let start = u64::try_from(block.offset()).ok()?;
        let (metadata, body) = (u64::try_from(block.metaDataLength()).ok()?, u64::try_from(block.bodyLength()).ok()?);
        let bytes = metadata.checked_add(body)?;
        (start.checked_add(bytes)? <= end).then_some(Block { start, bytes })
    };
    let outside = || "a message lies outside of the file".to_owned();
    let blocks: Vec<Block> = all.map(|found| block(found).ok_or_else(outside)).collect::<Result<_, _>>()?;
    let mut ordered = blocks.clone();
    ordered.sort_unstable_by_key(|block| block.start);
    if ordered.windows(2).any(|two| two[0].start + two[0].bytes > two[1].start) {
        return Err("two messages lie in the same place".into());
    }
    Ok(blocks)
}

/// The message of the schema. The footer's is the only one that every file has; as references in a flatbuffer are
/// relative, the footer as it is becomes the end of a message that refers into it, and dictionaries keep their ids.
fn schema(footer: Footer<'_>, bytes: &[u8]) -> Result<Vec<u8>, String> {
    const HEAD: usize = 32;
    let schema = footer.schema().ok_or("it has no schema")?._tab.loc();
    let size = (HEAD + bytes.len()).next_multiple_of(8);
    let mut message = vec![0; 8 + size];
    message[..4].fill(0xff);
    let mut put = |at: usize, value: &[u8]| message[8 + at..8 + at + value.len()].copy_from_slice(value);
    let short = |value: i16| value.to_le_bytes();
    let long = |value: usize| (value as u32).to_le_bytes();
    put(0, &long(16));
    // The table of fields: its size, the message's, and where version, kind and header are in the message.
    [10, 12, 8, 10, 4].into_iter().enumerate().for_each(|(i, value)| put(4 + 2 * i, &short(value)));
    // The message: the way back to that table, the way to the header, version and kind.
    put(16, &long(16 - 4));
    put(20, &long(HEAD + schema - 20));
    put(24, &short(footer.version().0));
    put(26, &[MessageHeader::Schema.0]);
    put(HEAD, bytes);
    message[4..8].copy_from_slice(&long(size));
    Ok(message)
}

impl Read for Messages {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.ready.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if self.left > 0 {
                let wanted = self.left.min(into.len() as u64) as usize;
                let read = self.file.read(&mut into[..wanted])?;
                if read == 0 {
                    return Err(broken("the file has become shorter"));
                }
                self.left -= read as u64;
                return Ok(read);
            }
            if let Some(block) = self.blocks.next() {
                self.file.seek(SeekFrom::Start(block.start))?;
                self.left = block.bytes;
            } else if !self.ended {
                self.ended = true;
                self.ready = io::Cursor::new([&[0xff; 4][..], &[0; 4]].concat());
            } else {
                return Ok(0);
            }
        }
    }
}
