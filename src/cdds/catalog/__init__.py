"""Jobs, runs, artifacts, preferences and the audit trail, in SQL: SQLite or PostgreSQL.

Place: beside sources and sinks, below the service. It keeps what it is given and answers in values;
it knows no rule of who may do what, opens no artifact and runs no export. It is loaded only where a
catalog is used, for SQLAlchemy takes a while.
"""

from cdds.catalog.artifacts import ArtifactEntry, ArtifactState
from cdds.catalog.audit import AuditEntry, AuditHead
from cdds.catalog.catalog import Catalog, Transaction
from cdds.catalog.jobs import JobEntry
from cdds.catalog.paging import Page
from cdds.catalog.preferences import CertificateEntry
from cdds.catalog.progress import RunProgress
from cdds.catalog.runs import RunEntry, RunStatus
from cdds.catalog.settings import JobSettings

__all__ = [
    "ArtifactEntry",
    "ArtifactState",
    "AuditEntry",
    "AuditHead",
    "Catalog",
    "CertificateEntry",
    "JobEntry",
    "JobSettings",
    "Page",
    "RunEntry",
    "RunProgress",
    "RunStatus",
    "Transaction",
]
