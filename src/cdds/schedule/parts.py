"""The text of a recurrence rule of RFC 5545, section 3.3.10, as a value.

Place: in front of `expansion.py`, which asks a calendar. A text is read strictly: what the RFC does
not allow is refused with the part that is wrong. Nothing is asked here of a start or of a zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

import attrs

from cdds.errors import JobError
from cdds.schedule.bounds import MOST_TIMES
from cdds.schedule.week import WEEK

Frequency: TypeAlias = Literal[
    "YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"
]
"""How long the periods of a rule are, from the longest to the shortest."""

LONGEST_RULE = 500
LARGEST_INTERVAL = 1_000_000

_NUMBER = re.compile(r"[+-]?\d{1,7}", re.ASCII)
_WEEK_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_OTHER_PROPERTIES = re.compile(r"(DTSTART|DTEND|RDATE|EXDATE|EXRULE|DURATION)\b")

WeekDay: TypeAlias = tuple[int, int | None]
"""A day of the week, Monday is 0, and which one of its month or year: None for each."""


@attrs.frozen(kw_only=True, cache_hash=True)
class Parts:
    """What a rule says, part by part; an empty tuple is a part that is not given."""

    freq: Frequency
    interval: int = 1
    until: datetime | None = None
    count: int | None = None
    wkst: int = 0
    bymonth: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    bymonthday: tuple[int, ...] = ()
    byday: tuple[WeekDay, ...] = ()
    byhour: tuple[int, ...] = ()
    byminute: tuple[int, ...] = ()
    bysecond: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse what the RFC does not let stand together."""
        if self.count is not None and self.until is not None:
            raise JobError("a rule takes COUNT or UNTIL, not both; leave one out")
        for name, frequencies in _ONLY_IN.items():
            if getattr(self, name.lower()) and self.freq not in frequencies:
                allowed = " or ".join(f"FREQ={freq}" for freq in frequencies)
                raise JobError(f"{name} goes with {allowed} only, as RFC 5545 has it")
        if self.bysetpos and not self.limits():
            raise JobError("BYSETPOS picks from another BY part; give one, such as BYDAY")
        self._check_numbered_days()

    def limits(self) -> bool:
        """Whether there is a BY part beside BYSETPOS."""
        return any(getattr(self, name.lower()) for name in _SETS)

    def _check_numbered_days(self) -> None:
        numbers = [abs(number) for _, number in self.byday if number is not None]
        if not numbers:
            return
        if self.freq not in {"MONTHLY", "YEARLY"} or self.byweekno:
            raise JobError(
                "BYDAY takes a number, as in 2TU, with FREQ=MONTHLY or FREQ=YEARLY only, and not "
                "beside BYWEEKNO"
            )
        if max(numbers) > 5 and (self.freq == "MONTHLY" or self.bymonth):
            raise JobError("a month has at most five of each day of the week; BYDAY asks for more")


_ONLY_IN: dict[str, tuple[Frequency, ...]] = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY"),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"),
}


def plain(text: str) -> str:
    """Return a rule without the name of its property, in capitals.

    Raises:
        JobError: it is no text of one line, or too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise JobError("a rule is a text, such as FREQ=WEEKLY;BYDAY=MO")
    if len(text) > LONGEST_RULE:
        raise JobError(f"a rule of {len(text)} characters is too long; at most {LONGEST_RULE}")
    if not text.isascii() or not text.isprintable():
        raise JobError("a rule stands on one line, in ASCII; give its RRULE alone")
    text = text.strip().upper().removeprefix("RRULE:")
    other = _OTHER_PROPERTIES.search(text)
    if other is not None:
        raise JobError(f"{other[1]} is no part of a rule; give start= beside it, and no exceptions")
    return text


@lru_cache(maxsize=4096)
def read(text: str) -> Parts:
    """Return the parts of a rule.

    Raises:
        JobError: a part is unknown, given twice or malformed, or may not stand beside another.
    """
    values: dict[str, Any] = {}
    for part in text.split(";"):
        name, found, value = part.partition("=")
        if not found or name not in _READERS:
            known = ", ".join(_READERS)
            raise JobError(f"{part[:40]!r} is no part of a rule; those are NAME=value: {known}")
        if name.lower() in values:
            raise JobError(f"{name} is given twice; give it once, with commas between its values")
        values[name.lower()] = _READERS[name](name, value)
    if "freq" not in values:
        raise JobError("a rule has to say FREQ, such as FREQ=DAILY")
    return Parts(**values)


def _freq(_: str, value: str) -> str:
    if value not in get_args(Frequency):
        raise JobError(f"FREQ takes one of {', '.join(get_args(Frequency))}")
    return value


def _until(_: str, value: str) -> datetime:
    if not _UNTIL.fullmatch(value):
        raise JobError(
            "UNTIL takes a moment of UTC, such as 20301231T235959Z: a date or a local time would "
            "mean another moment in another zone"
        )
    try:
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise JobError(f"UNTIL names a moment that does not exist: {value}") from None


def _week_start(_: str, value: str) -> int:
    if value not in WEEK:
        raise JobError(f"WKST takes one of {', '.join(WEEK)}")
    return WEEK.index(value)


def _week_days(_: str, value: str) -> tuple[WeekDay, ...]:
    days: set[WeekDay] = set()
    for item in value.split(","):
        found = _WEEK_DAY.fullmatch(item)
        if found is None or (found[1] and not 1 <= abs(int(found[1])) <= 53):
            raise JobError(f"BYDAY takes days such as MO, 2TU or -1FR, not {item[:20]!r}")
        days.add((WEEK.index(found[2]), int(found[1]) if found[1] else None))
    return tuple(sorted(days, key=lambda day: (day[0], day[1] or 0)))


def _number(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
            raise JobError(f"{name} takes whole numbers from {least:,} to {most:,}")
        return int(value)

    return read


def _numbers(least: int, most: int) -> Callable[[str, str], tuple[int, ...]]:
    one = _number(least, most)

    def read(name: str, value: str) -> tuple[int, ...]:
        return tuple(sorted({one(name, item) for item in value.split(",")}))

    return read


def _counted(most: int) -> Callable[[str, str], tuple[int, ...]]:
    """Return a reader of numbers that count from the front, or, below zero, from the back."""
    some = _numbers(-most, most)

    def read(name: str, value: str) -> tuple[int, ...]:
        numbers = some(name, value)
        if 0 in numbers:
            raise JobError(f"{name} counts from 1, or from -1 backwards; it does not take 0")
        return numbers

    return read


_READERS: dict[str, Callable[[str, str], Any]] = {
    "FREQ": _freq,
    "INTERVAL": _number(1, LARGEST_INTERVAL),
    "COUNT": _number(1, MOST_TIMES),
    "UNTIL": _until,
    "WKST": _week_start,
    "BYMONTH": _numbers(1, 12),
    "BYWEEKNO": _counted(53),
    "BYYEARDAY": _counted(366),
    "BYMONTHDAY": _counted(31),
    "BYDAY": _week_days,
    "BYHOUR": _numbers(0, 23),
    "BYMINUTE": _numbers(0, 59),
    "BYSECOND": _numbers(0, 59),  # 60 is a leap second, which no datetime has
    "BYSETPOS": _counted(366),
}
_SETS = [name for name in _READERS if name.startswith("BY") and name != "BYSETPOS"]
