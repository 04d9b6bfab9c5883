"""What the tests of sinks share."""

from __future__ import annotations

from pathlib import Path

import pytest
from stores import LocalStore

from cdds.sinks import LocalSink


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    """Return an empty local store."""
    return LocalStore(tmp_path / "exports", LocalSink(tmp_path / "exports"))
