"""The whole guide, walked once: from the certificate to the day on which the file is gone.

Real parts throughout: SQLite in a file, JSON Lines in files, a local folder, OpenSSL and unzip as
the recipient's tools. Only the clock is made up, so that 30 days can pass.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cdds
from cdds.errors import ArtifactGone, JobError, NoCertificate, NotEditable, NotFound, NotResumable
from cdds.service import events


class SetClock:
    """A clock that shows what it was set to."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


RECORDS = [
    {"IXNID": f"{n:016}", "MEDIATYPEID": "chat" if n % 2 else "email", "SUBJECT": f"Subject {n}"}
    for n in range(4000)
]


def test_the_guide_from_certificate_to_day_30(  # noqa: PLR0915  # one walk through all of it
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path], judge: Callable[[str], str]
) -> None:
    key, certificate = rsa_key_and_certificate
    records = tmp_path / "acme.jsonl"
    records.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    clock = SetClock(datetime.now(UTC).replace(microsecond=0))
    told: list[events.Event] = []
    with cdds.Catalog(tmp_path / "catalog.db", audit_key=b"k" * 32) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=tmp_path / "exports",
            sources={
                "UCS": lambda tenant: cdds.sources.JsonLines(
                    interaction=tmp_path / f"{tenant}.jsonl"
                )
            },
            clock=clock,
            listeners=[told.append],
        )
        alice = cdds.Principal("alice", "acme", ["use", "audit"])

        # User preferences: nothing is exported before there is a certificate.
        settings = cdds.JobSettings(
            title="Interactions backup", source="UCS", dataset="Interaction", media_types=["chat"]
        )
        with pytest.raises(NoCertificate):
            service.jobs.add(alice, settings)
        service.preferences.set_certificate(alice, certificate.read_bytes())

        # Jobs page: a one-time job that starts at once is added suspended, and stays so.
        job = service.jobs.add(alice, settings)
        assert (job.suspended, job.latest_status) == (True, None)
        with pytest.raises(NotResumable):
            service.jobs.resume(alice, job.id)
        with pytest.raises(NotEditable):
            service.jobs.edit(alice, job.id, title="Other")

        # It runs, and its progress can be watched.
        clock.moment += timedelta(minutes=1)
        seen: list[cdds.catalog.JobEntry] = []
        watched = threading.Event()

        def watch(_: cdds.Progress) -> None:
            if not watched.is_set():
                seen.extend(service.jobs.list(alice).items)
                watched.set()

        run = service.jobs.run_now(alice, job.id, progress=watch)
        assert [(entry.latest_status, entry.latest_run) for entry in seen] == [
            ("in progress", run.id)
        ]
        assert seen[0].progress is not None

        # History page.
        (listed,) = service.history.list(alice, job_id=job.id).items
        assert listed == service.history.get(alice, run.id) == run
        assert (listed.status, listed.title, listed.started) == (
            "finished",
            "Interactions backup",
            clock.moment,
        )
        assert listed.records == {"interaction": 2000}
        assert listed.file_name == f"export-{run.id}.zip.smime"
        clone = service.history.clone(alice, run.id, title="Interactions backup clone")
        assert clone.settings.media_types == frozenset({"chat"})

        # Artifacts page: download, decrypt with OpenSSL, extract.
        (artifact,) = service.artifacts.list(alice).items
        assert (artifact.name, artifact.title) == (listed.file_name, "Interactions backup")
        assert service.artifacts.days_remaining(artifact) == 30
        downloads = tmp_path / "downloads"
        for download in service.artifacts.download(alice, [artifact.name]):
            download.save(downloads)
        sealed = downloads / artifact.name
        assert sealed.stat().st_size == artifact.size
        opened = tmp_path / "opened.zip"
        openssl = [judge("openssl"), "smime", "-decrypt", "-binary", "-inkey", str(key)]
        subprocess.run([*openssl, "-in", str(sealed), "-out", str(opened)], check=True)
        subprocess.run([judge("unzip"), "-q", opened, "-d", tmp_path / "opened"], check=True)
        lines = (tmp_path / "opened" / f"Interaction-{job.id}.json").read_text().splitlines()
        assert [json.loads(line) for line in lines] == RECORDS[1::2]

        # A day before the end it is there; on day 30 it is gone, before and after the sweep.
        clock.moment = artifact.created + timedelta(days=29, seconds=1)
        assert service.artifacts.days_remaining(artifact) == 1
        assert service.artifacts.list(alice).items == (artifact,)
        clock.moment = artifact.created + timedelta(days=30)
        assert service.artifacts.days_remaining(artifact) == 0
        assert service.artifacts.list(alice).items == ()
        with pytest.raises(ArtifactGone):
            service.artifacts.open(alice, artifact.name)
        swept = service.retention.sweep()
        assert (swept.artifacts, swept.failed) == (1, ())
        assert list((tmp_path / "exports").iterdir()) == []
        with pytest.raises(NotFound):
            service.artifacts.get(alice, artifact.name)

        # What is left is the history, and the proof of what was done.
        assert service.history.get(alice, run.id).status == "finished"
        trail = service.audit.entries(alice)
        assert [entry.action for entry in trail] == [
            "certificate set",
            "job added",
            "run started",
            "run finished",
            "job added",
            "artifact opened",
            "artifact deleted",
        ]
        assert trail[-1].details["sha256"] == artifact.sha256
        assert service.audit.verify(alice, service.audit.head(alice)).number == len(trail)
        kinds = [type(event).__name__ for event in told if type(event) is not events.RunProgressed]
        assert kinds == [
            "RunStarted",
            "RunFinished",
            "ArtifactStored",
            "ArtifactDownloaded",
            "ArtifactRemoved",
        ]


def test_info_mart_is_refused(tmp_path: Path) -> None:
    with cdds.Catalog("sqlite://", audit_key=b"k" * 32) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=tmp_path,
            sources={"UCS": lambda _: cdds.sources.Records(interaction=[])},
        )
        settings = cdds.JobSettings(title="x", source="Info Mart", dataset="Interaction")
        with pytest.raises(JobError, match="Info Mart exports are not supported"):
            service.jobs.add(cdds.Principal("alice", "acme"), settings)
