"""Any bytes are lines of JSON Lines, passed on as they stand, or the one error of the first fault.

All lines come out, in their order and counted, without a byte order mark and with an end to the
last. Exactly those files are refused that begin as an array or have a line longer than allowed, and
that line is named. As records they are what `json` reads in them.

How long a line may be follows from the size of the input.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from cdds.errors import RecordError, SourceError
from cdds.protocols import Lines
from cdds.sources import JsonLines
from fuzz.inputs import read_json, stored

READS = ("cdds.sources.json_lines",)
WORDS = (b"\xef\xbb\xbf", b'{"a":', b"\r\n", b"\n\n", b"[", b"NaN", b"1e5")
VECTORS = "json"
LONGEST = 512  # many lines take long

_LEAST, _LIMITS = 4, 61  # a limit is at least as long as a byte order mark
_MARK = b"\xef\xbb\xbf"


def check(data: bytes) -> None:
    """Check the invariant for a file."""
    limit = _LEAST + len(data) % _LIMITS
    content = data.removeprefix(_MARK)
    too_long = [number for number, line in enumerate(content.split(b"\n"), 1) if len(line) > limit]
    found: list[Lines] = []
    try:
        found.extend(JsonLines(max_line_size=limit, things=stored(data)).lines("things"))
    except RecordError as error:
        assert error.reject.position == too_long[0]
    except SourceError:
        assert content.lstrip().startswith(b"[")
    else:
        assert not too_long
        assert not content.lstrip().startswith(b"[")
        assert b"".join(lines.data for lines in found) == _ended(content)
        _check_records(data, content)
    _check_numbers(found)


def _ended(content: bytes) -> bytes:
    return content + b"\n" if content and not content.endswith(b"\n") else content


def _check_numbers(found: list[Lines]) -> None:
    following = 1
    for lines in found:
        assert lines.first == following
        assert lines.data.endswith(b"\n")
        assert lines.count == lines.data.count(b"\n")
        following += lines.count


def _check_records(data: bytes, content: bytes) -> None:
    expected: list[Any] = []
    fault = None
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            expected.append(
                read_json(line, parse_int=int, parse_float=Decimal, object_pairs_hook=dict)
            )
        except (ValueError, InvalidOperation, RecursionError):
            fault = number
            break
    found: list[Any] = []
    try:
        found.extend(JsonLines(things=stored(data)).records("things"))
    except RecordError as error:
        assert error.reject.position == fault
    else:
        assert fault is None
    assert repr(found) == repr(expected)
