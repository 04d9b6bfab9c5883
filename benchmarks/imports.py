"""Measures what `import cdds` costs and loads.

    python benchmarks/imports.py

Each figure is the median of 11 fresh processes. The time of a whole process has that of an
interpreter that does nothing taken off. What is loaded is what ``python -X importtime`` lists.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from tables import table

_RUNS = 11
_NOTHING = ("-c", "pass")
_CASES = {
    "import cdds": ("-c", "import cdds"),
    "from cdds import export": ("-c", "from cdds import export"),
    "python -m cdds --help": ("-m", "cdds", "--help"),
}
_HEAVY = ("sqlalchemy", "fsspec", "tqdm", "jsonschema", "ijson", "cryptography")
_IMPORTED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s*([\w.]+)$", re.MULTILINE)


def main() -> None:
    """Measure all cases and print a table."""
    empty = median(_seconds(_NOTHING) for _ in range(_RUNS))
    base = _modules(_NOTHING)
    rows = []
    for title, arguments in _CASES.items():
        seconds = median(_seconds(arguments) for _ in range(_RUNS)) - empty
        loaded = _modules(arguments) - base
        heavy = [name for name in _HEAVY if name in loaded]
        ours = sum(name.partition(".")[0] == "cdds" for name in loaded)
        rows.append(
            (title, f"{seconds * 1000:.0f}", str(len(loaded)), str(ours), " ".join(heavy) or "none")
        )
    head = ("statement", "ms", "modules", "of cdds", f"of {', '.join(_HEAVY)}")
    print(table(head, rows, markdown=False))
    print(f"\nan interpreter that does nothing: {empty * 1000:.0f} ms")
    print(f"import cdds loads: {' '.join(sorted(_modules(_CASES['import cdds']) - base))}")


def _seconds(arguments: Sequence[str]) -> float:
    start = time.perf_counter()
    _run(arguments)
    return time.perf_counter() - start


def _modules(arguments: Sequence[str]) -> set[str]:
    """Return the modules that a fresh interpreter loads for it."""
    return set(_IMPORTED.findall(_run(("-X", "importtime", *arguments))))


def _run(arguments: Sequence[str]) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


if __name__ == "__main__":
    main()
