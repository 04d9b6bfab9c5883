"""Spans of time as people write them: 30s, 5m, 12h, 30d.

Place: at the ground of the command line; options and configurations share this one form.
"""

from __future__ import annotations

import re
from datetime import timedelta

from cdds.errors import JobError

_SPAN = re.compile(r"([1-9][0-9]{0,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def written(span: timedelta) -> str:
    """Return a span as it is written, in the largest unit that holds it, to the second."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def parse_span(text: object) -> timedelta:
    """Return a span of time.

    Raises:
        JobError: it is none.
    """
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise JobError(
            "that is no span of time; write a whole number and s, m, h or d, such as 30s or 12h"
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
