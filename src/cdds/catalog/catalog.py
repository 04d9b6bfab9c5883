"""The catalog: one database, and transactions on it.

Place: the door to the room. Whatever belongs together is done in one transaction, which the service
opens; nothing else keeps state.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.pool import StaticPool

from cdds.catalog import migrations
from cdds.catalog.artifacts import Artifacts
from cdds.catalog.audit import MIN_KEY_SIZE, Audit, check_value
from cdds.catalog.chores import Chores
from cdds.catalog.engine import WRITES, database_time, open_engine, reporting, shown
from cdds.catalog.jobs import Jobs
from cdds.catalog.preferences import Preferences
from cdds.catalog.runs import Runs
from cdds.clock import checked_clock
from cdds.errors import CatalogError
from cdds.protocols import Clock


class Transaction:
    """What can be read and written within one transaction, table by table.

    Attributes:
        jobs: what shall run.
        runs: what has run, or is in progress.
        artifacts: what can be downloaded.
        preferences: the certificates of users.
        audit: who did what.
        chores: when the host's own work is due, and who does it.
    """

    def __init__(self, connection: Connection, audit_key: bytes, clock: Clock | None) -> None:
        self._connection = connection
        self._clock = clock
        self.jobs = Jobs(connection)
        self.runs = Runs(connection)
        self.artifacts = Artifacts(connection)
        self.preferences = Preferences(connection)
        self.audit = Audit(connection, audit_key)
        self.chores = Chores(connection)

    def now(self) -> datetime:
        """Return the time that all who share the catalog agree on: the database's, in UTC.

        Leases are reckoned by it, and what is due is due by it, whatever the clocks of the hosts.
        """
        return self._clock.now() if self._clock else database_time(self._connection)


class Catalog:
    """Jobs, runs, artifacts, preferences and audit in a database; what is committed is kept.

    It may be shared between threads, and any number of processes may open the same database. After
    a fork, a child process opens a catalog of its own.

    Args:
        location: a file for SQLite, or a URL: ``sqlite:///file.db``, ``sqlite://`` (in memory),
            ``postgresql://user@host/database``. The tables are made, or brought up to date.
        audit_key: at least 16 random bytes, kept outside the database; they prove the audit trail,
            and a database knows the key again that it was made with.
        password: the user's in PostgreSQL, so that it need not stand in the URL.
        timeout: the most seconds to wait for a database that others hold locked.
        clock: the time of leases and starts, for simulations; the database's own when left out.

    Raises:
        CatalogError: the database cannot be opened, or the key is too short or not its own.
        JobError: the clock tells no time.
        CatalogVersionError: it was made by a newer version of this library.
        MissingDependency: the driver has to be installed.

    >>> catalog = Catalog("cdds.db", audit_key=secret)
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        audit_key: bytes,
        password: str | None = None,
        timeout: float = 30,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(audit_key, bytes) or len(audit_key) < MIN_KEY_SIZE:
            raise CatalogError(f"the audit key must be {MIN_KEY_SIZE} bytes or more")
        self._audit_key = audit_key
        self._clock = None if clock is None else checked_clock(clock)
        self._engine = open_engine(location, timeout, password)
        # In memory there is one connection, which serves one transaction at a time.
        shared = isinstance(self._engine.pool, StaticPool)
        self._turn: AbstractContextManager[object] = threading.Lock() if shared else nullcontext()
        try:
            self._migrate()
        except UnicodeError:  # a host's name that is none, for instance
            self.close()
            raise CatalogError("the URL of the catalog holds a name that cannot be used") from None
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"Catalog({shown(self._engine)!r})"

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that only reads.

        Raises:
            CatalogError: the database cannot be reached or read.
        """
        with self._begin(writes=False) as connection:
            yield Transaction(connection, self._audit_key, self._clock)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a transaction that is committed at its end, and undone when it ends by an error.

        Raises:
            CatalogError: the database cannot be reached, written or committed.
        """
        with self._begin(writes=True) as connection:
            yield Transaction(connection, self._audit_key, self._clock)

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        with self._turn, reporting(self._engine), self._engine.connect() as connection:
            connection.execution_options(**{WRITES: writes})
            with connection.begin():
                yield connection

    def _migrate(self) -> None:
        key_check = check_value(self._audit_key)
        with self._begin(writes=False) as connection:
            is_current = migrations.is_current(connection)
        if not is_current:
            with self._begin(writes=True) as connection:
                migrations.migrate(connection, key_check)
        with self._begin(writes=False) as connection:
            migrations.check_key(connection, key_check)
