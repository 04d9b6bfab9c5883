"""The demo as a first-time user meets it, and whether the commands that it shows really work."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXPORTS = ("whole", "split", "contacts")


def demo(home: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cdds", "demo", *words],
        cwd=home,
        env=os.environ | ({} if path is None else {"PATH": path}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose name a careless command would trip over."""
    return tmp_path_factory.mktemp("a home; with 'quotes'")


@pytest.fixture(scope="module")
def shown(home: Path) -> str:
    """Run the demo once, and return what it shows."""
    done = demo(home)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def made(home: Path, shown: str) -> Path:
    """Return the folder of the demo that ran."""
    return home / "cdds-demo"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_sample_is_a_few_thousand_records_of_all_kinds(made: Path) -> None:
    lines = (made / "sample" / "interaction.jsonl").read_bytes().splitlines()
    kinds = {json.loads(line)["ENTITYTYPEID"] for line in lines}
    assert 2000 <= len(lines) <= 9000
    assert kinds >= {0, 1, 2, 3, 5}
    for name in ("document", "contact", "contactattribute"):
        assert (made / "sample" / f"{name}.jsonl").read_bytes().count(b"\n") > 50


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
def test_the_key_is_for_its_owner_alone(made: Path) -> None:
    assert stat.S_IMODE((made / "key.pem").stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" in (made / "key.pem").read_bytes()
    assert b"BEGIN CERTIFICATE" in (made / "certificate.pem").read_bytes()


def test_every_export_is_complete(made: Path) -> None:
    for name in EXPORTS:
        names = {path.name for path in (made / "exports" / name).iterdir()}
        (digests,) = (name for name in names if name.endswith(".sha256"))
        listed = (made / "exports" / name / digests).read_text().split()[1::2]
        assert names == {digests, *listed}


def test_the_split_export_has_a_handful_of_parts(made: Path) -> None:
    assert 4 <= len(list((made / "exports" / "split").glob("*.smime"))) <= 12


def test_tells_where_things_lie(shown: str, made: Path) -> None:
    for place in ("sample/", "key.pem", "certificate.pem", *(f"exports/{it}/" for it in EXPORTS)):
        assert str(Path("cdds-demo") / place) in shown
    for export in made.glob("exports/*/*.sha256"):
        assert export.name in shown


def test_opens_what_it_exported(shown: str, made: Path, judge: Callable[[str], str]) -> None:
    judge("openssl")
    (opened,) = (made / "opened").iterdir()
    assert str(Path("cdds-demo", "opened", opened.name)) in shown
    assert "equal the sample" in shown


def commands(shown: str, word: str) -> str:
    """Return the commands that the demo shows, those among which a word stands."""
    blocks = shown.split("\n\n")
    (block,) = (block for block in blocks if word in block and "  cd " in block)
    return "\n".join(block.splitlines()[1:])


def run_and_compare(script: str, made: Path, extracted: Path) -> None:
    """Run commands that extract an export of interactions, and compare it with the sample."""
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for label, original in {
        "Interaction": "interaction",
        "Interaction-Attachment": "document",
    }.items():
        exported = (extracted / f"{label}-demo.json").read_bytes()
        assert exported == (made / "sample" / f"{original}.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("name", "opener"), [("whole", "unzip"), ("split", "7zz")], ids=["whole", "split"]
)
def test_the_commands_that_it_shows_open_the_export(
    shown: str, made: Path, judge: Callable[[str], str], name: str, opener: str
) -> None:
    for tool in ("sha256sum", "openssl", opener):
        judge(tool)
    script = commands(shown, f"exports/{name}")
    assert opener in script or "7z" in script
    run_and_compare(script, made, made / "exports" / name)


def test_the_commands_of_ours_that_it_shows_open_the_export(shown: str, made: Path) -> None:
    run_and_compare(commands(shown, "cdds decrypt"), made, made / "extracted")


def test_running_again_only_adds(tmp_path: Path) -> None:
    assert demo(tmp_path, "again").returncode == 0
    before = contents(tmp_path / "again")
    done = demo(tmp_path, "again")
    after = contents(tmp_path / "again")
    assert (done.returncode, done.stderr) == (0, "")
    assert before == {name: after[name] for name in before}
    for name in EXPORTS:
        assert len(list((tmp_path / "again" / "exports" / name).glob("*.sha256"))) == 2


def test_says_so_when_openssl_is_missing(tmp_path: Path) -> None:
    done = demo(tmp_path, path=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "openssl is not on the PATH" in done.stdout
    assert not (tmp_path / "cdds-demo" / "opened").exists()


def test_leaves_nothing_half_done_when_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cdds", "demo", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while not any(tmp_path.rglob("*.part")) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, told) == (143, b"cdds: stopped\n")
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
def test_never_replaces_half_of_a_key_pair(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    done = demo(tmp_path, ".")
    assert done.returncode == 1
    assert done.stderr.startswith("cdds: error: ")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / name).read_text() == "precious"
    assert not (tmp_path / "exports").exists()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = demo(tmp_path, "file")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cdds: error: {Path('file', 'sample')}: Not a directory\n"


def test_a_reader_that_stops_early_does_not_stop_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cdds", "demo", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert len(list(tmp_path.glob("exports/*/*.sha256"))) == 3
