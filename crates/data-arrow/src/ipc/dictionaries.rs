//! Dictionaries that record batches refer to, which stay in memory.

use std::collections::HashMap;

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_dictionary;
use arrow_ipc::{DictionaryBatch, MetadataVersion};
use arrow_schema::Schema as TableSchema;

/// The values of each dictionary by its number, and the bytes that they take.
#[derive(Default)]
pub(super) struct Dictionaries {
    pub values: HashMap<i64, ArrayRef>,
    bytes: HashMap<i64, usize>,
}

impl Dictionaries {
    /// Takes in a dictionary, or what is added to one, of so many bytes; all of them may have `most`.
    pub fn read(
        &mut self,
        batch: DictionaryBatch<'_>,
        body: &Buffer,
        schema: &TableSchema,
        version: MetadataVersion,
        bytes: usize,
        most: usize,
    ) -> Result<(), String> {
        let (id, mut of_it) = (batch.id(), bytes);
        if batch.isDelta() {
            of_it += self.bytes.get(&id).copied().unwrap_or(0);
        }
        let others = self.bytes.iter().filter(|(other, _)| **other != id);
        let all = of_it + others.map(|(_, bytes)| bytes).sum::<usize>();
        if all > most {
            return Err(format!("dictionaries of {all} bytes, at most {most} are allowed"));
        }
        read_dictionary(body, batch, schema, &mut self.values, &version).map_err(|error| error.to_string())?;
        self.bytes.insert(id, of_it);
        Ok(())
    }
}
