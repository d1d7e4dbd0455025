//! The frame around a message, looked at before anything is allocated for what it says.

use arrow_ipc::{Buffer, RecordBatch, root_as_message};

use crate::guard::guarded;

/// Marks the begin of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

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
        let message = root_as_message(metadata).map_err(|error| error.to_string())?;
        let body = usize::try_from(message.bodyLength()).ok().filter(|&body| body <= most);
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

/// Checks that the buffers of a record batch or a dictionary lie in its body and take no more than `most` bytes, also
/// once they are decompressed.
pub(super) fn check_body(metadata: &[u8], body: &[u8], most: usize) -> Result<(), String> {
    guarded(|| {
        let message = root_as_message(metadata).map_err(|error| error.to_string())?;
        let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
        message.header_as_record_batch().or(dictionary).map_or(Ok(()), |batch| check_buffers(batch, body, most))
    })
}

fn check_buffers(batch: RecordBatch<'_>, body: &[u8], most: usize) -> Result<(), String> {
    let compressed = batch.compression().is_some();
    let mut total = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = within(buffer, body).ok_or("a buffer lies outside of its message")?;
        total += bytes.len() as u64;
        if let (true, Some(length)) = (compressed, bytes.first_chunk::<8>()) {
            let length = i64::from_le_bytes(*length);
            if length > 0 {
                total = total.saturating_add(length as u64);
            }
        }
    }
    if total > most as u64 {
        return Err(format!("its buffers take {total} bytes, at most {most} are allowed"));
    }
    Ok(())
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
}
