"""The History page of the guide: what runs, and what has run.

Place: one page of the service.
"""

from __future__ import annotations

from typing import Any

from cdds.access import Action, Principal, Rights
from cdds.catalog import ArtifactEntry, JobEntry, Page, RunEntry, RunStatus, Transaction
from cdds.catalog.paging import Order
from cdds.catalog.settings import changed
from cdds.errors import NotFound, StillInProgress
from cdds.service.context import Context, identifier
from cdds.service.filters import checked
from cdds.service.jobs import Jobs
from cdds.service.removal import remove_artifacts, remove_rest


class History:
    """The runs that a principal sees, and what can be done to them.

    Every call raises `AccessDenied` where the principal sees nothing at all, and `CatalogError`
    where the catalog fails.
    """

    def __init__(self, context: Context, jobs: Jobs) -> None:
        self._context = context
        self._jobs = jobs

    def get(self, principal: Principal, run_id: str) -> RunEntry:
        """Return all that is known of a run.

        Raises:
            NotFound: there is none of that id that the principal sees.
        """
        rights = self._context.access.rights(principal, Action.SEE)
        with self._context.catalog.read() as transaction:
            return _find(transaction, principal, run_id, rights)

    def list(
        self,
        principal: Principal,
        *,
        job_id: str | None = None,
        title: str | None = None,
        source: str | None = None,
        dataset: str | None = None,
        status: RunStatus | None = None,
        sort: str = "started",
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[RunEntry]:
        """Return a page of the runs that the principal sees, the latest first.

        Args:
            principal: on whose behalf.
            job_id: only runs of this job, which may be deleted by now.
            title: only runs whose title holds this, without regard to case.
            source: only runs from this source.
            dataset: only runs of this dataset.
            status: only runs with this status.
            sort: ``"started"``, ``"status"``, or, for the runs of all jobs, ``"title"``.
            descending: whether the largest comes first.
            after: the `next` of the page before.
            limit: the most entries, 1 to 500.

        Raises:
            AccessDenied: the principal sees nothing.
            NotFound: `job_id` is no id.
            JobError: an argument is out of its range.
        """
        owners = self._context.visible_owners(principal)
        order = Order(sort=sort, descending=descending, after=after, limit=limit)
        wanted = checked(title=title, source=source, dataset=dataset, status=status)
        if job_id is not None:
            wanted["job_id"] = identifier(job_id, "job")
        with self._context.catalog.read() as transaction:
            return transaction.runs.page(principal.tenant, owners, order, **wanted)

    def artifacts(self, principal: Principal, run_id: str) -> tuple[ArtifactEntry, ...]:
        """Return the artifacts of a run that can be downloaded, or are missing, in order.

        Raises:
            NotFound: there is no run of that id that the principal sees.
        """
        rights = self._context.access.rights(principal, Action.SEE)
        now = self._context.now()
        with self._context.catalog.read() as transaction:
            run = _find(transaction, principal, run_id, rights)
            return tuple(
                artifact
                for artifact in transaction.artifacts.of_run(run.id)
                if artifact.state != "removing" and artifact.expires > now
            )

    def clone(self, principal: Principal, run_id: str, **changes: Any) -> JobEntry:
        """Add a job of the principal's own with the settings that a run ran with.

        Args:
            principal: on whose behalf.
            run_id: the run to take the settings of.
            **changes: fields of `JobSettings` with other values.

        Raises:
            NotFound: there is none of that id that the principal sees.
            CddsError: as `Jobs.add`.
        """
        settings = self.get(principal, run_id).settings
        return self._jobs.add(principal, changed(settings, changes))

    def cancel(self, principal: Principal, run_id: str) -> None:
        """Stop a run; it ends within a second or so, and leaves nothing behind.

        After this a run can no longer finish. One that has ended before stays as it is.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not stop it.
        """
        rights = self._context.access.rights(principal, Action.RUN)
        with self._context.catalog.write() as transaction:
            run = _find(transaction, principal, run_id, rights, lock=True)
            if not run.is_in_progress or run.cancel_requested:
                return
            transaction.runs.request_cancel(run.id)
            self._audit(transaction, principal, "run cancel requested", run)

    def delete(self, principal: Principal, run_id: str) -> None:
        """Delete a run from the history, and its artifacts from the storage.

        They can no longer be seen from now on, also where the storage fails to remove them: then
        the next sweep does.

        Raises:
            NotFound: there is none of that id that the principal sees.
            AccessDenied: the principal may not delete it.
            StillInProgress: it has not ended.
        """
        rights = self._context.access.rights(principal, Action.DELETE)
        with self._context.catalog.write() as transaction:
            run = _find(transaction, principal, run_id, rights, lock=True)
            if run.is_in_progress:
                raise StillInProgress("a run in progress cannot be deleted; cancel it first")
            transaction.runs.hide(run.id)
            transaction.artifacts.mark_run(run.id)
            artifacts = transaction.artifacts.of_run(run.id)
            self._audit(transaction, principal, "run deleted", run)
        removed = remove_artifacts(
            self._context, artifacts, actor=principal.user, reason="its run was deleted"
        )
        if not removed.failed and remove_rest(self._context, run):
            with self._context.catalog.write() as transaction:
                transaction.runs.delete(run.id)

    def _audit(
        self, transaction: Transaction, principal: Principal, action: str, run: RunEntry
    ) -> None:
        at = self._context.now()
        actor = principal.user
        transaction.audit.append(run.tenant, action, "run", run.id, at=at, actor=actor)


def _find(
    transaction: Transaction,
    principal: Principal,
    run_id: str,
    rights: Rights,
    *,
    lock: bool = False,
) -> RunEntry:
    tenant = principal.tenant
    run = transaction.runs.find(identifier(run_id, "run"), tenant=tenant, lock=lock)
    if run is None:
        raise NotFound("there is no such run")
    rights.check(run.owner, "run")
    return run
