"""The History page: what a run keeps, and what can be done to it, on every database."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from hosts import RECORDS, Host, MakeHost

import cdds
from cdds import exporter
from cdds.catalog import RunProgress
from cdds.catalog.tables import RUNS
from cdds.errors import Cancelled, JobError, NotFound, RecordError, SourceError, StillInProgress
from cdds.service import events, heartbeat


def test_a_run_keeps_what_became_of_it(host: Host) -> None:
    run = host.run(media_types=["chat"], title="Chats")
    assert host.service.history.get(host.alice, run.id) == run
    assert (run.title, run.settings.source, run.settings.dataset) == (
        "Chats",
        "UCS",
        "Interaction",
    )
    assert (run.status, run.started, run.finished, run.error) == (
        "finished",
        host.clock.moment,
        host.clock.moment,
        None,
    )
    assert (run.records, run.rejects, run.parts) == ({"interaction": 5}, 0, 1)
    assert run.progress.records == 5
    assert run.file_name == f"export-{run.id}.zip.smime"
    assert run.digests == f"export-{run.id}.sha256"
    current = host.service.preferences.certificate(host.alice)
    assert current is not None
    assert run.fingerprints == (current.fingerprint,)
    (artifact,) = host.service.history.artifacts(host.alice, run.id)
    assert (artifact.name, artifact.run_id) == (run.file_name, run.id)


def test_a_run_freezes_its_settings_and_its_clone_gets_those(host: Host) -> None:
    job = host.add(title="Before", media_types=["chat"], recurrence=cdds.Hourly(2))
    run = host.service.jobs.run_now(host.alice, job.id)
    host.service.jobs.edit(host.alice, job.id, title="After", media_types=["email"])
    host.service.jobs.delete(host.alice, job.id)
    assert host.service.history.get(host.alice, run.id).settings == job.settings
    clone = host.service.history.clone(host.alice, run.id, split_size="64 KiB")
    assert clone.settings == attrs.evolve(job.settings, split_size="64 KiB")
    assert clone.id != job.id


def test_a_failed_run_says_why_without_the_key_of_a_record(make_host: MakeHost) -> None:
    bad = [*RECORDS, {"IXNID": "anna@example.org", "STATUS": "secret"}]
    host = make_host(sources={"UCS": lambda _: cdds.sources.Records(interaction=bad)})
    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(RecordError, match=r"anna@example\.org"):
        host.service.jobs.run_now(host.alice, job.id)
    (run,) = host.service.history.list(host.alice, status="failed").items
    assert run.error is not None
    assert "record 11" in run.error
    assert "STATUS" in run.error
    assert "anna" not in run.error
    assert "secret" not in run.error
    assert (run.file_name, run.parts, host.files()) == (None, 0, set())
    assert host.service.jobs.get(host.alice, job.id).latest_status == "failed"


def test_foreign_errors_pass_and_leave_only_their_kind(host: Host) -> None:
    host.failing.append(KeyError("anna@example.org"))
    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(KeyError, match="anna"):
        host.service.jobs.run_now(host.alice, job.id)
    (run,) = host.service.history.list(host.alice).items
    assert (run.status, run.error) == ("failed", "it failed with KeyError")


def test_no_row_of_a_run_holds_content_of_a_record(make_host: MakeHost) -> None:
    records = [{"IXNID": f"needle-{n}", "SUBJECT": "needle"} for n in range(5)]
    records.append({"IXNID": "needle-x", "STATUS": "needle"})
    host = make_host(sources={"UCS": lambda _: cdds.sources.Records(interaction=records)})
    run = host.run(on_invalid="reject")
    assert run.rejects == 1
    with host.catalog.read() as transaction:
        rows = transaction._connection.execute(RUNS.select()).all()
    assert len(rows) == 1
    assert "needle" not in repr(rows)


def test_a_due_run_without_a_certificate_fails_and_says_so(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    host.service.preferences.remove_certificate(host.alice)
    host.clock.advance(hours=1)
    assert host.service.run_due() == ()
    (run,) = host.service.history.list(host.alice).items
    assert (run.status, run.due) == ("failed", job.next_start)
    assert run.error is not None
    assert "no certificate" in run.error
    assert host.service.run_due() == ()
    assert len(host.service.history.list(host.alice).items) == 1


def test_cancel_stops_a_run_and_leaves_nothing(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    cancelled = []

    def cancel(_: cdds.Progress) -> None:
        (run,) = host.service.history.list(host.alice, status="in progress").items
        host.service.history.cancel(host.bob_changes_all, run.id)
        cancelled.append(run.id)

    with pytest.raises(Cancelled):
        host.service.jobs.run_now(host.alice, job.id, progress=cancel)
    (run,) = host.service.history.list(host.alice).items
    assert (run.status, run.id) == ("cancelled", cancelled[0])
    assert host.files() == set()
    assert host.service.artifacts.list(host.alice).items == ()
    assert host.service.jobs.get(host.alice, job.id).latest_status == "cancelled"
    host.service.history.cancel(host.alice, run.id)
    assert host.service.history.get(host.alice, run.id) == run
    assert host.service.jobs.run_now(host.alice, job.id).status == "finished"


def test_a_run_in_progress_cannot_be_deleted(host: Host) -> None:
    job = host.add()
    tried = []

    def delete(_: cdds.Progress) -> None:
        (run,) = host.service.history.list(host.alice).items
        with pytest.raises(StillInProgress, match="cancel it first"):
            host.service.history.delete(host.alice, run.id)
        tried.append(run.id)

    run = host.service.jobs.run_now(host.alice, job.id, progress=delete)
    assert set(tried) == {run.id}


def test_deleting_a_run_deletes_its_artifacts(host: Host) -> None:
    kept, gone = host.run(), host.run()
    host.service.history.delete(host.alice, gone.id)
    assert [run.id for run in host.service.history.list(host.alice).items] == [kept.id]
    assert host.files() == {kept.file_name, kept.digests}
    with pytest.raises(NotFound):
        host.service.history.get(host.alice, gone.id)
    assert host.service.retention.plan().runs == ()


def test_the_history_is_filtered_sorted_and_paged(host: Host) -> None:
    job = host.add(title="Alpha", recurrence=cdds.Hourly(1))
    runs = []
    for _ in range(3):
        runs.append(host.service.jobs.run_now(host.alice, job.id))
        host.clock.advance(minutes=1)
    host.failing.append(SourceError("away"))
    other = host.add(title="Beta")
    with pytest.raises(SourceError):
        host.service.jobs.run_now(host.alice, other.id)

    def listed(**arguments: object) -> list[str]:
        page = host.service.history.list(host.alice, **arguments)  # type: ignore[arg-type]
        return [run.id for run in page.items]

    failed = listed()[0]
    newest_first = [run.id for run in reversed(runs)]
    assert listed() == [failed, *newest_first]
    assert listed(job_id=job.id) == newest_first
    assert listed(status="failed") == [failed]
    assert listed(title="BET") == [failed]
    assert listed(dataset="Contact") == []
    assert listed(sort="status", descending=False)[0] == failed
    assert listed(sort="title", descending=True)[0] == failed
    first = host.service.history.list(host.alice, limit=3)
    second = host.service.history.list(host.alice, limit=3, after=first.next)
    assert [run.id for run in (*first.items, *second.items)] == listed()
    assert second.next is None
    for wrong in ("nonsense", first.next):
        with pytest.raises(JobError, match="no token of a page of this list"):
            host.service.history.list(host.alice, sort="title", after=wrong)


def test_progress_is_seen_by_others_while_it_runs(make_host: MakeHost) -> None:
    seen: list[RunProgress | None] = []

    def watch(event: events.Event) -> None:
        if isinstance(event, events.RunProgressed):
            (job,) = host.service.jobs.list(host.bob_sees_all).items
            (run,) = host.service.history.list(host.bob_sees_all, status="in progress").items
            assert run.progress == job.progress
            seen.append(job.progress)

    paused = _Paused(lambda: bool(seen))
    host = make_host(listeners=[watch], sources={"UCS": lambda _: paused})
    host.run()
    assert seen
    assert seen[0] is not None
    assert seen[0].records > 0


class _Paused:
    """A source that goes on, after many records, only when it may."""

    def __init__(self, may_go_on: object) -> None:
        self._may_go_on = may_go_on

    def snapshot(self, *_: object) -> object:
        """Return a snapshot of records that waits within."""
        return cdds.sources.Records(interaction=self._records()).snapshot(*_)  # type: ignore[arg-type]

    def _records(self) -> object:
        number = 0
        while not self._may_go_on():  # type: ignore[operator]
            number += 1
            yield {"IXNID": str(number), "SUBJECT": json.dumps(number) * 500}


def test_time_remaining_is_told_only_where_it_is_known(host: Host) -> None:
    start = host.clock.moment
    progress = RunProgress(
        records=1,
        bytes_read=250,
        bytes_total=1000,
        bytes_written=1,
        started=start,
        at=start + timedelta(seconds=10),
    )
    assert progress.fraction == 0.25
    assert progress.time_remaining == timedelta(seconds=30)
    assert attrs.evolve(progress, bytes_total=None).time_remaining is None
    assert attrs.evolve(progress, bytes_read=0).time_remaining is None
    assert attrs.evolve(progress, bytes_read=1000).time_remaining == timedelta()
    assert attrs.evolve(progress, at=start - timedelta(1)).time_remaining == timedelta()


class OwnError(SourceError):
    """An error of a host's own source."""


@pytest.mark.parametrize("text", ["Jane Doe, row 7", "half a pair \ud800", "nul \0"])
def test_errors_of_a_host_leave_only_their_kind(host: Host, text: str) -> None:
    host.failing.append(OwnError(text))
    with pytest.raises(OwnError):
        host.run()
    host.failing[:] = [SourceError(text)]
    with pytest.raises(SourceError):
        host.run()
    runs = host.service.history.list(host.alice, descending=False).items
    assert {run.status for run in runs} == {"failed"}
    errors = {run.error for run in runs}
    assert "it failed with OwnError" in errors
    assert all(error is not None and error.isprintable() for error in errors)


def test_the_time_remaining_of_a_run_is_seen_while_it_runs(
    make_host: MakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.002)
    monkeypatch.setattr(exporter, "_REPORTS_PER_SECOND", 1000)
    path = tmp_path / "records.jsonl"
    line = json.dumps({"IXNID": "1", "SUBJECT": "x" * 2000}) + "\n"
    path.write_text(line * 20_000)
    seen: list[RunProgress] = []

    def watch(event: events.Event) -> None:
        if isinstance(event, events.RunProgressed):
            host.clock.advance(seconds=1)
            (job,) = host.service.jobs.list(host.alice).items
            assert job.progress is not None
            seen.append(job.progress)

    host = make_host(
        listeners=[watch], sources={"UCS": lambda _: cdds.sources.JsonLines(interaction=path)}
    )
    host.run()
    assert {progress.bytes_total for progress in seen} == {path.stat().st_size}
    for progress in seen:
        assert progress.fraction is not None
        assert 0 <= progress.fraction <= 1
    assert any(progress.time_remaining is not None for progress in seen)
