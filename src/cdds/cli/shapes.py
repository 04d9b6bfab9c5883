"""The things of a service as JSON: stable names, moments with Z, numbers as numbers.

Place: below the commands of the pages. The names are those of the library's values, so a new
setting of jobs is told without a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from cdds import schedule
from cdds.catalog import JobSettings, RunProgress
from cdds.model import Timeframe

if TYPE_CHECKING:
    from cdds.catalog import ArtifactEntry, CertificateEntry, JobEntry, RunEntry

Told = dict[str, Any]


def of_job(job: JobEntry) -> Told:
    """Return a job."""
    return {"id": job.id, **_headed(job.settings), **_rest(job)}


def of_run(run: RunEntry) -> Told:
    """Return a run."""
    return {"id": run.id, **_headed(run.settings), **_rest(run)}


def of_artifact(artifact: ArtifactEntry, days_remaining: int) -> Told:
    """Return an artifact."""
    return {**_fields(artifact), "days_remaining": days_remaining}


def of_certificate(certificate: CertificateEntry | None) -> Told | None:
    """Return the certificate of a user, if there is one."""
    return None if certificate is None else _fields(certificate)


def _headed(settings: JobSettings) -> Told:
    names = ("title", "source", "dataset")
    return {name: getattr(settings, name) for name in names}


def _rest(entry: JobEntry | RunEntry) -> Told:
    return {name: value for name, value in _fields(entry).items() if name != "id"}


def _fields(value: Any) -> Told:
    return {name: plain(inner) for name, inner in attrs.asdict(value, recurse=False).items()}


def plain(value: Any) -> Any:
    """Return a value of the library as JSON has it."""
    for kind, shape in _SHAPES.items():
        if isinstance(value, kind):
            return shape(value)
    return _fields(value) if attrs.has(type(value)) else value


def moment(value: datetime) -> str:
    """Return a moment in ISO 8601, in UTC."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _recurrence(recurrence: schedule.Recurrence) -> Told:
    """Return a recurrence as the catalog keeps it, and in a sentence."""
    kept = {
        name: value.replace("+00:00", "Z") if isinstance(value, str) else value
        for name, value in schedule.to_json(recurrence).items()
    }
    return {**kept, "text": str(recurrence)}


def _progress(progress: RunProgress) -> Told:
    remaining = plain(progress.time_remaining)
    return {**_fields(progress), "fraction": progress.fraction, "seconds_remaining": remaining}


def _settings(settings: JobSettings) -> Told:
    return {**_fields(settings), "recurrence": _recurrence(settings.recurrence)}


_SHAPES: dict[Any, Callable[[Any], Any]] = {
    datetime: moment,
    timedelta: timedelta.total_seconds,
    Timeframe: lambda span: {"from": plain(span.start), "until": plain(span.end)},
    RunProgress: _progress,
    JobSettings: _settings,
    Mapping: lambda mapping: {name: plain(value) for name, value in mapping.items()},
    frozenset: sorted,
    (tuple, list): lambda values: [plain(value) for value in values],
}
