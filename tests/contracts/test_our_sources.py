"""Our own sources keep the contract that plugins are held to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import sqlalchemy

from cdds.datasets import CONTACT, INTERACTION
from cdds.model import DataFile, Dataset
from cdds.sources import ContactHistory, JsonArray, JsonLines, Records, Sql
from cdds.sources.contact_history.layout import LAYOUTS
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
    selects = True
    tells_undated = True

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


class TestContactHistoryInSQLite(TestSqlInSQLite):
    """Each record has a row in every table that may hold some of it.

    An interaction and a document have one key here, which a UCS never gives twice, and the row of
    an original document has that of its interaction. So documents have theirs in a column beside.
    """

    # Whatever else a database has is its own.
    test_a_data_file_of_another_dataset_is_refused = None  # type: ignore[assignment]

    @pytest.fixture
    def dataset(self) -> Dataset:
        interaction, document = INTERACTION.files
        joined = dict(document.schema) | {"required": ["DOCUMENTID"]}
        return attrs.evolve(INTERACTION, files=(interaction, attrs.evolve(document, schema=joined)))

    @pytest.fixture
    def new_source(self, new_catalog_url: Any, dataset: Dataset) -> Iterator[Any]:
        with new_catalog_url(self.kind) as url:

            def made(records: Given) -> ContactHistory:
                fill_ucs(url, dataset, records)
                return ContactHistory(url, columns={"document": {"ID": "Attachment.ID"}})

            yield made


class TestContactHistoryInPostgreSQL(TestContactHistoryInSQLite):
    kind = "postgresql"


class TestContactHistoryOfContacts(TestContactHistoryInSQLite):
    @pytest.fixture
    def dataset(self) -> Dataset:
        return CONTACT


def fill_ucs(url: str, dataset: Dataset, records: Given) -> None:
    """Make the tables of a UCS database, and take each record apart into them."""
    engine = engine_of(url)
    with engine.begin() as connection:
        tables = ucs_tables(dataset)
        for table in tables.values():
            table.drop(connection, checkfirst=True)
            table.create(connection)
        for file in dataset.files:
            for record in records.get(file.name, ()):
                for name, row in rows_of(file, record).items():
                    connection.execute(tables[name].insert().values(row))
    engine.dispose()


def ucs_tables(dataset: Dataset) -> dict[str, sqlalchemy.Table]:
    """Return the tables that the layouts of a dataset name, with a column for each place."""
    found: dict[str, dict[str, Any]] = {}
    for file in dataset.files:
        types = columns(file)
        layout = LAYOUTS[file.name]
        for join in layout.joins:
            found.setdefault(join.table, {})[join.key] = sqlalchemy.Text()
        for name in types:
            table, column = place_of(file, name)
            found.setdefault(table, {}).setdefault(column, types[name])
    return {
        table: sqlalchemy.Table(
            table,
            sqlalchemy.MetaData(),
            *(sqlalchemy.Column(name, kind) for name, kind in its_columns.items()),
        )
        for table, its_columns in found.items()
    }


def rows_of(file: DataFile, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the row of each table, joined by the keys that the layout tells."""
    layout, types = LAYOUTS[file.name], columns(file)
    rows: dict[str, dict[str, Any]] = {layout.base: {}}
    for name, value in record.items():
        table, column = place_of(file, name)
        rows.setdefault(table, {})[column] = stored(value, types[name])
    for join in layout.joins:
        rows.setdefault(join.table, {})[join.key] = rows[layout.base][join.base_key]
    return rows


def place_of(file: DataFile, name: str) -> tuple[str, str]:
    """Return the table and the column of a property."""
    if (file.name, name) == ("document", "ID"):
        return "Attachment", "ID"
    return LAYOUTS[file.name].places[name][0]


def engine_of(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def filled(url: str, dataset: Dataset, records: Given) -> dict[str, Any]:
    """Write each data file into a table, and return the queries that read them."""
    engine = engine_of(url)
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
