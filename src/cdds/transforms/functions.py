"""Functions of the host's own as transforms: `Apply` and `ApplyToRecord`.

Place: beside the other rules. What a function returns is held against the schema by `chain`; of
what it raises only the kind is told, for its words may be those of a record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import attrs
import msgspec

from cdds.errors import JobError
from cdds.members import TWICE, Members, Node, json_of
from cdds.refusal import Refusal
from cdds.transforms.fields import OfFields, Step, Write, checked_fields, joined
from cdds.transforms.reach import Change
from cdds.transforms.schemas import (
    Schema,
    check_no_references,
    check_targets,
    remarked,
    with_null_of,
)

_T = TypeVar("_T")


def _checked_function(_: object, __: object, value: Any) -> None:
    if not callable(value):
        raise JobError("a transform of the host's own takes a function first")


def _schema_of(value: object) -> Any:
    """Return a schema as JSON has it."""
    if value is None:
        return None
    try:
        schema = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise JobError("the schema of what a function returns is a JSON Schema: a mapping")
    from jsonschema import Draft7Validator, SchemaError  # slow to load, and few need it

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        raise JobError(f"the schema of a function is no JSON Schema: {error.message}") from None
    return schema


def _schema_of_field(value: object) -> Any:
    schema = _schema_of(value)
    check_no_references(schema)
    return schema


def _schema_of_record(value: object) -> Any:
    schema = _schema_of(value)
    if schema is not None:
        check_targets(schema)
    return schema


def _name_of(function: object) -> str:
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name)[:100]


@attrs.frozen(init=False)
class Apply(OfFields):
    """Puts what a function of the host's own returns for the value of each field.

    The function is given a value as `json.loads` reads it, and returns one that JSON has. It is
    not called for null and for what is not there. It is called on worker threads.

    Attributes:
        function: a function of one argument; to be pickled, it must stand in a module.
        fields: the paths of the fields.
        schema: the JSON Schema of what it returns; that of the field when left out. A null that
            the field may be stays allowed.

    >>> Apply(str.casefold, "FROMADDRESS")

    Raises:
        JobError: there is no function, no field, one is no path, or the schema is no JSON Schema
            or has a ``$ref``.
    """

    kind: ClassVar[str] = "apply"
    is_hosts_own: ClassVar[bool] = True
    function: Callable[[Any], Any] = attrs.field(validator=_checked_function)
    fields: tuple[str, ...] = attrs.field(validator=checked_fields)
    schema: Mapping[str, Any] | None = attrs.field(converter=_schema_of_field)

    def __init__(
        self,
        function: Callable[[Any], Any],
        *fields: str,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.__attrs_init__(function, fields, schema)

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"applies {_name_of(self.function)} to {joined(self.fields)}"

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return super().listing() | {"function": _name_of(self.function)}

    def _schema(self, schema: Schema) -> Any:
        remark = f"changed by the function {_name_of(self.function)}"
        after = schema if self.schema is None else with_null_of(schema, self.schema)
        return remarked(after, remark)

    def _change(self, field: str, write: Write) -> Change:
        function = self.function

        def change(node: Node) -> Node:
            text = json_of(node)
            if text == b"null":
                return node
            given, before = _read(text), _read(text)

            def call() -> Node:
                after = function(given)
                if _is_same(after, before):
                    return node
                if _has_twice(text):
                    raise Refusal(TWICE, field)
                return msgspec.Raw(write(after))

            return _guarded(call, function, field)

        return change


@attrs.frozen(init=False)
class ApplyToRecord:
    """Puts what a function of the host's own returns for each record.

    The function is given a dict as `json.loads` reads it, and returns a mapping: the same one
    changed, or another. A member that it leaves as it was passes as it was written. It is called on
    worker threads.

    Attributes:
        function: a function of one argument; to be pickled, it must stand in a module.
        schema: the JSON Schema of the records that it returns; as before when left out.

    Raises:
        JobError: there is no function, or the schema is no JSON Schema or has a ``$ref`` to
            anything but its own parts.
    """

    kind: ClassVar[str] = "apply to record"
    is_hosts_own: ClassVar[bool] = True
    function: Callable[[dict[str, Any]], Mapping[str, Any]] = attrs.field(
        validator=_checked_function
    )
    schema: Mapping[str, Any] | None = attrs.field(converter=_schema_of_record)

    def __init__(
        self,
        function: Callable[[dict[str, Any]], Mapping[str, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.__attrs_init__(function, schema)

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"applies {_name_of(self.function)} to records"

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return {"kind": self.kind, "function": _name_of(self.function)}

    def schema_after(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of the records after it."""
        remark = f"changed by the function {_name_of(self.function)}"
        after: Mapping[str, Any] = remarked(schema if self.schema is None else self.schema, remark)
        return after

    def changes(self, write: Write) -> Step:
        """Return the function that changes a record in place and tells whether it did."""

        def change(record: Members) -> bool:
            texts = {name: json_of(node) for name, node in record.items()}
            before = {name: _read(text) for name, text in texts.items()}
            given = {name: _read(text) for name, text in texts.items()}

            def call() -> Members | None:
                returned = self.function(given)
                if not isinstance(returned, Mapping):
                    raise Refusal(f"the function {_name_of(self.function)} returned no mapping")
                members = dict(returned)
                if _is_same(members, before):
                    return None
                same = {
                    name: record[name]
                    for name, value in before.items()
                    if name in members and _is_same(members[name], value)
                }
                for name in before:
                    if name not in same and _has_twice(texts[name]):
                        raise Refusal(TWICE)
                return {
                    _text(name): same[name] if name in same else msgspec.Raw(write(value))
                    for name, value in members.items()
                }

            after = _guarded(call, self.function, None)
            if after is None:
                return False
            record.clear()
            record.update(after)
            return True

        return change


def _read(text: bytes) -> Any:
    """Return the value that a text in JSON means."""
    try:
        return json.loads(text)
    except ValueError:  # int() refuses numbers of more than 4,300 digits
        pass
    raise Refusal("it holds a number too long to be read")


def _has_twice(text: bytes) -> bool:
    """Whether a name comes twice in a value, so that a function was not given all of it."""
    found = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        names = dict(pairs)
        found = found or len(names) != len(pairs)
        return names

    json.loads(text, object_pairs_hook=members)
    return found


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the last detail: types, the order of names, zeros."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_is_same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise Refusal("a function returned a member whose name is no text")
    return name


def _guarded(call: Callable[[], _T], function: object, field: str | None) -> _T:
    """Call a host's function and read what it returns, which may run the host's code too.

    Of what is raised only the kind is told, and an exit of the interpreter is none.
    """
    try:
        return call()
    except (Refusal, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # it is the host's
        kind = type(error).__name__
    # Outside the handler: its context could hold what the record holds.
    raise Refusal(f"the function {_name_of(function)} failed with {kind}", field)
