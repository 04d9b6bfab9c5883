"""Our own sources keep the contract that plugins are held to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy

from cdds.datasets import CONTACT
from cdds.model import DataFile, Dataset
from cdds.sources import JsonArray, JsonLines, Records, Sql
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


class TestSqlInSQLite(SourceContract):
    kind = "sqlite"

    @pytest.fixture
    def new_source(self, new_catalog_url: Any, dataset: Dataset) -> Iterator[Any]:
        with new_catalog_url(self.kind) as url:
            yield lambda records: Sql(url, **filled(url, dataset, records))


class TestSqlInPostgreSQL(TestSqlInSQLite):
    kind = "postgresql"


class TestContactsInSQLite(TestSqlInSQLite):
    @pytest.fixture
    def dataset(self) -> Dataset:
        return CONTACT


def filled(url: str, dataset: Dataset, records: Given) -> dict[str, Any]:
    """Write each data file into a table, and return the queries that read them."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    files = {file.name: file for file in dataset.files}
    with engine.begin() as connection:
        for name, given in records.items():
            types = columns(files[name]) if name in files else {"ID": sqlalchemy.Text()}
            table = sqlalchemy.Table(
                name,
                sqlalchemy.MetaData(),
                *(sqlalchemy.Column(column, kind) for column, kind in types.items()),
            )
            table.drop(connection, checkfirst=True)
            table.create(connection)
            for record in given:
                row = {column: stored(record[column], types[column]) for column in record}
                connection.execute(table.insert().values(row))
    engine.dispose()
    return {name: f'SELECT * FROM "{name}"' for name in records}


def columns(file: DataFile) -> dict[str, Any]:
    """Return the type of each property's column; moments have a zone where the database has."""
    kinds = {"integer": sqlalchemy.BigInteger(), "object": sqlalchemy.JSON()}
    return {
        name: Moment() if name in file.timestamps else kinds.get(schema["type"], sqlalchemy.Text())
        for name, schema in file.schema["properties"].items()
    }


class Moment(sqlalchemy.types.TypeDecorator[Any]):
    """A moment: a type of its own in PostgreSQL, and a text in SQLite."""

    impl = sqlalchemy.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        is_text = dialect.name == "sqlite"
        kind = sqlalchemy.Text() if is_text else sqlalchemy.DateTime(timezone=True)
        return dialect.type_descriptor(kind)


def stored(value: Any, kind: Any) -> Any:
    return value if value is None or not isinstance(kind, Moment) else str(value)


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
