"""Runs a job: from the claim to the one transaction that finishes the run.

    claim (the run is in progress) --> exporter --> finish (status, artifacts and job together)

Place: between the pages and the exporter. The claim is committed before the sink is touched, and
the sink is committed before the finish: so whatever a crash leaves behind has a run that was in
progress, by which `reconcile` finds it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import attrs

from cdds.catalog import (
    ArtifactEntry,
    JobEntry,
    RunEntry,
    RunProgress,
    RunStatus,
    Transaction,
)
from cdds.crypto.certificates import Recipient
from cdds.errors import (
    Cancelled,
    CatalogError,
    CddsError,
    JobError,
    NotFound,
    NotRunnable,
    RunLost,
    StillInProgress,
)
from cdds.exporter import Exporter
from cdds.model import ExportResult, Progress
from cdds.protocols import CancelToken, ProgressListener
from cdds.service.context import Context
from cdds.service.events import (
    ArtifactStored,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from cdds.service.heartbeat import Heartbeat
from cdds.service.reasons import in_words
from cdds.service.recipients import recipients_of
from cdds.service.removal import remove_set

_PAUSES = (0.2, 1.0, 5.0)
"""The seconds before each further try to finish a run whose artifacts are in the sink."""

_LAPSED = "its worker gave no sign of life, and nothing of it is kept; run the job again"
_GIVEN_UP = "the run was given up, for it gave no sign of life; nothing of it is left"

_log = logging.getLogger(__name__)


class Execution:
    """Runs jobs with the exporter, and keeps the catalog true at every step."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(
        self,
        job_id: str,
        *,
        actor: str = "",
        progress: ProgressListener | None = None,
        cancel: CancelToken | None = None,
    ) -> RunEntry:
        """Run a job because somebody asked for it, and return the run when it has finished.

        Raises:
            CddsError: it was refused, failed, or was cancelled.
        """
        self.end_lapsed()
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            job = _present(transaction.jobs.find(job_id, lock=True))
            _check_runnable(job)
            certificate = transaction.preferences.find(job.tenant, job.owner)
            recipients = recipients_of(certificate, job.settings, now)
            run = self._claim(transaction, job, now, recipients, actor=actor)
        return self._carry_out(run, recipients, progress, cancel)

    def run_due(self, job_id: str) -> RunEntry | None:
        """Run a job if it is due; return None where another worker was faster.

        A run that cannot begin, because there is no certificate, is recorded as failed.

        Raises:
            CddsError: it failed or was cancelled.
        """
        now = self._context.now()
        refusal = None
        recipients: tuple[Recipient, ...] = ()
        with self._context.catalog.write() as transaction:
            job = transaction.jobs.find(job_id, lock=True)
            if job is None or job.is_running or job.next_start is None or job.next_start > now:
                return None
            if transaction.runs.was_due(job.id, job.next_start):
                transaction.jobs.replace(_skipped(job, now))
                return None
            certificate = transaction.preferences.find(job.tenant, job.owner)
            try:
                recipients = recipients_of(certificate, job.settings, now)
            except CddsError as error:
                refusal = error
            run = self._claim(transaction, job, now, recipients, due=job.next_start)
        if refusal is not None:
            self._end(run, "failed", in_words(refusal))
            raise refusal
        return self._carry_out(run, recipients, None, None)

    def end_lapsed(self) -> tuple[str, ...]:
        """End the runs whose worker gave no sign of life in time, and return them.

        What they have left in the sink stays until `reconcile`.
        """
        with self._context.catalog.read() as transaction:
            lapsed = transaction.runs.lapsed(transaction.lease_time())
        return tuple(run_id for job_id, run_id in lapsed if self._end_lapsed(job_id, run_id))

    def _end_lapsed(self, job_id: str, run_id: str) -> bool:
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            transaction.jobs.find(job_id, lock=True)  # the order in which all lock
            transaction.runs.find(run_id, lock=True, hidden=True)
            if not transaction.runs.is_lapsed(run_id, transaction.lease_time()):
                return False
            ended = end_run(transaction, run_id, "failed", _LAPSED, now=now)
        if ended is not None:
            self._context.tell(event_of(ended, now))
        return ended is not None

    def _claim(
        self,
        transaction: Transaction,
        job: JobEntry,
        now: datetime,
        recipients: tuple[Recipient, ...],
        *,
        due: datetime | None = None,
        actor: str = "",
    ) -> RunEntry:
        run = RunEntry(
            id=str(uuid.uuid4()),
            job_id=job.id,
            tenant=job.tenant,
            owner=job.owner,
            settings=job.settings,
            due=due,
            started=now,
            progress=RunProgress(
                records=0, bytes_read=0, bytes_total=None, bytes_written=0, started=now, at=now
            ),
            fingerprints=tuple(recipient.fingerprint for recipient in recipients),
        )
        transaction.runs.add(run, transaction.lease_time() + self._context.lease)
        transaction.jobs.replace(_started(job, run))
        transaction.audit.append(
            job.tenant, "run started", "run", run.id, at=now, actor=actor, job=job.id
        )
        return run

    def _carry_out(
        self,
        run: RunEntry,
        recipients: tuple[Recipient, ...],
        progress: ProgressListener | None,
        cancel: CancelToken | None,
    ) -> RunEntry:
        with ExitStack() as stack:
            heartbeat = Heartbeat(self._context, run, progress, cancel)
            try:
                stack.enter_context(heartbeat)
                self._context.tell(RunStarted(at=run.started, run=run))
                result = self._export(run, recipients, heartbeat)
            except BaseException as error:
                if heartbeat.is_lost and isinstance(error, Cancelled):
                    raise RunLost(_GIVEN_UP) from None
                status: RunStatus = "cancelled" if isinstance(error, Cancelled) else "failed"
                words = None if status == "cancelled" else in_words(error)
                self._try_to_end(run, status, words, heartbeat.latest)
                raise
            ended, artifacts = self._finish(run, result, heartbeat.latest)
        return self._told(ended, artifacts)

    def _told(self, run: RunEntry, artifacts: Sequence[ArtifactEntry]) -> RunEntry:
        """Tell of a run whose set was in the sink, and take the set back if it was cancelled."""
        at = run.finished or run.started
        if run.status == "cancelled":
            self._context.tell(RunCancelled(at=at, run=run))
            remove_set(self._context.sink, run.id)
            raise Cancelled("the export was cancelled; nothing of it is left")
        stored = [ArtifactStored(at=at, artifact=artifact) for artifact in artifacts]
        self._context.tell(RunFinished(at=at, run=run), *stored)
        return run

    def _export(
        self, run: RunEntry, recipients: tuple[Recipient, ...], heartbeat: Heartbeat
    ) -> ExportResult:
        dataset = self._context.datasets.get(run.settings.dataset)
        make_source = self._context.sources.get(run.settings.source)
        if dataset is None or make_source is None:
            raise JobError("this service no longer has the source or the dataset of the job")
        exporter = Exporter(
            sink=self._context.sink,
            envelope=self._context.seal(recipients),
            signer=self._context.signer,
            clock=self._context.clock,
            threads=self._context.threads,
        )
        return exporter.run(
            run.settings.job(dataset, run.job_id),
            make_source(run.tenant),
            run_id=run.id,
            progress=heartbeat,
            cancel=heartbeat,
        )

    def _finish(
        self, run: RunEntry, result: ExportResult, progress: Progress | None
    ) -> tuple[RunEntry, Sequence[ArtifactEntry]]:
        """Record a run whose set is in the sink; return it as it stands in the catalog now.

        When the catalog cannot be reached the set is left alone: the transaction may have been
        committed and only its answer lost. If it was not, the lease ends, and `reconcile` removes
        the set.

        Raises:
            RunLost: the run was given up by others; its set was removed.
        """
        now = self._context.now()
        finished = _with_result(_ended(run, "finished", None, progress, now), result)
        finished = attrs.evolve(finished, expires=now + self._context.lifetime)
        artifacts = _artifacts(finished, result, now)
        for pause in _PAUSES:
            try:
                return self._persist(finished, artifacts), artifacts
            except CatalogError as error:
                _log.warning("run %s: the catalog failed, trying again: %s", run.id, error)
                time.sleep(pause)
        return self._persist(finished, artifacts), artifacts

    def _persist(self, run: RunEntry, artifacts: Sequence[ArtifactEntry]) -> RunEntry:
        try:
            return self._finish_in_one_transaction(run, artifacts)
        except RunLost:
            remove_set(self._context.sink, run.id)
            raise

    def _finish_in_one_transaction(
        self, run: RunEntry, artifacts: Sequence[ArtifactEntry]
    ) -> RunEntry:
        with self._context.catalog.write() as transaction:
            job = transaction.jobs.find(run.job_id, lock=True)
            present = transaction.runs.find(run.id, lock=True, hidden=True)
            if present is not None and present.status in {"finished", "cancelled"}:
                # An earlier try was committed and only its answer lost, or the run was given up
                # after somebody had asked it to stop.
                return present
            if present is None or not present.is_in_progress:
                raise RunLost(_GIVEN_UP)
            if present.cancel_requested:
                # Nothing of the result: what it names is about to be removed.
                run = attrs.evolve(
                    present, status="cancelled", finished=run.finished, progress=run.progress
                )
                artifacts = ()
            transaction.runs.finish(run)
            transaction.artifacts.add(artifacts)
            _note_end(transaction, job, run)
            transaction.audit.append(
                run.tenant,
                f"run {run.status}",
                "run",
                run.id,
                at=run.finished or run.started,
                job=run.job_id,
            )
            return run

    def _try_to_end(
        self, run: RunEntry, status: RunStatus, words: str | None, progress: Progress | None
    ) -> None:
        """Record the end of a run that left nothing; the error that ended it matters more."""
        try:
            self._end(run, status, words, progress)
        except Exception as error:  # noqa: BLE001  # a host's clock, too
            _log.warning("run %s: its end could not be recorded: %s", run.id, in_words(error))

    def _end(
        self,
        run: RunEntry,
        status: RunStatus,
        words: str | None,
        progress: Progress | None = None,
    ) -> None:
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            ended = end_run(transaction, run.id, status, words, now=now, progress=progress)
        if ended is not None:
            self._context.tell(event_of(ended, now))


def end_run(
    transaction: Transaction,
    run_id: str,
    status: RunStatus,
    words: str | None,
    *,
    now: datetime,
    progress: Progress | None = None,
) -> RunEntry | None:
    """End a run that leaves nothing in the sink; return None if it had ended before."""
    known = transaction.runs.find(run_id, hidden=True)
    if known is None:
        return None
    job = transaction.jobs.find(known.job_id, lock=True)
    run = transaction.runs.find(run_id, lock=True, hidden=True)
    if run is None or not run.is_in_progress:
        return None
    if run.cancel_requested:
        status, words = "cancelled", None
    ended = _ended(run, status, words, progress, now)
    transaction.runs.finish(ended)
    _note_end(transaction, job, ended)
    transaction.audit.append(run.tenant, f"run {status}", "run", run.id, at=now, job=run.job_id)
    return ended


def event_of(run: RunEntry, now: datetime) -> Event:
    """Return what listeners are told of a run that has ended without artifacts."""
    if run.status == "cancelled":
        return RunCancelled(at=now, run=run)
    return RunFailed(at=now, run=run)


def _present(job: JobEntry | None) -> JobEntry:
    if job is None:
        raise NotFound("there is no such job")
    return job


def _check_runnable(job: JobEntry) -> None:
    if job.is_running:
        raise StillInProgress("a run of this job is in progress; wait for its end, or cancel it")
    # One that was hourly once may have finished before it became a one-time job.
    if job.settings.is_one_time and job.started and job.latest_status == "finished":
        raise NotRunnable("a one-time job runs once; clone it to run it again")


def _started(job: JobEntry, run: RunEntry) -> JobEntry:
    """Return a job whose run has begun; a one-time job is suspended by it."""
    changes: dict[str, Any] = {}
    if job.settings.is_one_time:
        changes = {"suspended": True, "next_start": None}
    elif run.due is not None:
        changes = {"next_start": job.settings.recurrence.next_after(run.started)}
    return attrs.evolve(
        job,
        started=True,
        latest_run=run.id,
        latest_start=run.started,
        latest_status=run.status,
        **changes,
    )


def _skipped(job: JobEntry, now: datetime) -> JobEntry:
    """Return a job without a start that has had its run, to which a clock may have gone back."""
    after = max(now, job.next_start or now)
    return attrs.evolve(job, next_start=job.settings.recurrence.next_after(after))


def _note_end(transaction: Transaction, job: JobEntry | None, run: RunEntry) -> None:
    if job is not None and job.latest_run == run.id:
        transaction.jobs.replace(attrs.evolve(job, latest_status=run.status))


def _ended(
    run: RunEntry, status: RunStatus, words: str | None, progress: Progress | None, now: datetime
) -> RunEntry:
    at = max(now, run.started)
    reached = run.progress if progress is None else RunProgress.of(progress, run.started, at)
    return attrs.evolve(run, status=status, error=words, finished=at, progress=reached)


def _with_result(run: RunEntry, result: ExportResult) -> RunEntry:
    return attrs.evolve(
        run,
        records=dict(result.records),
        rejects=len(result.rejects),
        undated=result.undated,
        unmatched=result.unmatched,
        warnings=tuple(result.warnings),
        file_name=result.artifacts[-1].name,
        parts=len(result.artifacts),
        digests=result.digests,
        signature=result.signature,
    )


def _artifacts(run: RunEntry, result: ExportResult, now: datetime) -> list[ArtifactEntry]:
    return [
        ArtifactEntry(
            name=artifact.name,
            run_id=run.id,
            job_id=run.job_id,
            tenant=run.tenant,
            owner=run.owner,
            title=run.title,
            dataset=run.settings.dataset,
            size=artifact.size,
            sha256=artifact.sha256,
            part=number,
            parts=run.parts,
            created=now,
            expires=run.expires or now,
            fingerprints=run.fingerprints,
        )
        for number, artifact in enumerate(result.artifacts, start=1)
    ]
