"""The audit trail of a tenant, for those who may read it.

Place: one page of the service, which the guide does not have.
"""

from __future__ import annotations

from cdds.access import Action, Principal
from cdds.catalog import AuditEntry, AuditHead
from cdds.errors import JobError
from cdds.service.context import Context

MAX_ENTRIES = 1000


class AuditTrail:
    """Who did what to which job, run, artifact or certificate of the principal's tenant."""

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
        for value, least, most in ((after, 0, 2**62), (limit, 1, MAX_ENTRIES)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise JobError(f"after is a number, and limit one from 1 to {MAX_ENTRIES}")
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
        """
        self._require(principal)
        with self._context.catalog.read() as transaction:
            return transaction.audit.verify(principal.tenant, head)

    def _require(self, principal: Principal) -> None:
        self._context.access.owners(principal, Action.AUDIT)
