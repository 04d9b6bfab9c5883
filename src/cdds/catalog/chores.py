"""The host's own work of the catalog: when each piece of it is due, and who is at it.

Place: one table's queries. A piece of work is held by a lease, and whatever ends it says whose it
was, so that of several hosts one does it, and a late one changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from cdds.catalog.engine import insert_or_keep
from cdds.catalog.tables import CHORES


class Chores:
    """The table of chores, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def due(self, names: Collection[str], now: datetime) -> list[str]:
        """Return those of some chores that are due and nobody is at; one that is not known is."""
        query = select(CHORES).where(CHORES.c.name.in_(list(names)))
        rows = self._connection.execute(query).all()
        waiting = {
            row.name
            for row in rows
            if row.next_start > now or (row.lease_until is not None and row.lease_until > now)
        }
        return [name for name in names if name not in waiting]

    def claim(self, name: str, holder: str, now: datetime, lease_until: datetime) -> bool:
        """Take a chore that is due until the lease ends; tell whether it was there to be taken."""
        values = {"name": name, "next_start": now}
        self._connection.execute(insert_or_keep(self._connection, CHORES, values))
        is_free = or_(CHORES.c.lease_until.is_(None), CHORES.c.lease_until <= now)
        statement = update(CHORES).where(CHORES.c.name == name, CHORES.c.next_start <= now, is_free)
        taken = self._connection.execute(statement.values(holder=holder, lease_until=lease_until))
        return taken.rowcount == 1

    def renew(self, name: str, holder: str, lease_until: datetime) -> bool:
        """Hold a chore for longer; tell whether it was still held."""
        return self._set(name, holder, lease_until=lease_until)

    def finish(self, name: str, holder: str, next_start: datetime) -> bool:
        """Say when a chore is due next; tell whether it was still held."""
        return self._set(name, holder, next_start=next_start, holder=None, lease_until=None)

    def _set(self, name: str, of: str, /, **values: object) -> bool:
        held = update(CHORES).where(CHORES.c.name == name, CHORES.c.holder == of)
        return self._connection.execute(held.values(**values)).rowcount == 1
