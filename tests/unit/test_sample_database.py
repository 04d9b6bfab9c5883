"""What tests, benchmarks and readers of the documentation may rely on in a sample's database.

That joining its tables by hand gives the very records of the sample, in every spelling; that it is
whole or not there; that recycled bodies break nothing that refers to something.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from ucs import (
    CONTACT,
    CONTACT_ATTRIBUTE,
    DOCUMENT,
    INSTANTS,
    INTERACTION,
    TABLES,
    connected,
    joined,
    select,
)

from cdds import sample
from cdds.errors import JobError, SourceError
from cdds.sample import Mix
from cdds.sample.__main__ import main

KINDS = ("sqlite", "postgresql")
EVEN = Mix(email_in=1, email_out=1, chat=1, voice=1, callback=1, cobrowse=1, social=1)
COUNT = 250

each_kind = pytest.mark.parametrize("kind", KINDS)
each_spelling = pytest.mark.parametrize("names", ["upper", "lower", "camel"])


@pytest.fixture(scope="module")
def filled(new_catalog_url: Any) -> Iterator[Callable[[str, str], str]]:
    """Return what gives the URL of a sample of each kind and spelling, loaded once."""
    made: dict[tuple[str, str], Any] = {}

    def url_of(kind: str, names: str) -> str:
        if (kind, names) not in made:
            database = new_catalog_url(kind)
            made[kind, names] = database, database.__enter__()
            sample.load(made[kind, names][1], COUNT, 60, seed=3, mix=EVEN, names=names)
        url: str = made[kind, names][1]
        return url

    yield url_of
    for database, _ in made.values():
        database.__exit__(None, None, None)


def sorted_by_key(records: Iterator[sample.Record], key: str) -> dict[str, sample.Record]:
    return {record[key]: record for record in records}


# What is loaded are the records.


@each_kind
@each_spelling
def test_joined_interactions_are_those_of_the_sample(filled: Any, kind: str, names: str) -> None:
    expected = sorted_by_key(sample.interactions(COUNT, seed=3, mix=EVEN), "IXNID")
    for record in expected.values():
        if record["ENTITYTYPEID"] == 1:
            del record["HEADER"]  # there is no column for the header of a mail that went out

    found = joined(filled(kind, names), INTERACTION, names)

    assert found == expected
    assert [list(found[key]) for key in expected] == [list(each) for each in expected.values()]


@each_kind
@each_spelling
def test_joined_documents_are_those_of_the_sample(filled: Any, kind: str, names: str) -> None:
    expected = sorted_by_key(sample.documents(COUNT, seed=3, mix=EVEN), "ID")

    assert expected
    assert joined(filled(kind, names), DOCUMENT, names) == expected


@each_kind
@each_spelling
def test_contacts_and_attributes_are_those_of_the_sample(
    filled: Any, kind: str, names: str
) -> None:
    url = filled(kind, names)

    assert joined(url, CONTACT, names) == sorted_by_key(sample.contacts(60, seed=3), "CONTACTID")
    assert joined(url, CONTACT_ATTRIBUTE, names) == sorted_by_key(
        sample.contact_attributes(60, seed=3), "ID"
    )


@each_kind
@each_spelling
def test_an_interaction_has_a_row_in_the_table_of_its_kind_alone(
    filled: Any, kind: str, names: str
) -> None:
    tables = {0: "emailIn", 1: "emailOut", 2: "chat", 3: "phoneCall", 5: "callback", 6: "coBrowse"}
    rows = " union all ".join(
        f'select "id", {number} from "{name}"' for number, name in tables.items()
    )
    found = select(filled(kind, names), rows, names)

    expected = select(
        filled(kind, names),
        'select "id", "entityTypeId" from "interaction" where "entityTypeId" <> 7',
        names,
    )
    assert sorted(found) == sorted(expected)


def layout(url: str) -> dict[str, list[str]]:
    """Return the tables of a database with their columns."""
    with connected(url) as connection:
        inspector = sqlalchemy.inspect(connection)
        return {
            table: [column["name"] for column in inspector.get_columns(table)]
            for table in inspector.get_table_names()
        }


@each_kind
def test_names_are_spelled_as_asked(filled: Any, kind: str) -> None:
    """SQLite finds them in any spelling, so that the joins do not show it."""
    upper, lower, camel = (layout(filled(kind, names)) for names in ("upper", "lower", "camel"))

    assert set(upper) == set(TABLES.values())
    assert set(camel) == set(TABLES)
    assert lower == {
        table.lower(): [column.lower() for column in columns] for table, columns in upper.items()
    }
    for table, columns in camel.items():
        assert [column.upper() for column in columns] == upper[TABLES[table]]
    assert {"queueName", "mediaTypeId", "strAttribute10", "startDate"} <= {*camel["interaction"]}


def test_both_databases_have_the_same_layout(filled: Any) -> None:
    assert layout(filled("sqlite", "upper")) == layout(filled("postgresql", "upper"))


@each_kind
def test_keys_and_indexes_are_those_of_the_layout(filled: Any, kind: str) -> None:
    references, indexes = set(), set()
    with connected(filled(kind, "upper")) as connection:
        inspector = sqlalchemy.inspect(connection)
        for table in TABLES.values():
            keys = {"Attachment": ["ENTITYID", "DOCUMENTID"], "Contact": ["CONTACTID"]}
            primary = inspector.get_pk_constraint(table)["constrained_columns"]
            assert primary == keys.get(table, ["ID"])
            for key in inspector.get_foreign_keys(table):
                references.add((table, *key["constrained_columns"], key["referred_table"]))
            for index in inspector.get_indexes(table):
                indexes.add((table, *index["column_names"]))

    of_interaction = ("EmailIn", "EmailOut", "Chat", "PhoneCall", "Callback", "CoBrowse")
    assert references == {
        *((table, "ID", "Interaction") for table in of_interaction),
        ("Attachment", "ENTITYID", "Interaction"),
        ("Attachment", "DOCUMENTID", "Document"),
        ("ContactAttribute", "CONTACTID", "Contact"),
    }
    assert indexes == {
        ("Interaction", "STARTDATE"),
        ("Interaction", "MEDIATYPEID", "STARTDATE"),
        ("Interaction", "CONTACTID"),
        ("Attachment", "DOCUMENTID"),
        ("Contact", "MODIFIEDDATE"),
        ("ContactAttribute", "CONTACTID"),
    }


@each_kind
def test_times_can_be_selected_in_the_database(filled: Any, kind: str) -> None:
    records = list(sample.interactions(COUNT, seed=3, mix=EVEN))
    first, last = sorted(record["STARTDATE"] for record in records)[50:151:100]
    low, high = (border[:-1].replace("T", " ") for border in (first, last))

    rows = select(
        filled(kind, "upper"),
        f"""select "id" from "interaction"
            where "startDate" >= '{low}' and "startDate" < '{high}'""",
    )

    assert {key for (key,) in rows} == {
        record["IXNID"] for record in records if first <= record["STARTDATE"] < last
    }


def test_sqlite_understands_its_times(filled: Any) -> None:
    rows = select(
        filled("sqlite", "upper"),
        """select "startDate", strftime('%Y-%m-%d %H:%M:%f', "startDate") from "interaction" """,
    )

    assert len(rows) == COUNT
    assert all(written == understood for written, understood in rows)


@each_kind
def test_rows_are_counted(filled: Any, new_catalog_url: Any, kind: str) -> None:
    with new_catalog_url(kind) as url:
        loaded = sample.load(url, 80, 7, seed=1, mix=Mix.VOICE)

        counted = {
            table: select(url, f'select count(*) from "{name}"')[0][0]
            for name, table in TABLES.items()
        }

    assert loaded.rows == counted
    assert (counted["Interaction"], counted["PhoneCall"], counted["Contact"]) == (80, 80, 7)
    assert counted["Document"] == 0


def test_contacts_are_all_those_that_interactions_come_from(new_catalog_url: Any) -> None:
    with new_catalog_url("sqlite") as url:
        sample.load(url, 300)

        orphans = select(
            url,
            """select "id" from "interaction"
               where "contactId" not in (select "contactId" from "contact")""",
        )

    assert orphans == []


def test_a_seed_fixes_the_database(tmp_path: Path) -> None:
    dumps = []
    for number, seed in enumerate((5, 5, 6)):
        sample.load(f"sqlite:///{tmp_path}/{number}.db", 40, 3, seed=seed, recycle_after=30)
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            dumps.append(list(connection.iterdump()))

    assert dumps[0] == dumps[1] != dumps[2]


# Recycled bodies.

counts = st.integers(0, 120)


@settings(max_examples=15)
@given(count=counts, after=st.integers(1, 130), seed=st.integers(0, 2**40))
def test_what_is_recycled_refers_to_what_is_there(
    folder: Any, count: int, after: int, seed: int
) -> None:
    with folder() as home:
        url = f"sqlite:///{home}/ucs.db"
        loaded = sample.load(url, count, 0, seed=seed, mix=EVEN, recycle_after=after)

        assert loaded.rows["Interaction"] == count
        assert select(url, "pragma foreign_key_check") == []
        found = joined(url, INTERACTION, "upper")
        documents = joined(url, DOCUMENT, "upper")
    assert loaded.rows["Document"] == len(documents) + sum("CONTENT" in r for r in found.values())
    for document in documents.values():
        owner = found[document["ENTITYID"]]
        assert owner["MEDIATYPEID"] == "email"
        assert owner["ENTITYTYPEID"] == document["ENTITYTYPEID"]
    assert all(record.get("THREADID", key) == key for key, record in found.items())


@settings(max_examples=15)
@given(count=counts, after=st.integers(1, 130), seed=st.integers(0, 2**40))
def test_a_recycled_interaction_differs_from_the_first_in_keys_and_times_alone(
    folder: Any, count: int, after: int, seed: int
) -> None:
    with folder() as home:
        url = f"sqlite:///{home}/ucs.db"
        sample.load(url, count, 0, seed=seed, mix=EVEN, recycle_after=after)
        found = joined(url, INTERACTION, "upper")
    made = list(sample.interactions(count, seed=seed, mix=EVEN))

    assert {record["IXNID"] for record in made} == set(found)
    own = {"IXNID", "THREADID", "HEADER", *INSTANTS}
    for index, expected in enumerate(made):
        first, record = made[index % after], found[expected["IXNID"]]
        assert without(record, own) == without(first, own)
        assert spans(record) == spans(first)
        assert "2025-01-01" <= record["STARTDATE"] < "2026-01-01"
        if index < after:
            assert record["STARTDATE"] == expected["STARTDATE"]


def without(record: sample.Record, names: set[str]) -> sample.Record:
    return {name: value for name, value in record.items() if name not in names}


def spans(record: sample.Record) -> dict[str, Any]:
    """Return how long after its start each instant of an interaction is."""
    started = datetime.fromisoformat(record["STARTDATE"])
    return {
        name: datetime.fromisoformat(record[name]) - started for name in INSTANTS & record.keys()
    }


def test_recycled_interactions_are_spread_over_the_year(new_catalog_url: Any) -> None:
    with new_catalog_url("sqlite") as url:
        sample.load(url, 2400, 0, mix=Mix.VOICE, recycle_after=1)
        records = joined(url, INTERACTION, "upper").values()

    months = Counter(record["STARTDATE"][:7] for record in records)
    assert len(months) == 12
    assert min(months.values()) > 150
    assert len({record["STARTDATE"] for record in records}) == 2400


# A database is filled, or left as it was.


def contents(url: str) -> dict[str, Sequence[Any]]:
    return {table: select(url, f'select * from "{table}"', "camel") for table in layout(url)}


@each_kind
@pytest.mark.parametrize("there", ["interaction", "Interaction", "anything"])
def test_a_database_that_is_not_empty_is_refused(
    new_catalog_url: Any, kind: str, there: str
) -> None:
    with new_catalog_url(kind) as url:
        with connected(url) as connection:
            connection.exec_driver_sql(f'create table "{there}" (x integer)')
            connection.exec_driver_sql(f'insert into "{there}" values (7)')
            connection.commit()

        with pytest.raises(JobError, match=rf"such as {there}; .* empty"):
            sample.load(url, 10)

        assert contents(url) == {there: [(7,)]}


@each_kind
def test_a_second_load_is_refused_and_harms_nothing(new_catalog_url: Any, kind: str) -> None:
    with new_catalog_url(kind) as url:
        sample.load(url, 10, 2)
        before = contents(url)

        with pytest.raises(JobError, match="empty"):
            sample.load(url, 10, 2, names="lower")

        assert contents(url) == before


class Interrupted(Exception):
    """What a test raises in the middle of a load."""


@each_kind
@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_a_load_that_fails_leaves_nothing(
    new_catalog_url: Any, kind: str, error: type[BaseException]
) -> None:
    written = []

    def stop(count: int) -> None:
        written.append(count)
        if len(written) == 2:
            raise error

    with new_catalog_url(kind) as url:
        with pytest.raises(error):
            sample.load(url, 10**12, 10, mix=Mix.VOICE, on_progress=stop)

        assert written == [1000, 1000]  # and so no more than that was made
        if kind == "sqlite":
            path = Path(url.removeprefix("sqlite:///"))
            assert list(path.parent.iterdir()) == []
        assert layout(url) == {}
        assert sample.load(url, 10, 2).rows["Interaction"] == 10


def test_a_file_that_was_there_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "ucs.db"
    path.touch()

    with pytest.raises(Interrupted):
        sample.load(f"sqlite:///{path}", on_progress=raise_interrupted)

    assert path.read_bytes() == b""


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ucs.db"
    path.write_bytes(b"no database " * 1000)

    with pytest.raises(SourceError, match="not a database"):
        sample.load(f"sqlite:///{path}")

    assert path.read_bytes() == b"no database " * 1000


def raise_interrupted(_: int) -> None:
    raise Interrupted


# What makes no sense is refused.


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "ucs.db"},
        {"url": ""},
        {"url": None},
        {"url": "sqlite://"},
        {"url": "sqlite:///:memory:"},
        {"url": "mysql://host/name"},
        {"url": "postgresql://host:port/name"},
        {"url": "postgresql://127.0.0.1:1/name?none=such"},
        {"interactions": -1},
        {"interactions": 1.5},
        {"interactions": True},
        {"contacts": -1},
        {"contacts": "7"},
        {"recycle_after": 0},
        {"names": "snake"},
        {"password": "secret-word"},
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(JobError) as refusal:
        sample.load(**{"url": "sqlite:///ucs.db", **arguments})

    assert "secret-word" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://user:secret-word@127.0.0.1:1/name", None),
        ("postgresql+psycopg://user@127.0.0.1:1/name", "secret-word"),
        ("postgresql://user@127.0.0.1:1/name?sslpassword=secret-word", None),
        ("sqlite:////no/such/folder/ucs.db", None),
        ("sqlite:////", None),
    ],
)
def test_what_cannot_be_reached_is_told_without_its_password(
    url: str, password: str | None
) -> None:
    with pytest.raises(SourceError, match="the database") as failure:
        sample.load(url, 10, password=password)

    assert "secret-word" not in str(failure.value)


@each_kind
def test_what_the_database_refuses_is_told_without_its_rows(
    new_catalog_url: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A row that breaks a rule of the tables: a name of a status where its number should be."""
    record = {**sample.interaction(0, mix=Mix.VOICE), "STATUS": None}
    monkeypatch.setattr("cdds.sample._recycled.interaction", lambda *_, **__: record)

    with new_catalog_url(kind) as url:
        with pytest.raises(SourceError) as failure:
            sample.load(url, 1, 1)

        assert layout(url) == {}
    assert record["IXNID"] not in str(failure.value)
    assert record["PHONENUMBER"] not in str(failure.value)
    assert failure.value.__cause__ is failure.value.__context__ is None


def test_what_is_loaded_is_a_value(tmp_path: Path) -> None:
    loaded = sample.load(f"sqlite:///{tmp_path}/ucs.db", 1, 1)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        loaded.rows = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        loaded.rows["Chat"] = 3  # type: ignore[index]


# The command.


def test_the_command_loads_what_it_is_asked_for(tmp_path: Path) -> None:
    words = "--interactions 30 --contacts 4 --seed 9 --mix email --names camel --recycle-after 20"
    sample.load(
        f"sqlite:///{tmp_path}/expected.db",
        30,
        4,
        seed=9,
        mix=Mix.EMAIL_HEAVY,
        names="camel",
        recycle_after=20,
    )

    done = subprocess.run(
        [sys.executable, "-m", "cdds.sample", "--url", "sqlite:///ucs.db", *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert contents(f"sqlite:///{tmp_path}/ucs.db") == contents(f"sqlite:///{tmp_path}/expected.db")
    assert done.stderr == ""
    lines = dict(line.split() for line in done.stdout.splitlines())
    assert set(lines) == set(TABLES.values())
    assert (lines["Interaction"], lines["Contact"]) == ("30", "4")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--url nonsense", "sqlite:///FILE"),
        ("--url sqlite:///file:z.db?mode=memory&uri=true", "a file alone"),
        ("--url sqlite:///there.db", "empty"),
        ("--url sqlite:///no/ucs.db", "unable to open"),
        ("--url sqlite:///ucs.db --contacts -1", "contacts is"),
        ("--url sqlite:///ucs.db --password-file secret", "no password"),
        ("--url sqlite:///ucs.db --password-file none", "none: No such file"),
        ("--url sqlite:///ucs.db --password-file empty", "the first line of empty"),
        ("--url sqlite:///ucs.db --password-file binary", "the first line of binary"),
        ("--url postgresql://u@127.0.0.1:1/n --password-file secret", "127.0.0.1:1/n"),
        ("--url postgresql://u:secret-word@127.0.0.1:1/n", "--password-file"),
        ("--url postgresql://127.0.0.1:1/n?password=secret-word", "--password-file"),
    ],
)
def test_the_command_tells_an_error_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    sample.load("sqlite:///there.db", 1, 1)
    Path("secret").write_text("secret-word\n")
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe\n")
    before = {path.name for path in tmp_path.iterdir()}

    assert main(words.split()) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("cdds.sample: error: ")
    assert said in err
    assert "secret-word" not in err
    assert {path.name for path in tmp_path.iterdir()} == before


@contextmanager
def asking_server() -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that asks for a password and then hangs up, and what it was told.

    It speaks just so much of the protocol of PostgreSQL; the servers of the tests ask for none.
    """
    told: list[bytes] = []

    def ask() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as heard:
            heard.read(int.from_bytes(heard.read(4)) - 4)  # who wants to come in
            connection.sendall(b"R" + (8).to_bytes(4) + (3).to_bytes(4))  # in clear text, please
            assert heard.read(1) == b"p"
            told.append(heard.read(int.from_bytes(heard.read(4)) - 4))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=ask)
        thread.start()
        yield listener.getsockname()[1], told
        thread.join()


def test_the_command_gives_the_password_to_the_server_and_to_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_bytes("pass wörd \r\nsecond line\n".encode())

    with asking_server() as (port, told):
        url = f"postgresql://u@127.0.0.1:{port}/n?sslmode=disable&gssencmode=disable"
        assert main(["--url", url, "--password-file", str(tmp_path / "secret")]) == 1

    assert told == ["pass wörd \0".encode()]
    assert "pass" not in capsys.readouterr().err


# The page that tells of it.


def test_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/try-a-ucs-database.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (query,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)

    exec(compile(python, "try-a-ucs-database.md", "exec"), {})
    rows = select("sqlite:///ucs.db", query, "camel")

    assert "mails came in" in capsys.readouterr().out
    assert rows
    assert all(started.startswith("2025-03-") for started, *_ in rows)
    assert any(files for *_, files in rows)


def test_the_page_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/try-a-ucs-database.md").read_text()
    with pytest.raises(SystemExit):
        main(["--help"])

    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}

    assert len(options) > 5
    assert all(option in page for option in options)
