//! Opening a file: its footer, looked over before and after it is decoded.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use crate::FileError;
use crate::error::{Place, guarded};
use crate::thrift::{Compact, kind};

/// Groups inside groups that a schema may have: decoders recurse, and a stack ends without an error.
const NESTING: usize = 100;

/// Whether the columns' statistics are wanted: they are most of a footer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistics {
    Keep,
    Skip,
}

/// A file, open, with what its footer says.
pub(crate) struct Footer {
    pub(crate) file: File,
    pub(crate) metadata: Arc<ParquetMetaData>,
    pub(crate) schema: SchemaRef,
}

impl Footer {
    pub(crate) fn open(path: &Path, statistics: Statistics) -> Result<Self, FileError> {
        let mut file = File::open(path).map_err(|error| FileError::io(path, error))?;
        let bytes = footer_bytes(&mut file, path)?;
        check_nesting(&bytes).map_err(|problem| FileError::not_parquet(path, problem))?;
        let (metadata, schema) = guarded(|| {
            let mut options = ParquetMetaDataOptions::new();
            if statistics == Statistics::Skip {
                options = options
                    .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
                    .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
                    .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
            }
            let metadata = Arc::new(ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options))?);
            let schema =
                ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())?.schema().clone();
            Ok::<_, ParquetError>((metadata, schema))
        })
        .map_err(|problem| FileError::not_parquet(path, problem))?;
        check_rows(&metadata, path)?;
        Ok(Self { file, metadata, schema })
    }

    /// The rows of each row group.
    pub(crate) fn group_rows(&self) -> impl ExactSizeIterator<Item = u64> {
        self.metadata.row_groups().iter().map(|group| group.num_rows() as u64)
    }

    /// The first leaf of each column: its only one, unless it is a struct or a map.
    pub(crate) fn leaves(&self) -> Vec<usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        let mut leaves = vec![None; self.schema.fields().len()];
        for leaf in 0..schema.num_columns() {
            if let Some(first) = leaves.get_mut(schema.get_column_root_idx(leaf)) {
                first.get_or_insert(leaf);
            }
        }
        leaves.into_iter().map(Option::unwrap_or_default).collect()
    }
}

fn footer_bytes(file: &mut File, path: &Path) -> Result<Vec<u8>, FileError> {
    let refused = |error| FileError::io(path, error);
    let bad = |problem: String| Err(FileError::not_parquet(path, problem));
    let metadata = file.metadata().map_err(refused)?;
    if metadata.is_dir() {
        return bad("it is a folder".into());
    }
    let length = metadata.len();
    if length < 12 {
        return bad(format!("it has {length} bytes"));
    }
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8)).map_err(refused)?;
    file.read_exact(&mut tail).map_err(refused)?;
    let [a, b, c, d, magic @ ..] = tail;
    match &magic {
        b"PAR1" => {}
        b"PARE" => return bad("its footer is encrypted".into()),
        _ => return bad("it does not end in PAR1".into()),
    }
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if size > length - 12 {
        return bad(format!("its footer is said to have {size} bytes, the file has {length}"));
    }
    file.seek(SeekFrom::End(-8 - size as i64)).map_err(refused)?;
    let mut bytes = vec![0; size as usize];
    file.read_exact(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

/// Walks the schema, a list of elements that say how many of those behind are inside them.
fn check_nesting(footer: &[u8]) -> Result<(), String> {
    let mut deepest = 0;
    let walked = Compact::new(footer).fields(|footer, id, wire| match (id, wire) {
        (2, kind::LIST) => {
            deepest = deepest.max(schema_depth(footer)?);
            Some(())
        }
        _ => footer.skip(wire),
    });
    match walked {
        Some(()) if deepest > NESTING => Err(format!("its schema is nested {deepest} deep, {NESTING} are read")),
        Some(()) => Ok(()),
        None => Err("its footer is malformed".into()),
    }
}

fn schema_depth(footer: &mut Compact) -> Option<usize> {
    let (elements, _) = footer.list()?;
    let (mut open, mut deepest) = (Vec::new(), 0);
    for _ in 0..elements {
        let mut children = 0;
        footer.fields(|element, id, wire| match (id, wire) {
            (5, kind::I32) => {
                children = element.integer()?;
                Some(())
            }
            _ => element.skip(wire),
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
            deepest = deepest.max(open.len());
        }
    }
    Some(deepest)
}

fn check_rows(metadata: &ParquetMetaData, path: &Path) -> Result<(), FileError> {
    let mut sum = 0i64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows();
        sum = match sum.checked_add(rows) {
            Some(sum) if rows >= 0 => sum,
            _ => return Err(Place::group(path, index).damaged(format!("it is said to have {rows} rows"))),
        };
    }
    let total = metadata.file_metadata().num_rows();
    if sum == total {
        return Ok(());
    }
    Err(Place::file(path).damaged(format!("the footer says {total} rows, its row groups add up to {sum}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of nothing but a schema whose elements have these numbers of children.
    fn footer(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc, children.len() as u8];
        for &n in children {
            bytes.extend([0x55, n * 2, 0]);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn depth_of_schemas() {
        for (children, depth) in [(&[2, 0, 0][..], 1), (&[2, 1, 0, 0], 2), (&[1, 1, 1, 0], 3), (&[2, 1, 0, 1, 0], 2)] {
            let bytes = footer(children);
            let mut reader = Compact::new(&bytes[1..]);
            assert_eq!(schema_depth(&mut reader), Some(depth), "{children:?}");
        }
        assert_eq!(check_nesting(&footer(&[1; 90])), Ok(()));
        assert!(check_nesting(&footer(&[1; 120])).unwrap_err().contains("nested 120 deep"));
        assert!(check_nesting(&[0x29, 0xfc]).is_err());
    }
}
