"""`DownloadService`: wires the pages of the guide to a catalog, a storage and the host's sources.

Place: the top of the service, what a host makes once and shares. It has no rule of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import cast

from cdds.access import Access, PermissionPolicy, Policy
from cdds.catalog import Catalog, RunEntry
from cdds.clock import SystemClock, checked_clock
from cdds.crypto import Envelope, Signer
from cdds.datasets import BUILTIN
from cdds.errors import JobError, SinkError
from cdds.model import Dataset, Job, Transform
from cdds.protocols import CancelToken, Clock, Sink, Storage
from cdds.service.artifacts import Artifacts
from cdds.service.audit import AuditTrail
from cdds.service.chores import Chores
from cdds.service.context import Context, Seal, SourceOfTenant, StoringSink
from cdds.service.due import Due, Ran
from cdds.service.events import Listener
from cdds.service.execution import Execution
from cdds.service.filters import check_limit, check_number, check_token
from cdds.service.history import History
from cdds.service.jobs import Jobs
from cdds.service.preferences import Preferences
from cdds.service.reconciliation import Reconciled, Reconciliation
from cdds.service.retention import Retention
from cdds.sinks import open_sink
from cdds.wording import line

MAX_LIFETIME = timedelta(days=30)
"""The longest that an artifact may be kept, as the guide promises."""

_LONGEST = timedelta(days=36_500)
_MOST_THREADS = 256


class DownloadService:
    """Jobs, history, artifacts and preferences, for a host to put its own screens before.

    One service may be shared by all threads of a process, and any number of processes may have
    services on the same catalog and storage. No method is a coroutine: an asyncio host calls them
    by ``await asyncio.to_thread(service.jobs.list, principal)``.

    Args:
        catalog: the database.
        sink: where artifacts go: a folder, an fsspec URL, or a sink that is also a `Storage`.
        sources: for each name that jobs may choose, a function that is given a tenant and returns
            the source of that tenant's records alone.
        datasets: datasets of the host's own, beside `Interaction` and `Contact`.
        transforms: for datasets, by their names, what is changed in the records of their data files
            in every run of this service, such as
            ``{"Interaction": {"interaction": [cdds.transforms.Drop("FROMADDRESS")]}}``. It is not
            stored in the catalog: give all services on a catalog the same.
        match_case: False takes a field whose name differs only in case from a property of the
            schema for that property, in every run. It is not stored either.
        policy: who may do what; by the permissions of principals when left out.
        seal: makes the envelope for some recipients, such as
            ``functools.partial(Envelope, cipher="aes-256-gcm")``.
        signer: what signs the file of digests of each set, if anything shall.
        clock: tells the time.
        lifetime: how long artifacts are kept, at most 30 days.
        history_lifetime: how long runs stay in the history after their end; for ever when left out.
        lease: how long a run counts as alive after its last sign of life.
        retry_pause: how long to wait before a scheduled run is tried again that failed with an
            error that says it is worth it; each further pause is four times as long, an hour at
            most.
        notice: how long before their expiry `retention.remind` tells of artifacts.
        listeners: called with events after they are committed.
        threads: how many threads deflate and validate in each run; two to four by default.

    Attributes:
        jobs: the Jobs page.
        history: the History page.
        artifacts: the Artifacts page.
        preferences: the User preferences.
        audit: who did what.
        retention: the host's own work: what is past its time.
        due: the host's own work: the runs that are due, for schedulers.
        chores: the host's own work: what is done now and then, by one host of many.

    Raises:
        JobError: an argument is out of its range.
        SinkError: the sink cannot give back, list and remove what it holds.

    >>> service = DownloadService(
    ...     catalog=Catalog("cdds.db", audit_key=key),
    ...     sink="exports",
    ...     sources={"Contact History": lambda tenant: JsonLines(interaction=path_of(tenant))},
    ... )
    >>> me = Principal("alice", "acme")
    >>> service.preferences.set_certificate(me, uploaded)
    >>> job = service.jobs.add(
    ...     me, JobSettings(title="All mail", source="Contact History", dataset="Interaction")
    ... )
    >>> run = service.jobs.run_now(me, job.id)
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        sink: str | os.PathLike[str] | Sink,
        sources: Mapping[str, SourceOfTenant],
        datasets: Iterable[Dataset] = (),
        transforms: Mapping[str, Mapping[str, Iterable[Transform]]] | None = None,
        match_case: bool = True,
        policy: Policy | None = None,
        seal: Seal = Envelope,
        signer: Signer | None = None,
        clock: Clock | None = None,
        lifetime: timedelta = MAX_LIFETIME,
        history_lifetime: timedelta | None = None,
        lease: timedelta = timedelta(seconds=60),
        notice: timedelta = timedelta(days=3),
        retry_pause: timedelta = timedelta(minutes=1),
        listeners: Iterable[Listener] = (),
        threads: int | None = None,
    ) -> None:
        _check_spans(
            lifetime=lifetime,
            history_lifetime=history_lifetime,
            lease=lease,
            notice=notice,
            retry_pause=retry_pause,
        )
        _check_parts(catalog, policy, seal, signer)
        if threads is not None:
            check_number(threads, "threads", 1, _MOST_THREADS)
        known = _datasets(datasets)
        context = Context(
            catalog=catalog,
            sink=_storing(open_sink(sink)),
            sources=_sources(sources),
            datasets=known,
            transforms=_transforms(transforms, known),
            match_case=match_case,
            access=Access(PermissionPolicy() if policy is None else policy),
            clock=SystemClock() if clock is None else checked_clock(clock),
            seal=seal,
            signer=signer,
            lifetime=lifetime,
            history_lifetime=history_lifetime,
            lease=lease,
            notice=notice,
            retry_pause=retry_pause,
            listeners=_listeners(listeners),
            threads=threads,
        )
        self._context = context
        execution = Execution(context)
        self.jobs = Jobs(context, execution)
        self.history = History(context, self.jobs)
        self.artifacts = Artifacts(context)
        self.preferences = Preferences(context)
        self.audit = AuditTrail(context)
        self.retention = Retention(context)
        self.due = Due(context, execution)
        self.chores = Chores(context)

    def run_due(self, limit: int = 100, stop: CancelToken | None = None) -> tuple[RunEntry, ...]:
        """Run what is due until nothing is, on this thread, and return the runs that finished.

        A run that fails is logged and stands in the history. This is the host's own work, over all
        tenants: call it from a loop, from cron, or from a worker; a `Scheduler` does so by itself.

        Args:
            limit: the most runs; a job that is due for several starts takes as many.
            stop: set by a signal or another thread to begin nothing more and to stop the run in
                progress, which is then due again at once.

        Raises:
            CatalogError: the catalog failed.
            JobError: `limit` is no whole number from 1 to 1,000,000, or `stop` no token.
        """
        check_limit(limit)
        check_token(stop, "stop")
        ran: list[Ran] = []
        set_aside: set[str] = set()
        # Each job that is tried counts as a run or is set aside, so this comes to an end.
        while (left := limit - len(ran)) > 0 and not _is_set(stop):
            job_ids = self.due.jobs(left, set_aside)
            if not job_ids:
                break
            for job_id in job_ids:
                if _is_set(stop):
                    break
                outcome = self.due.run(job_id, stop)
                if outcome.outcome in {"finished", "failed"}:
                    ran.append(outcome)
                else:
                    set_aside.add(job_id)
        return tuple(each.run for each in ran if each.run is not None)

    def reconcile(self) -> Reconciled:
        """Hold the catalog against the storage, and mend what a crash has left.

        Runs whose worker is dead are shown as failed, and their jobs can be run again; what they
        left in the storage is removed; artifacts whose file is missing are marked. This is the
        host's own work, over all tenants: do it at the start, and now and then.

        Raises:
            CatalogError: the catalog failed.
            SinkError: the storage failed.
        """
        return Reconciliation(self._context).run()


def _is_set(stop: CancelToken | None) -> bool:
    return stop is not None and stop.is_set()


def _check_spans(
    *, lifetime: timedelta, history_lifetime: timedelta | None, **spans: timedelta
) -> None:
    spans["lifetime"] = lifetime
    if history_lifetime is not None:
        spans["history_lifetime"] = history_lifetime
    for name, span in spans.items():
        if not isinstance(span, timedelta) or not timedelta() < span <= _LONGEST:
            raise JobError(f"{name} must be a timedelta above zero, of at most 100 years")
    if lifetime > MAX_LIFETIME:
        raise JobError("artifacts are kept for 30 days at most; choose a shorter lifetime")


def _storing(sink: Sink) -> StoringSink:
    if not isinstance(sink, Storage):
        raise SinkError(
            "a service needs a sink that can also read, list and remove (a cdds Storage)"
        )
    return cast(StoringSink, sink)


def _sources(sources: Mapping[str, SourceOfTenant]) -> dict[str, SourceOfTenant]:
    if not isinstance(sources, Mapping):
        raise JobError("sources is a mapping of names to functions that return a tenant's source")
    checked = {line(name, "the name of a source"): make for name, make in sources.items()}
    if not checked or not all(map(callable, checked.values())):
        raise JobError(
            "a service needs sources: names with functions that take a tenant and return its source"
        )
    return checked


def _check_parts(catalog: object, policy: object, seal: object, signer: object) -> None:
    if not isinstance(catalog, Catalog):
        raise JobError("catalog must be a cdds.Catalog")
    if policy is not None and not callable(getattr(policy, "owners", None)):
        raise JobError("policy must have the method of cdds.access.Policy, owners")
    if not callable(seal):
        raise JobError("seal must be a function that returns the envelope for some recipients")
    if signer is not None and not isinstance(signer, Signer):
        raise JobError("signer must be a cdds.Signer")


def _datasets(datasets: Iterable[Dataset]) -> dict[str, Dataset]:
    own = tuple(datasets) if isinstance(datasets, Iterable) else (None,)
    if not all(isinstance(dataset, Dataset) for dataset in own):
        raise JobError("datasets is a list of values of cdds.Dataset")
    return {dataset.name: dataset for dataset in (*BUILTIN, *own) if dataset is not None}


def _transforms(
    transforms: Mapping[str, Mapping[str, Iterable[Transform]]] | None,
    datasets: Mapping[str, Dataset],
) -> dict[str, Mapping[str, Sequence[Transform]]]:
    given = {} if transforms is None else transforms
    if not isinstance(given, Mapping):
        raise JobError("transforms is a mapping of names of datasets to those of their data files")
    unknown = [name for name in given if name not in datasets]
    if unknown:
        raise JobError(
            f"transforms: there is no dataset {unknown[0]!r}; known are {', '.join(datasets)}"
        )
    return {
        name: Job(dataset=datasets[name], transforms=of_files).transforms
        for name, of_files in given.items()
    }


def _listeners(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    given = tuple(listeners) if isinstance(listeners, Iterable) else (None,)
    if not all(map(callable, given)):
        raise JobError("listeners is a list of functions that are called with events")
    return tuple(listener for listener in given if listener is not None)
