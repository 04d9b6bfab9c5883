"""Claims runs: what a job is due for is planned, and the run begun, in one transaction.

Place: before the exporter. Once a claim is committed the run is in progress and held by its lease;
nothing of the sink was touched yet.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

import attrs

from cdds.catalog import JobEntry, RunEntry, RunProgress, Transaction
from cdds.crypto.certificates import Recipient
from cdds.errors import CddsError, NotFound, NotRunnable, StillInProgress
from cdds.schedule import Missed, Pending, Plan, Start, overdue, plan
from cdds.service.context import Context
from cdds.service.events import RunMissed
from cdds.service.recipients import recipients_of


@attrs.frozen
class Claim:
    """A run that has begun.

    Attributes:
        run: the run, which is in progress.
        recipients: whom it is sealed for.
        refusal: why it cannot go on; None where nothing is in its way.
        missed: the starts before it that were missed; the listeners are not told of them yet.
    """

    run: RunEntry
    recipients: tuple[Recipient, ...] = ()
    refusal: CddsError | None = None
    missed: tuple[RunEntry, ...] = ()


class Claims:
    """Begins runs, each in one transaction."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def requested(self, job_id: str, actor: str) -> Claim:
        """Begin a run of a job because somebody asked for it.

        Raises:
            NotFound: there is no such job.
            StillInProgress: as many runs of it are in progress as may be.
            NotRunnable: it is a one-time job that has run.
            CertificateError: the owner has no certificate that is valid now.
        """
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            job = transaction.jobs.find(job_id, lock=True)
            if job is None:
                raise NotFound("there is no such job")
            _check_runnable(job)
            certificate = transaction.preferences.find(job.tenant, job.owner)
            recipients = recipients_of(certificate, job.settings, now)
            run = _new_run(job, now, recipients, moment=transaction.now())
            if job.settings.is_one_time:
                job = attrs.evolve(job, suspended=True, next_start=None, retries=())
            self._begin(transaction, job, run, actor)
        return Claim(run, recipients)

    def due(self, job_id: str) -> Claim | None:
        """Begin the run that a job is due for, and record the starts that it has missed.

        Returns None where there is none, or another worker is at it. After a long time without a
        scheduler that takes several transactions, none of which holds others up for long.
        """
        while True:
            begun, goes_on = self._due(job_id)
            if not goes_on:
                return begun

    def _due(self, job_id: str) -> tuple[Claim | None, bool]:
        """Deal with what a job is due for; tell whether it is due for more, and nothing begun."""
        now = self._context.now()
        begun = None
        with self._context.catalog.write() as transaction:
            job = transaction.jobs.find(job_id, lock=True, skip_locked=True)
            if job is None or job.is_full:
                return None, False
            moment = transaction.now()
            planned = plan(pending(transaction, job), moment)
            missed = [_missed_run(job, each, now) for each in planned.missed]
            for entry in missed:
                transaction.runs.add_missed(entry)
            job = attrs.evolve(
                job, next_start=planned.next_start, dealt_with=_dealt_with(job, planned)
            )
            if planned.start is None:
                transaction.jobs.replace(job)
            else:
                begun = self._begin_due(transaction, job, planned.start, now)
        if begun is not None:
            return attrs.evolve(begun, missed=tuple(missed)), False
        tell_missed(self._context, missed)
        goes_on = planned.next_start is not None and planned.next_start <= moment
        return None, goes_on and bool(missed)

    def _begin_due(
        self, transaction: Transaction, job: JobEntry, start: Start, now: datetime
    ) -> Claim:
        certificate = transaction.preferences.find(job.tenant, job.owner)
        recipients: tuple[Recipient, ...] = ()
        refusal = None
        try:
            recipients = recipients_of(certificate, job.settings, now)
        except CddsError as error:
            refusal = error
        run = _new_run(job, now, recipients, moment=start.due, start=start)
        suspended = job.suspended or job.settings.is_one_time
        retries = tuple(retry for retry in job.retries if retry.due != start.due)
        job = attrs.evolve(job, suspended=suspended, retries=retries)
        self._begin(transaction, job, run)
        return Claim(run, recipients, refusal)

    def _begin(
        self, transaction: Transaction, job: JobEntry, run: RunEntry, actor: str = ""
    ) -> None:
        transaction.runs.add(run, transaction.now() + self._context.lease)
        transaction.jobs.replace(
            attrs.evolve(
                job,
                started=True,
                running=transaction.runs.in_progress(job.id),
                latest_run=run.id,
                latest_start=run.started,
                latest_status=run.status,
            )
        )
        transaction.audit.append(
            job.tenant, "run started", "run", run.id, at=run.started, actor=actor, job=job.id
        )


def give_up_overdue(
    context: Context, transaction: Transaction, job: JobEntry, reason: str
) -> tuple[JobEntry, list[RunEntry]]:
    """Record the starts that a job is overdue with, for it is about to be switched off or changed.

    Returns the job, which has dealt with them, and what the listeners are to be told.
    """
    missed = overdue(pending(transaction, job), transaction.now(), reason)
    if missed is None:
        return job, []
    entry = _missed_run(job, missed, context.now())
    transaction.runs.add_missed(entry)
    return attrs.evolve(job, dealt_with=missed.last), [entry]


def tell_missed(context: Context, missed: Iterable[RunEntry]) -> None:
    """Tell the listeners of starts that were missed."""
    context.tell(*(RunMissed(at=entry.started, run=entry) for entry in missed))


def pending(transaction: Transaction, job: JobEntry) -> Pending:
    """Return what the planner has to know of a job."""
    busy_from, busy_until = transaction.runs.ended(job.id) or (None, None)
    return Pending(
        recurrence=job.settings.recurrence,
        next_start=job.next_start,
        retries=job.retries,
        dealt_with=job.dealt_with,
        busy_from=busy_from,
        busy_until=busy_until,
        misfire=job.settings.misfire,
        grace=job.settings.misfire_grace_time,
    )


def _dealt_with(job: JobEntry, planned: Plan) -> datetime | None:
    """Return the last instant that a job has dealt with, once a plan is carried out."""
    instants = [missed.last for missed in planned.missed]
    if planned.start is not None:
        instants.append(planned.start.due)
    if job.dealt_with is not None:
        instants.append(job.dealt_with)
    return max(instants, default=None)


def _new_run(
    job: JobEntry,
    now: datetime,
    recipients: tuple[Recipient, ...],
    *,
    moment: datetime,
    start: Start | None = None,
) -> RunEntry:
    return attrs.evolve(
        _entry(job, now),
        due=None if start is None else start.due,
        attempt=1 if start is None else start.attempt,
        failures=0 if start is None else start.failures,
        window=job.settings.window(job.watermark, moment),
        fingerprints=tuple(recipient.fingerprint for recipient in recipients),
    )


def _missed_run(job: JobEntry, missed: Missed, now: datetime) -> RunEntry:
    return attrs.evolve(
        _entry(job, now),
        status="missed",
        due=missed.last,
        finished=now,
        error=missed.reason,
        missed=missed.count,
        missed_from=missed.first,
    )


def _entry(job: JobEntry, now: datetime) -> RunEntry:
    return RunEntry(
        id=str(uuid.uuid4()),
        job_id=job.id,
        tenant=job.tenant,
        owner=job.owner,
        settings=job.settings,
        started=now,
        progress=RunProgress(
            records=0, bytes_read=0, bytes_total=None, bytes_written=0, started=now, at=now
        ),
    )


def _check_runnable(job: JobEntry) -> None:
    if job.is_full or (job.settings.is_one_time and job.is_running):
        raise StillInProgress("a run of this job is in progress; wait for its end, or cancel it")
    # One that was hourly once may have finished before it became a one-time job.
    if job.settings.is_one_time and job.started and job.latest_status == "finished":
        raise NotRunnable("a one-time job runs once; clone it to run it again")
