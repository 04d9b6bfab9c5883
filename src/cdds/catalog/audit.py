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
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, select, update

from cdds.catalog.engine import insert_or_keep
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
        self.extend(tenant, action, kind, {subject: details}, at=at, actor=actor)

    def extend(
        self,
        tenant: str,
        action: str,
        kind: str,
        subjects: Mapping[str, Mapping[str, Any]],
        *,
        at: datetime,
        actor: str = "",
    ) -> None:
        """Append an entry for each of some subjects, to which the same was done, with details."""
        if not subjects:
            return
        head = self._locked_head(tenant)
        entries = []
        for subject, details in subjects.items():
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
            head = AuditHead(tenant, entry.number, self._mac(entry, head.mac))
            entries.append(attrs.asdict(attrs.evolve(entry, mac=head.mac)))
        self._connection.execute(AUDIT.insert(), entries)
        self._connection.execute(
            update(AUDIT_HEADS)
            .where(AUDIT_HEADS.c.tenant == tenant)
            .values(number=head.number, mac=head.mac)
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
        # Read before the entries: others may append meanwhile.
        heads = [head for head in (anchor, self.head(tenant)) if head is not None]
        end = AuditHead(tenant, 0, _START)
        _compare(heads, end)
        try:
            for entry in self.entries(tenant):
                end = self._next(end, entry)
                _compare(heads, end)
        except (TypeError, ValueError) as error:
            raise AuditBroken(
                f"an entry of the audit trail after {end.number} cannot be read"
            ) from error
        if self.head(tenant).number < end.number:
            raise AuditBroken("the audit trail has entries beyond its end")
        most = max(head.number for head in heads)
        if end.number < most:
            raise AuditBroken(f"the audit trail ends at entry {end.number}, and had {most} before")
        return end

    def _next(self, end: AuditHead, entry: AuditEntry) -> AuditHead:
        """Return the end that an entry makes, if it is the next."""
        number = end.number + 1
        if entry.number != number:
            raise AuditBroken(f"entry {number} of the audit trail is missing")
        if not _same(entry.mac, self._mac(entry, end.mac)):
            raise AuditBroken(f"entry {number} of the audit trail was changed")
        return AuditHead(entry.tenant, number, entry.mac)

    def _locked_head(self, tenant: str) -> AuditHead:
        query = select(AUDIT_HEADS).where(AUDIT_HEADS.c.tenant == tenant).with_for_update()
        row = self._connection.execute(query).one_or_none()
        if row is None:
            values = {"tenant": tenant, "number": 0, "mac": _START}
            self._connection.execute(insert_or_keep(self._connection, AUDIT_HEADS, values))
            row = self._connection.execute(query).one()
        return AuditHead(*row)

    def _mac(self, entry: AuditEntry, before: str) -> str:
        values = attrs.asdict(entry) | {"at": entry.at.isoformat(), "mac": before}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def check_value(key: bytes) -> str:
    """Return what tells a key from another, and tells nothing of it."""
    return hmac.new(key, b"cdds audit key", hashlib.sha256).hexdigest()


def _same(mac: str, other: str) -> bool:
    return hmac.compare_digest(mac.encode(), other.encode())


def _compare(heads: Iterable[AuditHead], end: AuditHead) -> None:
    for head in heads:
        if head.number == end.number and not _same(head.mac, end.mac):
            raise AuditBroken(
                f"the audit trail is not the one that had entry {head.number} as its end"
            )


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)  # noqa: SLF001  # its public name
