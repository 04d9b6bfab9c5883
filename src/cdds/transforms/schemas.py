"""What becomes of a JSON Schema when the records that it describes are changed.

Place: beside `reach`, and its mirror: what that does to a record, this does to the schema, so that
whatever was valid before is valid after. Where a rule could be broken by a change, such as
``minProperties`` of an object that loses members, the schema says it no longer, and says in a
``$comment`` that it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias
from urllib.parse import unquote

from cdds.errors import JobError
from cdds.json_schema import types_of
from cdds.transforms.paths import ANY, Step, Steps
from cdds.transforms.reach import GONE, Kept

Schema: TypeAlias = Any
"""A JSON Schema: a mapping, true or false."""

SchemaChange: TypeAlias = Callable[[Schema], Any]
"""Returns what the schema of a changed value is, or `GONE`."""

_NAMED = frozenset({"$comment", "$id", "description", "readOnly", "title", "writeOnly"})
_ANNOTATIONS = _NAMED | {"$schema", "definitions"}
_EXAMPLES = frozenset({"default", "examples"})
_SHAPE = frozenset({"type", "properties", "required", "additionalProperties", "items"})
_TEXTS = frozenset({"string", "number", "integer", "boolean"})
_ALL_TYPES = ("object", "array", "null")
_CHOICES = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "if", "not", "oneOf"})
_BY_NAME = frozenset({"definitions", "dependencies", "patternProperties", "properties"})
_LITERAL = frozenset({"const", "default", "enum", "examples"})


def check_field(schema: Mapping[str, Any], path: str, steps: Steps) -> None:
    """Refuse a path that begins with what a schema does not know, and one with foreign references.

    Raises:
        JobError: it is refused; the message has names that come close.
    """
    properties = schema.get("properties")
    first = steps[0]
    if first is ANY or not isinstance(properties, Mapping) or not properties:
        return
    if first not in properties:
        close = _close(first, properties)
        raise JobError(
            f"transforms: the schema knows no field {first!r} that {path!r} could mean, or an "
            f"earlier transform takes it away{close and '; did you mean ' + close + '?'}"
        )


def check_references(schema: Schema) -> None:
    """Refuse a schema that refers to anything but its own definitions.

    Raises:
        JobError: a part of it could not be changed without another.
    """
    if not all(reference.startswith("#/definitions/") for reference in _references(schema)):
        raise JobError(
            "transforms: the data file's schema has a $ref that leads elsewhere than to "
            "#/definitions/, so it cannot tell what records are after a change; write it out"
        )


def check_no_references(schema: Schema) -> None:
    """Refuse a schema with references: it will stand inside another, where they lead elsewhere.

    Raises:
        JobError: there is one.
    """
    if any(_references(schema)):
        raise JobError(
            "transforms: the schema of what a function returns for a field has a $ref, which leads "
            "elsewhere within the data file's schema; write it out"
        )


def check_targets(schema: Mapping[str, Any]) -> None:
    """Refuse a schema with references to what is not one of its own parts, or to themselves.

    Raises:
        JobError: there is one.
    """
    for reference in _references(schema):
        seen: list[str] = []
        part: Schema = {"$ref": reference}
        while isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
            seen.append(part["$ref"])
            part = None if seen[-1] in seen[:-1] else _target(schema, seen[-1])
        if not isinstance(part, (Mapping, bool)):
            raise JobError(
                "transforms: the schema of what a function returns has a $ref to what is no part "
                "of that schema, or to itself; write it out"
            )


def changed_at(schema: Schema, steps: Steps, change: SchemaChange) -> Schema:
    """Return the schema of records whose values at a path are changed."""
    if not isinstance(schema, Mapping):
        return schema
    level = _loosened(schema)
    step, rest = steps[0], steps[1:]
    _change_members(level, step, rest, change)
    below = rest if step is ANY else steps
    if "items" in level:
        _change_elements(level, below, change)
    return level


def kept_of(schema: Schema, kept: Kept) -> Schema:
    """Return the schema of records of which only some members are kept."""
    if schema is False:
        return schema
    level = _loosened(schema if isinstance(schema, Mapping) else {})
    known = level.get("properties", {})
    others = level.pop("additionalProperties", True)
    names = [name for name in known if kept.of(name)]
    names += [name for name in kept.members if name is not ANY and name not in known]
    properties = {name: _kept_below(known.get(name, others), kept.of(name)) for name in names}
    level["properties"] = properties
    level["additionalProperties"] = _kept_below(others, kept.members.get(ANY))
    if "required" in level:
        stays = [name for name in level["required"] if _stays(name, properties, kept)]
        level["required"] = stays
    if isinstance(level.get("items"), Mapping):
        level["items"] = _kept_below(level["items"], kept.elements)
    else:
        level.pop("items", None)
    return level


def remarked(schema: Schema, remark: str) -> Schema:
    """Return a schema that says one thing more in its comment."""
    schema = dict(schema) if isinstance(schema, Mapping) else {}
    before = schema.get("$comment")
    schema["$comment"] = f"{before}; {remark}" if isinstance(before, str) and before else remark
    return schema


def with_null_of(before: Schema, after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a value's schema is after a change that leaves a null where it is."""
    if before is False or "null" not in _types(before):
        return after
    if _CHOICES & set(after):
        return {"anyOf": [after, {"type": "null"}]}
    if "null" in _types(after):
        return after
    types = after["type"]
    return {**after, "type": [*([types] if isinstance(types, str) else types), "null"]}


def of_texts(schema: Schema, remark: str) -> Schema:
    """Return the schema of a value in which all texts and numbers have become other texts."""
    if schema is False:
        return schema
    types = _types(schema)
    texts = ["string"] if types & _TEXTS else []
    names = texts + [name for name in _ALL_TYPES if name in types]
    named = {word: schema[word] for word in schema if word in _NAMED} if schema is not True else {}
    if names:
        named["type"] = names[0] if len(names) == 1 else names
    return remarked(named, remark)


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the properties that a schema requires."""
    required = schema.get("required", [])
    return required if _is_sound("required", required) else []


def _change_members(level: dict[str, Any], step: Step, rest: Steps, change: SchemaChange) -> None:
    properties = dict(level.get("properties", {}))
    others = level.get("additionalProperties")
    known = list(properties) if step is ANY else [name for name in properties if name == step]
    for name in known:
        new = _below(properties[name], rest, change)
        if new is GONE:
            del properties[name]
        else:
            properties[name] = new
    if "required" in level and _below(True, rest, change) is GONE:
        level["required"] = [name for name in level["required"] if step not in {name, ANY}]
    if "properties" in level:
        level["properties"] = properties
    if isinstance(others, Mapping):
        new = _below(others, rest, change)
        if step is ANY:
            level["additionalProperties"] = True if new is GONE else new
        elif not known:  # some of them are changed, and some are not
            level.pop("additionalProperties")
            _say_left_out(level, ["additionalProperties"])


def _change_elements(level: dict[str, Any], steps: Steps, change: SchemaChange) -> None:
    items = level["items"]
    new = _below(items, steps, change) if isinstance(items, Mapping) else GONE
    if new is GONE:
        level.pop("items")
        _say_left_out(level, ["items"])
    else:
        level["items"] = new


def _below(schema: Schema, steps: Steps, change: SchemaChange) -> Any:
    return changed_at(schema, steps, change) if steps else change(schema)


def _kept_below(schema: Schema, kept: Kept | None) -> Schema:
    if kept is None:
        return False
    return schema if kept.is_leaf else kept_of(schema, kept)


def _stays(name: str, properties: Mapping[str, Schema], kept: Kept) -> bool:
    """Whether a required member is there after all that is not kept has gone."""
    below = kept.of(name)
    if below is None or below.is_leaf:
        return below is not None
    # What is no container cannot hold what is kept below it, and goes.
    return not _types(properties.get(name, True)) - {"object", "array"}


def _loosened(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an object's schema without the rules that a change of members could break.

    Beside a reference nothing counts in draft 7, so nothing but annotations may stay there.
    """
    kept = _ANNOTATIONS if "$ref" in schema else _ANNOTATIONS | _SHAPE
    if "patternProperties" in schema:  # what they allow may be none of the other properties
        kept -= {"additionalProperties"}
    level = {
        word: value for word, value in schema.items() if word in kept and _is_sound(word, value)
    }
    _say_left_out(level, [word for word in schema if word not in kept and word not in _EXAMPLES])
    return level


def _is_sound(word: str, value: object) -> bool:
    """Whether a word can be worked with; the gate refuses a schema that breaks the rules."""
    if word == "required":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return word != "properties" or isinstance(value, Mapping)


def _say_left_out(level: dict[str, Any], words: list[str]) -> None:
    if words:
        remark = f"left out, for a transform could break it: {', '.join(words)}"
        level["$comment"] = remarked(level, remark)["$comment"]


def _types(schema: Schema) -> frozenset[str]:
    """Return the types that a schema allows, as far as its own words say."""
    is_reference = isinstance(schema, Mapping) and "$ref" in schema  # beside it nothing counts
    stated = frozenset() if is_reference else types_of(schema)
    return stated or _TEXTS | frozenset(_ALL_TYPES)


def _references(schema: Schema) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for word, value in schema.items():
            if word == "$ref" and isinstance(value, str):
                yield value
            elif word in _BY_NAME and isinstance(value, Mapping):
                for part in value.values():  # whose names may be words of schemas
                    yield from _references(part)
            elif word not in _LITERAL:
                yield from _references(value)
    elif isinstance(schema, (list, tuple)):
        for value in schema:
            yield from _references(value)


def _target(schema: Schema, reference: str) -> Any:
    """Return the part of a schema that a JSON pointer leads to; None if there is none."""
    fragment, *steps = unquote(reference).split("/")
    if fragment != "#":
        return None
    part = schema
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list):
            part = part[int(name)] if name.isdecimal() and int(name) < len(part) else None
        else:
            part = part.get(name) if isinstance(part, Mapping) else None
    return part


def _close(name: str, known: Mapping[str, Any]) -> str:
    folded = {other.casefold(): other for other in known}
    close = get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    return " or ".join(repr(folded[other]) for other in close)
