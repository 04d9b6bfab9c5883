"""The audit trail: who did what to which thing, when; append-only, and chained.

Place: one table's queries. Each entry of a tenant carries an HMAC-SHA-256 over itself and the one
before it, under a key that the database does not have. So whoever can write the database can
neither change nor drop an entry unseen; and whoever keeps a head outside can tell a trail that was
cut off at its end.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, select, update

from cdds.catalog.engine import insert_or
from cdds.catalog.tables import AUDIT, AUDIT_HEADS
from cdds.errors import AuditBroken, JobError

MIN_KEY_SIZE = 16
_AT_ONCE = 1000
_START = "0" * 64


@attrs.frozen(kw_only=True)
class AuditEntry:
    """Something that was done.

    Attributes:
        tenant: to whose things.
        number: its place in the tenant's trail, from 1.
        at: when, in UTC.
        actor: the user who did it; empty for the service itself.
        action: what: ``"job added"``, ``"artifact deleted"``, …
        kind: ``"job"``, ``"run"``, ``"artifact"`` or ``"certificate"``.
        subject: the id, name or fingerprint of the thing.
        details: what serves as evidence, such as a deleted artifact's size and SHA-256.
        mac: the keyed hash that chains it to the entry before.
    """

    tenant: str
    number: int
    at: datetime
    actor: str
    action: str
    kind: str
    subject: str
    details: Mapping[str, Any]
    mac: str


@attrs.frozen
class AuditHead:
    """The end of a tenant's trail: a small value that a host can keep outside.

    Attributes:
        tenant: whose trail.
        number: how many entries it has.
        mac: the keyed hash of the last of them.
    """

    tenant: str
    number: int
    mac: str


class Audit:
    """The audit trail, within one transaction.

    Args:
        connection: the transaction's.
        key: at least 16 bytes.
    """

    def __init__(self, connection: Connection, key: bytes) -> None:
        self._connection = connection
        self._key = key

    def append(
        self,
        tenant: str,
        action: str,
        kind: str,
        subject: str,
        *,
        at: datetime,
        actor: str = "",
        **details: Any,
    ) -> None:
        """Append an entry; whoever appends to the same trail waits until this transaction ends."""
        head = self._locked_head(tenant)
        entry = AuditEntry(
            tenant=tenant,
            number=head.number + 1,
            at=at.astimezone(UTC),
            actor=actor,
            action=action,
            kind=kind,
            subject=subject,
            details=details,
            mac="",
        )
        entry = attrs.evolve(entry, mac=self._mac(entry, head.mac))
        self._connection.execute(AUDIT.insert().values(attrs.asdict(entry)))
        self._connection.execute(
            update(AUDIT_HEADS)
            .where(AUDIT_HEADS.c.tenant == tenant)
            .values(number=entry.number, mac=entry.mac)
        )

    def head(self, tenant: str) -> AuditHead:
        """Return the end of a tenant's trail."""
        query = select(AUDIT_HEADS).where(AUDIT_HEADS.c.tenant == tenant)
        row = self._connection.execute(query).one_or_none()
        return AuditHead(tenant, 0, _START) if row is None else AuditHead(*row)

    def entries(self, tenant: str, after: int = 0) -> Iterator[AuditEntry]:
        """Yield a tenant's entries in their order, those after a number, block by block."""
        while block := self.some(tenant, after, _AT_ONCE):
            yield from block
            after = block[-1].number

    def some(self, tenant: str, after: int, limit: int) -> tuple[AuditEntry, ...]:
        """Return a tenant's entries after a number, at most so many, in their order."""
        query = select(AUDIT).where(AUDIT.c.tenant == tenant, AUDIT.c.number > after)
        rows = self._connection.execute(query.order_by(AUDIT.c.number).limit(limit))
        return tuple(map(_entry, rows))

    def verify(self, tenant: str, anchor: AuditHead | None = None) -> AuditHead:
        """Prove that nothing of a trail was changed, dropped or cut off; return its end.

        Args:
            tenant: whose trail.
            anchor: a head that was kept outside the database. Without it, a trail that was cut off
                together with its head in the database is not seen.

        Raises:
            AuditBroken: the proof fails; the message says at which entry.
            JobError: the anchor is another tenant's.
        """
        if anchor is not None and anchor.tenant != tenant:
            raise JobError("this head is of another tenant's audit trail")
        number, mac = 0, _START
        for entry in self.entries(tenant):
            number += 1
            if entry.number != number:
                raise AuditBroken(f"entry {number} of the audit trail is missing")
            if not hmac.compare_digest(entry.mac, self._mac(entry, mac)):
                raise AuditBroken(f"entry {number} of the audit trail was changed")
            mac = entry.mac
            if anchor is not None and number == anchor.number:
                _compare(anchor, mac)
        _compare(self.head(tenant), mac, number)
        if anchor is not None and anchor.number > number:
            raise AuditBroken(
                f"the audit trail ends at entry {number}, and had {anchor.number} before"
            )
        if anchor is not None and anchor.number == 0:
            _compare(anchor, _START)
        return AuditHead(tenant, number, mac)

    def _locked_head(self, tenant: str) -> AuditHead:
        query = select(AUDIT_HEADS).where(AUDIT_HEADS.c.tenant == tenant).with_for_update()
        row = self._connection.execute(query).one_or_none()
        if row is None:
            self._begin(tenant)
            row = self._connection.execute(query).one()
        return AuditHead(*row)

    def _begin(self, tenant: str) -> None:
        statement = insert_or(self._connection, AUDIT_HEADS)
        statement = statement.values(tenant=tenant, number=0, mac=_START)
        self._connection.execute(statement.on_conflict_do_nothing())

    def _mac(self, entry: AuditEntry, before: str) -> str:
        values = attrs.asdict(entry) | {"at": entry.at.isoformat(), "mac": before}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _compare(head: AuditHead, mac: str, number: int | None = None) -> None:
    same = number is None or head.number == number
    if not same or not hmac.compare_digest(head.mac, mac):
        raise AuditBroken(f"the audit trail is not the one that had entry {head.number} as its end")


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)  # noqa: SLF001  # its public name
