"""Reads X.690 BER, and so DER too, from octets that come in any pieces.

Place: the decoding counterpart of `ber`. What is small becomes an `Element`; a long string is
passed on as it comes. Whatever the octets say, depth, size and number of what is kept are bounded,
and nothing is read beyond the end of what encloses it. It refuses tag numbers above 30, which no
structure of CMS uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

import attrs

from cdds.crypto import ber
from cdds.errors import MessageError

MAX_DEPTH = 32
"""How deep values may be nested; CMS itself needs some twelve."""
MAX_KEPT = 8 * 1024 * 1024
"""The most octets that all elements of a message may hold together, each with an overhead."""
MAX_ELEMENTS = 2_000
"""The most values within one element."""
MAX_SHORT_PIECES = 1_000_000
"""The most octet strings of fewer than `SHORT_PIECE` octets that a string may be made of."""
SHORT_PIECE = 64

CONSTRUCTED = 0x20
END_OF_CONTENTS = 0x00

_OVERHEAD = 32  # of octets that an element is counted as beside its contents
_LOOKED_AT = 64 * 1024
_MAX_LENGTH_OCTETS = 8
_MAX_NUMBER_OCTETS = 64


class Octets:
    """Octets that come in pieces, read in other pieces; each is looked at once."""

    def __init__(self, pieces: Iterator[bytes] | Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self.position = 0
        """How many octets were taken."""

    def at_end(self) -> bool:
        """Tell whether there are no more."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._rest = memoryview(piece)
        return False

    def peek(self) -> int:
        """Return the next octet, and leave it there."""
        if self.at_end():
            _truncated()
        return self._rest[0]

    def some(self, most: int) -> memoryview:
        """Take the next octets, one at least, as many as are at hand, but not more than `most`."""
        if self.at_end():
            _truncated()
        taken, self._rest = self._rest[:most], self._rest[most:]
        self.position += len(taken)
        return taken

    def take(self, size: int) -> bytes:
        """Take the next `size` octets."""
        if size <= len(self._rest):
            return bytes(self.some(size)) if size else b""
        taken = bytearray()
        while len(taken) < size:
            taken += self.some(size - len(taken))
        return bytes(taken)


@attrs.frozen
class Element:
    """A value that was read as a whole.

    Attributes:
        tag: the identifier octet (X.690, 8.1.2).
        contents: what it holds: octets, or, in a constructed one, elements.
    """

    tag: int
    contents: bytes | tuple[Element, ...] = attrs.field(repr=False)

    def children(self, tag: int, fewest: int, most: int) -> tuple[Element, ...]:
        """Return the elements that an element of that tag holds, if their number is right."""
        if self.tag != tag or isinstance(self.contents, bytes):
            malformed("a value is not what stands in its place")
        if not fewest <= len(self.contents) <= most:
            malformed("a structure has too few or too many values")
        return self.contents

    def octets(self) -> bytes:
        """Return what a string holds, in one piece or in several (X.690, 8.7.3)."""
        if isinstance(self.contents, bytes):
            return self.contents
        if any(child.tag & ~CONSTRUCTED != ber.OCTET_STRING for child in self.contents):
            malformed("a string is made of what is no string")
        return b"".join(child.octets() for child in self.contents)

    def primitive(self, tag: int) -> bytes:
        """Return the octets of an element of that tag."""
        if self.tag != tag or not isinstance(self.contents, bytes):
            malformed("a value is not what stands in its place")
        return self.contents

    def integer(self) -> int:
        """Return the number that an INTEGER is (X.690, 8.3)."""
        octets = self.primitive(ber.INTEGER)
        if not 0 < len(octets) <= _MAX_NUMBER_OCTETS:
            malformed("a number is missing or far too large")
        return int.from_bytes(octets, "big", signed=True)

    def object_identifier(self) -> str:
        """Return an OBJECT IDENTIFIER as numbers with dots (X.690, 8.19)."""
        octets = self.primitive(ber.OBJECT_IDENTIFIER)
        if not 0 < len(octets) <= _MAX_NUMBER_OCTETS or octets[-1] & 0x80:
            malformed("an object identifier is missing, cut off or far too long")
        arcs, arc = [], 0
        for octet in octets:
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))

    def der(self, tag: int | None = None) -> bytes:
        """Return the element in DER (X.690, 10 and 11.6), with another tag if one is given."""
        own = self.tag if tag is None else tag
        if isinstance(self.contents, bytes):
            return ber.tlv(own, self.contents)
        if own == ber.OCTET_STRING | CONSTRUCTED:
            return ber.tlv(ber.OCTET_STRING, self.octets())
        encoded = [child.der() for child in self.contents]
        return ber.tlv(own, *(sorted(encoded) if own == ber.SET else encoded))


@attrs.frozen
class _Scope:
    """A constructed value that was entered: where it ends, and where it must end at the latest."""

    end: int | None
    limit: int | None


class Parser:
    """Pulls one value after another out of octets, into constructed values and out again."""

    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._scopes = [_Scope(None, None)]
        self._room = MAX_KEPT
        self._elements = 0  # how many more the one that is being read may hold

    def at_end(self) -> bool:
        """Tell whether the value that was entered last holds no more."""
        end = self._scopes[-1].end
        if end is not None:
            return self._octets.position >= end
        return self._octets.peek() == END_OF_CONTENTS

    def next_tag(self) -> int | None:
        """Return the tag of the next value, or None at the end of the enclosing one."""
        return None if self.at_end() else self._octets.peek()

    def enter(self, tag: int) -> None:
        """Go into the next value, which must be a constructed one of that tag."""
        found, length = self._header()
        if found != tag:
            malformed("a structure is not what stands in its place")
        self._enter(length)

    def leave(self) -> None:
        """Go out of the value that was entered last, which must be at its end."""
        if not self.at_end():
            malformed("a structure holds more than it may")
        if self._scopes[-1].end is None and self._octets.take(2) != ber.END_OF_CONTENTS:
            malformed("the mark of a structure's end is damaged")
        self._check_limit()
        self._scopes.pop()

    def element(self) -> Element:
        """Take the next value as a whole."""
        self._elements = MAX_ELEMENTS
        return self._element()

    def skip(self) -> None:
        """Pass over the next value, whatever its size."""
        depth = len(self._scopes)
        self._skip_one()
        while len(self._scopes) > depth:
            if self.at_end():
                self.leave()
            else:
                self._skip_one()

    def string(self, primitive: int) -> Iterator[memoryview]:
        """Yield the octets of the next value: a string in one piece, or a constructed one."""
        for length in self.string_pieces(primitive):
            yield from self._contents(length)

    def string_pieces(self, primitive: int) -> Iterator[int]:
        """Yield the size of each piece of the next value, a string; the caller takes its octets."""
        tag, length = self._header()
        if tag == primitive:
            yield length or 0
            return
        if tag != primitive | CONSTRUCTED:
            malformed("a string is not what stands in its place")
        depth = len(self._scopes)
        self._enter(length)
        short_pieces = 0
        while len(self._scopes) > depth:
            if self.at_end():
                self.leave()
                continue
            tag, length = self._header()
            short_pieces += length is None or length < SHORT_PIECE
            if short_pieces > MAX_SHORT_PIECES:
                malformed("its content is cut into too many short pieces")
            if tag == ber.OCTET_STRING:
                yield length or 0
            elif tag == ber.OCTET_STRING | CONSTRUCTED:
                self._enter(length)
            else:
                malformed("a string is made of what is no string")

    def end(self, allowed: bytes = b"") -> None:
        """Make sure that nothing follows, but for octets that are among those allowed."""
        while not self._octets.at_end():
            if bytes(self._octets.some(_LOOKED_AT)).strip(allowed):
                malformed("there is something after its end")

    def _header(self) -> tuple[int, int | None]:
        """Take identifier and length octets; a length is None where it is indefinite."""
        tag, first = self._octets.take(2)
        if tag == END_OF_CONTENTS:
            malformed("the mark of an end stands where nothing ends")
        if tag & 0x1F == 0x1F:
            malformed("it has a tag number above 30")
        length: int | None = first
        if first == 0x80:
            length = None
            if not tag & CONSTRUCTED:
                malformed("a primitive value has an indefinite length")
        elif first > 0x80:
            if first & 0x7F > _MAX_LENGTH_OCTETS:
                malformed("a length has too many octets")
            length = int.from_bytes(self._octets.take(first & 0x7F), "big")
        self._check_limit(length or 0)
        return tag, length

    def _check_limit(self, ahead: int = 0) -> None:
        limit = self._scopes[-1].limit
        if limit is not None and self._octets.position + ahead > limit:
            malformed("a value is longer than what it stands in")

    def _enter(self, length: int | None) -> None:
        if len(self._scopes) > MAX_DEPTH:
            malformed(f"it is nested deeper than {MAX_DEPTH} levels")
        if length is None:
            self._scopes.append(_Scope(None, self._scopes[-1].limit))
        else:
            end = self._octets.position + length
            self._scopes.append(_Scope(end, end))

    def _contents(self, length: int | None) -> Iterator[memoryview]:
        left = length or 0
        while left:
            piece = self._octets.some(left)
            left -= len(piece)
            yield piece

    def _element(self) -> Element:
        tag, length = self._header()
        self._elements -= 1
        self._room -= _OVERHEAD + (0 if tag & CONSTRUCTED else length or 0)
        if self._elements < 0 or self._room < 0:
            malformed("its header is too large")
        if not tag & CONSTRUCTED:
            return Element(tag, self._octets.take(length or 0))
        self._enter(length)
        children: list[Element] = []
        while not self.at_end():
            children.append(self._element())
        self.leave()
        return Element(tag, tuple(children))

    def _skip_one(self) -> None:
        _, length = self._header()
        if length is None:
            self._enter(length)
        for _ in self._contents(length):
            pass


def parse(octets: bytes) -> Element:
    """Return the one element that octets are."""
    parser = Parser(Octets(iter([octets])))
    element = parser.element()
    parser.end()
    return element


def optional(elements: Sequence[Element], tag: int) -> Element | None:
    """Return the element of that tag, if there is one."""
    return next((element for element in elements if element.tag == tag), None)


def malformed(what: str) -> NoReturn:
    """Refuse a message for what its octets say.

    Raises:
        MessageError: always.
    """
    raise MessageError(
        f"the message is malformed: {what} (X.690, RFC 5652); get it from its sender again"
    )


def _truncated() -> NoReturn:
    malformed("it ends too early")
