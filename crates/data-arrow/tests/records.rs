//! Record batches become the columns that were chosen, whatever forms arrow has for their values.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::types::{Int8Type, UInt16Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow_schema::Schema as TableSchema;
use tidemill_data::{Batch, Error, Kind, Role};
use tidemill_data_arrow::{Columns, Layout};

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn records<'a>(columns: impl IntoIterator<Item = (&'a str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| {
        let nullable = column.logical_null_count() > 0;
        (name, column, nullable)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The chosen columns of all rows, taken two rows at a time.
fn read(columns: Columns, records: &RecordBatch) -> Result<Batch<f64>, Error> {
    let layout = Layout::new(columns, "here", &records.schema())?;
    let decoded = layout.decode("here", records)?;
    let mut batch = Batch::new(Arc::new(layout.schema()));
    for start in (0..decoded.rows()).step_by(2) {
        let rows = start..decoded.rows().min(start + 2);
        let refused = layout.append_batch(&decoded, rows, &mut batch);
        refused.map_err(|refused| refused.into_error(&layout, "here", start as u64))?;
    }
    Ok(batch)
}

#[test]
fn texts_of_every_form() {
    let texts = vec![Some("größe"), None, Some(""), Some("a longer text that no view holds inline"), Some("größe")];
    let forms = [
        array(StringArray::from(texts.clone())),
        array(LargeStringArray::from(texts.clone())),
        array(StringViewArray::from(texts.clone())),
        array(texts.iter().copied().collect::<DictionaryArray<Int8Type>>()),
    ];
    for form in forms {
        let data_type = form.data_type().clone();
        let batch = read(Columns::new().target("name"), &records([("name", form)])).unwrap();
        let field = &batch.schema().fields[0];
        assert_eq!((&field.kind, field.role, field.nullable), (&Kind::Text, Role::Target, true));
        let read: Vec<_> = (0..5).map(|row| batch.columns()[0].text(row)).collect();
        assert_eq!(read, texts, "{data_type}");
    }
}

#[test]
fn numbers_and_classes() {
    let values = array(Float64Array::from(vec![0.5, -1.5]));
    let keys = arrow_array::UInt16Array::from(vec![1, 0, 1]);
    let mut pairs = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    for row in 0..3 {
        pairs.values().append_slice(&[row as f32, 10.0]);
        pairs.append(true);
    }
    let table = records([
        ("weight", array(BooleanArray::from(vec![true, false, true]))),
        ("code", array(DictionaryArray::<UInt16Type>::new(keys, values))),
        ("pair", array(pairs.finish())),
        ("class", array(Int64Array::from(vec![2, 0, 1]))),
    ]);
    let columns = Columns::new().real_block("both", ["code", "class"]).feature("pair");
    let batch = read(columns.target_index("class", 3).weight("weight"), &table).unwrap();
    assert_eq!(batch.reals(0), [-1.5, 2.0, 0.5, 0.0, -1.5, 1.0]);
    assert_eq!(batch.reals(1), [0.0, 10.0, 1.0, 10.0, 2.0, 10.0]);
    assert_eq!(batch.indices(2), [2, 0, 1]);
    assert_eq!(batch.weights(), Some(&[1.0, 0.0, 1.0][..]));
}

#[test]
fn what_is_wrong_is_named() {
    let table = records([
        ("x", array(Int64Array::from(vec![Some(1), Some(2), None]))),
        ("s", array(StringArray::from(vec!["a", "b", "c"]))),
    ]);
    let check = |columns: Columns, message: &str| {
        assert_eq!(read(columns, &table).unwrap_err().to_string(), message);
    };
    check(Columns::new().feature("y"), "here: there is no column y; it has x, s");
    check(Columns::new().weight("s"), "here: column s is string, expected one number");
    check(Columns::new(), "here: no columns are chosen: choose among x, s");
    check(Columns::new().target_index("x", 2), "here, column x, row 1: 2, expected 0 to 1");
    let null = "column x is null in row 2; choose a policy for missing values: drop, a constant, or the mean";
    check(Columns::new().target_index("x", 9), null);
}

/// Later batches may have other columns, and the same ones elsewhere; but of the same type.
#[test]
fn batches_of_other_schemas() {
    let first = records([("x", array(Int64Array::from(vec![1])))]);
    let layout = Layout::new(Columns::new().feature("x"), "here", &first.schema()).unwrap();
    let moved = records([("y", array(StringArray::from(vec!["a"]))), ("x", array(Int64Array::from(vec![7])))]);
    assert_eq!(layout.locate("there", &moved.schema()).unwrap()[0].column, 1);
    let mut batch = Batch::<f32>::new(Arc::new(layout.schema()));
    layout.append_batch(&layout.decode("there", &moved).unwrap(), 0..1, &mut batch).unwrap();
    assert_eq!(batch.reals(0), [7.0]);
    let other = records([("x", array(StringArray::from(vec!["a"])))]);
    let error = layout.decode("there", &other).unwrap_err().to_string();
    assert_eq!(error, "there: column x is string, expected int64 as in here; no type holds both without loss");
    let error = layout.locate("there", &TableSchema::empty()).unwrap_err().to_string();
    assert_eq!(error, "there: there is no column x; it has ");
    let null = records([("x", array(Int64Array::from(vec![None])))]);
    let refused = layout.append_batch(&layout.decode("there", &null).unwrap(), 0..1, &mut batch).unwrap_err();
    let error = refused.into_error(&layout, "there", 41).to_string();
    assert_eq!(error, "there, column x, row 41: null, the schema says that the column has no nulls");
}
