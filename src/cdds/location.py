"""Tells local paths from URLs and what of them may be shown, the same for all rooms.

Place: at the ground. It looks at the text alone and opens nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_LOCAL_SCHEMES = frozenset({"file", "local"})
_USER = re.compile(r"(\w://)[^/\s]*@")
_QUERY = re.compile(r"(\w://[^\s?]*)\?\S*")


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


def shown(text: str) -> str:
    """Return a location, or a message that holds some, as it may be shown to anybody.

    What may be secret in a URL is left out: what stands before the host, and the query. What
    cannot be printed is escaped.

    >>> shown("https://user:password@host/path?token=secret")
    'https://host/path'
    """
    text = _QUERY.sub(r"\1", _USER.sub(r"\1", text))
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
