"""Give customers their own data: streamed, validated, zipped, split and sealed for their key.

`export` does the main job in one call. The public names are loaded when they are first used, so
that importing the package costs next to nothing.
"""

from typing import TYPE_CHECKING

from cdds.lazy import loaded_when_used

if TYPE_CHECKING:
    from cdds import (
        access,
        catalog,
        datasets,
        errors,
        plugins,
        protocols,
        recipient,
        schedule,
        service,
        sinks,
        sources,
        testing,
        transforms,
    )
    from cdds._version import __version__
    from cdds.access import Permission, Principal
    from cdds.api import estimate, export
    from cdds.archive import Packager
    from cdds.catalog import Catalog, JobSettings
    from cdds.crypto import Envelope, Signer
    from cdds.errors import CddsError
    from cdds.estimates import Estimate
    from cdds.exporter import Exporter
    from cdds.model import (
        Artifact,
        DataFile,
        Dataset,
        ExportResult,
        Job,
        Progress,
        Selection,
        Timeframe,
    )
    from cdds.recipient import Export, open_export
    from cdds.reject import Reject
    from cdds.schedule import Daily, Hourly, Monthly, Once, RRule, Weekly
    from cdds.scheduler import Scheduler
    from cdds.service import DownloadService

_HOMES = {
    "Artifact": "model",
    "Catalog": "catalog",
    "CddsError": "errors",
    "Daily": "schedule",
    "DataFile": "model",
    "Dataset": "model",
    "DownloadService": "service",
    "Envelope": "crypto",
    "Estimate": "estimates",
    "Export": "recipient",
    "ExportResult": "model",
    "Exporter": "exporter",
    "Hourly": "schedule",
    "Job": "model",
    "JobSettings": "catalog",
    "Monthly": "schedule",
    "Once": "schedule",
    "Packager": "archive",
    "Permission": "access",
    "Principal": "access",
    "Progress": "model",
    "RRule": "schedule",
    "Reject": "reject",
    "Scheduler": "scheduler",
    "Selection": "model",
    "Signer": "crypto",
    "Timeframe": "model",
    "Weekly": "schedule",
    "__version__": "_version",
    "access": "access",
    "catalog": "catalog",
    "datasets": "datasets",
    "errors": "errors",
    "estimate": "api",
    "export": "api",
    "open_export": "recipient",
    "plugins": "plugins",
    "protocols": "protocols",
    "recipient": "recipient",
    "schedule": "schedule",
    "service": "service",
    "sinks": "sinks",
    "sources": "sources",
    "testing": "testing",
    "transforms": "transforms",
}
"""For each public name, the module that has it, or is it."""

__all__ = [
    "Artifact",
    "Catalog",
    "CddsError",
    "Daily",
    "DataFile",
    "Dataset",
    "DownloadService",
    "Envelope",
    "Estimate",
    "Export",
    "ExportResult",
    "Exporter",
    "Hourly",
    "Job",
    "JobSettings",
    "Monthly",
    "Once",
    "Packager",
    "Permission",
    "Principal",
    "Progress",
    "RRule",
    "Reject",
    "Scheduler",
    "Selection",
    "Signer",
    "Timeframe",
    "Weekly",
    "__version__",
    "access",
    "catalog",
    "datasets",
    "errors",
    "estimate",
    "export",
    "open_export",
    "plugins",
    "protocols",
    "recipient",
    "schedule",
    "service",
    "sinks",
    "sources",
    "testing",
    "transforms",
]


__getattr__ = loaded_when_used(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
