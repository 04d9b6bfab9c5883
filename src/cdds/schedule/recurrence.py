"""How often a job runs, and when next: the recurrences that a person chooses from.

Place: values; how they are cut off stands in `bounds.py`, what a zone's clock means in `zones.py`.
For everything else there is `RRule`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

import attrs

from cdds.errors import JobError
from cdds.schedule import sentences
from cdds.schedule.bounds import Bounded, asked_number
from cdds.schedule.moments import in_utc, is_whole, start_or_none, time_of_day
from cdds.schedule.rrule import RRule
from cdds.schedule.week import WEEK
from cdds.schedule.zones import change, instants, local, offset

_HOUR = timedelta(hours=1)
# West of Greenwich the first hours of time show a year that no datetime has; they are left out.
_FIRST_DAY = datetime(1, 1, 2, tzinfo=UTC)


@attrs.frozen
class Once:
    """One run: at a moment, or at once where none is given.

    A job refuses a moment in the past when it is made; the value itself looks at no clock.

    Attributes:
        at: when (an aware datetime); None for as soon as the job is submitted.

    Raises:
        JobError: `at` has no zone.
    """

    at: datetime | None = attrs.field(default=None, converter=start_or_none)

    @property
    def is_immediate(self) -> bool:
        """Whether the run begins as soon as the job is submitted."""
        return self.at is None

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the start after `moment` (excluded), or None where there is none."""
        moment = in_utc(moment)
        return self.at if self.at is not None and self.at > moment else None

    def upcoming(self, n: int, after: datetime | None = None) -> tuple[datetime, ...]:
        """Return the start, if it lies after `after` or else the system's present moment."""
        n = asked_number(n)
        following = self.next_after(datetime.now(UTC) if after is None else after)
        return () if following is None else (following,)[:n]

    def __str__(self) -> str:
        return "once, at once" if self.at is None else f"once, at {sentences.moment(self.at)}"


def _check_hours(_: object, __: object, value: object) -> None:
    if not is_whole(value, 1, 24):
        raise JobError("an hourly job runs every 1 to 24 hours; give a whole number")


@attrs.frozen
class Hourly(Bounded):
    """A run every so many hours, counted from 00:00 of each day.

    Every 5 hours means 00, 05, 10, 15, 20 and again 00 o'clock. In a zone it runs whenever the
    clock there shows one of these hours: an hour that is missing has no run, one that comes twice
    has two.

    Attributes:
        every: 1 to 24 hours.

    Raises:
        JobError: `every` or a bound is out of its range, or the bounds leave no instant.
    """

    every: int = attrs.field(default=1, validator=_check_hours)

    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, without regard to bounds."""
        try:
            while True:
                after = self._next(after)
                yield after
        except OverflowError:  # the end of time
            return

    def _next(self, after: datetime) -> datetime:
        if self.zone == "UTC":
            return self._full_hour(after)
        after = max(after, _FIRST_DAY)
        while True:
            ahead = offset(after, self.zone)
            shown = (after + ahead).replace(tzinfo=UTC)
            following = self._full_hour(shown) - ahead
            if offset(following, self.zone) == ahead:
                return following
            # The clock changes in between: go on with what it shows then.
            after = change(after, following, self.zone)
            if self._shows(local(after, self.zone)):
                return after

    def _full_hour(self, after: datetime) -> datetime:
        midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + min((after.hour // self.every + 1) * self.every, 24) * _HOUR

    def _shows(self, shown: datetime) -> bool:
        return not (shown.hour % self.every or shown.minute or shown.second)

    def __str__(self) -> str:
        limits = sentences.bounds(self.start, self.until, self.count)
        return f"{sentences.each(self.every, 'hour')}, from 00:00 {self.zone}{limits}"


def _time_of_day(value: time | str) -> time:
    if isinstance(value, str):
        value = time_of_day(value)
    if not isinstance(value, time):
        raise JobError("at takes a time of day, such as '02:30' or datetime.time(2, 30)")
    if value.tzinfo is not None:
        raise JobError("at takes a time without a tzinfo; name its zone in zone=")
    if value.microsecond:
        raise JobError("at takes a time of full seconds")
    return value.replace(fold=0)


@attrs.frozen
class Daily(Bounded):
    """A run on every day.

    Attributes:
        at: the time of day in the zone, such as ``"02:30"``.

    Raises:
        JobError: `at` or a bound is out of its range, or the bounds leave no instant.
    """

    at: time = attrs.field(default=time(), converter=_time_of_day)

    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, without regard to bounds."""
        days = _days_from(local(after, self.zone).date())
        return instants((datetime.combine(day, self.at) for day in days), self.zone, after)

    def __str__(self) -> str:
        limits = sentences.bounds(self.start, self.until, self.count)
        return f"every day at {sentences.clock(self.at, self.zone)}{limits}"


def _days_from(day: date) -> Iterator[date]:
    return map(date.fromordinal, range(day.toordinal(), date.max.toordinal() + 1))


def _week_days(value: str | Iterable[str]) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, bytes):
        raise JobError("days takes days of the week: MO, TU, WE, TH, FR, SA, SU")
    asked = {name.upper() if isinstance(name, str) else "" for name in names}
    if not asked or not asked <= set(WEEK):
        raise JobError("days takes one or more of MO, TU, WE, TH, FR, SA, SU")
    return tuple(day for day in WEEK if day in asked)


@attrs.frozen
class Weekly(Bounded):
    """A run on some days of every week.

    Attributes:
        days: one or several of MO, TU, WE, TH, FR, SA, SU.
        at: the time of day in the zone, such as ``"02:30"``.

    Raises:
        JobError: a day is unknown, `at` or a bound is out of its range, or the bounds leave no
            instant.
    """

    days: tuple[str, ...] = attrs.field(converter=_week_days)
    at: time = attrs.field(default=time(), converter=_time_of_day)

    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, without regard to bounds."""
        asked = {WEEK.index(day) for day in self.days}
        days = _days_from(local(after, self.zone).date())
        times = (datetime.combine(day, self.at) for day in days if day.weekday() in asked)
        return instants(times, self.zone, after)

    def __str__(self) -> str:
        limits = sentences.bounds(self.start, self.until, self.count)
        days = sentences.weekdays(self.days)
        return f"every {days} at {sentences.clock(self.at, self.zone)}{limits}"


def _check_day(_: object, __: object, value: object) -> None:
    if not is_whole(value, 1, 31) and not is_whole(value, -1, -1):
        raise JobError("a monthly job runs on day 1 to 31, or -1 for the last; give a whole number")


@attrs.frozen
class Monthly(Bounded):
    """A run on one day of every month; in a month without that day, on its last.

    Who wants such months left out uses ``RRule("FREQ=MONTHLY;BYMONTHDAY=31", …)``.

    Attributes:
        day: 1 to 31, or -1 for the last day.
        at: the time of day in the zone, such as ``"02:30"``.

    Raises:
        JobError: `day`, `at` or a bound is out of its range, or the bounds leave no instant.
    """

    day: int = attrs.field(default=1, validator=_check_day)
    at: time = attrs.field(default=time(), converter=_time_of_day)

    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, without regard to bounds."""
        first = local(after, self.zone)
        return instants(self._times(12 * first.year + first.month - 1), self.zone, after)

    def _times(self, month: int) -> Iterator[datetime]:
        """Yield the local times from a month on, counted from the year 0."""
        for number in range(month, 12 * (date.max.year + 1)):
            year, before = divmod(number, 12)
            last = monthrange(year, before + 1)[1]
            day = last if self.day == -1 else min(self.day, last)
            yield datetime.combine(date(year, before + 1, day), self.at)

    def __str__(self) -> str:
        limits = sentences.bounds(self.start, self.until, self.count)
        return f"{self._day_in_words()} at {sentences.clock(self.at, self.zone)}{limits}"

    def _day_in_words(self) -> str:
        if self.day == -1:
            return "on the last day of every month"
        return f"on day {self.day} of every month" + (", or its last," if self.day > 28 else "")


Recurrence: TypeAlias = Once | Hourly | Daily | Weekly | Monthly | RRule
"""Everything that says when a job runs."""
