"""The fast acceptor: a decoder compiled from a JSON Schema that says yes, or "ask the verdict".

Place: the hot path of the gate. What it accepts is valid by the schema; what it does not accept
may be valid still, and goes to `verdict`. Only a plain schema can be compiled (types, required,
additionalProperties, annotations); for any other `compile_acceptor` returns None.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

Decoded: TypeAlias = Any
"""A decoded record: an object with the attributes that `attribute_of` names."""

_ANNOTATIONS: dict[str, type] = {
    "$comment": str,
    "$id": str,
    "$schema": str,
    "contentEncoding": str,
    "contentMediaType": str,
    "default": object,
    "description": str,
    "examples": list,
    "format": str,
    "readOnly": bool,
    "title": str,
    "writeOnly": bool,
}
"""What says nothing about records, and of which type it must be."""


class _AnyObject(msgspec.Struct, gc=False):
    """Any JSON object: its members are checked for syntax and not kept."""


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
    "object": _AnyObject,
    "array": list[msgspec.Raw],
}


class _NotPlain(Exception):  # never leaves this module
    """The schema says something that a decoder cannot be compiled from."""


def attribute_of(names: Iterable[str]) -> dict[str, str]:
    """Return the attribute of a decoded record that holds each property."""
    return {name: f"p{number}" for number, name in enumerate(names)}


def compile_acceptor(
    schema: Mapping[str, Any], wanted: Iterable[str] = (), *, strict: bool = False
) -> tuple[msgspec.json.Decoder[Decoded], dict[str, str]] | None:
    """Return a decoder of valid records and the attribute of each property, or None.

    Args:
        schema: a JSON Schema, draft 7, of an object.
        wanted: properties to decode even when the schema does not know them.
        strict: accept only records whose members are all known, though the schema allows others.
    """
    try:
        fields = _fields(schema)
    except _NotPlain:
        return None
    open_ended = schema.get("additionalProperties", True) is True
    if open_ended:
        # The schema's come first, in its order: a decoder looks for the next field next.
        fields |= {name: (Any, False) for name in wanted if name not in fields}
    return _decoder(fields, forbid_unknown=strict or not open_ended)


def compile_projection(
    wanted: Iterable[str], known: Iterable[str] | None = None
) -> tuple[msgspec.json.Decoder[Decoded], dict[str, str]] | None:
    """Return a decoder of any JSON object that keeps only the wanted properties, or None.

    Args:
        wanted: the properties to decode.
        known: accept only objects whose members are all wanted or among these.
    """
    others = dict.fromkeys(known or (), (msgspec.Raw, False))
    fields = others | dict.fromkeys(wanted, (Any, False))  # in the order of those known
    return _decoder(fields, forbid_unknown=known is not None)


def _decoder(
    fields: Mapping[str, tuple[Any, bool]], *, forbid_unknown: bool
) -> tuple[msgspec.json.Decoder[Decoded], dict[str, str]] | None:
    attributes = attribute_of(fields)
    members = [
        (attributes[name], kind)
        if required
        else (attributes[name], kind | msgspec.UnsetType, msgspec.UNSET)
        for name, (kind, required) in fields.items()
    ]
    try:
        record = msgspec.defstruct(
            "Record",
            members,
            rename={attribute: name for name, attribute in attributes.items()},
            forbid_unknown_fields=forbid_unknown,
            kw_only=True,
            gc=False,
        )
    except ValueError:  # a name with quotes, backslashes or control characters
        return None
    return msgspec.json.Decoder(record), attributes


def _fields(schema: Mapping[str, Any]) -> dict[str, tuple[Any, bool]]:
    _refuse_others(schema, {"type", "properties", "required", "additionalProperties"})
    if schema.get("type") != "object":
        raise _NotPlain
    if not isinstance(schema.get("additionalProperties", True), bool):
        raise _NotPlain
    required, properties = schema.get("required", []), schema.get("properties", {})
    if not isinstance(properties, Mapping) or not _is_list_of(required, properties):
        raise _NotPlain
    return {name: (_kind(sub), name in required) for name, sub in properties.items()}


def _kind(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        raise _NotPlain
    _refuse_others(schema, {"type"})
    names = schema.get("type")
    if isinstance(names, str):
        names = [names]
    if not names or not _is_list_of(names, _TYPES):
        raise _NotPlain
    kind = _TYPES[names[0]]
    for name in names[1:]:
        kind = kind | _TYPES[name] if kind is not None else _TYPES[name] | None
    return kind


def _refuse_others(schema: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a schema that says more than what is known and annotations, or says it wrongly."""
    for word, value in schema.items():
        if word not in known and not isinstance(value, _ANNOTATIONS.get(word, ())):
            raise _NotPlain


def _is_list_of(names: Any, known: Container[str]) -> bool:
    """Tell whether it is a list of known names, none of them twice."""
    return (
        isinstance(names, (list, tuple))
        and all(isinstance(name, str) and name in known for name in names)
        and len(set(names)) == len(names)
    )
