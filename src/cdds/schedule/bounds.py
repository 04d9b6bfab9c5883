"""What all repeating recurrences have in common: a span of time, and the questions asked of them.

Place: below each of the values. A value says which instants there are without any bound; this
module cuts them off. Bounds are inclusive on both sides, as DTSTART and UNTIL of RFC 5545 are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

import attrs

from cdds.errors import JobError
from cdds.schedule.moments import in_utc, is_whole, just_before, start_or_none, until_or_none
from cdds.schedule.zones import zone_name

MOST_TIMES = 10_000
"""The largest count: counted once, and then known."""


def asked_number(n: int) -> int:
    """Return how many instants were asked for.

    Raises:
        JobError: it is no whole number, or too large.
    """
    if not is_whole(n, 0, MOST_TIMES):
        raise JobError(f"upcoming takes a whole number from 0 to {MOST_TIMES:,}")
    return n


class Repeating:
    """What happens again and again: answers about its instants, all in UTC."""

    __slots__ = ()

    @abstractmethod
    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, ascending, without regard to bounds."""

    @abstractmethod
    def span(self) -> tuple[datetime | None, datetime | None]:
        """Return the first and the last moment that an instant may be, None for no such bound."""

    @property
    def is_immediate(self) -> bool:
        """Whether the run begins as soon as the job is submitted: never."""
        return False

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant after `moment` (excluded), or None where there is none."""
        return next(self._within(in_utc(moment)), None)

    def upcoming(self, n: int, after: datetime | None = None) -> tuple[datetime, ...]:
        """Return the next `n` instants, or fewer where there are no more.

        They lie after the system's present moment where no `after` is given: the one place of this
        room that looks at a clock, for a person who looks at a list.
        """
        after = datetime.now(UTC) if after is None else in_utc(after)
        return tuple(islice(self._within(after), asked_number(n)))

    def _within(self, after: datetime) -> Iterator[datetime]:
        start, last = self.span()
        if start is not None and start > after:
            after = just_before(start)
        for instant in self.unbounded(after):
            if last is not None and instant > last:
                return
            yield instant


@lru_cache(maxsize=4096)
def last_of(recurrence: Repeating, start: datetime, count: int) -> datetime | None:
    """Return the instant that is number `count` from `start` on; None where time ends before."""
    return next(islice(recurrence.unbounded(just_before(start)), count - 1, None), None)


def _checked_count(_: object, __: object, value: int | None) -> None:
    if value is not None and not is_whole(value, 1, MOST_TIMES):
        raise JobError(f"count takes a whole number from 1 to {MOST_TIMES:,}, or None")


@attrs.frozen(kw_only=True)
class Bounded(Repeating):
    """A recurrence that keeps its bounds in fields of its own.

    Attributes:
        start: no instant before this moment (an aware datetime); None for no such bound.
        until: none after this moment; one that is equal to it counts.
        count: how many instants there are from `start` on; not together with `until`.
        zone: whose clock the hours belong to, as the IANA database names it.
    """

    start: datetime | None = attrs.field(default=None, converter=start_or_none)
    until: datetime | None = attrs.field(default=None, converter=until_or_none)
    count: int | None = attrs.field(default=None, validator=_checked_count)
    zone: str = attrs.field(default="UTC", converter=zone_name)

    def __attrs_post_init__(self) -> None:
        """Refuse bounds that contradict each other, or leave nothing."""
        if self.count is not None:
            if self.start is None:
                raise JobError("count counts from a start; give a start as well")
            if self.until is not None:
                raise JobError("give count or until, not both, as RFC 5545 has it")
        if self.until is not None:
            self._check_until(self.until)

    def _check_until(self, until: datetime) -> None:
        if self.start is not None and self.start > until:
            raise JobError("start lies after until, so nothing would ever run; give a later until")
        if next(self._within(datetime.min.replace(tzinfo=UTC)), None) is None:
            raise JobError(
                "until lies before the first run, so nothing would ever run; give a later one"
            )

    def span(self) -> tuple[datetime | None, datetime | None]:
        """Return the first and the last moment that an instant may be, None for no such bound."""
        if self.count is None or self.start is None:
            return self.start, self.until
        return self.start, last_of(self, self.start, self.count)
