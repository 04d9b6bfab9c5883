"""Any text is a moment in UTC, or is refused with `ValueError` or `OverflowError`.

The moment, written in ISO 8601, is read as itself. Where msgspec takes the text for a moment of
RFC 3339, it is the same, but for digits beyond the microsecond.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec

from cdds.timestamps import parse_timestamp

READS = ("cdds.timestamps",)
WORDS = (b"2025-01-31T", b"23:59:59", b"+05:30", b".123456", b"-W05-5", b"24:00", b"Z", b"0001-")


def check(data: bytes) -> None:
    """Check the invariant for a text."""
    text = data.decode("utf-8", "replace")
    try:
        moment = parse_timestamp(text)
    except (ValueError, OverflowError):
        return
    assert moment.utcoffset() == timedelta()
    assert parse_timestamp(moment.isoformat()) == moment
    with suppress(msgspec.ValidationError, OverflowError):
        judged = msgspec.convert(text, datetime)
        if judged.tzinfo is not None:
            assert abs(judged.astimezone(UTC) - moment) <= timedelta(microseconds=1)
