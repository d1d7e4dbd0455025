//! What the structs of a Parquet file are made of (parquet.thrift of format 2.12). The decoder goes by the numbers of
//! fields alone: a value of another type than its field should have would leave it in the midst of that value.

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Truth,
    Byte,
    /// Of 16, 32 or 64 bits, which are written alike.
    Integer,
    Double,
    Binary,
    List(&'static Shape),
    /// A list whose elements are never decoded together.
    OneByOne(&'static Shape),
    Struct(Fields),
}

use Shape::{Binary, Byte, Double, Integer, List, OneByOne, Struct, Truth};

impl Shape {
    /// More than what an element of a list of these takes when it is decoded, without what it refers to.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        match self {
            Struct(fields) => 64 + 48 * fields.len() as u64,
            _ => 32,
        }
    }
}

/// The fields of a struct by their numbers; others may be there too, from a later version of the format.
pub(crate) type Fields = &'static [(i64, Shape)];

pub(crate) const FILE: Fields = &[
    (1, Integer),
    (2, SCHEMA),
    (3, Integer),
    (4, OneByOne(&Struct(ROW_GROUP))),
    (5, KEY_VALUES),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (8, Struct(&[(1, AES), (2, AES)])),
    (9, Binary),
];

pub(crate) const PAGE_HEADER: Fields = &[
    (1, Integer),
    (2, Integer),
    (3, Integer),
    (4, Integer),
    (5, Struct(&[(1, Integer), (2, Integer), (3, Integer), (4, Integer), (5, STATISTICS)])),
    (6, EMPTY),
    (7, Struct(&[(1, Integer), (2, Integer), (3, Truth)])),
    (
        8,
        Struct(&[
            (1, Integer),
            (2, Integer),
            (3, Integer),
            (4, Integer),
            (5, Integer),
            (6, Integer),
            (7, Truth),
            (8, STATISTICS),
        ]),
    ),
];

const EMPTY: Shape = Struct(&[]);

const AES: Shape = Struct(&[(1, Binary), (2, Binary), (3, Truth)]);

const KEY_VALUES: Shape = List(&Struct(&[(1, Binary), (2, Binary)]));

const SCHEMA: Shape = List(&Struct(&[
    (1, Integer),
    (2, Integer),
    (3, Integer),
    (4, Binary),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, Integer),
    (9, Integer),
    (10, Struct(LOGICAL_TYPE)),
]));

const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Integer), (2, Integer)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, Byte), (2, Truth)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Integer)])),
];

const TIME: Shape = Struct(&[(1, Truth), (2, Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

const ROW_GROUP: Fields = &[
    (1, List(&Struct(COLUMN_CHUNK))),
    (2, Integer),
    (3, Integer),
    (4, List(&Struct(&[(1, Integer), (2, Truth), (3, Truth)]))),
    (5, Integer),
    (6, Integer),
    (7, Integer),
];

const COLUMN_CHUNK: Fields = &[
    (1, Binary),
    (2, Integer),
    (3, Struct(COLUMN)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, Struct(&[(1, EMPTY), (2, Struct(&[(1, List(&Binary)), (2, Binary)]))])),
    (9, Binary),
];

const COLUMN: Fields = &[
    (1, Integer),
    (2, List(&Integer)),
    (3, List(&Binary)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, KEY_VALUES),
    (9, Integer),
    (10, Integer),
    (11, Integer),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, Integer), (2, Integer), (3, Integer)]))),
    (14, Integer),
    (15, Integer),
    (16, Struct(&[(1, Integer), (2, List(&Integer)), (3, List(&Integer))])),
    (17, Struct(&[(1, BOUNDING_BOX), (2, List(&Integer))])),
];

const BOUNDING_BOX: Shape =
    Struct(&[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)]);

const STATISTICS: Shape = Struct(&[
    (1, Binary),
    (2, Binary),
    (3, Integer),
    (4, Integer),
    (5, Binary),
    (6, Binary),
    (7, Truth),
    (8, Truth),
    (9, Integer),
]);
