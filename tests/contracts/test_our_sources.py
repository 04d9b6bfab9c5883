"""Our own sources keep the contract that plugins are held to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cdds.datasets import CONTACT
from cdds.model import Dataset
from cdds.sources import JsonArray, JsonLines, Records
from cdds.testing import SourceContract

Given: TypeAlias = "Mapping[str, Iterable[Mapping[str, Any]]]"


class TestRecords(SourceContract):
    @pytest.fixture
    def new_source(self) -> Any:
        return lambda records: Records(**records)


class TestContacts(TestRecords):
    """Another dataset, whose moments stand in either of two properties."""

    @pytest.fixture
    def dataset(self) -> Dataset:
        return CONTACT


class TestJsonLines(SourceContract):
    @pytest.fixture
    def new_source(self, tmp_path: Path) -> Any:
        return lambda records: JsonLines(**written(tmp_path, records, lines))


class TestJsonArray(SourceContract):
    @pytest.fixture
    def new_source(self, tmp_path: Path) -> Any:
        return lambda records: JsonArray(**written(tmp_path, records, array))


def written(folder: Path, records: Given, form: Any) -> dict[str, Any]:
    """Write each data file in two parts, which are one."""
    inputs: dict[str, Any] = {}
    for name, given in records.items():
        paths = [folder / f"{name}-{number}.json" for number in range(2)]
        files = [path.open("w") for path in paths]
        form(given, files)
        for file in files:
            file.close()
        inputs[name] = paths
    return inputs


def lines(records: Iterable[Mapping[str, Any]], files: list[Any]) -> None:
    for number, record in enumerate(records):
        print(json.dumps(record), file=files[number >= 5])


def array(records: Iterable[Mapping[str, Any]], files: list[Any]) -> None:
    remaining = iter(records)
    for file, taken in zip(files, (first(5, remaining), remaining), strict=True):
        separator = "["
        for record in taken:
            print(separator, json.dumps(record), file=file)
            separator = ","
        print("[]" if separator == "[" else "]", file=file)


def first(count: int, records: Iterator[Any]) -> Iterator[Any]:
    for _, record in zip(range(count), records, strict=False):
        yield record
