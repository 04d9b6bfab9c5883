"""Measures how much memory exports take: the peak of the whole process tree.

    python benchmarks/memory.py [--size 10GB] [--corpus email] [--split-size SIZE] [--discard]
    python benchmarks/memory.py --documents N

The first streams so many bytes through `cdds.export`, every record validated: a corpus of at most
100 MB, read again and again, so that the input need not lie on the disk in full. The artifacts go
to a folder that is removed after, or with ``--discard`` to a sink that keeps nothing.

The second selects N interactions of 2 N, and 2 N of 4 N, and filters documents for them. It tells
how many bytes each selected one takes: beyond the same export without documents, and from the
smaller number to the larger, since what happens at the start of an export may hide the first. The
larger figure counts.

With ``--limit`` the exit code is 1 when the first takes more than that many bytes, or the second
more than that many for each selected record. How memory is counted is told in `processes.py`.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import corpora
from processes import MemorySampler
from recipient import make_recipient
from tables import table

from cdds.model import parse_size

_MB = 1_000_000
_LARGEST_FILE = 100 * _MB
_CHILD = Path(__file__).with_name("memory_child.py")


def main() -> int:
    """Run the measurement that is asked for, and return the exit code."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    used = of_selection(options) if options.documents else of_corpus(options)
    if options.limit is not None and used > options.limit:
        print(f"that is more than the limit of {options.limit:,}")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how much memory exports take.")
    parser.add_argument("--size", type=parse_size, default="10GB", help="bytes to export")
    parser.add_argument("--corpus", choices=tuple(corpora.MIXES), default="email")
    parser.add_argument("--split-size", default="", help="split the archive")
    parser.add_argument("--discard", action="store_true", help="write nothing to the disk")
    parser.add_argument(
        "--documents", type=int, metavar="N", help="select N records and filter their documents"
    )
    parser.add_argument("--limit", type=parse_size, help="exit with 1 above this")
    parser.add_argument("--folder", type=Path, default=corpora.FOLDER, help="for files in between")
    return parser.parse_args()


def of_corpus(options: argparse.Namespace) -> int:
    """Export a corpus, telling every tenth of the way; return the peak in bytes."""
    part = corpora.corpus(options.corpus, min(options.size, _LARGEST_FILE), options.folder)
    repeat = -(-options.size // part.size)
    size = repeat * part.size
    if not options.discard and shutil.disk_usage(options.folder).free < size:
        raise SystemExit(f"{options.folder} has less than {size:,} bytes free: use --discard")
    started = time.perf_counter()
    tenths = 0
    print("  read   seconds    MB/s  memory MB  peak MB")

    def show(read: int, memory: MemorySampler) -> None:
        nonlocal tenths
        if read * 10 // size > tenths:
            tenths = read * 10 // size
            seconds = time.perf_counter() - started
            figures = f"{seconds:8.1f}  {read / _MB / seconds:6.0f}"
            print(
                f"{read / size:6.0%}  {figures}  {_megabytes(memory.now)}  {memory.peak / _MB:7.1f}"
            )

    with _scratch(options.folder) as (certificate, out):
        target = "" if options.discard else str(out)
        words = [str(part.path), str(repeat), str(certificate), target, options.split_size]
        peak = _peak("corpus", *words, on_progress=show)
    print(f"{size:,} bytes exported; the peak was {peak:,} bytes ({peak / _MB:.1f} MB)")
    return peak


def of_selection(options: argparse.Namespace) -> int:
    """Select records with documents; return the most bytes that each takes, rounded up."""
    few: int = options.documents
    many = 2 * few
    with _scratch(options.folder) as (certificate, _):
        peaks = {
            (count, documents): _peak("selection", str(count), documents, str(certificate))
            for count in (few, many)
            for documents in ("no", "yes")
        }
    beyond = {count: (peaks[count, "yes"] - peaks[count, "no"]) / count for count in (few, many)}
    rows = [
        (
            f"{count:,}",
            _megabytes(peaks[count, "no"]),
            _megabytes(peaks[count, "yes"]),
            f"{beyond[count]:.1f}",
        )
        for count in (few, many)
    ]
    head = ("selected", "peak MB without documents", "with documents", "bytes for each")
    print(table(head, rows, markdown=False))
    growth = (peaks[many, "yes"] - peaks[few, "yes"]) / (many - few)
    print(f"from {few:,} to {many:,} selected records it grew by {growth:.1f} bytes for each")
    return math.ceil(max(beyond[many], growth))


def _peak(
    *words: str, on_progress: Callable[[int, MemorySampler], object] = lambda *_: None
) -> int:
    """Run the child to its end, and return the most memory that its tree took."""
    command = [sys.executable, str(_CHILD), *words]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child,
        MemorySampler(child.pid) as memory,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            on_progress(int(line), memory)
        if child.wait():
            raise SystemExit(f"the export failed with exit code {child.returncode}")
    return memory.peak


@contextmanager
def _scratch(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a certificate and an empty folder; nothing of it stays."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="memory-") as scratch:
        yield make_recipient(Path(scratch))[1], Path(scratch) / "out"


def _megabytes(size: int) -> str:
    return f"{size / _MB:.1f}"


if __name__ == "__main__":
    sys.exit(main())
