"""Measures where the time of an export goes: each stage by itself, in seconds of processors.

    python benchmarks/stages.py [--size 200MB] [--corpus email chat voice]
                                [--folder DIR] [--markdown]

The stages are the library's own parts, given what the stage before made of the corpus. A figure
is the processors' time of all threads for each GB of records, so their sum divided by the number
of processors is the least time that an export could take. Starting Python comes on top, once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import corpora
from recipient import make_recipient
from tables import table

from cdds.archive.deflate import Deflater
from cdds.archive.digest import Digest
from cdds.crypto import Envelope
from cdds.datasets import INTERACTION
from cdds.model import Job, parse_size
from cdds.protocols import Lines
from cdds.records import Gate, Tally
from cdds.sources import JsonLines

Result = TypeVar("Result")

_GB = 1_000_000_000


def main() -> None:
    """Measure the stages on each corpus and print a table."""
    parser = argparse.ArgumentParser(description="Measure where the time of an export goes.")
    parser.add_argument("--size", type=parse_size, default="200MB", help="kept in memory")
    names = tuple(corpora.MIXES)
    parser.add_argument("--corpus", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", type=Path, default=corpora.FOLDER, help="for the corpora")
    parser.add_argument("--markdown", action="store_true", help="a table in Markdown")
    options = parser.parse_args()
    _Stages(corpora.corpus("voice", 1_000_000, options.folder)).seconds()  # loads what is needed
    columns = [
        _Stages(corpora.corpus(name, options.size, options.folder)).seconds()
        for name in options.corpus
    ]
    rows = [(stage, *(f"{column[stage]:.2f}" for column in columns)) for stage in columns[0]]
    rows.append(("together", *(f"{sum(column.values()):.2f}" for column in columns)))
    head = ("processor seconds for 1 GB", *options.corpus)
    print(table(head, rows, markdown=options.markdown))


class _Stages:
    """The stages of one corpus, in their order."""

    def __init__(self, corpus: corpora.Corpus) -> None:
        self._corpus = corpus
        self._seconds: dict[str, float] = {}

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage for a GB of records."""
        with tempfile.TemporaryDirectory(dir=self._corpus.path.parent) as name:
            folder = Path(name)
            certificate = make_recipient(folder)[1]
            self._time(
                "read and find lines", lambda: sum(len(piece.data) for piece in self._read())
            )
            lines = list(self._read())
            self._time("validate", lambda: self._validate(lines))
            blocks = [piece.data for piece in lines]
            packed = self._time("deflate, CRC-32, SHA-256", lambda: _deflate(blocks))
            sealed = self._time("encrypt and base64", lambda: _seal(packed, certificate))
            self._time("digest of the artifact", lambda: _digest(sealed))
            self._time("write and fsync", lambda: _write(sealed, folder / "artifact"))
        return self._seconds

    def _time(self, stage: str, work: Callable[[], Result]) -> Result:
        start = time.process_time()
        result = work()
        self._seconds[stage] = (time.process_time() - start) * _GB / self._corpus.size
        return result

    def _read(self) -> Iterator[Lines]:
        return JsonLines(interaction=self._corpus.path).lines("interaction")

    def _validate(self, lines: Iterable[Lines]) -> None:
        gate = Gate(INTERACTION.files[0], Job(dataset=INTERACTION), Tally())
        for piece in lines:
            gate(piece)


def _digest(pieces: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)


def _deflate(blocks: Iterable[bytes]) -> list[bytes]:
    with Deflater(threads=1) as deflater:
        steps = deflater.deflate(blocks, Digest())
        return [block.compressed for step in steps for block in step]


def _seal(pieces: Iterable[bytes], certificate: Path) -> list[bytes]:
    return list(map(bytes, Envelope(certificate).encrypt(pieces)))


def _write(pieces: Iterable[bytes], path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
