"""Measures exports side by side with what people use today, each as a whole process.

    python benchmarks/run.py [--size 1GB] [--runs 3] [--corpus email chat voice]
                             [--peers zip igzip pyca] [--folder DIR] [--markdown]

Every side reads the same corpus from the page cache and leaves a sealed artifact that is forced
to the disk, with its SHA-256 told. The sides take turns, and the medians of their turns count.
Every artifact is then opened by foreign tools, and its data compared with the corpus.

The report goes to standard output, what is being done to standard error. The exit code is 1 when
an artifact was not made or did not open, and never says anything about speed. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import corpora
import machine
from opening import TOOLS, NotOpenedError, Opened, open_artifact
from processes import Cost, measure
from recipient import make_recipient
from report import Result, load_line, ratios_table, results_table
from sides import OURS, PEERS, Side

from cdds.model import parse_size


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        _tell(f"to open the artifacts these are missing: {', '.join(missing)}")
        return 1
    print(f"Commit {machine.commit()}. {machine.versions()}.")
    for name in options.corpus:
        corpus = _corpus(name, options.size, options.folder)
        before = machine.Load.now()
        try:
            results = _compare(corpus, _sides(options.peers), options.runs)
        except (NotOpenedError, subprocess.CalledProcessError) as error:
            _tell(f"failed: {error}")
            return 1
        _print_report(corpus, results, options)
        print(f"\n{load_line(before, machine.Load.now())}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure exports beside what people use today.")
    parser.add_argument(
        "--size", type=parse_size, default="1GB", help="of each corpus; OpenSSL opens up to 2GB"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each side; the median counts")
    names = tuple(corpora.MIXES)
    parser.add_argument("--corpus", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS))
    parser.add_argument("--folder", type=Path, default=corpora.FOLDER, help="for the corpora")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    return parser.parse_args()


def _corpus(name: str, size: int, folder: Path) -> corpora.Corpus:
    _tell(f"{name}: making or checking the corpus")
    return corpora.corpus(name, size, folder)


def _sides(peers: Sequence[str]) -> list[Side]:
    sides = [*OURS]
    for name in peers:
        if missing := PEERS[name].missing_tools():
            _tell(f"left out: {PEERS[name].title}, for lack of {', '.join(missing)}")
        else:
            sides.append(PEERS[name])
    return sides


def _compare(corpus: corpora.Corpus, sides: Sequence[Side], runs: int) -> dict[Side, Result]:
    """Let the sides take turns, and return what became of each."""
    costs: dict[str, list[Cost]] = {side.name: [] for side in sides}
    opened: dict[str, Opened] = {}
    with tempfile.TemporaryDirectory(dir=corpus.path.parent, prefix="run-") as folder:
        recipient = make_recipient(Path(folder))
        for run in range(1, runs + 1):
            for side in sides:
                out = Path(folder) / "out"
                cost, opened[side.name] = _turn(side, corpus, recipient, out)
                costs[side.name].append(cost)
                _tell(f"{corpus.name}: turn {run} of {runs}: {side.title}: {cost.wall:.2f} s")
    return {side: Result(side, corpus, costs[side.name], opened[side.name]) for side in sides}


def _turn(
    side: Side, corpus: corpora.Corpus, recipient: tuple[Path, Path], folder: Path
) -> tuple[Cost, Opened]:
    key, certificate = recipient
    folder.mkdir()
    os.sync()  # what the turn before wrote is no burden to this one
    cost = measure(side.command(corpus.path, certificate, folder), cwd=corpus.path.parent)
    opened = open_artifact(side, folder, key, corpus.path)
    shutil.rmtree(folder)
    return cost, opened


def _print_report(
    corpus: corpora.Corpus, results: Mapping[Side, Result], options: argparse.Namespace
) -> None:
    mark = "### " if options.markdown else ""
    print(f"\n{mark}{corpus.name.capitalize()}: {corpus.size:,} bytes\n")
    print(f"SHA-256 of the corpus {corpus.sha256[:16]}…, {options.runs} runs of each side.\n")
    print(results_table(results, markdown=options.markdown))
    ratios = ratios_table(results, goals=corpus.name == "email", markdown=options.markdown)
    if ratios:
        print(f"\n{ratios}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
