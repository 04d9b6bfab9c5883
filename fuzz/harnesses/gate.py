"""The gate exports a line exactly when `json` and `jsonschema` say that it is a valid record.

It comes out as it stands; or without nulls at its top level that the schema does not allow, and
then it is valid, and its other members are what they were. All other lines are rejected by their
numbers, and blank ones are no records. That holds for a schema that is compiled and for one that is
not, however the lines are taken together.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
from jsonschema import Draft7Validator

from cdds.model import DataFile, Dataset, Job
from cdds.protocols import Lines
from cdds.records import Tally
from cdds.records.gate import Gate
from cdds.reject import Reject
from fuzz.inputs import read_json

READS = ("cdds.records.gate", "cdds.records.verdict", "cdds.records.nulls", "cdds.members")
WORDS = (
    b'{"ID":"',
    b'"N":',
    b'"Type":null',
    b'"Start":"',
    b"\\u0049D",
    b"\\ud800",
    b"1.0",
    b"1e2",
    b"NaN",
    b"\xef\xbb\xbf",
)
VECTORS = "json"
LONGEST = 512  # many lines take long

Schema: TypeAlias = Mapping[str, Any]

_PROPERTIES: dict[str, Any] = {
    "ID": {"type": "string"},
    "Type": {"type": ["string", "null"]},
    "Start": {"type": "string"},
    "N": {"type": "integer"},
}
_PLAIN: Schema = {"type": "object", "properties": _PROPERTIES, "required": ["ID"]}
_HARD: Schema = {**_PLAIN, "properties": {**_PROPERTIES, "Type": {"enum": ["email", None]}}}


class _Positions(Tally):
    """A tally that keeps where rejects stand, and forgets them when it is asked."""

    def __init__(self) -> None:
        super().__init__("reject")
        self.positions: list[int] = []

    def reject(self, reject: Reject, order: int) -> None:
        del order
        self.positions.append(reject.position)


@attrs.frozen
class _Judged:
    """A schema with the gate that is tested and the validator that is its judge."""

    gate: Gate
    tally: _Positions
    validator: Draft7Validator

    @classmethod
    def by(cls, schema: Schema) -> _Judged:
        file = DataFile(name="things", label="things", schema=schema)
        tally = _Positions()
        job = Job(dataset=Dataset("Things", [file]), on_invalid="reject")
        return cls(Gate(file, job, tally), tally, Draft7Validator(schema))


_JUDGED = [_Judged.by(_PLAIN), _Judged.by(_HARD)]


def check(data: bytes) -> None:
    """Check the invariant for lines."""
    lines = io.BytesIO(data if data.endswith(b"\n") else data + b"\n").readlines()
    for judged in _JUDGED:
        each = [_exported(judged, [line]) for line in lines]
        for line, (exported, rejected) in zip(lines, each, strict=True):
            _check_line(judged.validator, line, exported)
            assert bool(rejected) == (not exported and bool(line.strip(b" \t\r\n")))
        exported, rejected = _exported(judged, lines)
        assert exported == b"".join(line for line, _ in each)
        assert rejected == [number for number, (_, found) in enumerate(each, 1) if found]


def _exported(judged: _Judged, lines: list[bytes]) -> tuple[bytes, list[int]]:
    judged.tally.positions.clear()
    exported = judged.gate(Lines(b"".join(lines), 1, len(lines)))
    return exported, judged.tally.positions.copy()


def _check_line(validator: Draft7Validator, line: bytes, exported: bytes) -> None:
    record = _record(line)
    if record is None:
        assert not exported
    elif validator.is_valid(record):
        assert exported == line
    elif exported:
        bare = {name: value for name, value in record.items() if value is not None}
        left = _record(exported)
        assert left is not None
        assert len(left) < len(record)
        assert validator.is_valid(left)
        assert {name: value for name, value in left.items() if value is not None} == bare
    else:
        bare = {name: value for name, value in record.items() if value is not None}
        assert not validator.is_valid(bare) or _has_name_twice(line) or bare == record


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = read_json(line, parse_int=int, parse_float=float, object_pairs_hook=dict)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _has_name_twice(line: bytes) -> bool:
    names = [name for name, _ in read_json(line)]
    return len(set(names)) < len(names)
