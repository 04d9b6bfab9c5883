"""What becomes of starts that are late, missed or failed: on every database, by a set clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from hosts import RECORDS, Host, MakeHost, settings_of
from sqlalchemy import event, text

import cdds
from cdds.catalog import JobEntry, RunEntry
from cdds.catalog.tables import JOBS, RUNS
from cdds.errors import (
    Cancelled,
    CatalogError,
    JobError,
    NotRunnable,
    RecordError,
    SinkError,
    SourceError,
    SourceUnavailable,
    StillInProgress,
)
from cdds.service import events

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
WAIT = 20
"""The seconds after which a test gives up waiting for a thread."""


class OwnError(Exception):
    """An error of a host that says of itself whether it may not come again."""

    def __init__(self, *, is_transient: Any) -> None:
        super().__init__("what a host says is not repeated")
        self.is_transient = is_transient


def hourly(host: Host, **settings: Any) -> JobEntry:
    """Add a job that runs every hour; the clock stands half an hour before its first start."""
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    return host.add(**{"recurrence": cdds.Hourly(1)} | settings)


def first_start(job: JobEntry) -> datetime:
    assert job.next_start is not None
    return job.next_start


def present(host: Host, job: JobEntry) -> JobEntry:
    return host.service.jobs.get(host.alice, job.id)


def history(host: Host, job: JobEntry, **filters: Any) -> list[RunEntry]:
    """Return the runs of a job by the instants that they are for, and what was missed."""
    runs = host.service.history.list(host.alice, job_id=job.id, limit=500, **filters).items
    early = host.clock.moment - timedelta(days=10_000)
    return sorted(runs, key=lambda run: (run.due or early, run.attempt))


def run_all_due(host: Host) -> list[RunEntry]:
    """Run what is due until nothing is."""
    return list(host.service.run_due(limit=10_000))


# Misfire policies.


def test_one_run_makes_up_for_all_that_was_missed(host: Host) -> None:
    job = hourly(host)
    first = first_start(job)
    host.clock.moment = first + 3.5 * HOUR
    (run,) = run_all_due(host)
    assert (run.due, run.status, run.attempt) == (first + 3 * HOUR, "finished", 1)
    missed, ran = history(host, job)
    assert ran == run
    assert (missed.status, missed.missed, missed.missed_from) == ("missed", 3, first)
    assert missed.due == first + 2 * HOUR
    assert missed.error == f"made up for by the run that was due at {run.due:%Y-%m-%d %H}:00:00 UTC"
    assert (missed.file_name, missed.parts, missed.records) == (None, 0, {})
    assert (missed.started, missed.finished) == (host.clock.moment, host.clock.moment)
    assert present(host, job).next_start == first + 4 * HOUR


def test_each_start_is_run_one_after_another(host: Host) -> None:
    job = hourly(host, misfire="each")
    first = first_start(job)
    host.clock.moment = first + 3.5 * HOUR
    runs = run_all_due(host)
    assert [run.due for run in runs] == [first + number * HOUR for number in range(4)]
    assert [run.status for run in history(host, job)] == ["finished"] * 4
    assert present(host, job).next_start == first + 4 * HOUR


def test_one_call_runs_all_that_is_due(host: Host) -> None:
    several, one = hourly(host, misfire="each"), hourly(host, title="Other")
    first = first_start(several)
    host.clock.moment = first + 4.5 * HOUR
    runs = host.service.run_due()
    assert [run.due for run in runs if run.job_id == several.id] == [
        first + number * HOUR for number in range(5)
    ]
    assert [run.due for run in runs if run.job_id == one.id] == [first + 4 * HOUR]
    assert host.service.run_due() == ()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 8, 9])
def test_one_call_runs_no_more_than_its_limit_and_each_job_in_its_turn(
    host: Host, limit: int
) -> None:
    several, others = hourly(host, misfire="each"), [hourly(host, title="Other") for _ in range(3)]
    host.clock.moment = first_start(several) + 4.5 * HOUR
    runs = host.service.run_due(limit)
    assert len(runs) == min(limit, 8)
    counts = [sum(run.job_id == job.id for run in runs) for job in (several, *others)]
    assert sum(counts[1:]) >= min(limit - 1, 3)  # none waits for the second run of another


def test_what_is_missed_is_none_of_the_runs_of_a_call(host: Host) -> None:
    late = [hourly(host, misfire="none", misfire_grace_time=MINUTE) for _ in range(3)]
    host.clock.moment = first_start(late[0]) + 3.5 * HOUR
    last = host.add()
    (run,) = host.service.run_due(limit=1)
    assert run.job_id == last.id
    assert [[run.missed for run in history(host, job)] for job in late] == [[4]] * 3


def test_a_call_ends_where_all_runs_fail(host: Host) -> None:
    host.failing.append(SourceUnavailable("it is away"))
    job, other = hourly(host, misfire="each"), hourly(host, title="Other", max_retries=0)
    host.clock.moment = first_start(job) + 4.5 * HOUR
    assert host.service.run_due() == ()
    assert [run.attempt for run in history(host, job)] == [1]  # which comes before later starts
    assert [run.status for run in history(host, other)] == ["missed", "failed"]


class AfterSome:
    """A token that is set once a source was asked so many times."""

    def __init__(self, count: int) -> None:
        self.left = count

    def source(self, _: str) -> cdds.sources.Records:
        self.left -= 1
        return cdds.sources.Records(interaction=RECORDS)

    def is_set(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("count", range(4))
def test_a_call_that_is_stopped_begins_nothing_more(make_host: MakeHost, count: int) -> None:
    stop = AfterSome(count)
    host = make_host(sources={"UCS": stop.source})
    jobs = [hourly(host, title=f"Job {number}", misfire="each") for number in range(2)]
    host.clock.moment = first_start(jobs[0]) + 4.5 * HOUR
    assert len(host.service.run_due(stop=stop)) == max(count - 1, 0)
    runs = [run for job in jobs for run in history(host, job)]
    stopped = [run for run in runs if run.status == "failed"]
    assert len(runs) == count
    assert len(stopped) == min(count, 1)
    for run in stopped:
        assert run.error == "its scheduler was stopped; it is run again"
        (job,) = (job for job in jobs if job.id == run.job_id)
        entry = present(host, job)
        assert (entry.next_start, entry.retrying) == (host.clock.moment, run.due)
    stop.left = 100
    assert len(host.service.run_due(stop=stop)) == 10 - max(count - 1, 0)


def test_none_is_run_that_is_late(host: Host) -> None:
    job = hourly(host, misfire="none", misfire_grace_time=5 * MINUTE)
    first = first_start(job)
    host.clock.moment = first + 3 * HOUR + 5 * MINUTE
    (run,) = run_all_due(host)
    assert run.due == first + 3 * HOUR  # which is just on time
    missed, ran = history(host, job)
    assert ran == run
    assert (missed.missed, missed.missed_from, missed.due) == (3, first, first + 2 * HOUR)
    assert missed.error is not None
    assert "nobody began it within 300 seconds of its time" in missed.error


@pytest.mark.parametrize("misfire", ["one", "each", "none"])
def test_a_one_time_job_whose_moment_is_long_past(host: Host, misfire: str) -> None:
    at = host.clock.moment + HOUR
    job = host.add(recurrence=cdds.Once(at), misfire=misfire)
    host.clock.moment = at + 3 * HOUR
    runs = run_all_due(host)
    entry = present(host, job)
    assert entry.next_start is None
    if misfire != "none":
        assert [run.due for run in runs] == [at]
        assert entry.suspended
        return
    (missed,) = history(host, job)
    assert (missed.status, missed.missed, missed.missed_from) == ("missed", 1, at)
    assert (entry.started, entry.latest_run) == (False, None)
    host.service.jobs.suspend(host.alice, job.id)
    host.service.jobs.resume(host.alice, job.id)  # whoever does so wants it now
    (run,) = run_all_due(host)
    assert run.status == "finished"


@pytest.mark.parametrize("misfire", ["one", "each", "none"])
def test_an_immediate_job_is_never_missed(host: Host, misfire: str) -> None:
    job = host.add(misfire=misfire)
    host.clock.advance(days=3)
    (run,) = run_all_due(host)
    assert (run.job_id, run.due) == (job.id, job.next_start)


def test_a_run_that_takes_long_is_why_starts_are_missed(host: Host) -> None:
    job = hourly(host, misfire="none")
    first = first_start(job)

    def slow(_: cdds.Progress) -> None:
        host.clock.moment = first + 2.5 * HOUR

    host.clock.moment = first - MINUTE
    host.service.jobs.run_now(host.alice, job.id, progress=slow)
    host.clock.moment = first + 4.5 * HOUR
    assert run_all_due(host) == []
    _, busy, nobody = history(host, job)
    assert (busy.missed, busy.missed_from, busy.due) == (3, first, first + 2 * HOUR)
    assert "the run before was in progress" in (busy.error or "")
    assert (nobody.missed, nobody.missed_from) == (2, first + 3 * HOUR)
    assert "nobody began it" in (nobody.error or "")


def test_a_run_after_the_time_of_a_start_is_not_why_it_was_missed(host: Host) -> None:
    job = hourly(host, misfire="none")
    first = first_start(job)
    host.clock.moment = first + 2 * MINUTE
    host.service.jobs.run_now(host.alice, job.id)
    host.clock.advance(minutes=1)
    assert run_all_due(host) == []
    (missed,) = history(host, job, status="missed")
    assert missed.due == first
    assert "nobody began it" in (missed.error or "")


def test_listeners_are_told_of_what_was_missed_before_the_run_that_makes_up_for_it(
    host: Host,
) -> None:
    job = hourly(host)
    host.clock.advance(hours=4)
    host.told.clear()
    run_all_due(host)
    assert host.kinds() == ["RunMissed", "RunStarted", "RunFinished", "ArtifactStored"]
    told = host.told[0]
    assert isinstance(told, events.RunMissed)
    assert told.run == history(host, job, status="missed")[0]
    assert told.at == host.clock.moment


def test_a_job_is_shown_by_its_latest_run_not_by_what_it_missed(host: Host) -> None:
    job = hourly(host, misfire="none")
    host.clock.moment = first_start(job)
    (run,) = run_all_due(host)
    before = present(host, job)
    host.clock.advance(hours=5, minutes=30)
    assert run_all_due(host) == []
    after = present(host, job)
    assert (after.latest_run, after.latest_status) == (run.id, "finished")
    latest = first_start(job) + timedelta(hours=5)
    assert after == attrs.evolve(before, next_start=after.next_start, dealt_with=latest)
    assert host.service.jobs.list(host.alice, status="missed").items == ()
    assert host.service.jobs.list(host.alice, status="finished").items == (after,)


def test_the_history_is_filtered_by_what_was_missed(host: Host) -> None:
    job = hourly(host)
    host.clock.advance(hours=4)
    run_all_due(host)
    missed, ran = history(host, job)
    page = host.service.history.list
    assert page(host.alice, status="missed").items == (missed,)
    assert page(host.alice, status="finished").items == (ran,)
    assert page(host.bob, status="missed").items == ()
    assert page(host.bob_sees_all, status="missed").items == (missed,)
    assert page(host.mallory, status="missed").items == ()
    assert host.service.history.get(host.alice, missed.id) == missed
    with pytest.raises(JobError, match="missed"):
        page(host.alice, status="mist")  # type: ignore[arg-type]


def test_what_was_missed_is_deleted_from_the_history_as_runs_are(host: Host) -> None:
    job = hourly(host)
    host.clock.advance(hours=4)
    run_all_due(host)
    missed, ran = history(host, job)
    files = host.files()
    host.service.history.cancel(host.alice, missed.id)  # which has ended, and stays as it is
    assert host.service.history.get(host.alice, missed.id) == missed
    assert host.service.history.artifacts(host.alice, missed.id) == ()
    host.service.history.delete(host.alice, missed.id)
    assert history(host, job) == [ran]
    assert host.files() == files
    host.clock.moment = first_start(present(host, job))
    assert len(run_all_due(host)) == 1  # and the starts go on


def test_what_was_missed_leaves_the_history_after_its_time(make_host: MakeHost) -> None:
    host = make_host(history_lifetime=timedelta(days=2))
    job = hourly(host, misfire="none")
    host.clock.advance(hours=4)
    run_all_due(host)
    (missed,) = history(host, job)
    host.service.jobs.suspend(host.alice, job.id)
    host.clock.moment = missed.started + timedelta(days=2)
    assert host.service.retention.sweep().runs == 0
    host.clock.advance(seconds=1)
    assert host.service.retention.plan().runs == (missed,)
    assert host.service.retention.sweep().runs == 1
    assert history(host, job) == []


def test_a_run_is_cloned_from_what_was_missed(host: Host) -> None:
    job = hourly(host, misfire="none")
    host.clock.advance(hours=4)
    run_all_due(host)
    (missed,) = history(host, job)
    clone = host.service.history.clone(host.alice, missed.id, recurrence=cdds.Once())
    assert [run.job_id for run in run_all_due(host)] == [clone.id]


def test_a_suspended_job_misses_nothing(host: Host) -> None:
    job = hourly(host)
    host.service.jobs.suspend(host.alice, job.id)
    host.clock.advance(hours=6)
    host.service.jobs.resume(host.alice, job.id)
    assert run_all_due(host) == []
    assert history(host, job) == []


def test_a_start_that_was_run_is_not_run_again_when_its_run_is_deleted(host: Host) -> None:
    job = hourly(host)
    host.clock.moment = first_start(job)
    (run,) = run_all_due(host)
    host.service.history.delete(host.alice, run.id)
    host.service.jobs.suspend(host.alice, job.id)
    host.service.jobs.resume(host.alice, job.id)
    assert run_all_due(host) == []


# Retries.

TRANSIENT = [
    SourceUnavailable("it is away"),
    ConnectionError("refused"),
    ConnectionResetError("reset"),
    TimeoutError("too slow"),
    OwnError(is_transient=True),
    SinkError("it is away"),
]
LASTING = [
    SourceError("no such table"),
    ValueError("a bug"),
    OwnError(is_transient=False),
    OwnError(is_transient="yes"),
    FileNotFoundError("gone"),
]


class Ending:
    """A source that raises what ends a process, until it is told to go on."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def __call__(self, _: str) -> cdds.sources.Records:
        if self.error is not None:
            raise self.error
        return cdds.sources.Records(interaction=RECORDS)


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit("stopped"), GeneratorExit()])
def test_a_run_whose_host_exits_is_tried_again_as_if_its_worker_had_died(
    make_host: MakeHost, error: BaseException
) -> None:
    """Also when the host always does: it is tried no more often than any other."""
    source = Ending(error)
    host = make_host(sources={"UCS": source})
    job = hourly(host, max_retries=2, misfire="each")
    due = host.clock.moment = first_start(job)
    for attempt, minutes in enumerate([1, 4], start=1):
        with pytest.raises(type(error)):
            host.service.run_due()
        entry = present(host, job)
        assert (entry.retrying, entry.failures) == (due, attempt)
        assert entry.next_start == host.clock.moment + minutes * MINUTE
        assert (entry.latest_status, entry.is_running) == ("failed", False)
        host.clock.moment = entry.next_start
    with pytest.raises(type(error)):
        host.service.run_due()
    assert (present(host, job).retrying, present(host, job).next_start) == (None, due + HOUR)
    assert {run.error for run in history(host, job)} == {f"it failed with {type(error).__name__}"}


def test_a_run_that_a_host_interrupts_is_due_again_at_once(make_host: MakeHost) -> None:
    source = Ending(KeyboardInterrupt())
    host = make_host(sources={"UCS": source})
    job = hourly(host, max_retries=0)
    due = host.clock.moment = first_start(job)
    for _ in range(3):  # which is no fault of its own, so it is not counted
        with pytest.raises(KeyboardInterrupt):
            host.service.run_due()
        entry = present(host, job)
        assert (entry.retrying, entry.failures, entry.next_start) == (due, 0, host.clock.moment)
    source.error = None
    (run,) = run_all_due(host)
    assert (run.due, run.attempt) == (due, 4)


def test_a_run_on_request_that_ends_with_its_host_is_not_tried_again(make_host: MakeHost) -> None:
    host = make_host(sources={"UCS": Ending(SystemExit(0))})
    job = hourly(host)
    with pytest.raises(SystemExit):
        host.service.jobs.run_now(host.alice, job.id)
    assert present(host, job).next_start == job.next_start
    assert present(host, job).retries == ()


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("recurrence", ["once", "delayed", "hourly"])
def test_a_run_is_tried_again_after_longer_and_longer_pauses(
    host: Host, error: Exception, recurrence: str
) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    at = host.clock.moment + HOUR / 2
    job = host.add(
        recurrence={
            "once": cdds.Once(),
            "delayed": cdds.Once(at),
            "hourly": cdds.Hourly(24, start=at + HOUR),
        }[recurrence],
    )
    due = host.clock.moment = first_start(job)
    host.failing.append(error)
    for attempt, minutes in enumerate([1, 4, 16], start=1):
        assert host.service.run_due() == ()
        entry = present(host, job)
        assert (entry.retrying, entry.failures) == (due, attempt)
        assert entry.next_start == host.clock.moment + minutes * MINUTE
        assert (entry.latest_status, entry.is_running) == ("failed", False)
        host.clock.moment = entry.next_start - timedelta(microseconds=1)
        assert host.service.due.jobs(10) == ()
        host.clock.moment = entry.next_start
    assert host.service.run_due() == ()  # the fourth and last attempt
    entry = present(host, job)
    assert (entry.retrying, entry.failures) == (None, 0)
    assert entry.next_start == job.settings.recurrence.next_after(due)
    runs = history(host, job)
    assert [(run.due, run.attempt, run.status) for run in runs] == [
        (due, attempt, "failed") for attempt in (1, 2, 3, 4)
    ]
    assert len({run.id for run in runs}) == 4
    assert entry.latest_run == runs[-1].id
    assert "what a host says" not in str([run.error for run in runs])


@pytest.mark.parametrize("max_retries", [0, 1, 2, 10])
def test_there_are_as_many_retries_as_the_job_wants(host: Host, max_retries: int) -> None:
    job = host.add(max_retries=max_retries)
    host.failing.append(SourceUnavailable("it is away"))
    pauses = []
    while host.service.due.jobs(10):
        before = host.clock.moment
        run_all_due(host)
        following = present(host, job).next_start
        if following is not None:
            host.clock.moment = following
            pauses.append((following - before) / MINUTE)
    assert len(history(host, job)) == max_retries + 1
    assert pauses == [1, 4, 16, 60, 60, 60, 60, 60, 60, 60][:max_retries]


def test_the_first_pause_is_the_hosts(make_host: MakeHost) -> None:
    host = make_host(retry_pause=timedelta(hours=2))
    job = host.add()
    host.failing.append(SourceUnavailable("it is away"))
    for _ in range(3):  # which is longer than an hour, and so are all
        run_all_due(host)
        assert present(host, job).next_start == host.clock.moment + 2 * HOUR
        host.clock.advance(hours=2)


def test_a_retry_that_finishes_ends_it(host: Host) -> None:
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    host.failing.clear()
    host.clock.advance(minutes=1)
    (run,) = run_all_due(host)
    assert (run.due, run.attempt, run.status) == (due, 2, "finished")
    entry = present(host, job)
    assert (entry.retrying, entry.failures, entry.next_start) == (None, 0, due + HOUR)
    host.clock.moment = due + HOUR
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    assert present(host, job).failures == 1  # each instant is counted by itself


def test_starts_that_pass_during_retries_are_not_lost(host: Host) -> None:
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    host.failing.clear()
    host.clock.moment = due + 3.5 * HOUR  # nobody was there for the retry
    retried, made_up_for = run_all_due(host)
    assert (retried.due, retried.attempt) == (due, 2)
    assert (made_up_for.due, made_up_for.attempt) == (due + 3 * HOUR, 1)
    (missed,) = history(host, job, status="missed")
    assert (missed.missed_from, missed.due, missed.missed) == (due + HOUR, due + 2 * HOUR, 2)


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_would_fail_again_is_not_tried_again(host: Host, error: Exception) -> None:
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    host.failing.append(error)
    run_all_due(host)
    entry = present(host, job)
    assert (entry.retrying, entry.failures, entry.next_start) == (None, 0, due + HOUR)
    assert [run.status for run in history(host, job)] == ["failed"]


def test_an_invalid_record_is_not_tried_again(make_host: MakeHost) -> None:
    host = make_host(
        sources={"UCS": lambda _: cdds.sources.Records(interaction=[{"MEDIATYPEID": 7}])}
    )
    job = host.add()
    with pytest.raises(RecordError):
        host.service.jobs.run_now(host.alice, job.id)
    other = host.add()
    run_all_due(host)
    assert present(host, other).next_start is None


def test_a_missing_certificate_is_not_tried_again(host: Host) -> None:
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    host.service.preferences.remove_certificate(host.alice)
    run_all_due(host)
    assert present(host, job).next_start == due + HOUR
    assert "certificate" in (history(host, job)[0].error or "")


@pytest.mark.parametrize("error", TRANSIENT[:2], ids=lambda error: type(error).__name__)
def test_a_source_that_breaks_off_is_tried_again(make_host: MakeHost, error: Exception) -> None:
    """Also where records were read and written before."""
    failing = [error]

    def read() -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        if failing:
            raise failing[0]
        yield RECORDS[1]

    host = make_host(sources={"UCS": lambda _: cdds.sources.Records(interaction=read)})
    job = host.add()
    run_all_due(host)
    assert present(host, job).failures == 1
    assert host.files() == set()
    failing.clear()
    host.clock.advance(minutes=1)
    (run,) = run_all_due(host)
    assert (run.attempt, run.records) == (2, {"interaction": 2})


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_who_asked_for_a_run_decides_on_a_retry(host: Host, error: Exception) -> None:
    job = hourly(host)
    host.failing.append(error)
    with pytest.raises(type(error)):
        host.service.jobs.run_now(host.alice, job.id)
    assert present(host, job).next_start == job.next_start
    assert present(host, job).retrying is None


def failed_once(host: Host, **settings: Any) -> JobEntry:
    """Return a job that waits for the retry of its first start, a minute after it."""
    job = hourly(host, **settings)
    host.clock.moment = first_start(job)
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    host.failing.clear()
    job = present(host, job)
    assert job.retrying is not None
    return job


def test_suspending_withdraws_a_retry(host: Host) -> None:
    job = failed_once(host)
    suspended = host.service.jobs.suspend(host.alice, job.id)
    assert (suspended.next_start, suspended.retrying, suspended.failures) == (None, None, 0)
    host.clock.advance(hours=3, minutes=30)
    assert run_all_due(host) == []
    resumed = host.service.jobs.resume(host.alice, job.id)
    assert resumed.retrying is None
    assert run_all_due(host) == []
    assert len(history(host, job)) == 1


def test_suspending_a_one_time_job_withdraws_its_retry(host: Host) -> None:
    job = host.add()
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    host.failing.clear()
    suspended = host.service.jobs.suspend(host.alice, job.id)
    assert (suspended.next_start, suspended.retrying) == (None, None)
    host.clock.advance(hours=3)
    assert run_all_due(host) == []
    assert host.service.jobs.run_now(host.alice, job.id).status == "finished"


def test_editing_the_recurrence_withdraws_a_retry(host: Host) -> None:
    job = failed_once(host)
    edited = host.service.jobs.edit(host.alice, job.id, recurrence=cdds.Hourly(2))
    assert (edited.retrying, edited.failures) == (None, 0)
    assert edited.next_start == edited.settings.recurrence.next_after(host.clock.moment)


def test_editing_anything_else_keeps_a_retry_which_goes_by_it(host: Host) -> None:
    job = failed_once(host)
    host.service.jobs.edit(host.alice, job.id, title="Other", media_types=["chat"])
    host.clock.advance(minutes=1)
    (run,) = run_all_due(host)
    assert (run.title, run.attempt, run.records) == ("Other", 2, {"interaction": 5})


def test_deleting_the_job_withdraws_a_retry(host: Host) -> None:
    job = failed_once(host)
    host.service.jobs.delete(host.alice, job.id)
    host.clock.advance(hours=2)
    assert run_all_due(host) == []
    assert [run.status for run in history(host, job)] == ["failed"]


def test_running_a_one_time_job_withdraws_its_retry(host: Host) -> None:
    job = host.add()
    host.failing.append(SourceUnavailable("it is away"))
    run_all_due(host)
    host.failing.clear()
    host.service.jobs.run_now(host.alice, job.id)
    host.clock.advance(hours=2)
    assert run_all_due(host) == []
    with pytest.raises(NotRunnable):
        host.service.jobs.run_now(host.alice, job.id)


def meddling(make_host: MakeHost, meddle: Any, **options: Any) -> Host:
    """Return a host with a source that meddles once, and then cannot be reached."""
    done: list[object] = []

    def source(_: str) -> cdds.sources.Records:
        if done:
            return cdds.sources.Records(interaction=RECORDS)
        done.append(meddle(host))
        raise SourceUnavailable("it is away")

    host = make_host(sources={"UCS": source}, **options)
    return host


def only_job(host: Host) -> JobEntry:
    (job,) = host.service.jobs.list(host.alice).items
    return job


@pytest.mark.parametrize(
    "change",
    ["suspend", "edit", "delete and add"],
)
def test_a_run_that_fails_after_its_job_was_changed_is_not_tried_again(
    make_host: MakeHost, change: str
) -> None:
    def meddle(host: Host) -> None:
        job = only_job(host)
        if change == "suspend":
            host.service.jobs.suspend(host.alice, job.id)
        elif change == "edit":
            host.service.jobs.edit(host.alice, job.id, recurrence=cdds.Hourly(5))
        else:
            with pytest.raises(StillInProgress):
                host.service.jobs.delete(host.alice, job.id)
            host.service.jobs.suspend(host.alice, job.id)

    host = meddling(make_host, meddle)
    job = hourly(host)
    host.clock.moment = first_start(job)
    run_all_due(host)
    entry = present(host, job)
    assert (entry.retrying, entry.failures) == (None, 0)
    expected = cdds.Hourly(5).next_after(host.clock.moment) if change == "edit" else None
    assert entry.next_start == expected


@pytest.mark.parametrize("change", ["suspend and resume", "edit and edit back"])
def test_a_run_of_before_brings_back_no_start_that_was_switched_off(
    make_host: MakeHost, change: str
) -> None:
    """What has passed while a job was suspended is not made up for, however its last run ends."""

    def meddle(host: Host) -> None:
        job = only_job(host)
        if change == "suspend and resume":
            host.service.jobs.suspend(host.alice, job.id)
            host.clock.advance(hours=3)
            host.service.jobs.resume(host.alice, job.id)
        else:
            host.service.jobs.edit(host.alice, job.id, recurrence=cdds.Hourly(24))
            host.clock.advance(hours=3)
            host.service.jobs.edit(host.alice, job.id, recurrence=cdds.Hourly(1))

    host = meddling(make_host, meddle, lease=timedelta(days=1))
    job = hourly(host, misfire="each")
    due = host.clock.moment = first_start(job)
    run_all_due(host)
    host.clock.moment = due + 4 * HOUR
    runs = run_all_due(host)
    assert [run.due for run in runs] == [due + 4 * HOUR]


def test_cancelling_a_run_gives_no_retry(make_host: MakeHost) -> None:
    def meddle(host: Host) -> None:
        (run,) = host.service.history.list(host.alice).items
        host.service.history.cancel(host.alice, run.id)

    host = meddling(make_host, meddle)
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    run_all_due(host)
    entry = present(host, job)
    assert (entry.retrying, entry.next_start) == (None, due + HOUR)
    assert entry.latest_status == "cancelled"


# Runs whose worker gives no sign of life.


@pytest.mark.parametrize("max_retries", [0, 1, 3])
@pytest.mark.parametrize("recurrence", [cdds.Once(), cdds.Hourly(1)], ids=str)
def test_a_run_that_lapsed_is_tried_again(host: Host, recurrence: Any, max_retries: int) -> None:
    job = hourly(host, recurrence=recurrence, max_retries=max_retries)
    due = host.clock.moment = first_start(job)
    claim = host.service.due._execution.claim_due(job.id)
    assert claim is not None
    assert host.service.due.jobs(10) == ()
    host.clock.advance(seconds=60)
    host.told.clear()
    assert host.service.due.jobs(10) == ()  # which ends it
    assert host.kinds() == ["RunFailed"]
    entry = present(host, job)
    assert (entry.latest_status, entry.is_running) == ("failed", False)
    (run,) = history(host, job)
    assert "no sign of life" in (run.error or "")
    if max_retries == 0:
        assert (entry.next_start, entry.retrying) == (recurrence.next_after(due), None)
        return
    assert (entry.next_start, entry.retrying) == (host.clock.moment + MINUTE, due)
    host.clock.advance(minutes=1)
    (run,) = run_all_due(host)
    assert (run.due, run.attempt, run.status) == (due, 2, "finished")


def test_a_run_that_was_asked_for_and_lapsed_is_not_tried_again(host: Host) -> None:
    job = hourly(host)
    claim = host.service.due._execution._claims.requested(job.id, "alice")
    host.clock.advance(minutes=1)
    host.service.due.jobs(10)
    entry = present(host, job)
    assert (entry.latest_run, entry.latest_status) == (claim.run.id, "failed")
    assert (entry.next_start, entry.retrying) == (job.next_start, None)


def test_a_late_worker_gives_no_second_retry(host: Host) -> None:
    job = hourly(host)
    due = host.clock.moment = first_start(job)
    claim = host.service.due._execution.claim_due(job.id)
    assert claim is not None
    host.clock.advance(minutes=1)
    host.service.due.jobs(10)
    before = present(host, job)
    host.clock.advance(seconds=30)
    host.failing.append(SourceUnavailable("it is away"))
    with pytest.raises(SourceUnavailable):  # the worker was only slow
        host.service.due._execution.carry_out(claim)
    assert present(host, job) == before
    assert before.retrying == due


def test_a_run_that_cannot_be_ended_keeps_no_other_from_its_end(host: Host) -> None:
    """Such as one whose settings were written by a version that is newer."""
    broken, other = hourly(host), hourly(host)
    host.clock.moment = first_start(broken)
    for job in (broken, other):
        assert host.service.due._execution.claim_due(job.id) is not None
    with host.catalog._engine.begin() as connection:
        connection.execute(
            RUNS.update().where(RUNS.c.job_id == broken.id).values(settings='{"new": 1}')
        )
    host.clock.advance(minutes=1)
    host.service.due.jobs(10)
    assert present(host, other).latest_status == "failed"
    host.clock.advance(minutes=1)
    assert [run.job_id for run in run_all_due(host)] == [other.id]


# Several runs of a job at once.


class Gate:
    """A source that holds each run until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, _: str) -> cdds.sources.Records:
        self.entered.release()
        assert self.opened.wait(WAIT)
        return cdds.sources.Records(interaction=RECORDS)


def test_as_many_runs_of_a_job_as_it_may_have_are_in_progress_at_once(make_host: MakeHost) -> None:
    gate = Gate()
    host = make_host(sources={"UCS": gate}, lease=timedelta(days=1))
    job = hourly(host, max_instances=2, misfire="each")
    first = first_start(job)
    host.clock.moment = first + 3.5 * HOUR
    with ThreadPoolExecutor(6) as threads:
        begun = []
        for _ in range(2):  # one after the other, or the second may find the job locked
            begun.append(threads.submit(host.service.due.run, job.id))
            assert gate.entered.acquire(timeout=WAIT)
        assert host.service.due.jobs(10) == ()
        others = [threads.submit(host.service.due.run, job.id) for _ in range(4)]
        assert {other.result(WAIT).outcome for other in others} == {"nothing to do"}
        with pytest.raises(StillInProgress):
            host.service.jobs.run_now(host.alice, job.id)
        entry = present(host, job)
        assert (entry.running, entry.is_full) == (2, True)
        assert len(history(host, job, status="in progress")) == 2
        gate.opened.set()
        assert {ran.result(WAIT).outcome for ran in begun} == {"finished"}
    assert [run.due for run in history(host, job)] == [first, first + HOUR]
    assert present(host, job).running == 0
    assert [run.due for run in run_all_due(host)] == [first + 2 * HOUR, first + 3 * HOUR]


def test_the_database_refuses_a_run_in_a_slot_that_is_taken(host: Host) -> None:
    """And with it a run too many, should the count of a job ever be wrong."""
    job = hourly(host, max_instances=2, misfire="each")
    host.clock.moment = first_start(job) + 3.5 * HOUR
    for _ in range(2):
        assert host.service.due._execution.claim_due(job.id) is not None
    assert host.service.due._execution.claim_due(job.id) is None
    slots = text("SELECT slot FROM cdds_runs WHERE job_id = :job ORDER BY slot")
    with host.catalog._engine.begin() as connection:
        assert list(connection.scalars(slots, {"job": job.id})) == [0, 1]
    runs = history(host, job)
    for slot in (0, 1):
        with host.catalog.write() as transaction:
            third = attrs.evolve(runs[0], id=f"third {slot}", due=None)
            with pytest.raises(Exception, match=r"(?i)unique"):
                transaction.runs._insert(third, host.clock.moment, slot=slot)
            transaction.jobs._connection.rollback()


def test_the_slot_of_a_run_that_ended_is_taken_by_the_next(host: Host) -> None:
    job = hourly(host, max_instances=3, misfire="each")
    host.clock.moment = first_start(job) + 9.5 * HOUR
    claims = [host.service.due._execution.claim_due(job.id) for _ in range(3)]
    assert all(claims)
    assert claims[1] is not None
    host.service.due._execution.carry_out(claims[1])
    assert host.service.due._execution.claim_due(job.id) is not None
    assert present(host, job).running == 3


def test_the_latest_run_is_the_one_that_began_last_whoever_ends_first(host: Host) -> None:
    job = hourly(host, max_instances=2, misfire="each")
    host.clock.moment = first_start(job) + 1.5 * HOUR
    earlier = host.service.due._execution.claim_due(job.id)
    later = host.service.due._execution.claim_due(job.id)
    assert earlier is not None
    assert later is not None
    host.service.due._execution.carry_out(earlier)
    entry = present(host, job)
    assert (entry.latest_run, entry.latest_status) == (later.run.id, "in progress")
    assert entry.running == 1
    host.failing.append(ValueError())
    with pytest.raises(ValueError):  # noqa: PT011
        host.service.due._execution.carry_out(later)
    assert (present(host, job).latest_status, present(host, job).running) == ("failed", 0)


def test_starts_missed_for_want_of_a_slot_are_told_as_such(host: Host) -> None:
    """Also while one of two runs goes on."""
    job = hourly(host, max_instances=2, misfire="none")
    first = first_start(job)
    execution = host.service.due._execution
    host.clock.moment = first
    one = execution.claim_due(job.id)
    host.clock.moment = first + HOUR
    with host.catalog._engine.begin() as connection:  # both have given signs of life
        connection.execute(RUNS.update().values(lease_until=first + 9 * HOUR))
    two = execution.claim_due(job.id)
    assert one is not None
    assert two is not None
    host.clock.moment = first + 3.5 * HOUR
    with host.catalog._engine.begin() as connection:
        connection.execute(RUNS.update().values(lease_until=first + 9 * HOUR))
    execution.carry_out(one)
    assert run_all_due(host) == []
    (missed,) = history(host, job, status="missed")
    assert (missed.missed, missed.missed_from) == (2, first + 2 * HOUR)
    assert "was in progress" in (missed.error or "")


def test_a_one_time_job_runs_once_however_many_runs_it_may_have(make_host: MakeHost) -> None:
    gate = Gate()
    host = make_host(sources={"UCS": gate})
    job = host.add(max_instances=5)
    with ThreadPoolExecutor(1) as threads:
        ran = threads.submit(host.service.due.run, job.id)
        assert gate.entered.acquire(timeout=WAIT)
        try:
            with pytest.raises(StillInProgress):
                host.service.jobs.run_now(host.alice, job.id)
        finally:
            gate.opened.set()
        assert ran.result(WAIT).outcome == "finished"
    assert len(history(host, job)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"max_instances": 0},
        {"max_instances": 17},
        {"max_instances": True},
        {"max_instances": 1.0},
        {"max_retries": -1},
        {"max_retries": 11},
        {"max_retries": "3"},
        {"misfire": "all"},
        {"misfire": None},
        {"misfire_grace_time": timedelta()},
        {"misfire_grace_time": timedelta(days=367)},
        {"misfire_grace_time": 60},
        {"timeframe": cdds.Timeframe.since_last_run(), "max_instances": 2},
    ],
    ids=str,
)
def test_settings_out_of_their_range_are_refused(host: Host, settings: dict[str, Any]) -> None:
    with pytest.raises(JobError):
        settings_of(**settings)
    job = hourly(host)
    with pytest.raises(JobError):
        host.service.jobs.edit(host.alice, job.id, **settings)
    assert present(host, job) == job


# Faults around the claim.


def test_what_cannot_be_committed_has_not_begun_and_is_due_as_before(host: Host) -> None:
    job = hourly(host)
    host.clock.moment = first_start(job) + 3.5 * HOUR
    before = present(host, job)
    host.told.clear()

    def fail(*_: object) -> None:
        raise CatalogError("the disk is full")

    event.listen(host.catalog._engine, "commit", fail)
    try:
        assert host.service.due.run(job.id).outcome == "not begun"
    finally:
        event.remove(host.catalog._engine, "commit", fail)
    assert host.told == []
    assert history(host, job) == []
    assert present(host, job) == before
    assert len(run_all_due(host)) == 1


def test_a_job_that_is_gone_has_nothing_to_do(host: Host) -> None:
    job = hourly(host)
    host.clock.moment = first_start(job)
    assert host.service.due.jobs(10) == (job.id,)
    host.service.jobs.delete(host.alice, job.id)
    assert host.service.due.run(job.id).outcome == "nothing to do"


def test_a_run_that_was_stopped_is_due_again_at_once(host: Host) -> None:
    """Even where failures are not tried again: it has not failed by itself."""
    job = hourly(host, max_retries=0)
    due = host.clock.moment = first_start(job)
    stop = threading.Event()
    stop.set()
    assert host.service.due.run(job.id, stop).outcome == "failed"
    (run,) = history(host, job)
    assert (run.status, run.error) == ("failed", "its scheduler was stopped; it is run again")
    assert present(host, job).next_start == host.clock.moment
    (run,) = run_all_due(host)
    assert (run.due, run.attempt) == (due, 2)
    assert Cancelled.is_transient is False


def test_the_jobs_of_a_database_are_as_many_as_before(host: Host) -> None:
    """A claim writes one job."""
    jobs = [hourly(host, title=f"Job {number}") for number in range(3)]
    host.clock.moment = first_start(jobs[0])
    host.service.due.run(jobs[1].id)
    for job in (jobs[0], jobs[2]):
        assert present(host, job) == job
    with host.catalog._engine.connect() as connection:
        assert len(connection.execute(JOBS.select()).all()) == 3


def test_a_job_that_becomes_a_one_time_job_runs_also_where_the_time_went_back(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    host.clock.advance(hours=3)
    host.service.run_due()
    host.clock.advance(hours=-2)
    at = host.clock.moment + timedelta(minutes=1)
    host.service.jobs.edit(host.alice, job.id, recurrence=cdds.Once(at))
    host.clock.advance(hours=3)
    (run,) = host.service.run_due()
    assert run.due is not None
    assert run.due >= at
