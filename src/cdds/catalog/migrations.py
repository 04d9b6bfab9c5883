"""Brings a database to the schema that this version knows.

Place: above the tables, asked when a catalog is opened. An empty database gets the present tables;
an older one goes through the steps between; a newer one is refused and left alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TypeAlias

from sqlalchemy import Connection, inspect, select, text

from cdds.catalog.tables import METADATA, VERSION
from cdds.errors import CatalogError, CatalogVersionError

Step: TypeAlias = Callable[[Connection], None]

_SECOND = """
ALTER TABLE cdds_jobs ADD COLUMN running INTEGER DEFAULT 0 NOT NULL
ALTER TABLE cdds_jobs ADD COLUMN max_instances INTEGER DEFAULT 1 NOT NULL
ALTER TABLE cdds_jobs ADD COLUMN dealt_with {moment}
ALTER TABLE cdds_jobs ADD COLUMN retries TEXT DEFAULT '[]' NOT NULL
ALTER TABLE cdds_jobs ADD COLUMN watermark {moment}
UPDATE cdds_jobs SET running = (SELECT count(*) FROM cdds_runs WHERE cdds_runs.job_id = cdds_jobs.id AND cdds_runs.status = 'in progress')
UPDATE cdds_jobs SET dealt_with = (SELECT max(due) FROM cdds_runs WHERE cdds_runs.job_id = cdds_jobs.id)
ALTER TABLE cdds_runs ADD COLUMN attempt INTEGER DEFAULT 1 NOT NULL
ALTER TABLE cdds_runs ADD COLUMN failures INTEGER DEFAULT 0 NOT NULL
ALTER TABLE cdds_runs ADD COLUMN slot INTEGER DEFAULT 0 NOT NULL
ALTER TABLE cdds_runs ADD COLUMN window_start {moment}
ALTER TABLE cdds_runs ADD COLUMN window_end {moment}
ALTER TABLE cdds_runs ADD COLUMN missed INTEGER DEFAULT 0 NOT NULL
ALTER TABLE cdds_runs ADD COLUMN missed_from {moment}
DROP INDEX cdds_runs_in_progress
CREATE UNIQUE INDEX cdds_runs_in_progress ON cdds_runs (job_id, slot) WHERE status = 'in progress'
DROP INDEX cdds_runs_due
CREATE UNIQUE INDEX cdds_runs_due ON cdds_runs (job_id, due, attempt)
CREATE UNIQUE INDEX cdds_runs_dealt_with ON cdds_runs (job_id, due) WHERE status IN ('in progress', 'finished', 'missed')
CREATE TABLE cdds_chores (name {key} NOT NULL, next_start {moment} NOT NULL, holder TEXT, lease_until {moment}, PRIMARY KEY (name))
"""  # noqa: E501  # one statement a line
"""What a scheduler needs beside what a service had."""


def _second(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    types = {
        "moment": "DATETIME" if is_sqlite else "TIMESTAMP WITH TIME ZONE",
        "key": "TEXT" if is_sqlite else 'TEXT COLLATE "C"',
    }
    for statement in _SECOND.strip().splitlines():
        connection.exec_driver_sql(statement.format_map(types))


CURRENT = 2
STEPS: Mapping[int, Step] = {2: _second}
"""For each version, what brings a database from the one before to it."""

_LOCK = 0x63646473  # "cdds", the number of the advisory lock


def migrate(
    connection: Connection,
    key_check: str,
    *,
    current: int = CURRENT,
    steps: Mapping[int, Step] = STEPS,
) -> None:
    """Bring the database to the `current` schema, within the caller's transaction.

    An empty one is told by `key_check` which audit key it has.

    Raises:
        CatalogVersionError: it was made by a newer version of this library.
    """
    if connection.dialect.name == "postgresql":  # others may open the same database now
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = _version(connection)
    if found is None:
        METADATA.create_all(connection)
        connection.execute(VERSION.insert().values(version=current, key_check=key_check))
        return
    check(found, current)
    for version in range(found + 1, current + 1):
        steps[version](connection)
    if found != current:
        connection.execute(VERSION.update().values(version=current))


def check(found: int, current: int = CURRENT) -> None:
    """Refuse a schema version that this library does not know yet.

    Raises:
        CatalogVersionError: it is newer.
    """
    if found > current:
        raise CatalogVersionError(
            f"the catalog has schema version {found}, and this library knows {current}; "
            "upgrade cdds-sdk"
        )


def check_key(connection: Connection, key_check: str) -> None:
    """Refuse an audit key that the database was not made with.

    Raises:
        CatalogError: it is another one.
    """
    known = connection.execute(select(VERSION.c.key_check)).scalar_one()
    if not hmac.compare_digest(known.encode(), key_check.encode()):
        raise CatalogError("the audit key is not the one that this catalog was made with")


def is_current(connection: Connection) -> bool:
    """Tell whether nothing needs to be done, without taking a lock that writes.

    Raises:
        CatalogVersionError: the database is newer.
    """
    found = _version(connection)
    if found is not None:
        check(found)
    return found == CURRENT


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.execute(select(VERSION.c.version)).scalar_one_or_none()
