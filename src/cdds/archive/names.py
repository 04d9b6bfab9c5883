"""Which names of entries are taken: relative paths that mean the same file everywhere.

Place: the ground of the reading side. Names come from strangers: one that could leave the target
folder, reach a device or stand for two files is refused, and never changed into another.
"""

from __future__ import annotations

import re
import unicodedata

from cdds.archive.faults import unsafe

_MAX_PART = 255  # bytes that a file system takes for one step of a path

# Control characters, half surrogates, ends of lines, and what turns the direction of writing.
_UNWRITABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DEVICE = re.compile(
    r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?",
    re.IGNORECASE,
)


def check_name(name: str) -> None:
    """Refuse a name that is no plain relative path, with ``/``; one at its end means a folder.

    Raises:
        ArchiveError: the name, and why it is refused (APPNOTE 4.4.17).
    """
    fault = _fault(name)
    if fault is not None:
        raise unsafe(name, fault, "4.4.17")


def identity(name: str) -> str:
    """Return what names have in common that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _fault(name: str) -> str | None:
    if not name:
        return "has no name"
    if _UNWRITABLE.search(name):
        return "has a control character in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/"):
        return "has an absolute path"
    if ":" in name:
        return "names a drive or a stream"
    faults = map(_fault_of_part, name.removesuffix("/").split("/"))
    return next(filter(None, faults), None)


def _fault_of_part(part: str) -> str | None:
    if part in {"", ".", ".."}:
        return "has a step in its path that leads nowhere or up"
    if part[-1] in " .":
        return "has a name that ends with a dot or a space"
    if _DEVICE.fullmatch(part):
        return "has the name of a device"
    if len(part.encode()) > _MAX_PART:
        return f"has a name of more than {_MAX_PART} bytes"
    return None
