"""Measures what a recipient does, side by side with what people do today, as whole processes.

    python benchmarks/reading.py [--size 1GB] [--runs 3] [--corpus email chat voice]
                                 [--folder DIR] [--markdown]

One corpus is exported and sealed once, as one file. Then it is decrypted alone, decrypted and
extracted, and its records are read, by `python -m cdds` or this library, and by
``openssl smime -decrypt``, ``unzip`` and a loop of Python's `json`. The sides take turns, and the
medians of their turns count. What is extracted is compared with the corpus.

The report goes to standard output, what is being done to standard error. The exit code says nothing
about speed. OpenSSL opens up to 1.5 GB of a sealed file, so a corpus has 2 GB at most. Linux only.
"""

from __future__ import annotations

import argparse
import filecmp
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import attrs
import corpora
import machine
from processes import Cost, measure
from recipient import make_recipient
from report import load_line
from tables import table

import cdds
from cdds.model import parse_size

_MB = 1_000_000
_NAME = "Interaction"
_DECRYPT = 'openssl smime -decrypt -binary -inkey "$1" -in "$2" -out "$3/archive"'
_LOOP = "import json, sys; print(sum(1 for line in sys.stdin.buffer if json.loads(line)))"
_RECORDS = (
    "import sys, cdds\n"
    "with cdds.open_export(sys.argv[2], key=sys.argv[1]) as export:\n"
    f"    print(sum(1 for record in export.records({_NAME!r}, proof='end') if record))"
)


@attrs.frozen
class Side:
    """One way to do some work: what it is called, and a script for a key, a file and a folder."""

    title: str
    script: str


_PYTHON = shlex.quote(sys.executable)
_OURS = f'{_PYTHON} -m cdds decrypt "$2" --key "$1"'

WORK: Mapping[str, tuple[Side, Side]] = {
    "decrypt": (
        Side("cdds decrypt --raw", f'{_OURS} --raw "$3/archive"'),
        Side("openssl smime", _DECRYPT),
    ),
    "decrypt and extract": (
        Side("cdds decrypt --to", f'{_OURS} --to "$3"'),
        Side("openssl smime, unzip", f'{_DECRYPT}; unzip -q "$3/archive" -d "$3"'),
    ),
    "read all records": (
        Side("export.records", f'{_PYTHON} -c {shlex.quote(_RECORDS)} "$1" "$2"'),
        Side(
            "openssl smime, unzip, json",
            f'{_DECRYPT}; unzip -p "$3/archive" "{_NAME}-*" | {_PYTHON} -c {shlex.quote(_LOOP)}',
        ),
    ),
}


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    print(f"Commit {machine.commit()}. {machine.versions()}.")
    for name in options.corpus:
        corpus = corpora.corpus(name, options.size, options.folder)
        before = machine.Load.now()
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
            rows = _compare(corpus.path, Path(folder), options.runs)
        heads = ("work", "side", "seconds", "CPU s", "peak MB", "times cdds")
        print(f"\n{name}: {corpus.size / _MB:,.0f} MB of records\n")
        print(table(heads, rows, markdown=options.markdown))
        print(f"\n{load_line(before, machine.Load.now())}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a recipient does.")
    parser.add_argument("--size", type=parse_size, default="1GB", help="of each corpus")
    parser.add_argument("--runs", type=int, default=3, help="of each side; the median counts")
    names = tuple(corpora.MIXES)
    parser.add_argument("--corpus", nargs="+", choices=names, default=("email",))
    parser.add_argument("--folder", type=Path, default=corpora.FOLDER)
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    return parser.parse_args()


def _compare(corpus: Path, folder: Path, runs: int) -> list[tuple[str, ...]]:
    key, certificate = make_recipient(folder)
    source = cdds.sources.JsonLines(interaction=corpus)
    result = cdds.export(source, dataset=_NAME, to=folder / "sealed", recipients=certificate)
    artifact = folder / "sealed" / result.artifacts[0].name
    rows = []
    for work, sides in WORK.items():
        costs: dict[Side, list[Cost]] = {side: [] for side in sides}
        for run in range(1, runs + 1):
            for side, of in costs.items():
                of.append(_cost(side, key, artifact, folder / "out", corpus))
                _tell(f"turn {run} of {runs}: {side.title}: {of[-1].wall:.2f} s")
        ours = median(cost.wall for cost in costs[sides[0]])
        rows += [_row(work, side, of, ours) for side, of in costs.items()]
    return rows


def _cost(side: Side, key: Path, artifact: Path, out: Path, corpus: Path) -> Cost:
    """Let a side do its work once, and look at what it has left."""
    out.mkdir()
    cost = measure(["bash", "-euo", "pipefail", "-c", side.script, "bash", key, artifact, out])
    extracted = next(out.glob(f"{_NAME}-*"), None)
    if extracted is not None and not filecmp.cmp(extracted, corpus, shallow=False):
        raise SystemExit(f"{side.title}: what was extracted is not the corpus")
    shutil.rmtree(out)
    return cost


def _row(work: str, side: Side, costs: Sequence[Cost], ours: float) -> tuple[str, ...]:
    wall = median(cost.wall for cost in costs)
    return (
        work,
        side.title,
        f"{wall:.2f}",
        f"{median(cost.cpu for cost in costs):.2f}",
        f"{max(cost.peak for cost in costs) / _MB:.0f}",
        f"{wall / ours:.2f}",
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
