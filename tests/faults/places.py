"""A service on a small export, and what must be true of it after whatever was done to it.

One clock, which is set and never waits, is the time of the service and of the leases.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import Table, select

import cdds
from cdds import sample
from cdds.catalog.tables import ARTIFACTS, JOBS, RUNS
from cdds.protocols import Sink
from cdds.service.reconciliation import Reconciled

ME = cdds.Principal("alice", "acme", ["use", "audit"])
LEASE = timedelta(minutes=1)
LIFETIME = timedelta(minutes=20)
HISTORY = timedelta(minutes=40)
SETTINGS = cdds.JobSettings(
    title="Interactions",
    source="UCS",
    dataset="Interaction",
    recurrence=cdds.Hourly(1),
    split_size="64 KiB",
)
_RECORDS = 25
_ENDS = {"run finished", "run failed", "run cancelled"}


class SetClock:
    """A clock that shows what it was set to."""

    def __init__(self, moment: datetime | None = None) -> None:
        self.moment = moment or datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.moment


@attrs.frozen
class Files:
    """What a service is given: the records, the recipient's key and certificate; and a folder."""

    home: Path
    exports: Path

    @classmethod
    def make(cls, home: Path, key: Path, certificate: Path) -> Files:
        files = cls(home, home / "exports")
        shutil.copy(key, files.key)
        shutil.copy(certificate, files.certificate)
        with files.records.open("wb") as file:
            sample.write_lines(sample.interactions(_RECORDS, seed=8), file)
        return files

    @property
    def key(self) -> Path:
        return self.home / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.home / "cert.pem"

    @property
    def records(self) -> Path:
        return self.home / "interactions.jsonl"


@attrs.frozen
class Place:
    """A service, and all that can be looked at behind its back."""

    files: Files
    clock: SetClock
    catalog: cdds.Catalog
    service: cdds.DownloadService
    me: cdds.Principal = ME

    def add_job(self, **changes: Any) -> str:
        """Add a job whose set has several artifacts unless told otherwise; return its id."""
        self.service.preferences.set_certificate(self.me, self.files.certificate.read_bytes())
        return self.service.jobs.add(self.me, attrs.evolve(SETTINGS, **changes)).id

    def rows(self, table: Table) -> list[Mapping[str, Any]]:
        """Return all rows of a table, hidden ones too."""
        with self.catalog.read() as transaction:
            found = transaction._connection.execute(select(table).order_by(*table.primary_key))
            return [dict(row._mapping) for row in found]

    def trail(self) -> list[cdds.catalog.AuditEntry]:
        """Return the audit trail, which must be whole."""
        with self.catalog.read() as transaction:
            transaction.audit.verify(self.me.tenant)
            return list(transaction.audit.entries(self.me.tenant))

    def stored(self) -> set[str]:
        """Return the names of all files, staged ones too."""
        exports = self.files.exports
        return {path.name for path in exports.iterdir()} if exports.exists() else set()


@contextmanager
def opened(
    files: Files,
    url: str,
    clock: SetClock | None = None,
    *,
    sink: Sink | None = None,
    **options: Any,
) -> Iterator[Place]:
    """Open a catalog, and a service on it and on the folder of exports."""
    clock = clock or SetClock()
    with cdds.Catalog(url, audit_key=b"k" * 32, clock=clock) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=sink or files.exports,
            sources={"UCS": lambda _: cdds.sources.JsonLines(interaction=files.records)},
            clock=clock,
            signer=cdds.Signer.load(files.key, files.certificate),
            threads=1,
            **{"lifetime": LIFETIME, "history_lifetime": HISTORY, "lease": LEASE} | options,
        )
        yield Place(files, clock, catalog, service)


def check(
    place: Place,
    *,
    openssl: str | None = None,
    lost: Collection[str] = (),
    leases_hold: bool = True,
) -> None:
    """Check all that must be true at any moment: of each row, each listed artifact, the audit.

    Args:
        place: what to check.
        openssl: the tool that shall open each listed artifact.
        lost: artifacts whose file the test itself has taken away.
        leases_hold: whether no time has passed in which a run could have lapsed.
    """
    jobs, runs, artifacts = (place.rows(table) for table in (JOBS, RUNS, ARTIFACTS))
    trail = place.trail()
    of_run: dict[str, list[Mapping[str, Any]]] = {run["id"]: [] for run in runs}
    for artifact in artifacts:
        of_run[artifact["run_id"]].append(artifact)
    deleted = Counter(entry.details["run"] for entry in trail if entry.action == "artifact deleted")
    missed = [run for run in runs if run["status"] == "missed"]
    for run in missed:
        _check_missed(run, of_run[run["id"]])
    runs = [run for run in runs if run["status"] != "missed"]
    for run in runs:
        _check_run(run, of_run[run["id"]], deleted[run["id"]], place)
    _check_jobs(jobs, runs)
    _check_ends(runs, trail)
    now = place.clock.now()
    going = [run for run in runs if run["status"] == "in progress"]
    assert not leases_hold or all(run["lease_until"] > now for run in going)
    for artifact in artifacts:
        if artifact["state"] == "stored" and artifact["name"] not in lost:
            _check_file(artifact, place, openssl)
    listed = {artifact.name for artifact in listed_artifacts(place)}
    assert listed == {
        row["name"] for row in artifacts if row["state"] == "stored" and row["expires"] > now
    }


def listed_artifacts(place: Place) -> list[cdds.catalog.ArtifactEntry]:
    """Return all that the Artifacts page shows."""
    found: list[cdds.catalog.ArtifactEntry] = []
    after = None
    while True:
        page = place.service.artifacts.list(place.me, after=after)
        found += page.items
        after = page.next
        if after is None:
            return found


def _check_run(
    run: Mapping[str, Any], artifacts: list[Mapping[str, Any]], deleted: int, place: Place
) -> None:
    assert run["status"] in {"in progress", "finished", "failed", "cancelled"}
    if run["status"] == "in progress":
        assert run["finished"] is None
        assert not run["removed"]
    else:
        assert run["finished"] >= run["started"]
    if run["status"] != "finished":
        assert artifacts == []
        assert (run["file_name"], run["digests"], run["signature"], run["parts"]) == (
            (None,) * 3 + (0,)
        )
        assert (run["error"] is not None) == (run["status"] == "failed")
        return
    assert run["error"] is None
    assert len(artifacts) + deleted == run["parts"] >= 1
    for artifact in artifacts:
        assert artifact["state"] in {"stored", "missing", "removing"}
        assert (artifact["parts"], artifact["job_id"], artifact["expires"]) == (
            run["parts"],
            run["job_id"],
            run["expires"],
        )
        assert artifact["state"] == "removing" or not run["removed"]
    if artifacts:
        assert run["digests"] == f"export-{run['id']}.sha256"
    if any(artifact["state"] != "removing" for artifact in artifacts):
        _check_mark(run, artifacts, place)


def _check_missed(run: Mapping[str, Any], artifacts: list[Mapping[str, Any]]) -> None:
    assert run["missed"] >= 1
    assert run["missed_from"] <= run["due"]
    assert run["error"]
    assert artifacts == []


def _check_mark(run: Mapping[str, Any], artifacts: list[Mapping[str, Any]], place: Place) -> None:
    """Check that the file of digests of a set that is in the lists is there, and says the same."""
    text = (place.files.exports / run["digests"]).read_text()
    digests = {line[66:]: line[:64] for line in text.splitlines()}
    assert len(digests) == run["parts"]
    assert run["file_name"] in digests
    assert all(digests[artifact["name"]] == artifact["sha256"] for artifact in artifacts)
    assert (place.files.exports / run["signature"]).stat().st_size > 0


def _check_jobs(jobs: list[Mapping[str, Any]], runs: list[Mapping[str, Any]]) -> None:
    by_id = {run["id"]: run for run in runs}
    for job in jobs:
        latest = by_id.get(job["latest_run"])
        if latest is not None:
            assert job["latest_status"] == latest["status"]
            assert job["latest_start"] == latest["started"]
        else:  # there was none, or it was taken out of the history
            assert job["latest_status"] != "in progress"
    going = Counter(run["job_id"] for run in runs if run["status"] == "in progress")
    assert all(count == 1 for count in going.values())
    assert going.keys() <= {job["id"] for job in jobs}
    assert all(job["running"] == going[job["id"]] for job in jobs)


def _check_ends(runs: list[Mapping[str, Any]], trail: list[cdds.catalog.AuditEntry]) -> None:
    """Check that each run began once, and that each but those in progress ended once."""
    starts = Counter(entry.subject for entry in trail if entry.action == "run started")
    ends = Counter(entry.subject for entry in trail if entry.action in _ENDS)
    assert set(starts.values()) <= {1}
    assert set(ends.values()) <= {1}
    status = {entry.subject: entry.action for entry in trail if entry.action in _ENDS}
    going = {run["id"] for run in runs if run["status"] == "in progress"}
    assert starts.keys() - ends.keys() == going
    assert ends.keys() <= starts.keys()
    for run in runs:
        assert run["id"] in starts
        assert run["id"] in going or status[run["id"]] == f"run {run['status']}"


def _check_file(artifact: Mapping[str, Any], place: Place, openssl: str | None) -> None:
    path = place.files.exports / artifact["name"]
    data = path.read_bytes()
    assert len(data) == artifact["size"]
    assert hashlib.sha256(data).hexdigest() == artifact["sha256"]
    if openssl is not None:
        _open(path, place.files.key, openssl, whole=artifact["parts"] == 1)


def _open(path: Path, key: Path, openssl: str, *, whole: bool) -> None:
    """Open an artifact as its recipient does."""
    with tempfile.TemporaryDirectory(prefix="cdds-test-") as folder:
        opened_file = Path(folder) / "opened"
        words = [openssl, "smime", "-decrypt", "-binary", "-inkey", str(key)]
        words += ["-in", str(path), "-out", str(opened_file)]
        subprocess.run(words, check=True, timeout=60)
        assert opened_file.stat().st_size > 0
        if whole:
            with zipfile.ZipFile(opened_file) as archive:
                assert archive.testzip() is None


def tidy(place: Place, *, lost: Collection[str] = ()) -> None:
    """Let the leases lapse, reconcile and sweep; check that nothing but whole sets is left."""
    place.clock.moment += 2 * LEASE
    reconciled = place.service.reconcile()
    assert set(reconciled.missing) <= set(lost)
    assert reconciled.foreign == 0
    assert place.stored() <= _wanted(place)  # what is being removed is the sweep's
    assert place.service.retention.sweep().failed == ()
    check(place, lost=lost)
    assert place.stored() == _wanted(place)
    assert {artifact["state"] for artifact in place.rows(ARTIFACTS)} <= {"stored", "missing"}
    runs = place.rows(RUNS)
    assert not [run for run in runs if run["removed"] or run["status"] == "in progress"]
    assert place.service.reconcile() == Reconciled()


def _wanted(place: Place) -> set[str]:
    """Return the names of all files that the catalog says are there."""
    names = {row["name"] for row in place.rows(ARTIFACTS) if row["state"] != "missing"}
    for run in place.rows(RUNS):
        names |= {run[name] for name in ("digests", "signature") if run[name] is not None}
    return names


def run_again(place: Place, job_id: str) -> cdds.catalog.RunEntry:
    """Run a job, which must finish; return the run."""
    run = place.service.jobs.run_now(place.me, job_id)
    assert run.status == "finished"
    assert run.id == place.service.jobs.get(place.me, job_id).latest_run
    return run
