"""The laws of the planner: each start is run or told of as missed, once, whatever time does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import get_args

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cdds.schedule import (
    Hourly,
    Misfire,
    Missed,
    Once,
    Pending,
    Plan,
    Recurrence,
    Retry,
    Start,
    plan,
    planner,
)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
BASE = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)

SPANS = st.one_of(
    st.integers(0, 60).map(lambda hours: hours * HOUR),
    st.timedeltas(timedelta(), 60 * HOUR),
    st.builds(
        lambda hours, ticks: hours * HOUR + HOUR / 2 + ticks * TICK,
        st.integers(0, 60),
        st.integers(-1, 1),
    ),
)
GRACES = st.sampled_from([timedelta(seconds=1), MINUTE, HOUR, 3 * HOUR, timedelta(days=366)])
MISFIRES = st.sampled_from(get_args(Misfire))
HOURLY = st.builds(
    lambda every, start: Hourly(every, start=start),
    st.integers(1, 24),
    st.none() | SPANS.map(lambda span: BASE + span / 4),
)
RECURRENCES = HOURLY | SPANS.map(lambda span: Once(BASE + TICK + span / 2))


@st.composite
def pendings(draw: st.DrawFn, misfire: str | None = None) -> Pending:
    """Return a job that was switched on at `BASE`, or has dealt with its starts until then."""
    recurrence = draw(RECURRENCES)
    busy_until = draw(st.none() | SPANS.map(lambda span: BASE + span))
    return Pending(
        recurrence=recurrence,
        next_start=recurrence.next_after(BASE),
        dealt_with=draw(st.sampled_from([None, BASE, BASE - 5 * HOUR])),
        busy_from=None if busy_until is None else busy_until - draw(SPANS),
        busy_until=busy_until,
        misfire=draw(MISFIRES) if misfire is None else misfire,  # type: ignore[arg-type]
        grace=draw(GRACES),
    )


def instants(recurrence: Recurrence, first: datetime | None, now: datetime) -> list[datetime]:
    """Return the starts of a recurrence from the first one until now."""
    found = []
    while first is not None and first <= now:
        found.append(first)
        first = recurrence.next_after(first)
    return found


def carried_out(pending: Pending, now: datetime) -> Iterator[tuple[Plan, Pending]]:
    """Carry plans out until nothing is due, and yield each with what is known after it."""
    while pending.next_start is not None and pending.next_start <= now:
        made = plan(pending, now)
        told = [missed.last for missed in made.missed]
        run = [made.start.due] if made.start else []
        known = [pending.dealt_with] if pending.dealt_with else []
        pending = attrs.evolve(
            pending,
            next_start=made.next_start,
            dealt_with=max([*known, *told, *run], default=None),
            retries=tuple(retry for retry in pending.retries if retry.due not in run),
        )
        yield made, pending


def outcomes(pending: Pending, now: datetime) -> list[Start | Missed]:
    """Return what becomes of the starts of a job, in the order in which it is decided."""
    found: list[Start | Missed] = []
    for made, _ in carried_out(pending, now):
        found += made.missed
        found += [made.start] if made.start else []
    return found


def covered(pending: Pending, outcome: Start | Missed) -> list[datetime]:
    """Return the starts that an outcome is about."""
    if isinstance(outcome, Start):
        return [outcome.due]
    inside = instants(pending.recurrence, outcome.first, outcome.last)
    assert (inside[0], inside[-1]) == (outcome.first, outcome.last)
    assert outcome.count == len(inside)
    return inside


def starts(found: list[Start | Missed]) -> list[datetime]:
    return [outcome.due for outcome in found if isinstance(outcome, Start)]


@given(pendings(), SPANS)
def test_a_plan_depends_on_nothing_but_what_is_known(pending: Pending, span: timedelta) -> None:
    copy = attrs.evolve(pending)
    assert plan(pending, BASE + span) == plan(copy, BASE + span)
    assert pending == copy


@given(pendings(), SPANS)
@example(Pending(recurrence=Hourly(1), next_start=None), 3 * HOUR)
def test_what_is_not_due_is_left_as_it_is(pending: Pending, span: timedelta) -> None:
    now = BASE + span
    assume(pending.next_start is None or pending.next_start > now)
    assert plan(pending, now) == Plan(None, (), pending.next_start)


@given(pendings(), SPANS)
def test_every_start_is_run_or_told_of_as_missed_once_and_in_order(
    pending: Pending, span: timedelta
) -> None:
    now = BASE + span
    found = outcomes(pending, now)
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in found))
    assert decided == instants(pending.recurrence, pending.next_start, now)


@given(pendings(), st.lists(SPANS, min_size=1, max_size=5))
def test_no_start_is_lost_between_looks_at_the_clock(
    pending: Pending, spans: list[timedelta]
) -> None:
    now, found = BASE, []
    known = pending
    for span in spans:
        now += span
        found += outcomes(known, now)
        for _, after in carried_out(known, now):
            known = after
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in found))
    assert decided == instants(pending.recurrence, pending.next_start, now)


@given(pendings(), SPANS)
def test_the_next_start_is_the_first_one_that_is_not_decided(
    pending: Pending, span: timedelta
) -> None:
    now = BASE + span
    last = None
    for made, known in carried_out(pending, now):
        assert made.next_start == pending.recurrence.next_after(known.dealt_with or BASE)
        assert last is None or made.next_start is None or made.next_start > last
        last = made.next_start


@given(pendings(misfire="each"), SPANS)
def test_with_each_every_start_is_run(pending: Pending, span: timedelta) -> None:
    found = outcomes(pending, BASE + span)
    assert starts(found) == instants(pending.recurrence, pending.next_start, BASE + span)


@given(pendings(misfire="none"), SPANS)
def test_with_none_the_starts_on_time_are_run_and_no_others(
    pending: Pending, span: timedelta
) -> None:
    now = BASE + span
    due = instants(pending.recurrence, pending.next_start, now)
    on_time = [instant for instant in due if now - instant <= pending.grace]
    assert starts(outcomes(pending, now)) == on_time


@given(pendings(misfire="one"), SPANS)
def test_with_one_the_latest_of_the_late_starts_is_run_and_those_on_time(
    pending: Pending, span: timedelta
) -> None:
    now = BASE + span
    due = instants(pending.recurrence, pending.next_start, now)
    late = [instant for instant in due if now - instant > pending.grace]
    on_time = due[len(late) :]
    found = outcomes(pending, now)
    assert starts(found) == [*late[-1:], *on_time]
    spans = [outcome for outcome in found if isinstance(outcome, Missed)]
    assert len(spans) == (len(late) > 1)  # one entry of the history, however many they are


@given(pendings(), SPANS, st.integers(1, 9), st.integers(0, 4))
def test_a_retry_comes_first_and_loses_no_later_start(
    pending: Pending, span: timedelta, failures: int, waited: int
) -> None:
    now = BASE + span
    due = instants(pending.recurrence, pending.next_start, now)
    assume(due)
    instant, *later = due
    retried_at = min(now, instant + waited * MINUTE)
    retry = Retry(due=instant, at=retried_at, attempt=failures + 2, failures=failures)
    retrying = attrs.evolve(pending, next_start=retried_at, retries=(retry,), dealt_with=instant)
    first, *others = outcomes(retrying, now)
    assert first == Start(instant, failures + 2, failures)
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in others))
    assert decided == later
    assert all(outcome.attempt == 1 for outcome in others if isinstance(outcome, Start))


@given(pendings(), SPANS, st.integers(0, 3))
def test_a_retry_beside_later_starts_that_were_run_repeats_none_of_them(
    pending: Pending, span: timedelta, ran: int
) -> None:
    now = BASE + span
    due = instants(pending.recurrence, pending.next_start, now)
    assume(len(due) > ran)
    retries = [
        Retry(due=instant, at=now - number * MINUTE, attempt=2, failures=1)
        for number, instant in enumerate(due[: ran + 1])
    ]
    first_at = min(retry.at for retry in retries)
    retrying = attrs.evolve(
        pending, next_start=first_at, retries=tuple(retries), dealt_with=due[ran]
    )
    made = outcomes(retrying, now)
    again, others = made[: ran + 1], made[ran + 1 :]
    assert again == [Start(instant, 2, 1) for instant in reversed(due[: ran + 1])]
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in others))
    assert decided == due[ran + 1 :]


@given(pendings(), SPANS)
def test_a_job_that_starts_at_once_is_never_missed(pending: Pending, span: timedelta) -> None:
    immediate = attrs.evolve(pending, recurrence=Once(), next_start=BASE, dealt_with=None)
    assert plan(immediate, BASE + span) == Plan(Start(BASE), (), None)


@given(pendings(), SPANS, SPANS, SPANS)
def test_a_time_that_goes_back_deals_with_nothing_twice(
    pending: Pending, span: timedelta, back: timedelta, again: timedelta
) -> None:
    """Whoever reckons the starts anew by a clock that went back gets those of before."""
    now = BASE + span
    known = pending
    for _, after in carried_out(pending, now):
        known = after
    assume(known.dealt_with is not None)
    assert known.dealt_with is not None
    reset = attrs.evolve(known, next_start=pending.recurrence.next_after(now - back))
    found = outcomes(reset, now - back + again)
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in found))
    assert all(instant > known.dealt_with for instant in decided)
    assert len(set(decided)) == len(decided)


@given(pendings(), SPANS, st.integers(1, 5))
def test_more_starts_than_one_plan_deals_with_are_decided_by_the_next(
    pending: Pending, span: timedelta, at_once: int
) -> None:
    now = BASE + span
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "MOST_AT_ONCE", at_once)
        found = outcomes(pending, now)
        assert all(missed.count <= at_once for missed in found if isinstance(missed, Missed))
    decided = list(chain.from_iterable(covered(pending, outcome) for outcome in found))
    assert decided == instants(pending.recurrence, pending.next_start, now)
    assert starts(found) == starts(outcomes(pending, now))


@pytest.mark.parametrize("misfire", ["one", "none"])
@pytest.mark.parametrize(
    "hours", [planner.MOST_AT_ONCE + change for change in (-1, 0, 1, planner.MOST_AT_ONCE)]
)
def test_a_year_of_starts_is_counted_to_the_last(misfire: Misfire, hours: int) -> None:
    recurrence = Hourly(1)
    first = recurrence.next_after(BASE)
    assert first is not None
    now = first + (hours - 1) * HOUR + HOUR / 2
    pending = Pending(recurrence=recurrence, next_start=first, misfire=misfire)
    found = outcomes(pending, now)
    missed = sum(outcome.count for outcome in found if isinstance(outcome, Missed))
    assert missed + len(starts(found)) == hours
    assert starts(found) == ([now - HOUR / 2] if misfire == "one" else [])


def was_busy(pending: Pending, instant: datetime) -> bool:
    """Tell whether a run left no moment at which a start could have been begun on time."""
    if pending.busy_from is None or pending.busy_until is None:
        return False
    return pending.busy_from <= instant and instant + pending.grace < pending.busy_until


@given(pendings(misfire="none"), SPANS)
def test_a_start_was_missed_for_a_run_in_progress_or_because_nobody_was_there(
    pending: Pending, span: timedelta
) -> None:
    for outcome in outcomes(pending, BASE + span):
        if not isinstance(outcome, Missed):
            continue
        busy = {was_busy(pending, instant) for instant in covered(pending, outcome)}
        assert len(busy) == 1
        assert ("in progress" in outcome.reason) == busy.pop()
        assert ("nobody began it" in outcome.reason) == ("in progress" not in outcome.reason)
        assert outcome.reason.endswith("the job does not make up for what it misses")


@given(pendings(misfire="one"), SPANS)
def test_what_is_made_up_for_tells_by_which_run(pending: Pending, span: timedelta) -> None:
    for made, _ in carried_out(pending, BASE + span):
        for missed in made.missed:
            assert made.start is not None
            assert missed.last < made.start.due
            assert f"{made.start.due:%Y-%m-%d %H:%M:%S} UTC" in missed.reason


def test_a_run_just_at_the_end_of_its_grace_is_on_time() -> None:
    first = datetime(2026, 3, 1, 23, tzinfo=UTC)
    pending = Pending(recurrence=Hourly(1), next_start=first, misfire="none", grace=MINUTE)
    assert plan(pending, first).start == Start(first)
    assert plan(pending, first + MINUTE).start == Start(first)
    assert plan(pending, first + MINUTE + TICK).start is None


def test_the_last_start_of_all_time_has_none_after_it() -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    for misfire in get_args(Misfire):
        pending = Pending(recurrence=Hourly(1), next_start=last, misfire=misfire)
        assert plan(pending, last + 30 * MINUTE).next_start is None
