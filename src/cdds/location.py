"""Tells local paths from URLs, the same for sources, sinks and certificates.

Place: at the ground. It looks at the text alone and opens nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

_LOCAL_SCHEMES = frozenset({"file", "local"})


def local_path(location: str) -> Path | None:
    """Return the path that a location means, or None where it is the URL of another file system.

    As fsspec has it: ``~`` is the home folder, and ``file:`` or ``local:``, with or without two
    slashes, may stand before a path.

    >>> local_path("file:///exports")
    PosixPath('/exports')
    """
    scheme, colon, rest = location.partition(":")
    if colon and scheme in _LOCAL_SCHEMES:
        location = rest.removeprefix("//")
    elif "://" in location:
        return None
    # Path.expanduser raises for the home of somebody who does not exist.
    return Path(os.path.expanduser(location))  # noqa: PTH111
