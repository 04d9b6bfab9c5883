"""The octets of a message that lies in a file, read by offset: as they are, or out of base64.

Place: beside `recognition`, which passes octets on as they come. Lines of one length tell where an
octet stands, so nothing before it is read. That they are of one length is assumed from the first
and the last of them, and checked wherever something is read: `Irregular` tells that it is not so.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Protocol

import attrs
import pybase64

from cdds.crypto.ber_parser import Octets, malformed
from cdds.crypto.recognition import SPACE, Beginning, bad_base64, beginning, up_to_pem_end
from cdds.errors import MessageError

WINDOW = 64 * 1024
"""The bytes at both ends of a file from which it is told how it is written down."""

_MAX_WINDOWS = 64  # that are looked at to find where the content stands


class RangedFile(Protocol):
    """A file that is read by offset, maybe by several threads at once."""

    @property
    def size(self) -> int:
        """The bytes of the file."""
        ...

    def read(self, offset: int, size: int, /) -> bytes:
        """Return `size` bytes from `offset`, all of which are in the file."""
        ...


class RangedOctets(Protocol):
    """The octets of a message, read by offset, maybe by several threads at once."""

    @property
    def size(self) -> int:
        """How many they are, with what follows the message."""
        ...

    def read(self, offset: int, size: int, /) -> memoryview:
        """Return `size` octets from `offset`, all of which are there.

        Raises:
            MessageError: they are not where they must be.
        """
        ...


class Irregular(MessageError):
    """Lines or octet strings are damaged, or not of the length of those before and after them."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the message is malformed: {what}; get it from its sender again, or decrypt it "
            "from its beginning"
        )


class PassedOctets(Octets):
    """Octets that are taken one after another, some of which are passed over without being read."""

    def __init__(self, source: RangedOctets) -> None:
        super().__init__(self._ahead())
        self.source = source
        self._next = 0
        self._window = (0, memoryview(b""))

    def skip(self, size: int) -> None:
        """Pass over the next `size` octets."""
        if self.position + size > self.source.size:
            malformed("it ends too early")
        at_hand = min(size, len(self._rest))
        self._rest = self._rest[at_hand:]
        self._next += size - at_hand
        self.position += size

    def again(self, offset: int, size: int) -> bytes:
        """Return octets from `offset` that were taken before."""
        start, window = self._window
        if start <= offset and offset + size <= start + len(window):
            return bytes(window[offset - start :][:size])
        return bytes(self.source.read(offset, size))

    def _ahead(self) -> Iterator[memoryview]:
        for _ in range(_MAX_WINDOWS):
            if self._next >= self.source.size:
                return
            start = self._next
            self._next = min(start + WINDOW, self.source.size)
            window = self.source.read(start, self._next - start)
            self._window = start, window
            yield window
        raise Irregular("much of it is neither its beginning nor its end")


def ranged_octets(file: RangedFile) -> tuple[Beginning, RangedOctets]:
    """Return how a message is written down, and its octets.

    Raises:
        Irregular: the octets must be read from the first to the last.
        MessageError: the form is not recognised, or the end is damaged or missing.
    """
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for piece in file_pieces(file, WINDOW):
            taken += len(piece)
            yield piece

    found = beginning(pieces())
    start = taken - len(found.head)
    if found.is_base64:
        return found, _lines(file, start, found.pem_label)
    return found, _Plain(file, start, file.size - start)


def file_pieces(file: RangedFile, size: int) -> Iterator[bytes]:
    """Yield a file from its beginning, in pieces of `size` bytes but the last."""
    for offset in range(0, file.size, size):
        yield _exactly(file, offset, min(size, file.size - offset))


def _exactly(file: RangedFile, offset: int, size: int) -> bytes:
    data = file.read(offset, size)
    if len(data) != size:
        raise MessageError(
            f"the file of the message is shorter than the {file.size} bytes that it is said to have"
        )
    return data


@attrs.frozen
class _Plain:
    """Octets as they are, behind MIME headers or nothing."""

    file: RangedFile
    start: int
    size: int

    def read(self, offset: int, size: int, /) -> memoryview:
        return memoryview(_exactly(self.file, self.start + offset, size))


@attrs.frozen
class _Lines:
    """Base64 in lines of one length but the last, maybe in a single one.

    Attributes:
        file: where they are.
        start: where the first line begins.
        columns: the characters of a line; a multiple of 4.
        line_end: what stands between two lines.
        characters: of all lines; a multiple of 4.
        size: of what they stand for.
    """

    file: RangedFile
    start: int
    columns: int
    line_end: bytes
    characters: int
    size: int

    def read(self, offset: int, size: int, /) -> memoryview:
        if not size:
            return memoryview(b"")
        first, last = offset // 3, -(-(offset + size) // 3)  # groups of four characters
        text = self._text(first * 4, last * 4)
        octets = self._decoded(text)
        if len(octets) != min(last * 3, self.size) - first * 3:
            raise Irregular("its base64 is damaged, or a line end is not where it must be")
        cut = offset - first * 3
        return memoryview(octets)[cut : cut + size]

    def _text(self, first: int, last: int) -> bytes:
        """Return characters with the line ends between them, which are where they must be."""
        begin, end = self._place(first), self._place(last - 1) + 1
        text = _exactly(self.file, begin, end - begin)
        stride = self.columns + len(self.line_end)
        line_ends = (last - 1) // self.columns - first // self.columns
        for number, octet in enumerate(self.line_end, self.columns - first % self.columns):
            if text[number::stride] != bytes([octet]) * line_ends:
                raise Irregular("a line of its base64 is not as long as the others")
        return text

    def _place(self, character: int) -> int:
        return self.start + character + character // self.columns * len(self.line_end)

    def _decoded(self, text: bytes) -> bytes:
        """Return what lines stand for; less than it should be where they hold what is no base64.

        Dropping what is no base64 is faster than taking the line ends out first.
        """
        try:
            return pybase64.b64decode(text)
        except binascii.Error:
            return b""


def _lines(file: RangedFile, start: int, pem_label: bytes) -> RangedOctets:
    head = _exactly(file, start, min(WINDOW, file.size - start))
    tail_start = max(start, file.size - WINDOW)
    tail = _body_end(_exactly(file, tail_start, file.size - tail_start), pem_label)
    size = tail_start + len(tail) - start
    columns, line_end = _first_line(head, size)
    whole, rest = divmod(size, columns + len(line_end))
    if columns % 4 or rest > columns or not (rest or not line_end):
        raise Irregular("the lines of its base64 are not of one length")
    characters = whole * columns + rest
    groups = characters // 4
    padding = 0 if characters % 4 else _padding(tail[-4:])
    lines = _Lines(file, start, columns, line_end, groups * 4, groups * 3 - padding)
    checked = min(lines.size, WINDOW // 2)
    lines.read(lines.size - checked, checked)
    if characters % 4:  # which is no matter of lines, for the last of them are regular
        bad_base64()
    return lines


def _body_end(tail: bytes, pem_label: bytes) -> bytes:
    """Return the end of the base64, without what follows it."""
    if len(tail.rstrip(SPACE)) < len(tail) // 2:
        raise Irregular("much space follows it")
    if pem_label:
        tail = b"".join(up_to_pem_end(iter([tail]), pem_label))
    return tail.rstrip(SPACE)


def _first_line(head: bytes, size: int) -> tuple[int, bytes]:
    """Return the characters of a line, and what ends it."""
    line, line_end, _ = head[:size].partition(b"\n")
    if not line_end and size:
        return size, b""
    columns = len(line.removesuffix(b"\r"))
    if not columns:
        raise Irregular("its base64 begins with an empty line")
    return columns, line[columns:] + line_end


def _padding(group: bytes) -> int:
    """Return how many characters of the last four stand for nothing (RFC 4648, section 4)."""
    try:
        return 3 - len(pybase64.b64decode(group, validate=True))
    except binascii.Error:
        bad_base64()
