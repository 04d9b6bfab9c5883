"""The Artifacts page of the guide: what can be downloaded, for how long, and its deletion.

Place: one page of the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from cdds.access import Action, Principal, Rights
from cdds.catalog import ArtifactEntry, Page, Transaction
from cdds.catalog.paging import Order
from cdds.errors import ArtifactGone, ArtifactMissing, JobError, NotFound, SinkError
from cdds.protocols import SigningSink
from cdds.service.context import Context, artifact_name, identifier
from cdds.service.download import Download
from cdds.service.events import ArtifactDownloaded
from cdds.service.filters import checked
from cdds.service.removal import Removed, remove_artifacts

_SHORTEST_URL = timedelta(seconds=1)

MAX_SELECTED = 100
"""The most artifacts that can be selected at once."""


class Artifacts:
    """The artifacts that a principal sees, and what can be done to them.

    Every call raises `AccessDenied` where the principal sees nothing at all, and `CatalogError`
    where the catalog fails.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, principal: Principal, name: str) -> ArtifactEntry:
        """Return what is known of an artifact that can be downloaded.

        Raises:
            NotFound: there is none of that name that the principal sees.
            ArtifactGone: it has expired, or is missing.
        """
        rights = self._context.access.rights(principal, Action.SEE)
        with self._context.catalog.read() as transaction:
            return self._find(transaction, principal, [name], rights)[0]

    def list(
        self,
        principal: Principal,
        *,
        run_id: str | None = None,
        job_id: str | None = None,
        title: str | None = None,
        dataset: str | None = None,
        sort: str = "created",
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[ArtifactEntry]:
        """Return a page of the artifacts that the principal can download, the latest first.

        Args:
            principal: on whose behalf.
            run_id: only artifacts of this run.
            job_id: only artifacts of this job, which may be deleted by now.
            title: only artifacts whose job's title holds this, without regard to case.
            dataset: only artifacts of this dataset.
            sort: ``"created"``, ``"expires"``, ``"name"``, ``"size"`` or ``"title"``.
            descending: whether the largest comes first.
            after: the `next` of the page before.
            limit: the most entries, 1 to 500.

        Raises:
            AccessDenied: the principal sees nothing.
            NotFound: `run_id` or `job_id` is no id.
            JobError: an argument is out of its range.
        """
        owners = self._context.visible_owners(principal)
        order = Order(sort=sort, descending=descending, after=after, limit=limit)
        wanted = checked(title=title, dataset=dataset)
        if run_id is not None:
            wanted["run_id"] = identifier(run_id, "run")
        if job_id is not None:
            wanted["job_id"] = identifier(job_id, "job")
        now = self._context.now()
        with self._context.catalog.read() as transaction:
            return transaction.artifacts.page(principal.tenant, owners, now, order, **wanted)

    def days_remaining(self, artifact: ArtifactEntry) -> int:
        """Return the whole days until an artifact is gone, rounded up: 0 exactly when it is.

        Raises:
            JobError: it is no artifact of the catalog.
        """
        if not isinstance(artifact, ArtifactEntry):
            raise JobError("the days are those of an ArtifactEntry, which get and list return")
        return artifact.days_remaining(self._context.now())

    def open(
        self, principal: Principal, name: str, *, start: int = 0, end: int | None = None
    ) -> Download:
        """Begin the download of an artifact, or of a part of it.

        A download of the whole is held against its SHA-256, and its last bytes are given out only
        if that is right.

        Args:
            principal: on whose behalf.
            name: the artifact, or the file of its set's digests, or that file's signature.
            start: the first byte, counted from 0; a download that broke off goes on there.
            end: the byte after the last; None for all.

        Raises:
            NotFound: there is none of that name that the principal sees.
            ArtifactGone: it has expired, was deleted, or is missing from the storage.
            AccessDenied: the principal may not download it.
            JobError: the range is none.
            SinkError: the storage cannot be read.
        """
        rights = self._context.access.rights(principal, Action.DOWNLOAD)
        with self._context.catalog.read() as transaction:
            beside = self._beside(transaction, principal, name, rights)
            if not beside:
                artifact = self._find(transaction, principal, [name], rights)[0]
        try:
            if beside:
                download = Download.unsized(self._context.sink, name, start, end)
            else:
                download = self._begin(artifact, principal, start, end)
        except ArtifactMissing:
            raise ArtifactGone("the artifact is missing from the storage") from None
        try:
            self._audit(principal, "artifact opened", name)
        except BaseException:
            download.close()
            raise
        return download

    def _begin(
        self, artifact: ArtifactEntry, principal: Principal, start: int, end: int | None
    ) -> Download:
        def complete() -> None:
            now = self._context.now()
            self._context.tell(ArtifactDownloaded(at=now, artifact=artifact, user=principal.user))

        return Download.of(self._context.sink, artifact, start, end, complete)

    def download(self, principal: Principal, names: Iterable[str]) -> Iterator[Download]:
        """Return the downloads of selected artifacts, each begun when it is asked for.

        >>> for download in service.artifacts.download(me, names):
        ...     download.save("folder")

        Raises:
            JobError: more than 100 are selected, or none.
            NotFound: one of them is not there; then none is begun.
            CddsError: as `open`.
        """
        selected = _selected(names)
        rights = self._context.access.rights(principal, Action.DOWNLOAD)
        with self._context.catalog.read() as transaction:
            self._find(transaction, principal, selected, rights)
        return (self.open(principal, name) for name in selected)

    def delete(self, principal: Principal, names: Iterable[str]) -> Removed:
        """Delete selected artifacts, at most 100; each leaves an entry in the audit.

        They can no longer be seen or opened from now on, also where the storage fails to remove
        them: then the next sweep does.

        Raises:
            JobError: more than 100 are selected, or none.
            NotFound: one of them is not there, or is gone (`ArtifactGone`); then none is deleted.
            AccessDenied: the principal may not delete one of them.
        """
        selected = _selected(names)
        rights = self._context.access.rights(principal, Action.DELETE)
        with self._context.catalog.write() as transaction:
            found = self._find(transaction, principal, selected, rights, lock=True)
            transaction.artifacts.mark(selected, "removing")
        return remove_artifacts(
            self._context, found, actor=principal.user, reason="its user deleted it"
        )

    def signed_url(self, principal: Principal, name: str, lifetime: timedelta) -> str:
        """Return a URL by which anybody can download an artifact for a while.

        Args:
            principal: on whose behalf.
            name: the artifact.
            lifetime: how long; never longer than the artifact lives.

        Raises:
            SinkError: the storage has no such URLs.
            JobError: the lifetime is none.
            CddsError: as `open`.
        """
        sink = self._context.sink
        if not isinstance(sink, SigningSink):
            raise SinkError("this storage has no signed URLs; open the artifact instead")
        if not isinstance(lifetime, timedelta) or lifetime < _SHORTEST_URL:
            raise JobError("the lifetime of a signed URL is a timedelta of a second or more")
        rights = self._context.access.rights(principal, Action.DOWNLOAD)
        with self._context.catalog.read() as transaction:
            artifact = self._find(transaction, principal, [name], rights)[0]
        remaining = artifact.expires - self._context.now()
        if remaining < _SHORTEST_URL:
            raise ArtifactGone("the artifact expires in this moment; run its job again")
        url = sink.signed_url(artifact.name, min(lifetime, remaining))
        self._audit(principal, "artifact URL signed", artifact.name)
        return url

    def _find(
        self,
        transaction: Transaction,
        principal: Principal,
        names: Sequence[str],
        rights: Rights,
        *,
        lock: bool = False,
    ) -> Sequence[ArtifactEntry]:
        names = [artifact_name(name) for name in names]
        there = transaction.artifacts.find(names, tenant=principal.tenant, lock=lock)
        now = self._context.now()
        found = []
        for name in names:
            artifact = there.get(name)
            if artifact is None:
                raise NotFound("there is no such artifact")
            rights.check(artifact.owner, "artifact")
            _check_there(artifact, now, rights.action)
            found.append(artifact)
        return found

    def _beside(
        self, transaction: Transaction, principal: Principal, name: str, rights: Rights
    ) -> bool:
        """Tell whether a file of digests, or a signature of one, is called that."""
        run_id = identifier(artifact_name(name)[len("export-") :][:36], "artifact")
        run = transaction.runs.find(run_id, tenant=principal.tenant)
        if run is None or name not in {run.digests, run.signature}:
            return False
        rights.check(run.owner, "artifact")
        if run.expires is None or run.expires <= self._context.now():
            raise ArtifactGone("the artifact has expired; run its job again")
        return True

    def _audit(self, principal: Principal, action: str, name: str) -> None:
        now = self._context.now()
        with self._context.catalog.write() as transaction:
            transaction.audit.append(
                principal.tenant, action, "artifact", name, at=now, actor=principal.user
            )


def _check_there(artifact: ArtifactEntry, now: datetime, action: Action) -> None:
    if artifact.state == "removing":
        raise ArtifactGone("the artifact was deleted")
    if artifact.expires <= now:
        raise ArtifactGone("the artifact has expired; run its job again")
    if artifact.state == "missing" and action is not Action.DELETE:
        raise ArtifactGone("the artifact is missing from the storage; run its job again")


def _selected(names: Iterable[str]) -> list[str]:
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise JobError("select artifacts by a list of names")
    selected = list(dict.fromkeys(map(artifact_name, names)))
    if not 1 <= len(selected) <= MAX_SELECTED:
        raise JobError(f"{len(selected)} artifacts are selected; select 1 to {MAX_SELECTED}")
    return selected
