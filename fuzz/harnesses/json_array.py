"""Any bytes are a JSON array, read as `json` reads it, or are refused with `SourceError`.

What is read are the elements that `json` finds, numbers exactly. What is refused is no array to
`json` either, or holds what is said to be refused: a name twice in one object, a lone surrogate, a
number that no `Decimal` is. What is nested deeper than `DEEP` is left to others.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from cdds.errors import SourceError
from cdds.sources import JsonArray
from fuzz.inputs import Pairs, has_lone_surrogate, read_json, stored

READS = ("cdds.sources.json_array",)
WORDS = (b"\xef\xbb\xbf", b'{"a":', b"\\ud83d\\ude00", b"\\ud800", b"[]", b"null", b"1e5", b"\\\\")
VECTORS = "json"

DEEP = 150
_MARK = b"\xef\xbb\xbf"
_SPACES_OF_YAJL = b"\x0b\x0c"  # which it takes between tokens; within them they are no JSON either


def check(data: bytes) -> None:
    """Check the invariant for a file."""
    content = data.removeprefix(_MARK)
    if content.count(b"[") + content.count(b"{") > DEEP:
        return
    try:
        found = list(JsonArray(things=stored(data)).records("things"))
    except SourceError:
        assert _is_refused(content)
        return
    expected = read_json(
        content.translate(bytes.maketrans(_SPACES_OF_YAJL, b"  ")),
        parse_int=int,
        parse_float=Decimal,
        object_pairs_hook=dict,
    )
    assert repr(found) == repr(expected)


def _is_refused(content: bytes) -> bool:
    try:
        value = read_json(content)
        read_json(content, parse_float=Decimal)
    except (ValueError, InvalidOperation):
        return True
    if isinstance(value, Pairs) or not isinstance(value, list):
        return True
    return has_lone_surrogate(value) or _has_name_twice(value)


def _has_name_twice(value: Any) -> bool:
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(_has_name_twice(inner) for _, inner in value)
    return isinstance(value, list) and any(map(_has_name_twice, value))
