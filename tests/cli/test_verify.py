"""`cdds verify` and `cdds inspect`: a process, its output and its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import cdds
from cdds import cli, sample
from cdds.recipient import verification

PATIENCE = 60


@pytest.fixture
def files(tmp_path: Path, certificate: Path) -> list[Path]:
    """Return the files of a split export, as they are beside their digests."""
    folder = tmp_path / "export"
    records = cdds.sources.Records(interaction=sample.interactions(60))
    result = cdds.export(
        records, dataset="interaction", to=folder, recipients=certificate, split_size="64 KiB"
    )
    return [folder / artifact.name for artifact in result.artifacts]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cdds", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def judged(code: int, *words: str | Path) -> dict[str, str]:
    """Return the verdicts of a report, which is the same for people and for programs."""
    done = run("verify", *words)
    assert (done.returncode, done.stderr) == (code, "")
    told = json.loads(run("verify", *words, "--json").stdout)
    assert told["sound"] == (code == 0)
    rows = [line.split() for line in done.stdout.splitlines() if line[:3].strip()]
    assert rows
    for check in told["checks"]:
        assert f"  {check['name']:<11} {check['verdict']:<12} {check['details'][0]}" in done.stdout
    return {check["name"]: check["verdict"] for check in told["checks"]}


def test_a_sound_export_ends_with_0(files: list[Path], key: Path, certificate: Path) -> None:
    assert "unsound" not in judged(0, files[0]).values()
    found = judged(0, files[-1], "--key", key, "--cert", certificate)
    assert [name for name, verdict in found.items() if verdict != "sound"] == ["signature"]


def test_one_of_several_keys_fits(files: list[Path], key: Path, holders: Any) -> None:
    found = judged(0, files[0], "--key", holders[1].key_file, "--key", key)
    assert found["records"] == "sound"


def test_the_key_may_have_a_password(files: list[Path], key: Path, tmp_path: Path) -> None:
    loaded = load_pem_private_key(key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"open")
    locked, password = tmp_path / "locked.pem", tmp_path / "password"
    locked.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    password.write_text("open\n")
    password.chmod(0o600)
    judged(0, *files, "--key", locked, "--password-file", password)


@pytest.mark.parametrize("depth", ["files", "digests", "signature", "messages", "decryption"])
def test_an_export_that_is_not_sound_ends_with_3(
    depth: str, files: list[Path], key: Path, certificate: Path, holders: Any
) -> None:
    words: list[str | Path] = [files[0], "--key", key]
    if depth == "files":
        files[1].unlink()
    elif depth == "digests":
        (digests,) = files[0].parent.glob("*.sha256")
        digests.write_text("0" * 64 + digests.read_text()[64:])
    elif depth == "signature":
        words += ["--signer", certificate]
    elif depth == "messages":
        files[1].write_bytes(files[1].read_bytes()[:5000])
        next(files[0].parent.glob("*.sha256")).unlink()
    else:
        words[-1] = holders[1].key_file
    found = judged(3, *words)
    assert [name for name, verdict in found.items() if verdict == "unsound"] == [depth]


def test_what_cannot_be_judged_ends_with_1(files: list[Path], tmp_path: Path) -> None:
    for words in (
        [tmp_path / "nothing"],
        [tmp_path],
        [files[0], "--key", tmp_path / "none.pem"],
        [files[0], "--key", files[0]],
    ):
        done = run("verify", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("cdds: error: ")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["verify"],
        ["verify", "a", "--cert", "c"],
        ["verify", "a", "--password-file", "p"],
        ["verify", "a", "--signer", "c", "--signer", "d"],
        ["inspect"],
        ["inspect", "a", "b"],
    ],
)
def test_wrong_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_it_without_a_verdict(
    number: signal.Signals,
    code: int,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def wait(_: object) -> None:
        signal.raise_signal(number)
        threading.Event().wait(PATIENCE)

    monkeypatch.setattr(verification, "check_digests", wait)
    assert cli.main(["verify", str(files[0])]) == code
    assert capsys.readouterr() == ("", "cdds: stopped\n")


def test_inspect_tells_all_that_needs_no_key(files: list[Path]) -> None:
    text = run("inspect", files[0]).stdout
    told = json.loads(run("inspect", files[-1], "--json").stdout)
    assert [part["name"] for part in told["parts"]] == [file.name for file in files]
    assert told["size"] == sum(file.stat().st_size for file in files)
    for part in told["parts"]:
        (recipient,) = part["recipients"]
        for value in (part["name"], part["cipher"], part["form"], part["kind"]):
            assert value in text
        assert (recipient["serial_number"] in text, recipient["issuer"] in text) == (True, True)
    assert told["digests"] in text
    assert (told["entries"], told["signature"]) == (None, None)


def test_what_a_sender_wrote_gives_no_orders_to_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "\u202egpj\x1b[2J.zip"
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a", "x")
    for word in ("inspect", "verify"):
        done = run(word, file)
        assert done.returncode == 0
        assert all(line.isprintable() for line in done.stdout.split("\n")), word
    assert json.loads(run("inspect", file, "--json").stdout)["parts"][0]["name"] == file.name


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"no message"])
def test_inspect_refuses_what_is_no_export(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(data)
    done = run("inspect", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
