"""The encoding side of X.690 BER: just what a CMS message needs.

Place: the ground of the crypto room. Definite lengths are written in DER's shortest form.
"""

from __future__ import annotations

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = b"\x05\x00"
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
CONTEXT_1 = 0xA1
"""Constructed, context-specific, numbers 0 and 1."""

INDEFINITE = b"\x80"
"""A length that is not told: contents follow up to `END_OF_CONTENTS` (X.690, 8.1.3.6)."""
END_OF_CONTENTS = b"\x00\x00"


def length(size: int) -> bytes:
    """Return the length octets for `size` bytes of contents (X.690, 8.1.3)."""
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return a value of `tag` with the given contents, of definite length."""
    value = b"".join(contents)
    return bytes([tag]) + length(len(value)) + value


def open_indefinite(tag: int) -> bytes:
    """Return the start of a value of indefinite length."""
    return bytes([tag]) + INDEFINITE


def integer(number: int) -> bytes:
    """Return an INTEGER (X.690, 8.3)."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return tlv(INTEGER, number.to_bytes(size, "big", signed=True))


def object_identifier(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER (X.690, 8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(OBJECT_IDENTIFIER, *map(_base128, [first * 40 + second, *rest]))


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))
