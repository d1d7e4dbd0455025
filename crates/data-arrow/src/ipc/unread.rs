//! Bytes that have come and of which no message was made yet.

use std::ops::Deref;

#[derive(Debug, Default)]
pub(super) struct Unread {
    bytes: Vec<u8>,
    from: usize,
}

impl Unread {
    /// Appends what came, where `wanted` bytes are waited for.
    pub fn push(&mut self, piece: &[u8], wanted: usize) {
        self.bytes.drain(..self.from);
        self.from = 0;
        let room = wanted.saturating_sub(self.bytes.len()).max(piece.len());
        self.bytes.reserve_exact(room);
        self.bytes.extend_from_slice(piece);
    }

    pub fn skip(&mut self, bytes: usize) {
        self.from += bytes;
        if self.from == self.bytes.len() {
            self.clear();
        }
    }

    /// Takes the first bytes: large ones as they lie, so that they are not there twice.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.len() - bytes;
        if self.from == 0 && rest <= bytes {
            let rest = self.bytes.split_off(bytes);
            return std::mem::replace(&mut self.bytes, rest);
        }
        let taken = self[..bytes].to_vec();
        self.skip(bytes);
        taken
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.from = 0;
    }
}

impl Deref for Unread {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_came() {
        let mut unread = Unread::default();
        unread.push(b"abc", 0);
        unread.push(b"defgh", 100);
        assert_eq!(unread.take(2), b"ab");
        unread.skip(1);
        assert_eq!(&*unread, b"defgh");
        unread.push(b"ij", 1);
        assert_eq!(unread.take(6), b"defghi");
        assert_eq!(unread.take(1), b"j");
        assert!(unread.is_empty() && unread.take(0).is_empty());
        unread.push(b"k", 0);
        unread.clear();
        assert!(unread.is_empty());
    }
}
