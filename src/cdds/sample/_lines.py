"""Records as JSON Lines: compact, UTF-8, one object a line.

Place: the only exit of the package for single records. It refuses nothing: what it is given is
written as it stands, so that a test can also write what is wrong.
"""

from collections.abc import Iterable
from json import JSONEncoder
from typing import Any, Protocol, TypeAlias

Record: TypeAlias = dict[str, Any]
"""One record: the keys of its schema, each with a JSON value."""

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Writable(Protocol):
    """Anything that takes bytes: a file opened for writing, a socket file, a `BytesIO`."""

    def write(self, data: bytes, /) -> object:
        """Take all of the data."""


def line(record: Record) -> bytes:
    """Write the record as one line of JSON, its line feed included."""
    return _encode(record).encode() + b"\n"


def write_lines(records: Iterable[Record], file: Writable) -> int:
    """Write records to a binary file as JSON Lines, and return how many there were.

    The file is neither flushed nor closed; both are its owner's to do.
    """
    written = 0
    for record in records:
        file.write(line(record))
        written += 1
    return written
