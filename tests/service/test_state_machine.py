"""The service against a small model of the guide, under random operations of two tenants.

Hypothesis makes up who does what, in which order, and how much time passes between; the model in
`guide_model.py` says what has to come of it. Time is a value, so thirty days pass at once.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import attrs
import fsspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from guide_model import (
    CHIEFS,
    DAY,
    GRANTED,
    HOUR,
    MEDIA,
    MINUTE,
    PEOPLE,
    SOURCES,
    START,
    Decision,
    File,
    Guide,
    Job,
    Refusals,
    Run,
    Upload,
    file_sort_key,
    holds,
    is_same,
    job_sort_key,
    key,
    run_sort_key,
)
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stores import MemoryStore, numbers

import cdds
from cdds.access import Permission, Principal
from cdds.catalog import AuditHead, JobSettings, Page, RunEntry
from cdds.crypto.certificates import Recipient
from cdds.errors import (
    AccessDenied,
    ArtifactGone,
    Cancelled,
    CddsError,
    JobError,
    NotEditable,
    NotFound,
    NotResumable,
    NotRunnable,
    SinkError,
    SourceError,
    SourceUnavailable,
    StillInProgress,
)
from cdds.protocols import Source, Stored
from cdds.schedule import Hourly, Once
from cdds.sinks import open_sink

T = TypeVar("T")
KEY = b"k" * 32
SECRET = "what nobody may read in the history"
NOISE = random.Random(1).randbytes(60_000).hex()  # a ZIP of it has more than 64 KiB
MEDDLINGS = ("token", "cancel", "cancel late", "meddle", "suspend", None, None, None, None)


@pytest.fixture(scope="session")
def uploads(holders: Any, issue: Any) -> tuple[Upload, ...]:
    """Return what people upload as their certificates."""

    def valid(name: str, holder: int, start: timedelta, end: timedelta) -> Upload:
        made = issue(name, key=holders[holder].key, start=START + start, end=START + end)
        return Upload(
            made.public_bytes(serialization.Encoding.PEM),
            name,
            Recipient(made).fingerprint,
            made.not_valid_before_utc,
            made.not_valid_after_utc,
        )

    other = issue("elliptic", key=ec.generate_private_key(ec.SECP256R1()), start=START)
    return (
        valid("good", 0, -DAY, 9999 * DAY),
        valid("other", 1, -DAY, 9999 * DAY),
        valid("short", 0, -DAY, 3 * DAY),
        valid("expired", 0, -9 * DAY, -DAY),
        valid("early", 1, 2 * DAY, 9999 * DAY),
        Upload(b"no certificate", "garbage"),
        Upload(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "broken"),
        Upload(other.public_bytes(serialization.Encoding.PEM), "elliptic"),
    )


class SetClock:
    """A clock that shows what it was set to."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> Any:
        return self.moment


class StubbornStorage:
    """The storage in memory, which at times removes nothing."""

    def __init__(self, url: str) -> None:
        self._sink: Any = open_sink(url)
        self.refuses = False

    def create(self, name: str) -> Any:
        return self._sink.create(name)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        chunks: Iterator[bytes] = self._sink.read(name, start, end)
        return chunks

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        items: Iterator[Stored] = self._sink.stored(prefix)
        return items

    def remove(self, item: Stored) -> None:
        if self.refuses:
            raise SinkError("the storage removes nothing today")
        self._sink.remove(item)


_CHARACTERS = st.characters(exclude_categories=["Cc", "Cs"])
TITLES = st.one_of(
    st.sampled_from(
        [
            "Interactions backup",
            "INTERACTIONS BACKUP",
            "Interactions backup clone",
            "100%",
            "a_b",
            "a/b\\c",
            "'; DROP TABLE cdds_jobs; --",
            '"quoted"',
            "\u202eright to left\u200f",
            "😀🏳️‍🌈",
            "Straße",
            "STRASSE",
            "é",
            "e\u0301",
            " spaces ",
            "x" * 200,
            "😀" * 200,
            "ﷺ" * 200,
        ]
    ),
    st.text(_CHARACTERS, min_size=1, max_size=200).filter(str.strip),
)
PIECES = st.sampled_from(["%", "_", "backup", "BACK", "'", "ss", "/", "\\", "😀", "é", "zzz", "x"])
BAD_SETTINGS: list[dict[str, Any]] = [
    *({"title": title} for title in ["", "  ", "a\0b", "a\nb", "x" * 201, "\ud800", None, 5]),
    *({"split_size": size} for size in [0, 65_535, 2**32, "big", 1.5]),
    {"media_types": []},
    {"media_types": "chat"},
    {"recurrence": "hourly"},
    {"timeframe": "yesterday"},
    {"recipients": "one"},
    {"max_rejects": -1},
    {"level": "tiny"},
    *({"misfire": policy} for policy in ["all", None, 1]),
    *({"misfire_grace_time": span} for span in [timedelta(), 367 * DAY, 60]),
    *({"max_retries": number} for number in [-1, 11, True, "3"]),
    *({"max_instances": number} for number in [0, 17, None]),
]
POLICIES: dict[str, st.SearchStrategy[Any]] = {
    "misfire": st.sampled_from(["one", "each", "none"]),
    "misfire_grace_time": st.sampled_from([timedelta(seconds=1), MINUTE, 3 * HOUR]),
    "max_retries": st.sampled_from([0, 1, 3, 6]),
}


def recurrences(now: Any) -> st.SearchStrategy[Any]:
    spans = st.sampled_from([-HOUR, timedelta(), timedelta(minutes=1), 5 * HOUR, 3 * DAY])
    moments = spans.map(lambda span: now + span)
    hourly = st.builds(
        lambda every, start: Hourly(every, start=start), st.integers(1, 24), st.none() | moments
    )
    return st.one_of(st.just(Once()), moments.map(Once), hourly)


FAULTS = (
    RuntimeError(SECRET),
    SourceError("it is closed"),
    SourceUnavailable("it is away"),
    ConnectionError(SECRET),
)
SOUND_CHANGES = ("title", "recurrence", "split_size", *POLICIES)


class Service(RuleBasedStateMachine):
    """What people and the host do, each step held against the model."""

    new_url: ClassVar[Callable[[], Any]]
    uploads: ClassVar[tuple[Upload, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.clock = SetClock()
        self.faults: dict[str, Exception] = {}
        self.heads: dict[str, list[AuditHead]] = {tenant: [] for tenant in MEDIA}
        self.removed_names: list[str] = []
        self.steps = 0

    def teardown(self) -> None:
        self.stack.close()
        if hasattr(self, "store"):
            filesystem = fsspec.filesystem("memory")
            if filesystem.exists(f"/{self.store.root}"):
                filesystem.rm(f"/{self.store.root}", recursive=True)

    @initialize(
        lifetime=st.sampled_from([30 * DAY, 30 * DAY, 2 * DAY, timedelta(minutes=90)]),
        history=st.sampled_from([None, None, DAY, 40 * DAY]),
        uncertified=st.sets(st.sampled_from(PEOPLE)),
        data=st.data(),
    )
    def open_service(
        self,
        lifetime: timedelta,
        history: timedelta | None,
        uncertified: set[Principal],
        data: st.DataObject,
    ) -> None:
        root = f"machine-{next(numbers)}"
        self.storage = StubbornStorage(f"memory://{root}")
        self.store = MemoryStore(root, self.storage)
        url = self.stack.enter_context(type(self).new_url())
        catalog = self.stack.enter_context(cdds.Catalog(url, audit_key=KEY, clock=self.clock))
        self.service = cdds.DownloadService(
            catalog=catalog,
            sink=self.storage,
            sources={"UCS": self.interactions, "CRM": self.contacts},
            clock=self.clock,
            lifetime=lifetime,
            history_lifetime=history,
            threads=1,
        )
        self.guide = Guide(lifetime, history)
        for principal in PEOPLE:
            if principal not in uncertified:
                self.upload_certificate(principal, self.uploads[0])
        for _ in range(3):
            self.add_sound_job(data)

    # What the sources give.

    def interactions(self, tenant: str) -> Source:
        return self.source(
            tenant,
            "interaction",
            [
                {"IXNID": f"{number:016}", "MEDIATYPEID": media, "TEXT": NOISE[number:]}
                for number, media in enumerate(MEDIA[tenant])
            ],
        )

    def contacts(self, tenant: str) -> Source:
        number = {"acme": 2, "globex": 3}[tenant]
        return self.source(tenant, "contact", [{"CONTACTID": str(n)} for n in range(number)])

    def source(self, tenant: str, data_file: str, records: list[dict[str, Any]]) -> Source:
        fault = self.faults.get(tenant)
        if isinstance(fault, SourceError):
            raise fault

        def read() -> Iterator[dict[str, Any]]:
            yield records[0]
            if fault is not None:
                raise fault
            yield from records[1:]

        return cdds.sources.Records(**{data_file: read})

    # How calls are made and held against the model.

    def expect(self, refusals: Refusals, call: Callable[[], T]) -> T:
        """Make a call that must succeed, or be refused by exactly the right error."""
        if not refusals:
            return call()
        with pytest.raises(CddsError) as caught:
            call()
        assert type(caught.value) in refusals
        assert str(caught.value)
        assert "\n" not in str(caught.value)
        raise Refused

    def draw_principal(self, data: st.DataObject, thing: Job | Run | None) -> Principal:
        """Choose anybody, and most often somebody who has to do with a thing."""
        who = "anybody"
        if thing is not None:
            who = data.draw(st.sampled_from(["owner", "owner", "near", "anybody"]), "who")
        if thing is not None and who == "owner":
            return self.owner(thing)
        near = [p for p in PEOPLE if who == "anybody" or (thing and self.guide.sees(p, thing))]
        return data.draw(st.sampled_from(near), "principal")

    def draw_job(self, data: st.DataObject, better: Sequence[Job] = ()) -> tuple[Principal, Job]:
        """Choose a job, one of the better ones more often."""
        jobs = better if better and data.draw(st.sampled_from([1, 1, 0])) else self.guide.jobs
        job = jobs[-1 - data.draw(st.integers(0, len(jobs) - 1), "job")]
        return self.draw_principal(data, job), job

    def draw_run(self, data: st.DataObject) -> tuple[Principal, Run]:
        runs = [run for run in self.guide.runs if not run.is_hidden]
        run = runs[-1 - data.draw(st.integers(0, len(runs) - 1), "run")]
        return self.draw_principal(data, run), run

    def draw_file(self, data: st.DataObject) -> tuple[Principal, File]:
        files = list(self.guide.files.values())
        file = files[-1 - data.draw(st.integers(0, len(files) - 1), "file")]
        return self.draw_principal(data, file.run), file

    def owner(self, thing: Job | Run) -> Principal:
        return next(
            person
            for person in PEOPLE
            if (person.tenant, person.user) == (thing.tenant, thing.owner)
        )

    def draw_settings(self, data: st.DataObject) -> dict[str, Any]:
        """Choose settings, some of which no job can have."""
        recipients = [upload.data.decode() for upload in self.uploads]
        return data.draw(
            st.fixed_dictionaries(
                {
                    "title": TITLES,
                    "source": st.sampled_from([*["UCS"] * 8, "CRM", "CRM", "Info Mart", "no"]),
                    "dataset": st.sampled_from([*["Interaction"] * 8, "Contact", "Contact", "no"]),
                    "recurrence": recurrences(self.guide.now),
                },
                optional={
                    "description": st.text(_CHARACTERS, max_size=20),
                    "media_types": st.sampled_from([None, ["chat"], ["EMAIL", "voice"], ["fax"]]),
                    "split_size": st.sampled_from([None, 65_536, "64 KiB"]),
                    "timeframe": st.sampled_from([None, None, cdds.Timeframe(START)]),
                    "level": st.sampled_from(["fast", "small"]),
                    **POLICIES,
                    "recipients": st.sampled_from(
                        [(), (), (), recipients[1:2], recipients[2:4], recipients[5:6]]
                    ),
                },
            ),
            "settings",
        )

    def draw_sound_settings(self, data: st.DataObject) -> JobSettings:
        """Choose settings that a job can have."""
        source = data.draw(st.sampled_from(["UCS", "UCS", "UCS", "CRM"]), "source")
        settings: dict[str, Any] = {"source": source, "dataset": SOURCES[source]}
        if source == "UCS":
            settings |= data.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "media_types": st.sampled_from([["chat"], ["EMAIL", "voice"], ["fax"]]),
                        "split_size": st.just("64 KiB"),
                    },
                )
            )
        later = self.guide.now + data.draw(st.sampled_from([HOUR / 60, 5 * HOUR, 3 * DAY]), "later")
        recurrence: Any = data.draw(
            st.sampled_from([Once(), Once(later), Hourly(1), Hourly(5), Hourly(24, start=later)]),
            "recurrence",
        )
        settings |= data.draw(st.fixed_dictionaries({}, optional=POLICIES), "policies")
        settings |= {"title": data.draw(TITLES, "title"), "recurrence": recurrence}
        return JobSettings(**settings)

    # User preferences.

    @rule(data=st.data(), number=st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 7]))
    def set_certificate(self, data: st.DataObject, number: int) -> None:
        principal = self.draw_principal(data, None)
        self.upload_certificate(principal, self.uploads[number])

    def upload_certificate(self, principal: Principal, upload: Upload) -> None:
        guide = self.guide
        refusals = guide.use(principal) or upload.refusals(guide.now)
        try:
            entry = self.expect(
                refusals, lambda: self.service.preferences.set_certificate(principal, upload.data)
            )
        except Refused:
            return
        assert is_same(entry, upload)
        guide.certificates[principal.tenant, principal.user] = (upload, False)
        guide.note(principal.tenant, "certificate set", upload.fingerprint, principal.user)

    @rule(principal=st.sampled_from(PEOPLE), remove=st.sampled_from([False, False, True]))
    def see_or_remove_certificate(self, principal: Principal, remove: bool) -> None:
        preferences, guide = self.service.preferences, self.guide
        upload = guide.certificate(principal.tenant, principal.user)
        try:
            entry = self.expect(guide.use(principal), lambda: preferences.certificate(principal))
        except Refused:
            with pytest.raises(AccessDenied):
                preferences.remove_certificate(principal)
            return
        assert is_same(entry, upload)
        soon = upload is None or upload.end - guide.now <= 30 * DAY
        assert (preferences.warning(principal) is not None) == soon
        if remove:
            preferences.remove_certificate(principal)
            if upload is not None:
                del guide.certificates[principal.tenant, principal.user]
                action = "certificate removed"
                guide.note(principal.tenant, action, upload.fingerprint, principal.user)

    # Jobs page.

    @rule(data=st.data())
    def add_sound_job(self, data: st.DataObject) -> None:
        certified = [p for p in PEOPLE if (p.tenant, p.user) in self.guide.certificates]
        principal = data.draw(st.sampled_from(certified or PEOPLE), "principal")
        settings = self.draw_sound_settings(data)
        self.add(principal, GRANTED, settings, lambda: self.service.jobs.add(principal, settings))

    @rule(data=st.data(), principal=st.sampled_from(PEOPLE))
    def add_any_job(self, data: st.DataObject, principal: Principal) -> None:
        settings = JobSettings(**self.draw_settings(data))
        self.add(principal, GRANTED, settings, lambda: self.service.jobs.add(principal, settings))

    def add(
        self,
        principal: Principal,
        refusals: Refusals,
        settings: JobSettings | None,
        call: Callable[[], Any],
    ) -> None:
        """Add a job, new or as a clone; settings are None where they are refused anyway."""
        guide = self.guide
        tenant, user = principal.tenant, principal.user
        refusals |= guide.use(principal)
        if settings is not None:
            refusals |= guide.settings(principal, settings)
            refusals |= guide.sealing(tenant, user, settings.recipients, self.uploads)
        try:
            entry = self.expect(refusals, call)
        except Refused:
            return
        assert settings is not None
        job = Job(entry.id, tenant, user, settings, created=guide.now)
        job.is_suspended = job.is_immediate
        guide.switch_on(job)
        assert entry == job.entry()
        guide.jobs.append(job)
        guide.note(tenant, "job added", job.id, user)

    def draw_changes(self, data: st.DataObject) -> dict[str, Any]:
        kind = data.draw(st.sampled_from(["sound", "sound", "sound", "any", "bad"]), "kind")
        if kind == "bad":
            return data.draw(st.sampled_from([*BAD_SETTINGS, {"colour": "red"}]), "changes")
        drawn = self.draw_settings(data)
        if kind == "sound":
            sound = self.draw_sound_settings(data)
            drawn = {name: getattr(sound, name) for name in SOUND_CHANGES}
        names = data.draw(st.sets(st.sampled_from(sorted(drawn))), "changed")
        return {name: drawn[name] for name in sorted(names)}

    def changed(self, settings: JobSettings, changes: dict[str, Any]) -> JobSettings | None:
        try:
            return attrs.evolve(settings, **changes)
        except (JobError, TypeError):
            return None

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def clone_job(self, data: st.DataObject) -> None:
        principal, job = self.draw_job(data)
        changes = self.draw_changes(data)
        self.clone(principal, job, job.id, changes, self.service.jobs.clone)

    @precondition(lambda self: any(not run.is_hidden for run in self.guide.runs))
    @rule(data=st.data())
    def clone_run(self, data: st.DataObject) -> None:
        principal, run = self.draw_run(data)
        changes = self.draw_changes(data)
        self.clone(principal, run, run.id, changes, self.service.history.clone)

    def clone(
        self,
        principal: Principal,
        thing: Job | Run,
        thing_id: str,
        changes: dict[str, Any],
        call: Callable[..., Any],
    ) -> None:
        refusals = self.guide.may(principal, thing, change=False)
        settings = None
        if not refusals:
            settings = self.changed(thing.settings, changes)
            refusals = GRANTED if settings else frozenset({JobError})
        self.add(principal, refusals, settings, lambda: call(principal, thing_id, **changes))

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def edit_job(self, data: st.DataObject) -> None:
        hourly = [job for job in self.guide.jobs if not job.is_one_time]
        principal, job = self.draw_job(data, hourly)
        changes = self.draw_changes(data)
        guide = self.guide
        refusals = guide.may(principal, job, change=True)
        settings = self.changed(job.settings, changes)
        if not refusals and job.is_one_time:
            refusals = frozenset({NotEditable})
        if not refusals and settings is None:
            refusals = frozenset({JobError})
        if not refusals and settings is not None:
            refusals = guide.settings(principal, settings, job.settings)
            if settings.recipients != job.settings.recipients:
                refusals |= guide.sealing(job.tenant, job.owner, settings.recipients, self.uploads)
        try:
            entry = self.expect(
                refusals, lambda: self.service.jobs.edit(principal, job.id, **changes)
            )
        except Refused:
            return
        assert settings is not None
        is_other = settings.recurrence != job.settings.recurrence
        if is_other:
            self.given_up(job, "edited")
        job.settings, job.edited = settings, guide.now
        if is_other:  # it is as new
            job.has_started = False
            if not job.is_suspended:
                guide.switch_on(job)
            job.is_suspended = job.is_suspended or job.is_immediate
        assert entry == job.entry()
        guide.note(job.tenant, "job edited", job.id, principal.user)

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def suspend_job(self, data: st.DataObject) -> None:
        principal, job = self.draw_job(data)
        self.suspend(principal, job)

    def suspend(self, principal: Principal, job: Job) -> None:
        guide = self.guide
        refusals = guide.may(principal, job, change=True)
        try:
            self.expect(refusals, lambda: self.service.jobs.suspend(principal, job.id))
        except Refused:
            return
        if not job.is_suspended or job.next_start:
            self.given_up(job, "suspended")
            job.is_suspended = True
            job.switch_off()
            guide.note(job.tenant, "job suspended", job.id, principal.user)

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def resume_job(self, data: st.DataObject) -> None:
        suspended = [job for job in self.guide.jobs if job.is_suspended and not job.is_immediate]
        principal, job = self.draw_job(data, suspended)
        guide = self.guide
        refusals = guide.may(principal, job, change=True)
        if not refusals and (job.is_immediate or (job.is_one_time and job.has_started)):
            refusals = frozenset({NotResumable})
        try:
            self.expect(refusals, lambda: self.service.jobs.resume(principal, job.id))
        except Refused:
            return
        if job.is_suspended:
            job.is_suspended = False
            guide.switch_on(job)
            guide.note(job.tenant, "job resumed", job.id, principal.user)

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def delete_job(self, data: st.DataObject) -> None:
        principal, job = self.draw_job(data)
        guide = self.guide
        refusals = guide.may(principal, job, change=True)
        try:
            self.expect(refusals, lambda: self.service.jobs.delete(principal, job.id))
        except Refused:
            return
        self.given_up(job, "deleted")
        guide.jobs.remove(job)
        guide.note(job.tenant, "job deleted", job.id, principal.user)
        with pytest.raises(NotFound):
            self.service.jobs.get(self.owner(job), job.id)

    # Running.

    @rule(
        tenant=st.sampled_from(sorted(MEDIA)),
        fault=st.sampled_from([None, *FAULTS]),
    )
    def break_or_mend_source(self, tenant: str, fault: Exception | None) -> None:
        if fault is None or self.faults:
            self.faults.clear()
        else:
            self.faults[tenant] = fault

    def fault_of(self, job: Job) -> type[Exception] | None:
        """Return what reading the source of a job will fail with."""
        fault = self.faults.get(job.tenant)
        if isinstance(fault, SourceError) or SOURCES[job.settings.source] != job.settings.dataset:
            return SourceError
        return None if fault is None else type(fault)

    def may_pass(self, job: Job) -> bool:
        """Tell whether what reading the source of a job fails with may be over later."""
        fault = self.faults.get(job.tenant)
        suits = SOURCES[job.settings.source] == job.settings.dataset
        return isinstance(fault, SourceUnavailable) or (suits and isinstance(fault, OSError))

    @precondition(lambda self: self.guide.jobs)
    @rule(data=st.data())
    def run_now(self, data: st.DataObject) -> None:
        principal, job = self.draw_job(data)
        self.run_once(data, principal, job)

    @rule(data=st.data())
    def run_a_sound_job(self, data: st.DataObject) -> None:
        self.add_sound_job(data)
        if self.guide.jobs:
            job = self.guide.jobs[-1]
            self.run_once(data, self.owner(job), job)

    def run_once(self, data: st.DataObject, principal: Principal, job: Job) -> None:
        refusals = self.running(principal, job)
        if refusals:
            with pytest.raises(Refused):
                self.expect(refusals, lambda: self.service.jobs.run_now(principal, job.id))
            return
        fault = self.fault_of(job)
        meddling = None if fault else data.draw(st.sampled_from(MEDDLINGS), "meddling")
        cancel = threading.Event()
        meddler = Meddler(self, job, meddling, cancel)
        is_cancelled = meddling in {"token", "cancel", "cancel late"}
        errors: tuple[type[Exception], ...] = (
            (fault,) if fault else (Cancelled,) if is_cancelled else ()
        )
        if is_cancelled and self.guide.storage_refuses:
            errors = (Cancelled, SinkError)  # then what is left is for `reconcile`
        with pytest.raises(errors) if errors else nullcontext():
            self.service.jobs.run_now(principal, job.id, progress=meddler, cancel=cancel)
        meddler.check()
        run = self.begun(job, None, principal.user)
        self.take_in_meddling(job, run, meddling)
        self.ended(run, "failed" if fault else "cancelled" if is_cancelled else "finished")
        if errors and self.guide.storage_refuses:
            left = {name: data for name, data in self.store.visible().items() if run.id in name}
            self.guide.storage |= left

    def running(self, principal: Principal, job: Job) -> Refusals:
        """Return why a job cannot be run on behalf of a principal."""
        refusals = self.guide.may(principal, job, change=True)
        if refusals:
            return refusals
        if job.is_one_time and job.has_run:
            return frozenset({NotRunnable})
        return self.guide.sealing(job.tenant, job.owner, job.settings.recipients, self.uploads)

    def take_in_meddling(self, job: Job, run: Run, meddling: str | None) -> None:
        owner = self.owner(job).user
        if meddling in {"cancel", "cancel late"}:
            run.is_cancel_requested = True
            self.guide.note(job.tenant, "run cancel requested", run.id, owner)
        if meddling == "suspend" and not job.is_suspended:
            self.given_up(job, "suspended")
            job.is_suspended = True
            job.switch_off()
            self.guide.note(job.tenant, "job suspended", job.id, owner)

    def begun(
        self, job: Job, due: Any, actor: str = "", *, attempt: int = 1, is_sealed: bool = True
    ) -> Run:
        """Take the run of a job that has begun into the model."""
        guide = self.guide
        run_id = self.service.jobs.get(self.owner(job), job.id).latest_run
        assert run_id is not None
        assert run_id not in {run.id for run in guide.runs}
        run = Run(run_id, job, job.settings, due, guide.now, attempt)
        own = guide.certificate(job.tenant, job.owner)
        if is_sealed and own is not None:
            others = guide.recipients(job.settings.recipients, self.uploads)
            run.fingerprints = frozenset(upload.fingerprint for upload in (own, *others))
        guide.begin(job, run)
        guide.note(job.tenant, "run started", run.id, actor)
        return run

    def ended(self, run: Run, status: str) -> None:
        guide = self.guide
        run.status, run.finished = status, guide.now
        guide.note(run.tenant, f"run {status}", run.id)
        if status != "finished":
            return
        run.expires = guide.now + guide.lifetime
        there = self.store.visible()
        names = sorted(name for name in there if run.id in name and name.endswith(".smime"))
        run.digests = f"export-{run.id}.sha256"
        run.parts = len(names)
        for name in names:
            file = File(name, run, there[name], guide.now, run.expires)
            run.files.append(file)
            guide.files[name] = file
        guide.storage |= {name: there[name] for name in (*names, run.digests)}
        entry = self.service.history.get(self.owner(run), run.id)
        selected = {name: count for name, count in entry.records.items() if count}
        assert selected == {name: count for name, count in guide.selected(run).items() if count}
        is_large = run.settings.dataset == "Interaction" and sum(selected.values()) > 0
        assert (run.parts > 1) == (is_large and run.settings.split_size is not None)

    @rule()
    def run_due(self) -> None:
        """Run each job that is due once, one after another in an order that is always the same."""
        guide = self.guide
        due = guide.due()
        assert set(self.service.due.jobs(1000)) == {job.id for job in due}
        for job in due:
            ran = self.service.due.run(job.id)
            decision = self.decided(job)
            while decision.run is None and job.next_start and job.next_start <= guide.now:
                decision = self.decided(job)
            if decision.run is None:
                assert ran.outcome == "nothing to do"
                continue
            refused = guide.sealing(job.tenant, job.owner, job.settings.recipients, self.uploads)
            run = self.begun(job, decision.run, attempt=decision.attempt, is_sealed=not refused)
            status = "failed" if refused or self.fault_of(job) else "finished"
            self.ended(run, status)
            assert ran.outcome == status
            assert (ran.run and ran.run.id) == (run.id if status == "finished" else None)
            if status == "failed" and not refused and self.may_pass(job):
                guide.try_again(job, run)
        assert self.service.due.jobs(1, {job.id for job in due}) == ()

    def decided(self, job: Job) -> Decision:
        """Have the model decide about a job that is due, and take what it missed into it."""
        decision = self.guide.decide(job)
        words = "made up for" if job.settings.misfire == "one" else "does not make up for"
        error = self.take_in_missed(job, decision.missed, words)
        if decision.missed and decision.run is not None:
            assert f"{decision.run:%Y-%m-%d %H:%M:%S}" in error
        job.switch_off()
        job.next_start = decision.next_start
        return decision

    def given_up(self, job: Job, what: str) -> None:
        """Take the starts into the model that a job was overdue with as it was changed."""
        self.take_in_missed(job, self.guide.overdue(job), f"{what} before it was run")

    def take_in_missed(self, job: Job, missed: tuple[datetime, ...], words: str) -> str:
        """Take what was missed into the model, and check that the history tells it in words."""
        if not missed:
            return ""
        first, last = missed[0], missed[-1]
        told = self.service.history.list(
            self.owner(job), job_id=job.id, status="missed", limit=500
        ).items
        known = {run.id for run in self.guide.runs}
        (entry,) = [entry for entry in told if entry.due == last and entry.id not in known]
        assert words in (entry.error or "")
        now = self.guide.now
        run = Run(entry.id, job, job.settings, last, now, status="missed", finished=now)
        run.missed, run.missed_from = len(missed), first
        job.deal_with(last)
        self.guide.runs.append(run)
        return entry.error or ""

    # History page.

    @precondition(lambda self: any(not run.is_hidden for run in self.guide.runs))
    @rule(data=st.data())
    def see_or_cancel_run(self, data: st.DataObject) -> None:
        principal, run = self.draw_run(data)
        guide, history = self.guide, self.service.history
        try:
            entry = self.expect(
                guide.may(principal, run, change=False), lambda: history.get(principal, run.id)
            )
            files = history.artifacts(principal, run.id)
        except Refused:
            return
        self.check_run(entry, run)
        assert [file.name for file in files] == [
            file.name for file in run.files if file.state != "removing" and file.expires > guide.now
        ]
        refusals = guide.may(principal, run, change=True)
        try:  # one that has ended stays as it is
            self.expect(refusals, lambda: history.cancel(principal, run.id))
        except Refused:
            return

    @precondition(lambda self: any(not run.is_hidden for run in self.guide.runs))
    @rule(data=st.data())
    def delete_run(self, data: st.DataObject) -> None:
        principal, run = self.draw_run(data)
        guide = self.guide
        refusals = guide.may(principal, run, change=True)
        try:
            self.expect(refusals, lambda: self.service.history.delete(principal, run.id))
        except Refused:
            return
        guide.note(run.tenant, "run deleted", run.id, principal.user)
        run.is_hidden = True
        has_mark = run.digests is not None
        gone, left = guide.remove(list(run.files), principal.user)
        self.removed_names += sorted(gone)
        if not left:
            guide.forget(run, has_mark=has_mark)
        with pytest.raises(NotFound):
            self.service.history.get(self.owner(run), run.id)

    def check_run(self, entry: RunEntry, run: Run) -> None:
        assert (entry.id, entry.job_id, entry.tenant, entry.owner) == (
            run.id,
            run.job.id,
            run.tenant,
            run.owner,
        )
        assert (entry.settings, entry.due, entry.started) == (run.settings, run.due, run.started)
        assert (entry.attempt, entry.missed, entry.missed_from) == (
            run.attempt,
            run.missed,
            run.missed_from,
        )
        assert (entry.status, entry.finished) == (run.status, run.finished)
        assert entry.cancel_requested == run.is_cancel_requested
        assert frozenset(entry.fingerprints) == run.fingerprints
        assert (entry.parts, entry.digests, entry.expires) == (run.parts, run.digests, run.expires)
        assert (entry.error is None) == (run.status not in {"failed", "missed"})
        assert SECRET not in (entry.error or "")
        assert (entry.file_name is not None) == (run.status == "finished")

    # Lists, filters, sorts and pages.

    @rule(
        data=st.data(),
        principal=st.sampled_from(PEOPLE),
        page=st.sampled_from(["jobs", "history", "artifacts"]),
        descending=st.booleans(),
        limit=st.integers(1, 4),
    )
    def walk_list(
        self,
        data: st.DataObject,
        principal: Principal,
        page: str,
        descending: bool,
        limit: int,
    ) -> None:
        filters: dict[str, st.SearchStrategy[Any]] = {
            "title": PIECES | TITLES,
            "dataset": st.sampled_from(["Interaction", "Contact"]),
        }
        sorts = {
            "jobs": ["title", "created", "next_start", "latest_start", "latest_status"],
            "history": ["started", "status", "title"],
            "artifacts": ["created", "expires", "name", "size", "title"],
        }[page]
        if page != "artifacts":
            filters["source"] = st.sampled_from(["UCS", "CRM"])
            filters["status"] = st.sampled_from(
                ["finished", "failed", "cancelled", "missed", "in progress"]
            )
        if page == "jobs":
            filters["suspended"] = st.booleans()
        wanted = data.draw(st.fixed_dictionaries({}, optional=filters), "filters")
        sort = data.draw(st.sampled_from(sorts), "sort")
        read = {
            "jobs": self.service.jobs.list,
            "history": self.service.history.list,
            "artifacts": self.service.artifacts.list,
        }[page]
        try:
            self.expect(self.guide.use(principal), lambda: read(principal))  # type: ignore[operator]
        except Refused:
            return
        keys = self.keys(principal, page, sort, wanted)
        walked = list(
            self.pages(read, principal, sort=sort, descending=descending, limit=limit, **wanted)
        )
        expected = [name for _, name in sorted(keys, reverse=descending)]
        assert [item for some in walked for item in some] == expected
        assert all(len(some) == limit for some in walked[:-1])

    def keys(
        self, principal: Principal, page: str, sort: str, wanted: dict[str, Any]
    ) -> list[tuple[Any, str]]:
        """Return what a list has to hold, each with what it is sorted by."""
        guide = self.guide
        if page == "jobs":
            jobs = [job for job in guide.jobs if guide.sees(principal, job) and holds(job, wanted)]
            return [(job_sort_key(sort, job), job.id) for job in jobs]
        runs = [run for run in guide.runs if guide.sees(principal, run) and holds(run, wanted)]
        if page == "history":
            return [(run_sort_key(sort, run), run.id) for run in runs if not run.is_hidden]
        files = [file for run in runs for file in run.files if guide.live(file)]
        return [(file_sort_key(sort, file), file.name) for file in files]

    def pages(self, read: Any, principal: Principal, **options: Any) -> Iterator[list[str]]:
        after = None
        while True:
            page: Page[Any] = read(principal, after=after, **options)
            yield [getattr(item, "id", None) or item.name for item in page.items]
            if page.next is None:
                return
            after = page.next
            other = options | {"descending": not options["descending"]}
            with pytest.raises(JobError):
                read(principal, after=after, **other)

    # Artifacts page.

    @precondition(lambda self: self.guide.files)
    @rule(data=st.data())
    def open_artifact(self, data: st.DataObject) -> None:
        principal, file = self.draw_file(data)
        guide, artifacts = self.guide, self.service.artifacts
        name = file.name
        if data.draw(st.sampled_from([0, 0, 0, 1]), "digests"):
            assert file.run.digests is not None
            name = file.run.digests
        size = len(file.content)
        start = data.draw(st.sampled_from([0, 0, 0, 1, size // 2, size, size + 1, -1]), "start")
        end = data.draw(st.sampled_from([None, None, None, 0, size // 3, size, size + 1]), "end")
        refusals = self.opening(principal, file, name)
        there = guide.storage.get(name)
        refusals = refusals or self.reading(file, name, there, start, end)
        try:
            content = self.expect(
                refusals,
                lambda: b"".join(artifacts.open(principal, name, start=start, end=end)),
            )
        except Refused:
            return
        guide.note(principal.tenant, "artifact opened", name, principal.user)
        assert there is not None
        assert content == there[start : len(there) if end is None else end]

    def opening(self, principal: Principal, file: File, name: str) -> Refusals:
        refusals = self.guide.may(principal, file.run, change=True)
        if refusals or (file.run.is_hidden and name != file.name):
            return refusals or frozenset({NotFound})
        if name == file.name:
            return self.guide.gone(file)
        return frozenset({ArtifactGone}) if file.expires <= self.guide.now else GRANTED

    def reading(
        self, file: File, name: str, there: bytes | None, start: int, end: int | None
    ) -> Refusals:
        size = len(file.content)
        is_none = start < 0 or (end is not None and end < start)
        if name == file.name:
            is_none = is_none or max(start, end or 0) > size
        if is_none:
            return frozenset({JobError})
        if there is None:
            return frozenset({ArtifactGone})
        if name != file.name or there == file.content:
            return GRANTED
        stop = size if end is None else end
        is_whole = (start, stop) == (0, size)
        is_short = len(there[start:stop]) != stop - start
        return frozenset({SinkError}) if is_whole or is_short else GRANTED

    @precondition(lambda self: self.guide.files)
    @rule(data=st.data())
    def see_artifact(self, data: st.DataObject) -> None:
        principal, file = self.draw_file(data)
        guide, artifacts = self.guide, self.service.artifacts
        refusals = guide.may(principal, file.run, change=False) or guide.gone(file)
        try:
            entry = self.expect(refusals, lambda: artifacts.get(principal, file.name))
        except Refused:
            return
        assert (entry.name, entry.run_id, entry.size) == (
            file.name,
            file.run.id,
            len(file.content),
        )
        assert (entry.title, entry.expires) == (file.run.settings.title, file.expires)
        assert artifacts.days_remaining(entry) == guide.days_remaining(file)

    @precondition(lambda self: self.guide.files)
    @rule(data=st.data(), count=st.integers(0, 3))
    def download_artifacts(self, data: st.DataObject, count: int) -> None:
        principal, file = self.draw_file(data)
        guide = self.guide
        files = [file, *list(guide.files.values())[:count]]
        files = list(dict.fromkeys(files))
        refusals = self.selecting(principal, files)
        if not refusals and any(guide.storage.get(file.name) != file.content for file in files):
            return  # `open_artifact` tries that out
        try:
            downloads = self.expect(
                refusals,
                lambda: self.service.artifacts.download(
                    principal, [file.name for file in (*files, file)]
                ),
            )
        except Refused:
            return
        assert [b"".join(download) for download in downloads] == [file.content for file in files]
        for file in files:
            guide.note(principal.tenant, "artifact opened", file.name, principal.user)

    def selecting(
        self, principal: Principal, files: list[File], *, delete: bool = False
    ) -> Refusals:
        refusals = [
            self.guide.may(principal, file.run, change=True) or self.guide.gone(file, delete=delete)
            for file in files
        ]
        return frozenset().union(*refusals)

    @precondition(lambda self: self.guide.files)
    @rule(data=st.data(), count=st.integers(0, 2))
    def delete_artifacts(self, data: st.DataObject, count: int) -> None:
        principal, file = self.draw_file(data)
        files = list(dict.fromkeys([file, *list(self.guide.files.values())[:count]]))
        refusals = self.selecting(principal, files, delete=True)
        try:
            removed = self.expect(
                refusals,
                lambda: self.service.artifacts.delete(principal, [file.name for file in files]),
            )
        except Refused:
            return
        gone, left = self.guide.remove(files, principal.user)
        assert (set(removed.names), set(removed.failed)) == (gone, left)
        self.removed_names += sorted(gone)

    # Time, and the host's own work.

    @rule(data=st.data())
    def pass_time(self, data: st.DataObject) -> None:
        guide = self.guide
        spans = st.one_of(
            st.integers(1, 90).map(lambda minutes: timedelta(minutes=minutes)),
            st.integers(1, 30).map(lambda hours: timedelta(hours=hours)),
            st.integers(1, 12).map(lambda days: timedelta(days=days)),
        )
        self.set_time(guide.now + data.draw(spans, "span"))

    @rule(
        data=st.data(),
        before=st.sampled_from([timedelta(), timedelta(), timedelta(microseconds=1)]),
    )
    def pass_time_to_an_event(self, data: st.DataObject, before: timedelta) -> None:
        guide = self.guide
        moments = [
            *(file.expires for file in guide.files.values()),
            *(job.next_start for job in guide.jobs if job.next_start),
            *(upload.end for upload, _ in guide.certificates.values()),
            *(run.finished + guide.history for run in guide.runs if run.finished and guide.history),
        ]
        later = sorted({moment - before for moment in moments if moment - before > guide.now})
        later = [moment for moment in later if moment < START + 9000 * DAY]
        if later:
            self.set_time(data.draw(st.sampled_from(later), "moment"))

    def set_time(self, moment: Any) -> None:
        self.clock.moment = self.guide.now = moment

    @rule(refuses=st.sampled_from([False, False, False, True]))
    def let_storage_refuse(self, refuses: bool) -> None:
        self.storage.refuses = self.guide.storage_refuses = refuses

    @rule()
    def sweep(self) -> None:
        guide, retention = self.guide, self.service.retention
        files, runs = guide.to_remove(), guide.to_purge()
        plan = retention.plan()
        assert {file.name for file in plan.artifacts} == {file.name for file in files}
        assert {run.id for run in plan.runs} == {run.id for run in runs}
        swept = retention.sweep()
        gone, left = guide.remove(files)
        self.removed_names += sorted(gone)
        assert (swept.artifacts, set(swept.failed)) == (len(gone), left)
        idle = [run for run in runs if not run.files]
        purged = [run for run in idle if guide.forget(run, has_mark=run.digests is not None)]
        for run in purged:
            guide.note(run.tenant, "run purged", run.id)
        assert swept.runs == len(purged)
        plan = retention.plan()
        assert len(plan.artifacts) == len(left)

    @rule()
    def remind(self) -> None:
        guide = self.guide
        count = 0
        for file in guide.files.values():
            if file.state == "stored" and not file.told and file.expires < guide.now + 3 * DAY:
                file.told, count = True, count + 1
        for user, (upload, told) in guide.certificates.items():
            if not told and upload.end < guide.now + 30 * DAY:
                guide.certificates[user] = (upload, True)
                count += 1
        assert self.service.retention.remind() == count
        assert self.service.retention.remind() == 0

    @precondition(lambda self: self.guide.files)
    @rule(data=st.data(), change=st.sampled_from(["remove", "cut", "put back"]))
    def tamper_with_storage(self, data: st.DataObject, change: str) -> None:
        _, file = self.draw_file(data)
        if change == "remove":
            if self.guide.storage.pop(file.name, None) is not None:
                fsspec.filesystem("memory").rm_file(f"/{self.store.root}/{file.name}")
            return
        content = file.content[:-100] if change == "cut" else file.content
        self.put(file.name, content)

    def put(self, name: str, content: bytes) -> None:
        self.store.put(name, content)
        self.guide.storage[name] = content

    @rule(data=st.data())
    def leave_something_behind(self, data: st.DataObject) -> None:
        names = ["notes.txt", f"export-{uuid.uuid4()}.zip.smime", "export-.zip.smime"]
        names += [f"export-{run.id}.z77.smime" for run in self.guide.runs]
        number = data.draw(st.integers(0, len(names) - 1), "name")
        self.put(names[number], b"left behind")

    @rule()
    def reconcile(self) -> None:
        guide = self.guide
        leftovers = {
            name
            for name in guide.storage
            if name not in guide.files
            and any(
                name.startswith(f"export-{run.id}.") and name != run.digests for run in guide.runs
            )
        }
        refusals: Refusals = GRANTED
        if leftovers and guide.storage_refuses:
            refusals = frozenset({SinkError})
        try:
            done = self.expect(refusals, self.service.reconcile)
        except Refused:
            return
        for name in leftovers:
            del guide.storage[name]
        assert set(done.leftovers) == leftovers
        assert done.failed_runs == ()
        ours = set(guide.files) | {run.digests for run in guide.runs}
        assert done.foreign == len(set(guide.storage) - ours)
        changed: dict[str, set[str]] = {"missing": set(), "stored": set()}
        for file in guide.files.values():
            is_there = len(guide.storage.get(file.name, b"")) == len(file.content)
            state = "stored" if is_there else "missing"
            if file.state not in {"removing", state}:
                file.state = state
                changed[state].add(file.name)
                word = "found" if is_there else "missing"
                guide.note(file.run.tenant, f"artifact {word}", file.name)
        assert (set(done.missing), set(done.found)) == (changed["missing"], changed["stored"])

    @rule(principal=st.sampled_from(PEOPLE))
    def try_what_is_never_allowed(self, principal: Principal) -> None:
        for bad in BAD_SETTINGS:
            with pytest.raises(JobError):
                JobSettings(**{"title": "x", "source": "UCS", "dataset": "Interaction"} | bad)
        artifacts, audit = self.service.artifacts, self.service.audit
        names = [f"export-{uuid.uuid4()}.zip.smime" for _ in range(101)]
        for selected in ([], names):
            for select in (artifacts.download, artifacts.delete):
                with pytest.raises(JobError):
                    select(principal, selected)
        if Permission.AUDIT in principal.permissions:
            entries = audit.entries(principal, limit=1000)
            assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
            return
        for read in (audit.entries, audit.head, audit.verify):
            with pytest.raises(AccessDenied):
                read(principal)

    # What holds after every step.

    @invariant()
    def storage_holds_the_live_sets(self) -> None:
        if hasattr(self, "guide"):
            assert self.store.visible() == self.guide.storage

    @invariant()
    def lists_equal_the_model(self) -> None:
        if not hasattr(self, "guide"):
            return
        self.steps += 1
        users = [person for person in PEOPLE if Permission.USE in person.permissions]
        for person in {*CHIEFS.values(), users[self.steps % len(users)]}:
            self.check_lists(person)

    def check_lists(self, person: Principal) -> None:
        guide, service = self.guide, self.service
        jobs = [job for job in guide.jobs if guide.sees(person, job)]
        jobs.sort(key=lambda job: (key(job.settings.title), job.id))
        assert service.jobs.list(person, limit=500).items == tuple(job.entry() for job in jobs)
        runs = [run for run in guide.runs if guide.sees(person, run) and not run.is_hidden]
        runs.sort(key=lambda run: (run.started, run.id), reverse=True)
        entries = service.history.list(person, limit=500).items
        assert len(entries) == len(runs)
        for entry, run in zip(entries, runs, strict=True):
            self.check_run(entry, run)
        files = {
            file.name: file
            for file in guide.files.values()
            if guide.sees(person, file.run) and guide.live(file)
        }
        artifacts = service.artifacts.list(person, limit=500).items
        assert {artifact.name for artifact in artifacts} == set(files)
        for artifact in artifacts:
            days = service.artifacts.days_remaining(artifact)
            assert 1 <= days <= 30
            assert days == guide.days_remaining(files[artifact.name])
            assert artifact.expires <= artifact.created + 30 * DAY

    @invariant()
    def other_tenants_see_nothing(self) -> None:
        if not hasattr(self, "guide"):
            return
        guide, service = self.guide, self.service
        for things, get in (
            (guide.jobs[-1:], service.jobs.get),
            (guide.runs[-1:], service.history.get),
        ):
            for thing in things:
                stranger = CHIEFS["acme" if thing.tenant == "globex" else "globex"]
                with pytest.raises(NotFound):
                    get(stranger, thing.id)
        for file in list(guide.files.values())[-1:]:
            stranger = CHIEFS["acme" if file.run.tenant == "globex" else "globex"]
            with pytest.raises(NotFound) as caught:
                service.artifacts.open(stranger, file.name)
            assert type(caught.value) is NotFound

    @invariant()
    def what_was_removed_stays_gone(self) -> None:
        for name in self.removed_names[-2:]:
            for chief in CHIEFS.values():
                with pytest.raises(NotFound) as caught:
                    self.service.artifacts.get(chief, name)
                assert type(caught.value) is NotFound

    @invariant()
    def the_trail_tells_all_and_only_grows(self) -> None:
        if not hasattr(self, "guide"):
            return
        for tenant, heads in self.heads.items():
            chief = CHIEFS[tenant]
            known = heads[-1].number if heads else 0
            entries = self.service.audit.entries(chief, after=known, limit=1000)
            told = [(entry.action, entry.subject, entry.actor) for entry in entries]
            assert Counter(told) == Counter(self.guide.trail[tenant][known:])
            anchor = heads[self.steps % len(heads)] if heads else None
            head = self.service.audit.verify(chief, anchor)
            assert head.number == known + len(entries) == len(self.guide.trail[tenant])
            assert head == self.service.audit.head(chief)
            heads.append(head)


class Refused(Exception):
    """A call was refused as it had to be."""


class Meddler:
    """A progress listener that looks at, cancels or meddles with the run in progress."""

    def __init__(
        self, machine: Service, job: Job, meddling: str | None, cancel: threading.Event
    ) -> None:
        self.machine = machine
        self.job = job
        self.meddling = meddling
        self.cancel = cancel
        self.calls = 0
        self.failure: BaseException | None = None

    def __call__(self, progress: cdds.Progress) -> None:
        try:
            self.look(progress)
        except BaseException as error:
            self.failure = error
            raise

    def check(self) -> None:
        """Raise what went wrong in the run; a listener's failures at its end are only logged."""
        if self.failure is not None:
            raise self.failure

    def look(self, progress: cdds.Progress) -> None:
        service = self.machine.service
        owner = self.machine.owner(self.job)
        self.calls += 1
        if self.calls > 1 and not progress.done:
            return
        job = service.jobs.get(owner, self.job.id)
        run_id = job.latest_run
        assert run_id is not None
        assert (job.latest_status, job.is_running) == ("in progress", True)
        assert job.progress is not None
        assert run_id in {run.id for run in service.history.list(owner, status="in progress").items}
        assert service.history.artifacts(owner, run_id) == ()
        if self.meddling == "cancel late" and progress.done:
            service.history.cancel(owner, run_id)
        if self.calls > 1:
            return
        if self.meddling == "token":
            self.cancel.set()
        elif self.meddling == "cancel":
            service.history.cancel(owner, run_id)
            service.history.cancel(owner, run_id)
        elif self.meddling == "suspend":
            service.jobs.suspend(owner, self.job.id)
        elif self.meddling == "meddle":
            for call in (service.jobs.delete, service.jobs.run_now):
                with pytest.raises(StillInProgress):
                    call(owner, self.job.id)
            with pytest.raises(StillInProgress):
                service.history.delete(owner, run_id)
            self.machine.reconcile()


def run_machine(kind: str, new_catalog_url: Any, uploads: Any, examples: int, steps: int) -> None:
    machine = type(
        "Service",
        (Service,),
        {"new_url": staticmethod(lambda: new_catalog_url(kind)), "uploads": uploads},
    )
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(max_examples=examples, stateful_step_count=steps),
    )


@pytest.mark.parametrize("kind", ["memory", "postgresql"])
def test_the_service_keeps_the_rules_of_the_guide(
    kind: str, new_catalog_url: Any, uploads: Any
) -> None:
    run_machine(kind, new_catalog_url, uploads, examples=20, steps=60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_the_service_keeps_the_rules_of_the_guide_for_long(
    kind: str, new_catalog_url: Any, uploads: Any
) -> None:
    run_machine(kind, new_catalog_url, uploads, examples=200, steps=60)
