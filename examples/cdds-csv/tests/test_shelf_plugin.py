"""The sink keeps the contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cdds_csv.sink import Shelf

import cdds
from cdds.errors import SinkError
from cdds.testing import SinkContract, StorageContract


class TestShelf(SinkContract, StorageContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Shelf:
        return Shelf(f"shelf://{tmp_path}/exports.db")


@pytest.mark.parametrize("url", ["shelf://host/a.db", "shelf://", "shelf:///nowhere/at/all/a.db"])
def test_what_is_no_file_is_refused(url: str) -> None:
    with pytest.raises(SinkError):
        cdds.sinks.open_sink(url)
