"""`cdds serve`: runs what is due, tells of it and of what expires, and a signal ends it cleanly."""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from terminals import Terminal

from cdds.catalog import ArtifactEntry, CertificateEntry, JobSettings, RunEntry, RunProgress
from cdds.cli.serve import _telling_once, line_of
from cdds.cli.telling import telling_warnings
from cdds.crypto.selfsigned import self_signed
from cdds.exporter import Exporter
from cdds.service import events

PATIENCE = 60
"""Seconds after which a process is taken to hang; nothing is asserted about time."""

MORNING = datetime(2026, 1, 31, 8, 0, 0, 5, tzinfo=UTC)
DUE = datetime(2026, 1, 31, 4, tzinfo=UTC)
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ run [0-9a-f-]{36} \(acme/alice: (.+?)\) (.+)")


@contextmanager
def serving(
    *words: str,
    hangup: Any = signal.SIG_DFL,
    command: Sequence[str] = (sys.executable, "-m", "cdds", "serve"),
) -> Iterator[subprocess.Popen[str]]:
    """Start a scheduler that heeds signals, and see to it that it ends."""
    heeded: Any = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: hangup,
    }
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    with subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for number, handler in before.items():
            signal.signal(number, handler)
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line of standard error."""
    assert process.stderr is not None
    ready, _, _ = select.select([process.stderr], [], [], PATIENCE)
    assert ready
    return process.stderr.readline()


# --- the log --------------------------------------------------------------------------------------


def run_entry(**changes: Any) -> RunEntry:
    run = RunEntry(
        id="7b2b8a0e-0000-4000-8000-000000000000",
        job_id="7b2b8a0e-0000-4000-8000-000000000001",
        tenant="acme",
        owner="alice",
        settings=JobSettings(title="Backup", source="UCS", dataset="Interaction"),
        started=MORNING,
        progress=RunProgress(
            records=0, bytes_read=0, bytes_total=None, bytes_written=0, started=MORNING, at=MORNING
        ),
    )
    return attrs.evolve(run, **changes)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (events.RunStarted(at=MORNING, run=run_entry()), "started"),
        (
            events.RunFinished(
                at=MORNING, run=run_entry(records={"interaction": 1200}, file_name="export.zip")
            ),
            "finished, 1,200 records, export.zip",
        ),
        (events.RunFailed(at=MORNING, run=run_entry(error="no source")), "failed: no source"),
        (events.RunCancelled(at=MORNING, run=run_entry()), "cancelled"),
        (
            events.RunMissed(
                at=MORNING, run=run_entry(missed=1, missed_from=DUE, due=DUE, error="too late")
            ),
            "missed 1 start, at 2026-01-31T04:00:00Z: too late",
        ),
        (
            events.RunMissed(
                at=MORNING,
                run=run_entry(
                    missed=1200,
                    missed_from=datetime(2026, 1, 1, tzinfo=UTC),
                    due=DUE,
                    error="made up for",
                ),
            ),
            "missed 1,200 starts, from 2026-01-01T00:00:00Z to 2026-01-31T04:00:00Z: made up for",
        ),
    ],
)
def test_a_line_tells_when_which_run_of_whom(event: events.Event, said: str) -> None:
    line = line_of(event)
    assert line is not None
    match = LINE.fullmatch(line)
    assert match is not None
    assert match.groups() == ("Backup", said)
    assert line.startswith("2026-01-31T08:00:00Z run 7b2b8a0e-")


def artifact_entry(**changes: Any) -> ArtifactEntry:
    texts = dict.fromkeys(("name", "run_id", "job_id", "tenant", "owner", "title", "dataset"), "x")
    numbers = dict.fromkeys(("size", "part", "parts"), 1)
    moments = dict.fromkeys(("created", "expires"), MORNING)
    given: dict[str, Any] = {**texts, **numbers, **moments, "sha256": "x"}
    return ArtifactEntry(**given | changes)


def certificate_entry(**changes: Any) -> CertificateEntry:
    entry = CertificateEntry(
        tenant="acme",
        user="alice",
        certificate="-----BEGIN CERTIFICATE-----",
        fingerprint="aa" * 32,
        uploaded=MORNING,
        expires=datetime(2026, 2, 5, 12, tzinfo=UTC),
    )
    return attrs.evolve(entry, **changes)


def test_what_is_no_news_has_no_line() -> None:
    assert line_of(events.ArtifactStored(at=MORNING, artifact=artifact_entry())) is None


def test_what_expires_is_told_with_whose_it_is_and_when() -> None:
    certificate = events.CertificateExpiring(at=MORNING, certificate=certificate_entry())
    assert line_of(certificate) == (
        "2026-01-31T08:00:00Z the certificate of acme/alice expires at 2026-02-05T12:00:00Z; "
        "later exports need a new one"
    )
    artifact = artifact_entry(name="export.zip", tenant="acme", owner="alice", title="Backup")
    assert line_of(events.ArtifactExpiring(at=MORNING, artifact=artifact)) == (
        "2026-01-31T08:00:00Z artifact export.zip (acme/alice: Backup) is gone at "
        "2026-01-31T08:00:00Z"
    )


@pytest.mark.parametrize("title", ["a\u202eb", "a\u2066b\u2028c"])
def test_a_line_is_no_order_to_a_terminal(title: str) -> None:
    settings = JobSettings(title=title, source="UCS", dataset="Interaction")
    for event in (
        events.RunStarted(at=MORNING, run=run_entry(settings=settings, owner=title)),
        events.ArtifactExpiring(at=MORNING, artifact=artifact_entry(title=title, owner=title)),
        events.CertificateExpiring(at=MORNING, certificate=certificate_entry(user=title)),
    ):
        line = line_of(event)
        assert line is not None
        assert line.isprintable()


# --- once -----------------------------------------------------------------------------------------


def test_once_runs_what_is_due_and_ends(terminal: Terminal) -> None:
    """As cron has it: a job that is due is run by the first, and by none after it."""
    terminal.add()
    terminal.add("--every-hours", "4", title="Not due")
    done = terminal("serve", "--once")
    assert (done.code, done.out) == (0, "")
    lines = [LINE.fullmatch(line) for line in done.err.splitlines()]
    assert [match and match[1] for match in lines] == ["Backup", "Backup"]
    again = terminal("serve", "--once")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert len(terminal("history", "list", "--json").json["runs"]) == 1


def test_a_run_that_fails_is_told_and_ends_nothing_else(terminal: Terminal) -> None:
    terminal.add(title="Fails")
    records = terminal.home / "data" / "acme" / "interactions.jsonl"
    records.write_text('{"STATUS": "secret of a record"}\n')
    done = terminal("serve", "--once")
    assert done.code == 0
    lines = [LINE.fullmatch(line) for line in done.err.splitlines()]
    assert [match and match[2].split(" ")[0] for match in lines] == ["started", "failed:"]
    assert "secret of a record" not in done.err
    assert "Traceback" not in done.err


def test_the_log_tells_what_no_event_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure whose end could not be recorded is no event, and its reason is not lost."""
    log = logging.getLogger("cdds.service.due")
    told, untold = run_entry(error="no source"), str(uuid.uuid4())
    with telling_warnings(), _telling_once() as teller:
        teller(events.RunFailed(at=MORNING, run=told))
        log.warning("it failed", extra={"run": told.id})
        log.warning("it failed unseen", extra={"run": untold})
        log.warning("it could not be begun")
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(" failed: no source")
    assert said[1:] == ["cdds: warning: it failed unseen", "cdds: warning: it could not be begun"]
    assert log.filters == []


def test_a_certificate_that_expires_soon_is_told_once(bare: Terminal) -> None:
    _, certificate = self_signed("alice", now=datetime.now(UTC) - timedelta(days=1), days=5)
    (bare.home / "cert.pem").write_bytes(certificate)
    bare("preferences", "set", bare.home / "cert.pem")
    (line,) = bare("serve", "--once").err.splitlines()
    assert " the certificate of acme/alice expires at " in line
    assert bare("serve", "--once").err == ""


def test_once_that_is_stopped_leaves_nothing(terminal: Terminal) -> None:
    records = terminal.home / "data" / "acme" / "interactions.jsonl"
    records.unlink()
    os.mkfifo(records)
    terminal.add()
    with serving("--once") as process:
        assert " started\n" in read_line(process)
        with feeding(records, terminal.home / "exports"):
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert told.endswith("cdds: stopped\n")
    assert list((terminal.home / "exports").glob("*")) == []


def test_once_that_is_stopped_lets_a_run_that_looks_end_by_itself(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing strikes it in the middle of a statement, and nothing more is begun."""
    for title in ("One", "Other"):
        terminal.add(title=title)
    real = Exporter.run

    def run(self: Exporter, *arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Exporter, "run", run)
    done = terminal("serve", "--once")
    assert (done.code, done.out) == (143, "")
    assert done.err.endswith("failed: its scheduler was stopped; it is run again\ncdds: stopped\n")
    assert len(done.err.splitlines()) == 3
    (told,) = terminal("history", "list", "--json").json["runs"]
    assert told["status"] == "failed"


# --- until it is stopped --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(terminal: Terminal, number: signal.Signals) -> None:
    terminal.add()
    with serving() as process:
        assert " started\n" in read_line(process)
        assert " finished, " in read_line(process)
        process.send_signal(number)
        printed, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed, told) == (0, "", "")


SIGNALLED_AS_IT_ENDS = """
import os, signal, sys
from cdds.__main__ import run
from cdds.catalog import Catalog

close = Catalog.close

def close_amid_signals(catalog):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    close(catalog)

Catalog.close = close_amid_signals
sys.exit(run())
"""


def test_signals_that_come_as_it_ends_change_nothing(terminal: Terminal) -> None:
    terminal.add()
    with serving(command=[sys.executable, "-c", SIGNALLED_AS_IT_ENDS, "serve"]) as process:
        assert " started\n" in read_line(process)
        assert " finished, " in read_line(process)
        process.send_signal(signal.SIGTERM)
        printed, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed, told) == (0, "", "")


def test_a_hangup_that_is_ignored_stays_so(terminal: Terminal) -> None:
    """Under nohup it goes on, and runs what is added later."""
    terminal.add(title="Before")
    with serving(hangup=signal.SIG_IGN) as process:
        assert ": Before) started\n" in read_line(process)
        process.send_signal(signal.SIGHUP)
        assert ": Before) finished, " in read_line(process)
        terminal.add(title="After")
        assert ": After) started\n" in read_line(process)
        assert ": After) finished, " in read_line(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_run_in_progress_is_cancelled_when_the_time_to_stop_is_over(terminal: Terminal) -> None:
    """It leaves nothing in the storage, and ends in time."""
    terminal.configure(terminal.config.read_text() + '[scheduler]\nstop_timeout = "1s"\n')
    records = terminal.home / "data" / "acme" / "interactions.jsonl"
    records.unlink()
    os.mkfifo(records)
    terminal.add()
    with serving() as process:
        assert " started\n" in read_line(process)
        with feeding(records, terminal.home / "exports"):
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, 1}
    assert [path for path in (terminal.home / "exports").iterdir() if path.name[0] != "."] == []
    assert terminal("artifacts", "list", "--json").json["artifacts"] == []


@contextmanager
def feeding(pipe: Path, exports: Path) -> Iterator[None]:
    """Write records until something is staged, and go on slowly until the end."""
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # both ends, so that it never ends
    deadline = time.monotonic() + PATIENCE
    while not (exports.exists() and any(exports.iterdir())):
        assert time.monotonic() < deadline
        try:
            os.write(end, b'{"IXNID":"1"}\n' * 100)
        except BlockingIOError:
            time.sleep(0.01)
    try:
        yield
    finally:
        os.close(end)


def test_two_schedulers_run_each_job_once(terminal: Terminal) -> None:
    titles = {f"Job {number}" for number in range(6)}
    for title in titles:
        terminal.add(title=title)
    with serving() as one, serving() as other:
        for process in (one, other):
            assert process.poll() is None
        deadline = time.monotonic() + PATIENCE
        while len(terminal("artifacts", "list", "--json").json["artifacts"]) < len(titles):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in (one, other):
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
    runs = terminal("history", "list", "--json").json["runs"]
    assert sorted(run["title"] for run in runs) == sorted(titles)
