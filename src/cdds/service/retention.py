"""What is gone after its time: artifacts after 30 days at most, and at last the history of runs.

Place: the host's own work over all tenants, on behalf of no user; a scheduler does it, or a cron
job. An artifact past its expiry cannot be opened anyway; the sweep deletes its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs

from cdds.catalog import ArtifactEntry, RunEntry
from cdds.crypto.certificates import EXPIRY_NOTICE
from cdds.service.context import Context
from cdds.service.events import ArtifactExpiring, CertificateExpiring
from cdds.service.filters import check_limit
from cdds.service.removal import remove_artifacts, remove_rest

_AT_ONCE = 200


@attrs.frozen(kw_only=True)
class Plan:
    """What a sweep would do now.

    Attributes:
        artifacts: those that are past their expiry, or whose removal was begun, at most `limit`.
        runs: those that would be taken out of the history.
    """

    artifacts: tuple[ArtifactEntry, ...]
    runs: tuple[RunEntry, ...]


@attrs.frozen(kw_only=True)
class Swept:
    """What a sweep did.

    Attributes:
        artifacts: how many were removed.
        failed: the names of those that the storage would not remove; the next sweep tries again.
        runs: how many runs were taken out of the history.
    """

    artifacts: int = 0
    failed: tuple[str, ...] = ()
    runs: int = 0


class Retention:
    """Finds what is past its time, and removes it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def plan(self, limit: int = 1000) -> Plan:
        """Return what `sweep` would remove now, at most `limit` of each kind.

        Raises:
            JobError: `limit` is no whole number from 1 to 1,000,000.
        """
        check_limit(limit)
        now = self._context.now()
        with self._context.catalog.read() as transaction:
            removing = transaction.artifacts.removing(limit)
            expired = transaction.artifacts.expired(now, limit - len(removing))
            runs = transaction.runs.removable(self._history_ends(now), limit, without=now)
        return Plan(artifacts=(*removing, *expired), runs=tuple(runs))

    def sweep(self) -> Swept:
        """Remove what is past its time, and finish what was left half removed.

        Any number of processes may sweep at once. What the storage fails to remove is logged, and
        left for the next sweep.

        Raises:
            CatalogError: the catalog failed; the next sweep goes on.
        """
        removed = 0
        failed: list[str] = []
        for some in self._due():
            outcome = remove_artifacts(self._context, some, reason="its time was over")
            removed += len(outcome.names)
            failed += outcome.failed
        return Swept(artifacts=removed, failed=tuple(failed), runs=self._purge())

    def remind(self) -> int:
        """Tell the listeners, once, of certificates and artifacts that expire soon.

        Returns how many they are. Of several that remind at once, each is told by one.

        Raises:
            CatalogError: the catalog failed.
        """
        count = 0
        while told := self._remind_some():
            count += told
        return count

    def _remind_some(self) -> int:
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            artifacts = transaction.artifacts.expiring(now + self._context.notice, _AT_ONCE)
            told = transaction.artifacts.mark_told(artifact.name for artifact in artifacts)
            artifacts = [artifact for artifact in artifacts if artifact.name in told]
            certificates = transaction.preferences.expiring(now + EXPIRY_NOTICE, _AT_ONCE)
            certificates = list(filter(transaction.preferences.mark_told, certificates))
        self._context.tell(
            *(ArtifactExpiring(at=now, artifact=artifact) for artifact in artifacts),
            *(CertificateExpiring(at=now, certificate=entry) for entry in certificates),
        )
        return len(artifacts) + len(certificates)

    def _due(self) -> Iterator[list[ArtifactEntry]]:
        """Yield what is to be removed, block by block, each marked before it is yielded."""
        after = ""
        while True:
            with self._context.catalog.read() as transaction:
                some = list(transaction.artifacts.removing(_AT_ONCE, after))
            if not some:
                break
            yield some
            after = some[-1].name
        while True:
            with self._context.catalog.write() as transaction:
                some = list(transaction.artifacts.expired(self._context.now(), _AT_ONCE))
                transaction.artifacts.mark((artifact.name for artifact in some), "removing")
            if not some:
                return
            yield some

    def _purge(self) -> int:
        """Take runs out of the history that are deleted, or older than the host wants to keep."""
        count = 0
        before = self._history_ends(self._context.now())
        while True:
            with self._context.catalog.read() as transaction:
                runs = transaction.runs.removable(before, _AT_ONCE)
            purged = sum(map(self._purge_one, runs))
            if not purged:  # none is left, or the storage fails
                return count
            count += purged

    def _purge_one(self, run: RunEntry) -> bool:
        if not remove_rest(self._context, run):
            return False
        with self._context.catalog.write() as transaction:
            if not transaction.runs.delete(run.id):
                return False
            transaction.audit.append(
                run.tenant, "run purged", "run", run.id, at=self._context.now(), job=run.job_id
            )
            return True

    def _history_ends(self, now: datetime) -> datetime | None:
        return (
            None if self._context.history_lifetime is None else now - self._context.history_lifetime
        )
