"""Records in tables: what the lines hold is what the columns hold, exactly, or it is refused.

The references are `json` for what a line holds, `parse_timestamp` for what a text means as a
moment, and DuckDB, which reads Parquet with code of its own.
"""

from __future__ import annotations

import errno
import importlib
import itertools
import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdds import sample, transforms
from cdds.datasets import BUILTIN
from cdds.errors import CddsError, ExportError, JobError, MissingDependency, RecordError
from cdds.recipient.lines import whole_lines
from cdds.refusal import Refusal
from cdds.timestamps import parse_timestamp

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
arrow = importlib.import_module("cdds.recipient.arrow")  # after it is known to be there

Record: TypeAlias = dict[str, Any]

FILES = {file.name: file for dataset in BUILTIN for file in dataset.files}
MOMENT = pa.timestamp("us", "UTC")
OTHERS = "additional_properties"

EVERY_KIND = {
    "properties": {
        "text": {"type": "string"},
        "integer": {"type": "integer"},
        "number": {"type": ["number", "null"]},
        "boolean": {"type": "boolean"},
        "moment": {"type": "string", "format": "date-time"},
        "binary": {"type": "string", "contentEncoding": "base64"},
        "object": {"type": "object"},
        "several": {"type": ["string", "integer"]},
        "any": True,
    }
}


def converter(schema: Any, **options: Any) -> Any:
    return arrow.ArrowConverter(schema, data_file="thing", origin="Thing-1.json", **options)


def table(schema: Any, data: bytes, **options: Any) -> Any:
    return converter(schema, **options).to_arrow([data]).read_all()


def cut(data: bytes, ends: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(min(end, len(data)) for end in ends), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]


# Lines

ENDS = st.lists(st.integers(0, 200), max_size=8)
DATA = st.lists(st.sampled_from([b"\n", b"a", b"bcd", b"\r\n", b"x" * 30]), max_size=30).map(
    b"".join
)


@given(data=DATA, ends=ENDS, size=st.integers(1, 50))
def test_lines_come_whole_and_in_bounded_chunks(data: bytes, ends: list[int], size: int) -> None:
    chunks = list(whole_lines(cut(data, ends), size=size))
    longest = max(map(len, data.splitlines(keepends=True)), default=0)
    assert b"".join(chunks) == data
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])
    assert all(len(chunk) >= size for chunk in chunks[:-1])
    assert all(len(chunk) <= 2 * size + longest for chunk in chunks)


@given(data=DATA, ends=ENDS, size=st.integers(1, 50), limit=st.integers(1, 40))
def test_a_line_is_refused_if_it_is_too_long_and_all_before_it_are_given(
    data: bytes, ends: list[int], size: int, limit: int
) -> None:
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + lines[-1:]
    fitting = list(itertools.takewhile(lambda line: len(line) <= limit, lines))
    chunks: list[bytes] = []
    try:
        chunks.extend(whole_lines(cut(data, ends), size=size, max_line_size=limit))
    except Refusal:
        assert len(fitting) < len(lines)
    else:
        assert len(fitting) == len(lines)
    assert b"".join(chunks) == b"".join(fitting)


def test_what_has_no_line_end_is_not_gathered() -> None:
    taken = itertools.count()
    with pytest.raises(Refusal, match="longer than 1000 bytes"):
        list(whole_lines((b"x" * 100 for _ in taken), max_line_size=1000))
    assert next(taken) <= 12


# Columns


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "string"}, pa.string()),
        ({"type": ["null", "string"]}, pa.string()),
        ({"type": "integer"}, pa.int64()),
        ({"type": ["integer", "null"]}, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": ["integer", "number"]}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": "string", "format": "date-time"}, MOMENT),
        ({"type": "string", "format": "int64"}, pa.string()),
        ({"type": "string", "contentEncoding": "BASE64"}, pa.binary()),
    ],
)
def test_a_plain_type_is_the_type_of_its_column(said: Any, kind: Any) -> None:
    field = converter({"properties": {"A": said}}).schema.field("A")
    assert (field.type, field.nullable, field.metadata) == (kind, True, None)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "object"},
        {"type": "array", "items": {"type": "string"}},
        {"type": ["string", "integer"]},
        {"type": "null"},
        {"enum": [1, 2]},
        {"type": "string", "$ref": "#/definitions/x"},
        {},
        True,
        False,
    ],
)
def test_whatever_else_is_json_and_says_so(said: Any) -> None:
    field = converter({"properties": {"A": said}}).schema.field("A")
    assert field.type == pa.string()
    assert field.metadata == {b"contentMediaType": b"application/json"}


@pytest.mark.parametrize("name", FILES)
def test_the_dates_of_contact_history_are_timestamps(name: str) -> None:
    file = FILES[name]
    schema = converter(file.schema).schema
    assert schema.names == [*file.properties, OTHERS]
    dates = {
        name for name, said in file.properties.items() if "8601" in said.get("description", "")
    }
    assert {field.name for field in schema if field.type == MOMENT} == dates
    assert dates >= set(file.timestamps)


@pytest.mark.parametrize(
    "transform", [transforms.Mask("STARTDATE"), transforms.Pseudonymise("STARTDATE", key=b"k" * 32)]
)
def test_a_date_that_was_disguised_is_none(transform: Any) -> None:
    schema = converter(transform.schema_after(FILES["interaction"].schema)).schema
    assert schema.field("STARTDATE").type == pa.string()
    assert schema.field("ENDDATE").type == MOMENT


def test_other_members_have_a_column_where_the_schema_allows_them() -> None:
    properties = {OTHERS: {"type": "integer"}}
    closed = {"properties": properties, "additionalProperties": False}
    assert converter({"properties": properties}).schema.names == [OTHERS, f"_{OTHERS}"]
    assert converter(closed).schema.names == [OTHERS]
    assert converter({**closed, "patternProperties": {"^x": {}}}).schema.names[1:] == [f"_{OTHERS}"]


@pytest.mark.parametrize(
    "options",
    [
        {"timestamps": ["none"]},
        {"texts": ["none"]},
        {"timestamps": ["integer"]},
        {"batch_rows": 0},
        {"batch_bytes": 2**31},
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options: Any) -> None:
    with pytest.raises(JobError):
        converter(EVERY_KIND, **options)


# Records of our four schemas, and back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.builds(
    lambda moment, form: form(moment),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(
        [
            lambda moment: moment.isoformat(),
            lambda moment: moment.isoformat().replace("+00:00", "Z"),
            lambda moment: moment.isoformat(" ", "microseconds").replace("+00:00", "+05:30"),
            lambda moment: moment.replace(tzinfo=None).isoformat(),
            lambda moment: moment.isoformat(timespec="microseconds")[:26] + "789Z",
            lambda moment: moment.date().isoformat(),
        ]
    ),
).filter(lambda text: _moment(text) is not None)


def _moment(text: str) -> datetime | None:
    try:
        return parse_timestamp(text)
    except (ValueError, OverflowError):
        return None


def records(name: str) -> st.SearchStrategy[Record]:
    """Return records of a data file, some of them with members that its schema does not know."""
    kinds = {"string": TEXTS, "integer": INTEGERS, "object": st.dictionaries(TEXTS, JSON_VALUES)}
    schema = converter(FILES[name].schema).schema
    known = {
        name: MOMENTS if schema.field(name).type == MOMENT else kinds[said["type"]]
        for name, said in FILES[name].properties.items()
    }
    others = st.dictionaries(TEXTS.filter(lambda name: name not in known), JSON_VALUES, max_size=2)
    some = st.lists(st.sampled_from(sorted(known)), max_size=8, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: known[name] for name in names})
    )
    return st.builds(lambda known, others: known | others, some, st.just({}) | others)


def lines_of(records: Sequence[Record], *, is_ascii: bool) -> bytes:
    lines = (json.dumps(record, ensure_ascii=is_ascii) for record in records)
    return "".join(f"{line}\n" for line in lines).encode()


def read_back(schema: Any, rows: Sequence[Record]) -> list[Record]:
    """Return the records that rows are of: JSON is parsed, and what is missing is not there."""
    return [_record(schema, row) for row in rows]


def _record(schema: Any, row: Record) -> Record:
    given = {name: value for name, value in row.items() if value is not None}
    for field in schema:
        if field.metadata is not None and field.name in given:
            given[field.name] = json.loads(given[field.name])
    others: Record = given.pop(OTHERS, {})
    return given | others


def expected(name: str, records: Sequence[Record]) -> list[Record]:
    schema = converter(FILES[name].schema).schema
    dates = {field.name for field in schema if field.type == MOMENT}
    return [
        {name: parse_timestamp(value) if name in dates else value for name, value in one.items()}
        for one in records
    ]


MADE = st.sampled_from(sorted(FILES)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(records(name), max_size=6))
)


@given(
    made=MADE,
    ends=st.lists(st.integers(0, 2000), max_size=5),
    is_ascii=st.booleans(),
    rows=st.integers(1, 4),
    size=st.integers(1, 500),
)
@settings(max_examples=150)
def test_records_come_back_out_of_arrow(
    made: tuple[str, list[Record]], ends: list[int], is_ascii: bool, rows: int, size: int
) -> None:
    name, records = made
    pieces = cut(lines_of(records, is_ascii=is_ascii), ends)
    reader = converter(FILES[name].schema, batch_rows=rows, batch_bytes=size)
    batches = list(reader.batches(pieces))
    assert all(0 < batch.num_rows <= rows for batch in batches)
    for batch in batches:
        batch.validate(full=True)
    found = [row for batch in batches for row in batch.to_pylist()]
    assert read_back(reader.schema, found) == expected(name, records)


@given(made=MADE)
@settings(max_examples=30)
def test_records_come_back_out_of_parquet(folder: Any, made: tuple[str, list[Record]]) -> None:
    name, records = made
    reader = converter(FILES[name].schema, batch_rows=2)
    with folder() as home:
        reader.to_parquet([lines_of(records, is_ascii=False)], home / "a.parquet")
        read = pq.read_table(home / "a.parquet")
        assert [path.name for path in home.iterdir()] == ["a.parquet"]
    assert read.schema.equals(reader.schema, check_metadata=True)
    assert read_back(reader.schema, read.to_pylist()) == expected(name, records)


# What the fast way reads, and what is read with care

WRITTEN = st.sampled_from(
    [
        *(
            "null",
            "true",
            "1",
            "-0",
            "1.0",
            "1e2",
            "1.5",
            "1e400",
            "-1e-400",
            "1e99999999999999999",
        ),
        *("9007199254740993", "9007199254740993.0", "9223372036854775807", "9223372036854775808"),
        *("-9223372036854775808", "1" * 50, "0.1", '""', '"text"', '"\\ud83d\\ude00"', '"\\ud800"'),
        *('"2025-01-01T00:00:00Z"', '"2025-01-01"', '"2025-13-01T00:00:00Z"', '"aGk="', '"aG"'),
        *('"aG\\r\\nk="', '"Größe"', "{}", '{"a" : [1,  2.50]}', "[]", '["\\ud800"]', "[" * 3000),
        *('{"a":1,"a":2}', '"\t"', "nul", "NaN", "01", ""),
    ]
)
WRITTEN_NAMES = st.sampled_from([*EVERY_KIND["properties"], "unknown", "\\ud800", "te\\u0078t"])
LINES = st.lists(st.tuples(WRITTEN_NAMES, WRITTEN), max_size=3).map(
    lambda members: "{" + ",".join(f'"{name}": {value}' for name, value in members) + "}"
) | st.sampled_from(["", " ", "{", "[]", "1", "{} {}", '{"text": 1}}', "\r"])


@given(lines=st.lists(LINES, min_size=1, max_size=3))
@example(lines=['{"text": "a", "text": "b"}'])
@example(lines=['{"unknown": 1, "unknown": 2}'])
@settings(max_examples=500)
def test_the_fast_way_reads_what_care_reads(lines: list[str]) -> None:
    """A line means the same in any company: alone, with others, and read with care."""
    data = "\n".join(lines).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow.Rows, "fast", lambda *_: None)
        careful = _outcome(data)
    assert _outcome(data) == careful
    alone = [_outcome(line.encode()) for line in lines]
    if all(isinstance(one, list) for one in alone):
        assert careful == [row for one in alone for row in one]
    else:
        assert isinstance(careful, str)


def _outcome(data: bytes) -> Any:
    try:
        return table(EVERY_KIND, data).to_pylist()
    except RecordError as error:
        return str(error)


@given(
    written=st.from_regex(
        r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9][T t]([01][0-9]|2[0-5]):[0-6][0-9]:[0-6][0-9]"
        r"(\.[0-9]{1,9})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?",
        fullmatch=True,
    )
    | MOMENTS
)
@example(written="0000-12-31T23:59:59Z")
@example(written="0001-01-01T00:00:00+00:01")
@example(written="9999-12-31T23:59:59-00:01")
@example(written="9999-12-31T23:59:59.999999Z")
@example(written="2016-12-31T23:59:60Z")
@example(written="2025-02-29T00:00:00Z")
@example(written="2025-01-01T24:00:00Z")
@settings(max_examples=400)
def test_a_moment_is_what_time_frames_take_it_for(written: str) -> None:
    found = _outcome(json.dumps({"moment": written}).encode())
    reference = _moment(written)
    if reference is None:
        assert "moment: it is" in found
        assert written not in found
    else:
        assert [row["moment"] for row in found] == [reference]


@given(
    written=st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=30).map(lambda one: f"{one:f}")
    | st.integers(-(2**70), 2**70).map(str)
)
def test_a_number_is_the_nearest_of_64_bits(written: str) -> None:
    (row,) = _outcome(b'{"number": %s}' % written.encode())
    assert repr(row["number"]) == repr(float(written))


def test_numbers_are_exact_and_texts_what_they_say() -> None:
    data = b"""
        {"integer": 9007199254740993.0, "number": 0.1, "any": 1.50, "several": "a", "moment": ""}
        {"integer": -9223372036854775808, "number": 18446744073709551616, "binary": "aG\\r\\nk="}
    """
    first, second = table(EVERY_KIND, data).to_pylist()
    assert (first["integer"], first["number"]) == (9007199254740993, 0.1)
    assert (first["any"], first["several"], first["moment"]) == ("1.50", '"a"', None)
    assert (second["integer"], second["number"]) == (-(2**63), 2.0**64)
    assert second["binary"] == b"hi"


# What cannot be read


@pytest.mark.parametrize(
    ("field", "written", "rule"),
    [
        ("text", "123456", "its type must be string"),
        ("text", '"secret\\ud800"', "half a surrogate pair"),
        ("integer", "9223372036854775808", "beyond 64 bits"),
        ("integer", "1e99999999999999999999", "beyond 64 bits"),
        ("integer", "123456.5", "its type must be integer"),
        ("integer", '"123456"', "its type must be integer"),
        ("number", "1e400", "beyond a floating-point number"),
        ("number", "true", "its type must be number"),
        ("boolean", "123456", "its type must be boolean"),
        ("moment", '"secret"', "no ISO 8601 date and time"),
        ("moment", '"0001-01-01T00:00:00+01:00"', "outside the years 1 to 9999"),
        ("binary", '"secret!"', "no base64"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_place(
    field: str, written: str, rule: str
) -> None:
    data = b'{"text":"a"}\n' * 9 + f'\n{{"any":1,"{field}":{written}}}\n'.encode()
    for rows in (1, 100):
        with pytest.raises(RecordError, match=rule) as caught:
            table(EVERY_KIND, data, batch_rows=rows)
        assert str(caught.value).startswith(f"Thing-1.json:11: thing: {field}: ")
        assert "secret" not in str(caught.value)
        assert "123456" not in str(caught.value)
        assert caught.value.__context__ is None
    if field != "text":
        read = table(EVERY_KIND, data, texts=[field]).to_pylist()[-1][field]
        assert read == (
            written if field in {"integer", "number", "boolean"} else json.loads(written)
        )


@pytest.mark.parametrize(
    "line", [b"[]", b"{", b'{"any": "\xff"}', b'{"x": "\xff"}', b'{"\xff": 1}', b"[" * 100_000]
)
def test_a_line_that_is_no_object_is_told_by_its_number(line: bytes) -> None:
    with pytest.raises(RecordError, match=r"^Thing-1.json:3: thing: ") as caught:
        table(EVERY_KIND, b"{}\n{}\n" + line)
    assert caught.value.__context__ is None


def test_a_line_that_is_too_long_is_told_by_its_number() -> None:
    data = b'{"any": 1}\n' * 5 + b'{"any": "%s"}' % (b"x" * 100)
    with pytest.raises(RecordError, match=r"^Thing-1.json:6: thing: .* longer than 50 .* larger"):
        table(EVERY_KIND, data, max_line_size=50)


def test_a_member_that_the_schema_forbids_is_refused() -> None:
    closed = {**EVERY_KIND, "additionalProperties": False}
    with pytest.raises(RecordError, match="it has a member that the schema does not allow"):
        table(closed, b'{"secret": 1}')


def test_names_that_no_decoder_can_be_compiled_for_are_read_all_the_same() -> None:
    schema = {"properties": {'a"\\': {"type": "integer"}, "\ud800": {"type": "integer"}}}
    data = json.dumps({'a"\\': 1, "\ud800": 2}).encode()
    assert table(schema, data).to_pylist() == [{'a"\\': 1, OTHERS: '{"\\ud800":2}'}]


def test_many_columns_make_small_batches() -> None:
    """Else three bytes of an empty record would take as many values as the schema has names."""
    schema = {"properties": {f"N{number}": {"type": "string"} for number in range(20_000)}}
    batches = list(converter(schema).batches([b"{}\n" * 200]))
    assert max(batch.num_rows for batch in batches) * 20_000 <= 2**20
    assert sum(batch.num_rows for batch in batches) == 200


# Files and frames


def test_a_foreign_reader_reads_the_parquet_file(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    stated = {
        "text": "Größe\n\x00",
        "integer": 2**63 - 1,
        "number": -0.1,
        "boolean": False,
        "moment": "2025-01-01T01:00:00.123456+01:00",
        "binary": b64encode(bytes(range(256))).decode(),
        "object": {"a": [1]},
        "new": "x",
    }
    data = lines_of([stated, {}] * 3000, is_ascii=False)
    path = tmp_path / "new folder" / "all.parquet"
    converter(EVERY_KIND).to_parquet([data], path)
    duckdb.execute("SET TimeZone = 'UTC'")
    names = """ "text", "integer", "number", "boolean", epoch_us(moment), "binary", "object" """
    found = duckdb.execute(f"SELECT {names}, {OTHERS} FROM '{path}'").fetchall()
    micros = 1735689600_123456
    full = ("Größe\n\x00", 2**63 - 1, -0.1, False, micros, bytes(range(256)), '{"a": [1]}')
    assert found == [(*full, '{"new":"x"}'), (None,) * 8] * 3000


def test_no_records_make_a_file_with_its_columns(tmp_path: Path) -> None:
    reader = converter(FILES["contact"].schema)
    reader.to_parquet([], tmp_path / "none.parquet")
    read = pq.read_table(tmp_path / "none.parquet")
    assert (read.num_rows, read.schema) == (0, reader.schema)


def _failing(count: int) -> Iterator[bytes]:
    yield b'{"text": "a"}\n' * count
    raise KeyError("the part is gone")


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_what_fails_leaves_no_file(count: int, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="the part is gone"):
        converter(EVERY_KIND).to_parquet(_failing(count), tmp_path / "a.parquet")
    with pytest.raises(RecordError):
        converter(EVERY_KIND).to_parquet([b"{}\n" * count + b"["], tmp_path / "a.parquet")
    with pytest.raises(JobError, match="compression"):
        converter(EVERY_KIND).to_parquet([b"{}"], tmp_path / "a.parquet", compression="rar")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ExportError, match="No space left"):
        converter(EVERY_KIND).to_parquet([b"{}\n"], tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"mine")
    with pytest.raises(ExportError):
        converter(EVERY_KIND).to_parquet([b"{}"], path)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_come_through_a_reader_as_they_are() -> None:
    with pytest.raises(KeyError, match="the part is gone"):
        converter(EVERY_KIND).to_arrow(_failing(3)).read_all()


def test_a_frame_keeps_integers_and_moments_exactly() -> None:
    pd = pytest.importorskip("pandas")
    data = lines_of(
        [{"integer": 2**63 - 1, "boolean": True, "moment": "0001-01-01T00:00:00Z"}, {"text": "a"}],
        is_ascii=True,
    )
    frame = converter(EVERY_KIND).to_pandas([data])
    assert list(frame.columns) == [*EVERY_KIND["properties"], OTHERS]
    assert frame["integer"][0] == 2**63 - 1
    assert frame["integer"][1] is pd.NA
    assert frame["boolean"].tolist() == [True, pd.NA]
    assert frame["moment"][0].to_pydatetime() == datetime(1, 1, 1, tzinfo=UTC)
    assert frame["text"][1] == "a"


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cdds-sdk\[arrow\]'"):
        converter(EVERY_KIND).to_pandas([])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "cdds.recipient.arrow")
    with pytest.raises(MissingDependency, match=r"pip install 'cdds-sdk\[arrow\]'") as caught:
        importlib.import_module("cdds.recipient.arrow")
    assert isinstance(caught.value, CddsError)


MEASURED = """
import re, sys
from cdds.datasets import INTERACTION
from cdds.recipient.arrow import ArrowConverter

corpus, *targets = sys.argv[1:]
converter = ArrowConverter(INTERACTION.files[0].schema, data_file="interaction")
data = open(corpus, "rb").read()
for times, target in zip((10, 30), targets):
    converter.to_parquet((data for _ in range(times)), target)
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
"""Prints the peak of memory in KiB after 100 MB of records are written, and then 300 MB."""


@pytest.mark.skipif(sys.platform != "linux", reason="it is read from /proc")
def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.write_bytes(b"".join(sample.corpus(sample.Mix.DEFAULT, 10_000_000)))
    targets = (tmp_path / "few.parquet", tmp_path / "many.parquet")
    done = subprocess.run(
        (sys.executable, "-c", MEASURED, corpus, *targets),
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split())
    assert many - few < 40_000
    assert many < 400_000
