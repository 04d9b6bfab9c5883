"""Fuzzes the harnesses, one after the other: `python -m fuzz [--seconds N] [NAME…]`.

For each it prints how many inputs were tried, and how many lines they reached of the modules that
read them. The corpus of each stays in ``.fuzz``, and the next run goes on with it. It ends with an
error if an invariant did not hold; the input that shows it stays there too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from fuzz.fuzzing import fuzzed
from fuzz.harnesses import NAMES, SEEDS, harness


def main() -> int:
    """Fuzz what the arguments name; return how many invariants did not hold."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "")[:72])
    parser.add_argument("--seconds", type=int, default=600, help="for each harness")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where corpora stay")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    given = parser.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no harness {min(unknown)}")
    print("| harness | seconds | executions | a second | lines reached | of |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    return sum(_reported(name, given.folder / name, given.seconds) for name in given.names or NAMES)


def _reported(name: str, folder: Path, seconds: int) -> bool:
    """Fuzz a harness and print its line of the table; return whether a fault was found."""
    extra = [path for path in [_vectors(name)] if path is not None]
    outcome = fuzzed(name, folder, seconds, extra=extra)
    rate = outcome.executions / outcome.seconds
    known = [folder / "corpus", SEEDS / name]
    reached, total = ("?", "?") if outcome.fault else _reached(name, known)
    cells = (name, f"{outcome.seconds:.0f}", f"{outcome.executions:,}", f"{rate:,.0f}")
    print(f"| {' | '.join((*cells, reached, total))} |", flush=True)
    if outcome.fault:
        print(f"{name}: its invariant does not hold; see {folder}\n{outcome.fault}", flush=True)
    return bool(outcome.fault)


def _reached(name: str, folders: list[Path]) -> tuple[str, str]:
    command = [sys.executable, "-m", "fuzz.reached", name, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    reached, total = done.stdout.split() or ("?", "?")
    return reached, total


def _vectors(name: str) -> Path | None:
    """Return the folder of test vectors beside the project that a harness takes too, if any."""
    wanted = getattr(harness(name), "VECTORS", None)
    given = os.environ.get("CDDS_VECTORS")
    root = Path(given) if given else Path(__file__).parents[2] / "shared" / "vectors"
    path = root / wanted if wanted else None
    return path if path is not None and path.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
