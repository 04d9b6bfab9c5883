"""The runs of the catalog: the history, and what is in progress.

Place: one table's queries; rules and permissions are the service's. Whatever finishes a run asks in
the same statement that it is still in progress, so that a run ends once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import attrs
from sqlalchemy import Connection, Row, Select, case, func, select, update

from cdds.catalog.filters import aside, belongs, contains
from cdds.catalog.paging import Order, Page, Sorts, read_page
from cdds.catalog.progress import RunProgress
from cdds.catalog.settings import MAX_INSTANCES, JobSettings
from cdds.catalog.tables import ARTIFACTS, HIDDEN, IN_PROGRESS, RUNS
from cdds.model import Timeframe
from cdds.wording import sort_key

RunStatus: TypeAlias = Literal["in progress", "finished", "failed", "cancelled", "missed"]
"""What became of a run; one that was missed has never begun."""

IN_PROGRESS_STATUS: RunStatus = "in progress"

SORTS: Sorts = {
    "started": (RUNS.c.started, RUNS.c.id),
    "status": (RUNS.c.status, RUNS.c.started, RUNS.c.id),
    "title": (RUNS.c.title_key, RUNS.c.id),
}
JOB_SORTS: Sorts = {name: SORTS[name] for name in ("started", "status")}
"""What the runs of one job can be sorted by: they share a title, or nearly."""

PROGRESS = tuple(
    column.label(f"run_{column.name}")
    for column in (
        RUNS.c.records,
        RUNS.c.bytes_read,
        RUNS.c.bytes_total,
        RUNS.c.bytes_written,
        RUNS.c.started,
        RUNS.c.progressed,
    )
)
"""What `progress_of` reads."""


@attrs.frozen(kw_only=True)
class RunEntry:
    """A run of the catalog. All moments are in UTC.

    Attributes:
        id: a UUID, part of the names of its artifacts.
        job_id: the job it is a run of, which may be deleted by now.
        tenant: whose it is.
        owner: the user whose job it is.
        settings: what it ran with.
        due: the instant that it was scheduled for; None when it was asked for.
        attempt: which attempt at that instant it is, counted from 1.
        failures: how many of the attempts before have failed, and were not just stopped.
        window: the span that it exports, if its job is incremental.
        started: when it began; of one that was missed, when that was found.
        finished: when it ended; None while it is in progress.
        status: what became of it.
        cancel_requested: whether somebody asked it to stop.
        progress: how far it is, or was at its end.
        error: why it failed or was missed, in words; None if it did not, and was not.
        missed: how many starts were missed, the last of them at `due`; 0 for a run.
        missed_from: the first of them; None for a run.
        fingerprints: the SHA-256 of each certificate whose key opens its artifacts.
        records: how many records each data file holds, by its name.
        rejects: how many invalid records were left out.
        undated: how many records a time frame left out because they have no timestamp.
        unmatched: how many documents or attributes belong to no selected record.
        warnings: what a person should know, in sentences.
        file_name: the artifact that carries the end of the archive; None without one.
        parts: how many artifacts there are.
        digests: the name of the file of their digests.
        signature: the name of its detached signature; None without one.
        expires: when the artifacts are gone.
    """

    id: str
    job_id: str
    tenant: str
    owner: str
    settings: JobSettings
    due: datetime | None = None
    attempt: int = 1
    failures: int = 0
    window: Timeframe | None = None
    started: datetime
    finished: datetime | None = None
    status: RunStatus = IN_PROGRESS_STATUS
    cancel_requested: bool = False
    progress: RunProgress
    error: str | None = None
    missed: int = 0
    missed_from: datetime | None = None
    fingerprints: tuple[str, ...] = ()
    records: Mapping[str, int] = attrs.field(factory=dict)
    rejects: int = 0
    undated: int = 0
    unmatched: int = 0
    warnings: tuple[str, ...] = ()
    file_name: str | None = None
    parts: int = 0
    digests: str | None = None
    signature: str | None = None
    expires: datetime | None = None

    @property
    def title(self) -> str:
        """What the job was called when it ran."""
        return self.settings.title

    @property
    def is_in_progress(self) -> bool:
        """Whether it has not ended."""
        return self.status == IN_PROGRESS_STATUS


class Runs:
    """The table of runs, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, entry: RunEntry, lease_until: datetime) -> None:
        """Insert a run that begins, held by its worker until the lease ends.

        The job is locked: the database refuses a second run in the same slot.
        """
        taken = select(RUNS.c.slot).where(RUNS.c.job_id == entry.job_id, IN_PROGRESS)
        slots = set(self._connection.scalars(taken))
        slot = next(number for number in range(len(slots) + 1) if number not in slots)
        self._insert(entry, lease_until, slot=slot)

    def in_progress(self, job_id: str) -> int:
        """Return how many runs of a job are in progress."""
        query = select(func.count()).where(RUNS.c.job_id == job_id, IN_PROGRESS)
        return self._connection.execute(query).scalar_one()

    def add_missed(self, entry: RunEntry) -> None:
        """Insert what tells of starts that were missed."""
        self._insert(entry, entry.started)

    def renew(
        self, run_id: str, progress: RunProgress | None, lease_until: datetime
    ) -> bool | None:
        """Note a sign of life and how far a run is; tell whether it is asked to stop.

        Returns None when the run is not in progress any more.
        """
        values: dict[str, Any] = {"lease_until": lease_until}
        if progress is not None:
            values |= _progress_values(progress)
        statement = update(RUNS).where(RUNS.c.id == run_id, IN_PROGRESS).values(**values)
        return self._connection.execute(
            statement.returning(RUNS.c.cancel_requested)
        ).scalar_one_or_none()

    def finish(self, entry: RunEntry) -> bool:
        """Write the end of a run if it is still in progress; tell whether it was.

        The id of a run is its fencing token: each attempt has one of its own, and an end is written
        once.
        """
        values = _values(entry) | _progress_values(entry.progress)
        for kept in ("id", "removed", "cancel_requested"):
            del values[kept]
        statement = update(RUNS).where(RUNS.c.id == entry.id, IN_PROGRESS).values(**values)
        return self._connection.execute(statement).rowcount == 1

    def request_cancel(self, run_id: str) -> None:
        """Ask a run to stop, if it is still in progress."""
        statement = update(RUNS).where(RUNS.c.id == run_id, IN_PROGRESS)
        self._connection.execute(statement.values(cancel_requested=True))

    def hide(self, run_id: str) -> None:
        """Take a run off all lists, as the first step of its deletion."""
        self._connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(removed=True))

    def delete(self, run_id: str) -> bool:
        """Delete a run that is hidden or may go; tell whether it was there."""
        return self._connection.execute(RUNS.delete().where(RUNS.c.id == run_id)).rowcount == 1

    def find(
        self,
        run_id: str,
        *,
        tenant: str | None = None,
        lock: bool = False,
        skip_locked: bool = False,
        hidden: bool = False,
    ) -> RunEntry | None:
        """Return a run, of the tenant where one is given; `lock` holds it until the end.

        With `skip_locked` one that others hold is not waited for, and None is returned. One that is
        being deleted is returned only with `hidden`.
        """
        query = select(RUNS).where(RUNS.c.id == run_id)
        if tenant is not None:
            query = query.where(RUNS.c.tenant == tenant)
        if not hidden:
            query = query.where(RUNS.c.removed.is_(False))
        if lock:
            query = query.with_for_update(skip_locked=skip_locked)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _entry(row)

    def find_all(self, run_ids: Iterable[str]) -> dict[str, RunEntry]:
        """Return those of some runs that are there, hidden ones too."""
        query = select(RUNS).where(RUNS.c.id.in_(list(run_ids)))
        return {row.id: _entry(row) for row in self._connection.execute(query)}

    def lapsed(self, now: datetime) -> Sequence[tuple[str, str]]:
        """Return runs in progress that gave no sign of life in time, each after its job."""
        query = select(RUNS.c.job_id, RUNS.c.id).where(IN_PROGRESS, RUNS.c.lease_until <= now)
        return [(row.job_id, row.id) for row in self._connection.execute(query)]

    def is_lapsed(self, run_id: str, now: datetime) -> bool:
        """Tell whether a run is in progress and gave no sign of life in time."""
        query = select(RUNS.c.id).where(RUNS.c.id == run_id, IN_PROGRESS, RUNS.c.lease_until <= now)
        return self._connection.execute(query).one_or_none() is not None

    def removable(
        self, before: datetime | None, limit: int, *, without: datetime | None = None
    ) -> Sequence[RunEntry]:
        """Return runs without artifacts that are hidden, or ended before a moment.

        With `without`, artifacts that a sweep at that moment removes do not count any more.
        """
        hidden = select(RUNS).where(HIDDEN).order_by(RUNS.c.id)
        found = self._without_artifacts(hidden, limit, without)
        if before is not None and len(found) < limit:
            past = select(RUNS).where(RUNS.c.finished < before, RUNS.c.removed.is_(False))
            past = past.order_by(RUNS.c.finished)
            found += self._without_artifacts(past, limit - len(found), without)
        return found

    def ended(self, job_id: str) -> tuple[datetime, datetime] | None:
        """Return from when to when the run of a job went on that ended last.

        A retry has gone on since it was due first. It is looked for among as many as a job may have
        at once.
        """
        began = case((RUNS.c.attempt > 1, RUNS.c.due), else_=RUNS.c.started).label("began")
        query = select(began, RUNS.c.finished)
        query = query.where(RUNS.c.job_id == job_id, RUNS.c.missed == 0)
        latest = query.order_by(RUNS.c.started.desc(), RUNS.c.id.desc()).limit(MAX_INSTANCES)
        ended = [(row.finished, row.began) for row in self._connection.execute(latest)]
        finished, start = max((pair for pair in ended if pair[0]), default=(None, None))
        return None if finished is None or start is None else (start, finished)

    def forget_files(self, run_id: str) -> None:
        """Note that nothing of a run's set is left in the sink."""
        statement = update(RUNS).where(RUNS.c.id == run_id)
        self._connection.execute(statement.values(digests=None, signature=None))

    def page(
        self,
        tenant: str,
        owners: frozenset[str] | None,
        order: Order,
        *,
        job_id: str | None = None,
        **filters: Any,
    ) -> Page[RunEntry]:
        """Return a page of a tenant's runs, of some owners or one job only where given."""
        query = page_query(tenant, owners, job_id=job_id, **filters)
        sorts = SORTS if job_id is None else JOB_SORTS
        rows, token = read_page(self._connection, query, sorts, order)
        return Page(tuple(map(_entry, rows)), token)

    def _insert(self, entry: RunEntry, lease_until: datetime, **more: Any) -> None:
        values = _values(entry) | _progress_values(entry.progress) | more
        self._connection.execute(RUNS.insert().values(lease_until=lease_until, **values))

    def _without_artifacts(
        self, query: Select[Any], limit: int, without: datetime | None
    ) -> list[RunEntry]:
        # Asked run by run: PostgreSQL would read all artifacts first to answer a NOT EXISTS.
        left = select(ARTIFACTS.c.name).where(ARTIFACTS.c.run_id == RUNS.c.id)
        if without is not None:
            left = left.where(ARTIFACTS.c.expires > without, ARTIFACTS.c.state != "removing")
        query = query.where(left.limit(1).scalar_subquery().is_(None)).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]


def page_query(
    tenant: str,
    owners: frozenset[str] | None,
    *,
    job_id: str | None = None,
    source: str | None = None,
    dataset: str | None = None,
    status: str | None = None,
    title: str | None = None,
) -> Select[Any]:
    """Return the query of a page, before it is sorted and cut."""
    whose = belongs(RUNS, tenant, owners)
    query = select(RUNS).where(whose if job_id is None else aside(whose), RUNS.c.removed.is_(False))
    for column, wanted in (
        (RUNS.c.job_id, job_id),
        (RUNS.c.source, source),
        (RUNS.c.dataset, dataset),
        (RUNS.c.status, status),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return contains(query, RUNS.c.title_key, title)


def progress_of(values: Mapping[Any, Any]) -> RunProgress:
    """Return the progress that a row with the columns `PROGRESS` tells."""
    records, read, total, written, started, progressed = (values[column] for column in PROGRESS)
    return RunProgress(
        records=records,
        bytes_read=read,
        bytes_total=total,
        bytes_written=written,
        started=started,
        at=progressed or started,
    )


def _progress_values(progress: RunProgress) -> dict[str, Any]:
    return {
        "records": progress.records,
        "bytes_read": progress.bytes_read,
        "bytes_total": progress.bytes_total,
        "bytes_written": progress.bytes_written,
        "progressed": progress.at,
    }


def _values(entry: RunEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "tenant": entry.tenant,
        "owner": entry.owner,
        "job_id": entry.job_id,
        "title_key": sort_key(entry.title),
        "source": entry.settings.source,
        "dataset": entry.settings.dataset,
        "settings": entry.settings.to_json(),
        "due": entry.due,
        "attempt": entry.attempt,
        "failures": entry.failures,
        "window_start": None if entry.window is None else entry.window.start,
        "window_end": None if entry.window is None else entry.window.end,
        "missed": entry.missed,
        "missed_from": entry.missed_from,
        "started": entry.started,
        "finished": entry.finished,
        "status": entry.status,
        "cancel_requested": entry.cancel_requested,
        "removed": False,
        "error": entry.error,
        "fingerprints": list(entry.fingerprints),
        "counts": {
            "records": dict(entry.records),
            "rejects": entry.rejects,
            "undated": entry.undated,
            "unmatched": entry.unmatched,
            "warnings": list(entry.warnings),
        },
        "file_name": entry.file_name,
        "parts": entry.parts,
        "digests": entry.digests,
        "signature": entry.signature,
        "expires": entry.expires,
    }


def _entry(row: Row[Any]) -> RunEntry:
    counts = row.counts
    return RunEntry(
        id=row.id,
        job_id=row.job_id,
        tenant=row.tenant,
        owner=row.owner,
        settings=JobSettings.from_json(row.settings),
        due=row.due,
        attempt=row.attempt,
        failures=row.failures,
        window=_window(row.window_start, row.window_end),
        missed=row.missed,
        missed_from=row.missed_from,
        started=row.started,
        finished=row.finished,
        status=row.status,
        cancel_requested=row.cancel_requested,
        progress=RunProgress(
            records=row.records,
            bytes_read=row.bytes_read,
            bytes_total=row.bytes_total,
            bytes_written=row.bytes_written,
            started=row.started,
            at=row.progressed or row.started,
        ),
        error=row.error,
        fingerprints=tuple(row.fingerprints),
        records=counts["records"],
        rejects=counts["rejects"],
        undated=counts["undated"],
        unmatched=counts["unmatched"],
        warnings=tuple(counts["warnings"]),
        file_name=row.file_name,
        parts=row.parts,
        digests=row.digests,
        signature=row.signature,
        expires=row.expires,
    )


def _window(start: datetime | None, end: datetime | None) -> Timeframe | None:
    return None if end is None else Timeframe(start, end)
