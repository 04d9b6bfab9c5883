"""The test vectors that others wrote; they lie beside the project, and tests skip without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def vectors() -> Path | None:
    """Return the folder of the vectors, if there is one."""
    given = os.environ.get("CDDS_VECTORS")
    path = Path(given) if given else Path(__file__).parents[3] / "shared" / "vectors"
    return path if path.is_dir() else None


def cases_or_skip(cases: list[Any], width: int = 3) -> list[Any]:
    """Return the cases of a test of some parameters, or one that is skipped where there is none."""
    reason = "no vectors: CDDS_VECTORS is not set and there is no ../shared/vectors"
    return cases or [pytest.param(*[None] * width, marks=pytest.mark.skip(reason=reason))]
