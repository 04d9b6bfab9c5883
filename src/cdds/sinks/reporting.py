"""Puts the errors of storages into words, the same for all sinks.

Place: the ground of the sinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdds.errors import ArtifactExists, CddsError, SinkError
from cdds.location import printable


def exists(path: str) -> ArtifactExists:
    """Return the error for a name that is taken."""
    return ArtifactExists(f"{path} exists already; nothing is overwritten")


def in_words(error: Exception) -> str:
    """Return what a storage's error says, unless it quotes a URL, which may hold a password."""
    text = getattr(error, "strerror", None) or str(error)
    is_safe = text and "://" not in text and "@" not in text
    return printable(text) if is_safe else type(error).__name__


@contextmanager
def reporting(where: str | Path, doing: str = "write to") -> Iterator[None]:
    """Turn any error of a storage into a `SinkError`: each library has errors of its own.

    `doing` is what cannot be done then, in words before `where`.
    """
    try:
        yield
    except CddsError:
        raise
    except Exception as error:
        raise SinkError(f"cannot {doing} {where}: {in_words(error)}") from error
