"""What all sinks share to give back what they hold: plain names, ranges and chunks.

Place: the ground of the sinks, beside the errors. It refuses every name that could lead out of
the folder of a sink, or to what a sink hides there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cdds.errors import ArtifactMissing, JobError, SinkError
from cdds.sinks.reporting import reporting

CHUNK_SIZE = 1024 * 1024
"""The most bytes of one chunk."""


def is_plain(name: str) -> bool:
    """Tell whether a text is the plain name of an artifact."""
    # The dot: "." and "..", and the hidden names, among which are those of staged files.
    return bool(name) and not name.startswith(".") and not any(c in name for c in "/\\\0")


def check_name(name: str) -> None:
    """Refuse what is not the plain name of an artifact.

    Raises:
        SinkError: it is none.
    """
    if not is_plain(name):
        raise SinkError(
            f"{name!a} is no name of an artifact: it is empty, begins with a dot, or holds a "
            "separator of folders or a NUL"
        )


def check_range(start: int, end: int | None) -> None:
    """Refuse a range that is counted from the end, as slices of Python may be.

    Raises:
        JobError: it is.
    """
    if start < 0 or (end is not None and end < 0):
        raise JobError(f"a range from {start} to {end} is none; both count from the first byte")


def chunks(opened: Callable[[], Any], where: str, start: int, end: int | None) -> Iterator[bytes]:
    """Yield the bytes `start` <= i < `end` of a file, at most 1 MiB at a time.

    Args:
        opened: opens the file; called when the first chunk is asked for. It is closed here.
        where: what it is called in messages.
        start: the first byte.
        end: the first byte that is not wanted, None for all.

    Raises:
        ArtifactMissing: there is no such file.
        SinkError: it cannot be read.
    """
    with _open(opened, where) as file:
        with reporting(where, "read"):
            file.seek(start)
        while end is None or start < end:
            with reporting(where, "read"):
                chunk = file.read(CHUNK_SIZE if end is None else min(CHUNK_SIZE, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk


def _open(opened: Callable[[], Any], where: str) -> Any:
    with reporting(where, "read"):
        try:
            return opened()
        except (FileNotFoundError, NotADirectoryError):
            raise ArtifactMissing(f"there is no {where}; it was removed, or never made") from None
