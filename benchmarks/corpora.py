"""The fixed corpora: made once from a seed, kept in a folder, checked each time they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cdds import sample

SEED = 2026
MIXES = {
    "email": sample.Mix.EMAIL_HEAVY,
    "chat": sample.Mix.CHAT_HEAVY,
    "voice": sample.Mix.VOICE,
}
FOLDER = Path(__file__).parent / "data"

_READ_SIZE = 1024 * 1024


@dataclass(frozen=True)
class Corpus:
    """A file of JSON Lines: which mix it holds, where it is, what it is."""

    name: str
    path: Path
    size: int
    sha256: str


def corpus(name: str, size: int, folder: Path = FOLDER) -> Corpus:
    """Return the corpus of that mix and of at least that many bytes; make it where it is missing.

    A file that is there is taken only if its size and SHA-256 are those in the stamp beside it and
    if the generator still begins the corpus as the file does. Reading it for that also puts it
    into the page cache, so that no side of a benchmark reads from the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{size}.jsonl"
    stamp = path.with_suffix(".stamp")
    if not (path.exists() and stamp.exists() and _begins_as_made_now(path, name, size)):
        stamp.unlink(missing_ok=True)
        _make(path, name, size)
        stamp.write_text(_stamp(path))
    elif stamp.read_text() != _stamp(path):
        raise SystemExit(f"{path} is not what its stamp says; remove it, and it is made anew")
    actual_size, sha256 = stamp.read_text().split()
    return Corpus(name, path, int(actual_size), sha256)


def _make(path: Path, name: str, size: int) -> None:
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.writelines(_chunks(name, size))
    unfinished.rename(path)


def _chunks(name: str, size: int) -> Iterator[bytes]:
    return sample.corpus(MIXES[name], size, seed=SEED)


def _begins_as_made_now(path: Path, name: str, size: int) -> bool:
    first = next(_chunks(name, size), b"")
    with path.open("rb") as file:
        return file.read(len(first)) == first


def _stamp(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_SIZE):
            digest.update(data)
    return f"{path.stat().st_size} {digest.hexdigest()}\n"
