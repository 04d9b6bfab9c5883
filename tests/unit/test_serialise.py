"""Records that come as mappings become lines: exactly what they hold, or a clear refusal."""

from __future__ import annotations

import base64
import enum
import json
import math
import traceback
from collections import OrderedDict, UserDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdds.errors import RecordError
from cdds.model import DataFile
from cdds.protocols import Lines
from cdds.records import lines_of
from cdds.records.serialise import serialise

SCHEMA = {
    "type": "object",
    "properties": {
        "plain": {"type": "string"},
        "nullable": {"type": ["string", "null"]},
        "null": {"type": "null"},
        "any": {},
        "yes": True,
    },
}


def data_file(schema: Mapping[str, Any] = SCHEMA) -> DataFile:
    return DataFile(name="thing", label="Thing", schema=schema)


def serialised(records: Sequence[Any], schema: Mapping[str, Any] = SCHEMA) -> list[Lines]:
    located = (("somewhere", number, record) for number, record in enumerate(records, start=1))
    return list(lines_of(located, data_file(schema)))


def line_of(record: Any) -> bytes:
    (lines,) = serialised([record])
    assert lines.count == 1
    assert lines.data.count(b"\n") == 1
    assert lines.data.endswith(b"\n")
    return lines.data


TEXT = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "L"]), max_size=4),  # lone surrogates
    st.sampled_from(
        ["null", "NaN", "\x00", "\u2028", '"', "\\", "\ud800", "a\udfff", "\ude00\ud83d"]
    ),
)
NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**66), 2**66),
    st.integers(-(10**100), 10**100),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4000]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal("1E+400"), Decimal("0.10"), Decimal("-0"), Decimal("1E-400"), -0.0]),
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAME, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAME, inner, max_size=2).map(MappingProxyType)
    ),
    max_leaves=10,
)


def same(found: Any, given_: Any) -> bool:
    """Tell whether what was read is what was given: types, signs and digits included."""
    match given_:
        case bool() | None | str():
            return type(found) is type(given_) and found == given_
        case int():
            return isinstance(found, int) and found == given_
        case float():
            as_float = float(found)
            return as_float == given_ and math.copysign(1, as_float) == math.copysign(1, given_)
        case Decimal():
            return Decimal(found).compare_total(given_) == 0 or Decimal(found) == given_
        case Mapping():
            return list(found) == list(given_) and all(
                same(found[name], given_[name]) for name in given_
            )
        case _:
            return len(found) == len(given_) and all(map(same, found, given_))


def read(line: bytes) -> Any:
    return json.loads(line, parse_float=Decimal)


@given(st.dictionaries(NAME.filter(lambda name: name not in SCHEMA["properties"]), VALUES))
@settings(max_examples=150)
@example({"A": "null", "B": 2**64})
@example({"A": [{"B": -(2**63) - 1}], "C": "\ud800 null"})
def test_any_mapping_comes_back_exactly(record: dict[str, Any]) -> None:
    """Integers of any size, decimals, lone surrogates, nesting; only top-level nulls go."""
    found = read(line_of(record))
    assert same(found, {name: value for name, value in record.items() if value is not None})


@given(st.dictionaries(NAME, SCALARS))
@settings(max_examples=100)
def test_lines_are_compact_and_in_order(record: dict[str, Any]) -> None:
    """No space is wasted, and members stand as they were given."""
    pairs = json.loads(line_of(record), object_pairs_hook=list)
    nullable = {"nullable", "null"}
    assert [name for name, _ in pairs] == [
        name for name, value in record.items() if value is not None or name in nullable
    ]
    simple = dict.fromkeys(record, "x")
    expected = json.dumps(simple, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert line_of(simple) == expected


def test_top_level_nulls_are_left_out_unless_the_schema_allows_them() -> None:
    """Explicitly: a property of any type does not ask for nulls."""
    record = dict.fromkeys(["plain", "nullable", "null", "any", "yes", "unknown"])
    assert read(line_of(record)) == {"nullable": None, "null": None}
    assert read(line_of({"a": {"b": None}, "c": [None]})) == {"a": {"b": None}, "c": [None]}


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.none() | st.just(UTC) | ZONES)
@settings(max_examples=150)
def test_datetimes_become_iso_8601_in_utc(moment: datetime, zone: timezone | None) -> None:
    """To the microsecond; one without a zone is UTC."""
    moment = moment.replace(tzinfo=zone)
    (text,) = read(line_of({"D": moment})).values()
    assert text.endswith("Z")
    assert len(text) in {24, 27}
    assert datetime.fromisoformat(text) == (moment if zone else moment.replace(tzinfo=UTC))


@given(st.binary(max_size=50))
@settings(max_examples=50)
def test_bytes_become_base64(data: bytes) -> None:
    """Of whatever type they are."""
    for value in (data, bytearray(data), memoryview(data)):
        found = read(line_of({"B": value, "L": [value]}))
        assert base64.b64decode(found["B"], validate=True) == data
        assert found["L"] == [found["B"]]


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict, MappingProxyType])
def test_any_kind_of_mapping_is_a_record(kind: Any) -> None:
    """Database rows and frozen mappings, too, also within a record."""
    assert read(line_of(kind({"A": 1}))) == {"A": 1}
    assert read(line_of({"A": kind({"B": kind({"C": None})})})) == {"A": {"B": {"C": None}}}


@pytest.mark.parametrize("record", [{}, {"any": None}])
def test_an_empty_record_is_a_record(record: dict[str, Any]) -> None:
    """Whether it is valid is not for this stage to say."""
    assert line_of(record) == b"{}\n"


# What JSON cannot say

SECRET = "s3cr3t-T0ken"


class Colour(enum.Enum):
    """Some type of the host's own."""

    RED = object()


class Opaque:
    """Some other type of the host's own, whose representation tells too much."""

    def __repr__(self) -> str:
        return SECRET


loop: list[Any] = [SECRET]
loop.append(loop)
deep: list[Any] = [SECRET]
for _ in range(5000):
    deep = [deep]

IMPOSSIBLE = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "decimal NaN": Decimal("NaN"),
    "decimal sNaN": Decimal("sNaN"),
    "decimal infinity": Decimal("Infinity"),
    "set": {SECRET},
    "frozenset": frozenset({SECRET}),
    "complex": 1j,
    "opaque": Opaque(),
    "type": Opaque,
    "generator": (letter for letter in SECRET),
    "range": range(3),
    "enum": Colour.RED,
    "int key": {1: SECRET},
    "None key": {None: SECRET},
    "tuple key": {("a",): SECRET},
    "bytes key": {b"a": SECRET},
    "surrogate in a name": {"\ud800": SECRET},
    "loop": loop,
    "very deep": deep,
    "very long number": 10**5000,
    "datetime out of range": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
@pytest.mark.parametrize("wrap", ["top", "list", "member", "mapping", "beside null"])
def test_what_json_cannot_say_is_refused(case: str, wrap: str) -> None:
    """With its position and a reason, and nothing of the content, wherever it stands."""
    value = IMPOSSIBLE[case]
    record: Any = {
        "top": {"A": value, "S": SECRET},
        "list": {"A": [1, value]},
        "member": {"A": {"B": value}},
        "mapping": {"A": MappingProxyType({"B": [value]})},
        "beside null": {"A": [None, "null", value], "B": {"null": None}},
    }[wrap]
    with pytest.raises(RecordError) as caught:
        serialised([{"A": 1}, {"A": SECRET}, record])
    error = caught.value
    assert (error.reject.position, error.reject.origin, error.reject.data_file) == (
        3,
        "somewhere",
        "thing",
    )
    assert error.reject.rule
    told = f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    assert SECRET not in told


@pytest.mark.parametrize("record", [None, 1, "text", [("A", 1)], ["A"], {"A"}, b"{}", Opaque()])
def test_what_is_no_mapping_is_refused(record: Any) -> None:
    """With its position."""
    with pytest.raises(RecordError, match="no mapping") as caught:
        serialised([{}, record])
    assert caught.value.reject.position == 2
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", [1, None, ("a",), b"a", 1.5, True, "\ud800", SECRET + "\udfff"])
def test_a_record_with_a_name_that_is_no_text_is_refused(name: Any) -> None:
    """Nothing is turned into text in silence."""
    with pytest.raises(RecordError) as caught:
        serialised([{name: 1}])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("depth", [1, 50, 150, 190])
@pytest.mark.parametrize("kind", ["list", "dict", "mapping"])
@pytest.mark.parametrize("leaf", [1, 2**70, None, "\ud800"])
def test_nesting_up_to_the_limit_is_kept(depth: int, kind: str, leaf: Any) -> None:
    """Whichever way a record is written."""
    value: Any = leaf
    for _ in range(depth):
        value = {"list": [value], "dict": {"a": value}, "mapping": MappingProxyType({"a": value})}[
            kind
        ]
    assert same(read(line_of({"A": value})), {"A": value})


# Batches


@given(st.lists(st.sampled_from([1, 100, 300_000, 700_000]), max_size=12))
@settings(max_examples=20)
def test_lines_come_in_groups_of_about_a_megabyte(sizes: list[int]) -> None:
    """Every record once, in order, rightly numbered; the last group is whatever is left."""
    records = [{"N": number, "A": "x" * size} for number, size in enumerate(sizes)]
    groups = serialised(records)
    number = 1
    total = 0
    for lines in groups:
        total += len(lines.data)
        assert (lines.first, lines.count) == (number, lines.data.count(b"\n"))
        assert (lines.origin, lines.at) == ("somewhere", total)
        number += lines.count
    assert number == len(records) + 1
    found = [json.loads(line) for lines in groups for line in lines.data.splitlines()]
    assert found == records
    assert all(1_000_000 <= len(lines.data) <= 2_000_000 for lines in groups[:-1])


def test_records_before_a_fault_are_not_lost_in_silence() -> None:
    """Whoever fails, fails the run; the position tells how far it was."""
    with pytest.raises(RecordError) as caught:
        serialised([{"A": "x" * 600_000}] * 5 + [{"A": {1}}])
    assert caught.value.reject.position == 6


class Level(enum.IntEnum):
    """A number with a name."""

    LOW = 0
    HUGE = 2**70


class Count(int):
    """A number of the host's own class."""


@pytest.mark.parametrize(
    ("value", "text"),
    [(Level.LOW, "0"), (Level.HUGE, str(2**70)), (Count(5), "5"), (Count(2**70), str(2**70))],
)
def test_numbers_of_other_classes_are_numbers(value: int, text: str) -> None:
    """Also where a line is looked at closely, which the text "null" is enough for."""
    line = serialise({"N": value, "T": "null"})
    assert line == b'{"N":%s,"T":"null"}\n' % text.encode()
