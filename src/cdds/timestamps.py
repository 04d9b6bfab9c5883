"""What a text means as a moment: ISO 8601, as sources write it and time frames compare it.

Place: at the ground, so that all rooms read the same moment in the same text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dateutil import parser as dateutil_parser

# Python takes any character between date and time, and so "2025-01-01+02:00" for two o'clock.
_AMBIGUOUS = re.compile(r"\s*[0-9W-]{8,10}[^0-9W\sTt-]|\s*\d{4}-\d\d-\d\d-")


def parse_timestamp(text: str) -> datetime:
    """Return the moment that an ISO 8601 text means, in UTC; one without a zone is UTC.

    Raises:
        ValueError: it is no ISO 8601 date and time.
        OverflowError: it is outside the years 1 to 9999 in UTC.
    """
    if _AMBIGUOUS.match(text):
        raise ValueError("it is ambiguous")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _less_usual(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _less_usual(text: str) -> datetime:
    try:
        moment: datetime = dateutil_parser.isoparse(text.strip().replace(" ", "T"))
    except OverflowError:
        raise ValueError("it is no date") from None
    return moment
