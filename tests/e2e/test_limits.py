"""Counts beyond what sixteen bits hold: many entries, many segments."""

from __future__ import annotations

import random
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cdds.archive import Entry, Packager

Judge: TypeAlias = Callable[[str], str]

MANY = 65_536 + 100


def write(folder: Path, packager: Packager, entries: list[Entry]) -> list[Path]:
    """Write an archive, and return its segments."""
    paths = []
    for segment in packager.pack(entries):
        paths.append(folder / f"archive{segment.suffix}")
        with paths[-1].open("wb") as file:
            file.writelines(segment.chunks)
    return paths


def judged(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_more_than_65535_entries(judge: Judge, tmp_path: Path) -> None:
    """Their number stands in Zip64 fields; each of three readers finds them all."""
    entries = [Entry(f"{number}", [b"%d" % number]) for number in range(MANY)]
    (archive,) = write(tmp_path, Packager(), entries)
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.namelist()) == MANY
        assert all(opened.read(f"{number}") == b"%d" % number for number in range(0, MANY, 97))
    assert f"Files: {MANY}" in judged([judge("7zz"), "t", str(archive)])
    judged([judge("unzip"), "-tqq", str(archive)])


def test_more_than_65535_entries_in_a_split_archive(judge: Judge, tmp_path: Path) -> None:
    """The central directory takes dozens of segments of its own."""
    entries = [Entry(f"{number}", [b"%d" % number]) for number in range(MANY)]
    parts = write(tmp_path, Packager(split_size=64 * 1024), entries)
    assert len(parts) > 90
    assert f"Files: {MANY}" in judged([judge("7zz"), "t", str(parts[-1])])


def test_more_than_99_segments(judge: Judge, tmp_path: Path) -> None:
    """``.z99`` is followed by ``.z100``, and 7-Zip finds it."""
    data = random.Random(3).randbytes(8_000_000)
    parts = write(tmp_path, Packager(split_size=64 * 1024), [Entry("noise", [data])])
    assert [part.name for part in parts[98:101]] == ["archive.z99", "archive.z100", "archive.z101"]
    judged([judge("7zz"), "t", str(parts[-1])])
    judged([judge("7zz"), "x", f"-o{tmp_path / 'out'}", str(parts[-1])])
    assert (tmp_path / "out" / "noise").read_bytes() == data
