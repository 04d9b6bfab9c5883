"""Any text in UTF-8 is opened into the members or elements that `json` finds in it, or refused.

Each is the JSON that it was, in its order; none is lost. What is refused is no object, or no array,
to `json` either, or has a name twice. Written again, it is the same.
"""

from __future__ import annotations

from typing import Any

from cdds.members import elements_of, json_of, members_of
from cdds.refusal import Refusal
from fuzz.inputs import Pairs, read_json

READS = ("cdds.members",)
WORDS = (
    b'{"a":',
    b'"\\u0061"',
    b"\\ud800",
    b"[]",
    b"null",
    b"1e400",
    b" : ",
    b"NaN",
    b"\xef\xbb\xbf",
)
VECTORS = "json"


def check(data: bytes) -> None:
    """Check the invariant for a text."""
    try:
        value = read_json(data)
    except (UnicodeDecodeError, RecursionError):
        return
    except ValueError:
        value = None
    _check_object(data, value if isinstance(value, Pairs) else None)
    _check_array(data, value if isinstance(value, list) and not isinstance(value, Pairs) else None)


def _check_object(data: bytes, pairs: Pairs | None) -> None:
    try:
        members = members_of(data)
    except Refusal:
        assert pairs is None or len({name for name, _ in pairs}) < len(pairs)
        return
    assert pairs is not None
    assert [(name, read_json(bytes(raw))) for name, raw in members.items()] == pairs
    assert read_json(json_of(members)) == pairs


def _check_array(data: bytes, values: list[Any] | None) -> None:
    try:
        elements = elements_of(data)
    except Refusal:
        assert values is None
        return
    assert [read_json(bytes(raw)) for raw in elements] == values
    assert read_json(json_of(elements)) == values
