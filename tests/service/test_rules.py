"""Rules that the state machine found broken or comes to seldom, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from stores import numbers

import cdds
from cdds.catalog import JobSettings
from cdds.errors import Cancelled, CertificateError, NoCertificate, NotRunnable, SinkError
from cdds.schedule import Hourly, Once
from cdds.service import events
from cdds.sinks.filesystem import FileSystemSink

DAY = timedelta(days=1)
ME = cdds.Principal("alice", "acme", ["use", "choose recipients"])
HOURLY = JobSettings(title="x", source="UCS", dataset="Interaction", recurrence=Hourly(1))


class SetClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


class StubbornSink(FileSystemSink):
    refuses = False

    def remove(self, item: Any) -> None:
        if self.refuses:
            raise SinkError("the storage removes nothing today")
        super().remove(item)


@attrs.frozen
class Host:
    service: cdds.DownloadService
    clock: SetClock
    sink: StubbornSink
    told: list[events.Event]


@pytest.fixture
def host(issue: Any) -> Iterator[Host]:
    from cryptography.hazmat.primitives.serialization import Encoding

    clock, told = SetClock(), list[events.Event]()
    sink = StubbornSink(f"memory://rules-{next(numbers)}")
    start = clock.moment - DAY
    certificate = issue(start=start, end=start + 400 * DAY).public_bytes(Encoding.PEM)
    with cdds.Catalog("sqlite://", audit_key=b"k" * 32, clock=clock) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=sink,
            sources={"UCS": lambda _: cdds.sources.Records(interaction=[{"IXNID": "1"}])},
            clock=clock,
            lifetime=10 * DAY,
            history_lifetime=DAY,
            listeners=[told.append],
            threads=1,
        )
        service.preferences.set_certificate(ME, certificate)
        yield Host(service, clock, sink, told)


def cancel_at_the_end(host: Host, job_id: str) -> str:
    """Cancel a run whose set is committed already, and return its id."""

    def cancel(progress: cdds.Progress) -> None:
        if progress.done:
            host.service.history.cancel(ME, host.service.jobs.get(ME, job_id).latest_run or "")

    with pytest.raises((Cancelled, SinkError)):
        host.service.jobs.run_now(ME, job_id, progress=cancel)
    return host.service.jobs.get(ME, job_id).latest_run or ""


def test_a_run_that_is_cancelled_at_its_end_names_no_file(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    run = host.service.history.get(ME, cancel_at_the_end(host, job.id))
    assert run.status == "cancelled"
    assert (run.file_name, run.parts, run.digests, run.expires) == (None, 0, None, None)
    assert list(host.sink.stored()) == []


def test_a_cancelled_run_is_told_of_though_its_set_stays(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    host.sink.refuses = True
    cancel_at_the_end(host, job.id)
    assert isinstance(host.told[-1], events.RunCancelled)
    host.sink.refuses = False
    assert len(host.service.reconcile().leftovers) == 2
    assert list(host.sink.stored()) == []


def test_a_job_that_becomes_one_time_has_its_one_run(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    host.service.jobs.run_now(ME, job.id)
    host.service.jobs.edit(ME, job.id, recurrence=Once())
    host.service.jobs.run_now(ME, job.id)
    with pytest.raises(NotRunnable):
        host.service.jobs.run_now(ME, job.id)


def test_a_job_that_becomes_one_time_at_the_moment_of_a_start_runs_still(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    host.clock.moment = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert len(host.service.run_due()) == 1
    host.service.jobs.edit(ME, job.id, recurrence=Once())
    host.clock.moment += timedelta(seconds=1)
    assert len(host.service.run_due()) == 1


def test_a_job_that_is_resumed_by_a_clock_that_is_behind_runs_still(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    host.clock.moment = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert len(host.service.run_due()) == 1
    host.clock.moment -= timedelta(seconds=1)
    host.service.jobs.suspend(ME, job.id)
    host.service.jobs.resume(ME, job.id)
    host.clock.moment = datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert len(host.service.run_due()) == 1


def test_a_job_is_not_edited_for_recipients_that_nothing_can_be_sealed_for(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    with pytest.raises(CertificateError):
        host.service.jobs.edit(ME, job.id, recipients=["no certificate"])
    entry = host.service.preferences.certificate(ME)
    assert entry is not None
    host.service.preferences.remove_certificate(ME)
    with pytest.raises(NoCertificate):
        host.service.jobs.edit(ME, job.id, recipients=[entry.certificate])
    assert host.service.jobs.edit(ME, job.id, title="y").title == "y"
    assert host.service.jobs.get(ME, job.id).settings.recipients == ()


def test_a_plan_holds_the_runs_whose_last_artifacts_are_swept(host: Host) -> None:
    job = host.service.jobs.add(ME, HOURLY)
    run = host.service.jobs.run_now(ME, job.id)
    host.clock.moment += 5 * DAY
    assert host.service.retention.plan().runs == ()  # its artifact is there still
    host.clock.moment += 5 * DAY
    plan = host.service.retention.plan()
    assert [entry.id for entry in plan.runs] == [run.id]
    assert host.service.retention.sweep().runs == 1
    assert host.service.history.list(ME).items == ()
