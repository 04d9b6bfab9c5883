"""The scheduler on threads: it starts, stops and starts again, and nothing that fails ends it.

What is due goes by a clock that is set; threads are waited for by events and conditions.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hosts import ALICE, RECORDS, Host, MakeHost, settings_of

import cdds
from cdds.catalog import Catalog, JobEntry, RunEntry
from cdds.catalog.tables import JOBS
from cdds.errors import CatalogError, JobError, SinkError
from cdds.scheduler import Scheduler, dispatcher
from cdds.scheduler.workers import Workers
from cdds.service import events
from cdds.service.due import Found

HOUR = timedelta(hours=1)
POLL = timedelta(milliseconds=10)
AT_ONCE = timedelta()
WAIT = 30
"""The seconds after which a test gives up waiting."""


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < until
        pause.wait(0.01)


def scheduler_of(host: Host, **options: Any) -> Scheduler:
    """Return a scheduler that looks often, and does nothing beside runs unless it is told to."""
    without: dict[str, Any] = {"sweep": None, "reconcile": None, "remind": None}
    return Scheduler(host.service, **{"poll_interval": POLL, **without} | options)


def runs_of(host: Host, job: JobEntry) -> list[RunEntry]:
    page = host.service.history.list(host.alice, job_id=job.id, descending=False, limit=500)
    return list(page.items)


def has_finished(host: Host, *jobs: JobEntry) -> bool:
    return all(
        host.service.jobs.get(host.alice, job.id).latest_status == "finished" for job in jobs
    )


def has_begun(host: Host, job: JobEntry, count: int) -> bool:
    """Tell whether so many runs of a job have."""
    return len(runs_of(host, job)) == count


def threads_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("cdds-")]


def stop_when_it_runs(scheduler: Scheduler) -> None:
    """Stop a scheduler that another thread is about to start, so that no test waits for ever."""
    wait_until(lambda: scheduler._dispatcher is not None)
    scheduler.stop()


class Endless:
    """A source that gives records until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.ended = threading.Event()

    def __call__(self, _: str) -> cdds.sources.Records:
        return cdds.sources.Records(interaction=self._read)

    def _read(self) -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        self.begun.release()
        while not self.ended.is_set():
            yield RECORDS[1]


class Stuck:
    """A source that heeds nothing until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.ended = threading.Event()

    def __call__(self, _: str) -> cdds.sources.Records:
        self.begun.release()
        assert self.ended.wait(WAIT)
        return cdds.sources.Records(interaction=RECORDS)


# Start and stop.


def test_what_is_due_is_run_from_the_start_to_the_stop(host: Host) -> None:
    scheduler = scheduler_of(host)
    jobs = [host.add(title=f"Job {number}") for number in range(3)]
    scheduler.start(workers=2)
    wait_until(lambda: has_finished(host, *jobs))
    later = host.add(title="Later")
    wait_until(lambda: has_finished(host, later))
    assert scheduler.stop()
    assert threads_left() == []
    last = host.add(title="Too late")
    assert runs_of(host, last) == []
    assert all(len(runs_of(host, job)) == 1 for job in (*jobs, later))


def test_a_context_starts_and_stops_it(host: Host) -> None:
    with scheduler_of(host) as scheduler:
        job = host.add()
        wait_until(lambda: has_finished(host, job))
        with pytest.raises(JobError, match="runs already"):
            scheduler.start()
    assert threads_left() == []
    with pytest.raises(ValueError, match="mine"), scheduler_of(host):
        raise ValueError("mine")
    assert threads_left() == []


def test_starts_come_when_the_time_does(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    job = host.add(recurrence=cdds.Hourly(1))
    with scheduler_of(host):
        for number in range(1, 4):
            host.clock.moment = host.clock.moment.replace(hour=1 + number, minute=0)
            wait_until(partial(has_begun, host, job, number))
            wait_until(lambda: has_finished(host, job))
    assert [run.due.hour for run in runs_of(host, job) if run.due] == [2, 3, 4]


def test_it_can_be_started_again_after_a_stop(host: Host) -> None:
    scheduler = scheduler_of(host)
    assert scheduler.stop()  # which it was not before
    for number in range(3):
        job = host.add(title=f"Round {number}")
        scheduler.start()
        wait_until(partial(has_finished, host, job))
        assert scheduler.stop()
        assert scheduler.stop()


def test_a_second_start_is_refused_and_harms_nothing(host: Host) -> None:
    scheduler = scheduler_of(host)
    scheduler.start()
    for start in (scheduler.start, scheduler.run_forever, scheduler.__enter__):
        with pytest.raises(JobError, match="runs already"):
            start()
    job = host.add()
    wait_until(lambda: has_finished(host, job))
    assert scheduler.stop()


def test_of_many_threads_that_start_it_one_does(host: Host) -> None:
    scheduler = scheduler_of(host)
    barrier = threading.Barrier(8)

    def start() -> bool:
        barrier.wait(WAIT)
        try:
            scheduler.start()
        except JobError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        started = [threads.submit(start) for _ in range(8)]
        assert sum(future.result(WAIT) for future in started) == 1
        stopped = [threads.submit(scheduler.stop) for _ in range(8)]
        assert all(future.result(WAIT) for future in stopped)
    assert threads_left() == []


def test_it_runs_for_ever_until_another_thread_stops_it(host: Host) -> None:
    scheduler = scheduler_of(host)
    for number in range(2):
        with ThreadPoolExecutor(1) as threads:
            ran = threads.submit(scheduler.run_forever, workers=1)
            try:
                job = host.add(title=f"Round {number}")
                wait_until(partial(has_finished, host, job))
                assert not ran.done()
            finally:
                has_ended = scheduler.stop()
            assert not has_ended  # it is asked, and not waited for
            assert ran.result(WAIT)
    assert scheduler.stop()


def test_a_stop_waits_for_what_runs_and_begins_nothing_more(make_host: MakeHost) -> None:
    source = Stuck()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    running = host.add()
    scheduler = scheduler_of(host)
    scheduler.start(workers=1)
    assert source.begun.acquire(timeout=WAIT)
    waiting = host.add(title="Waiting")
    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(scheduler.stop, timedelta(seconds=WAIT))
        try:
            wait_until(lambda: "cdds-scheduler" not in threads_left())
            assert not stopped.done()
        finally:
            source.ended.set()
        assert stopped.result(WAIT)
    assert has_finished(host, running)
    assert runs_of(host, waiting) == []


@pytest.mark.parametrize("max_retries", [0, 3])
def test_what_runs_is_cancelled_after_the_timeout_and_due_again_at_once(
    make_host: MakeHost, max_retries: int
) -> None:
    source = Endless()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    job = host.add(recurrence=cdds.Hourly(1), max_retries=max_retries)
    assert job.next_start is not None
    host.clock.moment = job.next_start
    scheduler = scheduler_of(host)
    scheduler.start()
    assert source.begun.acquire(timeout=WAIT)
    assert scheduler.stop(AT_ONCE)
    (run,) = runs_of(host, job)
    assert (run.status, run.error) == ("failed", "its scheduler was stopped; it is run again")
    present = host.service.jobs.get(host.alice, job.id)
    assert (present.next_start, present.retrying) == (host.clock.moment, run.due)
    assert host.files() == set()
    source.ended.set()
    scheduler.start()
    wait_until(lambda: has_finished(host, job))
    assert scheduler.stop()
    first, second = sorted(runs_of(host, job), key=lambda run: run.attempt)
    assert first == run
    assert (second.due, second.attempt, second.status) == (run.due, 2, "finished")
    present = host.service.jobs.get(host.alice, job.id)
    assert present.next_start == job.next_start + HOUR


def test_a_run_that_heeds_nothing_is_left_to_its_lease(
    make_host: MakeHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatcher, "_CLEANING_UP", 0.05)
    source = Stuck()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    job = host.add()
    scheduler = scheduler_of(host)
    scheduler.start()
    assert source.begun.acquire(timeout=WAIT)
    assert not scheduler.stop(AT_ONCE)
    assert "did not stop in time" in caplog.text
    assert host.service.jobs.get(host.alice, job.id).is_running
    scheduler.start()  # which is another one
    assert scheduler.stop()
    source.ended.set()
    wait_until(lambda: not threads_left())
    (run,) = runs_of(host, job)
    assert run.status == "failed"  # it was asked to stop, and did so at last


def test_no_more_is_in_progress_than_there_are_workers(make_host: MakeHost) -> None:
    source = Stuck()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    jobs = [host.add(title=f"Job {number}") for number in range(5)]
    with scheduler_of(host) as scheduler:
        for _ in range(2):
            assert source.begun.acquire(timeout=WAIT)
        assert not source.begun.acquire(timeout=0.2)  # while it looks again and again
        states = Counter(host.service.jobs.get(host.alice, job.id).latest_status for job in jobs)
        assert states == {"in progress": 2, None: 3}
        source.ended.set()
        wait_until(lambda: has_finished(host, *jobs))
        assert scheduler.stop()


@pytest.mark.parametrize("most", [1, 3])
def test_as_many_runs_of_a_job_are_in_progress_as_it_allows(make_host: MakeHost, most: int) -> None:
    source = Stuck()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    job = host.add(recurrence=cdds.Hourly(1), misfire="each", max_instances=most)
    host.clock.advance(hours=5)
    scheduler = scheduler_of(host, poll_interval=timedelta(minutes=5))
    scheduler.start(workers=6)
    try:
        for _ in range(most):
            assert source.begun.acquire(timeout=WAIT)
        assert not source.begun.acquire(timeout=0.2)
        assert Counter(run.status for run in runs_of(host, job)) == {"in progress": most}
        assert threads_left().count(f"cdds-{job.id}") == most
        source.ended.set()
        wait_until(lambda: [run.status for run in runs_of(host, job)] == ["finished"] * 5)
    finally:
        source.ended.set()
        assert scheduler.stop()
    assert len({run.due for run in runs_of(host, job)}) == 5


# Many on one catalog.


@pytest.mark.parametrize("own_services", [False, True])
def test_many_schedulers_run_each_start_once(
    make_host: MakeHost, catalog_url: str, own_services: bool
) -> None:
    count = 3
    hosts = [make_host()]
    if own_services and catalog_url != "sqlite://":
        hosts += [make_host() for _ in range(count - 1)]
    moment = hosts[0].clock.moment.replace(hour=1, minute=30)
    for host in hosts:
        host.clock.moment = moment
    host = hosts[0]
    jobs = [
        host.add(title=f"Job {number}", recurrence=cdds.Hourly(1), misfire="each")
        for number in range(3)
    ]
    done: list[str] = []
    for each in hosts:
        each.service.retention.sweep = lambda: done.append("sweep")  # type: ignore[method-assign, assignment, return-value]
        each.clock.moment = moment + 4 * HOUR
    schedulers = [
        scheduler_of(hosts[number % len(hosts)], sweep=cdds.Hourly(24)) for number in range(count)
    ]
    for scheduler in schedulers:
        scheduler.start(workers=2)
    wait_until(lambda: all(len(runs_of(host, job)) == 4 for job in jobs))
    wait_until(lambda: has_finished(host, *jobs))
    assert all(scheduler.stop() for scheduler in schedulers)
    for job in jobs:
        runs = runs_of(host, job)
        assert [run.status for run in runs] == ["finished"] * 4
        assert len({run.due for run in runs}) == 4
        assert all(run.attempt == 1 for run in runs)
    assert done == ["sweep"]


# What fails.


def test_a_job_that_cannot_be_begun_keeps_no_other_from_running(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = host.add(title="Broken"), host.add(title="Other")
    with host.catalog._engine.begin() as connection:
        connection.execute(JOBS.update().where(JOBS.c.id == broken.id).values(settings="{no JSON"))
        connection.execute(
            JOBS.update()
            .where(JOBS.c.id == broken.id)
            .values(next_start=host.clock.moment - HOUR)  # before all others
        )
    with scheduler_of(host) as scheduler:
        wait_until(lambda: has_finished(host, other))
        later = host.add(title="Later")
        wait_until(lambda: has_finished(host, later))
        assert scheduler.stop()
    assert caplog.text.count("could not be begun") == 1  # it is set aside for a while
    assert "no JSON" not in caplog.text


def test_a_run_that_fails_keeps_no_other_from_running(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.failing.append(ValueError("secret"))
    failing = host.add(title="Failing")
    with scheduler_of(host):
        wait_until(lambda: host.service.jobs.get(host.alice, failing.id).latest_status == "failed")
        host.failing.clear()
        other = host.add(title="Other")
        wait_until(lambda: has_finished(host, other))
    assert "secret" not in caplog.text


def test_a_catalog_that_fails_for_a_while_does_not_end_it(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    real = host.catalog.read
    failures = threading.Semaphore(0)

    def fail() -> object:
        failures.release()
        raise CatalogError("the server is away")

    job = host.add()
    host.catalog.read = fail  # type: ignore[method-assign, assignment]
    with scheduler_of(host, sweep=cdds.Hourly(1)):
        for _ in range(4):
            assert failures.acquire(timeout=WAIT)
        host.catalog.read = real  # type: ignore[method-assign]
        wait_until(lambda: has_finished(host, job))
    assert "nothing can be scheduled, trying again: the server is away" in caplog.text


def test_a_log_that_fails_does_not_end_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Semaphore(0)

    def fail(*_: object) -> bool:
        told.release()
        raise SystemExit

    def away() -> object:
        raise CatalogError("the server is away")

    job = host.add()
    monkeypatch.setattr(dispatcher._log, "filter", fail)
    with scheduler_of(host):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host.catalog, "read", away)
            for _ in range(3):
                assert told.acquire(timeout=WAIT)
        wait_until(lambda: has_finished(host, job))


def test_what_ends_it_is_raised_and_it_can_be_started_again(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = scheduler_of(host)

    def fail(_: dispatcher.Dispatcher) -> None:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher.Dispatcher, "_run", fail)
        with pytest.raises(MemoryError):
            scheduler.run_forever()
        scheduler.start()
        wait_until(lambda: not threads_left())
    assert caplog.text.count("nothing is scheduled any more: it failed with MemoryError") == 2
    scheduler.start()
    job = host.add()
    wait_until(lambda: has_finished(host, job))
    with pytest.raises(JobError, match="runs already"):
        scheduler.start()
    assert scheduler.stop()


def test_a_chore_that_fails_ends_nothing(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise SinkError("the storage is away")

    host.service.retention.sweep = fail  # type: ignore[method-assign, assignment]
    with scheduler_of(host, sweep=cdds.Hourly(1)):
        assert tried.acquire(timeout=WAIT)
        job = host.add()
        wait_until(lambda: has_finished(host, job))
        host.clock.advance(minutes=1)
        assert tried.acquire(timeout=WAIT)
    assert "sweep failed, and is done again: the storage is away" in caplog.text


def test_a_thread_that_cannot_be_started_takes_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(1)
    started = threading.Thread.start

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError):
        workers.begin("job", lambda: None)
    monkeypatch.setattr(threading.Thread, "start", started)
    assert (workers.free, workers.held) == (1, frozenset())
    assert workers.wait(0)
    done = threading.Event()
    workers.begin("job", done.set)
    assert done.wait(WAIT)
    assert workers.wait(WAIT)


def test_a_start_that_fails_can_be_made_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = scheduler_of(host)
    started = threading.Thread.start

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError):
        scheduler.start()
    monkeypatch.setattr(threading.Thread, "start", started)
    scheduler.start()
    assert scheduler.stop()


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Interrupt whoever starts a dispatcher, when its thread runs; return how many were."""
    started, times = threading.Thread.start, []

    def interrupt(thread: threading.Thread) -> None:
        started(thread)
        if thread.name == "cdds-scheduler":
            times.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    return lambda: len(times)


def test_a_start_that_is_interrupted_leaves_nothing_that_runs(
    make_host: MakeHost, interrupted: Callable[[], int]
) -> None:
    host = make_host(sources={"UCS": Endless()}, lease=timedelta(days=1))
    host.add()
    scheduler = scheduler_of(host)
    starts: tuple[Callable[[], object], ...] = (
        scheduler.start,
        scheduler.__enter__,
        scheduler.run_forever,
    )
    for times, start in enumerate(starts, start=1):
        with pytest.raises(KeyboardInterrupt):
            start()
        assert interrupted() == times
        assert threads_left() == []
    assert scheduler.stop()


def test_work_that_raises_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    workers = Workers(2)

    def fail() -> None:
        raise ValueError

    workers.begin("one", fail)
    assert workers.wait(WAIT)
    assert workers.free == 2


# The host's own work, and what is due now.


def test_the_chores_of_the_host_are_done_in_their_turn(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    done: Counter[str] = Counter()
    service = host.service
    service.retention.sweep = lambda: done.update(["sweep"])  # type: ignore[method-assign, assignment, return-value]
    service.retention.remind = lambda: done.update(["remind"])  # type: ignore[method-assign, assignment, return-value]
    service.reconcile = lambda: done.update(["reconcile"])  # type: ignore[method-assign, assignment, return-value]
    scheduler = Scheduler(host.service)
    scheduler.run_pending()
    assert done == {"sweep": 1, "remind": 1, "reconcile": 1}
    scheduler.run_pending()
    assert done.total() == 3
    host.clock.advance(hours=1)
    scheduler.run_pending()
    assert done == {"sweep": 2, "remind": 1, "reconcile": 1}
    host.clock.advance(days=1)
    scheduler.run_pending()
    assert done == {"sweep": 3, "remind": 2, "reconcile": 2}


def test_what_is_due_is_done_on_this_thread_for_hosts_with_a_loop_of_their_own(host: Host) -> None:
    scheduler = scheduler_of(host)
    jobs = [host.add(title=f"Job {number}") for number in range(3)]
    assert len(scheduler.run_pending(limit=2)) == 2
    (run,) = scheduler.run_pending()
    assert run.status == "finished"
    assert scheduler.run_pending() == ()
    assert has_finished(host, *jobs)
    assert threads_left() == []


# Signals.

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def test_no_signal_is_handled_unless_it_is_asked_for(host: Host) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    scheduler = scheduler_of(host)
    seen: list[Any] = []
    with scheduler:
        assert [signal.getsignal(number) for number in SIGNALS] == before

    def look() -> None:
        try:
            job = host.add()
            wait_until(lambda: has_finished(host, job))
            seen.extend(signal.getsignal(number) for number in SIGNALS)
        finally:
            stop_when_it_runs(scheduler)

    with ThreadPoolExecutor(1) as threads:
        looked = threads.submit(look)
        assert scheduler.run_forever()
        looked.result(WAIT)
    assert seen == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it_and_the_handlers_of_before_are_back(
    host: Host, number: signal.Signals
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    scheduler = scheduler_of(host)

    def send() -> None:
        try:
            wait_until(lambda: signal.getsignal(signal.SIGINT) is not before[1])
            job = host.add()
            wait_until(lambda: has_finished(host, job))
            os.kill(os.getpid(), number)
        except BaseException:
            stop_when_it_runs(scheduler)
            raise

    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(send)
        assert scheduler.run_forever(handle_signals=True)
        sent.result(WAIT)
    assert [signal.getsignal(each) for each in SIGNALS] == before
    wait_until(lambda: not threads_left())  # the one that was asked to stop it may be at its end


def test_a_second_signal_cancels_what_runs(make_host: MakeHost) -> None:
    source = Endless()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    job = host.add()
    scheduler = scheduler_of(host)

    def send() -> None:
        try:
            assert source.begun.acquire(timeout=WAIT)
            os.kill(os.getpid(), signal.SIGTERM)
            wait_until(lambda: scheduler._dispatcher and scheduler._dispatcher._stop.is_set())
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            source.ended.set()
            stop_when_it_runs(scheduler)
            raise

    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(send)
        assert scheduler.run_forever(stop_timeout=timedelta(hours=1), handle_signals=True)
        sent.result(WAIT)
    (run,) = runs_of(host, job)
    assert run.status == "failed"
    assert host.service.jobs.get(host.alice, job.id).next_start == host.clock.moment


def test_only_the_main_thread_can_handle_signals(host: Host) -> None:
    scheduler = scheduler_of(host)
    with ThreadPoolExecutor(1) as threads:
        ran = threads.submit(scheduler.run_forever, handle_signals=True)
        with pytest.raises(JobError, match="main thread"):
            ran.result(WAIT)
    scheduler.start()  # it does not look as if it ran
    assert scheduler.stop()


# Arguments.


@pytest.mark.parametrize(
    "arguments",
    [
        {"poll_interval": timedelta()},
        {"poll_interval": timedelta(milliseconds=9)},
        {"poll_interval": timedelta(minutes=5, microseconds=1)},
        {"poll_interval": 1},
        {"poll_interval": None},
        {"sweep": "hourly"},
        {"sweep": timedelta(hours=1)},
        {"reconcile": 24},
        {"remind": cdds.Hourly},
        {"sweep": cdds.Once()},  # which would never be done again
        {"sweep": cdds.Hourly(1, until=datetime(2100, 1, 1, tzinfo=UTC))},  # nor would these
        {"remind": cdds.Daily("03:00", start=datetime(2026, 1, 1, tzinfo=UTC), count=1)},
        {"reconcile": cdds.RRule("FREQ=DAILY;COUNT=9", start=datetime(2026, 1, 1, tzinfo=UTC))},
        {
            "reconcile": cdds.RRule(
                "FREQ=DAILY;UNTIL=20990101T000000Z", start=datetime(2026, 1, 1, tzinfo=UTC)
            )
        },
    ],
    ids=str,
)
def test_arguments_out_of_their_range_are_refused(host: Host, arguments: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=next(iter(arguments))):
        Scheduler(host.service, **arguments)


def test_a_scheduler_takes_a_service(host: Host) -> None:
    for service in (None, host.catalog, host):
        with pytest.raises(JobError, match="DownloadService"):
            Scheduler(service)  # type: ignore[arg-type]


def test_numbers_and_spans_out_of_their_range_are_refused(host: Host) -> None:
    scheduler = scheduler_of(host)
    for workers in (0, -1, 65, True, 1.0, "2", None):
        for start in (scheduler.start, scheduler.run_forever):
            with pytest.raises(JobError, match="workers"):
                start(workers)  # type: ignore[arg-type]
    for span in (timedelta(seconds=-1), timedelta(days=1, microseconds=1), 30, None):
        with pytest.raises(JobError, match="timeout"):
            scheduler.stop(span)  # type: ignore[arg-type]
        with pytest.raises(JobError, match="stop_timeout"):
            scheduler.run_forever(stop_timeout=span)  # type: ignore[arg-type]
    for limit in (0, -1, 1.0, True, 1_000_001):
        with pytest.raises(JobError, match="limit"):
            scheduler.run_pending(limit)  # type: ignore[arg-type]
    for stop in (True, "stop", object()):
        with pytest.raises(JobError, match="stop takes a token"):
            scheduler.run_pending(stop=stop)  # type: ignore[arg-type]
    scheduler.start()  # none of which has started it
    assert scheduler.stop()


def test_a_job_that_the_catalog_failed_to_begin_is_begun_in_a_moment(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_SET_ASIDE", 10.0 * WAIT)
    execution = host.service.due._execution
    real, failed = execution.claim_due, threading.Event()

    def claim(job_id: str) -> Any:
        if not failed.is_set():
            failed.set()
            raise CatalogError("the server is away")
        return real(job_id)

    monkeypatch.setattr(execution, "claim_due", claim)
    job = host.add()
    with scheduler_of(host):
        wait_until(lambda: has_finished(host, job))
    assert failed.is_set()


def test_an_interrupt_without_a_handler_lets_what_runs_clean_up(make_host: MakeHost) -> None:
    source = Endless()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    job = host.add()

    def send() -> None:
        has_begun = source.begun.acquire(timeout=WAIT)
        os.kill(os.getpid(), signal.SIGINT)  # whatever has become of it, or the test never ends
        assert has_begun

    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(send)
        with pytest.raises(KeyboardInterrupt):
            scheduler_of(host).run_forever()
        sent.result(WAIT)
    (run,) = runs_of(host, job)
    assert (run.status, run.error) == ("failed", "its scheduler was stopped; it is run again")
    assert host.files() == set()
    assert threads_left() == []


def test_a_listener_that_exits_does_not_end_the_scheduler_in_silence(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, raised = host.service.due.look, threading.Event()

    def look(*arguments: Any) -> Found:
        if not raised.is_set():
            raised.set()
            raise SystemExit  # as a listener does that is told of a run whose lease has ended
        return real(*arguments)

    monkeypatch.setattr(host.service.due, "look", look)
    with scheduler_of(host):
        assert raised.wait(WAIT)
        job = host.add()
        wait_until(lambda: has_finished(host, job))
    assert "nothing can be scheduled, trying again: it failed with SystemExit" in caplog.text


def test_a_start_that_comes_while_the_catalog_is_asked_is_looked_for_at_once(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not found by the look itself, and over when it is asked what comes next."""
    host.add(recurrence=cdds.Once(host.clock.moment + timedelta(milliseconds=5)))
    real = host.service.due.look

    def look(*arguments: Any) -> Found:
        found = real(*arguments)
        host.clock.advance(milliseconds=10)
        return found

    monkeypatch.setattr(host.service.due, "look", look)
    looking = dispatcher.Dispatcher(host.service, {}, workers=2, poll_interval=300)
    assert looking._hand_out() <= dispatcher._TICK
    assert looking._workers.held == frozenset()


def test_what_is_due_and_cannot_begin_is_not_looked_for_at_once(make_host: MakeHost) -> None:
    """Else a scheduler would ask all the time until the run before has ended."""
    source = Stuck()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=9))
    job = host.add(recurrence=cdds.Hourly(24))
    assert job.next_start is not None
    host.clock.moment = job.next_start
    looking = dispatcher.Dispatcher(host.service, {}, workers=2, poll_interval=300)
    looking._hand_out()
    try:
        assert source.begun.acquire(timeout=WAIT)
        host.clock.moment += timedelta(days=1)
        assert looking._hand_out() == 300
    finally:
        source.ended.set()
    assert looking._workers.wait(WAIT)


def test_a_start_that_is_known_does_not_wait_for_the_next_look(
    catalog_url: str, tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    finished = threading.Event()

    def listen(event: events.Event) -> None:
        if isinstance(event, events.RunFinished):
            finished.set()

    with Catalog(catalog_url, audit_key=b"k" * 32) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=tmp_path / "storage",
            sources={"UCS": lambda _: cdds.sources.Records(interaction=RECORDS)},
            listeners=[listen],
        )
        service.preferences.set_certificate(ALICE, rsa_key_and_certificate[1].read_bytes())
        soon = datetime.now(UTC) + timedelta(seconds=1)
        service.jobs.add(ALICE, settings_of(recurrence=cdds.Once(soon)))
        with Scheduler(service, poll_interval=timedelta(minutes=5)):
            assert finished.wait(60)


def test_a_long_run_keeps_no_chore_from_being_done(make_host: MakeHost) -> None:
    source = Endless()
    host = make_host(sources={"UCS": source}, lease=timedelta(days=1))
    host.add()
    swept = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.service.retention, "sweep", swept.set)
        scheduler = Scheduler(
            host.service, poll_interval=POLL, sweep=cdds.Hourly(1), reconcile=None, remind=None
        )
        with host.catalog.write() as transaction:  # not due before the run has begun
            now = transaction.now()
            assert transaction.chores.claim("sweep", "other", now, now + timedelta(hours=1))
        scheduler.start(workers=2)
        try:
            assert source.begun.acquire(timeout=WAIT)
            with host.catalog.write() as transaction:
                assert transaction.chores.finish("sweep", "other", transaction.now())
            assert swept.wait(WAIT)
        finally:
            scheduler.stop(AT_ONCE)
