"""The gate: what it lets through, what it refuses, and what it says about it.

The reference is `json` for what a line holds and `jsonschema` for whether it fits. However fast
the gate is, it must agree with them about every line, in whatever company the line comes.
"""

from __future__ import annotations

import io
import itertools
import json
import logging
import pickle
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from vectors import cases_or_skip, vectors

from cdds.datasets import BUILTIN
from cdds.errors import JobError, RecordError, TooManyRejects
from cdds.model import DataFile, Dataset, Job, Timeframe
from cdds.protocols import Lines
from cdds.recipient.listing import max_manifest_size
from cdds.records import Gate, KeySet, Tally
from cdds.reject import Reject

Schema: TypeAlias = dict[str, Any]


# What stands at the gate, and the gate itself


@attrs.frozen
class Outcome:
    data: bytes
    tally: Tally

    @property
    def positions(self) -> list[int]:
        return [reject.position for reject in self.tally.rejects]


def data_file(schema: Mapping[str, Any], **options: Any) -> DataFile:
    return DataFile(name="thing", label="Thing", schema=schema, **options)


def group(lines: Sequence[bytes], sizes: Sequence[int] = ()) -> Iterator[Lines]:
    """Put whole lines into groups of the given sizes; the last group takes the rest."""
    first = 0
    for size in [*sizes, len(lines)]:
        some = lines[first : first + size]
        if some:
            yield Lines(b"".join(some), first + 1, len(some), "things.jsonl")
        first += len(some)


def through(
    lines: Sequence[bytes],
    file: DataFile,
    *,
    sizes: Sequence[int] = (),
    parents: KeySet | None = None,
    keys: KeySet | None = None,
    on_invalid: str = "reject",
    max_rejects: int = 1_000_000,
    **job: Any,
) -> Outcome:
    whole = Job(
        dataset=Dataset("Things", [attrs.evolve(file, parent=None, parent_key=None)]), **job
    )
    tally = Tally(on_invalid, max_rejects)  # type: ignore[arg-type]  # any of the two
    gate = Gate(file, whole, tally, parents=parents, keys=keys)
    return Outcome(b"".join(gate(lines) for lines in group(lines, sizes)), tally)


# The reference


def read(line: bytes, **options: Any) -> Any:
    """Return what `json` reads in a line, strictly: no NaN, no infinities."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(line.decode("utf-8"), parse_constant=refuse, **options)


def wanted_form(line: bytes, schema: Mapping[str, Any]) -> str | None:
    """Say how a line has to come out: "as it is", "without nulls", or None if not at all."""
    try:
        record = read(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    validator = Draft7Validator(schema)
    if validator.is_valid(record):
        return "as it is"
    if len(record) != len(read(line, object_pairs_hook=list)):
        return None  # which of two members of a name should go cannot be told
    known = schema.get("properties", {})
    bare = {name: value for name, value in record.items() if value is not None}
    some = {name: value for name, value in record.items() if name in bare or name not in known}
    valid = len(bare) < len(record) and (validator.is_valid(bare) or validator.is_valid(some))
    return "without nulls" if valid else None


def members(line: bytes) -> list[tuple[str, Any]]:
    """Return the top-level members, later ones before earlier; numbers as they are written."""
    record: dict[str, Any] = read(line, parse_int=_Text, parse_float=_Text)
    return [(name, value) for name, value in record.items() if value is not None]


class _Text(str):
    """The text of a number; never equal to a string."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


# Any line, any schema

NAMES = ["ID", "N", "F", "Größe", "a b"]

NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=30).map(str),
    st.sampled_from(
        [
            "0",
            "-0",
            "1.0",
            "-0.0",
            "1e2",
            "1E+2",
            "1.5e1",
            "10e-1",
            "1e400",
            "-1E400",
            "1e-400",
            "0.1",
            "100000000000000000001",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "9007199254740993",
        ]
    ),
)
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'),
    st.sampled_from([r"\"", r"\\", r"\n", r"\/", r"\u0000", r"\u00e9", r"\ud83d\ude00"]),
)
LONE_SURROGATES = st.sampled_from([r"\ud800", r"\uDFFF", r"\ude00\ud83d"])


def strings(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(characters, max_size=6).map(lambda parts: '"' + "".join(parts) + '"')


def spelled(name: str) -> st.SearchStrategy[str]:
    """Return a member's name as it may be written: plain or with escapes."""
    plain = json.dumps(name, ensure_ascii=False)
    escaped = '"' + "".join(f"\\u{ord(character):04x}" for character in name) + '"'
    return st.sampled_from([plain, plain, plain, escaped, json.dumps(name)])


SPACE = st.sampled_from(["", "", "", " ", "\t", "  \t"])


@st.composite
def objects(draw: st.DrawFn, names: Any, values: Any, max_size: int = 5) -> str:
    found = draw(st.lists(st.tuples(SPACE, names, SPACE, SPACE, values, SPACE), max_size=max_size))
    return "{" + ",".join(f"{a}{n}{b}:{c}{v}{d}" for a, n, b, c, v, d in found) + "}"


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(lambda items: "[" + " , ".join(items) + "]")


SCALARS = st.one_of(
    NUMBERS,
    strings(CHARACTERS),
    st.sampled_from(["null", "null", "true", "false", '""', '"abc"', '"x"', "1", "7", "{}", "[]"]),
)
ANY_NAME = st.one_of(st.sampled_from([*NAMES, "other"]).flatmap(spelled), strings(CHARACTERS))
VALUES = st.recursive(
    SCALARS, lambda inner: arrays(inner) | objects(ANY_NAME, inner, max_size=3), max_leaves=6
)
BROKEN = st.sampled_from(
    ["", "01", "+1", "1.", ".5", "tru", "nul", "NaN", "Infinity", "-Infinity", "'x'", '"x', "[1,]"]
    + ['{"a":1,}', '{"a"}', "{1:2}", '"\\x"', '"\\u12"', '"a\tb"', '"a\x00b"', "[", "]", "}", "1 2"]
    + ["/**/1", "0x1", '"\x7f"', "\ufeff1", "\xa01", "1\x0c", "--1", "1e", "[[]", '"a""b"']
)

TYPES = ["string", "integer", "number", "boolean", "null", "object", "array"]
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.just("Title"),
        "description": st.just("What it is."),
        "$id": st.just("#/properties/X"),
        "default": st.just("none"),
        "format": st.just("date-time"),
        "examples": st.just([1]),
    },
)
TYPE = st.one_of(
    st.sampled_from(TYPES), st.lists(st.sampled_from(TYPES), min_size=1, max_size=7, unique=True)
)
PLAIN = st.builds(lambda notes, kind: {**notes, "type": kind}, ANNOTATIONS, TYPE)
HARD = st.sampled_from(
    [
        {},
        True,
        False,
        {"enum": [1, "x", None, 100000000000000000001, [], {}]},
        {"const": 1},
        {"const": 9007199254740993},
        {"type": "integer", "maximum": 100000000000000000000},
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": "^[a-z]*$", "maxLength": 3},
        {"type": "object", "properties": {"ID": {"type": "string"}}, "required": ["ID"]},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        {"type": "array", "contains": {"type": "null"}},
        {"anyOf": [{"type": "string"}, {"minimum": 2}]},
        {"not": {"type": "string"}},
        {"$ref": "#/definitions/short"},
        {"if": {"type": "integer"}, "then": {"multipleOf": 7}},
    ]
)


@st.composite
def schemas(draw: st.DrawFn, properties: st.SearchStrategy[Any]) -> Schema:
    known = draw(st.lists(st.sampled_from(NAMES), unique=True))
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {name: draw(properties) for name in known},
        "definitions": {"short": {"type": "string", "maxLength": 2}},
    }
    if draw(st.booleans()) and known:
        schema["required"] = draw(st.lists(st.sampled_from(known), unique=True))
    if draw(st.integers(0, 3)) == 0:
        schema["additionalProperties"] = draw(st.booleans())
    if properties is not PLAIN and draw(st.booleans()):
        extra: list[tuple[str, Any]] = [
            ("minProperties", 2),
            ("required", ["elsewhere"]),
            ("propertyNames", {"maxLength": 4}),
            ("patternProperties", {"^[A-Z]$": {"type": "integer"}}),
            ("additionalProperties", {"type": "string"}),
            ("dependencies", {"ID": ["N"]}),
            ("type", ["object", "null"]),
        ]
        name, value = draw(st.sampled_from(extra))
        schema[name] = value
    return schema


ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", " \n", "\t\r\n"])


@st.composite
def lines(draw: st.DrawFn, values: st.SearchStrategy[str] = VALUES) -> bytes:
    start, end = draw(SPACE), draw(ENDS)
    return (start + draw(objects(ANY_NAME, values, max_size=6)) + end).encode()


@st.composite
def bad_bytes(draw: st.DrawFn) -> bytes:
    """A record with bytes that are not UTF-8, in a name or a value, known or not."""
    name = draw(st.sampled_from([b"ID", b"N", b"other", b"\xff"]))
    value = draw(
        st.sampled_from([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80"])
    )
    shape = draw(st.sampled_from([b'"%s"', b'["%s"]', b'{"a":"%s"}', b'{"%s":1}']))
    return b'{"%s":%s}\n' % (name, shape % value)


ANY_LINE = st.one_of(
    lines(),
    lines(),
    lines(),
    lines(st.one_of(SCALARS, BROKEN)),
    lines(st.one_of(SCALARS, strings(CHARACTERS | LONE_SURROGATES))),
    bad_bytes(),
    st.builds(lambda value, end: (value + end).encode(), st.one_of(VALUES, BROKEN), ENDS),
    st.sampled_from(
        [b"\n", b"\r\n", b" \t \n", b'{"ID":"x"}{"ID":"y"}\n', b'{"ID":"x"}\r{"N":1}\n']
    ),
)


def check_verdict(line: bytes, schema: Schema) -> None:
    """Assert that the gate says of one line what the reference says."""
    outcome = through([line], data_file(schema))
    if not line.strip(b" \t\r\n"):
        assert (outcome.data, outcome.tally.total, outcome.positions) == (b"", 0, [])
        return
    match wanted_form(line, schema):
        case "as it is":
            assert outcome.data == line, outcome.tally.rejects
        case "without nulls":
            assert outcome.data.endswith(b"\n")
            assert b"\n" not in outcome.data[:-1]
            assert members(outcome.data) == members(line)
            assert Draft7Validator(schema).is_valid(read(outcome.data))
        case _:
            assert outcome.data == b""
    assert outcome.tally.total == bool(outcome.data)
    assert outcome.positions == ([] if outcome.data else [1])


@given(ANY_LINE, schemas(PLAIN))
@settings(max_examples=300)
@example(b'{"N":1.0}\n', {"type": "object", "properties": {"N": {"type": "integer"}}})
@example(b'{"N":1e2}\n', {"type": "object", "properties": {"N": {"type": "integer"}}})
@example(b'{"N":true}\n', {"type": "object", "properties": {"N": {"type": "integer"}}})
@example(b'{"N":"x","N":1}\n', {"type": "object", "properties": {"N": {"type": "integer"}}})
@example(b'{"N":1,"N":"x"}\n', {"type": "object", "properties": {"N": {"type": "integer"}}})
@example(b'{"N":null,"N":"x"}\n', {"type": "object", "properties": {"N": {"type": "string"}}})
@example(b'{"N":"x","N":null}\n', {"type": "object", "properties": {"N": {"type": "string"}}})
@example(b'{"\\ud800":"\\udc00","N":null}\n', {"properties": {"N": {"type": "string"}}})
def test_a_plain_schema_is_judged_as_the_reference_judges(line: bytes, schema: Schema) -> None:
    """A line passes, as it stands or without its nulls, exactly when `jsonschema` says so."""
    check_verdict(line, schema)


@given(ANY_LINE, schemas(HARD | PLAIN))
@settings(max_examples=250)
def test_a_schema_that_cannot_be_compiled_is_judged_as_well(line: bytes, schema: Schema) -> None:
    """Keywords beyond types and required members make it slower, not different."""
    check_verdict(line, schema)


@given(st.sampled_from(BUILTIN), st.integers(0, 1), st.data())
@settings(max_examples=200)
def test_the_schemas_of_contact_history_are_judged_as_well(
    dataset: Dataset, which: int, data: st.DataObject
) -> None:
    """The same with the names and types that are shipped."""
    file = dataset.files[which]
    names = st.sampled_from(list(file.schema["properties"])).flatmap(spelled)
    text = data.draw(objects(names, SCALARS)) + "\n"
    if file.key and data.draw(st.booleans()):
        text = "{" + f'"{file.key}":"7"' + (", " if len(text) > 3 else "") + text[1:]
    check_verdict(text.encode(), dict(file.schema))


@pytest.mark.parametrize(
    "number", [100000000000000000001, -(2**63) - 2, 2**64 + 1], ids=["large", "negative", "2**64+1"]
)
@pytest.mark.parametrize("rule", ["enum", "minimum"])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_integers_beyond_64_bits_are_compared_exactly(number: int, rule: str, offset: int) -> None:
    """A rule on a number looks at the number that is written, not at the nearest float."""
    schema = {"type": "object", "properties": {"N": {rule: [number] if rule == "enum" else number}}}
    check_verdict(b'{"N":%d}\n' % (number + offset), schema)


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a\x00b", "a/b", "", " ", "é", "😀", "\x7f", "\ud800"]
)
@pytest.mark.parametrize("value", ["1", '"x"', "null"])
@pytest.mark.parametrize("closed", [False, True])
def test_a_schema_may_use_any_text_as_the_name_of_a_member(
    name: str, value: str, closed: bool
) -> None:
    """Names with quotes, backslashes and control characters are names like any other."""
    schema: Schema = {"type": "object", "properties": {name: {"type": "integer"}}}
    if closed:
        schema["additionalProperties"] = False
    check_verdict(b"{%s:%s}\n" % (json.dumps(name).encode(), value.encode()), schema)


# Company


@given(
    st.lists(ANY_LINE, max_size=12), st.lists(st.integers(1, 5), max_size=6), schemas(PLAIN | HARD)
)
@settings(max_examples=150)
def test_grouping_does_not_matter(company: list[bytes], sizes: list[int], schema: Schema) -> None:
    """Lines come out the same and are counted the same, however they are put into blocks."""
    file = data_file(schema)
    one = through(company, file)
    some = through(company, file, sizes=sizes)
    alone = [through([line], file) for line in company]
    assert some.data == one.data == b"".join(single.data for single in alone)
    assert some.tally.rejects == one.tally.rejects
    assert some.tally.total == one.tally.total == sum(single.tally.total for single in alone)
    assert one.positions == [at for at, single in enumerate(alone, 1) if single.positions]


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    "broken",
    [
        b'{"ID":"1"}{"ID":"2"}\n',
        b'{"ID":"1"},{"ID":"2"}\n',
        b'{"ID":"1"} {"ID":"2"}\n',
        b'{"ID":"1"}\r{"ID":"2"}\n',
        b'[{"ID":"1"}]\n',
        b'{"ID":\n"1"}\n',
        b'{"ID":"1",\n"N":1}\n',
        b'{"ID":"1\n2"}\n',
    ],
)
def test_a_line_is_one_record_and_a_record_is_one_line(broken: bytes, validate: bool) -> None:
    """Several records on a line, or one over two lines, are refused, also among good lines."""
    schema = {"type": "object", "properties": {"ID": {"type": "string"}}}
    good = b'{"ID":"0"}\n'
    file = data_file(schema, key="ID")
    pieces = io.BytesIO(broken).readlines()
    outcome = through([good, *pieces, good], file, keys=KeySet(), validate=validate)
    assert outcome.data == good * 2
    assert outcome.positions == list(range(2, 2 + len(pieces)))


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b'{"ID":"1"}\n', b'{"a":\r\n'])))
def test_what_is_not_read_is_passed_on_without_its_empty_lines(company: list[bytes]) -> None:
    """With nothing to validate and nothing to select, only empty lines are left out."""
    outcome = through(company, data_file({"type": "object"}), validate=False)
    full = [line for line in company if line.strip()]
    assert (outcome.data, outcome.tally.total) == (b"".join(full), len(full))


@pytest.mark.parametrize("validate", [True, False])
def test_a_line_of_blanks_is_no_record(validate: bool) -> None:
    """It is counted nowhere, whether lines are read or not."""
    outcome = through([b"  \n", b'{"ID":"1"}\n'], data_file({"type": "object"}), validate=validate)
    assert (outcome.data, outcome.tally.total) == (b'{"ID":"1"}\n', 1)


# What the vectors say


NOT_HELD = {
    "optional/content": "contentEncoding, contentMediaType are annotations (draft 7, section 8)",
    "optional/cross-draft": "a schema refers to schemas of draft 7 alone",
    "optional/ecmascript-regex": "a pattern is a regular expression of Python",
    "optional/format": "format is an annotation (draft 7, section 7.2)",
}
"""What of the suite is optional and does not hold, and why."""


def schema_files() -> dict[str, Path]:
    root = vectors()
    if root is None:
        return {}
    folder = root / "jsonschema" / "draft7"
    return {
        str(path.relative_to(folder).with_suffix("")): path
        for path in sorted(folder.rglob("*.json"))
    }


def is_held(name: str) -> bool:
    unknown_formats = name == "optional/format/unknown"
    return unknown_formats or not any(f"{name}/".startswith(f"{other}/") for other in NOT_HELD)


def cases_of(name: str, path: Path) -> Iterator[Any]:
    for number, suite in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        schema = suite["schema"]
        if name == "refRemote":
            schema = with_remotes(schema)
        for index, test in enumerate(suite["tests"]):
            yield from _wrapped(f"{path.stem}-{number}-{index}", schema, test)


def with_remotes(schema: Any) -> Any:
    """Return a schema that holds those that it refers to: nothing is ever fetched."""
    root = vectors()
    assert root is not None
    remotes = {}
    for path in sorted((root / "jsonschema" / "remotes").rglob("*.json")):
        name = path.relative_to(root / "jsonschema" / "remotes").as_posix()
        remote = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(remote, dict) and "draft2" not in name and "draft3" not in name:
            remotes[name] = {"$id": f"http://localhost:1234/{name}"} | remote
    return {"allOf": [schema], "definitions": remotes}


def schema_cases() -> Iterator[Any]:
    for name, path in schema_files().items():
        if is_held(name):
            yield from cases_of(name, path)


def _wrapped(name: str, schema: Any, test: dict[str, Any]) -> Iterator[Any]:
    data, valid = test["data"], test["valid"]
    if not re.search(r'"\$(ref|id)"', json.dumps(schema)):
        inner = {"type": "object", "properties": {"P": schema}, "required": []}
        # A null that breaks the schema is left out, and what is not there is valid.
        yield pytest.param(inner, {"P": data}, valid or data is None, id=f"{name}-property")
    if isinstance(schema, dict) and isinstance(data, dict):
        bare = {key: value for key, value in data.items() if value is not None}
        valid = valid or (len(bare) < len(data) and Draft7Validator(schema).is_valid(bare))
        yield pytest.param(schema, data, valid, id=f"{name}-record")


@pytest.mark.parametrize(("schema", "record", "valid"), cases_or_skip(list(schema_cases())))
def test_agrees_with_the_json_schema_test_suite(schema: Schema, record: Any, valid: bool) -> None:
    """Each case as a property of a record, and as a record where its data are an object."""
    line = json.dumps(record).encode() + b"\n"
    outcome = through([line], data_file(schema))
    assert bool(outcome.data) == valid
    assert outcome.positions == ([] if valid else [1])


def test_what_is_said_not_to_hold_does_not() -> None:
    for name in cases_or_skip([*NOT_HELD]) if schema_files() else ():
        verdicts = []
        for each, path in schema_files().items():
            if f"{each}/".startswith(f"{name}/") and not is_held(each):
                for case in cases_of(each, path):
                    schema, record, valid = case.values
                    verdicts.append(judged(schema, record) is valid)
        assert False in verdicts, f"{name} holds: take it off the list"


def judged(schema: Schema, record: Any) -> bool | None:
    """Return whether a record is exported, None where its schema cannot be used."""
    try:
        return bool(through([json.dumps(record).encode() + b"\n"], data_file(schema)).data)
    except JobError:
        return None


WRAPPERS = {
    "unknown": {"type": "object"},
    "known": {"type": "object", "properties": {"V": {"type": [*TYPES]}}},
    "array": {"type": "object", "properties": {"V": {"type": ["array", "object"]}}},
    "slow": {"type": "object", "properties": {"V": {}}},
}


def parsing_cases() -> Iterator[Any]:
    root = vectors()
    suite = root and root / "json" / "JSONTestSuite" / "test_parsing"
    for path in sorted(suite.glob("[ny]_*.json")) if suite else ():
        for name, schema in WRAPPERS.items():
            yield pytest.param(path, name, schema, id=f"{path.stem}-{name}")


@pytest.mark.parametrize(("path", "kind", "schema"), cases_or_skip(list(parsing_cases())))
def test_agrees_with_the_json_test_suite(path: Path, kind: str, schema: Schema) -> None:
    """What must not parse never gets out as the value of a member; what must parse does."""
    text = path.read_bytes()
    good = path.name.startswith("y_")
    if good:
        text = text.strip().replace(b"\n", b" ")  # a record stands on one line
    company = io.BytesIO(b'{"ID":"x","V":%s,"W":1}\n' % text).readlines()
    outcome = through(company, data_file(schema))
    value = json.loads(text) if good else None
    fits = good and (kind != "array" or isinstance(value, (list, dict)) or value is None)
    if fits and kind == "array" and value is None:
        assert json.loads(outcome.data) == {"ID": "x", "W": 1}
    else:
        assert outcome.data == (b"".join(company) if fits else b"")


@pytest.mark.parametrize(
    ("path", "kind", "schema"),
    cases_or_skip([case for case in parsing_cases() if case.values[1] in {"unknown", "slow"}]),
)
def test_agrees_with_the_json_test_suite_about_whole_lines(
    path: Path, kind: str, schema: Schema
) -> None:
    """The same texts as lines: an object passes, everything else is refused."""
    del kind
    text = path.read_bytes().strip(b" \t\r\n").replace(b"\n", b" ") + b"\n"
    if not text.strip():
        return
    outcome = through([text], data_file(schema))
    good = path.name.startswith("y_") and isinstance(json.loads(text), dict)
    assert outcome.data == (text if good else b"")


@pytest.mark.parametrize(
    ("path", "kind", "schema"),
    cases_or_skip([case for case in parsing_cases() if case.values[1] in {"known", "slow"}]),
)
def test_agrees_with_the_json_test_suite_where_names_are_corrected(
    path: Path, kind: str, schema: Schema
) -> None:
    """A line is held to be JSON before a name in it is changed."""
    del kind
    text = path.read_bytes()
    good = path.name.startswith("y_")
    if good:
        text = text.strip().replace(b"\n", b" ")
    file = data_file(schema, key="ID")
    company = io.BytesIO(b'{"id":"x","V":%s,"W":1}\n' % text).readlines()
    expected = b'{"ID":"x","V":%s,"W":1}\n' % text if good else b""
    assert through(company, file, match_case=False).data == expected
    if b"\n" not in text:
        assert (
            through([b'{"id":"x"} %s\n' % (text.strip() or b"1")], file, match_case=False).data
            == b""
        )


NO_JSON = [
    b'{"id":"1"} {"id":"2"}',
    b'{"id"="1"}',
    b'{"id":"1" "n":2}',
    b'{"id":"1",}',
    b'{,"id":"1"}',
    b'{"id":"1","n":NaN}',
    b'{"id":"1","n":-Infinity}',
    b'{"id":"1"}]',
    b'{"id":"1"',
    b'{"id":"1",2:3}',
    b'{"id":"1"}\xc2\xa0',
    b'["id","1"]',
    b"7",
]


@pytest.mark.parametrize("line", NO_JSON)
@pytest.mark.parametrize("validate", [True, False])
def test_what_is_no_record_is_refused_where_names_are_corrected(
    line: bytes, validate: bool
) -> None:
    """One reject, and what stands beside it passes; nothing is mended in silence."""
    file = data_file({"type": "object", "properties": {"ID": {"type": "string"}}}, key="ID")
    good = b'{"ID":"0"}\n'
    company = [good, line + b"\n", good]
    outcome = through(company, file, match_case=False, validate=validate)
    assert (outcome.data, outcome.positions) == (good * 2, [2])


@pytest.mark.parametrize("depth", [10, 100, 200, 100_000])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
@pytest.mark.parametrize("schema", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("validate", [True, False])
def test_deep_nesting_is_read_or_refused_but_never_breaks_anything(
    depth: int, shape: tuple[bytes, bytes], schema: Schema, validate: bool
) -> None:
    """A few hundred levels are fine; a hundred thousand are one refusal."""
    opening, closing = shape
    line = b'{"ID":"1","V":' + opening * depth + b"1" + closing * depth + b"}\n"
    good = b'{"ID":"2"}\n'
    file = data_file(schema, key="ID")
    outcome = through([line, good], file, keys=KeySet(), validate=validate)
    if depth <= 200:
        assert outcome.data == line + good
    else:
        assert outcome.data in {good, line + good}
        assert len(outcome.positions) == (outcome.data == good)


# Selection

KINDS = ["chat", "email", "voice", "Straße", "ÉTÉ"]


def recased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [name, name.upper(), name.lower(), name.title(), name.swapcase(), f" {name} "]
    )


CHAT = {
    "type": "object",
    "properties": {
        "ID": {"type": "string"},
        "KIND": {"type": "string"},
        "MODIFIED": {"type": "string"},
        "CREATED": {"type": "string"},
    },
}
CHAT_HARD = {**CHAT, "minProperties": 0}
CHAT_CLOSED = {"type": "object", "additionalProperties": False, "properties": CHAT["properties"]}
MODES = [(CHAT, True), (CHAT, False), (CHAT_HARD, True), (CHAT_CLOSED, True)]
modes = pytest.mark.parametrize(
    ("schema", "validate"), MODES, ids=["fast", "unread", "slow", "closed"]
)


def as_lines(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    return [json.dumps(record).encode() + b"\n" for record in records]


@modes
@given(
    st.lists(st.none() | st.sampled_from(KINDS).flatmap(recased), max_size=10),
    st.lists(st.sampled_from(KINDS).flatmap(recased), min_size=1),
    st.lists(st.integers(1, 4)),
)
@settings(max_examples=60)
def test_media_types_are_selected_without_regard_to_case(
    schema: Schema, validate: bool, kinds: list[str | None], wanted: list[str], sizes: list[int]
) -> None:
    """A record passes exactly if its media type is one of those wanted, whatever their case."""
    company = as_lines(
        [
            {"ID": str(number)} | ({} if kind is None else {"KIND": kind})
            for number, kind in enumerate(kinds)
        ]
    )
    chosen = {name.strip().casefold() for name in wanted}
    expected = [
        line
        for line, kind in zip(company, kinds, strict=True)
        if kind is not None and kind.strip().casefold() in chosen
    ]
    file = data_file(schema, media_type="KIND")
    outcome = through(company, file, sizes=sizes, media_types=wanted, validate=validate)
    assert outcome.data == b"".join(expected)
    assert (outcome.tally.total, outcome.positions) == (len(expected), [])


ZONES = st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-14 * 60, 14 * 60)
)
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def ways_to_write(moment: datetime) -> st.SearchStrategy[str]:
    """Return texts that all mean an aware moment."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    basic = f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03}Z"
    texts = [
        moment.isoformat(),
        moment.isoformat(sep=" "),
        moment.isoformat(timespec="microseconds"),
        utc.isoformat() + "Z",
        utc.isoformat(timespec="milliseconds") + "Z",
        utc.isoformat(),  # without a zone it is UTC
        utc.isoformat(sep=" ", timespec="milliseconds"),
        utc.isoformat(timespec="milliseconds").replace(".", ",") + "Z",
        basic if utc.year >= 1000 else utc.isoformat(),
    ]
    if utc.time() == datetime.min.time():
        texts += [utc.date().isoformat()]
    return st.sampled_from(texts)


@st.composite
def dated(draw: st.DrawFn) -> tuple[datetime, str]:
    moment = draw(MOMENTS).replace(tzinfo=UTC)
    if draw(st.integers(0, 4)) == 0:
        moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = moment.astimezone(draw(ZONES))
    return moment, draw(ways_to_write(moment))


@modes
@given(st.lists(dated(), min_size=1, max_size=8), st.data())
@settings(max_examples=80)
def test_a_time_frame_holds_its_start_and_not_its_end(
    schema: Schema, validate: bool, found: list[tuple[datetime, str]], data: st.DataObject
) -> None:
    """Half-open at both ends, to the microsecond, in whatever zone and form times are written."""
    moments = [moment for moment, _ in found]
    near = st.sampled_from(moments).flatmap(
        lambda moment: st.sampled_from([-1, 0, 1]).map(
            lambda step: moment + timedelta(microseconds=step)
        )
    )
    borders = sorted([data.draw(near), data.draw(near)])
    start, end = (data.draw(st.sampled_from([None, border])) for border in borders)
    company = as_lines([{"ID": "x", "CREATED": text} for _, text in found])
    file = data_file(schema, timestamps=["CREATED"])
    outcome = through(company, file, timeframe=Timeframe(start, end), validate=validate)
    expected = [
        line
        for line, moment in zip(company, moments, strict=True)
        if (start is None or start <= moment) and (end is None or moment < end)
    ]
    assert outcome.data == b"".join(expected)
    assert (outcome.tally.total, outcome.tally.undated) == (len(expected), 0)
    assert outcome.positions == []


@given(st.lists(dated(), max_size=6), dated())
@settings(max_examples=50)
def test_windows_that_meet_leave_no_gap_and_do_not_overlap(
    found: list[tuple[datetime, str]], border: tuple[datetime, str]
) -> None:
    """Every dated record is in exactly one of two windows that share a border."""
    file = data_file(CHAT, timestamps=["CREATED"])
    middle = found[0][0] if found else border[0]
    company = as_lines([{"ID": str(at), "CREATED": text} for at, (_, text) in enumerate(found)])
    before = through(company, file, timeframe=Timeframe(None, middle)).data.splitlines(True)
    after = through(company, file, timeframe=Timeframe(middle, None)).data.splitlines(True)
    assert sorted(before + after) == sorted(company)


@modes
@pytest.mark.parametrize("undated", ["missing", "empty", "null"])
def test_undated_records_are_left_out_and_counted_only_by_a_time_frame(
    schema: Schema, validate: bool, undated: str
) -> None:
    """Without a timestamp nothing tells whether a record is inside; without a frame it passes."""
    record = {"missing": {"ID": "1"}, "empty": {"ID": "1", "CREATED": ""}}.get(
        undated, {"ID": "1", "CREATED": None}
    )
    dated_line = b'{"CREATED":"2025-01-01"}\n'
    company = [*as_lines([record]), dated_line]
    file = data_file(schema, timestamps=["CREATED"])
    frame = Timeframe(datetime(2025, 1, 1, tzinfo=UTC), None)
    with_frame = through(company, file, timeframe=frame, validate=validate)
    assert (with_frame.data, with_frame.tally.undated) == (dated_line, 1)
    assert with_frame.tally.total == 1
    without = through(company, file, validate=validate)
    assert (without.tally.total, without.tally.undated) == (2, 0)
    assert without.data.splitlines(True)[1] == dated_line


@modes
def test_the_first_timestamp_that_is_there_counts(schema: Schema, validate: bool) -> None:
    """Later ones are looked at only when those before are not there."""
    company = as_lines(
        [
            {"MODIFIED": "2025-01-02", "CREATED": "2024-01-01"},
            {"MODIFIED": "2024-01-02", "CREATED": "2025-01-01"},
            {"CREATED": "2025-01-01"},
            {"MODIFIED": "", "CREATED": "2025-01-01"},
        ]
    )
    file = data_file(schema, timestamps=["MODIFIED", "CREATED"])
    frame = Timeframe(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    outcome = through(company, file, timeframe=frame, validate=validate)
    assert outcome.data == b"".join([company[0], *company[2:]])


@modes
@pytest.mark.parametrize(
    "text",
    ["yesterday", "2025-13-01", "2025-01-01T25:00", "01/02/2025", "1735689600", "2025-02-30", "T"]
    + ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-01-01T00:00:00Zulu", "é"],
)
def test_an_unreadable_timestamp_is_a_reject(schema: Schema, validate: bool, text: str) -> None:
    """It is neither inside nor outside, so it is told, with its field and not its text."""
    company = as_lines([{"CREATED": "2025-01-01"}, {"ID": "7", "CREATED": text}])
    file = data_file(schema, timestamps=["CREATED"])
    outcome = through(company, file, timeframe=Timeframe(), validate=validate)
    assert outcome.data == company[0]
    (reject,) = outcome.tally.rejects
    assert (reject.position, reject.field) == (2, "CREATED")
    assert text not in reject.rule or text == "T"


@pytest.mark.parametrize("value", [17, 1.5, True, [], {}])
def test_a_timestamp_that_is_no_text_is_a_reject(value: Any) -> None:
    """Also where the schema allows it."""
    file = data_file({"type": "object"}, timestamps=["CREATED"])
    outcome = through(as_lines([{"CREATED": value}]), file, timeframe=Timeframe())
    assert (outcome.data, outcome.positions) == (b"", [1])


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("option", ["key", "media_type", "timestamps"])
def test_what_is_selected_by_may_be_unknown_to_a_closed_schema(option: str, validate: bool) -> None:
    """No record can have it, so none is selected by it; nothing breaks."""
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    file = data_file(schema, **{option: ["X"] if option == "timestamps" else "X"})
    selections: dict[str, dict[str, Any]] = {
        "key": {},
        "media_type": {"media_types": ["chat"]},
        "timestamps": {"timeframe": Timeframe()},
    }
    selection = selections[option]
    outcome = through([b"{}\n"], file, keys=KeySet(), validate=validate, **selection)
    assert outcome.positions == []
    assert outcome.data == (b"{}\n" if option == "key" else b"")


@modes
@given(
    st.lists(st.sampled_from(["1", "2", "3", "é", ""]), max_size=6),
    st.sets(st.sampled_from(["1", "3", "é", "", "9"])),
)
@settings(max_examples=50)
def test_children_pass_exactly_with_their_parents(
    schema: Schema, validate: bool, found: list[str], selected: set[str]
) -> None:
    """A record passes exactly if its parent was selected; the others are counted."""
    parents = KeySet()
    parents.update(selected)
    company = as_lines([*({"ID": key} for key in found), {"KIND": "an orphan"}])
    file = data_file(schema, parent="other", parent_key="ID")
    outcome = through(company, file, parents=parents, validate=validate)
    expected = [line for line, key in zip(company, found, strict=False) if key in selected]
    assert outcome.data == b"".join(expected)
    assert outcome.tally.unmatched == len(company) - len(expected)


@modes
@given(st.lists(st.sampled_from(["chat", "email"]), max_size=8), st.lists(st.integers(1, 3)))
@settings(max_examples=30)
def test_the_keys_of_exactly_the_selected_records_are_kept(
    schema: Schema, validate: bool, kinds: list[str], sizes: list[int]
) -> None:
    """Their children are found by them."""
    company = as_lines([{"ID": f"k{at}", "KIND": kind} for at, kind in enumerate(kinds)])
    keys = KeySet()
    file = data_file(schema, key="ID", media_type="KIND")
    through(company, file, sizes=sizes, keys=keys, media_types=["chat"], validate=validate)
    assert [f"k{at}" in keys for at in range(len(kinds))] == [kind == "chat" for kind in kinds]


@modes
def test_of_a_repeated_member_the_last_counts(schema: Schema, validate: bool) -> None:
    """As every usual reader of JSON has it."""
    company = [b'{"KIND":"chat","KIND":"email"}\n', b'{"KIND":"email","KIND":"chat"}\n']
    file = data_file(schema, media_type="KIND")
    outcome = through(company, file, media_types=["chat"], validate=validate)
    assert outcome.data == company[1]


@modes
@pytest.mark.parametrize("name", ["KIND", "\\u004bIND", "K\\u0049ND"])
def test_selection_knows_a_name_however_it_is_written(
    schema: Schema, validate: bool, name: str
) -> None:
    """An escape in a name does not hide a record from selection."""
    line = b'{"%s":"ch\\u0061t"}\n' % name.encode()
    file = data_file(schema, media_type="KIND")
    assert through([line], file, media_types=["chat"], validate=validate).data == line


# Rejects

SECRET = "s3cr3t-T0ken"
THING: Schema = {
    "type": "object",
    "required": ["ID"],
    "properties": {
        "ID": {"type": "string"},
        "N": {"type": "integer"},
        "PATTERN": {"type": "string", "pattern": "^a"},
        "ENUM": {"enum": ["a", "b"]},
        "DEEP": {"type": "object", "properties": {"IN": {"type": "integer"}}},
        "CREATED": {"type": "string"},
    },
    "additionalProperties": False,
}
LEAKY = {
    "type": b'{"ID":"7","N":"SECRET"}\n',
    "type of the key": b'{"ID":["SECRET"]}\n',
    "required": b'{"N":1,"DEEP":{"SECRET":"SECRET"}}\n',
    "unknown member": b'{"ID":"7","SECRET":"SECRET"}\n',
    "pattern": b'{"ID":"7","PATTERN":"SECRET"}\n',
    "enum": b'{"ID":"7","ENUM":"SECRET"}\n',
    "nested": b'{"ID":"7","DEEP":{"IN":"SECRET","SECRET":1}}\n',
    "cut off": b'{"ID":"7","N":"SECRET\n',
    "no JSON": b"SECRET\n",
    "bare word": b'{"ID":SECRET}\n',
    "two records": b'{"ID":"7"}{"ID":"SECRET"}\n',
    "no object": b'["SECRET"]\n',
    "bad escape": b'{"ID":"7","N":"\\SECRET"}\n',
    "bad unicode escape": b'{"ID":"7","N":"\\uSECRET"}\n',
    "control character": b'{"ID":"7","N":"\x01SECRET"}\n',
    "no UTF-8": b'{"ID":"7","N":"\xffSECRET"}\n',
    "NaN": b'{"ID":"7","N":NaN,"X":"SECRET"}\n',
    "timestamp": b'{"ID":"7","CREATED":"SECRET"}\n',
    "nulls with a surrogate": b'{"ID":"7","N":null,"\\ud800SECRET":"SECRET"}\n',
    "long key": b'{"ID":"' + b"SECRET" * 20 + b'","N":"x"}\n',
    "unprintable key": b'{"ID":"SECRET\\n","N":"x"}\n',
    "long number": b'{"ID":"7","N":' + b"7" * 5000 + b'.5,"X":"SECRET"}\n',
}


@pytest.mark.parametrize("case", LEAKY)
@pytest.mark.parametrize("schema", [THING, {**THING, "additionalProperties": True}])
def test_nothing_that_is_said_of_a_record_holds_its_content(
    case: str, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither rejects nor errors, their representations, pickles, tracebacks and logs leak."""
    caplog.set_level(logging.DEBUG)
    line = LEAKY[case].replace(b"SECRET", SECRET.encode())
    file = data_file(schema, key="ID", timestamps=["CREATED"])
    rejects = through([line], file, timeframe=Timeframe()).tally.rejects
    said: list[object] = [rejects, [str(reject) for reject in rejects]]
    for limit in [{"on_invalid": "fail"}, {"max_rejects": 0}]:
        if rejects:
            with pytest.raises(RecordError) as caught:
                through([line], file, timeframe=Timeframe(), **limit)  # type: ignore[arg-type]
            error = caught.value
            logging.getLogger("cdds.test").error("it failed", exc_info=error)
            said += [str(error), repr(error), error.args, traceback.format_exception(error)]
            said += [pickle.dumps(error)]
    said += [caplog.text]
    assert all(SECRET not in repr(part) for part in said)
    assert rejects or "additionalProperties" in schema


@pytest.mark.parametrize("grouped", [[], [1], [2, 1], [1, 1, 1]])
def test_a_reject_says_where_the_record_stands_and_which_rule_it_breaks(
    grouped: list[int],
) -> None:
    """Position, key, field and rule are right, whatever stands before it."""
    company = [
        b'{"ID":"1"}\n',
        b"\n",
        b'{"ID":"3","N":"x"}\n',
        b'{"N":1}\n',
        b"nothing\n",
        b'{"ID":"6","DEEP":{"IN":"x"}}\n',
        b'{"ID":"7","EXTRA":1}\n',
    ]
    outcome = through(company, data_file(THING, key="ID"), sizes=grouped)
    found = [(r.position, r.key, r.field) for r in outcome.tally.rejects]
    assert found == [
        (3, "3", "N"),
        (4, None, None),
        (5, None, None),
        (6, "6", "DEEP"),
        (7, "7", None),
    ]
    rules = [reject.rule for reject in outcome.tally.rejects]
    assert rules[:2] == ["its type must be integer", "ID is required and missing"]
    assert all("things.jsonl:" in str(reject) for reject in outcome.tally.rejects)


@given(st.text(max_size=100), st.text(max_size=300))
@settings(max_examples=5)
def test_a_manifest_that_lists_all_rejects_is_one_that_is_read(key: str, origin: str) -> None:
    """However many the job allows."""
    tally = Tally("reject", max_rejects=2**62)
    listed = 0
    with pytest.raises(TooManyRejects):
        for position in itertools.count(10**9):
            tally.reject(Reject("interaction", origin, position, "a rule" * 10, "IXNID", key), 0)
            listed += 1
    assert listed == len(tally.rejects) > 9_000
    text = orjson.dumps([attrs.asdict(reject) for reject in tally.rejects])
    assert len(text) < max_manifest_size([]) * 0.8


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 12), st.lists(st.integers(1, 4)))
@settings(max_examples=60)
def test_max_rejects_is_the_most_that_are_left_out(
    good: list[bool], limit: int, sizes: list[int]
) -> None:
    """As many as allowed are listed; one more fails, with the reject that was too many."""
    company = [b'{"ID":"x"}\n' if fits else b'{"N":1}\n' for fits in good]
    bad = [at for at, fits in enumerate(good, 1) if not fits]
    file = data_file(THING)
    if len(bad) <= limit:
        outcome = through(company, file, sizes=sizes, max_rejects=limit)
        assert outcome.positions == bad
    else:
        with pytest.raises(TooManyRejects) as caught:
            through(company, file, sizes=sizes, max_rejects=limit)
        assert caught.value.reject.position == bad[limit]


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.lists(st.integers(1, 3)))
@settings(max_examples=40)
def test_an_invalid_record_fails_the_run_unless_it_may_be_left_out(
    good: list[bool], sizes: list[int]
) -> None:
    """The first one is told."""
    company = [b'{"ID":"x"}\n' if fits else b'{"N":1}\n' for fits in good]
    if all(good):
        through(company, data_file(THING), sizes=sizes, on_invalid="fail")
        return
    with pytest.raises(RecordError) as caught:
        through(company, data_file(THING), sizes=sizes, on_invalid="fail")
    assert caught.value.reject.position == good.index(False) + 1
    assert not isinstance(caught.value, TooManyRejects)


def test_rejects_are_listed_by_data_file_and_position() -> None:
    """Worker threads find them in any order."""
    tally = Tally("reject")
    found = [
        Reject(f"file{order}", "f", position, "") for order in range(3) for position in range(4)
    ]
    for reject in reversed(found):
        tally.reject(reject, int(reject.data_file[-1]))
    assert list(tally.rejects) == found


def test_numbers_keep_their_text_when_nulls_are_taken_out() -> None:
    """Taking out a null does not touch what stands beside it."""
    numbers = ["1.0", "1e2", "1E+400", "-0", "0.10", "1" * 4000, "100000000000000000001"]
    text = ",".join(f'"N{at}":{number}' for at, number in enumerate(numbers))
    line = f'{{ "ID" : "x" , "N" : null , {text} , "S" : "\\u0041\\/" }}\n'.encode()
    outcome = through([line], data_file({**THING, "additionalProperties": True}))
    found = json.loads(outcome.data, parse_int=Decimal, parse_float=str)
    assert [text in outcome.data.decode() for text in numbers] == [True] * len(numbers)
    assert "N" not in found
    assert found["ID"] == "x"


def test_nulls_stay_where_the_schema_allows_them() -> None:
    """Only nulls that break the schema are a reason to change a line."""
    schema = {
        "type": "object",
        "properties": {"A": {"type": ["string", "null"]}, "B": {"type": "string"}},
    }
    line = b'{"A" : null, "other":null}\n'
    assert through([line], data_file(schema)).data == line


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": []},
        {"type": "object", "properties": 5},
        {"type": "object", "required": None},
        {"type": "object", "required": ["A", "A"], "properties": {"A": {"type": "string"}}},
        {"type": "object", "properties": {"A": {"type": 5}}},
        {"type": "object", "properties": {"A": {"type": ["string", "string"]}}},
        {"type": "object", "$id": 5},
        {"type": "object", "definitions": {"a": {"type": "nothing"}}},
    ],
)
def test_what_is_no_schema_is_refused_before_a_record_is_read(schema: Any) -> None:
    """Also where it looks plain."""
    with pytest.raises(JobError, match="no JSON Schema"):
        Gate(data_file(schema), Job(dataset=Dataset("D", [data_file(schema)])), Tally())
