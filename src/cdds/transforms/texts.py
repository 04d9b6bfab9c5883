"""Turns texts and numbers into other texts, wherever they stand in a value.

Place: below the rules that mask and pseudonymise. A null stays, and of an array or an object each
text and number in it is turned; names stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from cdds.members import Node, opened

Turn = Callable[[msgspec.Raw], bytes]
"""Returns the JSON of the new text for that of a text, a number, true or false."""

_NULL = b"null"
_TEXT = msgspec.json.Decoder(str)
_NUMBER = re.compile(rb"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,18}))?")
_MOST_ZEROS = 40


def turned(node: Node, turn: Turn) -> Node:
    """Return a value with each text and number in it turned.

    Raises:
        Refusal: it has a name twice.
        RecursionError: it is nested too deeply.
    """
    inner = opened(node)
    if isinstance(inner, dict):
        return {name: turned(value, turn) for name, value in inner.items()}
    if isinstance(inner, list):
        return [turned(value, turn) for value in inner]
    return node if bytes(node) == _NULL else msgspec.Raw(turn(node))


def is_text(raw: msgspec.Raw) -> bool:
    """Whether it is a JSON string."""
    return memoryview(raw)[0] == 0x22


def is_boolean(raw: msgspec.Raw) -> bool:
    """Whether it is true or false."""
    return bytes(raw) in {b"true", b"false"}


def text_of(raw: msgspec.Raw) -> str:
    """Return a string's text; of anything else the JSON as it was written."""
    if not is_text(raw):
        return bytes(raw).decode("ascii")
    try:
        return _TEXT.decode(raw)
    except msgspec.DecodeError:  # a lone surrogate
        text: str = json.loads(bytes(raw))
        return text


def canonical(raw: msgspec.Raw) -> bytes:
    """Return what one value is in any spelling: a text in UTF-8, a number by its digits.

    So ``7``, ``7.0``, ``0.7e1`` and ``"7"`` are one.
    """
    if is_text(raw):
        return text_of(raw).encode("utf-8", "surrogatepass")
    written = bytes(raw)
    match = _NUMBER.fullmatch(written)
    if match is None:  # true and false; an exponent that no two writers spell in two ways
        return written
    sign, whole, fraction, exponent = match.groups(b"")
    digits = (whole + fraction).lstrip(b"0")
    significant = digits.rstrip(b"0")
    if not significant:
        return b"0"
    power = int(exponent or b"0") - len(fraction) + len(digits) - len(significant)
    return sign + _plain(significant, power)


def _plain(digits: bytes, power: int) -> bytes:
    if 0 <= power <= _MOST_ZEROS:
        return digits + b"0" * power
    if 0 < -power <= _MOST_ZEROS:
        padded = digits.rjust(1 - power, b"0")
        return padded[:power] + b"." + padded[power:]
    return digits + b"e%d" % power
