//! The frame around a message, looked at before anything is allocated for what it says.

use arrow_ipc::{Buffer, CompressionType, RecordBatch, root_as_message_with_opts};
use flatbuffers::{InvalidFlatbuffer, VerifierOptions};

use crate::guard::guarded;

/// Marks the begin of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Bytes that a field takes in memory, or another table of the metadata; there are two to a field.
const TABLE: usize = 128;

/// What is needed for the smallest blocks of LZ4, whatever is allowed.
const LZ4_BLOCKS: usize = 256 << 10;

/// How a message is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The stream says that it is over.
    End { bytes: usize },
    /// Bytes before the metadata, of the metadata, and of the body.
    Message { head: usize, metadata: usize },
    /// More bytes are needed to tell.
    Unknown,
}

/// Reads the first bytes of a message.
pub(super) fn frame(bytes: &[u8]) -> Frame {
    let word = |at: usize| bytes.get(at..at + 4).map(|word| [word[0], word[1], word[2], word[3]]);
    // Streams of before 2019 have no continuation mark.
    let (head, size) = match word(0) {
        Some(CONTINUATION) => (8, word(4)),
        other => (4, other),
    };
    match size.map(u32::from_le_bytes) {
        None => Frame::Unknown,
        Some(0) => Frame::End { bytes: head },
        Some(size) => Frame::Message { head, metadata: size as usize },
    }
}

/// What the metadata of a message says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    pub body: usize,
    /// Rows, where it is a record batch.
    pub rows: Option<u64>,
    pub is_schema: bool,
}

/// Reads and checks the metadata; nothing in it may ask for more than `most` bytes.
pub(super) fn message(metadata: &[u8], most: usize) -> Result<Message, String> {
    guarded(|| {
        let message = root(metadata, most)?;
        let body = usize::try_from(message.bodyLength()).ok().filter(|body| metadata.len() + body <= most);
        let Some(body) = body else {
            return Err(format!("a message of {} bytes, at most {most} are allowed", message.bodyLength()));
        };
        let mut rows = None;
        if let Some(batch) = message.header_as_record_batch() {
            let length = u64::try_from(batch.length()).ok().filter(|&rows| rows <= most as u64);
            rows = Some(length.ok_or_else(|| format!("a record batch of {} rows", batch.length()))?);
        }
        Ok(Message { body, rows, is_schema: message.header_as_schema().is_some() })
    })
}

/// The metadata of a message, of which parts may be referred to many times, as if each had a place of its own: it is
/// refused where it would take more than `most` bytes then.
pub(super) fn root(metadata: &[u8], most: usize) -> Result<arrow_ipc::Message<'_>, String> {
    root_as_message_with_opts(&limits(most), metadata).map_err(|error| refused(&error, most))
}

/// Checks that an encapsulated message of a schema, as Parquet files store one, is whole and would take no more than `most`
/// bytes if each part that is referred to had a place of its own.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_schema_message(message: &[u8], most: usize) -> Result<(), String> {
    match root_as_message_with_opts(&limits(most), message) {
        Ok(_) => Ok(()),
        Err(InvalidFlatbuffer::TooManyTables | InvalidFlatbuffer::ApparentSizeTooLarge) => Err(format!(
            "it has {} bytes and refers to its parts so often that it takes more than {most}",
            message.len()
        )),
        // What is broken is told by who decodes it.
        Err(_) => Ok(()),
    }
}

pub(super) fn limits(most: usize) -> VerifierOptions {
    VerifierOptions { max_tables: most / TABLE, max_apparent_size: most, ..VerifierOptions::default() }
}

/// What is wrong with metadata, or a footer.
pub(super) fn refused(error: &InvalidFlatbuffer, most: usize) -> String {
    match error {
        InvalidFlatbuffer::TooManyTables | InvalidFlatbuffer::ApparentSizeTooLarge => {
            format!("its schema takes more than the {most} bytes that are allowed; allow a larger budget")
        }
        // Where in the metadata it is says nothing to those who do not know the format.
        broken => {
            let broken = broken.to_string();
            format!("its metadata is broken: {}", broken.lines().next().unwrap_or_default())
        }
    }
}

/// Checks that the buffers of a record batch or a dictionary lie in its body and take no more than `most` bytes, also
/// once they are decompressed, and that no array claims to be longer than bytes of that number can tell; gives the bytes
/// that the buffers take.
pub(super) fn check_buffers(batch: RecordBatch<'_>, body: &[u8], most: usize) -> Result<usize, String> {
    let longest = most as i64 * 8;
    for node in batch.nodes().into_iter().flatten() {
        let (length, nulls) = (node.length(), node.null_count());
        if !(0..=longest).contains(&length) || !(0..=length).contains(&nulls) {
            return Err(format!("a column of {length} values and {nulls} nulls"));
        }
    }
    let codec = batch.compression().map(|compression| compression.codec());
    let (mut total, mut blocks) = (0_u64, 0);
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = within(buffer, body).ok_or("a buffer lies outside of its message")?;
        total = total.saturating_add(bytes.len() as u64);
        if let (Some(codec), Some((length, compressed))) = (codec, bytes.split_first_chunk::<8>()) {
            let length = i64::from_le_bytes(*length);
            if length > 0 {
                total = total.saturating_add(length as u64);
                blocks = blocks.max(if codec == CompressionType::LZ4_FRAME { lz4_blocks(compressed) } else { 0 });
            }
        }
    }
    if total > most as u64 {
        return Err(format!("its buffers take {total} bytes, at most {most} are allowed"));
    }
    if blocks > most.max(LZ4_BLOCKS) {
        return Err(format!(
            "it is compressed in blocks for which {blocks} bytes are needed, at most {most} are allowed"
        ));
    }
    Ok(total as usize)
}

/// What the decoder of an LZ4 frame keeps for its blocks, by how the frame begins.
fn lz4_blocks(frame: &[u8]) -> usize {
    match frame {
        // Before there was a choice.
        [0x02, 0x21, 0x4c, 0x18, ..] => 3 * (8 << 20) + (64 << 10),
        [0x04, 0x22, 0x4d, 0x18, _, size, ..] => {
            let block = 1 << (8 + 2 * (size >> 4 & 7));
            3 * block + (64 << 10)
        }
        // It is refused.
        _ => 0,
    }
}

fn within<'a>(buffer: &Buffer, body: &'a [u8]) -> Option<&'a [u8]> {
    let (start, length) = (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
    body.get(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_by_their_first_bytes() {
        assert_eq!(frame(&[]), Frame::Unknown);
        assert_eq!(frame(&[0xff, 0xff, 0xff, 0xff, 1, 0, 0]), Frame::Unknown);
        assert_eq!(frame(&[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]), Frame::Message { head: 8, metadata: 1 });
        assert_eq!(frame(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), Frame::End { bytes: 8 });
        assert_eq!(frame(&[16, 1, 0, 0]), Frame::Message { head: 4, metadata: 272 });
        assert_eq!(frame(&[0, 0, 0, 0]), Frame::End { bytes: 4 });
    }

    #[test]
    fn blocks_of_lz4_are_told_by_the_frame() {
        let frame = |size| [0x04, 0x22, 0x4d, 0x18, 0x60, size, 0];
        assert_eq!(
            [0x40, 0x50, 0x60, 0x70].map(|size| lz4_blocks(&frame(size)) - (64 << 10)),
            [3, 12, 48, 192].map(|n| n << 16)
        );
        assert_eq!(lz4_blocks(b"something else"), 0);
    }
}
