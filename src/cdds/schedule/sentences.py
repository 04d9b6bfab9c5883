"""Recurrences as sentences for a person, in English.

Place: beside the values, which bring their own words together here. It takes plain values and
decides nothing: no sentence is ever read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time

from cdds.schedule.week import WEEK

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY_NAMES = dict(zip(WEEK, _DAYS, strict=True))


def moment(value: datetime) -> str:
    """Return a moment of UTC, with its seconds only where it has some."""
    shown = "seconds" if value.second else "minutes"
    return f"{value.replace(tzinfo=None, microsecond=0).isoformat(' ', shown)} UTC"


def clock(at: time, zone: str) -> str:
    """Return a time of day in a zone."""
    return f"{at.isoformat('seconds' if at.second else 'minutes')} {zone}"


def each(number: int, unit: str) -> str:
    """Return how often: every day, every 2 days."""
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


def series(words: Sequence[str]) -> str:
    """Return words joined as one says them: Monday, Tuesday and Friday."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def weekdays(days: Sequence[str]) -> str:
    """Return days of the week by their names."""
    return "day" if len(days) == len(WEEK) else series([DAY_NAMES[day] for day in days])


def bounds(start: datetime | None, until: datetime | None, count: int | None) -> str:
    """Return what is appended to a sentence for its bounds."""
    first = "" if start is None else f", not before {moment(start)}"
    return first + end(until, count)


def end(until: datetime | None, count: int | None) -> str:
    """Return what is appended to a sentence for its end."""
    last = "" if until is None else f", until {moment(until)}"
    times = "" if count is None else f", {count:,} time{'s' if count > 1 else ''}"
    return last + times
