"""Turns records that come as mappings into lines of JSON, about 1 MiB at a time.

Place: between a source that yields mappings and the gate, which validates the lines. Nothing
changes in silence: integers beyond 64 bits, decimals and lone surrogates are kept exactly; NaN,
infinities and types that JSON does not have are refused. Datetimes become ISO 8601 in UTC, bytes
base64. Top-level nulls are left out, except where the schema allows null.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from cdds.errors import RecordError
from cdds.model import DataFile
from cdds.protocols import Lines, Located
from cdds.records.keys import TellKey, plausible_key
from cdds.records.nulls import nullable
from cdds.refusal import Refusal
from cdds.reject import Reject

MAX_DEPTH = 200
"""How deep the values of a record may be nested."""

_BATCH_SIZE = 1024 * 1024
_OPTIONS = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
)
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1  # what orjson writes exactly


def lines_of(
    records: Iterable[Located], file: DataFile, tell_key: TellKey | None = None
) -> Iterator[Lines]:
    """Yield the records as lines.

    Args:
        records: the records, each with its input and its number there.
        file: the data file.
        tell_key: returns the key by which a refused record is told; as it stands when left out.

    Raises:
        RecordError: a record is no mapping, or holds what JSON cannot say; this fails a run even
            when invalid records are to be left out, for it is the source that is at fault.
    """
    may_be_null = nullable(file.schema)
    tell_key = tell_key or partial(plausible_key, file)
    total = 0
    for origin, run in groupby(records, key=itemgetter(0)):
        batch: list[bytes] = []
        size, first = 0, 1
        for _, number, record in run:
            try:
                batch.append(serialise(record, may_be_null))
            except Refusal as refusal:
                rule, field = refusal.rule, refusal.field
                key = tell_key(record) if isinstance(record, Mapping) else None
                raise RecordError(Reject(file.name, origin, number, rule, field, key)) from None
            size += len(batch[-1])
            if size >= _BATCH_SIZE:
                total += size
                yield Lines(b"".join(batch), first, len(batch), origin, total)
                batch, size, first = [], 0, number + 1
        if batch:
            total += size
            yield Lines(b"".join(batch), first, len(batch), origin, total)


def serialise(record: Mapping[str, Any], may_be_null: frozenset[str] = frozenset()) -> bytes:
    """Return one line: the record as compact JSON in UTF-8, with a line feed.

    Raises:
        Refusal: it is no mapping, or holds what JSON cannot say.
    """
    if not isinstance(record, Mapping):
        raise Refusal("the record is no mapping")
    members = {
        name: value for name, value in record.items() if value is not None or name in may_be_null
    }
    try:
        line = orjson.dumps(members, _exactly, _OPTIONS)
    except orjson.JSONEncodeError:
        return _with_care(members)
    # orjson writes NaN and infinities as null; only a second look can tell.
    return line if b"null" not in line else _with_care(members)


def json_of_value(value: Any) -> bytes:
    """Return the exact JSON of one value.

    Raises:
        Refusal: it is, or holds, what JSON cannot say.
    """
    return serialise({"": value}, frozenset({""}))[len(b'{"":') : -len(b"}\n")]


def _exactly(value: Any) -> Any:
    match value:
        case datetime():
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
            return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
        case bytes() | bytearray() | memoryview():
            return b64encode(value).decode("ascii")
        case Decimal() if value.is_finite():
            return orjson.Fragment(str(value))
        case Mapping():
            return dict(value)
        case _:
            raise TypeError


def _with_care(members: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(_exact(members, 0), _exactly, _OPTIONS)
    except orjson.JSONEncodeError:
        raise Refusal("it holds a value or a key of a type that JSON does not have") from None


def _exact(value: Any, depth: int) -> Any:
    """Return the value with what orjson cannot say replaced by its exact JSON text."""
    if depth > MAX_DEPTH:
        raise Refusal(f"it is nested deeper than {MAX_DEPTH} levels")
    match value:
        case str() if not _is_text(value):
            return orjson.Fragment(json.dumps(value))
        case Enum():
            return _exact(value.value, depth + 1)
        case int() if not _MIN_INT <= value <= _MAX_INT:
            return orjson.Fragment(_digits(value))
        case float() if not math.isfinite(value):
            raise Refusal("it holds NaN or an infinity, which JSON does not have")
        case Mapping():
            return {_name(name): _exact(item, depth + 1) for name, item in value.items()}
        case list() | tuple():
            return [_exact(item, depth + 1) for item in value]
        case _:
            return value


def _name(name: Any) -> Any:
    if isinstance(name, str) and not _is_text(name):
        raise Refusal("a member's name holds a lone surrogate")
    return name


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _digits(number: int) -> str:
    try:
        return int.__repr__(number)
    except ValueError:  # more digits than Python is willing to write
        raise Refusal("it holds a number too long to be written") from None
