"""SQL: every value of a column becomes the JSON that the schema asks for, and no other value's.

Both databases are real. What a value must become is written beside it, or said by a mapping of the
test's own.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sql_tables import DATABASES, dataset, execute, insert, lines, records, taken

from cdds.errors import RecordError, SourceError
from cdds.model import DataFile, Dataset, Job, Selection
from cdds.sources import Sql
from cdds.sources.sql.json_text import json_text

each_database = pytest.mark.parametrize("kind", DATABASES)


@pytest.fixture(scope="module")
def urls(new_catalog_url: Any) -> Iterator[Any]:
    """Return what gives the URL of one database of each kind."""
    with ExitStack() as stack:
        made: dict[str, str] = {}

        def url_of(kind: str) -> str:
            if kind not in made:
                made[kind] = stack.enter_context(new_catalog_url(kind))
                execute(made[kind], "CREATE TABLE there (id integer)")
            return made[kind]

        yield url_of


def one_line(url: str, expression: str, types: Any, **options: Any) -> bytes:
    """Return the line of a row with one value."""
    (line,) = lines(Sql(url, row=f"SELECT {expression} AS x", **options), dataset({"x": types}))
    return line


# What PostgreSQL's types become. None: the value is left out.

EACH_TYPE = [
    ("NULL::int", "integer", None),
    ("NULL::bytea", "string", None),
    ("NULL::bytea", "object", None),
    ("NULL::jsonb", "object", None),
    ("NULL::bool", "string", None),
    ("true", "boolean", "true"),
    ("false", "boolean", "false"),
    ("true", "integer", "1"),
    ("false", ["integer", "null"], "0"),
    ("true", None, "true"),
    ("false", "string", '"false"'),
    ("1", "boolean", "true"),
    ("0::smallint", ["boolean", "null"], "false"),
    ("7", "boolean", "7"),
    ("32767::int2", "integer", "32767"),
    ("9223372036854775807", "integer", "9223372036854775807"),
    ("-9223372036854775808", ["string", "null"], '"-9223372036854775808"'),
    ("12345678901234567890.50", "number", "12345678901234567890.50"),
    ("3.00", "integer", "3"),
    ("3.50", "integer", "3.5"),
    ("1.10", "string", '"1.10"'),
    ("'NaN'::numeric", "number", '"NaN"'),
    ("'-Infinity'::numeric", "number", '"-Infinity"'),
    ("1e30::numeric", "number", "1" + "0" * 30),
    ("0.1::float8 + 0.2::float8", "number", "0.30000000000000004"),
    ("0.1::float4", "number", "0.1"),
    ("5e-324::float8", "number", "5e-324"),
    ("'-0'::float8", "number", "-0"),
    ("'NaN'::float8", "number", '"NaN"'),
    ("'-Infinity'::float4", "number", '"-Infinity"'),
    ("1.5::float8", "string", '"1.5"'),
    ("''", "string", '""'),
    ("E'\\x01\\x1f\"\\\\/\\n\\r\\t\\x7f\\u2028'", "string",
     '"\\u0001\\u001f\\"\\\\/\\n\\r\\t\x7f\u2028"'),
    ("'€ \U0001f600'", "string", '"€ \U0001f600"'),
    ("'ab'::char(5)", "string", '"ab"'),
    ("'x'::varchar", ["string", "null"], '"x"'),
    ("'5'", "integer", '"5"'),
    ("'x'::name", "string", '"x"'),
    ("NULL", "string", None),
    ("'b'::mood", "string", '"b"'),
    ("5::positive", "integer", "5"),
    ("'[1]'::document", "array", "[1]"),
    ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "string",
     '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
    ("'10.0.0.0/8'::inet", "string", '"10.0.0.0/8"'),
    ("'10.0.0.1/24'::inet", "string", '"10.0.0.1/24"'),
    ("'10.0.0.1'::inet", "string", '"10.0.0.1"'),
    ("'10.0.0.1/32'::inet", None, '"10.0.0.1"'),
    ("'::1'::inet", "string", '"::1"'),
    ("'2001:DB8::1/64'::inet", "string", '"2001:db8::1/64"'),
    ("'10.0.0.1'::host", "string", '"10.0.0.1"'),
    ("'10.0.0.1'::inet", "object", '"10.0.0.1"'),
    ("NULL::inet", "string", None),
    ("'10.0.0.1'::cidr", "string", '"10.0.0.1/32"'),
    ("ARRAY['10.0.0.1'::inet]", "array", '["10.0.0.1"]'),
    ("'08:00:2B:01:02:03'::macaddr::text", "string", '"08:00:2b:01:02:03"'),
    ("interval '1 year 2 days 3.5 seconds'", "string", '"P1Y2DT3.5S"'),
    ("B'0101'", "string", '"0101"'),
    ("'\\x'::bytea", "string", '""'),
    ("'\\x00ff'::bytea", ["string", "null"], '"AP8="'),
    ("'\\x00ff'::bytea", None, '"AP8="'),
    ("'\\x00ff'::bytea", "integer", '"AP8="'),
    ("ARRAY[1,NULL,3]", "array", "[1,null,3]"),
    ("ARRAY['a\"','b']", ["array", "null"], '["a\\"","b"]'),
    ("ARRAY[[1],[2]]", "array", "[[1],[2]]"),
    ("'{}'::int[]", "array", "[]"),
    ("ARRAY['\\x00ff'::bytea]", "array", '["\\\\x00ff"]'),
    ("ARRAY[0.1::float8 + 0.2::float8]", "array", "[0.30000000000000004]"),
    ("ARRAY[E'[1,\\n{\"x\":\"other\"}\\n,2]'::json]", "array", '[[1, {"x":"other"} ,2]]'),
    ("E'{\"a\":\\n1}'::json", "object", '{"a": 1}'),
    ("E'{\"a\":\\r\\n1}'::json", "object", '{"a":\r 1}'),
    ("'{\"a\":1,\"a\":2}'::json", "object", '{"a":1,"a":2}'),
    ("'{\"b\":1,\"a\":\"\\n\"}'::jsonb", None, '{"a": "\\n", "b": 1}'),
    ("'[1]'::json", "string", '"[1]"'),
    ("'7'::jsonb", "integer", "7"),
    ("'null'::json", ["object", "null"], "null"),
    ("'{\"a\" : 1.0}'", "object", '{"a" : 1.0}'),
    ("convert_to('[1, \"€\"]', 'UTF8')", ["array", "null"], '[1, "€"]'),
    ("timestamp '2025-03-04 05:06:07'", "string", '"2025-03-04T05:06:07.000Z"'),
    ("timestamp '2025-03-04 05:06:07.12'", None, '"2025-03-04T05:06:07.120Z"'),
    ("timestamp '2025-03-04 05:06:07.123456'", "string", '"2025-03-04T05:06:07.123456Z"'),
    ("timestamp '2025-03-04 05:06:07.1234'", "string", '"2025-03-04T05:06:07.123400Z"'),
    ("timestamptz '2025-03-04 05:06:07+05:30'", "string", '"2025-03-03T23:36:07.000Z"'),
    ("timestamptz '2025-07-04 05:06:07.5 Europe/Berlin'", "string", '"2025-07-04T03:06:07.500Z"'),
    ("timestamp '0001-01-01'", "string", '"0001-01-01T00:00:00.000Z"'),
    ("timestamp '9999-12-31 23:59:59.999999'", "string", '"9999-12-31T23:59:59.999999Z"'),
    ("timestamptz '9999-12-31 23:30-01'", "string", '"10000-01-01 00:30:00"'),
    ("timestamp '0044-03-15 BC'", "string", '"0044-03-15 00:00:00 BC"'),
    ("timestamp 'infinity'", "string", '"infinity"'),
    ("timestamptz '-infinity'", "string", '"-infinity"'),
    ("date '2025-03-04'", "string", '"2025-03-04"'),
    ("time '05:06:07.5'", "string", '"05:06:07.5"'),
    ("timetz '05:06:07+02'", "string", '"05:06:07+02"'),
]  # fmt: skip


MISLEADING = (
    "TimeZone = 'Australia/Sydney'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'postgres_verbose'",
    "extra_float_digits = 0",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "client_encoding = 'LATIN1'",
)
"""How a server may be set, and what is read must be the same."""


@pytest.fixture(scope="module")
def typed(new_catalog_url: Any) -> Iterator[str]:
    """Return the URL of a database with types of its own, and settings that may mislead."""
    with new_catalog_url("postgresql") as url:
        name = url.partition("?")[0].rpartition("/")[2]
        execute(
            url,
            "CREATE TABLE there (id integer)",
            "CREATE TYPE mood AS ENUM ('a', 'b')",
            "CREATE DOMAIN host AS inet",
            "CREATE DOMAIN positive AS integer CHECK (value > 0)",
            "CREATE DOMAIN document AS jsonb",
            "CREATE TYPE pair AS (a integer, b text)",
            *(f"ALTER DATABASE {name} SET {setting}" for setting in MISLEADING),
        )
        yield url


@pytest.mark.parametrize(("expression", "types", "expected"), EACH_TYPE)
def test_each_type_becomes_what_the_schema_asks_for(
    typed: str, expression: str, types: Any, expected: str | None
) -> None:
    line = one_line(typed, expression, types)

    assert line == ("{}\n" if expected is None else f'{{"x":{expected}}}\n').encode()


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("ROW(1, 'a')", "record"),
        ("ROW(1, 'a')::pair", "pair"),
        ("int4range(1, 2)", "int4range"),
        ("point(1, 2)", "point"),
        ("5::money", "money"),
        ("'a'::tsvector", "tsvector"),
        ("'there'::regclass", "regclass"),
        ("7::oid", "oid"),
    ],
)
def test_a_type_that_no_record_can_hold_is_refused_by_name(
    typed: str, expression: str, name: str
) -> None:
    with pytest.raises(SourceError, match=f"column 'x' is of the type '{name}'"):
        one_line(typed, expression, None)


# What SQLite's values become: it has types of values, and a column's is a hint.

EACH_VALUE = [
    ("TEXT", None, "string", None),
    ("TEXT", 'a"\\\n\x01\x00€', "string", 'a"\\\n\x01\x00€'),
    ("", "a", None, "a"),
    ("", 5, "string", "5"),
    ("", 1.5, "string", "1.5"),
    ("", 1.5, None, 1.5),
    ("", b"\x00\xff", "string", "AP8="),
    ("BLOB", b"", "string", ""),
    ("BLOB", b"\xff", "integer", "/w=="),
    ("INTEGER", "twelve", "integer", "twelve"),
    ("INTEGER", "12", "integer", 12),
    ("INTEGER", -(2**63), "integer", -(2**63)),
    ("INTEGER", 2**63 - 1, "string", "9223372036854775807"),
    ("INTEGER", 1, "boolean", True),
    ("INTEGER", 7, "boolean", 7),
    ("BOOLEAN", 0, None, False),
    ("BOOLEAN", 1, ["integer", "null"], 1),
    ("BOOLEAN", 1, "boolean", True),
    ("BOOLEAN", "yes", "boolean", "yes"),
    ("REAL", 5e-324, "number", 5e-324),
    ("REAL", math.inf, "number", "inf"),
    ("REAL", -math.inf, None, "-inf"),
    ("DECIMAL(10, 2)", "1.10", "number", 1.1),
    ("TIMESTAMP", "2025-03-04 05:06:07", "string", "2025-03-04T05:06:07.000Z"),
    ("DATETIME", "2025-03-04T05:06:07.123456", None, "2025-03-04T05:06:07.123456Z"),
    ("TIMESTAMP", "2025-03-04 05:06:07+05:30", "string", "2025-03-03T23:36:07.000Z"),
    ("TIMESTAMP", "2025-03-04", "string", "2025-03-04T00:00:00.000Z"),
    ("TIMESTAMP", "2025-03-04 05:06:07.120", "string", "2025-03-04T05:06:07.120Z"),
    ("TIMESTAMP", "2025-03-04T05:06:07.120", None, "2025-03-04T05:06:07.120Z"),
    ("TIMESTAMP", "2025-02-30 05:06:07.120", "string", "2025-02-30 05:06:07.120"),
    ("TIMESTAMP", "2025-02-28 24:00:00.000", "string", "2025-03-01T00:00:00.000Z"),
    ("TIMESTAMP", "0001-01-01 00:00:00", "string", "0001-01-01T00:00:00.000Z"),
    ("TIMESTAMP", "0001-01-01 00:00:00+01:00", "string", "0001-01-01 00:00:00+01:00"),
    ("TIMESTAMP", "soon", "string", "soon"),
    ("TIMESTAMP", 1_700_000_000, None, 1_700_000_000),
    ("TIMESTAMP", 1_700_000_000, "string", "1700000000"),
    ("TIMESTAMP", b"\x01", "string", "AQ=="),
    ("TEXT", "2025-03-04 05:06:07", "string", "2025-03-04 05:06:07"),
    ("JSON", '{"a":\n1}', None, {"a": 1}),
    ("JSON", '{"a":1}', "string", '{"a":1}'),
    ("BLOB", b'{"a":1}', "object", {"a": 1}),
    ("BLOB", b'{"a":1}', None, "eyJhIjoxfQ=="),
    ("TEXT", "[1]", ["array", "null"], [1]),
    ("TEXT", 5, "object", 5),
    ("INTEGER", b"[]", ["array", "object"], []),
]


@pytest.mark.parametrize(("declared", "value", "types", "expected"), EACH_VALUE)
def test_each_value_becomes_what_the_schema_asks_for(
    urls: Any, declared: str, value: Any, types: Any, expected: Any
) -> None:
    url = urls("sqlite")
    execute(url, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (x {declared})")
    insert(url, "t", [(value,)])

    (line,) = lines(Sql(url, row="SELECT * FROM t"), dataset({"x": types}))

    found = json.loads(line)
    assert found == ({} if expected is None else {"x": expected})
    assert type(found.get("x")) is type(expected)


# JSON in a text or a binary.

GOOD = [
    "{}",
    '{"a":{"b":[1,2.50,1e400,"\\ud83d\\ude00\\u0000"]}}',
    '{"a":1,"a":2}',
    " [ ] ",
    "[1,\n2]",
    '{"a":"\\n"}\n',
    "[" * 400 + "]" * 400,
    '["' + "x" * 300_000 + '"]',
    '["\u2028€\U0001f600"]',
]
BAD = [
    "",
    "{",
    "}",
    '{},"STATUS":5',
    '{}}\n{"key":"injected"}\n',
    '{"key":"injected"}\n{"key":"injected"}',
    '{"a":"\n"}',
    '{"a":"\x01"}',
    '{"a":01}',
    "[1,]",
    "{'a':1}",
    "NaN",
    "[1] x",
    "\ufeff{}",
    '{"a":"\\x"}',
    '["\\ud800"]',
    "[" * 200_000 + "]" * 200_000,
]
COLUMNS = {("sqlite", "TEXT"), ("sqlite", "BLOB"), ("sqlite", ""), ("postgresql", "text")}
COLUMNS |= {("postgresql", "bytea")}
each_column = pytest.mark.parametrize(("kind", "declared"), sorted(COLUMNS))
HELD = {"key": "string", "x": ["object", "array"], "STATUS": "integer"}


def put(url: str, declared: str, *values: str | bytes) -> Sql:
    """Return a source of one row for each value, between a key and a status."""
    execute(url, "DROP TABLE IF EXISTS t", f'CREATE TABLE t (key text, x {declared}, "STATUS" int)')
    is_binary = declared in {"BLOB", "bytea"}
    given = (value.encode() if isinstance(value, str) and is_binary else value for value in values)
    insert(url, "t", [(f"key {number}", value, 1) for number, value in enumerate(given)])
    return Sql(url, row="SELECT * FROM t")


@each_column
def test_json_is_passed_on_as_it_stands(urls: Any, kind: str, declared: str) -> None:
    found = lines(put(urls(kind), declared, *GOOD), dataset(HELD))

    assert found == [
        f'{{"key":"key {number}","x":{value},"STATUS":1}}\n'.replace("\n", " ").encode()[:-1]
        + b"\n"
        for number, value in enumerate(GOOD)
    ]


@each_column
def test_what_is_no_json_is_refused_and_changes_nothing_else(
    urls: Any, kind: str, declared: str
) -> None:
    of = dataset(HELD, key="key")
    source = put(urls(kind), declared, *BAD, "{}")

    found, tally = taken(source, Job(dataset=of, on_invalid="reject"))

    assert found["row"] == [{"key": f"key {len(BAD)}", "x": {}, "STATUS": 1}]
    assert [(reject.key, reject.field) for reject in tally.rejects] == [
        (f"key {number}", "x") for number in range(len(BAD))
    ]
    for reject in tally.rejects:
        assert "injected" not in str(reject)
    with pytest.raises(RecordError) as caught:
        taken(source, Job(dataset=of))
    assert "injected" not in str(caught.value)


@pytest.mark.parametrize(("kind", "declared"), [("sqlite", "BLOB"), ("postgresql", "bytea")])
def test_what_is_no_utf_8_is_refused(urls: Any, kind: str, declared: str) -> None:
    source = put(urls(kind), declared, b'["\xff"]', b"\xff\xfe", b'["\xed\xa0\x80"]')

    found, tally = taken(source, Job(dataset=dataset(HELD, key="key"), on_invalid="reject"))

    assert found["row"] == []
    assert [reject.field for reject in tally.rejects] == ["x"] * 3


@given(
    st.one_of(
        st.text().map(str.encode),
        st.binary(),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
    st.integers(0, 20),
    st.sampled_from([b"", b"\n", b"}", b'"', b",", b"\x00", b"\\", b"]"]),
)
def test_json_is_told_from_what_is_none(value: bytes, at: int, more: bytes) -> None:
    """Whatever is put into it: it is JSON for the standard library, too, or it is refused."""
    value = value[:at] + more + value[at:]

    found = json_text(value)

    try:
        expected = json.loads(value.decode(), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert found is None
        return
    if found is None:  # the standard library takes half a pair of surrogates
        assert "\\ud" in value.decode().lower()
        return
    assert b"\n" not in found
    assert json.loads(found) == expected


@pytest.mark.parametrize("number", ["1e400", "-1E-400", "7" * 400, "0.10"])
def test_json_on_several_lines_keeps_its_numbers(number: str) -> None:
    assert json_text(f'{{"a":\n{number}\r\n}}'.encode()) == f'{{"a": {number}\r }}'.encode()


# Tables of any values, and names of any kind.

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = {
    "text": TEXTS,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "binary": st.binary(max_size=60),
    "json": st.dictionaries(TEXTS, st.integers(-5, 5) | TEXTS, max_size=3),
}
DECLARED = {
    "sqlite": dict.fromkeys(VALUES, "BLOB") | {"text": "TEXT", "boolean": "BOOLEAN"},
    "postgresql": {
        "text": "text",
        "integer": "bigint",
        "float": "double precision",
        "boolean": "boolean",
        "binary": "bytea",
        "json": "text",
    },
}
WANTED = {
    "text": ["string"],
    "integer": ["integer", "string"],
    "float": ["number"],
    "boolean": ["boolean", "integer"],
    "binary": ["string"],
    "json": ["object", "string"],
}


def as_stored(kind: str, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if kind == "json" and value is not None else value


def as_wanted(kind: str, wanted: str, value: Any) -> Any:
    """Return what a value must be in a record."""
    if kind == "binary":
        return base64.b64encode(value).decode()
    if kind == "json":
        return value if wanted == "object" else as_stored(kind, value)
    if kind == "integer" and wanted == "string":
        return str(value)
    return int(value) if kind == "boolean" and wanted == "integer" else value


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[list[Any]]]:
    """Return the kinds of some columns and what they are wanted as, and some rows."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=8))
    columns = [(kind, draw(st.sampled_from(WANTED[kind]))) for kind in kinds]
    row = st.tuples(*(st.none() | VALUES[kind] for kind in kinds)).map(list)
    return columns, draw(st.lists(row, max_size=6))


@each_database
@given(table=tables())
@settings(max_examples=60)
def test_any_table_comes_through(urls: Any, kind: str, table: Any) -> None:
    url = urls(kind)
    columns, rows = table
    declared = ", ".join(
        f"c{number} {DECLARED[kind][of]}" for number, (of, _) in enumerate(columns)
    )
    execute(url, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, {declared})")
    stored = (
        [number, *(as_stored(of, value) for (of, _), value in zip(columns, row, strict=True))]
        for number, row in enumerate(rows)
    )
    insert(url, "t", stored)

    of = dataset({"n": "integer"} | {f"c{n}": wanted for n, (_, wanted) in enumerate(columns)})
    found = records(Sql(url, row="SELECT * FROM t"), of)

    assert sorted(found, key=lambda record: record["n"]) == [
        {"n": number}
        | {
            f"c{n}": as_wanted(kind_of, wanted, value)
            for n, ((kind_of, wanted), value) in enumerate(zip(columns, row, strict=True))
            if value is not None
        }
        for number, row in enumerate(rows)
    ]


NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
    .map(lambda name: name.encode()[:60].decode(errors="ignore"))
    .filter(bool)
    .filter(lambda name: name.upper() not in {"TRUE", "FALSE"}),  # SQLite calls them column1
    st.sampled_from(["select", "from", '"', "'", "%", "%s", "%(a)s", ":a", "\\", "a\nb", "x" * 60]),
    st.sampled_from(["q", "rowid", "ctid", "$1", "?", "{}", "--", "/*", ";", "a.b", "\\'", "é"]),
)


@each_database
@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.casefold))
@example(["%", "%%", "'", '"', "\\"])
@example([f"column {number}" for number in range(101)])
@example([f"column {number}" for number in range(350)])
@settings(max_examples=60)
def test_columns_have_any_names(urls: Any, kind: str, names: list[str]) -> None:
    quoted = [name.replace('"', '""') for name in names]
    selected = ", ".join(f'{number} AS "{name}"' for number, name in enumerate(quoted))
    source = Sql(urls(kind), row=f"SELECT {selected}")

    (line,) = lines(source, dataset(dict.fromkeys(reversed(names))))

    expected = {name: number for number, name in enumerate(names)}
    assert list(json.loads(line).items()) == list(reversed(expected.items()))


@each_database
def test_a_name_that_differs_in_case_is_the_property(urls: Any, kind: str) -> None:
    source = Sql(urls(kind), row='SELECT 1 AS status, 2 AS "queueName", 3 AS other')

    (line,) = lines(source, dataset({"QUEUENAME": None, "STATUS": None}))

    assert line == b'{"QUEUENAME":2,"STATUS":1,"other":3}\n'


@each_database
@pytest.mark.parametrize("named", ["key", "timestamps", "media_type", "parent_key"])
def test_a_name_that_the_data_file_gives_is_a_property(urls: Any, kind: str, named: str) -> None:
    """Whether the schema knows it or not; PostgreSQL makes the letters of a name small."""
    given: dict[str, Any] = {named: ["IxnId"] if named == "timestamps" else "IxnId"}
    if named == "parent_key":
        given["parent"] = "first"
    of = DataFile(name="row", label="Row", schema={"type": "object"}, **given)
    first = DataFile(name="first", label="First", schema={"type": "object"}, key="id")
    source = Sql(urls(kind), row="SELECT 1 AS IXNID, 2 AS other")

    (line,) = lines(source, Dataset("Two", [first, of]))

    assert line == b'{"IxnId":1,"other":2}\n'


@each_database
@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("A", "a")])
def test_columns_that_would_be_one_property_are_refused(
    urls: Any, kind: str, names: tuple[str, str]
) -> None:
    source = Sql(urls(kind), row=f'SELECT 1 AS "{names[0]}", 2 AS "{names[1]}"')

    with pytest.raises(SourceError, match="give them other names with AS"):
        lines(source, dataset({"a": None}))


def test_columns_that_differ_in_case_are_two_where_the_database_tells_them_apart(
    urls: Any,
) -> None:
    source = Sql(urls("postgresql"), row='SELECT 1 AS "a", 2 AS "A"')

    assert records(source, dataset({"a": None, "A": None})) == [{"a": 1, "A": 2}]


@each_database
def test_a_number_is_no_float_in_between(urls: Any, kind: str) -> None:
    execute(urls(kind), "DROP TABLE IF EXISTS t", "CREATE TABLE t (x numeric(30, 10))")
    insert(urls(kind), "t", [(Decimal("0.5") if kind == "postgresql" else 0.5,)])

    assert records(Sql(urls(kind), row="SELECT * FROM t"), dataset({"x": "number"})) == [{"x": 0.5}]


@each_database
def test_records_come_one_by_one_whatever_json_holds(urls: Any, kind: str) -> None:
    """A carriage return between tokens is no end of a line."""
    source = put(urls(kind), "text", "[\r1,\r\n2]", "[]")

    with source.snapshot(dataset(HELD), Selection()) as snapshot:
        assert [record["x"] for record in snapshot.records("row")] == [[1, 2], []]
