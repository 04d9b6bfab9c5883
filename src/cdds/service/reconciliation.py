"""Holds the catalog against the storage, in both directions, after whatever happened to either.

Place: the host's own work over all tenants, on behalf of no user; done at its start, and now and
then. It never touches what is not ours, or what a live run is writing: every file of ours bears the
id of a run of this catalog, which was there before the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

import attrs

from cdds.catalog import ArtifactEntry, ArtifactState, RunEntry
from cdds.protocols import Stored
from cdds.service.context import Context
from cdds.service.endings import end_lapsed

_OURS = re.compile(r"export-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.")
_AT_ONCE = 500


@attrs.frozen(kw_only=True)
class Reconciled:
    """What a reconciliation found and did.

    Attributes:
        failed_runs: runs whose worker gave no sign of life; they are shown as failed now.
        leftovers: files of runs that failed, or of artifacts that were deleted; removed.
        missing: artifacts whose file is not there, or not of their size; marked as missing.
        found: artifacts that were missing and are there again.
        foreign: how many other files are in the storage; left alone.
    """

    failed_runs: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    foreign: int = 0


class Reconciliation:
    """Finds what does not agree, and mends it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self) -> Reconciled:
        """Compare storage and catalog, and mend what does not agree.

        Raises:
            CatalogError: the catalog failed.
            SinkError: the storage cannot be listed, or a leftover not be removed.
        """
        failed_runs = end_lapsed(self._context)
        self._recount()
        sizes: dict[str, int] = {}
        leftovers: list[str] = []
        foreign = 0
        for block in self._blocks():
            wanted, unwanted, others = self._sorted(block)
            sizes |= {item.name: item.size for item in wanted}
            foreign += others
            for item in unwanted:
                self._context.sink.remove(item)
                leftovers.append(item.name)
        missing, found = self._compare(sizes)
        return Reconciled(
            failed_runs=failed_runs,
            leftovers=tuple(leftovers),
            missing=tuple(missing),
            found=tuple(found),
            foreign=foreign,
        )

    def _recount(self) -> None:
        """Correct how many runs of each job are in progress.

        Versions that did not count them may have ended some after the catalog was brought up to
        date, and such a job would be taken for busy for ever.
        """
        with self._context.catalog.read() as transaction:
            job_ids = transaction.jobs.miscounted()
        for job_id in job_ids:
            with self._context.catalog.write() as transaction:
                job = transaction.jobs.find(job_id, lock=True)
                if job is not None:
                    running = transaction.runs.in_progress(job_id)
                    transaction.jobs.replace(attrs.evolve(job, running=running))

    def _blocks(self) -> Iterator[Sequence[Stored]]:
        items = iter(self._context.sink.stored())
        while block := list(islice(items, _AT_ONCE)):
            yield block

    def _sorted(self, block: Sequence[Stored]) -> tuple[list[Stored], list[Stored], int]:
        """Return what is wanted, what is left over, and how many are none of ours."""
        run_ids = {item.name: match[1] for item in block if (match := _OURS.match(item.name))}
        with self._context.catalog.read() as transaction:
            runs = transaction.runs.find_all(set(run_ids.values()))
            artifacts = transaction.artifacts.find(run_ids)
        wanted, unwanted, others = [], [], 0
        for item in block:
            run = runs.get(run_ids.get(item.name, ""))
            if run is None:
                others += 1
            elif _is_wanted(item, run, artifacts):
                wanted.append(item)
            elif not run.is_in_progress:
                unwanted.append(item)
        return wanted, unwanted, others

    def _compare(self, sizes: dict[str, int]) -> tuple[list[str], list[str]]:
        """Mark artifacts whose file is not there, and those whose file is there again."""
        gone: list[ArtifactEntry] = []
        found: list[str] = []
        for block in self._artifacts():
            back = [entry for entry in block if entry.state == "missing" and _fits(entry, sizes)]
            gone += [
                entry for entry in block if entry.state == "stored" and not _fits(entry, sizes)
            ]
            found += self._mark(back, "stored")
        if gone:  # some may have been stored since the storage was listed
            names = {entry.name for entry in gone}
            now = {
                item.name: item.size
                for item in self._context.sink.stored()
                if item.staged is None and item.name in names
            }
            gone = [entry for entry in gone if not _fits(entry, now)]
        missing: list[str] = []
        for start in range(0, len(gone), _AT_ONCE):
            missing += self._mark(gone[start : start + _AT_ONCE], "missing")
        return missing, found

    def _artifacts(self) -> Iterator[Sequence[ArtifactEntry]]:
        after = ""
        while True:
            with self._context.catalog.read() as transaction:
                block = transaction.artifacts.block(after, _AT_ONCE)
            yield block
            if len(block) < _AT_ONCE:
                return
            after = block[-1].name

    def _mark(self, artifacts: Sequence[ArtifactEntry], state: ArtifactState) -> list[str]:
        """Set the state of artifacts that nobody has changed meanwhile, and return their names."""
        if not artifacts:
            return []
        before = {artifact.name: artifact.state for artifact in artifacts}
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            present = transaction.artifacts.find(before, lock=True)
            changed = [entry for name, entry in present.items() if entry.state == before[name]]
            transaction.artifacts.mark((entry.name for entry in changed), state)
            action = "artifact missing" if state == "missing" else "artifact found"
            for entry in sorted(changed, key=lambda entry: entry.tenant):  # as all lock
                transaction.audit.append(entry.tenant, action, "artifact", entry.name, at=now)
        return [entry.name for entry in changed]


def _is_wanted(item: Stored, run: RunEntry, artifacts: dict[str, ArtifactEntry]) -> bool:
    if item.staged is not None or run.status != "finished":
        return False
    return item.name in artifacts or item.name in {run.digests, run.signature}


def _fits(artifact: ArtifactEntry, sizes: dict[str, int]) -> bool:
    """Tell whether the file of an artifact is there, with its size."""
    return sizes.get(artifact.name) == artifact.size
