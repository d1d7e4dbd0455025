//! What ranks write to each other: a head of fixed length, and behind it what is short.

use std::time::Duration;

use tidemill_collective::tensor::DType;
use tidemill_collective::{Call, Error, Peer};

/// Bytes of a head.
pub(crate) const HEAD: usize = 48;
/// Longest that goes along with a head.
pub(crate) const ALONG: usize = 2048;

/// What is at the start of every message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Head {
    /// A part of a call: of which, the how manieth of the world, which of its phases, and how many bytes come, along with
    /// the head or after it.
    Call { call: Call, number: u64, phase: u8, bytes: usize },
    /// The rank makes no more calls, for a reason that goes along: so many bytes.
    Farewell { bytes: usize },
}

impl Head {
    pub(crate) fn write(self) -> [u8; HEAD] {
        let (kind, dtype, len, from, number, phase, bytes) = match self {
            Self::Farewell { bytes } => (0, DType::F32, 0, 0, 0, 0, bytes),
            Self::Call { call, number, phase, bytes } => {
                let (kind, dtype, len, from) = match call {
                    Call::Sum(dtype, len) => (1, dtype, len, 0),
                    Call::FastSum(dtype, len) => (2, dtype, len, 0),
                    Call::SumShares(dtype, len) => (3, dtype, len, 0),
                    Call::GatherShares(dtype, len) => (4, dtype, len, 0),
                    Call::Max(dtype, len) => (5, dtype, len, 0),
                    Call::Broadcast(dtype, len, from) => (6, dtype, len, from),
                    Call::Gather => (7, DType::F32, 0, 0),
                    Call::Barrier => (8, DType::F32, 0, 0),
                    Call::End => (9, DType::F32, 0, 0),
                };
                (kind, dtype, len, from, number, phase, bytes)
            }
        };
        let mut head = [0; HEAD];
        head[0] = kind;
        head[1] = u8::from(dtype == DType::F64);
        head[2] = phase;
        for (place, number) in head[8..].chunks_exact_mut(8).zip([len as u64, from as u64, number, bytes as u64]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        head
    }

    /// `None` when this is no head.
    pub(crate) fn read(head: &[u8]) -> Option<Self> {
        let word = |i: usize| Some(u64::from_le_bytes(head.get(8 + 8 * i..16 + 8 * i)?.try_into().ok()?));
        let (len, from, number, bytes) = (word(0)? as usize, word(1)? as usize, word(2)?, word(3)? as usize);
        let dtype = if head[1] == 0 { DType::F32 } else { DType::F64 };
        let call = match head[0] {
            0 => return Some(Self::Farewell { bytes }),
            1 => Call::Sum(dtype, len),
            2 => Call::FastSum(dtype, len),
            3 => Call::SumShares(dtype, len),
            4 => Call::GatherShares(dtype, len),
            5 => Call::Max(dtype, len),
            6 => Call::Broadcast(dtype, len, from),
            7 => Call::Gather,
            8 => Call::Barrier,
            9 => Call::End,
            _ => return None,
        };
        Some(Self::Call { call, number, phase: head[2], bytes })
    }
}

/// An error as bytes, at most [`ALONG`] of them: its kind and its parts, each ended by a zero.
pub(crate) fn write_error(error: &Error) -> Vec<u8> {
    let parts = match error {
        Error::Left { peer } => vec!["left".to_owned(), peer.rank.to_string()],
        Error::Panicked { peer } => vec!["panicked".to_owned(), peer.rank.to_string()],
        Error::Abandoned { peer, why } => vec!["abandoned".to_owned(), peer.rank.to_string(), text(why)],
        Error::Late { call, after, peers } => {
            let ranks = peers.iter().take(100).map(|peer| peer.rank.to_string());
            let mut parts = vec!["late".to_owned(), after.as_nanos().to_string(), text(call)];
            parts.extend(ranks);
            parts
        }
        Error::Mismatch { peer, found, expected } => {
            vec!["mismatch".to_owned(), peer.rank.to_string(), text(found), text(expected)]
        }
        Error::Transport { call, problem } => vec!["transport".to_owned(), text(call), text(problem)],
        other => vec!["transport".to_owned(), "another rank".to_owned(), text(&other.to_string())],
    };
    let mut bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.into_bytes().into_iter().chain([0])).collect();
    bytes.truncate(ALONG);
    bytes
}

/// What [`write_error`] wrote; `peer` names a rank.
pub(crate) fn read_error(bytes: &[u8], peer: impl Fn(usize) -> Peer) -> Error {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<&str> = text.split_terminator('\0').collect();
    let named = |part: &str| part.parse().ok().map(&peer);
    let known = match *parts.as_slice() {
        ["left", rank] => named(rank).map(|peer| Error::Left { peer }),
        ["panicked", rank] => named(rank).map(|peer| Error::Panicked { peer }),
        ["abandoned", rank, why] => named(rank).map(|peer| Error::Abandoned { peer, why: why.to_owned() }),
        ["late", after, call, ref ranks @ ..] => after.parse().ok().map(|after| {
            let peers = ranks.iter().copied().filter_map(named).collect();
            Error::Late { call: call.to_owned(), after: Duration::from_nanos(after), peers }
        }),
        ["mismatch", rank, found, expected] => {
            named(rank).map(|peer| Error::Mismatch { peer, found: found.to_owned(), expected: expected.to_owned() })
        }
        ["transport", call, problem] => Some(Error::Transport { call: call.to_owned(), problem: problem.to_owned() }),
        _ => None,
    };
    known.unwrap_or_else(|| Error::Transport {
        call: "farewell of another rank".to_owned(),
        problem: format!("not understood: {text}"),
    })
}

/// What of a text has room in a message.
pub(crate) fn text(text: &str) -> String {
    let mut text = text.replace('\0', " ");
    let mut end = text.len().min(ALONG / 4);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_collective::tensor::DType;
    use tidemill_collective::{Call, Error, Peer};

    use super::{ALONG, Head, read_error, write_error};

    #[test]
    fn heads_are_read_as_they_were_written() {
        let calls = [
            Call::Sum(DType::F32, 1 << 40),
            Call::FastSum(DType::F64, 7),
            Call::SumShares(DType::F32, 0),
            Call::GatherShares(DType::F64, 1),
            Call::Max(DType::F64, 9),
            Call::Broadcast(DType::F32, 3, 12),
            Call::Gather,
            Call::Barrier,
            Call::End,
        ];
        for (number, call) in calls.into_iter().enumerate() {
            let head = Head::Call { call, number: number as u64, phase: 1, bytes: 5 << 33 };
            assert_eq!(Head::read(&head.write()), Some(head));
        }
        let farewell = Head::Farewell { bytes: 17 };
        assert_eq!(Head::read(&farewell.write()), Some(farewell));
        assert_eq!(Head::read(&[200; 48]), None);
        assert_eq!(Head::read(&[1; 20]), None);
    }

    #[test]
    fn errors_are_read_as_they_were_written() {
        let peer = |rank| Peer { rank, size: 300, host: Some("node2".into()) };
        let errors = [
            Error::Left { peer: peer(1) },
            Error::Panicked { peer: peer(299) },
            Error::Abandoned { peer: peer(2), why: "no more data".into() },
            Error::Abandoned { peer: peer(2), why: String::new() },
            Error::Late { call: "barrier".into(), after: Duration::from_millis(1500), peers: vec![peer(3), peer(4)] },
            Error::Mismatch { peer: peer(0), found: "barrier".into(), expected: "gather".into() },
            Error::Transport { call: "sum of 3 f32".into(), problem: "MPI_Isend: no".into() },
        ];
        for error in errors {
            assert_eq!(read_error(&write_error(&error), peer), error);
        }
    }

    #[test]
    fn long_texts_are_cut_where_a_letter_ends() {
        let peer = |rank| Peer { rank, size: 2, host: None };
        let bytes = write_error(&Error::Abandoned { peer: peer(1), why: "ö".repeat(5000) });
        assert!(bytes.len() <= ALONG);
        let Error::Abandoned { why, .. } = read_error(&bytes, peer) else { panic!("another error") };
        assert_eq!(why, "ö".repeat(ALONG / 8));
    }
}
