"""Extra fields of an entry's headers, after PKWARE APPNOTE 6.3.10, section 4.5.

Place: below the headers that are read. Only the Zip64 field has a meaning here. Fields that give
an entry another name or kind have none, for readers differ in whether they heed them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cdds.archive.appnote import ZIP64_TAG
from cdds.archive.faults import malformed

_HEAD = 4  # the bytes of a field's tag and size


def zip64_field(name: str, extra: bytes) -> bytes:
    """Return the contents of the Zip64 extra field (4.5.3); empty if there is none."""
    found = b""
    for tag, start, end in _fields(extra):
        if end > len(extra):
            raise malformed(name, "has an extra field that is longer than its room", "4.5.1")
        if tag == ZIP64_TAG:
            if found:
                raise malformed(name, "has two Zip64 fields", "4.5.3")
            found = extra[start + _HEAD : end]
    return found


def replace_zip64(extra: bytes, contents: bytes) -> bytes:
    """Return well-formed extra fields with another Zip64 field, or with none for no contents."""
    replaced = struct.pack("<HH", ZIP64_TAG, len(contents)) + contents if contents else b""
    end = 0
    for tag, start, end in _fields(extra):
        if tag != ZIP64_TAG:
            replaced += extra[start:end]
    return replaced + extra[end:]


def _fields(extra: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the tag of each field, where it begins, and where it should end."""
    start = 0
    while start + _HEAD <= len(extra):  # what is shorter is padding, as some writers leave
        tag, size = struct.unpack_from("<HH", extra, start)
        yield tag, start, start + _HEAD + size
        start += _HEAD + size


class Zip64:
    """Gives the values of a Zip64 field, in their order, for the plain ones that are all ones."""

    def __init__(self, name: str, field: bytes) -> None:
        self._name = name
        self._field = field

    def value(self, plain: int, all_ones: int, width: int) -> int:
        """Return a value: the plain one, or the field's next, which has `width` bytes."""
        if plain != all_ones:
            return plain
        if len(self._field) < width:
            raise malformed(
                self._name, "has no value in its Zip64 field for one that is there", "4.5.3"
            )
        value, self._field = self._field[:width], self._field[width:]
        return int.from_bytes(value, "little")
