"""The rules of RFC 5545 that people use most, in words.

Place: beside `RRule`, which adds its bounds. A rule that has no sentence here is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from itertools import product

from cdds.schedule import sentences
from cdds.schedule.parts import Frequency, Parts
from cdds.schedule.sentences import DAY_NAMES, each
from cdds.schedule.week import WEEK

_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def words(said: Parts, explicit: Parts, zone: str, rule: str) -> str:
    """Return a sentence for a rule, given as it is said and with all that its start adds."""
    if said.freq in _SHORT and not said.limits():
        return f"{each(said.interval, _SHORT[said.freq])}, by the clock of {zone}"
    days = _DAYS[said.freq](explicit) if said.freq in _DAYS and not said.bysetpos else None
    times = [*product(explicit.byhour, explicit.byminute, explicit.bysecond)]
    if days is None or len(times) != 1:
        return f"by the rule {rule} in {zone}"
    return f"{days} at {sentences.clock(time(*times[0]), zone)}"


def _daily(parts: Parts) -> str | None:
    is_plain = not parts.bymonth and not parts.bymonthday and not parts.byday
    return each(parts.interval, "day") if is_plain else None


def _weekly(parts: Parts) -> str | None:
    if parts.bymonth:
        return None
    names = sentences.weekdays([WEEK[day] for day, _ in parts.byday])
    return f"every {names}" if parts.interval == 1 else f"every {parts.interval} weeks on {names}"


def _monthly(parts: Parts) -> str | None:
    months = each(parts.interval, "month")
    if parts.bymonth:
        return None
    if not parts.byday and len(parts.bymonthday) == 1:
        (day,) = parts.bymonthday
        if day > 0:
            return f"on day {day} of {months}{_if_any(day > 28)}"
        return f"on the last day of {months}" if day == -1 else None
    if not parts.bymonthday and len(parts.byday) == 1:
        ((day, number),) = parts.byday
        if number in _PLACES:
            name = DAY_NAMES[WEEK[day]]
            return f"on the {_PLACES[number]} {name} of {months}{_if_any(number == 5)}"
    return None


def _yearly(parts: Parts) -> str | None:
    others = parts.byday or parts.byyearday or parts.byweekno
    if others or len(parts.bymonth) != 1 or len(parts.bymonthday) != 1:
        return None
    (month,), (day,) = parts.bymonth, parts.bymonthday
    if day < 0:
        return None
    is_leap_day = (month, day) == (2, 29)
    return f"on {day} {_MONTHS[month - 1]} of {each(parts.interval, 'year')}{_if_any(is_leap_day)}"


def _if_any(is_rare: bool) -> str:
    return " that has it" if is_rare else ""


_SHORT: dict[Frequency, str] = {"HOURLY": "hour", "MINUTELY": "minute", "SECONDLY": "second"}
_DAYS: dict[Frequency, Callable[[Parts], str | None]] = {
    "DAILY": _daily,
    "WEEKLY": _weekly,
    "MONTHLY": _monthly,
    "YEARLY": _yearly,
}
