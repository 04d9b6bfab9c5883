"""Retention: gone after its time, and never before, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, MakeHost

import cdds
from cdds.errors import NotFound, SinkError
from cdds.protocols import Stored
from cdds.service import events


def test_a_sweep_removes_what_is_due_and_nothing_else(host: Host) -> None:
    old = host.run()
    host.clock.advance(days=1)
    new = host.run()
    host.clock.advance(days=29)
    plan = host.service.retention.plan()
    assert [artifact.run_id for artifact in plan.artifacts] == [old.id]
    swept = host.service.retention.sweep()
    assert (swept.artifacts, swept.failed, swept.runs) == (1, (), 0)
    assert host.files() == {new.file_name, new.digests}
    assert host.service.retention.plan().artifacts == ()
    assert host.service.retention.sweep().artifacts == 0
    assert host.service.history.get(host.alice, old.id).file_name == old.file_name


def test_a_host_may_keep_artifacts_for_less(make_host: MakeHost) -> None:
    host = make_host(lifetime=timedelta(hours=36))
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    assert host.service.artifacts.days_remaining(artifact) == 2
    host.clock.advance(hours=36)
    assert host.service.artifacts.list(host.alice).items == ()
    assert host.service.retention.sweep().artifacts == 1
    assert host.files() == set()


class Stubborn(cdds.sinks.LocalSink):
    """A folder that does not remove some of what it holds, for a while."""

    refused: str = ""

    def remove(self, item: Stored) -> None:
        """Remove something, or refuse to."""
        if self.refused and item.name.endswith(self.refused):
            raise SinkError("it cannot be removed now")
        super().remove(item)


def test_what_cannot_be_removed_is_left_for_the_next_sweep(
    make_host: MakeHost, tmp_path: Path
) -> None:
    sink = Stubborn(tmp_path / "storage")
    host = make_host(sink=sink)
    runs = [host.run(), host.run()]
    host.clock.advance(days=30)
    sink.refused = f"{runs[0].id}.zip.smime"
    swept = host.service.retention.sweep()
    assert swept.artifacts == 1
    assert swept.failed == (runs[0].file_name,)
    assert host.files() == {runs[0].file_name}
    sink.refused = ""
    assert host.service.retention.sweep().artifacts == 1
    assert host.files() == set()


def test_a_deletion_that_the_storage_refuses_is_final_all_the_same(
    make_host: MakeHost, tmp_path: Path
) -> None:
    sink = Stubborn(tmp_path / "storage")
    sink.refused = ".smime"
    host = make_host(sink=sink)
    run = host.run()
    removed = host.service.artifacts.delete(host.alice, [run.file_name])
    assert (removed.names, removed.failed) == ((), (run.file_name,))
    assert host.service.artifacts.list(host.alice).items == ()
    with pytest.raises(NotFound):
        host.service.artifacts.open(host.alice, run.file_name)
    host.service.history.delete(host.alice, run.id)
    assert host.service.history.list(host.alice).items == ()
    sink.refused = ""
    swept = host.service.retention.sweep()
    assert (swept.artifacts, swept.runs) == (1, 1)
    assert host.files() == set()


def test_the_history_is_purged_when_the_host_says_so(make_host: MakeHost) -> None:
    host = make_host(history_lifetime=timedelta(days=90))
    run = host.run()
    host.clock.advance(days=30)
    host.service.retention.sweep()
    host.clock.advance(days=59, hours=23)
    assert host.service.retention.sweep().runs == 0
    assert host.service.history.get(host.alice, run.id).status == "finished"
    host.clock.advance(hours=2)
    assert [planned.id for planned in host.service.retention.plan().runs] == [run.id]
    assert host.service.retention.sweep().runs == 1
    with pytest.raises(NotFound):
        host.service.history.get(host.alice, run.id)
    assert host.service.audit.entries(host.admin)[-1].action == "run purged"


def test_reminders_come_once(make_host: MakeHost) -> None:
    told: list[Any] = []
    host = make_host(listeners=[told.append], notice=timedelta(days=2))
    host.run()
    assert host.service.retention.remind() == 0
    host.clock.advance(days=28, seconds=1)
    assert host.service.retention.remind() == 1
    assert isinstance(told[-1], events.ArtifactExpiring)
    assert host.service.retention.remind() == 0
    host.clock.advance(days=330)
    host.service.retention.sweep()
    assert host.service.retention.remind() == 3  # the certificates of three users
    assert isinstance(told[-1], events.CertificateExpiring)
    assert host.service.retention.remind() == 0


def test_many_artifacts_are_swept_in_blocks(make_host: MakeHost) -> None:
    host = make_host()
    job = host.add(recurrence=cdds.Hourly(1))
    for _ in range(5):
        host.service.jobs.run_now(host.alice, job.id)
    host.clock.advance(days=30)
    from cdds.service import retention

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "_AT_ONCE", 2)
        assert host.service.retention.sweep().artifacts == 5
    assert host.files() == set()


class Moody(cdds.sinks.LocalSink):
    """A folder that fails with errors of its own."""

    moody: str = ""

    def remove(self, item: Stored) -> None:
        """Remove something, or fail."""
        if self.moody and self.moody in item.name:
            raise ConnectionError("of the host's own")
        super().remove(item)


def test_one_file_that_cannot_go_holds_up_no_other(make_host: MakeHost, tmp_path: Path) -> None:
    sink = Moody(tmp_path / "storage")
    host = make_host(sink=sink)
    runs = [host.run() for _ in range(4)]
    host.clock.advance(days=30)
    sink.moody = f"{runs[1].id}.zip"
    swept = host.service.retention.sweep()
    assert (swept.artifacts, swept.failed) == (3, (runs[1].file_name,))
    host.service.history.delete(host.alice, runs[1].id)
    sink.moody = ""
    assert host.service.retention.sweep().artifacts == 1
    assert host.files() == set()


def test_reminders_come_once_whoever_reminds(make_host: MakeHost) -> None:
    told: list[Any] = []
    host = make_host(listeners=[told.append], notice=timedelta(days=31))
    for _ in range(5):
        host.run()
    told.clear()
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: host.service.retention.remind(), range(4)))
    assert sum(counts) == 5
    assert len({event.artifact.name for event in told}) == len(told) == 5
