"""Removes artifacts: off the lists first, then from the sink, then from the catalog.

Place: shared by the pages that delete and by retention. Whatever step a crash comes after, the rest
is done by the next sweep, for the rows stay until the files are gone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

import attrs

from cdds.catalog import ArtifactEntry, RunEntry
from cdds.errors import CatalogError
from cdds.protocols import Storage, Stored
from cdds.service.context import Context
from cdds.service.events import ArtifactRemoved
from cdds.service.reasons import in_words

_MARK = ".sha256"
_AT_ONCE = 200
_log = logging.getLogger(__name__)


@attrs.frozen
class Removed:
    """What became of a removal.

    Attributes:
        names: the artifacts that are gone.
        failed: those that the storage would not remove, or whose digests it would not; the next
            sweep tries again.
    """

    names: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def remove_set(sink: Storage, run_id: str) -> None:
    """Remove all that a run has left in the sink, its commit mark first.

    Raises:
        SinkError: the sink would not; what is left is found by `reconcile`.
    """
    items = list(sink.stored(f"export-{run_id}."))
    for item in sorted(items, key=lambda item: not item.name.endswith(_MARK)):
        sink.remove(item)


def remove_rest(context: Context, run: RunEntry) -> bool:
    """Remove whatever a run still has in the sink; tell whether it is gone.

    Called before the row of the run goes, for without it nothing tells whose those files are. A run
    that failed may have left some, too.
    """
    if run.status == "finished" and run.digests is None:
        return True  # its artifacts were removed one by one, and nothing else was there
    try:
        remove_set(context.sink, run.id)
    except Exception as error:  # noqa: BLE001  # a host's storage has errors of its own
        _log.warning("run %s: what it left could not be removed: %s", run.id, in_words(error))
        return False
    return True


def remove_artifacts(
    context: Context, artifacts: Iterable[ArtifactEntry], *, actor: str = "", reason: str
) -> Removed:
    """Remove artifacts whose rows are marked as removing; each leaves an entry in the audit."""
    runs: dict[str, list[ArtifactEntry]] = defaultdict(list)
    for artifact in artifacts:
        runs[artifact.run_id].append(artifact)
    removed: list[str] = []
    failed: list[str] = []
    for run_id, some in runs.items():
        for start in range(0, len(some), _AT_ONCE):
            block = some[start : start + _AT_ONCE]
            gone = _remove_files(context, run_id, block)
            _forget(context, run_id, gone, actor, reason)
            names = [artifact.name for artifact in gone]
            removed += names
            failed += sorted({artifact.name for artifact in block}.difference(names))
    return Removed(tuple(removed), tuple(failed))


def _remove_files(
    context: Context, run_id: str, artifacts: Sequence[ArtifactEntry]
) -> Sequence[ArtifactEntry]:
    """Remove files, and return those that are gone: none, where their mark cannot be removed."""
    gone: list[ArtifactEntry] = []
    try:
        _remove_mark(context, run_id)
    except CatalogError:
        raise
    except Exception as error:  # noqa: BLE001  # a host's storage has errors of its own
        _log.warning("run %s: its digests could not be removed: %s", run_id, in_words(error))
        return gone
    for artifact in artifacts:
        try:
            context.sink.remove(Stored(artifact.name, artifact.size))
        except Exception as error:  # noqa: BLE001  # as above; the others shall go all the same
            _log.warning("%s could not be removed: %s", artifact.name, in_words(error))
        else:
            gone.append(artifact)
    return gone


def _remove_mark(context: Context, run_id: str) -> None:
    """Remove the digests of a set, and their signature, when no part of it shall be left."""
    with context.catalog.read() as transaction:
        run = transaction.runs.find(run_id, hidden=True)
        if run is None or transaction.artifacts.has_any(run_id, removing=False):
            return
    for name in (run.digests, run.signature):
        if name is not None:
            context.sink.remove(Stored(name, 0))


def _forget(
    context: Context, run_id: str, artifacts: Sequence[ArtifactEntry], actor: str, reason: str
) -> None:
    now = context.now()
    with context.catalog.write() as transaction:
        # The order in which all lock: the run, and then its artifacts by name.
        transaction.runs.find(run_id, lock=True, hidden=True)
        by_name = sorted(artifacts, key=lambda artifact: artifact.name)
        gone = [artifact for artifact in by_name if transaction.artifacts.delete(artifact.name)]
        if not transaction.artifacts.has_any(run_id, removing=True):
            transaction.runs.forget_files(run_id)
        evidence = {
            artifact.name: {
                "reason": reason,
                "run": run_id,
                "size": artifact.size,
                "sha256": artifact.sha256,
            }
            for artifact in gone
        }
        if gone:
            transaction.audit.extend(
                gone[0].tenant, "artifact deleted", "artifact", evidence, at=now, actor=actor
            )
    context.tell(*(ArtifactRemoved(at=now, artifact=artifact) for artifact in gone))
