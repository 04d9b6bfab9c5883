"""The tables of the catalog and their indexes, at the present schema version.

Place: the ground of the catalog. All names begin with ``cdds_``, for the database may be one that
the host has other tables in. A row of `RUNS` or `ARTIFACTS` repeats what it needs of its job, which
may be gone before it.

Each page is read along an index, by keys: the columns that it is sorted by, and last one that is
unique. Every such index stands twice, for all of a tenant and for one of its users.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from cdds.catalog.columns import EARLIEST, LATEST, Json, Moment, sortable

METADATA = MetaData()

IN_PROGRESS = text("status = 'in progress'")
DEALT_WITH = text("status IN ('in progress', 'finished', 'missed')")
HIDDEN = text("removed")
REMOVING = text("state = 'removing'")
UNTOLD = text("NOT told")
EVERY = text("parts > 0")
"""Literal, as the partial indexes have them: SQLite does not match a parameter to an index.

`EVERY` is true of all artifacts. Whoever does not say it does not get the index over all tenants,
where a page of one tenant would have to pass by what is others'.
"""

VERSION = Table(
    "cdds_version",
    METADATA,
    Column("version", Integer, nullable=False),
    Column("key_check", Text, nullable=False),
)

JOBS = Table(
    "cdds_jobs",
    METADATA,
    Column("id", sortable(), primary_key=True),
    Column("tenant", sortable(), nullable=False),
    Column("owner", sortable(), nullable=False),
    Column("title_key", sortable(), nullable=False),
    Column("source", sortable(), nullable=False),
    Column("dataset", sortable(), nullable=False),
    Column("settings", Text, nullable=False),
    Column("created", Moment(), nullable=False),
    Column("edited", Moment()),
    Column("suspended", Boolean, nullable=False),
    Column("started", Boolean, nullable=False),
    Column("next_start", Moment(LATEST), nullable=False),
    Column("latest_start", Moment(EARLIEST), nullable=False),
    Column("latest_status", sortable(), nullable=False),
    Column("latest_run", sortable()),
    Column("running", Integer, nullable=False, server_default=text("0")),
    Column("max_instances", Integer, nullable=False, server_default=text("1")),
    Column("dealt_with", Moment()),
    Column("retries", Json, nullable=False, server_default=text("'[]'")),
    Column("watermark", Moment()),
)

RUNS = Table(
    "cdds_runs",
    METADATA,
    Column("id", sortable(), primary_key=True),
    Column("tenant", sortable(), nullable=False),
    Column("owner", sortable(), nullable=False),
    Column("job_id", sortable(), nullable=False),
    Column("title_key", sortable(), nullable=False),
    Column("source", sortable(), nullable=False),
    Column("dataset", sortable(), nullable=False),
    Column("settings", Text, nullable=False),
    Column("due", Moment()),
    Column("started", Moment(), nullable=False),
    Column("finished", Moment()),
    Column("status", sortable(), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("lease_until", Moment(), nullable=False),
    Column("progressed", Moment()),
    Column("records", BigInteger, nullable=False),
    Column("bytes_read", BigInteger, nullable=False),
    Column("bytes_total", BigInteger),
    Column("bytes_written", BigInteger, nullable=False),
    Column("error", Text),
    Column("fingerprints", Json, nullable=False),
    Column("counts", Json, nullable=False),
    Column("file_name", Text),
    Column("parts", Integer, nullable=False),
    Column("digests", Text),
    Column("signature", Text),
    Column("expires", Moment()),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("slot", Integer, nullable=False, server_default=text("0")),
    Column("window_start", Moment()),
    Column("window_end", Moment()),
    Column("missed", Integer, nullable=False, server_default=text("0")),
    Column("missed_from", Moment()),
)

ARTIFACTS = Table(
    "cdds_artifacts",
    METADATA,
    Column("name", sortable(), primary_key=True),
    Column("tenant", sortable(), nullable=False),
    Column("owner", sortable(), nullable=False),
    Column("run_id", sortable(), nullable=False),
    Column("job_id", sortable(), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_key", sortable(), nullable=False),
    Column("dataset", sortable(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("created", Moment(), nullable=False),
    Column("expires", Moment(), nullable=False),
    Column("state", sortable(), nullable=False),
    Column("told", Boolean, nullable=False),
    Column("fingerprints", Json, nullable=False),
)

PREFERENCES = Table(
    "cdds_preferences",
    METADATA,
    Column("tenant", sortable(), nullable=False),
    Column("user", sortable(), nullable=False),
    Column("certificate", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("uploaded", Moment(), nullable=False),
    Column("expires", Moment(), nullable=False),
    Column("told", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "user"),
)

CHORES = Table(
    "cdds_chores",
    METADATA,
    Column("name", sortable(), primary_key=True),
    Column("next_start", Moment(), nullable=False),
    Column("holder", Text),
    Column("lease_until", Moment()),
)

AUDIT = Table(
    "cdds_audit",
    METADATA,
    Column("tenant", sortable(), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Moment(), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("mac", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "number"),
)

AUDIT_HEADS = Table(
    "cdds_audit_heads",
    METADATA,
    Column("tenant", sortable(), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
)


def _paged(table: Table, scopes: tuple[tuple[str, ...], ...], *sorts: tuple[str, ...]) -> None:
    for scope in scopes:
        for sort in sorts:
            columns = [table.c[name] for name in (*scope, *sort)]
            Index("_".join((table.name, *scope[-1:], *sort[:-1])), *columns)


_TENANT_AND_OWNER = (("tenant",), ("tenant", "owner"))

_paged(
    JOBS,
    _TENANT_AND_OWNER,
    ("title_key", "id"),
    ("created", "id"),
    ("next_start", "id"),
    ("latest_start", "id"),
    ("latest_status", "latest_start", "id"),
)
Index("cdds_jobs_due", JOBS.c.next_start, JOBS.c.id)

_paged(
    RUNS,
    (*_TENANT_AND_OWNER, ("job_id",)),
    ("started", "id"),
    ("status", "started", "id"),
)
_paged(RUNS, _TENANT_AND_OWNER, ("title_key", "id"))
Index("cdds_runs_finished", RUNS.c.finished)
Index("cdds_runs_hidden", RUNS.c.id, sqlite_where=HIDDEN, postgresql_where=HIDDEN)
# As many runs of a job at a time as it has slots.
Index(
    "cdds_runs_in_progress",
    RUNS.c.job_id,
    RUNS.c.slot,
    unique=True,
    sqlite_where=IN_PROGRESS,
    postgresql_where=IN_PROGRESS,
)
# Each instant that a job is due at is run to its end once, however often that has to be tried.
Index(
    "cdds_runs_dealt_with",
    RUNS.c.job_id,
    RUNS.c.due,
    unique=True,
    sqlite_where=DEALT_WITH,
    postgresql_where=DEALT_WITH,
)
Index("cdds_runs_due", RUNS.c.job_id, RUNS.c.due, RUNS.c.attempt, unique=True)

_paged(
    ARTIFACTS,
    _TENANT_AND_OWNER,
    ("expires", "name"),
    ("created", "name"),
    ("size", "name"),
    ("title_key", "name"),
    ("name",),
)
Index("cdds_artifacts_run", ARTIFACTS.c.run_id, ARTIFACTS.c.part)
Index("cdds_artifacts_job", ARTIFACTS.c.job_id, ARTIFACTS.c.created, ARTIFACTS.c.name)
Index(
    "cdds_artifacts_expires",
    ARTIFACTS.c.expires,
    ARTIFACTS.c.name,
    sqlite_where=EVERY,
    postgresql_where=EVERY,
)
Index(
    "cdds_artifacts_untold",
    ARTIFACTS.c.expires,
    ARTIFACTS.c.name,
    sqlite_where=UNTOLD,
    postgresql_where=UNTOLD,
)
Index(
    "cdds_artifacts_removing",
    ARTIFACTS.c.name,
    sqlite_where=REMOVING,
    postgresql_where=REMOVING,
)
