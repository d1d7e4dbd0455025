//! The arrow schema that writers store in a file's notes: its parts may be referred to many times, so that a few bytes
//! stand for a schema without end.

use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::file::metadata::ParquetMetaData;
use tidemill_data_arrow::check_schema_message;

/// Refuses a stored schema that is far larger than its bytes. Whatever else is wrong with it, its decoder tells.
pub(crate) fn check_stored_schema(head: &ParquetMetaData) -> Result<(), String> {
    let notes = head.file_metadata().key_value_metadata().into_iter().flatten();
    for note in notes.filter(|note| note.key == ARROW_SCHEMA_META_KEY) {
        let Some(bytes) = note.value.as_deref().and_then(base64) else { continue };
        let message = match bytes.as_slice() {
            [0xff, 0xff, 0xff, 0xff, _, _, _, _, message @ ..] => message,
            message => message,
        };
        // Honest ones take about as much as they have; a reference takes more than the four bytes that it is.
        check_schema_message(message, (64 << 10) + 16 * message.len())
            .map_err(|problem| format!("the arrow schema in its notes: {problem}"))?;
    }
    Ok(())
}

/// Decodes base64; `None` where it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let mut bits = 0u32;
        for &letter in four {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend_from_slice(bits.to_be_bytes().get(1..four.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_base64() {
        // RFC 4648, 10.
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("+/+/").as_deref(), Some(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(base64("a b"), None);
    }
}
