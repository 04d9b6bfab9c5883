"""The audit trail of a tenant, for those who may read it.

Place: one page of the service, which the guide does not have.
"""

from __future__ import annotations

from cdds.access import Action, Principal
from cdds.catalog import AuditEntry, AuditHead
from cdds.errors import JobError
from cdds.service.context import Context
from cdds.service.filters import check_number

MAX_ENTRIES = 1000


class AuditTrail:
    """Who did what to which job, run, artifact or certificate of the principal's tenant.

    Every call raises `CatalogError` where the catalog fails.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def entries(
        self, principal: Principal, *, after: int = 0, limit: int = 100
    ) -> tuple[AuditEntry, ...]:
        """Return entries in their order.

        Args:
            principal: on whose behalf.
            after: the number of the last entry that is known already; 0 for the beginning.
            limit: the most entries, 1 to 1,000.

        Raises:
            AccessDenied: the principal may not read the trail.
            JobError: an argument is out of its range.
        """
        self._require(principal)
        check_number(after, "after", 0, 2**62)
        check_number(limit, "limit", 1, MAX_ENTRIES)
        with self._context.catalog.read() as transaction:
            return transaction.audit.some(principal.tenant, after, limit)

    def head(self, principal: Principal) -> AuditHead:
        """Return the end of the trail, a small value to keep outside the database.

        Raises:
            AccessDenied: the principal may not read the trail.
        """
        self._require(principal)
        with self._context.catalog.read() as transaction:
            return transaction.audit.head(principal.tenant)

    def verify(self, principal: Principal, head: AuditHead | None = None) -> AuditHead:
        """Prove that nothing of the trail was changed, dropped or cut off; return its end.

        Args:
            principal: on whose behalf.
            head: what `head` gave at any time before. Without it, a trail that was cut off together
                with its end in the database is not seen.

        Raises:
            AccessDenied: the principal may not read the trail.
            AuditBroken: the proof fails; the message says at which entry.
            JobError: `head` is none, or that of another tenant.
        """
        self._require(principal)
        if head is not None:
            _check_head(head)
        with self._context.catalog.read() as transaction:
            return transaction.audit.verify(principal.tenant, head)

    def _require(self, principal: Principal) -> None:
        self._context.access.owners(principal, Action.AUDIT)


def _check_head(head: object) -> None:
    is_head = isinstance(head, AuditHead) and isinstance(head.mac, str) and head.mac.isascii()
    if not is_head or not isinstance(head.number, int) or head.number < 0:  # type: ignore[attr-defined]
        raise JobError("head is what audit.head gave before, with nothing changed in it")
