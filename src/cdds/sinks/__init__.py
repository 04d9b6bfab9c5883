"""Where artifacts go: local folders, and whatever fsspec reaches that can defer a commit.

Place: at the end of the pipeline. A sink stages, commits and aborts, and gives back, lists and
removes what it holds; it never overwrites, and knows nothing of what it stores.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cdds.errors import SinkError
from cdds.location import is_usable, local_path
from cdds.protocols import Sink
from cdds.sinks.local import LocalSink

if TYPE_CHECKING:
    from cdds.sinks.filesystem import FileSystemSink

__all__ = ["FileSystemSink", "LocalSink", "open_sink"]


def __getattr__(name: str) -> Any:
    if name != "FileSystemSink":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cdds.sinks.filesystem import FileSystemSink  # loads fsspec, not needed for local folders

    return FileSystemSink


def open_sink(target: str | os.PathLike[str] | Sink) -> Sink:
    """Return the sink for a path, any fsspec URL, or the sink itself.

    Raises:
        SinkError: no such file system is known, or it cannot hold a commit back.
    """
    if not isinstance(target, (str, os.PathLike)):
        return target
    location = os.fspath(target)
    if location in {"", "file:", "local:", "file://", "local://"}:
        raise SinkError("the target is empty; give a folder or a URL")
    if not is_usable(location):
        raise SinkError("the target is no path or URL: it is too long, or holds what no name has")
    path = local_path(location)
    if path is not None:
        return LocalSink(path)
    from cdds.sinks.filesystem import FileSystemSink  # as above

    return FileSystemSink(location)
