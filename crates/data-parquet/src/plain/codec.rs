use parquet::basic::Compression;
use zstd::bulk::Decompressor;

use super::Declined;

/// How pages are compressed, where they can be decompressed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Zstd,
}

impl Codec {
    pub(super) fn new(compression: Compression) -> Option<Self> {
        match compression {
            Compression::UNCOMPRESSED => Some(Self::None),
            Compression::SNAPPY => Some(Self::Snappy),
            Compression::ZSTD(_) => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What a thread needs to decode pages, one after the other.
#[derive(Default)]
pub(crate) struct Scratch {
    compressed: Vec<u8>,
    places: Vec<u32>,
    zstd: Option<Decompressor<'static>>,
    snappy: snap::raw::Decoder,
}

impl Scratch {
    /// Room for a page as it is in the file, no more than twice as large as that.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        if !(bytes..=2 * bytes).contains(&self.compressed.len()) {
            self.compressed = Vec::new();
            self.compressed = vec![0; bytes];
        }
        &mut self.compressed[..bytes]
    }

    /// Room for places in a dictionary.
    pub(super) fn places(&mut self, count: usize) -> &mut [u32] {
        if self.places.len() < count {
            self.places = Vec::new();
            self.places = vec![0; count];
        }
        &mut self.places[..count]
    }

    /// Appends what `compressed`, part of the [room](Self::room), holds to `to`, which has room for just that.
    pub(super) fn decompress(
        &mut self,
        codec: Codec,
        compressed: std::ops::Range<usize>,
        to: &mut Vec<u8>,
        bytes: usize,
    ) -> Result<(), Declined> {
        let before = to.len();
        let from = &self.compressed[compressed];
        match codec {
            Codec::None => to.extend_from_slice(from),
            Codec::Snappy => {
                to.resize(before + bytes, 0);
                let written = self.snappy.decompress(from, &mut to[before..]).map_err(|_| Declined)?;
                to.truncate(before + written);
            }
            Codec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = Some(Decompressor::new().map_err(|_| Declined)?);
                }
                let decompressor = self.zstd.as_mut().ok_or(Declined)?;
                let mut cursor = std::io::Cursor::new(&mut *to);
                cursor.set_position(before as u64);
                decompressor.decompress_to_buffer(from, &mut cursor).map_err(|_| Declined)?;
            }
        }
        if to.len() == before + bytes { Ok(()) } else { Err(Declined) }
    }
}
