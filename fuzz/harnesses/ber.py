"""Any octets are one element of BER, or are refused with `MessageError`.

An element is the same however its octets are cut, ends where asn1crypto says that it does, holds no
more than it may, and its DER is DER: read again, it is the same element, and gives itself. What is
taken as a whole can be skipped too, and then nothing is left either.
"""

from __future__ import annotations

from asn1crypto.parser import peek

from cdds.crypto.ber_parser import CONSTRUCTED, Element, Octets, Parser, parse
from cdds.errors import MessageError

READS = ("cdds.crypto.ber_parser",)
WORDS = (b"\x30\x80", b"\x24\x80", b"\x00\x00", b"\x04\x84", b"\x30\x82", b"\x88", b"\xa0\x80")


def check(data: bytes) -> None:
    """Check the invariant for octets."""
    element = _parsed(data)
    assert element == _cut(data)
    if element is None:
        return
    assert peek(data) == len(data)
    _check_skipped(data)
    _check_values(element)
    der = _der(element)
    if der is not None:
        again = parse(der)
        assert again.tag & ~CONSTRUCTED == element.tag & ~CONSTRUCTED
        assert again.der() == der


def _parsed(data: bytes) -> Element | None:
    try:
        return parse(data)
    except MessageError:
        return None


def _cut(data: bytes) -> Element | None:
    parser = Parser(Octets(data[at : at + 1] for at in range(len(data))))
    try:
        element = parser.element()
        parser.end()
    except MessageError:
        return None
    return element


def _check_skipped(data: bytes) -> None:
    parser = Parser(Octets(iter([data])))
    parser.skip()
    parser.end()


def _der(element: Element) -> bytes | None:
    try:
        return element.der()
    except MessageError:  # a string that is made of what is no string
        return None


def _check_values(element: Element) -> None:
    """Ask an element for what it might be: it is that, or the one error is raised."""
    for value in (element.integer, element.object_identifier, element.octets):
        try:
            value()
        except MessageError:
            continue
    if not isinstance(element.contents, bytes):
        for child in element.contents:
            _check_values(child)
