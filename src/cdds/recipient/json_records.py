"""The records in the data of an entry: JSON objects, one a line.

Place: between the data of an export and who asks for its records. What is wrong with a line is told
by its number and the rule, never by its content.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cdds.errors import ArchiveError
from cdds.location import printable
from cdds.recipient.lines import whole_lines
from cdds.recipient.listing import ListedFile
from cdds.records.verdict import parse
from cdds.refusal import Refusal

_DECODER = msgspec.json.Decoder(dict[str, Any])


def records_of(pieces: Iterable[bytes], file: ListedFile) -> Iterator[dict[str, Any]]:
    """Yield the records; integers of any size and half surrogate pairs are kept.

    Raises:
        ArchiveError: a line is too long, or no JSON object. Errors of `pieces` pass through.
    """
    number = 0
    for lines in _lines(pieces, file):
        for line in io.BytesIO(lines):
            number += 1
            if not line.isspace():
                yield _record(line, number, file)


def _lines(pieces: Iterable[bytes], file: ListedFile) -> Iterator[bytes]:
    refusal: Refusal | None = None
    try:
        yield from whole_lines(pieces)
    except Refusal as caught:
        refusal = caught.with_traceback(None)
    if refusal is not None:  # outside the handler: its context would hold the line
        raise ArchiveError(f"{printable(file.entry.name)}: {refusal.rule}")


def _record(line: bytes, number: int, file: ListedFile) -> dict[str, Any]:
    try:
        record: dict[str, Any] = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return record
    refusal: Refusal | None = None
    try:
        return parse(line)
    except Refusal as caught:
        refusal = caught.with_traceback(None)
    raise ArchiveError(f"{printable(file.entry.name)}, line {number}: {refusal.rule}")
