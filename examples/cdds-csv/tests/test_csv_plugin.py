"""The source keeps the contract, and says clearly what it cannot read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cdds_csv.source import CsvFolder

import cdds
from cdds.errors import RecordError, SourceError
from cdds.testing import SourceContract

INTERACTION = cdds.datasets.INTERACTION


def written(folder: Path, records: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """Write a CSV file for each data file, and return the URL of the folder."""
    for name, given in records.items():
        file = next((file for file in INTERACTION.files if file.name == name), None)
        columns = list(file.schema["properties"]) if file else ["ID"]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as text:
            rows = csv.DictWriter(text, columns)
            rows.writeheader()
            rows.writerows({key: cell(value) for key, value in one.items()} for one in given)
    return f"csv://{folder}"


def cell(value: object) -> object:
    return value if isinstance(value, str) else json.dumps(value)


class TestCsvFolder(SourceContract):
    @pytest.fixture
    def new_source(self, tmp_path: Path) -> Any:
        return lambda records: CsvFolder(written(tmp_path, records))


BAD = {
    "IXNID,COLOUR\n1,red": (SourceError, "does not know: COLOUR"),
    "IXNID,IXNID\n1,2": (SourceError, "twice"),
    "IXNID\n1,2": (RecordError, "more cells than the header"),
    "IXNID,TENANTID\n1,needle": (RecordError, "not of the type of its column"),
    'IXNID\n"needle': (SourceError, "cannot read"),
    "IXNID\n\udcff": (SourceError, "UnicodeDecodeError"),
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "interaction.csv"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    error, said = BAD[text]
    source = CsvFolder(f"csv://{tmp_path}")
    with (
        source.snapshot(INTERACTION, cdds.Selection()) as snapshot,
        pytest.raises(error, match=said) as caught,
    ):
        list(snapshot.records("interaction"))
    assert str(path) in str(caught.value)
    assert "needle" not in str(caught.value)


@pytest.mark.parametrize("url", ["csv://host/folder", "csv://", "csv:///nowhere/at/all"])
def test_what_is_no_folder_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="folder"):
        CsvFolder(url)


def test_the_delimiter_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "interaction.csv").write_text("IXNID;SUBJECT\n1;a,b\n")
    source = cdds.sources.open_source(f"csv://{tmp_path}", delimiter=";")
    with source.snapshot(INTERACTION, cdds.Selection()) as snapshot:
        assert list(snapshot.records("interaction")) == [{"IXNID": "1", "SUBJECT": "a,b"}]
