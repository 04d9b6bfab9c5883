"""Reconciliation: catalog and storage agree again, and nothing of others is touched."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import attrs
import pytest
from hosts import Host

import cdds
from cdds.errors import ArtifactGone, RunLost, StillInProgress
from cdds.service.execution import Execution
from cdds.sinks.local import STAGED_PREFIX


def dies(host: Host, *, committed: bool) -> Any:
    """Leave what a worker leaves that is killed during a run; return the run."""
    job = host.add(recurrence=cdds.Hourly(1))
    left: list[Any] = []

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    def killed(_: cdds.Progress) -> None:
        (run,) = host.service.history.list(host.alice, job_id=job.id).items
        if not left:
            left.append(run)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Execution, "_try_to_end", lambda *_: None)
        if committed:
            patch.setattr(Execution, "_finish", kill)
        with pytest.raises(Killed):
            host.service.jobs.run_now(host.alice, job.id, progress=None if committed else killed)
    (run,) = host.service.history.list(host.alice, job_id=job.id).items
    assert run.status == "in progress"
    if not committed:
        host.folder.mkdir(exist_ok=True)
        for name in (f"{STAGED_PREFIX}export-{run.id}.zip.smime.0123456789abcdef",):
            (host.folder / name).write_bytes(b"staged")
        (host.folder / f"export-{run.id}.z01.smime").write_bytes(b"first part")
    return run


@pytest.mark.parametrize("committed", [False, True])
def test_a_dead_run_is_failed_and_its_leftovers_are_removed(host: Host, committed: bool) -> None:
    kept = host.run()
    run = dies(host, committed=committed)
    before = host.files()
    assert before > {kept.file_name, kept.digests}
    outcome = host.service.reconcile()
    assert (outcome.failed_runs, outcome.leftovers) == ((), ())
    assert host.files() == before
    host.clock.advance(seconds=60)
    outcome = host.service.reconcile()
    assert outcome.failed_runs == (run.id,)
    assert len(outcome.leftovers) == len(before) - 2
    assert host.files() == {kept.file_name, kept.digests}
    failed = host.service.history.get(host.alice, run.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "no sign of life" in failed.error
    assert host.service.jobs.get(host.alice, run.job_id).latest_status == "failed"
    assert host.service.jobs.run_now(host.alice, run.job_id).status == "finished"
    again = host.service.reconcile()
    assert (again.failed_runs, again.leftovers, again.missing) == ((), (), ())


def test_what_is_not_ours_is_left_alone(host: Host) -> None:
    host.folder.mkdir()
    foreign = {
        f"export-{uuid.uuid4()}.zip.smime",
        f"export-{uuid.uuid4()}.sha256",
        f"{STAGED_PREFIX}export-{uuid.uuid4()}.zip.smime.0123456789abcdef",
        "export-notes.txt",
        "holiday.jpg",
    }
    for name in foreign:
        (host.folder / name).write_bytes(b"x")
    host.clock.advance(days=365)
    outcome = host.service.reconcile()
    assert outcome.leftovers == ()
    assert outcome.foreign == len(foreign)
    assert host.files() == foreign


def test_what_a_live_run_is_writing_is_left_alone(host: Host) -> None:
    job = host.add()
    outcomes = []

    def reconcile(_: cdds.Progress) -> None:
        outcomes.append(host.service.reconcile())

    run = host.service.jobs.run_now(host.alice, job.id, progress=reconcile)
    assert outcomes
    assert all(not outcome.leftovers and not outcome.failed_runs for outcome in outcomes)
    assert host.files() == {run.file_name, run.digests}


def test_missing_files_are_marked_and_found_again(host: Host) -> None:
    runs = [host.run(), host.run()]
    path = host.folder / runs[0].file_name
    data = path.read_bytes()
    path.unlink()
    outcome = host.service.reconcile()
    assert (outcome.missing, outcome.found) == ((runs[0].file_name,), ())
    assert [item.run_id for item in host.service.artifacts.list(host.alice).items] == [runs[1].id]
    (shown,) = host.service.history.artifacts(host.alice, runs[0].id)
    assert shown.state == "missing"
    with pytest.raises(ArtifactGone, match="missing"):
        host.service.artifacts.get(host.alice, shown.name)
    assert host.service.reconcile().missing == ()
    path.write_bytes(data[:-1])
    assert host.service.reconcile().found == ()
    path.write_bytes(data)
    assert host.service.reconcile().found == (runs[0].file_name,)
    assert len(host.service.artifacts.list(host.alice).items) == 2


def test_a_truncated_file_counts_as_missing(host: Host) -> None:
    run = host.run()
    path = host.folder / run.file_name
    path.write_bytes(path.read_bytes()[:-1])
    assert host.service.reconcile().missing == (run.file_name,)
    host.service.artifacts.delete(host.alice, [run.file_name])
    assert host.files() == set()


def test_a_file_that_a_deletion_left_is_removed(host: Host) -> None:
    run = host.run()
    path = host.folder / run.file_name
    data = path.read_bytes()
    host.service.artifacts.delete(host.alice, [run.file_name])
    path.write_bytes(data)
    assert host.service.reconcile().leftovers == (run.file_name,)
    assert host.files() == set()


def test_a_worker_that_comes_back_too_late_takes_its_export_back(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))

    def late(progress: cdds.Progress) -> None:
        if progress.done:  # the set is in the storage, and the run is not finished yet
            host.clock.advance(seconds=61)
            assert len(host.service.reconcile().failed_runs) == 1

    with pytest.raises(RunLost, match="nothing of it is left"):
        host.service.jobs.run_now(host.alice, job.id, progress=late)
    (run,) = host.service.history.list(host.alice).items
    assert run.status == "failed"
    assert host.files() == set()
    assert host.service.artifacts.list(host.alice).items == ()
    ends = [
        entry.action for entry in host.service.audit.entries(host.admin) if entry.subject == run.id
    ]
    assert ends == ["run started", "run failed"]


def test_a_cancelled_run_whose_worker_died_is_cancelled(host: Host) -> None:
    run = dies(host, committed=False)
    host.service.history.cancel(host.alice, run.id)
    host.clock.advance(seconds=61)
    host.service.reconcile()
    assert host.service.history.get(host.alice, run.id).status == "cancelled"
    assert host.files() == set()


def test_a_job_whose_worker_died_can_be_run_without_reconciling(host: Host) -> None:
    run = dies(host, committed=False)
    host.clock.advance(seconds=61)
    assert host.service.jobs.run_now(host.alice, run.job_id).status == "finished"
    assert host.service.history.get(host.alice, run.id).status == "failed"
    assert len(host.service.reconcile().leftovers) == 2


def test_a_due_job_whose_worker_died_is_run_again(host: Host) -> None:
    run = dies(host, committed=True)
    host.clock.advance(hours=1)
    (again,) = host.service.run_due()
    assert again.job_id == run.job_id


def test_reconciling_twice_changes_nothing(host: Host) -> None:
    host.run()
    dies(host, committed=True)
    host.clock.advance(seconds=61)
    host.service.reconcile()
    entries = len(host.service.audit.entries(host.admin))
    assert attrs.astuple(host.service.reconcile()) == ((), (), (), (), 0)
    assert len(host.service.audit.entries(host.admin)) == entries
    assert host.clock.moment - timedelta(seconds=61) < host.clock.moment


def test_a_job_that_an_older_version_has_left_as_busy_can_be_run_again(host: Host) -> None:
    run = host.run(recurrence=cdds.Hourly(1))
    with host.catalog.write() as transaction:  # that version does not count
        job = transaction.jobs.find(run.job_id, lock=True)
        assert job is not None
        transaction.jobs.replace(attrs.evolve(job, running=1))
    with pytest.raises(StillInProgress):
        host.service.jobs.run_now(host.alice, run.job_id)
    host.service.reconcile()
    assert host.service.jobs.run_now(host.alice, run.job_id).status == "finished"


def test_a_run_that_others_hold_keeps_no_other_job_from_running(
    host: Host, catalog_url: str
) -> None:
    if not catalog_url.startswith("postgresql"):
        pytest.skip("SQLite locks all or nothing")
    job = host.add()
    assert host.service.due._execution.claim_due(job.id) is not None
    host.clock.advance(seconds=61)
    other = host.add(title="Other")
    with host.catalog.write() as transaction:  # a process that was stopped in the middle of this
        transaction.jobs.find(job.id, lock=True)
        (run,) = host.service.run_due()
    assert run.job_id == other.id
    host.service.run_due()  # which ends it
    host.clock.advance(hours=1)
    (again,) = host.service.run_due()
    assert (again.job_id, again.attempt) == (job.id, 2)
