"""Any bytes of a column are one value of JSON, passed on as they stand, or are not taken for one.

What is passed on is on one line and means to `json` what it meant. What is not taken is no JSON to
`json` either, or holds a lone surrogate, or is nested deeper than `_DEEP`.
"""

from __future__ import annotations

from cdds.sources.sql.json_text import json_text
from fuzz.inputs import has_lone_surrogate, read_json

READS = ("cdds.sources.sql.json_text",)
WORDS = (
    b'{"a":',
    b'"\\u0061"',
    b"\\ud800",
    b"[]",
    b"null",
    b"1e400",
    b"\n",
    b"NaN",
    b"\xef\xbb\xbf",
)
VECTORS = "json"

_DEEP = 200


def check(data: bytes) -> None:
    """Check the invariant for the bytes of a column."""
    found = json_text(data)
    if found is None:
        assert _is_refused(data)
        return
    assert b"\n" not in found
    assert found == data.replace(b"\n", b" ")
    if data.count(b"[") + data.count(b"{") <= _DEEP:
        assert read_json(found) == read_json(data)


def _is_refused(data: bytes) -> bool:
    try:
        value = read_json(data)
    except (ValueError, RecursionError):
        return True
    return has_lone_surrogate(value) or data.count(b"[") + data.count(b"{") > _DEEP
