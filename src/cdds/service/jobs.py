"""The Jobs page of the guide: what shall be exported, how often, and how it stands.

Place: one page of the service. The guide's rules of jobs stand here; what runs a job is
`execution.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from cdds.access import Action, Principal, Rights
from cdds.catalog import JobEntry, JobSettings, Page, RunEntry, RunStatus, Transaction
from cdds.catalog.paging import Order
from cdds.catalog.settings import changed
from cdds.errors import (
    JobError,
    NotEditable,
    NotFound,
    NotResumable,
    StillInProgress,
    UnsupportedSource,
)
from cdds.model import Timeframe, cut
from cdds.protocols import CancelToken, ProgressListener
from cdds.schedule import Once, Recurrence
from cdds.schedule.moments import TICK
from cdds.service.claims import give_up_overdue, tell_missed
from cdds.service.context import Context, identifier
from cdds.service.execution import Execution
from cdds.service.filters import check_token, checked
from cdds.service.recipients import recipients_of
from cdds.wording import MAX_LINE

_UNSUPPORTED = frozenset({"info mart", "infomart", "gim"})


class Jobs:
    """The jobs that a principal sees, and what can be done to them.

    Every call raises `AccessDenied` where the principal sees nothing at all, and `CatalogError`
    where the catalog fails.
    """

    def __init__(self, context: Context, execution: Execution) -> None:
        self._context = context
        self._execution = execution

    def add(self, principal: Principal, settings: JobSettings) -> JobEntry:
        """Add a job of the principal's own.

        A one-time job without a start is due at once; it is added suspended, as the guide has it.
        Whoever calls `DownloadService.run_due`, or `run_now`, runs it.

        Raises:
            AccessDenied: the principal may not add jobs, or not choose recipients.
            JobError: the source or the dataset is unknown, the settings do not suit the dataset,
                or the start lies in the past.
            UnsupportedSource: the source is Info Mart.
            NoCertificate: there is no certificate in the principal's preferences.
            CertificateError: it, or a recipient's, is not valid now.
        """
        self._context.access.require(principal, Action.CHANGE)
        self._check(settings)
        if settings.recipients:
            self._context.access.require(principal, Action.CHOOSE_RECIPIENTS)
        with self._context.catalog.write() as transaction:
            return self._insert(transaction, principal, settings)

    def get(self, principal: Principal, job_id: str) -> JobEntry:
        """Return a job as it stands now.

        Raises:
            NotFound: there is none of that id that the principal sees.
        """
        rights = self._context.access.rights(principal, Action.SEE)
        with self._context.catalog.read() as transaction:
            return _find(transaction, principal, job_id, rights)

    def list(
        self,
        principal: Principal,
        *,
        title: str | None = None,
        source: str | None = None,
        dataset: str | None = None,
        status: RunStatus | None = None,
        suspended: bool | None = None,
        sort: str = "title",
        descending: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[JobEntry]:
        """Return a page of the jobs that the principal sees.

        Args:
            principal: on whose behalf.
            title: only jobs whose title holds this, without regard to case.
            source: only jobs of this source.
            dataset: only jobs of this dataset.
            status: only jobs whose latest run has this status.
            suspended: only suspended, or only active jobs.
            sort: ``"title"``, ``"created"``, ``"next_start"``, ``"latest_start"`` or
                ``"latest_status"``.
            descending: whether the largest comes first.
            after: the `next` of the page before.
            limit: the most entries, 1 to 500.

        Raises:
            AccessDenied: the principal sees nothing.
            JobError: an argument is out of its range.
        """
        owners = self._context.visible_owners(principal)
        order = Order(sort=sort, descending=descending, after=after, limit=limit)
        wanted = checked(
            title=title, source=source, dataset=dataset, status=status, suspended=suspended
        )
        with self._context.catalog.read() as transaction:
            return transaction.jobs.page(principal.tenant, owners, order, **wanted)

    def clone(self, principal: Principal, job_id: str, **changes: Any) -> JobEntry:
        """Add a job of the principal's own with the settings of another, and some changed.

        Args:
            principal: on whose behalf.
            job_id: the job to take the settings of.
            **changes: fields of `JobSettings` with other values.

        Raises:
            NotFound: there is none of that id that the principal sees.
            CddsError: as `add`.
        """
        return self.add(principal, changed(self.get(principal, job_id).settings, changes))

    def backfill(
        self,
        principal: Principal,
        job_id: str,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> tuple[JobEntry, ...]:
        """Add one-time jobs that export a past span with the settings of a job, window by window.

        The windows are half-open and meet exactly; the last one ends at `end`. Each is a job of the
        principal's own that is due at once, with a title that names its window. The job itself
        stays as it is: before an incremental job that begins at some moment, a backfill up to that
        moment leaves neither a gap nor an overlap.

        Args:
            principal: on whose behalf.
            job_id: the job to take the settings of.
            start: where the first window begins, an aware datetime.
            end: where the last window ends.
            step: how long a window is, from a minute on.

        Raises:
            NotFound: there is none of that id that the principal sees.
            JobError: the span or the step makes no sense, or there would be more than
                1,000 windows.
            CddsError: as `add`.
        """
        settings = self.get(principal, job_id).settings
        windows = cut(Timeframe.between(start, end), step)
        every = [_for_window(settings, window) for window in windows]
        self._context.access.require(principal, Action.CHANGE)
        if settings.recipients:
            self._context.access.require(principal, Action.CHOOSE_RECIPIENTS)
        for each in every:
            self._check(each)
        with self._context.catalog.write() as transaction:
            return tuple(self._insert(transaction, principal, each) for each in every)

    def edit(self, principal: Principal, job_id: str, **changes: Any) -> JobEntry:
        """Change settings of a job; a run in progress keeps those that it began with.

        With another recurrence its starts are reckoned anew. An incremental job whose source,
        dataset or first start changes begins from there again.

        Args:
            principal: on whose behalf.
            job_id: the job.
            **changes: fields of `JobSettings` with other values.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not change it, or not choose recipients.
            NotEditable: it is a one-time job.
            CddsError: as `add`.
        """
        rights = self._context.access.rights(principal, Action.CHANGE)
        chooses = self._context.access.rights(principal, Action.CHOOSE_RECIPIENTS)
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            job = _find(transaction, principal, job_id, rights, lock=True)
            if job.settings.is_one_time:
                raise NotEditable("a one-time job cannot be edited once it is submitted; clone it")
            settings = changed(job.settings, changes)
            self._check(settings, job.settings)
            if settings.recipients != job.settings.recipients:
                chooses.check(job.owner, "job")
                certificate = transaction.preferences.find(job.tenant, job.owner)
                recipients_of(certificate, settings, now)
            missed: Sequence[RunEntry] = ()
            if settings.recurrence != job.settings.recurrence:
                job, missed = self._give_up(transaction, job, "edited")
            edited = attrs.evolve(job, settings=settings, edited=now)
            if settings.recurrence != job.settings.recurrence:
                edited = _begun(transaction, attrs.evolve(edited, started=False))
            if not settings.is_series_of(job.settings):
                edited = attrs.evolve(edited, watermark=None)
            transaction.jobs.replace(edited)
            self._audit(transaction, principal, "job edited", edited, settings=sorted(changes))
        tell_missed(self._context, missed)
        return edited

    def suspend(self, principal: Principal, job_id: str) -> JobEntry:
        """Switch the starts of a job off; a run in progress goes on to its end.

        A one-time job that was to start at once, and has not, no longer does; `run_now` still runs
        it.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not change it.
        """
        rights = self._context.access.rights(principal, Action.CHANGE)
        with self._context.catalog.write() as transaction:
            job = _find(transaction, principal, job_id, rights, lock=True)
            if job.suspended and job.next_start is None:
                return job
            job, missed = self._give_up(transaction, job, "suspended")
            suspended = attrs.evolve(job, suspended=True, next_start=None, retries=())
            transaction.jobs.replace(suspended)
            self._audit(transaction, principal, "job suspended", suspended)
        tell_missed(self._context, missed)
        return suspended

    def resume(self, principal: Principal, job_id: str) -> JobEntry:
        """Switch the starts of a job on again.

        What it has missed meanwhile is not made up for; but a one-time job whose moment has passed
        is due at once.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not change it.
            NotResumable: it is a one-time job that was to start at once, or has started, or its
                recurrence is over.
        """
        rights = self._context.access.rights(principal, Action.CHANGE)
        with self._context.catalog.write() as transaction:
            job = _find(transaction, principal, job_id, rights, lock=True)
            recurrence = job.settings.recurrence
            if recurrence.is_immediate or (job.settings.is_one_time and job.started):
                raise NotResumable(
                    "a one-time job that was to start at once, or has started, cannot be resumed; "
                    "clone it"
                )
            if not job.suspended:
                return job
            resumed = _begun(transaction, attrs.evolve(job, suspended=False))
            if resumed.next_start is None:
                raise NotResumable("its recurrence has no start any more; give it a later end")
            transaction.jobs.replace(resumed)
            self._audit(transaction, principal, "job resumed", resumed)
            return resumed

    def delete(self, principal: Principal, job_id: str) -> None:
        """Delete a job; its history and artifacts stay until they expire.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not delete it.
            StillInProgress: a run of it is in progress.
        """
        rights = self._context.access.rights(principal, Action.DELETE)
        with self._context.catalog.write() as transaction:
            job = _find(transaction, principal, job_id, rights, lock=True)
            if job.is_running:
                raise StillInProgress(
                    "a job that is in progress cannot be deleted; wait for its end, or cancel it"
                )
            job, missed = self._give_up(transaction, job, "deleted")
            transaction.jobs.delete(job.id)
            self._audit(transaction, principal, "job deleted", job)
        tell_missed(self._context, missed)

    def run_now(
        self,
        principal: Principal,
        job_id: str,
        *,
        progress: ProgressListener | None = None,
        cancel: CancelToken | None = None,
    ) -> RunEntry:
        """Run a job on this thread, and return the run when it has finished.

        Its scheduled starts stay as they are, except that a one-time job has no other.

        Args:
            principal: on whose behalf.
            job_id: the job.
            progress: called on this thread with how far the run is.
            cancel: set by another thread to stop the run.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not run it.
            StillInProgress: a run of it is in progress.
            NotRunnable: it is a one-time job that has run.
            CertificateError: the owner has no certificate that is valid now.
            CddsError: the run failed or was cancelled; the history tells it too.
        """
        _check_callbacks(progress, cancel)
        rights = self._context.access.rights(principal, Action.RUN)
        with self._context.catalog.read() as transaction:
            job = _find(transaction, principal, job_id, rights)
        return self._execution.run(job.id, actor=principal.user, progress=progress, cancel=cancel)

    def _give_up(
        self, transaction: Transaction, job: JobEntry, what: str
    ) -> tuple[JobEntry, Sequence[RunEntry]]:
        reason = f"the job was {what} before it was run"
        return give_up_overdue(self._context, transaction, job, reason)

    def _insert(
        self, transaction: Transaction, principal: Principal, settings: JobSettings
    ) -> JobEntry:
        now = self._context.now()
        certificate = transaction.preferences.find(principal.tenant, principal.user)
        recipients_of(certificate, settings, now)
        new = JobEntry(
            id=str(uuid.uuid4()),
            tenant=principal.tenant,
            owner=principal.user,
            settings=settings,
            created=now,
        )
        job = _begun(transaction, new)
        transaction.jobs.add(job)
        self._audit(transaction, principal, "job added", job)
        return job

    def _check(self, settings: JobSettings, before: JobSettings | None = None) -> None:
        """Refuse settings that no run could go by."""
        if not isinstance(settings, JobSettings):
            raise JobError("a job takes JobSettings")
        self._check_source(settings.source)
        dataset = self._context.datasets.get(settings.dataset)
        if dataset is None:
            known = ", ".join(self._context.datasets)
            raise JobError(f"this service has no such dataset; it has {known}")
        settings.job(dataset, "job")  # which refuses what does not suit the dataset
        recurrence = settings.recurrence
        if before is None or recurrence != before.recurrence:
            _check_start(recurrence, self._context.now())

    def _check_source(self, source: str) -> None:
        if source in self._context.sources:
            return
        if source.strip().casefold() in _UNSUPPORTED:
            raise UnsupportedSource("Info Mart exports are not supported; choose another source")
        known = ", ".join(self._context.sources)
        raise JobError(f"this service has no such source; it has {known}")

    def _audit(
        self,
        transaction: Transaction,
        principal: Principal,
        action: str,
        job: JobEntry,
        **details: Any,
    ) -> None:
        transaction.audit.append(
            job.tenant,
            action,
            "job",
            job.id,
            at=self._context.now(),
            actor=principal.user,
            **details,
        )


def _find(
    transaction: Transaction,
    principal: Principal,
    job_id: str,
    rights: Rights,
    *,
    lock: bool = False,
) -> JobEntry:
    tenant = principal.tenant
    job = transaction.jobs.find(identifier(job_id, "job"), tenant=tenant, lock=lock)
    if job is None:
        raise NotFound("there is no such job")
    rights.check(job.owner, "job")
    return job


def _check_start(recurrence: Recurrence, now: datetime) -> None:
    if isinstance(recurrence, Once) and recurrence.at is not None and recurrence.at <= now:
        raise JobError("the start lies in the past; use Once() to start at once")
    if not recurrence.is_immediate and recurrence.next_after(now) is None:
        raise JobError("the recurrence has no start any more; give it a later end")


def _for_window(settings: JobSettings, window: Timeframe) -> JobSettings:
    """Return the settings of a one-time job that exports a window."""
    span = f"{_shown(window.start)} to {_shown(window.end)}"
    title = f"{settings.title[: MAX_LINE - len(span) - 3]} ({span})"
    return attrs.evolve(settings, title=title, recurrence=Once(), timeframe=window)


def _shown(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(" 00:00:00")


def _check_callbacks(progress: object, cancel: object) -> None:
    if progress is not None and not callable(progress):
        raise JobError("progress takes a function that is told how far the run is")
    check_token(cancel, "cancel")


def _begun(transaction: Transaction, job: JobEntry) -> JobEntry:
    """Return a job with its first start, as the guide has it for each recurrence.

    No instant is due twice, whatever the job ran by before and wherever the time went.
    """
    recurrence = job.settings.recurrence
    now = transaction.now()
    earliest = now if job.dealt_with is None else max(now, job.dealt_with + TICK)
    if recurrence.is_immediate and not job.suspended:
        return attrs.evolve(job, suspended=True, next_start=earliest, retries=())
    if job.suspended:
        return job
    if isinstance(recurrence, Once):
        # Whoever resumes it late wants it now, also where it does not make up for what it misses.
        # So does whoever makes it a one-time job, where the time went back since its last start.
        is_late = job.settings.misfire == "none" or (job.dealt_with or now) > now
        start = max(recurrence.at, earliest) if recurrence.at and is_late else recurrence.at
    else:
        start = recurrence.next_after(max(now, job.dealt_with or now))
    return attrs.evolve(job, next_start=start, retries=())
