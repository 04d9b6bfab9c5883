"""Opens artifacts as a recipient does, with tools that have nothing to do with their maker."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from sides import Side

TOOLS = ("bash", "openssl", "unzip", "gzip", "cmp", "sha256sum")

_COMPARE = {
    "zip": 'unzip -tq "$1" && unzip -p "$1" "$2" | cmp - "$3"',
    "gzip": 'gzip -dc < "$1" | cmp - "$3"',
}


class NotOpenedError(Exception):
    """A foreign tool did not open an artifact, or found something else in it."""


@dataclass(frozen=True)
class Opened:
    """The bytes of an artifact, and of the archive in it."""

    artifact: int
    archive: int


def open_artifact(side: Side, folder: Path, key: Path, corpus: Path) -> Opened:
    """Decrypt the artifact in the folder, test the archive, compare the data with the corpus.

    Raises:
        NotOpenedError: one of that went wrong.
    """
    artifact = next(folder.glob("*.smime"), None)
    if artifact is None:
        raise NotOpenedError(f"{side.title}: it left no artifact")
    archive = folder / "archive"
    for digests in folder.glob("*.sha256"):
        _call(side, folder, "sha256sum", "--check", "--quiet", digests.name)
    _call(
        *(side, folder, "openssl", "smime", "-decrypt", "-binary", "-inkey", key.absolute()),
        *("-in", artifact.name, "-out", archive.name),
    )
    _call(
        *(side, folder, "bash", "-o", "pipefail", "-c", _COMPARE[side.archive], "bash"),
        *(archive.name, side.entry.format(corpus=corpus.name), corpus.absolute()),
    )
    return Opened(artifact.stat().st_size, archive.stat().st_size)


def _call(side: Side, folder: Path, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        message = " ".join((done.stderr + done.stdout).split())
        raise NotOpenedError(f"{side.title}: {command[0]} failed: {message}")
