"""Puts the errors of storages into words, the same for all sinks.

Place: the ground of the sinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdds.errors import ArtifactExists, CddsError, SinkError
from cdds.location import shown


def exists(path: str) -> ArtifactExists:
    """Return the error for a name that is taken."""
    return ArtifactExists(f"{path} exists already; nothing is overwritten")


@contextmanager
def reporting(where: str | Path) -> Iterator[None]:
    """Turn any error of a storage into a `SinkError`: each library has errors of its own."""
    try:
        yield
    except CddsError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SinkError(f"cannot write to {where}: {shown(reason)}") from error
