"""The local times of a recurrence rule, from anywhere on, without walking there from its start.

Place: between `parts.py` (what a rule says) and `rrule.py` (when that is in UTC). Every period of a
rule, be it a year or a second, has a number that counts from the beginning of the calendar. A rule
visits each INTERVAL-th one from that of its start, so the first to look at is arithmetic.

Which days a year or a month has is asked of python-dateutil, one period at a time; where RFC 5545
leaves room, its reading holds. What a start adds to a rule is made explicit before.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import product
from math import gcd

import attrs

from cdds.errors import JobError
from cdds.schedule.parts import Frequency, Parts, WeekDay

MOST_TIMES_OF_A_PERIOD = 1440
"""The most times that BYHOUR, BYMINUTE and BYSECOND may name together: one a minute of a day."""

LONGEST_GAP = 100
"""The years after a run in which a rule must run again, or it has ended with that run."""

_LONGEST_SPAN = timedelta(days=LONGEST_GAP * 366)
# How many periods a day has, where a period is no longer than a day.
_IN_A_DAY: dict[Frequency, int] = {"DAILY": 1, "HOURLY": 24, "MINUTELY": 1440, "SECONDLY": 86400}


@attrs.frozen
class Expansion:
    """A rule with a start, ready to be asked.

    Attributes:
        parts: what the rule says, with all that its start adds.
        first: the number of the first period.
        offsets: where the times lie within a period, or within each of its days.
        waits: for each field of the clock that sorts out periods, how many periods one step of it
            takes, and by its value how many steps there are to the next that is admitted.
    """

    parts: Parts
    first: int
    offsets: tuple[timedelta, ...]
    waits: tuple[tuple[int, tuple[int, ...]], ...]

    def after(self, time: datetime, horizon: datetime = datetime.max) -> Iterator[datetime]:
        """Yield the times later than `time`, ascending, up to the period that has the horizon.

        They end where the next one is more than `LONGEST_GAP` years away: else a rule that hardly
        ever runs would be searched to the end of time.
        """
        number, last = _number(self.parts, time), self._reach(time, horizon)
        while (visited := next(self._numbers(number, last), None)) is not None:
            for found in self._times(visited):
                if found > time:
                    yield found
                    last = self._reach(found, horizon)
            number = visited + 1

    def _reach(self, time: datetime, horizon: datetime) -> int:
        """Return the last period in which a time may come after another one."""
        wait = min(_LONGEST_SPAN, datetime.max - time)
        return _number(self.parts, min(time + wait, horizon))

    def is_empty(self) -> bool:
        """Whether the clock alone tells that there is never any time."""
        in_a_day = _IN_A_DAY.get(self.parts.freq)
        if in_a_day is None:
            return False
        places = self.parts.bysetpos
        if places and all(abs(place) > len(self.offsets) for place in places):
            return True
        # Over the days the visited periods come to all those of a day that differ by this step.
        step = gcd(self.parts.interval, in_a_day)
        number = self.first % step
        while number < in_a_day and (wait := self._wait_of_clock(number)):
            number += -(-wait // step) * step
        return number >= in_a_day

    def _numbers(self, number: int, last: int) -> Iterator[int]:
        """Yield the visited periods from a number on, without most of those that hold nothing."""
        while (number := self._visited(number)) <= last:
            wait = self._wait(number)
            if not wait:
                yield number
            number += wait or 1

    def _visited(self, number: int) -> int:
        """Return the first period that the rule visits, from a number on, be it before the start.

        Starts are moments, and compared as such: a local time in a gap may happen at the start.
        """
        return number + (self.first - number) % self.parts.interval

    def _wait(self, number: int) -> int:
        """Return how many periods hold nothing for sure, from this one on."""
        in_a_day = _IN_A_DAY.get(self.parts.freq)
        if in_a_day is None:
            return 0
        ordinal, rest = divmod(number, in_a_day)
        days = _wait_for_day(self.parts, date.fromordinal(ordinal))
        return days * in_a_day - rest if days else self._wait_of_clock(rest)

    def _wait_of_clock(self, rest: int) -> int:
        for size, steps in self.waits:
            value, rest = divmod(rest, size)
            if steps[value]:
                return steps[value] * size - rest
        return 0

    def _times(self, number: int) -> Iterable[datetime]:
        times = (base + offset for base in self._bases(number) for offset in self.offsets)
        return _picked(list(times), self.parts.bysetpos) if self.parts.bysetpos else times

    def _bases(self, number: int) -> Iterable[datetime]:
        in_a_day = _IN_A_DAY.get(self.parts.freq)
        if in_a_day is None:
            return map(datetime.fromordinal, _days(self.parts, number))
        ordinal, rest = divmod(number, in_a_day)
        return (datetime.fromordinal(ordinal) + timedelta(seconds=86400 // in_a_day * rest),)


def expansion(parts: Parts, start: datetime) -> Expansion:
    """Return a rule made ready for its start, a local time.

    Raises:
        JobError: the rule names too many times in one period.
    """
    parts = _explicit(parts, start)
    in_a_day = _IN_A_DAY.get(parts.freq, 1)
    hours = parts.byhour if in_a_day == 1 else (0,)
    minutes = parts.byminute if in_a_day <= 24 else (0,)
    seconds = parts.bysecond if in_a_day <= 1440 else (0,)
    named = len(hours) * len(minutes) * len(seconds)
    if named > MOST_TIMES_OF_A_PERIOD:
        raise JobError(
            f"BYHOUR, BYMINUTE and BYSECOND name {named:,} times; at most "
            f"{MOST_TIMES_OF_A_PERIOD:,} are taken: use FREQ=MINUTELY or FREQ=SECONDLY"
        )
    offsets = tuple(
        timedelta(hours=hour, minutes=minute, seconds=second)
        for hour, minute, second in product(hours, minutes, seconds)
    )
    return Expansion(parts, _number(parts, start), offsets, _waits(parts, in_a_day))


def _explicit(parts: Parts, start: datetime) -> Parts:
    """Return a rule that says itself what it takes from its start."""
    in_a_day = _IN_A_DAY.get(parts.freq, 0)
    added = _explicit_days(parts, start)
    if in_a_day <= 1 and not parts.byhour:
        added["byhour"] = (start.hour,)
    if in_a_day <= 24 and not parts.byminute:
        added["byminute"] = (start.minute,)
    if in_a_day <= 1440 and not parts.bysecond:
        added["bysecond"] = (start.second,)
    return attrs.evolve(parts, **added)  # type: ignore[arg-type]


def _explicit_days(parts: Parts, start: datetime) -> dict[str, tuple[object, ...]]:
    if parts.byday:
        return {"byday": _alike(parts)}
    if parts.freq == "WEEKLY":
        return {"byday": ((start.weekday(), None),)}
    if parts.freq not in {"YEARLY", "MONTHLY"}:
        return {}
    if parts.byweekno or parts.byyearday or parts.bymonthday:
        return {}
    added: dict[str, tuple[object, ...]] = {"bymonthday": (start.day,)}
    if parts.freq == "YEARLY" and not parts.bymonth:
        added["bymonth"] = (start.month,)
    return added


def _alike(parts: Parts) -> tuple[WeekDay, ...]:
    """Return BYDAY with numbers for all of its days, where some have one.

    python-dateutil takes MO,2TU for the days that are both, which is never.
    """
    if all(number is None for _, number in parts.byday):
        return parts.byday
    most = 53 if parts.freq == "YEARLY" and not parts.bymonth else 5
    return tuple(
        (day, one)
        for day, number in parts.byday
        for one in (range(1, most + 1) if number is None else (number,))
    )


def _waits(parts: Parts, in_a_day: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    fields = ((24, 24, parts.byhour), (1440, 60, parts.byminute), (86400, 60, parts.bysecond))
    return tuple(
        (in_a_day // steps_of_a_day, _steps(size, admitted))
        for steps_of_a_day, size, admitted in fields
        if steps_of_a_day <= in_a_day
    )


def _steps(size: int, admitted: tuple[int, ...]) -> tuple[int, ...]:
    """Return by each value how many steps there are to the next admitted one, or to the end."""
    steps = [0] * (size + 1)
    for value in reversed(range(size)):
        steps[value] = 0 if not admitted or value in admitted else steps[value + 1] + 1
    return tuple(steps[:size])


def _number(parts: Parts, time: datetime) -> int:
    """Return the number of the period that holds a time."""
    if parts.freq == "YEARLY":
        return time.year
    if parts.freq == "MONTHLY":
        return 12 * time.year + time.month - 1
    if parts.freq == "WEEKLY":
        return (time.toordinal() - 1 - parts.wkst) // 7
    in_a_day = _IN_A_DAY[parts.freq]
    seconds = 3600 * time.hour + 60 * time.minute + time.second
    return time.toordinal() * in_a_day + seconds * in_a_day // 86400


def _wait_for_day(parts: Parts, day: date) -> int:
    """Return how many days hold nothing for sure, from this one on."""
    if parts.bymonth and day.month not in parts.bymonth:
        return monthrange(day.year, day.month)[1] + 1 - day.day
    return 0 if _fits(parts, day) else 1


def _fits(parts: Parts, day: date) -> bool:
    """Whether a day is one of those that a rule with short periods is limited to."""
    if parts.byday and (day.weekday(), None) not in parts.byday:
        return False
    if parts.bymonthday:
        left = monthrange(day.year, day.month)[1] + 1 - day.day
        if day.day not in parts.bymonthday and -left not in parts.bymonthday:
            return False
    if parts.byyearday:
        number = day.timetuple().tm_yday
        left = 366 + isleap(day.year) - number
        return number in parts.byyearday or -left in parts.byyearday
    return True


@lru_cache(maxsize=4096)
def _days(parts: Parts, number: int) -> tuple[int, ...]:
    """Return the ordinals of the days that a week, a month or a year has."""
    if parts.freq == "WEEKLY":
        monday = 7 * number + 1
        week = range(max(monday + parts.wkst, 1), monday + parts.wkst + 7)
        days = [date.fromordinal(day) for day in week if day <= date.max.toordinal()]
        return tuple(day.toordinal() for day in days if not _wait_for_day(parts, day))
    year, month = (number, 0) if parts.freq == "YEARLY" else divmod(number, 12)
    return tuple(day.toordinal() for day in _calendar(parts, datetime(year, month + 1, 1)))


def _calendar(parts: Parts, begin: datetime) -> Iterable[datetime]:
    """Return the days of the period that begins then, in the reading of python-dateutil."""
    from dateutil import rrule

    is_yearly = parts.freq == "YEARLY"
    return rrule.rrule(
        rrule.YEARLY if is_yearly else rrule.MONTHLY,
        dtstart=begin,
        interval=10_000 if is_yearly else 120_000,  # the period after this one is beyond all years
        wkst=parts.wkst,
        bymonth=parts.bymonth or None,
        byweekno=parts.byweekno or None,
        byyearday=parts.byyearday or None,
        bymonthday=parts.bymonthday or None,
        byweekday=[rrule.weekday(day, number) for day, number in parts.byday] or None,
        byhour=0,
        byminute=0,
        bysecond=0,
    )


def _picked(times: list[datetime], places: tuple[int, ...]) -> list[datetime]:
    """Return the times at some places of a period, from its front or from its back."""
    count = len(times)
    indices = {place - 1 if place > 0 else count + place for place in places}
    return [times[index] for index in sorted(indices) if 0 <= index < count]
