"""Ends runs: each in one transaction, which says in its statements that the run was in progress.

    finished: status, artifacts, the job's watermark and the audit together
    otherwise: status and reason, and the next try where the error says it is worth one

Place: after the exporter. A run ends once, whoever comes late: its id is its fencing token, for
each attempt has one of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from cdds.errors import CatalogError, RunLost
from cdds.model import Progress, SinceLastRun
from cdds.schedule import Retry
from cdds.service.context import Context
from cdds.service.events import Event, RunCancelled, RunFailed
from cdds.service.reasons import in_words
from cdds.service.retries import Again, after_failure

_LAPSED = "its worker gave no sign of life; what it has left is removed by `reconcile`"
GIVEN_UP = "the run was given up, for it gave no sign of life; nothing of it is left"
"""What whoever works at a run is told when others have ended it meanwhile."""

_log = logging.getLogger(__name__)


def end_lapsed(context: Context) -> tuple[str, ...]:
    """End the runs whose worker gave no sign of life in time, and return them.

    What they have left in the sink stays until `reconcile`. One that cannot be ended, such as one
    that a newer version began, is logged and keeps no other from its end.

    Raises:
        CatalogError: the catalog failed.
    """
    with context.catalog.read() as transaction:
        lapsed = transaction.runs.lapsed(transaction.now())
    return tuple(run_id for job_id, run_id in lapsed if _try_to_give_up(context, job_id, run_id))


def _try_to_give_up(context: Context, job_id: str, run_id: str) -> bool:
    try:
        return _end_lapsed(context, job_id, run_id)
    except CatalogError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever reading its row raises
        _log.warning("run %s: it could not be given up: %s", run_id, in_words(error))
        return False


def _end_lapsed(context: Context, job_id: str, run_id: str) -> bool:
    now = context.now()
    with context.catalog.write() as transaction:
        # The job and then the run, the order in which all lock. One that others hold is left to the
        # next time: who holds it may be at its end, or stopped, and all others would wait for it.
        job = transaction.jobs.find(job_id, lock=True, skip_locked=True)
        if job is None and transaction.jobs.find(job_id) is not None:
            return False
        run = transaction.runs.find(run_id, lock=True, skip_locked=True, hidden=True)
        if run is None or not transaction.runs.is_lapsed(run_id, transaction.now()):
            return False
        again = after_failure(run, context.retry_pause)
        ended = end_run(transaction, run_id, "failed", _LAPSED, now=now, again=again)
    if ended is not None:
        context.tell(event_of(ended, now))
    return ended is not None


def finish_run(
    transaction: Transaction, run: RunEntry, artifacts: Sequence[ArtifactEntry]
) -> RunEntry:
    """Write the end of a run whose set is in the sink; return it as it stands in the catalog now.

    Raises:
        RunLost: the run was given up by others.
    """
    job = transaction.jobs.find(run.job_id, lock=True)
    present = transaction.runs.find(run.id, lock=True, hidden=True)
    if present is not None and present.status in {"finished", "cancelled"}:
        # An earlier try was committed and only its answer lost, or the run was given up after
        # somebody had asked it to stop.
        return present
    if present is None:
        raise RunLost(GIVEN_UP)
    if present.cancel_requested:
        # Nothing of the result: what it names is about to be removed.
        run = attrs.evolve(
            present, status="cancelled", finished=run.finished, progress=run.progress
        )
        artifacts = ()
    if not transaction.runs.finish(run):
        raise RunLost(GIVEN_UP)
    transaction.artifacts.add(artifacts)
    _note_end(transaction, job, run)
    return run


def end_run(
    transaction: Transaction,
    run_id: str,
    status: RunStatus,
    words: str | None,
    *,
    now: datetime,
    progress: Progress | None = None,
    again: Again | None = None,
) -> RunEntry | None:
    """End a run that leaves nothing in the sink; return None if it had ended before.

    With `again` the job is due again for the same instant.
    """
    known = transaction.runs.find(run_id, hidden=True)
    if known is None:
        return None
    job = transaction.jobs.find(known.job_id, lock=True)
    run = transaction.runs.find(run_id, lock=True, hidden=True)
    if run is None:
        return None
    if run.cancel_requested:
        status, words, again = "cancelled", None, None
    ended = ended_run(run, status, words, progress, now)
    if not transaction.runs.finish(ended):
        return None
    _note_end(transaction, job, ended, again)
    return ended


def ended_run(
    run: RunEntry, status: RunStatus, words: str | None, progress: Progress | None, now: datetime
) -> RunEntry:
    """Return a run as it is after its end."""
    at = max(now, run.started)
    reached = run.progress if progress is None else RunProgress.of(progress, run.started, at)
    return attrs.evolve(run, status=status, error=words, finished=at, progress=reached)


def event_of(run: RunEntry, now: datetime) -> Event:
    """Return what listeners are told of a run that has ended without artifacts."""
    if run.status == "cancelled":
        return RunCancelled(at=now, run=run)
    return RunFailed(at=now, run=run)


def _note_end(
    transaction: Transaction,
    job: JobEntry | None,
    run: RunEntry,
    again: Again | None = None,
) -> None:
    """Write what the end of a run means for its job, which may be deleted by now."""
    if job is not None:
        changes: dict[str, Any] = {"running": transaction.runs.in_progress(job.id)}
        if job.latest_run == run.id:
            changes["latest_status"] = run.status
        if run.status == "finished" and _moves_watermark(job, run):
            changes["watermark"] = run.window.end if run.window else None
        if again is not None and _may_retry(job, run):
            retries = (*job.retries, _retry(run, again, transaction.now()))
            changes |= {"retries": retries, "next_start": min(retry.at for retry in retries)}
        transaction.jobs.replace(attrs.evolve(job, **changes))
    transaction.audit.append(
        run.tenant,
        f"run {run.status}",
        "run",
        run.id,
        at=run.finished or run.started,
        job=run.job_id,
    )


def _retry(run: RunEntry, again: Again, now: datetime) -> Retry:
    return Retry(
        due=run.due or run.started,
        at=now + again.pause,
        attempt=run.attempt + 1,
        failures=again.failures,
    )


def _moves_watermark(job: JobEntry, run: RunEntry) -> bool:
    """Whether the window of a run goes on from where its job is, edited or not."""
    timeframe = job.settings.timeframe
    if run.window is None or not isinstance(timeframe, SinceLastRun):
        return False
    begins = timeframe.start if job.watermark is None else job.watermark
    return job.settings.is_series_of(run.settings) and run.window.start == begins


def _may_retry(job: JobEntry, run: RunEntry) -> bool:
    """Whether a job still wants the run that failed: it may have been edited or suspended.

    If its starts were reckoned anew, those between are not to come back after a retry.
    """
    is_switched_off = job.suspended and not job.settings.is_one_time
    is_edited = job.settings.recurrence != run.settings.recurrence
    if is_switched_off or is_edited or job.dealt_with is None:
        return False
    return bool(job.retries) or job.next_start == job.settings.recurrence.next_after(job.dealt_with)
