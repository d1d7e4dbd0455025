//! Where the columns that are read are in a file.

use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::RowGroupMetaData;
use tidemill_data::Error;
use tidemill_data_arrow::Layout;

use crate::footer::Footer;

/// Where a read column is in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    /// Among the columns.
    pub(crate) root: usize,
    /// Among the column chunks of a row group.
    pub(crate) leaf: usize,
    /// Whether it holds timestamps in the deprecated form of 96 bits.
    pub(crate) int96: bool,
    nullable: bool,
}

impl Root {
    /// Finds the columns of a layout in a file.
    pub(crate) fn locate(layout: &Layout, footer: &Footer) -> Result<Vec<Self>, Error> {
        let places = layout.locate(&footer.path.display().to_string(), &footer.schema)?;
        let leaves = footer.leaves();
        let find = |root: usize| {
            let leaf = footer.head().file_metadata().schema_descr().column(leaves[root]);
            let int96 = leaf.physical_type() == PhysicalType::INT96;
            Self { root, leaf: leaves[root], int96, nullable: footer.schema.field(root).is_nullable() }
        };
        Ok(places.into_iter().map(find).collect())
    }

    /// Checks that a column's chunk is inside the file, and says whether there may be nulls in it.
    pub(crate) fn check(&self, group: &RowGroupMetaData, length: u64) -> Result<bool, String> {
        let chunk = group.column(self.leaf);
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let end = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok())
            .and_then(|(start, bytes)| start.checked_add(bytes));
        if end.is_none_or(|end| end > length) || chunk.uncompressed_size() < 0 {
            let bytes = chunk.compressed_size();
            return Err(format!(
                "it is said to have {bytes} bytes at {start}, which are not inside the file of {length} bytes"
            ));
        }
        Ok(self.nullable && chunk.statistics().and_then(|s| s.null_count_opt()) != Some(0))
    }
}
