"""How often a job runs, and when next, in UTC.

Place: pure values; all that is known of a recurrence stands here, its form in JSON included.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs

from cdds.errors import JobError


def utc(value: datetime | None) -> datetime | None:
    """Return an aware datetime in UTC.

    Raises:
        JobError: it has no zone, or leaves the years that a datetime can hold.
    """
    return None if value is None else _utc(value)


def _utc(value: datetime) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise JobError("a start takes an aware datetime: give the value a tzinfo, such as UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise JobError("a start must lie within the years 1 to 9999 in UTC") from None


@attrs.frozen
class Once:
    """One run: at a moment (an aware datetime), or at once where none is given."""

    at: datetime | None = attrs.field(default=None, converter=utc)

    @property
    def is_immediate(self) -> bool:
        """Whether the run begins as soon as the job is submitted."""
        return self.at is None

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the start after `moment` (excluded), or None where there is none."""
        moment = _utc(moment)
        return self.at if self.at is not None and self.at > moment else None

    def __str__(self) -> str:
        return "once, at once" if self.at is None else f"once, at {self.at:%Y-%m-%d %H:%M} UTC"


def _hours(_: object, __: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 24:
        raise JobError("an hourly job runs every 1 to 24 hours; give a whole number")


@attrs.frozen
class Hourly:
    """A run every so many hours, counted from 00:00 UTC of each day.

    Every 5 hours means 00, 05, 10, 15, 20 and again 00 o'clock.

    Attributes:
        every: 1 to 24 hours.
        start: no run before this moment (an aware datetime); None for no such bound.
    """

    every: int = attrs.field(default=1, validator=_hours)
    start: datetime | None = attrs.field(default=None, converter=utc, kw_only=True)

    @property
    def is_immediate(self) -> bool:
        """Whether the run begins as soon as the job is submitted: never."""
        return False

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first start after `moment` (excluded), or None at the end of time."""
        moment = _utc(moment)
        try:
            if self.start is not None and self.start > moment:
                moment = self.start - timedelta(microseconds=1)
            midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
            hour = (moment.hour // self.every + 1) * self.every
            return midnight + timedelta(hours=min(hour, 24))
        except OverflowError:
            return None

    def __str__(self) -> str:
        hours = "hour" if self.every == 1 else f"{self.every} hours"
        start = "" if self.start is None else f", not before {self.start:%Y-%m-%d %H:%M} UTC"
        return f"every {hours}, from 00:00 UTC{start}"


Recurrence: TypeAlias = Once | Hourly


def to_json(recurrence: Recurrence) -> dict[str, Any]:
    """Return a recurrence as values that JSON has."""
    if isinstance(recurrence, Once):
        return {"kind": "once", "at": _text(recurrence.at)}
    return {"kind": "hourly", "every": recurrence.every, "start": _text(recurrence.start)}


def from_json(value: dict[str, Any]) -> Recurrence:
    """Return the recurrence that `to_json` wrote."""
    if value["kind"] == "once":
        return Once(_moment(value["at"]))
    return Hourly(value["every"], start=_moment(value["start"]))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
