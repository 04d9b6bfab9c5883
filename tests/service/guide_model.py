"""The rules of the guide as a small model, to hold the service against.

It restates what the guide promises, in lists and loops; how the service does it is none of its
business. Where a rule forbids something, the model names the errors that say so: several where a
call breaks several rules at once, for then any of them is right.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from cdds import errors
from cdds.access import Permission, Principal
from cdds.catalog import CertificateEntry, JobEntry, JobSettings
from cdds.schedule import Hourly, Once, Retry

START = datetime(2026, 2, 26, 21, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

PAUSES = (MINUTE, 4 * MINUTE, 16 * MINUTE, HOUR)
"""How long a job waits before it is tried again, for the first time and each time after."""
AT_ONCE = 1_000
EARLIEST = datetime.min.replace(tzinfo=UTC)
"""How many late starts one look at a job deals with."""

Refusals: TypeAlias = frozenset[type[errors.CddsError]]
GRANTED: Refusals = frozenset()

SOURCES = {"UCS": "Interaction", "CRM": "Contact"}
"""The sources of the service, each with the dataset that it has records of."""
MEDIA = {"acme": ("chat", "chat", "email"), "globex": ("Chat", "voice", "voice", "email", "sms")}
"""The media types of each tenant's interactions."""
CONTACTS = {"acme": 2, "globex": 3}

PEOPLE = (
    Principal("alice", "acme"),
    Principal("bob", "acme"),
    Principal("sue", "acme", ["use", "see all"]),
    Principal("carl", "acme", ["use", "change all", "choose recipients", "audit"]),
    Principal("rita", "acme", ["use", "choose recipients"]),
    Principal("audrey", "acme", ["audit"]),
    Principal("nobody", "acme", []),
    Principal("alice", "globex"),
    Principal("carl", "globex", ["use", "change all", "audit"]),
    Principal("sue", "globex", ["see all"]),
)
CHIEFS = {"acme": PEOPLE[3], "globex": PEOPLE[8]}
"""Who may change and audit all of each tenant."""


@dataclass(frozen=True)
class Upload:
    """What somebody may upload as a certificate."""

    data: bytes = field(repr=False)
    name: str
    fingerprint: str = ""
    start: datetime = START
    end: datetime = START

    def refusals(self, now: datetime) -> Refusals:
        usable = bool(self.fingerprint) and self.start <= now <= self.end
        return GRANTED if usable else frozenset({errors.CertificateError})


@dataclass(eq=False)
class File:
    """An artifact."""

    name: str
    run: Run
    content: bytes = field(repr=False)
    created: datetime
    expires: datetime
    state: str = "stored"
    told: bool = False


@dataclass(eq=False)
class Run:
    id: str
    job: Job
    settings: JobSettings
    due: datetime | None
    started: datetime
    attempt: int = 1
    status: str = "in progress"
    finished: datetime | None = None
    missed: int = 0
    missed_from: datetime | None = None
    fingerprints: frozenset[str] = frozenset()
    is_cancel_requested: bool = False
    files: list[File] = field(default_factory=list, repr=False)
    parts: int = 0
    digests: str | None = None
    expires: datetime | None = None
    is_hidden: bool = False

    @property
    def tenant(self) -> str:
        return self.job.tenant

    @property
    def owner(self) -> str:
        return self.job.owner


@dataclass(eq=False)
class Job:
    id: str
    tenant: str
    owner: str
    settings: JobSettings
    created: datetime
    edited: datetime | None = None
    is_suspended: bool = False
    has_started: bool = False
    next_start: datetime | None = None
    retrying: datetime | None = None
    failures: int = 0
    dealt_with: datetime | None = None
    latest: Run | None = None

    @property
    def is_one_time(self) -> bool:
        return isinstance(self.settings.recurrence, Once)

    @property
    def is_immediate(self) -> bool:
        return self.settings.recurrence == Once()

    @property
    def has_run(self) -> bool:
        """Whether it is a one-time job that has done its one run."""
        return self.has_started and self.latest is not None and self.latest.status == "finished"

    def entry(self) -> JobEntry:
        """Return what the Jobs page shows of it."""
        latest = self.latest
        return JobEntry(
            id=self.id,
            tenant=self.tenant,
            owner=self.owner,
            settings=self.settings,
            created=self.created,
            edited=self.edited,
            suspended=self.is_suspended,
            started=self.has_started,
            next_start=self.next_start,
            dealt_with=self.dealt_with,
            retries=self.retries(),
            latest_run=latest.id if latest else None,
            latest_start=latest.started if latest else None,
            latest_status=latest.status if latest else None,  # type: ignore[arg-type]
        )

    def deal_with(self, due: datetime | None) -> None:
        if due is not None and (self.dealt_with is None or due > self.dealt_with):
            self.dealt_with = due

    def retries(self) -> tuple[Retry, ...]:
        if self.retrying is None or self.next_start is None:
            return ()
        again = self.failures + 1
        at = self.next_start
        return (Retry(due=self.retrying, at=at, attempt=again, failures=self.failures),)

    def switch_off(self) -> None:
        """Take the next start of a job away, be it a retry or not."""
        self.next_start, self.retrying, self.failures = None, None, 0


@dataclass(frozen=True)
class Decision:
    """What becomes of a job that is due.

    Attributes:
        run: the instant that is run; None for none.
        attempt: how often it has been tried with this.
        missed: the instants before it that are told of in the history, and not run.
        next_start: the first instant that nothing was decided about.
    """

    run: datetime | None
    attempt: int = 1
    missed: tuple[datetime, ...] = ()
    next_start: datetime | None = None


@dataclass
class Guide:
    """All that there is, of both tenants."""

    lifetime: timedelta
    history: timedelta | None
    now: datetime = START
    jobs: list[Job] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    certificates: dict[tuple[str, str], tuple[Upload, bool]] = field(default_factory=dict)
    """The certificate of each user, and whether its expiry was told of."""
    storage: dict[str, bytes] = field(default_factory=dict)
    storage_refuses: bool = False
    """Whether the storage removes nothing at the moment."""
    trail: dict[str, list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    """What the audit of each tenant has to hold: action, subject, actor."""

    def note(self, tenant: str, action: str, subject: str, actor: str = "") -> None:
        self.trail[tenant].append((action, subject, actor))

    # Who may do what.

    def sees(self, principal: Principal, thing: Job | Run) -> bool:
        if Permission.USE not in principal.permissions or principal.tenant != thing.tenant:
            return False
        see_all = {Permission.SEE_ALL, Permission.CHANGE_ALL} & principal.permissions
        return bool(see_all) or principal.user == thing.owner

    def may(self, principal: Principal, thing: Job | Run | None, *, change: bool) -> Refusals:
        """Return how a principal is refused to see, or to do something to, a thing."""
        if Permission.USE not in principal.permissions:
            return frozenset({errors.AccessDenied})
        if thing is None or not self.sees(principal, thing):
            return frozenset({errors.NotFound})
        mine = principal.user == thing.owner or Permission.CHANGE_ALL in principal.permissions
        return GRANTED if mine or not change else frozenset({errors.AccessDenied})

    def use(self, principal: Principal) -> Refusals:
        allowed = Permission.USE in principal.permissions
        return GRANTED if allowed else frozenset({errors.AccessDenied})

    # Certificates.

    def certificate(self, tenant: str, user: str) -> Upload | None:
        found = self.certificates.get((tenant, user))
        return found and found[0]

    def sealing(
        self, tenant: str, user: str, recipients: Sequence[str], uploads: Iterable[Upload]
    ) -> Refusals:
        """Return why nothing can be sealed for the owner of a job and its other recipients."""
        own = self.certificate(tenant, user)
        if own is None:
            return frozenset({errors.NoCertificate})
        others = self.recipients(recipients, uploads)
        return frozenset().union(*(upload.refusals(self.now) for upload in (own, *others)))

    def recipients(self, recipients: Sequence[str], uploads: Iterable[Upload]) -> list[Upload]:
        known = {upload.data.decode("latin-1"): upload for upload in uploads}
        return [known[text] for text in recipients]

    # Jobs.

    def settings(
        self, principal: Principal, settings: JobSettings, before: JobSettings | None = None
    ) -> Refusals:
        """Return why a principal cannot have a job with such settings."""
        found: set[type[errors.CddsError]] = set()
        if settings.source not in SOURCES:
            is_info_mart = settings.source.strip().casefold() in {"info mart", "infomart"}
            found.add(errors.UnsupportedSource if is_info_mart else errors.JobError)
        if settings.dataset not in SOURCES.values():
            found.add(errors.JobError)
        if settings.dataset == "Contact" and settings.media_types is not None:
            found.add(errors.JobError)
        new = before is None or settings.recipients != before.recipients
        chooses = Permission.CHOOSE_RECIPIENTS in principal.permissions
        if settings.recipients and new and not chooses:
            found.add(errors.AccessDenied)
        recurrence = settings.recurrence
        new = before is None or recurrence != before.recurrence
        if new and isinstance(recurrence, Once) and recurrence.at and recurrence.at <= self.now:
            found.add(errors.JobError)
        return frozenset(found)

    def switch_on(self, job: Job) -> None:
        """Have a job start as its settings say from now on: never twice for one instant."""
        recurrence = recurrence_of(job)
        earliest = self.now
        if job.dealt_with is not None:
            earliest = max(earliest, job.dealt_with + timedelta(microseconds=1))
        job.switch_off()
        if isinstance(recurrence, Hourly):
            job.next_start = next_full_hour(recurrence, self.now)
        elif recurrence.at is None:
            job.next_start = earliest
        else:  # whoever switches it on late wants it run, also where nothing late is
            is_late = job.settings.misfire == "none" and recurrence.at < earliest
            job.next_start = earliest if is_late else recurrence.at

    def decide(self, job: Job) -> Decision:
        """Return what becomes of a job that is due, by its policy."""
        assert job.next_start is not None
        recurrence = recurrence_of(job)
        if job.retrying is not None:  # before all that has become due meanwhile
            following = following_start(recurrence, job.retrying)
            return Decision(job.retrying, job.failures + 1, next_start=following)
        due = [job.next_start]
        while len(due) <= AT_ONCE:
            following = following_start(recurrence, due[-1])
            if following is None or following > self.now:
                break
            due.append(following)
        after = following_start(recurrence, due[0])
        on_time_from = self.now - job.settings.misfire_grace_time
        if job.settings.misfire == "each" or job.is_immediate or due[0] >= on_time_from:
            return Decision(due[0], next_start=after)
        late = [instant for instant in due if instant < on_time_from]
        missed = tuple(late[:AT_ONCE])
        if job.settings.misfire == "one" and len(late) <= AT_ONCE:
            after = following_start(recurrence, late[-1])
            return Decision(late[-1], missed=missed[:-1], next_start=after)
        return Decision(None, missed=missed, next_start=following_start(recurrence, missed[-1]))

    def overdue(self, job: Job) -> tuple[datetime, ...]:
        """Return the starts that a job gives up when it is switched off or changed now."""
        recurrence = recurrence_of(job)
        instant = job.next_start
        if job.retrying is not None:
            instant = following_start(recurrence, max(job.retrying, job.dealt_with or EARLIEST))
        given_up = []
        while instant is not None and instant <= self.now:
            given_up.append(instant)
            instant = following_start(recurrence, instant)
        return tuple(given_up)

    def begin(self, job: Job, run: Run) -> None:
        """Have a run of a job begin: a one-time job is suspended by it."""
        self.runs.append(run)
        job.latest = run
        job.has_started = True
        job.deal_with(run.due)
        if job.is_one_time:
            job.is_suspended = True
            job.switch_off()

    def try_again(self, job: Job, run: Run) -> None:
        """Have a job start again for an instant, if its run may be tried once more."""
        if run.attempt <= run.settings.max_retries:
            job.next_start = self.now + PAUSES[min(run.attempt, len(PAUSES)) - 1]
            job.retrying, job.failures = run.due, run.attempt

    def due(self) -> list[Job]:
        return [job for job in self.jobs if job.next_start and job.next_start <= self.now]

    def selected(self, run: Run) -> dict[str, int]:
        """Return how many records a run exports, by the name of their data file."""
        if run.settings.timeframe is not None:  # none of them has a timestamp
            count = 0
        elif run.settings.dataset == "Contact":
            count = CONTACTS[run.tenant]
        else:
            wanted = run.settings.media_types
            media = [name.casefold() for name in MEDIA[run.tenant]]
            count = sum(wanted is None or name in wanted for name in media)
        return {run.settings.dataset.lower(): count}

    # Artifacts and retention.

    def live(self, file: File) -> bool:
        return file.state == "stored" and file.expires > self.now

    def gone(self, file: File, *, delete: bool = False) -> Refusals:
        """Return whether an artifact that the principal may have is gone."""
        lost = file.state == "missing" and not delete
        over = file.state == "removing" or file.expires <= self.now or lost
        return frozenset({errors.ArtifactGone}) if over else GRANTED

    def remove(self, files: Iterable[File], actor: str = "") -> tuple[set[str], set[str]]:
        """Remove artifacts; return the names of those that are gone, and of those that are not."""
        files = list(files)
        for file in files:
            file.state = "removing"
        if self.storage_refuses:
            return set(), {file.name for file in files}
        for run in {file.run for file in files}:
            if all(file.state == "removing" for file in run.files):
                self.storage.pop(run.digests or "", None)
        for file in files:
            self.storage.pop(file.name, None)
            del self.files[file.name]
            file.run.files.remove(file)
            self.note(file.run.tenant, "artifact deleted", file.name, actor)
            if not file.run.files:
                file.run.digests = None
        return {file.name for file in files}, set()

    def to_remove(self) -> list[File]:
        return [
            file
            for file in self.files.values()
            if file.state == "removing" or file.expires <= self.now
        ]

    def forget(self, run: Run, *, has_mark: bool) -> bool:
        """Take a run away with all that bears its id in the storage, if the storage lets it go.

        A finished run without a mark has had its files removed one by one, and nothing is looked
        for.
        """
        looked_for = has_mark or run.status != "finished"
        rest = [name for name in self.storage if name.startswith(f"export-{run.id}.")]
        if looked_for and rest and self.storage_refuses:
            return False
        for name in rest if looked_for else ():
            del self.storage[name]
        self.runs.remove(run)
        return True

    def to_purge(self) -> list[Run]:
        """Return the runs that leave the history once artifacts past their time are removed."""
        left = [run for run in self.runs if not set(run.files) - set(self.to_remove())]
        return [run for run in left if run.is_hidden or self._is_history(run)]

    def _is_history(self, run: Run) -> bool:
        if self.history is None or run.finished is None:
            return False
        return run.finished < self.now - self.history

    def days_remaining(self, file: File) -> int:
        """Count the days, begun ones included, until a file is gone."""
        days, moment = 0, self.now
        while moment < file.expires:
            days, moment = days + 1, moment + DAY
        return days


def recurrence_of(job: Job) -> Hourly | Once:
    """Return the recurrence of a job: the guide has these two."""
    recurrence = job.settings.recurrence
    assert isinstance(recurrence, Hourly | Once)
    return recurrence


def following_start(recurrence: Hourly | Once, after: datetime) -> datetime | None:
    """Return the next start of a job that has started: a one-time job has none."""
    return next_full_hour(recurrence, after) if isinstance(recurrence, Hourly) else None


def next_full_hour(recurrence: Hourly, after: datetime) -> datetime:
    """Return the next start, by looking at every full hour in UTC."""
    moment = after.replace(minute=0, second=0, microsecond=0)
    while True:
        is_late_enough = recurrence.start is None or moment >= recurrence.start
        if moment > after and is_late_enough and moment.hour % recurrence.every == 0:
            return moment
        moment += HOUR


def key(text: str) -> str:
    """Return what titles are compared by: without regard to case and form."""
    return unicodedata.normalize("NFKC", text).casefold()[:200]


LATE = datetime.max.replace(tzinfo=UTC)
EARLY = datetime.min.replace(tzinfo=UTC)


def job_sort_key(sort: str, job: Job) -> Any:
    """Return what the Jobs page sorts a job by: what never was comes first, what never is last."""
    latest = job.latest
    start = latest.started if latest else EARLY
    return {
        "title": (key(job.settings.title), job.id),
        "created": (job.created, job.id),
        "next_start": (job.next_start or LATE, job.id),
        "latest_start": (start, job.id),
        "latest_status": (latest.status if latest else "", start, job.id),
    }[sort]


def run_sort_key(sort: str, run: Run) -> Any:
    return {
        "started": (run.started, run.id),
        "status": (run.status, run.started, run.id),
        "title": (key(run.settings.title), run.id),
    }[sort]


def file_sort_key(sort: str, file: File) -> Any:
    return {
        "created": (file.created, file.name),
        "expires": (file.expires, file.name),
        "name": file.name,
        "size": (len(file.content), file.name),
        "title": (key(file.run.settings.title), file.name),
    }[sort]


def holds(thing: Job | Run, wanted: dict[str, Any]) -> bool:
    """Tell whether a job or a run is one that filters want."""
    settings = thing.settings
    for name, value in wanted.items():
        if name == "title" and key(value) not in key(settings.title):
            return False
        if name in {"source", "dataset"} and getattr(settings, name) != value:
            return False
        if name == "status":
            run = thing.latest if isinstance(thing, Job) else thing
            if run is None or run.status != value:
                return False
        if name == "suspended" and isinstance(thing, Job) and thing.is_suspended != value:
            return False
    return True


def is_same(entry: CertificateEntry | None, upload: Upload | None) -> bool:
    if entry is None or upload is None:
        return entry is None and upload is None
    return entry.fingerprint == upload.fingerprint and entry.expires == upload.end
