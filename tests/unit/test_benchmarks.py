"""The benchmarks: each can be run by its name, and is told of."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def known_to_nox() -> dict[str, Any]:
    """Return the benchmarks of the noxfile, which is not loaded: nox need not be installed."""
    for statement in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            known: dict[str, Any] = ast.literal_eval(statement.value)
            return known
    raise AssertionError


def test_each_benchmark_can_be_run_by_name_and_is_explained() -> None:
    measuring = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if re.match(rf'""".*?\n    \S.*?benchmarks/{path.stem}\.py', path.read_text(), re.DOTALL)
    }
    assert known_to_nox().keys() == measuring
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)) == measuring
