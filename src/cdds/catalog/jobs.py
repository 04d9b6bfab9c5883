"""The jobs of the catalog.

Place: one table's queries; rules and permissions are the service's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, Select, func, select, update

from cdds.catalog.filters import belongs, contains
from cdds.catalog.paging import Order, Page, Sorts, read_page
from cdds.catalog.progress import RunProgress
from cdds.catalog.runs import IN_PROGRESS_STATUS, PROGRESS, RunStatus, progress_of
from cdds.catalog.settings import JobSettings
from cdds.catalog.tables import IN_PROGRESS, JOBS, RUNS
from cdds.schedule import Retry
from cdds.wording import sort_key

SORTS: Sorts = {
    "title": (JOBS.c.title_key, JOBS.c.id),
    "created": (JOBS.c.created, JOBS.c.id),
    "next_start": (JOBS.c.next_start, JOBS.c.id),
    "latest_start": (JOBS.c.latest_start, JOBS.c.id),
    "latest_status": (JOBS.c.latest_status, JOBS.c.latest_start, JOBS.c.id),
}


@attrs.frozen(kw_only=True)
class JobEntry:
    """A job of the catalog. All moments are in UTC.

    Attributes:
        id: a UUID.
        tenant: whose it is.
        owner: the user who added it.
        settings: what its next run will run with.
        created: when it was added.
        edited: when it was changed last; None if never.
        suspended: whether its starts are switched off.
        started: whether a run of it has ever begun.
        next_start: when it is due next; None if it is not.
        dealt_with: the last instant that was run or recorded as missed; None before the first.
        retries: the runs that failed and are to be tried again; the first of them is the next
            start.
        watermark: where the window of its last finished run ended, if it is incremental.
        running: how many runs of it are in progress.
        latest_run: the run that began last; None before the first.
        latest_start: when that run began.
        latest_status: what became of it.
        progress: how far that run is, while it is in progress.
    """

    id: str
    tenant: str
    owner: str
    settings: JobSettings
    created: datetime
    edited: datetime | None = None
    suspended: bool = False
    started: bool = False
    next_start: datetime | None = None
    dealt_with: datetime | None = None
    retries: tuple[Retry, ...] = ()
    watermark: datetime | None = None
    running: int = 0
    latest_run: str | None = None
    latest_start: datetime | None = None
    latest_status: RunStatus | None = None
    progress: RunProgress | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        return self.settings.title

    @property
    def retrying(self) -> datetime | None:
        """The instant that a failed run is tried again for at the next start."""
        return self.retry.due if self.retry else None

    @property
    def failures(self) -> int:
        """How often the run has failed that is tried again at the next start."""
        return self.retry.failures if self.retry else 0

    @property
    def retry(self) -> Retry | None:
        """The failed run that is tried again at the next start, if there is one."""
        return min(self.retries, key=lambda retry: (retry.at, retry.due), default=None)

    @property
    def is_running(self) -> bool:
        """Whether a run of it is in progress."""
        return self.running > 0

    @property
    def is_full(self) -> bool:
        """Whether as many runs of it are in progress as may be at once."""
        return self.running >= self.settings.max_instances


class Jobs:
    """The table of jobs, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, entry: JobEntry) -> None:
        """Insert a job."""
        self._connection.execute(JOBS.insert().values(id=entry.id, **_values(entry)))

    def replace(self, entry: JobEntry) -> None:
        """Write all that may have changed of a job."""
        self._connection.execute(update(JOBS).where(JOBS.c.id == entry.id).values(**_values(entry)))

    def delete(self, job_id: str) -> None:
        """Delete a job; its runs and artifacts stay."""
        self._connection.execute(JOBS.delete().where(JOBS.c.id == job_id))

    def find(
        self,
        job_id: str,
        *,
        tenant: str | None = None,
        lock: bool = False,
        skip_locked: bool = False,
    ) -> JobEntry | None:
        """Return a job, of the tenant where one is given; `lock` holds it until the end.

        With `skip_locked` one that others hold is not waited for, and None is returned.
        """
        wanted = JOBS.c.id == job_id
        if tenant is not None:
            wanted &= JOBS.c.tenant == tenant
        if lock:
            # By itself: a job that had to be waited for would be joined with the runs of before.
            locking = select(JOBS.c.id).where(wanted).with_for_update(skip_locked=skip_locked)
            if self._connection.execute(locking).one_or_none() is None:
                return None
        row = self._connection.execute(_query().where(wanted)).one_or_none()
        return None if row is None else _entry(row)

    def due(self, now: datetime, limit: int, without: Collection[str] = ()) -> Sequence[str]:
        """Return the jobs that are due at `now` and may begin, the longest due first."""
        may_begin = JOBS.c.running < JOBS.c.max_instances
        query = select(JOBS.c.id).where(JOBS.c.next_start <= now, may_begin)
        if without:
            query = query.where(JOBS.c.id.not_in(list(without)))
        return self._connection.scalars(
            query.order_by(JOBS.c.next_start, JOBS.c.id).limit(limit)
        ).all()

    def first_start(self, after: datetime) -> datetime | None:
        """Return the first moment after another one at which any job is due."""
        query = select(JOBS.c.next_start).where(JOBS.c.next_start > after)
        return self._connection.scalars(query.order_by(JOBS.c.next_start).limit(1)).one_or_none()

    def miscounted(self) -> Sequence[str]:
        """Return the jobs of which not as many runs are in progress as they say."""
        runs = select(func.count()).where(RUNS.c.job_id == JOBS.c.id, IN_PROGRESS)
        return self._connection.scalars(
            select(JOBS.c.id).where(JOBS.c.running != runs.scalar_subquery())
        ).all()

    def page(
        self, tenant: str, owners: frozenset[str] | None, order: Order, **filters: Any
    ) -> Page[JobEntry]:
        """Return a page of a tenant's jobs, of some owners only where they are given."""
        rows, token = read_page(
            self._connection, page_query(tenant, owners, **filters), SORTS, order
        )
        return Page(tuple(map(_entry, rows)), token)


def page_query(
    tenant: str,
    owners: frozenset[str] | None,
    *,
    source: str | None = None,
    dataset: str | None = None,
    status: str | None = None,
    suspended: bool | None = None,
    title: str | None = None,
) -> Select[Any]:
    """Return the query of a page, before it is sorted and cut."""
    query = _query().where(belongs(JOBS, tenant, owners))
    for column, wanted in (
        (JOBS.c.source, source),
        (JOBS.c.dataset, dataset),
        (JOBS.c.latest_status, status),
        (JOBS.c.suspended, suspended),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return contains(query, JOBS.c.title_key, title)


def _query() -> Select[Any]:
    joined = JOBS.outerjoin(RUNS, RUNS.c.id == JOBS.c.latest_run)
    return select(*JOBS.c, *PROGRESS).select_from(joined)


def _values(entry: JobEntry) -> dict[str, Any]:
    return {
        "tenant": entry.tenant,
        "owner": entry.owner,
        "title_key": sort_key(entry.title),
        "source": entry.settings.source,
        "dataset": entry.settings.dataset,
        "settings": entry.settings.to_json(),
        "created": entry.created,
        "edited": entry.edited,
        "suspended": entry.suspended,
        "started": entry.started,
        "next_start": entry.next_start,
        "latest_start": entry.latest_start,
        "latest_status": entry.latest_status or "",
        "latest_run": entry.latest_run,
        "running": entry.running,
        "max_instances": entry.settings.max_instances,
        "dealt_with": entry.dealt_with,
        "retries": [_retry_values(retry) for retry in entry.retries],
        "watermark": entry.watermark,
    }


def _entry(row: Row[Any]) -> JobEntry:
    values = row._mapping  # noqa: SLF001  # its public name
    status = values[JOBS.c.latest_status] or None
    return JobEntry(
        id=values[JOBS.c.id],
        tenant=values[JOBS.c.tenant],
        owner=values[JOBS.c.owner],
        settings=JobSettings.from_json(values[JOBS.c.settings]),
        created=values[JOBS.c.created],
        edited=values[JOBS.c.edited],
        suspended=values[JOBS.c.suspended],
        started=values[JOBS.c.started],
        next_start=values[JOBS.c.next_start],
        latest_run=values[JOBS.c.latest_run],
        latest_start=values[JOBS.c.latest_start],
        latest_status=status,
        running=values[JOBS.c.running],
        dealt_with=values[JOBS.c.dealt_with],
        retries=tuple(map(_retry, values[JOBS.c.retries])),
        watermark=values[JOBS.c.watermark],
        progress=progress_of(values) if status == IN_PROGRESS_STATUS else None,
    )


def _retry_values(retry: Retry) -> dict[str, Any]:
    values = attrs.asdict(retry)
    return values | {"due": retry.due.isoformat(), "at": retry.at.isoformat()}


def _retry(values: dict[str, Any]) -> Retry:
    moments = {name: datetime.fromisoformat(values[name]) for name in ("due", "at")}
    return Retry(**values | moments)
