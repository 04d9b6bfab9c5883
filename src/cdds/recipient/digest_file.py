"""The file of digests beside an export: what it says.

Place: below what finds the files of an export, which it names. Whether it is true, `digests` tells.
"""

from __future__ import annotations

import re

from cdds.errors import ExportIncomplete
from cdds.location import printable

MAX_DIGESTS_SIZE = 16 * 1024 * 1024
"""The most bytes of a file of digests: those of some 100,000 files."""
_LINE = re.compile(rb"(\\?)([0-9A-Fa-f]{64}) [ *]([^\0/]{1,1024})")
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_ESCAPED = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


def parse_digests(data: bytes, where: str = "the file of digests") -> dict[str, str]:
    """Return the SHA-256 of each file by its name, in hexadecimal, in the order of the lines.

    The format is the one that ``sha256sum`` writes: in text or binary mode, with a backslash before
    a line whose name has characters escaped. No name may have a folder.

    Args:
        data: what the file holds.
        where: what messages call it.

    Raises:
        ExportIncomplete: it is too large, has no lines, or one that is of another form, or a name
            twice.
    """
    if len(data) > MAX_DIGESTS_SIZE:
        raise ExportIncomplete(
            f"{where} is larger than {MAX_DIGESTS_SIZE} bytes, so it is not read"
        )
    digests: dict[str, str] = {}
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        parsed = _parsed(line)
        if parsed is None:
            raise ExportIncomplete(
                f"line {number} of {where} is not a SHA-256, two spaces and a plain name, "
                "as sha256sum writes them"
            )
        name, digest = parsed
        if name in digests:
            raise ExportIncomplete(f"line {number} of {where} names {printable(name)} once more")
        digests[name] = digest
    return digests


def _parsed(line: bytes) -> tuple[str, str] | None:
    found = _LINE.fullmatch(line)
    name = found and (_unescaped(found[3]) if found[1] else found[3])
    if not found or not name or name in {b".", b".."}:
        return None
    return name.decode("utf-8", "surrogateescape"), found[2].decode().lower()


def _unescaped(name: bytes) -> bytes | None:
    if any(found[1] not in _ESCAPED for found in _ESCAPE.finditer(name)):
        return None
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], name)
