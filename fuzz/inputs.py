"""What several harnesses need: an input as a file, by ranges, and as JSON that is read strictly."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import attrs


class Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, in their order, also those that come twice."""


@attrs.frozen
class Ranged:
    """An input that is read by offset, and asked for nothing but what is in it."""

    data: bytes

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.data)

    def read(self, offset: int, size: int, /) -> bytes:
        """Return bytes of it."""
        assert 0 <= offset <= offset + size <= len(self.data)
        return self.data[offset : offset + size]


def stored(data: bytes) -> Path:
    """Return the path of a file that holds an input until the next one; it is in memory only."""
    descriptor = _memory()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
    return Path(f"/proc/self/fd/{descriptor}")


@cache
def _memory() -> int:
    return os.memfd_create("input")


def read_json(text: bytes, **options: Any) -> Any:
    """Return the value that `json` reads in UTF-8; numbers are the texts that they are.

    Raises:
        ValueError: it is no JSON, as RFC 8259 has it, or no UTF-8.
        RecursionError: it is nested too deeply.
    """
    options = {"parse_int": Number, "parse_float": Number, "object_pairs_hook": Pairs} | options
    return json.loads(text.decode(), parse_constant=_refused, **options)


class Number(str):
    """The text of a number; never equal to a string."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def texts(value: Any) -> list[str]:
    """Return all texts in a value of `read_json`, names too."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, str):
            found.append(str(one))
    return found


def has_lone_surrogate(value: Any) -> bool:
    """Tell whether a text in a value is no Unicode text."""
    return any("\ud800" <= letter <= "\udfff" for text in texts(value) for letter in text)
