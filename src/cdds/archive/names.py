"""Which names of entries are taken: relative paths that mean the same file everywhere.

Place: the ground of the reading side. Names come from strangers: one that could leave the target
folder, reach a device or stand for two files is refused, and never changed into another.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256

from cdds.archive.faults import unsafe

_MAX_NAME = 4096  # bytes that systems take for a path
_MAX_PART = 255  # and file systems for one step of it

# Control characters, half surrogates, ends of lines, and what turns the direction of writing.
_UNWRITABLE = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_FAULTS = [
    (re.compile(pattern), fault)
    for pattern, fault in (
        (r"\A\Z", "has no name"),
        (_UNWRITABLE, "has a control character in its name"),
        (r"\\", "has a backslash in its name"),
        (r"\A/", "has an absolute path"),
        (r":", "names a drive or a stream"),
    )
]
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


def identity(name: str) -> bytes:
    """Return what names have in common that some file system takes for one.

    It is a digest, for a name may become eighteen times as long when it is normalised.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return sha256(unicodedata.normalize("NFKC", folded).encode()).digest()


def _fault(name: str) -> str | None:
    for pattern, fault in _FAULTS:
        if pattern.search(name):
            return fault
    if len(name.encode()) > _MAX_NAME:
        return f"has a path of more than {_MAX_NAME} bytes"
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
