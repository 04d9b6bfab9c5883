"""Events: told after the commit, and harmless whatever a listener does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from hosts import Host, MakeHost

import cdds
from cdds.errors import Cancelled, SourceError
from cdds.service import events


def test_the_events_of_a_run(host: Host) -> None:
    run = host.run()
    assert host.kinds() == ["RunStarted", "RunFinished", "ArtifactStored"]
    finished = host.told[-2]
    assert isinstance(finished, events.RunFinished)
    assert finished.run == run


def test_failed_and_cancelled_runs_are_told(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    host.failing.append(SourceError("away"))
    with pytest.raises(SourceError):
        host.service.jobs.run_now(host.alice, job.id)
    host.failing.clear()

    def cancel(_: cdds.Progress) -> None:
        (run,) = host.service.history.list(host.alice, status="in progress").items
        host.service.history.cancel(host.alice, run.id)

    with pytest.raises(Cancelled):
        host.service.jobs.run_now(host.alice, job.id, progress=cancel)
    assert host.kinds() == ["RunStarted", "RunFailed", "RunStarted", "RunCancelled"]


def test_a_listener_is_called_after_the_commit(make_host: MakeHost) -> None:
    seen = []

    def look(event: events.Event) -> None:
        if isinstance(event, (events.RunStarted, events.RunFinished)):
            seen.append(host.service.history.get(host.alice, event.run.id) == event.run)
        if isinstance(event, events.ArtifactStored):
            seen.append(
                host.service.artifacts.get(host.alice, event.artifact.name) == event.artifact
            )

    host = make_host(listeners=[look])
    host.run()
    assert seen == [True, True, True]


def test_a_listener_that_fails_harms_nothing(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[events.Event] = []

    def fails(_: events.Event) -> None:
        raise RuntimeError("secret of the host")

    host = make_host(listeners=[fails, told.append])
    with caplog.at_level(logging.WARNING):
        run = host.run()
    assert run.status == "finished"
    assert [type(event).__name__ for event in told] == [
        "RunStarted",
        "RunFinished",
        "ArtifactStored",
    ]
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_progress_is_told_on_the_thread_of_the_run(make_host: MakeHost) -> None:
    """So a listener that takes its time cannot keep the signs of life from being given."""
    threads: set[int] = set()

    def note(event: events.Event) -> None:
        if isinstance(event, events.RunProgressed):
            threads.add(threading.get_ident())

    def records() -> Iterator[dict[str, str]]:
        number = 0
        while not threads:
            number += 1
            yield {"IXNID": str(number), "SUBJECT": "x" * 1000}

    host = make_host(
        listeners=[note],
        sources={"UCS": lambda _: cdds.sources.Records(interaction=records())},
    )
    host.run()
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), ValueError()])
def test_whatever_a_listener_raises_harms_nothing(
    make_host: MakeHost, error: BaseException
) -> None:
    def fails(_: events.Event) -> None:
        raise error

    host = make_host(listeners=[fails])
    assert host.run().status == "finished"
    assert host.service.reconcile().failed_runs == ()
