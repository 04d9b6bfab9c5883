"""The preferences of users: the certificate that their exports are sealed for.

Place: one table's queries; certificates are read and checked by the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, select, update

from cdds.catalog.engine import insert_or_replace
from cdds.catalog.tables import PREFERENCES


@attrs.frozen(kw_only=True)
class CertificateEntry:
    """The certificate in a user's preferences. All moments are in UTC.

    Attributes:
        tenant: the user's tenant.
        user: whose it is.
        certificate: it, in PEM.
        fingerprint: its SHA-256 in hexadecimal; runs and artifacts name it.
        uploaded: when it came.
        expires: when nothing can be sealed for it any more.
    """

    tenant: str
    user: str
    certificate: str = attrs.field(repr=False)
    fingerprint: str
    uploaded: datetime
    expires: datetime


class Preferences:
    """The table of preferences, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, tenant: str, user: str) -> CertificateEntry | None:
        """Return a user's certificate, or None."""
        row = self._connection.execute(select(PREFERENCES).where(*_of(tenant, user))).one_or_none()
        return None if row is None else _entry(row)

    def replace(self, entry: CertificateEntry) -> None:
        """Set a user's certificate in place of the one there was."""
        values = attrs.asdict(entry) | {"told": False}
        self._connection.execute(insert_or_replace(self._connection, PREFERENCES, values))

    def delete(self, tenant: str, user: str) -> None:
        """Delete a user's certificate."""
        self._connection.execute(PREFERENCES.delete().where(*_of(tenant, user)))

    def expiring(self, before: datetime, limit: int) -> Sequence[CertificateEntry]:
        """Return certificates that expire before a moment and whose owners were not told."""
        soon = (PREFERENCES.c.expires < before) & PREFERENCES.c.told.is_(False)
        query = select(PREFERENCES).where(soon).order_by(PREFERENCES.c.expires).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]

    def mark_told(self, entry: CertificateEntry) -> bool:
        """Note that those who want to know are told that this one expires; tell if that is new."""
        new = (PREFERENCES.c.fingerprint == entry.fingerprint) & PREFERENCES.c.told.is_(False)
        statement = update(PREFERENCES).where(*_of(entry.tenant, entry.user), new)
        return self._connection.execute(statement.values(told=True)).rowcount == 1


def _of(tenant: str, user: str) -> tuple[Any, Any]:
    return PREFERENCES.c.tenant == tenant, PREFERENCES.c.user == user


def _entry(row: Row[Any]) -> CertificateEntry:
    return CertificateEntry(
        **{field.name: getattr(row, field.name) for field in attrs.fields(CertificateEntry)}
    )
