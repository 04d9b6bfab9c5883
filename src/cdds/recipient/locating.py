"""Finds the folder of a file that is named by a path or a URL.

Place: between what a recipient names and the storage that it lies in. Nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdds.errors import JobError
from cdds.location import is_usable, local_path
from cdds.recipient.local_files import LocalFolder
from cdds.recipient.storage import Folder


def located(location: str, options: Mapping[str, Any]) -> tuple[Folder, str]:
    """Return the folder of a file, and its name; nothing is read.

    Raises:
        JobError: the text is no path or URL.
        ExportError: the URL's file system is unknown, or cannot be reached.
        MissingDependency: the package for it is not installed.
    """
    if not location or not is_usable(location):
        raise JobError(
            "the location is no path or URL: it is empty, too long, or holds what no name has"
        )
    path = local_path(location)
    if path is not None:
        path = path.absolute()
        return LocalFolder(str(path.parent)), path.name
    from cdds.recipient.remote_files import located_remotely  # only for URLs

    return located_remotely(location, options)
