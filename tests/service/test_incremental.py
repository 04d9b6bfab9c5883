"""Incremental jobs and backfills: each record is exported once, whatever becomes of the runs.

Time is a value. The records of a source gather at the borders of windows: just before them, at
them and just after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from hosts import Host, MakeHost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cdds
from cdds.catalog import JobEntry, RunEntry
from cdds.errors import AccessDenied, CddsError, JobError, NoCertificate, NotFound, RunLost
from cdds.model import SinceLastRun, Timeframe

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
ANCIENT = datetime(2001, 1, 1, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)

LAGS = st.sampled_from([timedelta(), TICK, 5 * MINUTE, 90 * MINUTE])
STARTS = st.sampled_from([None, -3 * HOUR, timedelta(), 5 * HOUR])


class Tables:
    """The records of two sources, and what reading them brings about."""

    def __init__(self) -> None:
        self.moments: dict[str, set[datetime]] = {}
        self.meddle: Callable[[], None] | None = None
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        self.morning = tomorrow.replace(hour=9, minute=10, second=0, microsecond=0)

    def clear(self) -> None:
        self.moments = {"UCS": set(), "Other": set()}
        self.meddle = None

    def sources(self) -> dict[str, Callable[[str], cdds.sources.Records]]:
        return {"UCS": lambda _: self._read("UCS"), "Other": lambda _: self._read("Other")}

    def count(self, run: RunEntry) -> int:
        """Return how many records lie in the window of a run, half-open as windows are."""
        assert run.window is not None
        assert run.window.end is not None
        start, end = run.window.start or FIRST, run.window.end
        return sum(start <= moment < end for moment in self.moments[run.settings.source])

    def gather_at(self, border: datetime, since: datetime | None) -> None:
        """Let records become visible around a border, none of them before what was exported."""
        for moment in (border - TICK, border, border + TICK):
            if since is None or moment >= since:
                for moments in self.moments.values():
                    moments.add(moment)

    def _read(self, source: str) -> cdds.sources.Records:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return cdds.sources.Records(
            interaction=[
                {"IXNID": f"{number:016}", "MEDIATYPEID": "chat", "STARTDATE": text(moment)}
                for number, moment in enumerate(sorted(self.moments[source]))
            ]
        )


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def host(make_host: MakeHost, tables: Tables) -> Host:
    tables.clear()
    return make_host(sources=tables.sources(), threads=1)


@attrs.define
class Series:
    """An incremental job, and what its windows have to be.

    Attributes:
        border: where the next window begins.
        seen: the runs that were held against this.
        counts: how many records the windows of the series held so far.
        has_finished: whether any run of the series has.
    """

    host: Host
    tables: Tables
    job: JobEntry
    border: datetime | None = None
    seen: set[str] = attrs.field(factory=set)
    counts: int = 0
    has_finished: bool = False

    def timeframe(self) -> SinceLastRun:
        assert isinstance(self.job.settings.timeframe, SinceLastRun)
        return self.job.settings.timeframe

    def begin_anew(self) -> None:
        self.border = self.timeframe().start
        self.counts, self.has_finished = 0, False

    def gather(self, moment: datetime) -> None:
        """Have records gather where the window of a run that is due at a moment will end."""
        self.tables.gather_at(moment - self.timeframe().lag, self.border)

    def gather_at_all_that_may_run(self) -> None:
        present = self.host.service.jobs.get(self.host.alice, self.job.id)
        instant = present.retrying or present.next_start
        while instant is not None and instant <= self.host.clock.moment:
            self.gather(instant)
            instant = self.job.settings.recurrence.next_after(instant)

    def check(self) -> None:
        """Hold what the runs since the last time have exported against what they had to."""
        page = self.host.service.history.list(self.host.alice, job_id=self.job.id, limit=500)
        fresh = [run for run in page.items if run.id not in self.seen and run.status != "missed"]
        fresh.sort(key=lambda run: (run.finished, run.due or run.started, run.attempt))
        for run in fresh:
            self.seen.add(run.id)
            if run.status == "finished":
                self._check_window(run)
        present = self.host.service.jobs.get(self.host.alice, self.job.id)
        assert present.watermark == (self.border if self.has_finished else None)

    def _check_window(self, run: RunEntry) -> None:
        assert run.window is not None
        end = (run.due or run.started) - self.timeframe().lag
        assert run.window.start == self.border
        assert run.window.end == (end if self.border is None else max(end, self.border))
        assert run.records.get("interaction", 0) == self.tables.count(run)
        self.border, self.has_finished = run.window.end, True
        self.counts += self.tables.count(run)

    def check_all_are_exported_once(self) -> None:
        """Hold the sum of all windows against the records that lie before the border."""
        start = self.timeframe().start or FIRST
        moments = self.tables.moments[self.job.settings.source]
        border = start if self.border is None else self.border
        assert self.counts == sum(start <= moment < border for moment in moments)


FAULTS = ["none", "none", "transient", "lasting", "cancel"]


@contextmanager
def fault(series: Series, kind: str) -> Iterator[None]:
    """Have the next run end in some way."""
    host = series.host

    def meddle() -> None:
        if kind == "cancel":
            job = host.service.jobs.get(host.alice, series.job.id)
            assert job.latest_run is not None
            host.service.history.cancel(host.alice, job.latest_run)
        elif kind == "transient":
            raise ConnectionError
        elif kind == "lasting":
            raise ValueError

    series.tables.meddle = None if kind == "none" else meddle
    yield
    series.tables.meddle = None


def pass_time(series: Series, data: st.DataObject) -> None:
    """Let hours or minutes pass, and the host run what is due."""
    series.host.clock.moment += data.draw(
        st.sampled_from([MINUTE, 10 * MINUTE, HOUR, 4.5 * HOUR]), "span"
    )
    with fault(series, data.draw(st.sampled_from(FAULTS), "fault")):
        series.gather_at_all_that_may_run()
        series.host.service.run_due()


def run_now(series: Series, data: st.DataObject) -> None:
    host = series.host
    series.gather(host.clock.moment)
    kind = data.draw(st.sampled_from(FAULTS), "fault")
    with fault(series, kind), suppress(CddsError, ConnectionError, ValueError):
        host.service.jobs.run_now(host.alice, series.job.id)


def be_slow(series: Series, data: st.DataObject) -> None:
    """Have the worker of a run come back after others have given the run up."""
    host = series.host
    moment = host.clock.moment
    series.gather(moment)
    execution = host.service.due._execution
    if data.draw(st.booleans(), "is due"):
        series.gather_at_all_that_may_run()
        claim = execution.claim_due(series.job.id)
    else:
        claim = execution._claims.requested(series.job.id, "alice")
    if claim is None:
        return
    host.clock.moment += MINUTE
    host.service.due.jobs(1)
    before = host.service.jobs.get(host.alice, series.job.id)
    with pytest.raises(RunLost):
        execution.carry_out(claim)
    assert host.service.jobs.get(host.alice, series.job.id) == before


def edit(series: Series, data: st.DataObject) -> None:
    settings = series.job.settings
    kind = data.draw(st.sampled_from(["lag", "title", "media", "source", "start", "every"]), "edit")
    changes: dict[str, dict[str, Any]] = {
        "lag": {"timeframe": attrs.evolve(series.timeframe(), lag=data.draw(LAGS, "lag"))},
        "title": {"title": f"{settings.title}!"},
        "media": {"media_types": None if settings.media_types else ["chat"]},
        "source": {"source": "Other" if settings.source == "UCS" else "UCS"},
        "start": {"timeframe": attrs.evolve(series.timeframe(), start=series.host.clock.moment)},
        "every": {"recurrence": cdds.Hourly(data.draw(st.integers(1, 4), "every"))},
    }
    before = settings
    series.job = series.host.service.jobs.edit(series.host.alice, series.job.id, **changes[kind])
    after = series.job.settings
    first = before.timeframe.start, after.timeframe.start  # type: ignore[union-attr]
    if before.source != after.source or first[0] != first[1]:
        assert series.job.watermark is None
        series.begin_anew()


def suspend_and_resume(series: Series, _: st.DataObject) -> None:
    host = series.host
    host.service.jobs.suspend(host.alice, series.job.id)
    host.clock.moment += 2 * HOUR
    host.service.jobs.resume(host.alice, series.job.id)


STEPS = [pass_time, pass_time, pass_time, run_now, be_slow, edit, suspend_and_resume]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_windows_of_a_job_meet_exactly_and_hold_each_record_once(
    host: Host, tables: Tables, data: st.DataObject
) -> None:
    tables.clear()
    host.clock.moment = tables.morning
    start = data.draw(STARTS, "start")
    begins = None if start is None else host.clock.moment + start
    job = host.add(
        recurrence=cdds.Hourly(data.draw(st.integers(1, 3), "every")),
        timeframe=Timeframe.since_last_run(data.draw(LAGS, "lag"), begins),
        misfire=data.draw(st.sampled_from(["one", "each", "none"]), "misfire"),
        max_retries=data.draw(st.integers(0, 2), "retries"),
    )
    series = Series(host, tables, job, begins)
    for border in (ANCIENT, begins or ANCIENT):
        tables.gather_at(border, None)
    try:
        for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=10), "steps"):
            step(series, data)
            series.check()
        series.gather(host.clock.moment)
        finished(host, job)
        series.check()
        series.check_all_are_exported_once()
    finally:
        host.service.jobs.delete(host.alice, job.id)


def finished(host: Host, job: JobEntry) -> RunEntry:
    return host.service.jobs.run_now(host.alice, job.id)


def test_the_first_window_takes_all_that_is_older(host: Host, tables: Tables) -> None:
    tables.moments["UCS"] = {ANCIENT, host.clock.moment - 5 * MINUTE - TICK}
    tables.moments["UCS"].add(host.clock.moment - 5 * MINUTE)
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    run = finished(host, job)
    assert run.window == Timeframe(None, host.clock.moment - 5 * MINUTE)
    assert run.records == {"interaction": 2}


def test_a_window_of_no_time_is_exported_as_one_without_records(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    first, second = finished(host, job), finished(host, job)
    assert first.window is not None
    assert second.window == Timeframe(first.window.end, first.window.end)
    assert second.status == "finished"


@pytest.mark.parametrize("end", ["finished", "failed"])
def test_a_job_that_was_edited_there_and_back_during_a_run_begins_anew(
    host: Host, tables: Tables, end: str
) -> None:
    """For it was to begin again, and what the run exports does not begin there."""
    tables.gather_at(ANCIENT, None)
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    finished(host, job)
    host.clock.moment += HOUR

    def meddle() -> None:
        host.service.jobs.edit(host.alice, job.id, source="Other")
        host.service.jobs.edit(host.alice, job.id, source="UCS")
        if end == "failed":
            raise ConnectionError

    tables.meddle = meddle
    with suppress(ConnectionError):
        finished(host, job)
    assert host.service.jobs.get(host.alice, job.id).watermark is None
    run = finished(host, job)
    assert run.window is not None
    assert run.window.start is None
    assert run.records == {"interaction": 3}


def test_an_edit_during_a_run_that_goes_on_takes_over_where_it_ended(
    host: Host, tables: Tables
) -> None:
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())

    def meddle() -> None:
        timeframe = Timeframe.since_last_run(timedelta())
        host.service.jobs.edit(host.alice, job.id, title="Other", timeframe=timeframe)

    tables.meddle = meddle
    run = finished(host, job)
    assert run.window == Timeframe(None, host.clock.moment - 5 * MINUTE)
    following = finished(host, job)
    assert following.window == Timeframe(run.window.end, host.clock.moment)


def test_a_job_that_is_no_longer_incremental_has_no_window(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    finished(host, job)
    edited = host.service.jobs.edit(host.alice, job.id, timeframe=None)
    assert edited.watermark is None
    assert finished(host, job).window is None
    again = host.service.jobs.edit(host.alice, job.id, timeframe=Timeframe.since_last_run())
    assert again.watermark is None


def test_a_clone_begins_for_itself(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    run = finished(host, job)
    for clone in (
        host.service.jobs.clone(host.alice, job.id),
        host.service.history.clone(host.alice, run.id),
    ):
        assert clone.watermark is None
        assert clone.settings == job.settings


def test_the_history_shows_the_window_of_each_run(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1), timeframe=Timeframe.since_last_run())
    run = finished(host, job)
    assert host.service.history.get(host.alice, run.id).window == run.window
    assert host.service.jobs.get(host.alice, job.id).watermark == run.window.end  # type: ignore[union-attr]


# Backfills.

SPAN_START = datetime(2026, 1, 1, tzinfo=UTC)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    length=st.timedeltas(TICK, timedelta(days=3)),
    count=st.integers(1, 8),
    title=st.sampled_from(["Backup", "x" * 200, "😀" * 200]),
)
def test_a_backfill_exports_each_record_of_its_span_once(
    host: Host, tables: Tables, length: timedelta, count: int, title: str
) -> None:
    tables.clear()
    end = SPAN_START + length
    step = max(MINUTE, length / count)
    timeframe = Timeframe.since_last_run(start=end)
    job = host.add(title=title, recurrence=cdds.Hourly(1), timeframe=timeframe)
    added = host.service.jobs.backfill(host.alice, job.id, SPAN_START, end, step)
    borders = [SPAN_START, *(each.settings.timeframe.end for each in added)]  # type: ignore[union-attr]
    assert borders[-1] == end
    for border in borders:
        assert border is not None
        tables.gather_at(border, None)
    assert [each.settings.timeframe for each in added] == [
        Timeframe(*pair) for pair in pairwise(borders)
    ]
    assert len({each.title for each in added}) == len(added)
    assert all(len(each.title) <= 200 for each in added)
    runs = host.service.run_due(limit=1000)
    assert {run.job_id for run in runs} == {each.id for each in added}
    exported = sum(run.records.get("interaction", 0) for run in runs)
    inside = [moment for moment in tables.moments["UCS"] if SPAN_START <= moment < end]
    assert exported == len(inside) > 0
    assert host.service.jobs.get(host.alice, job.id) == job
    rest = finished(host, job)  # which goes on where the backfill ends
    assert rest.records.get("interaction", 0) == sum(
        end <= moment for moment in tables.moments["UCS"]
    )
    for each in (job, *added):
        host.service.jobs.delete(host.alice, each.id)


def test_a_backfill_names_each_window_in_its_title(host: Host) -> None:
    job = host.add(title="Mail", recurrence=cdds.Hourly(6), description="Kept")
    end = datetime(2026, 1, 2, 12, 30, tzinfo=UTC)
    added = host.service.jobs.backfill(host.alice, job.id, SPAN_START, end, timedelta(days=1))
    assert [each.title for each in added] == [
        "Mail (2026-01-01 to 2026-01-02)",
        "Mail (2026-01-02 to 2026-01-02 12:30:00)",
    ]
    for each in added:
        assert each.settings.description == "Kept"
        assert each.settings.recurrence == cdds.Once()
        assert (each.suspended, each.next_start) == (True, host.clock.moment)
        assert each.owner == "alice"
    assert host.service.jobs.list(host.alice, title="mail (2026").items


DAY = timedelta(days=1)
NAIVE = datetime(2026, 1, 1)


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [
        (SPAN_START, SPAN_START, DAY),
        (SPAN_START + DAY, SPAN_START, DAY),
        (SPAN_START, SPAN_START + DAY, timedelta(seconds=59)),
        (SPAN_START, SPAN_START + DAY, -DAY),
        (SPAN_START, SPAN_START + DAY, "daily"),
        (SPAN_START, SPAN_START + DAY, MINUTE),  # which would be 1,440 jobs
        (NAIVE, SPAN_START + DAY, DAY),
        (SPAN_START, NAIVE + DAY, DAY),
        (None, SPAN_START, DAY),
        (SPAN_START, None, DAY),
        ("2026-01-01", SPAN_START, DAY),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused(
    host: Host, start: Any, end: Any, step: Any
) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(JobError):
        host.service.jobs.backfill(host.alice, job.id, start, end, step)
    assert host.service.jobs.list(host.alice).items == (job,)


def backfill(host: Host, principal: cdds.Principal, job: JobEntry) -> tuple[JobEntry, ...]:
    return host.service.jobs.backfill(principal, job.id, SPAN_START, SPAN_START + 3 * DAY, DAY)


def test_whoever_may_add_jobs_may_backfill_what_is_seen(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(NotFound):
        backfill(host, host.bob, job)
    with pytest.raises(NotFound):
        backfill(host, host.mallory, job)
    only_sees = cdds.Principal("bob", "acme", ["see all"])
    with pytest.raises(AccessDenied):
        backfill(host, only_sees, job)
    added = backfill(host, host.bob_sees_all, job)
    assert {each.owner for each in added} == {"bob"}
    assert len(added) == 3


def test_a_backfill_for_others_needs_the_permission_to_choose_them(
    host: Host, holders: tuple[Any, ...]
) -> None:
    chooser = cdds.Principal("alice", "acme", ["use", "choose recipients"])
    other = holders[1].certificate_file.read_text()
    job = host.add(chooser, recipients=[other], recurrence=cdds.Hourly(1))
    with pytest.raises(AccessDenied, match="choose recipients"):
        backfill(host, host.alice, job)
    assert len(backfill(host, chooser, job)) == 3
    assert all(len(run.fingerprints) == 2 for run in host.service.run_due())


def test_a_backfill_adds_all_of_its_jobs_or_none(
    host: Host, monkeypatch: pytest.MonkeyPatch, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    host.service.preferences.remove_certificate(host.alice)
    with pytest.raises(NoCertificate):
        backfill(host, host.alice, job)
    host.service.preferences.set_certificate(host.alice, rsa_key_and_certificate[1].read_bytes())
    insert = host.service.jobs._insert
    calls: list[object] = []

    def fail_at_the_third(*arguments: Any) -> JobEntry:
        calls.append(arguments)
        if len(calls) == 3:
            raise JobError("this one is not taken")
        return insert(*arguments)

    monkeypatch.setattr(host.service.jobs, "_insert", fail_at_the_third)
    trail = host.service.audit.entries(host.admin, limit=1000)
    with pytest.raises(JobError, match="not taken"):
        backfill(host, host.alice, job)
    assert host.service.jobs.list(host.alice).items == (job,)
    assert host.service.audit.entries(host.admin, limit=1000) == trail


def test_what_has_no_timestamps_cannot_be_backfilled(make_host: MakeHost) -> None:
    dataset = cdds.Dataset(
        "Plain", [cdds.DataFile(name="plain", label="Plain", schema={"type": "object"})]
    )
    host = make_host(
        datasets=[dataset], sources={"UCS": lambda _: cdds.sources.Records(plain=[{}])}
    )
    job = host.add(dataset="Plain", recurrence=cdds.Hourly(1))
    with pytest.raises(JobError, match="no timestamps"):
        backfill(host, host.alice, job)
    with pytest.raises(JobError, match="no timestamps"):
        host.add(dataset="Plain", timeframe=Timeframe.since_last_run())
    assert host.service.jobs.list(host.alice).items == (job,)
