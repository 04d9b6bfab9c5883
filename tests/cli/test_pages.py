"""The guide's pages in a terminal, each command on a real catalog."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from terminals import Terminal

from cdds import sample
from cdds.catalog import ArtifactEntry, CertificateEntry, JobEntry, RunEntry
from cdds.cli.configuration import read_configuration
from cdds.cli.entry import _parser
from cdds.service.download import Download

Words: TypeAlias = "list[str | Path]"
Ran: TypeAlias = tuple[str, str, list[str]]
"""A job, its run and the names of the run's artifacts."""

PATIENCE = 60
"""Seconds after which a process is taken to hang; nothing is asserted about time."""


@pytest.fixture
def ran(terminal: Terminal) -> Ran:
    """Return a recurring job, its run and the names of the run's artifacts, which are several."""
    job_id = terminal.add("--every-hours", "4", "--split-size", "64KiB")
    return job_id, *terminal.run(job_id)


# --- the whole way --------------------------------------------------------------------------------


def test_what_was_configured_in_a_terminal_opens_with_openssl(
    terminal: Terminal, judge: Callable[[str], str], rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    """Certificate, job, run, list, download: then the recipient has every record."""
    _, (name,) = terminal.run(terminal.add())
    (artifact,) = terminal("artifacts", "list", "--json").json["artifacts"]
    assert artifact["name"] == name
    folder = terminal.home / "downloads"
    (told,) = terminal("artifacts", "download", name, "--to", folder, "--json").json["downloaded"]
    assert told == {"name": name, "path": str(folder / name)}
    key, certificate = rsa_key_and_certificate
    subprocess.run(
        [judge("openssl"), "smime", "-decrypt", "-binary", "-inkey", str(key)]
        + ["-recip", str(certificate), "-in", str(folder / name)]
        + ["-out", str(folder / "opened.zip")],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(folder / "opened.zip") as archive:
        exported = archive.read(f"Interaction-{artifact['job_id']}.json")
    assert exported == (terminal.home / "data" / "acme" / "interactions.jsonl").read_bytes()


def test_the_working_folder_does_not_matter(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths of a configuration are relative to its file."""
    monkeypatch.chdir(tmp_path)
    terminal.run(terminal.add())
    assert list(tmp_path.iterdir()) == [terminal.home]
    assert {"cdds.db", "exports"} <= terminal.files()


# --- jobs -----------------------------------------------------------------------------------------


def test_every_option_of_a_job_is_a_setting(
    terminal: Terminal, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    job_id = terminal.add(
        *("--description", "all\nof it", "--media-type", "chat", "Email"),
        *("--from", "2025-01-01", "--until", "2025-02-01T12:00+02:00"),
        *("--split-size", "1MB", "--on-invalid", "reject", "--max-rejects", "7"),
        *("--level", "small", "--every-hours", "6", "--start", "2030-01-01"),
        *("--misfire", "each", "--misfire-grace-time", "90s", "--max-instances", "2"),
        *("--max-retries", "0", "--recipient", rsa_key_and_certificate[1]),
    )
    job = terminal("jobs", "show", job_id, "--json").json["job"]
    settings = job["settings"]
    (recipient,) = settings.pop("recipients")
    assert recipient.startswith("-----BEGIN CERTIFICATE-----")
    assert settings == {
        "title": "Backup",
        "source": "Contact History",
        "dataset": "Interaction",
        "description": "all\nof it",
        "media_types": ["chat", "email"],
        "recurrence": {
            "kind": "hourly",
            "every": 6,
            "start": "2030-01-01T00:00:00Z",
            "until": None,
            "count": None,
            "zone": "UTC",
            "text": "every 6 hours, from 00:00 UTC, not before 2030-01-01 00:00 UTC",
        },
        "timeframe": {"from": "2025-01-01T00:00:00Z", "until": "2025-02-01T10:00:00Z"},
        "split_size": 1_000_000,
        "on_invalid": "reject",
        "max_rejects": 7,
        "level": "small",
        "misfire": "each",
        "misfire_grace_time": 90,
        "max_instances": 2,
        "max_retries": 0,
    }
    assert job["next_start"] == "2030-01-01T00:00:00Z"


def test_what_can_be_set_can_be_taken_back(
    terminal: Terminal, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    job_id = terminal.add(
        *("--every-hours", "6", "--media-type", "chat", "--from", "2025-01-01"),
        *("--split-size", "1MB", "--recipient", rsa_key_and_certificate[1]),
    )
    back = ["--all-media-types", "--all-time", "--no-split", "--no-recipients"]
    settings = terminal("jobs", "edit", job_id, *back, "--json").json["job"]["settings"]
    taken = ("media_types", "timeframe", "split_size", "recipients")
    assert [settings[name] for name in taken] == [None, None, None, []]
    assert settings["recurrence"]["every"] == 6


def test_an_edit_changes_what_it_names_and_nothing_else(terminal: Terminal) -> None:
    job_id = terminal.add("--every-hours", "6", "--media-type", "chat")
    before = terminal("jobs", "show", job_id, "--json").json["job"]["settings"]
    assert terminal("jobs", "edit", job_id, "--title", "Other").words == []
    after = terminal("jobs", "show", job_id, "--json").json["job"]["settings"]
    assert after == before | {"title": "Other"}


def test_jobs_and_runs_are_cloned_with_changes(terminal: Terminal, ran: Ran) -> None:
    job_id, run_id, _ = ran
    for page, thing in (("jobs", job_id), ("history", run_id)):
        (clone,) = terminal(page, "clone", thing, "--title", f"of {page}", "--once").words
        job = terminal("jobs", "show", clone, "--json").json["job"]
        assert clone not in {job_id, run_id}
        assert job["title"] == f"of {page}"
        assert job["settings"]["recurrence"]["kind"] == "once"
        assert job["settings"]["split_size"] == 64 * 1024


def test_a_job_is_suspended_resumed_and_deleted(terminal: Terminal) -> None:
    job_id = terminal.add("--every-hours", "6")
    assert terminal("jobs", "suspend", job_id, "--json").json["job"]["suspended"] is True
    assert terminal("jobs", "list", "--active", "--json").json["jobs"] == []
    assert terminal("jobs", "resume", job_id, "--json").json["job"]["suspended"] is False
    assert terminal("jobs", "list", "--suspended", "--json").json["jobs"] == []
    assert terminal("jobs", "delete", job_id, "--json").json == {"deleted": job_id}
    assert "no such job" in terminal("jobs", "show", job_id).refusal


def test_the_rules_of_the_guide_are_told(terminal: Terminal) -> None:
    """A one-time job is neither edited, nor resumed, nor run twice."""
    job_id = terminal.add()
    assert "cannot be edited" in terminal("jobs", "edit", job_id, "--title", "x").refusal
    assert "cannot be resumed" in terminal("jobs", "resume", job_id).refusal
    terminal.run(job_id)
    assert "runs once" in terminal("jobs", "run", job_id).refusal


def test_a_run_that_fails_says_why_in_one_line(terminal: Terminal) -> None:
    job_id = terminal.add()
    (terminal.home / "data" / "acme" / "interactions.jsonl").unlink()
    assert "interactions.jsonl: No such file" in terminal("jobs", "run", job_id).refusal
    (run,) = terminal("history", "list", "--status", "failed", "--json").json["runs"]
    assert "interactions.jsonl: No such file" in run["error"]
    assert "cdds has met" not in terminal("history", "show", run["id"]).out


# --- lists ----------------------------------------------------------------------------------------


def test_a_list_of_jobs_has_the_columns_of_the_page(terminal: Terminal, ran: Ran) -> None:
    columns, rule, row = terminal("jobs", "list").out.splitlines()
    assert [cell.strip() for cell in cells(columns, rule)] == [
        *("title", "type", "source", "status", "progress", "latest start (UTC)"),
        *("next start (UTC)", "runs", "suspended", "id"),
    ]
    shown = [cell.strip() for cell in cells(row, rule)]
    assert shown[:5] == ["Backup", "Interaction", "Contact History", "finished", ""]
    assert shown[-3:] == ["every 4 hours, from 00:00 UTC", "no", ran[0]]


def test_lists_of_runs_and_artifacts_show_whole_ids_and_names(terminal: Terminal, ran: Ran) -> None:
    _, run_id, names = ran
    assert run_id in terminal("history", "list").words
    shown = terminal("artifacts", "list", "--sort", "name", "--ascending")
    assert [line.split()[0] for line in shown.out.splitlines()[2:]] == sorted(names)
    assert f"{len(names)} of {len(names)}" in shown.out
    assert " 30 " in shown.out


def cells(line: str, rule: str) -> list[str]:
    """Cut a line of a table where its columns are."""
    parts, start = [], 0
    for width in map(len, rule.split("  ")):
        parts.append(line[start : start + width])
        start += width + 2
    return parts


def test_a_list_goes_on_where_its_page_ended(terminal: Terminal) -> None:
    titles = [f"Job {number}" for number in range(5)]
    for title in titles:
        terminal.add(title=title)
    seen: list[str] = []
    after: list[str] = []
    while True:
        page = terminal("jobs", "list", "--limit", "2", *after, "--json").json
        seen += [job["title"] for job in page["jobs"]]
        if page["next"] is None:
            break
        after = ["--after", page["next"]]
    assert seen == titles
    done = terminal("jobs", "list", "--limit", "2", "--descending")
    assert "Job 4" in done.out
    assert "Job 2" not in done.out
    token = done.err.removeprefix("cdds: there is more: --after ").strip()
    assert "Job 2" in terminal("jobs", "list", "--limit", "2", "--descending", "--after", token).out


@pytest.mark.parametrize(
    ("page", "wanted", "count"),
    [
        ("jobs", ["--title", "BACK"], 1),
        ("jobs", ["--title", "other"], 0),
        ("jobs", ["--source", "Contact History"], 1),
        ("jobs", ["--dataset", "contact"], 0),
        ("jobs", ["--status", "finished"], 1),
        ("jobs", ["--status", "in-progress"], 0),
        ("history", ["--dataset", "INTERACTION"], 1),
        ("history", ["--sort", "title"], 1),
        ("artifacts", ["--title", "other"], 0),
    ],
)
def test_lists_are_filtered(
    terminal: Terminal, ran: Ran, page: str, wanted: list[str], count: int
) -> None:
    listed = terminal(page, "list", *wanted, "--json").json
    (things,) = (value for name, value in listed.items() if name != "next")
    assert len(things) == count


def test_lists_are_filtered_by_job_and_run(terminal: Terminal, ran: Ran) -> None:
    job_id, run_id, names = ran
    other = terminal.add()
    assert len(terminal("history", "list", "--job", job_id, "--json").json["runs"]) == 1
    assert terminal("history", "list", "--job", other, "--json").json["runs"] == []
    for option, thing in (("--run", run_id), ("--job", job_id)):
        listed = terminal("artifacts", "list", option, thing, "--json").json["artifacts"]
        assert {artifact["name"] for artifact in listed} == set(names)


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list", "--limit", "0"],
        ["jobs", "list", "--limit", "501"],
        ["jobs", "list", "--after", "nonsense"],
        ["jobs", "list", "--status", "lost"],
        ["jobs", "list", "--dataset", "letters"],
        ["history", "show", "no-uuid"],
        ["history", "list", "--job", "no-uuid"],
        ["artifacts", "download", "../../etc/passwd", "--to", "x"],
        ["artifacts", "download", "export-1.zip", "--to", "x"],
        ["jobs", "run", "7b2b8a0e-0000-4000-8000-000000000000"],
        ["jobs", "add", "--title", "x", "--source", "Info Mart", "--dataset", "interaction"],
        ["jobs", "add", "--title", "\x1b[31m", "--source", "x", "--dataset", "interaction"],
        ["preferences", "set", "missing.pem"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_in_one_line(
    terminal: Terminal, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = terminal.files()
    assert "\x1b" not in terminal(*words).refusal
    assert terminal.files() == before
    assert list(tmp_path.iterdir()) == [terminal.home]


@pytest.mark.parametrize(
    "words",
    [
        ["jobs"],
        ["jobs", "paint"],
        ["jobs", "show"],
        ["jobs", "add", "--title", "x"],
        ["jobs", "add", "--title", "x", "--source", "x", "--dataset", "x", "--start", "2030-01-01"],
        ["jobs", "edit", "id"],
        ["jobs", "edit", "id", "--once", "--every-hours", "4"],
        ["jobs", "edit", "id", "--from", "2025-01-01", "--all-time"],
        ["jobs", "list", "--sort", "colour"],
        ["jobs", "list", "--suspended", "--active"],
        ["artifacts", "download", "--to", "x"],
        ["artifacts", "download", "name", "--run", "id", "--to", "x"],
        ["artifacts", "download", "name"],
        ["artifacts", "link", "name", "--lifetime", "soon"],
        ["preferences", "set"],
        ["serve", "--user", "alice"],
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_pages(terminal: Terminal, words: list[str]) -> None:
    done = terminal(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: cdds ")


# --- on whose behalf ------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["CDDS_CONFIG", "CDDS_USER", "CDDS_TENANT"])
def test_who_acts_where_has_no_default(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    value = os.environ[variable]
    monkeypatch.delenv(variable)
    option = f"--{variable.removeprefix('CDDS_').lower()}"
    done = terminal("jobs", "list")
    assert (done.code, done.out) == (2, "")
    assert option in done.err
    assert variable in done.err
    assert terminal("jobs", "list", option, value).code == 0
    assert terminal("jobs", "list", option, "").code == 2


def test_others_see_nothing_unless_all_is_asked_for(terminal: Terminal, ran: Ran) -> None:
    """And what belongs to another tenant does not exist, whatever is asked for."""
    job_id, run_id, names = ran
    bob, mallory = ["--user", "bob"], ["--user", "mallory", "--tenant", "other", "--all"]
    for stranger in (bob, mallory):
        for page in ("jobs", "history", "artifacts"):
            listed = terminal(page, "list", *stranger, "--json").json
            assert [value for name, value in listed.items() if name != "next"] == [[]]
        assert "no such job" in terminal("jobs", "show", job_id, *stranger).refusal
        assert "no such run" in terminal("history", "show", run_id, *stranger).refusal
        folder = terminal.home / "stolen"
        words: Words = ["artifacts", "download", names[0], "--to", folder, *stranger]
        assert "no such artifact" in terminal(*words).refusal
        assert not folder.exists()
    for page in ("jobs", "history", "artifacts"):
        listed = terminal(page, "list", *bob, "--all", "--json").json
        assert [bool(value) for name, value in listed.items() if name != "next"] == [True]
    terminal("jobs", "run", job_id, *bob, "--all", "--json").json  # noqa: B018  # it succeeds


# --- history --------------------------------------------------------------------------------------


def test_a_run_is_shown_and_deleted_with_its_artifacts(terminal: Terminal, ran: Ran) -> None:
    _, run_id, names = ran
    told = terminal("history", "show", run_id, "--json").json
    assert told["artifacts"] == names
    assert told["run"]["status"] == "finished"
    assert told["run"]["records"]["interaction"] > 0
    shown = terminal("history", "show", run_id).out
    assert all(name in shown for name in names)
    assert terminal("history", "delete", run_id, "--json").json == {"deleted": run_id}
    assert terminal("artifacts", "list", "--json").json["artifacts"] == []
    assert list((terminal.home / "exports").iterdir()) == []


def test_cancelling_a_run_that_has_ended_changes_nothing(terminal: Terminal, ran: Ran) -> None:
    cancelled = terminal("history", "cancel", ran[1], "--json").json["run"]
    assert (cancelled["status"], cancelled["cancel_requested"]) == ("finished", False)


# --- artifacts ------------------------------------------------------------------------------------


def test_a_whole_set_is_downloaded_by_its_run(
    terminal: Terminal, ran: Ran, judge: Callable[[str], str]
) -> None:
    """With the file of digests, which holds for what was downloaded."""
    _, run_id, names = ran
    folder = terminal.home / "downloads"
    paths = terminal("artifacts", "download", "--run", run_id, "--to", folder).words
    digests = f"export-{run_id}.sha256"
    assert paths == [str(folder / name) for name in (*names, digests)]
    assert {path.name for path in folder.iterdir()} == {*names, digests}
    subprocess.run([judge("sha256sum"), "-c", digests], cwd=folder, check=True, capture_output=True)


def test_a_download_never_overwrites(terminal: Terminal, ran: Ran) -> None:
    name = ran[2][0]
    folder = terminal.home / "downloads"
    folder.mkdir()
    (folder / name).write_text("mine")
    assert "is there already" in terminal("artifacts", "download", name, "--to", folder).refusal
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: "mine"}


@pytest.mark.parametrize("there", [0, 1, 1000, None])
def test_a_download_goes_on_where_it_broke_off(
    terminal: Terminal, ran: Ran, there: int | None
) -> None:
    name = ran[2][0]
    stored = (terminal.home / "exports" / name).read_bytes()
    folder = terminal.home / "downloads"
    folder.mkdir()
    kept = stored[:there]
    (folder / f".{name}.part").write_bytes(kept)
    assert terminal("artifacts", "download", name, "--to", folder).code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: stored}


@pytest.mark.parametrize("longer", [False, True])
def test_what_came_wrong_never_gets_its_name(terminal: Terminal, ran: Ran, longer: bool) -> None:
    """It is thrown away, so that the next try begins anew."""
    name = ran[2][0]
    size = (terminal.home / "exports" / name).stat().st_size
    folder = terminal.home / "downloads"
    folder.mkdir()
    (folder / f".{name}.part").write_bytes(b"x" * (size + 5 if longer else 5))
    words: Words = ["artifacts", "download", name, "--to", folder]
    assert "is not what was stored" in terminal(*words).refusal
    assert list(folder.iterdir()) == []
    assert terminal(*words).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_download_that_is_stopped_has_no_name_and_goes_on_later(
    terminal: Terminal, ran: Ran, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    name = ran[2][0]
    folder = terminal.home / "downloads"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def stopped(download: Download) -> Any:
        chunk = b"".join(download._chunks)
        yield chunk[:100]
        os.kill(os.getpid(), number)
        yield chunk[100:]

    words: Words = ["artifacts", "download", name, "--to", folder]
    with monkeypatch.context() as patched:
        patched.setattr(Download, "__iter__", stopped)
        done = terminal(*words)
    signal.signal(signal.SIGINT, before)
    assert (done.code, done.out, done.err) == (128 + number, "", "cdds: stopped\n")
    assert [path.name for path in folder.iterdir()] == [f".{name}.part"]
    assert terminal(*words).code == 0
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_download_that_never_begins_leaves_no_file(terminal: Terminal, ran: Ran) -> None:
    name = ran[2][0]
    folder = terminal.home / "downloads"
    (terminal.home / "exports" / name).unlink()
    refusal = terminal("artifacts", "download", name, "--to", folder).refusal
    assert "is missing from the storage" in refusal
    assert list(folder.iterdir()) == []


def test_two_downloads_do_not_write_to_one_file(terminal: Terminal, ran: Ran) -> None:
    name = ran[2][0]
    folder = terminal.home / "downloads"
    folder.mkdir()
    with (folder / f".{name}.part").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refusal = terminal("artifacts", "download", name, "--to", folder).refusal
    assert "by another download" in refusal


def test_a_download_follows_no_link(terminal: Terminal, ran: Ran) -> None:
    name = ran[2][0]
    folder = terminal.home / "downloads"
    folder.mkdir()
    (folder / f".{name}.part").symlink_to(terminal.config)
    before = terminal.config.read_bytes()
    assert f".{name}.part" in terminal("artifacts", "download", name, "--to", folder).refusal
    assert terminal.config.read_bytes() == before


@pytest.mark.parametrize("action", ["run", "download"])
def test_only_a_terminal_sees_a_bar(
    terminal: Terminal, ran: Ran, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """And none does that does not want it."""
    job_id, _, names = ran

    def words(to: str) -> Words:
        if action == "run":
            return ["jobs", "run", job_id]
        return ["artifacts", "download", names[0], "--to", terminal.home / to]

    assert terminal(*words("first")).err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert "B/s" in terminal(*words("second")).err
    assert terminal(*words("third"), "--no-progress").err == ""


def test_deleted_artifacts_are_gone(terminal: Terminal, ran: Ran) -> None:
    names = ran[2]
    told = terminal("artifacts", "delete", *names, "--json").json
    assert told == {"deleted": names, "failed": []}
    assert terminal("artifacts", "list", "--json").json["artifacts"] == []
    refusal = terminal("artifacts", "download", names[0], "--to", terminal.home / "x").refusal
    assert "no such artifact" in refusal


def test_a_folder_has_no_links(terminal: Terminal, ran: Ran) -> None:
    assert "no signed URLs" in terminal("artifacts", "link", ran[2][0]).refusal


def test_a_bucket_has_links(
    terminal: Terminal, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its credentials come from the environment, and stand in no output but the link's own id."""
    s3fs = pytest.importorskip("s3fs")
    credentials = {"key": "someone", "secret": "needle-in-no-output"}
    s3fs.S3FileSystem(endpoint_url=s3_endpoint, **credentials).mkdir("cli-links")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials["secret"])
    text = terminal.config.read_text()
    bucket = f'url = "s3://cli-links"\noptions = {{ endpoint_url = "{s3_endpoint}" }}'
    terminal.configure(text.replace('url = "exports"', bucket))
    _, (name,) = terminal.run(terminal.add())
    told = terminal("artifacts", "link", name, "--lifetime", "5m", "--json").json
    assert told["name"] == name
    assert told["url"].startswith(f"{s3_endpoint}/cli-links/{name}?")
    assert credentials["secret"] not in json.dumps(told)
    folder = terminal.home / "downloads"
    assert terminal("artifacts", "download", name, "--to", folder).code == 0


# --- preferences ----------------------------------------------------------------------------------


def test_preferences_hold_one_certificate(terminal: Terminal) -> None:
    shown = terminal("preferences", "show", "--json").json
    assert shown["warning"] is None
    assert shown["certificate"]["user"] == "alice"
    assert shown["certificate"]["expires"].endswith("Z")
    fingerprint = shown["certificate"]["fingerprint"]
    assert fingerprint in terminal("preferences", "show").words
    assert terminal("preferences", "remove", "--json").json["certificate"] is None
    done = terminal("preferences", "show")
    assert (done.code, done.out) == (0, "there is no certificate\n")
    assert done.err.startswith("cdds: warning: there is no certificate")
    ends = ["--title", "x", "--source", "Contact History", "--dataset", "interaction"]
    assert "no certificate" in terminal("jobs", "add", *ends).refusal


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_told_so_and_leaves_nothing(
    terminal: Terminal, number: signal.Signals
) -> None:
    job_id = terminal.add()
    records = terminal.home / "data" / "acme" / "interactions.jsonl"
    records.unlink()
    os.mkfifo(records)
    heeded: Any = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    command = [sys.executable, "-m", "cdds", "jobs", "run", job_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for heed, handler in before.items():
            signal.signal(heed, handler)
        try:
            feed_until_staged(records, terminal.home / "exports", process)
            process.send_signal(number)
            printed, told = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, printed, told) == (128 + number, b"", b"cdds: stopped\n")
    (run,) = terminal("history", "list", "--json").json["runs"]
    # The second, where it did not look, for its source kept it waiting.
    ends = {("cancelled", None), ("failed", "it was interrupted")}
    assert (run["status"], run["error"]) in ends
    assert list((terminal.home / "exports").glob("*")) == []


def feed_until_staged(pipe: Path, exports: Path, process: subprocess.Popen[bytes]) -> None:
    """Write records until something is staged, and leave the run waiting for more."""
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # both ends, so that it never ends
    deadline = time.monotonic() + PATIENCE
    while not (exports.exists() and any(exports.iterdir())):
        assert time.monotonic() < deadline
        assert process.poll() is None
        try:
            os.write(end, b'{"IXNID":"1"}\n' * 100)
        except BlockingIOError:
            time.sleep(0.01)


# --- standard output ------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_standard_output_is_told_in_one_line(terminal: Terminal) -> None:
    job_id = terminal.add("--every-hours", "4")
    for words, done_before in (
        (["jobs", "list"], ""),
        (["jobs", "list", "--json"], ""),
        (["jobs", "show", job_id], ""),
        (["jobs", "show", job_id, "--json"], ""),
        (["preferences", "show"], ""),
        (["jobs", "run", job_id], "it is done, but "),
    ):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            done = subprocess.run(
                [sys.executable, "-m", "cdds", *words],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
                text=True,
            )
        reason = "standard output cannot be written: No space left on device"
        assert (done.returncode, done.stderr) == (1, f"cdds: error: {done_before}{reason}\n")
    assert len(terminal("artifacts", "list", "--json").json["artifacts"]) == 1


def test_help_of_the_pages_loads_no_database() -> None:
    for words in (["jobs", "add", "--help"], ["serve", "--help"], ["export", "--help"]):
        command = [sys.executable, "-X", "importtime", "-m", "cdds", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "cdds.cli.jobs" in loaded
        assert not loaded & {"sqlalchemy", "tabulate", "tomllib", "msgspec", "cdds.service"}


def test_an_export_loads_no_database(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    records = tmp_path / "one.jsonl"
    records.write_text('{"IXNID":"1"}\n')
    ends = ["--records", records, "--to", tmp_path / "to", "--recipient"]
    words = ["export", "--dataset", "interaction", *map(str, [*ends, rsa_key_and_certificate[1]])]
    command = [sys.executable, "-X", "importtime", "-m", "cdds", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cdds.exporter" in loaded
    assert not loaded & {"sqlalchemy", "tabulate", "tqdm", "cdds.service"}


# --- the pages that explain them ------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs"


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, Any]]:
    """Yield all commands below a parser that do something, with their parsers."""
    groups = [it for it in parser._actions if isinstance(it, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, inner in group.choices.items():
            yield from commands(inner, f"{name} {word}")


def test_the_reference_names_every_command_and_option() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text()
    named = set(re.findall(r"`(?:cdds )?([a-z]+)", text)) | set(re.findall(r"--[a-z-]+", text))
    for command, parser in commands(_parser(), "cdds"):
        words = command.split()[1:]
        assert set(words) <= named, command
        if words not in (["export"], ["demo"]):
            options = {word for action in parser._actions for word in action.option_strings}
            assert options - {"-h", "--help"} <= named, command


@pytest.mark.parametrize("told", [JobEntry, RunEntry, ArtifactEntry, CertificateEntry])
def test_the_reference_names_all_that_json_tells(told: type) -> None:
    text = (DOCS / "reference" / "command-line.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+)`", text.split("## JSON")[1].split("\n## ")[0]))
    assert {field.name for field in attrs.fields(told)} <= named


def test_the_how_to_is_a_configuration_and_commands_that_work(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path], judge: Callable[[str], str]
) -> None:
    """Its configurations are read, and what it has typed in a shell works in order."""
    text = (DOCS / "how-to" / "run-a-scheduler.md").read_text()
    first, second = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "second.toml").write_text(second)
    assert read_configuration(tmp_path / "second.toml").catalog.audit_key_env == "CDDS_AUDIT_KEY"
    (tmp_path / "cdds.toml").write_text(first)
    shutil.copy(rsa_key_and_certificate[1], tmp_path / "recipient.pem")
    records = tmp_path / "data" / "acme" / "interactions.jsonl"
    records.parent.mkdir(parents=True)
    with records.open("wb") as file:
        sample.write_lines(sample.interactions(20), file)
    script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [judge("sh"), "-eu", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.suffix for path in (tmp_path / "downloads").iterdir()} == {".smime", ".sha256"}
    assert "every 4 hours, from 00:00 UTC" in done.stdout
