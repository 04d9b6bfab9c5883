"""Tells which lines a corpus reaches: `python -m fuzz.reached NAME FOLDER…`.

It prints two numbers: how many lines of the modules that a harness reads with are run by the inputs
in the folders, and how many there are. Those that run when a module is loaded count.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from coverage import Coverage

from fuzz.harnesses import harness


def main(name: str, *folders: str) -> None:
    """Run a harness on all inputs in some folders."""
    coverage = Coverage(include=["*/cdds/*"], data_file=None)
    coverage.start()
    found = harness(name)
    for folder in folders:
        for path in Path(folder).rglob("*"):
            if path.is_file():
                found.check(path.read_bytes())
    coverage.stop()
    reached = total = 0
    for module in found.READS:
        spec = find_spec(module)
        assert spec is not None
        _, lines, _, missing, _ = coverage.analysis2(str(spec.origin))
        total += len(lines)
        reached += len(lines) - len(missing)
        print(f"{module}: not reached: {missing}", file=sys.stderr)
    print(reached, total)


if __name__ == "__main__":
    main(*sys.argv[1:])
