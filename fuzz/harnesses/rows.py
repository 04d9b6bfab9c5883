"""Any bytes are rows of a table, with the values that `json` finds in them, or are refused.

Lines are cut at their ends and nowhere else, however the bytes come, and refused only where one is
too long. A line that is read with care gives what `json` reads, of two members of one name the
last; what is refused is no object to it, or a value that a column does not take, or holds half a
surrogate pair. Where the compiled decoder takes a line it gives the same.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from cdds.recipient.columns import columns_of
from cdds.recipient.lines import whole_lines
from cdds.recipient.rows import Row, Rows, Table, binaries_of, moments_of
from cdds.refusal import Refusal
from cdds.timestamps import parse_timestamp
from fuzz.inputs import Number, Pairs, has_lone_surrogate, read_json

READS = ("cdds.recipient.rows", "cdds.recipient.lines", "cdds.recipient.columns")
WORDS = (
    *(b'{"text":"', b'"integer":', b'"number":', b'"boolean":true', b'"moment":"2025-01-01"'),
    *(b'"binary":"AAAA"', b'"json":[', b'"other":', b"null", b"1e400", b"1.0"),
    *(b"9223372036854775807", b"\\ud800", b"\\u0061", b"\n", b" "),
)
VECTORS = "json"

_SCHEMA: dict[str, Any] = {
    "properties": {
        "text": {"type": ["string", "null"]},
        "integer": {"type": "integer"},
        "number": {"type": "number"},
        "boolean": {"type": "boolean"},
        "moment": {"type": "string", "format": "date-time"},
        "binary": {"type": "string", "contentEncoding": "base64"},
        "json": {},
    }
}
_OPEN = Rows(columns_of(_SCHEMA))
_CLOSED = Rows(columns_of({**_SCHEMA, "additionalProperties": False}))
_NAMES = tuple(_SCHEMA["properties"])
_DEEP = 100
_LIMITS = 61
_MOST = 2**63


def check(data: bytes) -> None:
    """Check the invariant for lines."""
    _check_cut(data, 1 + len(data) % _LIMITS)
    if data.count(b"[") + data.count(b"{") <= _DEEP:
        for line in data.split(b"\n"):
            _check_line(_OPEN, line, takes_others=True)
            _check_line(_CLOSED, line, takes_others=False)


def _check_cut(data: bytes, size: int) -> None:
    limit = 2 * size
    length = size // 2 + 1
    pieces = [data[at : at + length] for at in range(0, len(data), length)]
    found: list[bytes] = []
    try:
        found.extend(whole_lines(pieces, size=size, max_line_size=limit))
    except Refusal:
        assert any(len(line) > limit for line in io.BytesIO(data))
    else:
        assert all(len(line) <= limit for line in io.BytesIO(data))
        assert b"".join(found) == data
    assert data.startswith(b"".join(found))
    assert all(chunk.endswith(b"\n") for chunk in found[:-1])


def _check_line(rows: Rows, line: bytes, *, takes_others: bool) -> None:
    record = _record(line)
    try:
        careful = rows.careful(line)
    except Refusal:
        assert record is None or not _is_taken(record, takes_others) or _has_lone_surrogate(line)
        return
    if careful is None:
        assert not line.strip()
        return
    assert record is not None
    row, others = careful
    if not _has_lone_surrogate(line):
        assert _is_taken(record, takes_others)
        known = _without_nulls({name: record.get(name) for name in _NAMES})
        assert _values(row) == {name: _READ[name](value) for name, value in known.items()}
    assert takes_others or others is None
    found = {} if others is None else dict(read_json(others))
    assert found == {name: value for name, value in record.items() if name not in _NAMES}
    table = rows.fast([line])
    if table is not None:
        _check_fast(table, row, others)


def _check_fast(table: Table, row: Row, others: bytes | None) -> None:
    [fast], fast_others = table
    assert _values(fast) == _values(row)
    assert (fast_others or [None]) == [others]
    by_name = dict(zip(_NAMES, fast, strict=True))
    moments_of([by_name["moment"]])
    binaries_of([by_name["binary"]])


def _values(row: Row) -> dict[str, Any]:
    values = _without_nulls(dict(zip(_NAMES, row, strict=True)))
    return _without_nulls({n: read_json(bytes(v)) if n == "json" else v for n, v in values.items()})


def _record(line: bytes) -> dict[str, Any] | None:
    """Return the object that `json` reads."""
    try:
        value = read_json(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, Pairs):
        return None
    return dict(value)


def _has_lone_surrogate(line: bytes) -> bool:
    """Tell whether a line holds half a surrogate pair, maybe in a member that does not count."""
    return has_lone_surrogate(read_json(line))


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _is_taken(record: dict[str, Any], takes_others: bool) -> bool:
    return (takes_others or record.keys() <= set(_NAMES)) and all(
        record.get(name) is None or takes(record[name]) for name, takes in _TAKES.items()
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _is_integer(value: object) -> bool:
    try:
        number = Decimal(value) if isinstance(value, Number) else Decimal("NaN")
    except InvalidOperation:
        return False
    return not number.is_nan() and -_MOST <= number < _MOST and number == int(number)


def _is_number(value: object) -> bool:
    return isinstance(value, Number) and math.isfinite(float(value))


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_moment(value: object) -> bool:
    try:
        return _is_text(value) and (not value or bool(parse_timestamp(str(value))))
    except (ValueError, OverflowError):
        return False


def _is_binary(value: object) -> bool:
    try:
        base64.b64decode("".join(str(value).split()), validate=True)
    except ValueError:
        return False
    return _is_text(value)


def _as_integer(number: str) -> int:
    return int(Decimal(number))


def _as_it_is(value: Any) -> Any:
    return value


_TAKES: dict[str, Callable[[object], bool]] = {
    "text": _is_text,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": _is_boolean,
    "moment": _is_moment,
    "binary": _is_binary,
}
_READ: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "integer": _as_integer,
    "number": float,
    "boolean": _as_it_is,
    "moment": str,
    "binary": str,
    "json": _as_it_is,
}
