"""Runs a job: from the claim to the one transaction that finishes the run.

    claim (the run is in progress) --> exporter --> finish (status, artifacts and job together)

Place: between the pages and the exporter. The claim is committed before the sink is touched, and
the sink is committed before the finish: so whatever a crash leaves behind has a run that was in
progress, by which `reconcile` finds it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime

import attrs

from cdds.catalog import ArtifactEntry, RunEntry, RunStatus
from cdds.errors import Cancelled, CatalogError, JobError, RunLost
from cdds.exporter import Exporter
from cdds.model import ExportResult, Progress
from cdds.protocols import CancelToken, ProgressListener
from cdds.service.claims import Claim, Claims, tell_missed
from cdds.service.context import Context
from cdds.service.endings import (
    GIVEN_UP,
    end_lapsed,
    end_run,
    ended_run,
    event_of,
    finish_run,
)
from cdds.service.events import ArtifactStored, RunCancelled, RunFinished, RunStarted
from cdds.service.heartbeat import Heartbeat
from cdds.service.reasons import in_words
from cdds.service.removal import remove_set
from cdds.service.retries import Again, after_failure, after_stop, is_transient

_PAUSES = (0.2, 1.0, 5.0, 10.0, 20.0)
"""The seconds before each further try to finish a run whose artifacts are in the sink."""

_STOPPED = "its scheduler was stopped; it is run again"

_log = logging.getLogger(__name__)


class Execution:
    """Runs jobs with the exporter, and keeps the catalog true at every step."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._claims = Claims(context)

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
        end_lapsed(self._context)
        return self.carry_out(self._claims.requested(job_id, actor), progress, cancel)

    def claim_due(self, job_id: str) -> Claim | None:
        """Begin the run that a job is due for; return None where another worker was faster.

        Raises:
            CatalogError: the catalog failed.
        """
        return self._claims.due(job_id)

    def carry_out(
        self,
        claimed: Claim,
        progress: ProgressListener | None = None,
        cancel: CancelToken | None = None,
        stop: CancelToken | None = None,
    ) -> RunEntry:
        """Go on with a run that has begun, and return it when it has finished.

        One that cannot go on, because there is no certificate, is recorded as failed; so is one
        that `stop` has stopped, which is then due again at once.

        Raises:
            CddsError: it failed, was cancelled or stopped.
        """
        run = claimed.run
        with ExitStack() as stack:
            heartbeat = Heartbeat(self._context, run, progress, stop if cancel is None else cancel)
            try:
                stack.enter_context(heartbeat)
                result = self._export(claimed, heartbeat)
            except BaseException as error:
                if heartbeat.is_lost and isinstance(error, Cancelled):
                    raise RunLost(GIVEN_UP) from None
                self._try_to_end(run, *self._outcome(run, error, stop), heartbeat.latest)
                raise
            ended, artifacts = self._finish(run, result, heartbeat.latest)
        return self._told(ended, artifacts)

    def _outcome(
        self, run: RunEntry, error: BaseException, stop: CancelToken | None
    ) -> tuple[RunStatus, str | None, Again | None]:
        """Return how a run ends that an error ended: its status, the reason, and the next try."""
        if isinstance(error, KeyboardInterrupt) and run.due is not None:
            return "failed", in_words(error), after_stop(run)
        if not isinstance(error, Cancelled):
            # One whose host exits meanwhile is as one whose worker dies; but a source that exits
            # whatever happens must not be asked for ever.
            is_worth_it = is_transient(error) or not isinstance(error, Exception)
            again = after_failure(run, self._context.retry_pause) if is_worth_it else None
            return "failed", in_words(error), again
        if stop is not None and stop.is_set():
            return "failed", _STOPPED, after_stop(run)
        return "cancelled", None, None

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

    def _export(self, claimed: Claim, heartbeat: Heartbeat) -> ExportResult:
        run = claimed.run
        tell_missed(self._context, claimed.missed)
        if claimed.refusal is not None:
            raise claimed.refusal
        self._context.tell(RunStarted(at=run.started, run=run))
        dataset = self._context.datasets.get(run.settings.dataset)
        make_source = self._context.sources.get(run.settings.source)
        if dataset is None or make_source is None:
            raise JobError("this service no longer has the source or the dataset of the job")
        exporter = Exporter(
            sink=self._context.sink,
            envelope=self._context.seal(claimed.recipients),
            signer=self._context.signer,
            clock=self._context.clock,
            threads=self._context.threads,
        )
        job = run.settings.job(dataset, run.job_id, run.window)
        return exporter.run(
            attrs.evolve(
                job,
                transforms=self._context.transforms.get(dataset.name),
                match_case=self._context.match_case,
            ),
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
        finished = _with_result(ended_run(run, "finished", None, progress, now), result)
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
            with self._context.catalog.write() as transaction:
                return finish_run(transaction, run, artifacts)
        except RunLost:
            remove_set(self._context.sink, run.id)
            raise

    def _try_to_end(
        self,
        run: RunEntry,
        status: RunStatus,
        words: str | None,
        again: Again | None,
        progress: Progress | None,
    ) -> None:
        """Record the end of a run that left nothing; the error that ended it matters more."""
        try:
            now = self._context.now()
            with self._context.catalog.write() as transaction:
                ended = end_run(
                    transaction,
                    run.id,
                    status,
                    words,
                    now=now,
                    progress=progress,
                    again=again,
                )
            if ended is not None:
                self._context.tell(event_of(ended, now))
        except Exception as error:  # noqa: BLE001  # a host's clock, too
            _log.warning("run %s: its end could not be recorded: %s", run.id, in_words(error))


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
