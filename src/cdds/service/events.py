"""What a host is told of, after it has been committed.

Place: values, handed to the listeners of a service.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

import attrs

from cdds.catalog import ArtifactEntry, CertificateEntry, RunEntry
from cdds.model import Progress


@attrs.frozen(kw_only=True)
class RunStarted:
    """A run has begun."""

    at: datetime
    run: RunEntry


@attrs.frozen(kw_only=True)
class RunProgressed:
    """A run has come further; told at most twice a second."""

    at: datetime
    run: RunEntry
    progress: Progress


@attrs.frozen(kw_only=True)
class RunFinished:
    """A run has finished, and its artifacts can be downloaded."""

    at: datetime
    run: RunEntry


@attrs.frozen(kw_only=True)
class RunFailed:
    """A run has failed; `run.error` says why."""

    at: datetime
    run: RunEntry


@attrs.frozen(kw_only=True)
class RunCancelled:
    """A run was stopped on request."""

    at: datetime
    run: RunEntry


@attrs.frozen(kw_only=True)
class RunMissed:
    """Starts of a job were missed; `run.error` says why, and `run.missed` how many."""

    at: datetime
    run: RunEntry


@attrs.frozen(kw_only=True)
class ArtifactStored:
    """An artifact can be downloaded."""

    at: datetime
    artifact: ArtifactEntry


@attrs.frozen(kw_only=True)
class ArtifactDownloaded:
    """The last byte of an artifact was given out to a user."""

    at: datetime
    artifact: ArtifactEntry
    user: str


@attrs.frozen(kw_only=True)
class ArtifactExpiring:
    """An artifact will soon be gone; told once."""

    at: datetime
    artifact: ArtifactEntry


@attrs.frozen(kw_only=True)
class ArtifactRemoved:
    """An artifact is gone from the storage."""

    at: datetime
    artifact: ArtifactEntry


@attrs.frozen(kw_only=True)
class CertificateExpiring:
    """A user's certificate will soon expire, and no export will be possible; told once."""

    at: datetime
    certificate: CertificateEntry


Event: TypeAlias = (
    RunStarted
    | RunProgressed
    | RunFinished
    | RunFailed
    | RunCancelled
    | RunMissed
    | ArtifactStored
    | ArtifactDownloaded
    | ArtifactExpiring
    | ArtifactRemoved
    | CertificateExpiring
)

Listener: TypeAlias = Callable[[Event], object]
"""Called after the commit, on the thread that did the work; what it raises is logged, no more."""
