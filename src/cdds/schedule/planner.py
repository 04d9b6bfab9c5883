"""Decides which starts of a job are run, and which were missed: a pure function of what is known.

    a job's recurrence, its last runs, the time --> the run to begin now, what was missed, what next

Place: pure, near the ground; the service asks it within the transaction that claims a run. It looks
at no clock and no database, so whoever asks it with the same values gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Literal, TypeAlias

import attrs

from cdds.schedule.moments import TICK
from cdds.schedule.recurrence import Recurrence

Misfire: TypeAlias = Literal["one", "each", "none"]
"""What becomes of starts that were missed: one run for all of them, each of them, or none."""

MOST_AT_ONCE = 1_000
"""How many missed starts one plan deals with; the next one goes on."""

_MOST_OVERDUE = 10_000


@attrs.frozen(kw_only=True)
class Retry:
    """A run that failed and is to be tried again.

    Attributes:
        due: the instant that it is for.
        at: when it is tried again.
        attempt: which attempt that will be.
        failures: how many of those before have failed, and were not just stopped.
    """

    due: datetime
    at: datetime
    attempt: int
    failures: int


@attrs.frozen(kw_only=True)
class Pending:
    """What is known of a job when it is planned. All moments are in UTC.

    Attributes:
        recurrence: how often it runs.
        next_start: when it is due next; None if it is not.
        retries: the runs that are tried again before any other start.
        dealt_with: the last instant that was run or recorded as missed.
        busy_from: when the run that ended last began, or was due if it is a retry.
        busy_until: when it ended.
        misfire: what becomes of starts that were missed.
        grace: how long after its time a start still counts as on time.
    """

    recurrence: Recurrence
    next_start: datetime | None
    retries: tuple[Retry, ...] = ()
    dealt_with: datetime | None = None
    busy_from: datetime | None = None
    busy_until: datetime | None = None
    misfire: Misfire = "one"
    grace: timedelta = timedelta(minutes=1)


@attrs.frozen
class Start:
    """A run to begin now.

    Attributes:
        due: the instant that it is for.
        attempt: which attempt at it this is.
        failures: how many of those before have failed.
    """

    due: datetime
    attempt: int = 1
    failures: int = 0


@attrs.frozen
class Missed:
    """Starts that are not run, one after another, and why not.

    Attributes:
        first: the first instant of them.
        last: the last one.
        count: how many they are.
        reason: why, in words.
    """

    first: datetime
    last: datetime
    count: int
    reason: str


@attrs.frozen
class Plan:
    """What shall be done about a job now.

    Attributes:
        start: the run to begin; None for none.
        missed: what was missed until then, in order.
        next_start: when the job is due after that; None if never.
    """

    start: Start | None
    missed: tuple[Missed, ...]
    next_start: datetime | None


def plan(pending: Pending, now: datetime) -> Plan:
    """Return what shall be done about a job at `now`."""
    if pending.next_start is None or pending.next_start > now:
        return Plan(None, (), pending.next_start)
    if pending.retries:
        retry, *others = sorted(pending.retries, key=lambda retry: (retry.at, retry.due))
        following = others[0].at if others else _after(pending, retry.due)
        return Plan(Start(retry.due, retry.attempt, retry.failures), (), following)
    first = pending.next_start
    if pending.dealt_with is not None and first <= pending.dealt_with:
        # The time went back: what was dealt with is not dealt with again.
        return Plan(None, (), pending.recurrence.next_after(pending.dealt_with))
    if pending.misfire == "each" or pending.recurrence.is_immediate or now - first <= pending.grace:
        return Plan(Start(first), (), _after(pending, first))
    return _misfired(pending, first, now)


def overdue(pending: Pending, now: datetime, reason: str) -> Missed | None:
    """Return the starts up to `now` that a job gives up, as it is switched off or changed.

    Of more than ten thousand it tells the first ones.
    """
    first = _after(pending, pending.retries[0].due) if pending.retries else pending.next_start
    if pending.dealt_with is not None and first is not None and first <= pending.dealt_with:
        first = pending.recurrence.next_after(pending.dealt_with)
    instants = list(islice(_up_to(pending, first, now), _MOST_OVERDUE))
    return Missed(instants[0], instants[-1], len(instants), reason) if instants else None


def _up_to(pending: Pending, first: datetime | None, last: datetime) -> Iterator[datetime]:
    instant = first
    while instant is not None and instant <= last:
        yield instant
        instant = pending.recurrence.next_after(instant)


def _misfired(pending: Pending, first: datetime, now: datetime) -> Plan:
    """Plan a job whose next start is too late to be on time."""
    late_until = now - pending.grace - TICK
    late = list(islice(_up_to(pending, first, late_until), MOST_AT_ONCE))
    following = pending.recurrence.next_after(late[-1])
    is_last = following is None or now - following <= pending.grace
    if pending.misfire == "none" or not is_last:
        return Plan(None, _not_made_up_for(pending, late), following)
    *merged, latest = late
    reason = f"made up for by the run that was due at {latest:%Y-%m-%d %H:%M:%S} UTC"
    missed = (Missed(merged[0], merged[-1], len(merged), reason),) if merged else ()
    return Plan(Start(latest), missed, following)


def _not_made_up_for(pending: Pending, late: list[datetime]) -> tuple[Missed, ...]:
    spans = groupby(late, key=lambda instant: _was_busy(pending, instant))
    missed = []
    for was_busy, span in spans:
        instants = list(span)
        reason = _reason(pending, was_busy=was_busy)
        missed.append(Missed(instants[0], instants[-1], len(instants), reason))
    return tuple(missed)


def _was_busy(pending: Pending, instant: datetime) -> bool:
    """Tell whether the run that ended last went on for all the time that a start was on time."""
    if pending.busy_from is None or pending.busy_until is None:
        return False
    return pending.busy_from <= instant and pending.busy_until - instant > pending.grace


def _reason(pending: Pending, *, was_busy: bool) -> str:
    if pending.misfire == "one":
        return "made up for by the run of a later start"
    why = (
        "the run before was in progress, or to be tried again"
        if was_busy
        else f"nobody began it within {pending.grace.total_seconds():g} seconds of its time"
    )
    return f"{why}, and the job does not make up for what it misses"


def _after(pending: Pending, instant: datetime) -> datetime | None:
    """Return the start after an instant that is not dealt with yet."""
    dealt_with = pending.dealt_with
    return pending.recurrence.next_after(
        instant if dealt_with is None else max(instant, dealt_with)
    )
