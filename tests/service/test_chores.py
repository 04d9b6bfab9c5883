"""The host's own work: of many hosts on one catalog one does it, and what ends it says whose it is.

Time is a value here; threads meet at barriers and events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hosts import Host, MakeHost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import numbers

import cdds
from cdds.errors import CatalogError, SinkError
from cdds.schedule import Hourly

WAIT = 20
"""The seconds after which a test gives up waiting for a thread."""

LEASE = timedelta(seconds=60)
RETRY_PAUSE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)


class Work:
    """A chore that counts how often it was done, and fails when it is told to."""

    def __init__(self) -> None:
        self.done = 0
        self.failure: Exception | None = None

    def __call__(self) -> None:
        self.done += 1
        if self.failure is not None:
            raise self.failure


def test_a_chore_that_was_never_done_is_due(host: Host) -> None:
    work = Work()
    assert host.service.chores.due(["sweep"])
    assert host.service.chores.do("sweep", Hourly(1), work)
    assert work.done == 1
    assert not host.service.chores.due(["sweep"])
    assert not host.service.chores.do("sweep", Hourly(1), work)
    assert work.done == 1
    assert host.service.chores.due(["reconcile"])  # each by its own name


def test_a_chore_that_starts_later_is_done_at_once_and_then_in_its_turn(host: Host) -> None:
    start = host.clock.moment + timedelta(days=400)
    work, recurrence = Work(), Hourly(24, start=start)
    assert host.service.chores.do("sweep", recurrence, work)
    first = recurrence.next_after(start - timedelta(days=1))
    assert first is not None
    host.clock.moment = first - TICK
    assert not host.service.chores.due(["sweep"])
    host.clock.moment = first
    assert host.service.chores.do("sweep", recurrence, work)
    assert work.done == 2


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    every=st.integers(1, 24),
    waits=st.lists(st.timedeltas(timedelta(), timedelta(hours=30)), min_size=1, max_size=6),
)
def test_the_next_start_follows_the_recurrence(
    host: Host, every: int, waits: list[timedelta]
) -> None:
    name = f"chore {next(numbers)}"
    work, recurrence, due = Work(), Hourly(every), host.clock.moment
    for wait in (timedelta(), *waits):
        host.clock.moment += wait
        is_due = host.clock.moment >= due
        before = work.done
        assert host.service.chores.due([name]) == [name] * is_due
        assert host.service.chores.do(name, recurrence, work) == is_due
        assert work.done == before + is_due
        if is_due:  # what was missed meanwhile is not made up for
            following = recurrence.next_after(host.clock.moment)
            assert following is not None
            due = following


@pytest.mark.parametrize("failure", [SinkError("it is full"), ValueError("secret"), OSError(5)])
def test_what_failed_is_due_again_after_the_pause_between_retries(
    host: Host, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=0, second=1)
    work = Work()
    work.failure = failure
    assert not host.service.chores.do("sweep", Hourly(24), work)
    assert "sweep failed" in caplog.text
    assert "secret" not in caplog.text
    host.clock.moment += RETRY_PAUSE - TICK
    assert not host.service.chores.due(["sweep"])
    host.clock.moment += TICK
    work.failure = None
    assert host.service.chores.do("sweep", Hourly(24), work)
    host.clock.moment += RETRY_PAUSE
    assert not host.service.chores.due(["sweep"])


def test_what_failed_is_due_at_its_next_start_where_that_is_sooner(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=59, second=50)
    work = Work()
    work.failure = SinkError("it is full")
    host.service.chores.do("sweep", Hourly(1), work)
    host.clock.advance(seconds=10)
    assert host.service.chores.due(["sweep"])


@pytest.mark.parametrize("own_services", [False, True])
def test_of_many_that_try_at_once_one_does_it(
    make_host: MakeHost, catalog_url: str, own_services: bool
) -> None:
    """Services of their own, each with its connections, cannot share a database in memory."""
    count, rounds = 6, 5
    hosts = [make_host()]
    if own_services and catalog_url != "sqlite://":
        hosts += [make_host() for _ in range(count - 1)]
    start = hosts[0].clock.moment
    for number in range(rounds):
        for host in hosts:
            host.clock.moment = start + number * timedelta(hours=1)
        work = Work()
        barrier = threading.Barrier(count)

        def compete(service: cdds.DownloadService, barrier: threading.Barrier, work: Work) -> bool:
            barrier.wait(WAIT)
            return service.chores.do("sweep", Hourly(1), work)

        with ThreadPoolExecutor(count) as threads:
            futures = [
                threads.submit(compete, hosts[n % len(hosts)].service, barrier, work)
                for n in range(count)
            ]
            assert sorted(future.result(WAIT) for future in futures) == [False] * 5 + [True]
        assert work.done == 1


def during(host: Host, work: Callable[[], object]) -> Callable[[], None]:
    """Begin a chore on a thread, and return what lets it end, once it is at work."""
    begun, ended = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert ended.wait(WAIT)
        work()

    thread = threading.Thread(
        target=host.service.chores.do, args=("sweep", Hourly(1), wait), daemon=True
    )
    thread.start()
    assert begun.wait(WAIT)

    def end() -> None:
        ended.set()
        thread.join(WAIT)
        assert not thread.is_alive()

    return end


def test_a_chore_that_is_being_done_is_not_due_until_its_lease_ends(host: Host) -> None:
    end = during(host, Work())
    work = Work()
    host.clock.moment += LEASE - TICK
    assert not host.service.chores.due(["sweep"])
    assert not host.service.chores.do("sweep", Hourly(1), work)
    host.clock.moment += TICK  # it seems to be dead
    assert host.service.chores.due(["sweep"])
    assert host.service.chores.do("sweep", Hourly(1), work)
    assert work.done == 1
    end()


@pytest.mark.parametrize("fails", [False, True])
def test_who_comes_late_changes_nothing(host: Host, fails: bool) -> None:
    host.clock.moment = host.clock.moment.replace(minute=10)
    late = Work()
    late.failure = SinkError("it is full") if fails else None
    end = during(host, late)
    host.clock.moment += LEASE
    work = Work()
    end_other = during(host, work)  # which has taken it over, and is at it
    end()
    assert not host.service.chores.due(["sweep"])  # neither free, nor done
    host.clock.moment += LEASE
    assert host.service.chores.due(["sweep"])  # the other was not ended by it
    host.clock.moment -= LEASE
    end_other()
    host.clock.moment = host.clock.moment.replace(minute=59)
    assert not host.service.chores.due(["sweep"])
    host.clock.advance(minutes=1)
    assert host.service.chores.due(["sweep"])
    assert (late.done, work.done) == (1, 1)


def test_the_lease_is_renewed_while_the_work_goes_on(make_host: MakeHost) -> None:
    host = make_host(lease=timedelta(milliseconds=200))
    real = host.catalog.write
    end = during(host, Work())
    host.clock.advance(hours=1)  # from now on each renewal reaches beyond this
    writes = threading.Semaphore(0)

    def write() -> object:
        writes.release()
        return real()

    host.catalog.write = write  # type: ignore[method-assign, assignment]
    for _ in range(2):  # the first may have begun before
        assert writes.acquire(timeout=WAIT)
    host.catalog.write = real  # type: ignore[method-assign]
    assert not host.service.chores.due(["sweep"])
    end()


def test_a_renewal_that_fails_does_not_end_the_work(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither where the catalog fails, nor where the clock of a host does."""
    host = make_host(lease=timedelta(milliseconds=20))
    work = Work()
    end = during(host, work)
    real = host.catalog.write
    for failure in (CatalogError("it is away"), ValueError("secret"), CatalogError("it is away")):
        failed = threading.Event()

        def fail(failure: Exception = failure, failed: threading.Event = failed) -> object:
            failed.set()
            raise failure

        host.catalog.write = fail  # type: ignore[method-assign, assignment]
        assert failed.wait(WAIT)
    host.catalog.write = real  # type: ignore[method-assign]
    end()
    assert work.done == 1
    assert caplog.text.count("could not be renewed") >= 3
    assert "secret" not in caplog.text


def test_the_catalog_failing_is_told_before_and_after_the_work(host: Host) -> None:
    work = Work()
    real = host.catalog.write

    def fail() -> object:
        raise CatalogError("it is away")

    def break_catalog() -> None:
        work()
        host.catalog.write = fail  # type: ignore[method-assign, assignment]

    with pytest.raises(CatalogError):
        host.service.chores.do("sweep", Hourly(1), break_catalog)
    with pytest.raises(CatalogError):
        host.service.chores.do("sweep", Hourly(1), break_catalog)
    assert work.done == 1
    host.catalog.write = real  # type: ignore[method-assign]
    assert not host.service.chores.due(["sweep"])
    host.clock.moment += LEASE  # nobody knows that it was done, and it bears to be done twice
    assert host.service.chores.do("sweep", Hourly(1), work)


def test_no_thread_is_left_behind(host: Host) -> None:
    before = threading.active_count()
    work = Work()
    for failure in (None, SinkError("it is full")):
        work.failure = failure
        host.clock.advance(hours=1)
        host.service.chores.do("sweep", Hourly(1), work)
    assert threading.active_count() == before
    assert work.done == 2
