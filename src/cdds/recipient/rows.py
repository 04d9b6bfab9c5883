"""Reads the values of columns out of lines of JSON, exactly.

Place: between `lines` and tables. In the usual case a compiled decoder reads lines at once, and
leaves it to the columns whether the texts in it can be read; what it does not take is read with
care, member by member, which finds the record and the field at fault. Of two members of one name
the last one counts, as JSON readers have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import msgspec
import pybase64
from msgspec.structs import astuple

from cdds.members import Members, json_of, members_of
from cdds.recipient.columns import Columns, Kind
from cdds.refusal import Refusal
from cdds.timestamps import parse_timestamp

Row: TypeAlias = tuple[Any, ...]
"""The values of all known columns.

Timestamps and binaries are the texts that they are written as; JSON is a `msgspec.Raw` or bytes.
"""

Table: TypeAlias = tuple[list[Row], list[bytes | None] | None]
"""Rows, and for each the JSON of its other members, or None; None where no row has any."""

_LEAST, _MOST = -(2**63), 2**63 - 1
_BLANK = b" \t\r\n"
_NULL = b"null"
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODED: dict[Kind, Any] = {
    Kind.TEXT: str | None,
    Kind.INTEGER: int | None,
    Kind.NUMBER: float | None,
    Kind.BOOLEAN: bool | None,
    Kind.TIMESTAMP: str | None,
    Kind.BINARY: str | None,
    Kind.JSON: msgspec.Raw,
}
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


class Rows:
    """Reads the rows of one data file."""

    def __init__(self, columns: Columns) -> None:
        self._known = {column.name: column.kind for column in columns.known}
        self._takes_others = columns.others is not None
        self._strict = self._compiled(forbid_unknown=True)
        self._open = self._compiled(forbid_unknown=False)

    def fast(self, lines: Sequence[bytes]) -> Table | None:
        """Return the rows of lines, as far as JSON alone can tell; None if they need care.

        Integers may be beyond 64 bits, JSON no UTF-8, and texts no timestamps or base64.
        """
        if self._strict is None or self._open is None:
            return None
        with suppress(*_FAULTS):
            return list(map(astuple, map(self._strict.decode, lines))), None
        if self._takes_others:
            with suppress(*_FAULTS):
                rows = list(map(astuple, map(self._open.decode, lines)))
                return rows, [self._others(_MEMBERS.decode(line)) for line in lines]
        return None

    def careful(self, line: bytes) -> tuple[Row, bytes | None] | None:
        """Return the row of one line and the JSON of its other members; None for an empty line.

        Raises:
            Refusal: it is no JSON object, a value is not what its column takes, or it has a member
                that the schema does not allow.
        """
        if not line.strip(_BLANK):
            return None
        members = _members(line)
        others = self._others(members)
        if others is not None and not self._takes_others:
            raise Refusal("it has a member that the schema does not allow")
        return tuple(_value(members, name, kind) for name, kind in self._known.items()), others

    def _others(self, members: Members) -> bytes | None:
        others = {name: raw for name, raw in members.items() if name not in self._known}
        return json_of(others) if others else None

    def _compiled(self, *, forbid_unknown: bool) -> msgspec.json.Decoder[Any] | None:
        names = {f"p{number}": name for number, name in enumerate(self._known)}
        fields = [(field, _DECODED[self._known[name]], None) for field, name in names.items()]
        try:
            record = msgspec.defstruct(
                "Record", fields, rename=names, forbid_unknown_fields=forbid_unknown, gc=False
            )
        except ValueError:  # a name with quotes, backslashes or control characters
            return None
        return msgspec.json.Decoder(record)


def moments_of(texts: Iterable[str | None]) -> list[datetime | None]:
    """Return the moments that texts mean; an empty text means none.

    Raises:
        Refusal: one is no ISO 8601 date and time, or outside the years 1 to 9999.
    """
    return [_moment(text) if text else None for text in texts]


def binaries_of(texts: Iterable[str | None]) -> list[bytes | None]:
    """Return what texts hold in base64, which may be cut into lines (RFC 2045, section 6.8).

    Raises:
        Refusal: one is no base64.
    """
    return [None if text is None else _binary(text) for text in texts]


def _members(line: bytes) -> Members:
    """Return the members of a line, of two of one name the last.

    Raises:
        Refusal: it is no JSON object in UTF-8, or is nested too deeply.
    """
    if not _is_utf8(line):  # msgspec does not look into the text of members
        raise Refusal("it is not UTF-8")
    try:
        return _MEMBERS.decode(line)
    except _FAULTS:
        pass
    return members_of(line)  # outside the handler: its context would hold the line


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _value(members: Members, name: str, kind: Kind) -> Any:
    """Return the value of a member, None if it is null or missing.

    Raises:
        Refusal: the column takes no such value.
    """
    written = bytes(members.get(name, _NULL))
    if written == _NULL:
        return None
    try:
        return _READ[kind](written)
    except Refusal as refusal:
        rule = refusal.rule
    raise Refusal(rule, name)


def _text(written: bytes) -> str:
    if not written.startswith(b'"'):
        raise Refusal("its type must be string")
    try:
        return _TEXT.decode(written)
    except _FAULTS:
        pass
    raise Refusal("it holds half a surrogate pair, which no text of a table can")


def _moment(text: str) -> datetime:
    fault = "it is no ISO 8601 date and time"
    try:
        return parse_timestamp(text)
    except ValueError:
        pass
    except OverflowError:
        fault = "it is outside the years 1 to 9999"
    raise Refusal(fault)


def _binary(text: str) -> bytes:
    try:
        return pybase64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        pass
    raise Refusal("it is no base64")


def _timestamp(written: bytes) -> str:
    text = _text(written)
    moments_of([text])
    return text


def _base64(written: bytes) -> str:
    text = _text(written)
    _binary(text)
    return text


def _integer(written: bytes) -> int:
    number = _decimal(written, "integer")
    if number is None or not _LEAST <= number <= _MOST:
        raise Refusal("it is beyond 64 bits")
    if number != number.to_integral_value():
        raise Refusal("its type must be integer")
    return int(number)


def _number(written: bytes) -> float:
    _decimal(written, "number")
    number = float(written)
    if math.isinf(number):
        raise Refusal("it is beyond a floating-point number of 64 bits")
    return number


def _decimal(written: bytes, wanted: str) -> Decimal | None:
    """Return a number exactly; None if its exponent is beyond all measure."""
    if written[:1] not in b"-0123456789":
        raise Refusal(f"its type must be {wanted}")
    try:
        return Decimal(written.decode("ascii"))
    except InvalidOperation:
        return None


def _boolean(written: bytes) -> bool:
    if written not in {b"true", b"false"}:
        raise Refusal("its type must be boolean")
    return written == b"true"


_READ: dict[Kind, Callable[[bytes], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.BINARY: _base64,
    Kind.JSON: bytes,
}
