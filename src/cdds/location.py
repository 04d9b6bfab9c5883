"""Tells local paths from URLs and what of them may be shown, the same for all rooms.

Place: at the ground. It looks at the text alone and opens nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LONGEST = 4096
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


def shown(location: str) -> str:
    """Return a location as it may be shown to anybody.

    What may be secret in a URL is left out: user and password before the host, and the query.
    What cannot be printed is escaped.

    >>> shown("https://user:password@host/path?token=secret")
    'https://host/path'
    """
    if local_path(location) is None:
        scheme, _, rest = location.partition("://")
        rest = rest.partition("?")[0]
        before, at, after = rest.rpartition("@")
        # A path may hold an @ too; a password may hold anything.
        is_user = at and (":" in before or "/" not in before)
        location = f"{scheme}://{after if is_user else rest}"
    return printable(location)


def printable(text: str) -> str:
    """Return a text with what cannot be printed escaped."""
    with suppress(UnicodeEncodeError):  # half a surrogate pair, which is escaped below
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def is_usable(location: str | bytes) -> bool:
    """Tell whether a text can be a path or a URL at all."""
    if not isinstance(location, str) or len(location) > _LONGEST:
        return False
    try:
        return b"\0" not in os.fsencode(location)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
