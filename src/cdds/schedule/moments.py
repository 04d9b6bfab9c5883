"""Moments: aware datetimes, in UTC from birth.

Place: at the ground of the room. It knows no zone but UTC, and asks no clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

from cdds.errors import JobError

_TIME = re.compile(r"\d{2}:\d{2}(?::\d{2})?", re.ASCII)

TICK = timedelta(microseconds=1)
"""The least that lies between two moments."""


def in_utc(value: datetime, what: str = "a moment") -> datetime:
    """Return an aware datetime in UTC.

    Raises:
        JobError: it has no zone, or leaves the years that a datetime can hold.
    """
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise JobError(f"{what} takes an aware datetime: give the value a tzinfo, such as UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise JobError(f"{what} must lie within the years 1 to 9999 in UTC") from None


def start_or_none(value: datetime | None) -> datetime | None:
    """Return a start in UTC, as `in_utc` does, or None where there is none."""
    return None if value is None else in_utc(value, "a start")


def until_or_none(value: datetime | None) -> datetime | None:
    """Return an end in UTC, as `in_utc` does, or None where there is none."""
    return None if value is None else in_utc(value, "until")


def just_before(moment: datetime) -> datetime:
    """Return the moment before, so that what lies after it includes `moment`."""
    first = datetime.min.replace(tzinfo=UTC)
    return moment - TICK if moment > first else first


def time_of_day(text: str) -> time:
    """Return a time of day that is written as 02:30 or 02:30:15.

    Raises:
        JobError: it is written in another way, or on no clock.
    """
    if not _TIME.fullmatch(text):
        raise JobError("at takes a time of day, such as '02:30' or datetime.time(2, 30)")
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise JobError(f"there is no time {text} on a clock; use 00:00 to 23:59") from None


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether a value is a whole number of a range; True and 2.0 are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
