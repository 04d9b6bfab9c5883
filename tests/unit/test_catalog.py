"""The catalog on every database: what is written is read again, and every error is clear."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from catalogs import SHARED_KINDS
from sqlalchemy import Connection, MetaData, create_engine, inspect, select, text

from cdds.catalog import Catalog, JobEntry, JobSettings, migrations
from cdds.catalog.audit import check_value
from cdds.catalog.tables import METADATA, VERSION
from cdds.errors import CatalogError, CatalogVersionError
from cdds.schedule import Hourly

KEY = b"k" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
JOB = JobEntry(
    id="00000000-0000-4000-8000-000000000000",
    tenant="t",
    owner="o",
    settings=JobSettings(title="x", source="s", dataset="Interaction"),
    created=NOW,
)
RUN_ID = "00000000-0000-4000-8000-000000000001"

NewCatalogUrl = Callable[[str], AbstractContextManager[str]]


def names(catalog: Catalog) -> set[str]:
    """Return the tables of a catalog's database."""
    with catalog.read() as transaction:
        return set(inspect(transaction._connection).get_table_names())


def test_moments_come_back_in_utc_to_the_microsecond(catalog_url: str) -> None:
    edges = (None, NOW, datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
    with Catalog(catalog_url, audit_key=KEY) as catalog:
        for edited in edges:
            for next_start in edges:
                job = attrs.evolve(JOB, edited=edited, next_start=next_start)
                with catalog.write() as transaction:
                    transaction.jobs.delete(job.id)
                    transaction.jobs.add(job)
                with catalog.read() as transaction:
                    assert transaction.jobs.find(job.id) == job


def test_a_transaction_that_fails_leaves_nothing(catalog_url: str) -> None:
    with Catalog(catalog_url, audit_key=KEY) as catalog:
        with pytest.raises(RuntimeError, match="midway"), catalog.write() as transaction:
            transaction.jobs.add(JOB)
            raise RuntimeError("midway")
        with catalog.read() as transaction:
            assert transaction.jobs.find(JOB.id) is None


def test_only_tables_of_its_own_are_made_beside_those_of_the_host(
    new_catalog_url: NewCatalogUrl,
) -> None:
    for kind in SHARED_KINDS:
        with new_catalog_url(kind) as url:
            with Catalog(url, audit_key=KEY) as catalog, catalog.write() as transaction:
                transaction._connection.execute(text("CREATE TABLE jobs (id integer)"))
            with Catalog(url, audit_key=KEY) as catalog:
                assert names(catalog) == set(METADATA.tables) | {"jobs"}
    assert all(name.startswith("cdds_") for name in METADATA.tables)


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_a_newer_schema_is_refused_and_left_alone(
    new_catalog_url: NewCatalogUrl, kind: str
) -> None:
    with new_catalog_url(kind) as url:
        with Catalog(url, audit_key=KEY) as catalog, catalog.write() as transaction:
            transaction.jobs.add(JOB)
            transaction._connection.execute(VERSION.update().values(version=99))
        with pytest.raises(CatalogVersionError, match=r"version 99.*upgrade"):
            Catalog(url, audit_key=KEY)


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_an_older_schema_is_brought_up_step_by_step_or_not_at_all(
    new_catalog_url: NewCatalogUrl, kind: str
) -> None:
    def second(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE cdds_second (id integer)"))

    def third(connection: Connection) -> None:
        connection.execute(text("INSERT INTO cdds_second VALUES (3)"))

    def broken(connection: Connection) -> None:
        connection.execute(text("INSERT INTO cdds_nowhere VALUES (3)"))

    one, two = migrations.CURRENT + 1, migrations.CURRENT + 2
    with new_catalog_url(kind) as url, Catalog(url, audit_key=KEY) as catalog:
        with catalog.write() as transaction:
            transaction.jobs.add(JOB)
        for steps in ({one: second, two: broken}, {one: broken, two: third}):
            with pytest.raises(CatalogError), catalog.write() as transaction:
                migrations.migrate(transaction._connection, "", current=two, steps=steps)
            assert names(catalog) == set(METADATA.tables)
        with catalog.write() as transaction:
            steps = {one: second, two: third}
            migrations.migrate(transaction._connection, "", current=two, steps=steps)
        with catalog.read() as transaction:
            connection = transaction._connection
            assert connection.execute(select(VERSION.c.version)).scalar_one() == two
            assert connection.execute(text("SELECT id FROM cdds_second")).scalars().all() == [3]
            assert transaction.jobs.find(JOB.id) == JOB


FIRST_VERSION = Path(__file__).with_name("catalog_version_1.sql").read_text()
FIRST_SETTINGS = (
    '{"title": "x", "source": "s", "dataset": "Interaction", "description": "", '
    '"media_types": null, "recurrence": {"kind": "hourly", "every": 4, "start": null}, '
    '"timeframe": null, "split_size": null, "on_invalid": "fail", "max_rejects": 1000, '
    '"level": "fast", "recipients": []}'
)


def make_first_version(url: str) -> None:
    """Make a catalog of schema version 1, with a job whose run is in progress."""
    is_sqlite = url.startswith("sqlite")
    script = FIRST_VERSION
    if is_sqlite:
        script = script.replace(' COLLATE "C"', "").replace("TIMESTAMP WITH TIME ZONE", "DATETIME")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    moment = NOW.replace(tzinfo=None) if is_sqlite else NOW
    both = {
        "tenant": "t",
        "owner": "o",
        "title_key": "x",
        "source": "s",
        "dataset": "Interaction",
        "settings": FIRST_SETTINGS,
        "started": True,
    }
    job = {"id": JOB.id, "created": moment, "suspended": False, "next_start": moment}
    job |= {"latest_start": moment, "latest_status": "in progress", "latest_run": RUN_ID}
    run = {"id": RUN_ID, "job_id": JOB.id, "status": "in progress", "lease_until": moment}
    run |= {"started": moment, "cancel_requested": False, "removed": False, "fingerprints": "[]"}
    run |= {"records": 0, "bytes_read": 0, "bytes_written": 0, "parts": 0}
    run |= {"counts": '{"records":{},"rejects":0,"undated":0,"unmatched":0,"warnings":[]}'}
    with engine.begin() as connection:
        for statement in script.splitlines()[1:]:
            connection.exec_driver_sql(statement)
        tables = MetaData()
        tables.reflect(connection)
        for name, values in (
            ("cdds_version", {"version": 1, "key_check": check_value(KEY)}),
            ("cdds_jobs", both | job),
            ("cdds_runs", both | run),
        ):
            connection.execute(tables.tables[name].insert().values(values))
    engine.dispose()


def shape(catalog: Catalog) -> Any:
    """Return what the tables of a catalog are made of, in no order."""
    with catalog.read() as transaction:
        inspector = inspect(transaction._connection)
        return {
            name: (
                {
                    column["name"]: (str(column["type"]), column["nullable"], column["default"])
                    for column in inspector.get_columns(name)
                },
                {
                    index["name"]: (index["column_names"], index["unique"], _where(index))
                    for index in inspector.get_indexes(name)
                },
                inspector.get_pk_constraint(name)["constrained_columns"],
            )
            for name in inspector.get_table_names()
        }


def _where(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where")))


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_a_catalog_of_the_first_version_becomes_what_a_new_one_is(
    new_catalog_url: NewCatalogUrl, kind: str
) -> None:
    with new_catalog_url(kind) as old_url, new_catalog_url(kind) as new_url:
        make_first_version(old_url)
        with Catalog(old_url, audit_key=KEY) as old, Catalog(new_url, audit_key=KEY) as new:
            assert shape(old) == shape(new)
            with old.read() as transaction:
                job = transaction.jobs.find(JOB.id)
                run = transaction.runs.find(RUN_ID)
            assert job is not None
            assert run is not None
            assert (job.running, job.is_running, job.retrying, job.watermark) == (
                1,
                True,
                None,
                None,
            )
            assert job.settings == attrs.evolve(JOB.settings, recurrence=Hourly(4))
            assert (run.attempt, run.window, run.missed) == (1, None, 0)
            assert run.settings == job.settings


def test_every_version_up_to_the_present_one_has_its_step() -> None:
    assert sorted(migrations.STEPS) == list(range(2, migrations.CURRENT + 1))


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_many_processes_may_open_an_empty_database_at_once(
    new_catalog_url: NewCatalogUrl, kind: str
) -> None:
    code = "import sys, cdds; cdds.Catalog(sys.argv[1], audit_key=b'k' * 32).close()"
    with new_catalog_url(kind) as url:
        children = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
        assert [child.wait(60) for child in children] == [0, 0, 0, 0]
        with Catalog(url, audit_key=KEY) as catalog, catalog.read() as transaction:
            assert transaction._connection.execute(select(VERSION.c.version)).scalars().all() == [
                migrations.CURRENT
            ]


def test_a_catalog_is_shared_by_threads(catalog_url: str) -> None:
    with Catalog(catalog_url, audit_key=KEY) as catalog:
        failures: list[BaseException] = []

        def append() -> None:
            try:
                for number in range(10):
                    with catalog.write() as transaction:
                        transaction.audit.append("t", "x", "job", str(number), at=NOW)
            except BaseException as error:  # noqa: BLE001  # told by the test below
                failures.append(error)

        threads = [threading.Thread(target=append) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        with catalog.read() as transaction:
            assert transaction.audit.verify("t").number == 80


def test_an_interrupt_is_not_taken_for_an_error_of_the_database(
    new_catalog_url: NewCatalogUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(cursor: psycopg.Cursor[Any], *_: object, **__: object) -> None:
        cursor.connection.pgconn.send_query(b"SELECT 1")  # whose answer is never read
        raise KeyboardInterrupt

    with new_catalog_url("postgresql") as url, Catalog(url, audit_key=KEY) as catalog:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(psycopg.Cursor, "execute", execute)
            with catalog.read():  # the driver cannot put its connection in order any more
                pass
        assert names(catalog) == set(METADATA.tables)


def test_an_error_of_the_database_after_an_interrupt_is_told_as_such(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", audit_key=KEY) as catalog:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            with pytest.raises(CatalogError, match="no such table"), catalog.read() as transaction:
                transaction._connection.execute(text("SELECT * FROM absent"))


def test_a_locked_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with Catalog(path, audit_key=KEY, timeout=0.05) as catalog:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogError, match="database is locked"), catalog.write():
            pass
        with catalog.read() as transaction:
            assert transaction.jobs.find(JOB.id) is None
        other.execute("ROLLBACK")
        other.close()
        with catalog.write() as transaction:
            transaction.jobs.add(JOB)


def test_a_read_only_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with Catalog(path, audit_key=KEY) as catalog, catalog.write() as transaction:
        transaction.jobs.add(JOB)
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with Catalog(url, audit_key=KEY) as catalog:
        with pytest.raises(CatalogError, match="readonly"), catalog.write() as transaction:
            transaction.jobs.delete(JOB.id)
        with catalog.read() as transaction:
            assert transaction.jobs.find(JOB.id) == JOB


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, though long enough to be looked at as one\n" * 100)
    before = path.read_bytes()
    with pytest.raises(CatalogError, match=r"notes\.txt"):
        Catalog(path, audit_key=KEY)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "path or a URL"),
        ("mysql://host/db", "not in 'mysql'"),
        ("nonsense://", "not in 'nonsense'"),
        ("postgresql://user:secret@/nowhere?host=/nonexistent", "postgresql"),
        ("/nonexistent/folder/catalog.db", "unable to open"),
        ("a\0b", "path or a URL"),
    ],
)
def test_what_cannot_be_opened_is_a_clear_error(location: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason) as caught:
        Catalog(location, audit_key=KEY, timeout=1)
    assert "secret" not in str(caught.value)


def test_a_server_that_went_away_is_a_clear_error(new_catalog_url: NewCatalogUrl) -> None:
    with new_catalog_url("postgresql") as url, Catalog(url, audit_key=KEY) as catalog:
        with pytest.raises(CatalogError), catalog.write() as transaction:
            transaction.jobs.add(JOB)
            pid = transaction._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with Catalog(url, audit_key=KEY) as other, other.write() as killer:
                killer._connection.execute(text(f"SELECT pg_terminate_backend({pid})"))
            transaction.jobs.find(JOB.id)
        with catalog.read() as transaction:  # the pool makes a new connection
            assert transaction.jobs.find(JOB.id) is None


@pytest.mark.parametrize("key", [b"", b"k" * 15, "k" * 32, None])
def test_a_weak_audit_key_is_refused(key: bytes) -> None:
    with pytest.raises(CatalogError, match="16 bytes"):
        Catalog("sqlite://", audit_key=key)


def test_errors_hold_no_value_of_a_row(catalog_url: str) -> None:
    with Catalog(catalog_url, audit_key=KEY) as catalog:
        secret = attrs.evolve(JOB, settings=attrs.evolve(JOB.settings, title="needle"))
        with pytest.raises(CatalogError) as caught, catalog.write() as transaction:
            transaction.jobs.add(secret)
            transaction.jobs.add(secret)
        assert "needle" not in str(caught.value)
        assert JOB.id not in str(caught.value)


def test_importing_cdds_loads_no_database() -> None:
    code = "import sys, cdds; cdds.Job, cdds.Exporter; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_is_gone_or_replaced_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with Catalog(path, audit_key=KEY) as catalog:
        path.rename(tmp_path / "moved.db")
        with pytest.raises(CatalogError, match="not there any more"), catalog.write():
            pass
        Catalog(path, audit_key=KEY).close()
        with pytest.raises(CatalogError, match="was replaced"), catalog.write():
            pass


def test_the_options_of_a_url_are_kept_and_not_shown(new_catalog_url: NewCatalogUrl) -> None:
    with new_catalog_url("postgresql") as url:
        with Catalog(url, audit_key=KEY) as catalog, catalog.write() as transaction:
            transaction._connection.execute(text("CREATE SCHEMA mine"))
        own = f"{url}&options=-csearch_path%3Dmine&password=secret"
        with Catalog(own, audit_key=b"x" * 32) as catalog:
            with catalog.read() as transaction:
                tables = inspect(transaction._connection).get_table_names(schema="mine")
            assert "cdds_jobs" in tables
            assert "secret" not in repr(catalog)
            with pytest.raises(CatalogError) as caught, catalog.write() as transaction:
                transaction._connection.execute(text("SELECT nothing FROM nowhere"))
            assert "secret" not in str(caught.value)


def test_a_process_that_was_stopped_in_a_transaction_does_not_keep_its_locks(
    new_catalog_url: NewCatalogUrl,
) -> None:
    shown = text("SHOW idle_in_transaction_session_timeout")
    with (
        new_catalog_url("postgresql") as url,
        Catalog(url, audit_key=KEY) as catalog,
        catalog.read() as transaction,
    ):
        assert transaction._connection.execute(shown).scalar_one() == "1min"
