"""Writes the small files of CSV and Arrow IPC that the fuzzer begins with: `python corpus.py`, with pyarrow."""

import decimal
import pathlib

import pyarrow as pa
import pyarrow.ipc

here = pathlib.Path(__file__).parent / "corpus"

dates = pa.array([1, None, -1], pa.date32())
lists = [[1, 2], None, [3, None]]
columns = {
    "bool": {"a": pa.array([True, None, False])},
    "int": {"a": pa.array([1, None, -3], pa.int8()), "i": pa.array([0, 1, 2], pa.uint32())},
    "long": {"a": pa.array([2**60, 1, -(2**60)], pa.int64()), "u": pa.array([2**63, 0, 1], pa.uint64())},
    "float": {"a": pa.array([0.5, None, float("nan")]), "h": pa.array([1.5, 2.5, None], pa.float16())},
    "decimal": {
        "a": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.5")], pa.decimal128(9, 2)),
        "d": pa.array([decimal.Decimal("1.25")] * 3, pa.decimal256(40, 3)),
    },
    "time": {
        "a": dates,
        "t": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
        "u": pa.array([1, 2, 3], pa.time64("ns")),
        "v": pa.array([1, 2, 3], pa.duration("s")),
    },
    "text": {"a": pa.array(["a", None, "größe"]), "t": pa.array(["x" * 20, "", None], pa.large_string())},
    "view": {"a": pa.array(["a", None, "a longer text than fits"], pa.string_view())},
    "coded": {"a": pa.array(["a", "b", "a"]).dictionary_encode(), "c": pa.array([7, None, 7]).dictionary_encode()},
    "list": {"l": pa.array(lists, pa.list_(pa.int16())), "l2": pa.array([lists, [], None])},
    "large": {"l": pa.array(lists, pa.large_list(pa.float32())), "l2": pa.array(lists, pa.list_view(pa.int32()))},
    "fixed": {"a": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float64(), 2))},
    "texts": {
        "t": pa.array([["a", "b"], [], None]),
        "u": pa.array([["a"], ["b", "a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    },
    "binary": {"b": pa.array([b"\x00\xff", None, b""]), "c": pa.array([b"abc", b"", None], pa.binary_view())},
    "bytes": {"f": pa.array([b"abc", None, b"def"], pa.binary(3)), "i": pa.array([0, 1, 2])},
    "struct": {
        "s": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]),
        "m": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    },
    "null": {"a": pa.nulls(3), "l": pa.array([[None], None, []], pa.list_(pa.null()))},
    "union": {"a": pa.array([1, 2, 3]), "u": pa.UnionArray.from_sparse(pa.array([0, 0, 0], pa.int8()), [dates])},
    "runs": {"a": pa.array([1, 2, 3]), "r": pa.RunEndEncodedArray.from_arrays([2, 3], [1.5, 2.5])},
}


def write(name, table, new=pa.ipc.new_stream, rows=2, **options):
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True, **options)
    with pa.OSFile(str(here / "ipc" / name), "wb") as sink:
        with new(sink, table.schema, options=options) as writer:
            for batch in table.to_batches(max_chunksize=rows):
                writer.write_batch(batch)


for name, arrays in columns.items():
    write(name, pa.table(arrays))
small = pa.table({"a": columns["float"]["a"], "b": columns["coded"]["a"], "c": columns["text"]["a"]})
write("file", small, pa.ipc.new_file, rows=3)
write("zstd", small, compression="zstd")
write("lz4", small, compression="lz4")
write("legacy", small, use_legacy_format=True)
write("v4", small, metadata_version=pa.ipc.MetadataVersion.V4)
write("empty", small.slice(0, 0))
first, second = (pa.array(["a", "b", "c"][:n]).dictionary_encode() for n in (2, 3))
growing = pa.table({"a": pa.chunked_array([first, second])})
write("delta", growing, rows=3)

texts = {
    "numbers": "a,b\n1,2.5\n3,\n-4e5,nan\n",
    "texts": 'a,b\n"x, y","a ""quoted"" one"\nz\\r,"two\nlines"\n',
    "windows": "\ufeffa,b\r\n1,true\r\n\r\n2,false\r\n",
    "returns": "a,b\r1,2\r3,4\r",
    "odd": 'a,b\n1"2,"3"4\n"5"x,6\n',
    "semicolons": "a;b;c\n1;NA;2013-01-31\n-;3;2013-01-31T05:15:00\n",
    "ragged": "a,b\n1,2\n3,4,5\n6\n",
    "open": 'a,b\n1,"2\n3,4\n',
    "wide": ",".join(f"c{i}" for i in range(70)) + "\n" + ",".join("1" * 70) + "\n",
    "bare": "1,x\n2,y\n",
    "long": "a\n" + "x" * 9000 + "\n",
    "rows": "a,b\n" + "".join(f"{i},{'x' * (i % 7)}\n" for i in range(400)),
    "nothing": "a,b\n",
    "lines": "\n\n\n",
    "zeros": "a,b\n\0,1\n\0\0,2\n",
    "large": "a,b\n99999999999999999999,1e999\n-99999999999999999999,0.000000000000000000001e-400\n",
    "times": "a,b\n2013-01-31,23:59:59\n9999999-01-01,x\n",
}
for name, text in texts.items():
    (here / "csv" / name).write_bytes(text.encode())
(here / "csv" / "latin").write_bytes("a,b\ngröße,1\n".encode("latin-1"))
(here / "csv" / "halves").write_bytes(b"a,b\n\xc3,\xa9\n")
