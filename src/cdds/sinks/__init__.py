"""Where artifacts go: local folders, and whatever fsspec reaches that can defer a commit.

Place: at the end of the pipeline. A sink stages, commits and aborts, and gives back, lists and
removes what it holds; it never overwrites, and knows nothing of what it stores.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from cdds.errors import JobError, SinkError
from cdds.location import is_usable, local_path
from cdds.protocols import Sink
from cdds.sinks.local import LocalSink

if TYPE_CHECKING:
    from cdds.sinks.filesystem import FileSystemSink

__all__ = ["FileSystemSink", "LocalSink", "open_sink"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.+_-]*")  # RFC 3986, section 3.1, and what fsspec adds


def __getattr__(name: str) -> Any:
    if name != "FileSystemSink":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cdds.sinks.filesystem import FileSystemSink  # loads fsspec, not needed for local folders

    return FileSystemSink


def open_sink(target: str | os.PathLike[str] | Sink, **options: Any) -> Sink:
    """Return the sink for a path, a plugin's URL, any fsspec URL, or the sink itself.

    A plugin is asked first for what begins with its name, as `cdds.sources.open_source` has it.

    Args:
        target: a folder, a URL, or a sink.
        options: for a URL alone; passed to the plugin, or to `FileSystemSink`.

    Raises:
        JobError: the target takes no such options.
        SinkError: there is neither a plugin nor a file system of that name (the message lists
            those that there are), or it cannot hold a commit back.
        PluginError: the plugin is broken, or several distributions offer one of that name.
    """
    if not isinstance(target, (str, os.PathLike)):
        _refuse(options)
        return target
    location = os.fspath(target)
    if location in {"", "file:", "local:", "file://", "local://"}:
        raise SinkError("the target is empty; give a folder or a URL")
    if not is_usable(location):
        raise SinkError("the target is no path or URL: it is too long, or holds what no name has")
    path = local_path(location)
    if path is not None:
        _refuse(options)
        return LocalSink(path)
    plugged = _plugged(location, options)
    return _of_file_system(location, options) if plugged is None else plugged


def _refuse(options: dict[str, Any]) -> None:
    if options:
        raise JobError("only the URL of a sink takes options, a folder and a sink take none")


def _plugged(url: str, options: dict[str, Any]) -> Sink | None:
    from cdds import plugins  # looks at what is installed, which folders need not

    found = plugins.addressed(url)
    plugin = found and plugins.find("sink", found[0])
    if not found or not plugin:
        return None
    sink: Sink = plugin.open(found[1], options)
    return sink


def _of_file_system(url: str, options: dict[str, Any]) -> Sink:
    from cdds.sinks.filesystem import FileSystemSink, protocols  # as above

    known = protocols()
    name = url.partition("://")[0]
    if _NAME.fullmatch(name) and name not in known:
        from cdds import plugins  # as above

        raise SinkError(
            f"there is no sink {name}; known are {', '.join(plugins.names('sink') + known)}"
        )
    return FileSystemSink(url, **options)
