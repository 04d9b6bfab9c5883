"""The artifacts of the catalog: what may be downloaded, and what is on its way out.

Place: one table's queries; rules and permissions are the service's. An artifact is **stored**,
**missing** (its file was looked for and is not there), or **removing**: taken off all lists, and
its file is being deleted. Its row goes when the file is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import attrs
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select, update

from cdds.catalog.filters import aside, belongs, contains
from cdds.catalog.paging import Order, Page, Sorts, read_page
from cdds.catalog.tables import ARTIFACTS, EVERY, REMOVING, UNTOLD
from cdds.wording import sort_key

ArtifactState: TypeAlias = Literal["stored", "missing", "removing"]

SORTS: Sorts = {
    "created": (ARTIFACTS.c.created, ARTIFACTS.c.name),
    "expires": (ARTIFACTS.c.expires, ARTIFACTS.c.name),
    "name": (ARTIFACTS.c.name,),
    "size": (ARTIFACTS.c.size, ARTIFACTS.c.name),
    "title": (ARTIFACTS.c.title_key, ARTIFACTS.c.name),
}

_AT_ONCE = 500


@attrs.frozen(kw_only=True)
class ArtifactEntry:
    """An artifact of the catalog. All moments are in UTC.

    Attributes:
        name: the name of the file.
        run_id: the run that made it.
        job_id: the job of that run, which may be deleted by now.
        tenant: whose it is.
        owner: the user whose job it was.
        title: what the job was called when it ran.
        dataset: what the guide calls the type.
        size: its bytes.
        sha256: its SHA-256 in hexadecimal.
        part: its number in the set, from 1.
        parts: how many artifacts the set has.
        created: when it was stored.
        expires: when it is gone.
        fingerprints: the SHA-256 of each certificate whose key opens it.
        state: whether it can be downloaded, ``"stored"``, or why not.
    """

    name: str
    run_id: str
    job_id: str
    tenant: str
    owner: str
    title: str
    dataset: str
    size: int
    sha256: str
    part: int
    parts: int
    created: datetime
    expires: datetime
    fingerprints: tuple[str, ...] = ()
    state: ArtifactState = "stored"

    def days_remaining(self, now: datetime) -> int:
        """Return the whole days until it is gone, rounded up: 0 exactly when it is."""
        return max(0, -((now - self.expires) // timedelta(days=1)))


class Artifacts:
    """The table of artifacts, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, entries: Iterable[ArtifactEntry]) -> None:
        """Insert the artifacts of a run."""
        rows = [_values(entry) for entry in entries]
        for start in range(0, len(rows), _AT_ONCE):
            self._connection.execute(ARTIFACTS.insert(), rows[start : start + _AT_ONCE])

    def find(
        self, names: Iterable[str], *, tenant: str | None = None, lock: bool = False
    ) -> dict[str, ArtifactEntry]:
        """Return those of some artifacts that are there, of the tenant where one is given."""
        query = select(ARTIFACTS).where(ARTIFACTS.c.name.in_(list(names)))
        if tenant is not None:
            query = query.where(ARTIFACTS.c.tenant == tenant)
        if lock:  # in one order, so that two who want the same do not wait for each other
            query = query.order_by(ARTIFACTS.c.name).with_for_update()
        return {row.name: _entry(row) for row in self._connection.execute(query)}

    def of_run(self, run_id: str) -> Sequence[ArtifactEntry]:
        """Return the artifacts of a run, in order, whatever their state."""
        query = select(ARTIFACTS).where(ARTIFACTS.c.run_id == run_id).order_by(ARTIFACTS.c.part)
        return [_entry(row) for row in self._connection.execute(query)]

    def has_any(self, run_id: str, *, removing: bool) -> bool:
        """Tell whether artifacts of a run are left, those that are being removed or not counted."""
        wanted = ARTIFACTS.c.run_id == run_id
        if not removing:
            wanted &= ARTIFACTS.c.state != "removing"
        return (
            self._connection.execute(select(ARTIFACTS.c.name).where(wanted).limit(1)).first()
            is not None
        )

    def mark(self, names: Iterable[str], state: ArtifactState) -> None:
        """Set the state of artifacts, except of those that are being removed."""
        wanted = ARTIFACTS.c.name.in_(list(names)) & (ARTIFACTS.c.state != "removing")
        self._change(wanted, state=state)

    def mark_run(self, run_id: str) -> None:
        """Take all artifacts of a run off the lists, for they are being removed."""
        self._change(ARTIFACTS.c.run_id == run_id, state="removing")

    def delete(self, name: str) -> bool:
        """Delete the row of an artifact that is being removed; tell whether it was there."""
        wanted = (ARTIFACTS.c.name == name) & (ARTIFACTS.c.state == "removing")
        return self._connection.execute(ARTIFACTS.delete().where(wanted)).rowcount == 1

    def expired(self, now: datetime, limit: int) -> Sequence[ArtifactEntry]:
        """Return artifacts past their expiry that nobody removes yet, the oldest first."""
        due = (ARTIFACTS.c.expires <= now) & (ARTIFACTS.c.state != "removing")
        return self._some(and_(due, EVERY), limit)

    def removing(self, limit: int, after: str = "") -> Sequence[ArtifactEntry]:
        """Return artifacts whose removal has begun, by name."""
        query = select(ARTIFACTS).where(REMOVING, ARTIFACTS.c.name > after)
        query = query.order_by(ARTIFACTS.c.name).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]

    def expiring(self, before: datetime, limit: int) -> Sequence[ArtifactEntry]:
        """Return artifacts that expire before a moment and that nobody was told of."""
        soon = (ARTIFACTS.c.expires < before) & (ARTIFACTS.c.state == "stored")
        return self._some(and_(soon, UNTOLD), limit)

    def mark_told(self, names: Iterable[str]) -> set[str]:
        """Note that those who want to know are told that these expire; return which are new."""
        wanted = and_(ARTIFACTS.c.name.in_(list(names)), UNTOLD)
        self._hold(wanted)
        statement = update(ARTIFACTS).where(wanted).values(told=True).returning(ARTIFACTS.c.name)
        return set(self._connection.execute(statement).scalars())

    def page(
        self,
        tenant: str,
        owners: frozenset[str] | None,
        now: datetime,
        order: Order,
        **filters: Any,
    ) -> Page[ArtifactEntry]:
        """Return a page of what a tenant can download now, of some owners only where given."""
        query = page_query(tenant, owners, **filters).where(_unexpired(now, order))
        rows, token = read_page(self._connection, query, SORTS, order)
        return Page(tuple(map(_entry, rows)), token)

    def block(self, after: str, limit: int) -> Sequence[ArtifactEntry]:
        """Return artifacts of all tenants that nobody removes, by name, those after a name."""
        wanted = (ARTIFACTS.c.name > after) & (ARTIFACTS.c.state != "removing")
        query = select(ARTIFACTS).where(wanted).order_by(ARTIFACTS.c.name).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]

    def _change(self, wanted: ColumnElement[bool], **values: Any) -> None:
        self._hold(wanted)
        self._connection.execute(update(ARTIFACTS).where(wanted).values(**values))

    def _hold(self, wanted: ColumnElement[bool]) -> None:
        """Hold artifacts until the end, by name: the order that `find` holds them in."""
        held = select(ARTIFACTS.c.name).where(wanted).order_by(ARTIFACTS.c.name)
        self._connection.execute(held.with_for_update())

    def _some(self, wanted: ColumnElement[bool], limit: int) -> Sequence[ArtifactEntry]:
        query = select(ARTIFACTS).where(wanted)
        query = query.order_by(ARTIFACTS.c.expires, ARTIFACTS.c.name).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]


def page_query(
    tenant: str,
    owners: frozenset[str] | None,
    *,
    run_id: str | None = None,
    job_id: str | None = None,
    dataset: str | None = None,
    title: str | None = None,
) -> Select[Any]:
    """Return the query of a page, before it is sorted and cut, and what has expired left out."""
    whose = belongs(ARTIFACTS, tenant, owners)
    if run_id is not None or job_id is not None:
        whose = aside(whose)
    query = select(ARTIFACTS).where(whose, ARTIFACTS.c.state == "stored")
    for column, wanted in (
        (ARTIFACTS.c.run_id, run_id),
        (ARTIFACTS.c.job_id, job_id),
        (ARTIFACTS.c.dataset, dataset),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return contains(query, ARTIFACTS.c.title_key, title)


def _unexpired(now: datetime, order: Order) -> ColumnElement[bool]:
    """Return the condition that an artifact has not expired.

    It says where a page begins only if the page goes by the expiry, and no token says so.
    """
    condition = ARTIFACTS.c.expires > now
    begins = order.sort == "expires" and (order.descending or order.after is None)
    return condition if begins else aside(condition)


def _values(entry: ArtifactEntry) -> dict[str, Any]:
    values = attrs.asdict(entry)
    return values | {
        "title_key": sort_key(entry.title),
        "fingerprints": list(entry.fingerprints),
        "told": False,
    }


def _entry(row: Row[Any]) -> ArtifactEntry:
    values = {field.name: getattr(row, field.name) for field in attrs.fields(ArtifactEntry)}
    return ArtifactEntry(**values | {"fingerprints": tuple(row.fingerprints)})
