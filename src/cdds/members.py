"""Opens a JSON object or array one level deep: its members stay the bytes that they are.

Place: near the ground, for what changes some members of a record and must leave the others as they
were written: numbers of any length, floats, escapes. It changes no value, and it loses none: a name
that comes twice is refused, and so is what is no JSON, to the last character. What it is given is
UTF-8: the gate sees to that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeAlias

import msgspec

from cdds.refusal import TOO_DEEP, Refusal

Node: TypeAlias = Any
"""A value of a record: a `msgspec.Raw`, or the dict or list of nodes that it was opened into."""

Members: TypeAlias = dict[str, Node]
"""The members of an object, in their order."""

TWICE = "it has a member that comes twice, so it cannot be changed without a loss"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_SPACE = " \t\r\n"
_WHAT = {"{": "object", "[": "array"}
_read = json.JSONDecoder().raw_decode


def members_of(text: bytes | msgspec.Raw) -> Members:
    """Return the members of an object, each as it was written.

    Raises:
        Refusal: it is no JSON object, is nested too deeply, or has a name twice.
    """
    try:
        members: Members = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        members = {}
    if not members or not _are_all(members, text):
        return _with_care(bytes(text))
    return members


def names_of(text: bytes) -> Iterable[str]:
    """Return the names in an object that msgspec accepts; one that comes twice is there once."""
    return _OBJECT.decode(text)


def elements_of(text: bytes | msgspec.Raw) -> list[Node]:
    """Return the elements of an array, each as it was written.

    Raises:
        Refusal: it is no JSON array, or is nested too deeply.
    """
    try:
        return list(_ARRAY.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return [raw for _, raw in _items(bytes(text), "[")]


def json_of(node: Node) -> bytes:
    """Return the JSON of a node: what was never opened stands in it as it was written."""
    try:
        return msgspec.json.encode(node)
    except UnicodeEncodeError:  # a name with a lone surrogate, which only an escape can say
        pass
    return _escaped(node)


def opened(node: Node) -> Node:
    """Return a node as a dict or a list of nodes, or None if it is neither.

    Raises:
        Refusal: it is nested too deeply, or has a name twice.
    """
    if not isinstance(node, msgspec.Raw):
        return node
    match memoryview(node)[0]:
        case 0x7B:  # {
            return members_of(node)
        case 0x5B:  # [
            return elements_of(node)
        case _:
            return None


def _are_all(members: Members, text: bytes | msgspec.Raw) -> bool:
    """Whether nothing was lost: two members of one name, of which the first would be."""
    written = msgspec.json.encode(members)
    compact = bytes(text).rstrip()
    if len(written) == len(compact):
        return True
    # Spaces between the members make a difference too; without any, only escapes in names do.
    try:
        return len(_squeezed(written)) == len(_squeezed(compact))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _squeezed(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1)


def _with_care(text: bytes) -> Members:
    """Return the members of an object that holds lone surrogates, or escapes in its names."""
    pairs = _items(text, "{")
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refusal(TWICE)
    return members


def _items(text: bytes, opening: str) -> list[tuple[str, msgspec.Raw]]:
    """Return the names and values of an object, or the values of an array with empty names.

    Raises:
        Refusal: it is neither an object nor an array, as `opening` says, or is nested too deeply.
    """
    fault = ""
    found: list[tuple[str, msgspec.Raw]] = []
    try:
        written = text.decode("utf-8").strip(_SPACE)
        json.loads(
            written, parse_constant=_refused
        )  # for what is cut up below is looked at no more
        if written.startswith(opening):
            found = list(_scanned(written))
        else:
            fault = f"it is no JSON {_WHAT[opening]}"
    except RecursionError:
        fault = TOO_DEEP
    except ValueError:  # what is no JSON, or no UTF-8
        fault = "it is not JSON, or holds a number too long to be read"
    if fault:  # outside the handler: its context would hold the text
        raise Refusal(fault)
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def _scanned(text: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """Yield the names and values of an object or an array that is known to be JSON."""
    is_object, end = text[0] == "{", len(text) - 1
    at = _skip(text, 1)
    while at < end:
        name = ""
        if is_object:
            name, at = _read(text, at)
            at = _skip(text, _skip(text, at) + 1)  # behind the colon
        _, after = _read(text, at)
        yield name, msgspec.Raw(text[at:after].encode("utf-8"))
        at = _skip(text, after)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _escaped(node: Node) -> bytes:
    if isinstance(node, dict):
        pairs = (json.dumps(name).encode() + b":" + _escaped(value) for name, value in node.items())
        return b"{" + b",".join(pairs) + b"}"
    if isinstance(node, list):
        return b"[" + b",".join(map(_escaped, node)) + b"]"
    return bytes(node)
