"""JSON that stands in a text or a binary of a row, to be passed on without being parsed.

Place: the ground of this room. It tells whether there is one value and nothing else, so that no
row can say more in a record than its column.
"""

from __future__ import annotations

import msgspec

_raw = msgspec.json.Decoder(msgspec.Raw)


def json_text(value: bytes) -> bytes | None:
    """Return a value of JSON on one line, as it stands; None where it is none, or no UTF-8."""
    try:
        _raw.decode(value)
        value.decode()
    except (ValueError, RecursionError):
        return None
    return value.replace(b"\n", b" ")  # a line ends between two tokens: in a string it is refused
