"""Adds to the tag of AES-GCM what is authenticated beside the content, after the content.

Place: beside `decryption`. GCM wants such data first, but a message has its authenticated
attributes behind its content, which is gone by then. GHASH is a polynomial over all blocks, so
their part can be added to it at the end (NIST SP 800-38D, sections 6.3 and 6.4). Attributes are
small, so plain Python is fast enough.
"""

from __future__ import annotations

from cdds.crypto.content import BLOCK

_REDUCTION = 0xE1 << 120
_ONE = 1 << 127  # the bits of a block are in the order of powers, from the left


def with_attributes(tag: bytes, subkey: bytes, attributes: bytes, content_size: int) -> bytes:
    """Return the tag of a content with attributes, given that of the content alone.

    Args:
        tag: of the content alone, whole.
        subkey: the hash subkey: a block of zeros, encrypted.
        attributes: what is authenticated beside the content.
        content_size: of the ciphertext, in bytes.
    """
    point = int.from_bytes(subkey, "big")
    total = 0
    for start in range(0, len(attributes), BLOCK):
        block = attributes[start : start + BLOCK].ljust(BLOCK, b"\0")
        total = _multiplied(total ^ int.from_bytes(block, "big"), point)
    blocks_after = -(-content_size // BLOCK) + 1  # the content's, and that of the lengths
    total = _multiplied(total, _power(point, blocks_after))
    total ^= _multiplied(len(attributes) * 8 << 64, point)
    return (int.from_bytes(tag, "big") ^ total).to_bytes(BLOCK, "big")


def _multiplied(left: int, right: int) -> int:
    """Return a product in GF(2^128) (NIST SP 800-38D, section 6.3)."""
    product = 0
    for shift in range(127, -1, -1):
        if left >> shift & 1:
            product ^= right
        right = right >> 1 ^ (_REDUCTION if right & 1 else 0)
    return product


def _power(base: int, exponent: int) -> int:
    result = _ONE
    while exponent:
        if exponent & 1:
            result = _multiplied(result, base)
        base = _multiplied(base, base)
        exponent >>= 1
    return result
