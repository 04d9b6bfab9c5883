"""Which fields there are: `Drop`, `Keep`, and what all rules on fields share.

Place: above paths, reach and schemas. A rule knows what it does to a record, what it does to the
schema of records, and how it is told in words and in the manifest. None of them holds a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

from cdds.errors import JobError
from cdds.members import Members
from cdds.transforms.paths import Steps, steps_of
from cdds.transforms.reach import GONE, Change, Kept, keep, reaching
from cdds.transforms.schemas import (
    Schema,
    changed_at,
    check_field,
    check_references,
    kept_of,
    required_of,
)

Step: TypeAlias = Callable[[Members], bool]
"""Changes a record in place, and returns whether it did."""

Write: TypeAlias = Callable[[Any], bytes]
"""Returns the exact JSON of a value, or raises a `Refusal`."""


def _paths(fields: Iterable[str]) -> tuple[Steps, ...]:
    return tuple(map(steps_of, fields))


def checked_fields(_: object, __: object, fields: tuple[str, ...]) -> None:
    """Refuse, as a validator of attrs, what are no paths of fields with a JobError."""
    if not fields:
        raise JobError("a transform of fields names at least one, such as SUBJECT")
    _paths(fields)


def joined(fields: Iterable[str]) -> str:
    """Return fields as a sentence lists them."""
    return ", ".join(fields)


class OfFields:
    """What the rules share that change some fields, each named by a path."""

    __slots__ = ()
    kind: ClassVar[str]
    is_hosts_own: ClassVar[bool] = False
    fields: tuple[str, ...]

    def describe(self) -> str:
        """Return what it does, in words."""
        raise NotImplementedError

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return {"kind": self.kind, "fields": list(self.fields)}

    def schema_after(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of the records after it.

        Raises:
            JobError: the schema does not know a field, or cannot be changed.
        """
        check_references(schema)
        for field in self.fields:
            check_field(schema, field, steps_of(field))
        for field in self.fields:
            schema = changed_at(schema, steps_of(field), self._schema)
        return schema

    def changes(self, write: Write) -> Step:
        """Return the function that changes a record in place and tells whether it did."""
        steps = [reaching(steps_of(field), self._change(field, write)) for field in self.fields]

        def change(record: Members) -> bool:
            changes = [step(record) for step in steps]
            return any(changes)

        return steps[0] if len(steps) == 1 else change

    def _schema(self, schema: Schema) -> Any:
        raise NotImplementedError

    def _change(self, field: str, write: Write) -> Change:
        raise NotImplementedError


@attrs.frozen(init=False)
class Drop(OfFields):
    """Takes fields away.

    >>> Drop("FROMADDRESS", "ALLATTRIBUTES.FirstName", "ALLATTRIBUTES.*.Phone")

    Raises:
        JobError: no field is given, or one is no path.
    """

    kind: ClassVar[str] = "drop"
    fields: tuple[str, ...] = attrs.field(validator=checked_fields)

    def __init__(self, *fields: str) -> None:
        self.__attrs_init__(fields)

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"drops {joined(self.fields)}"

    def _schema(self, schema: Schema) -> Any:  # noqa: ARG002
        return GONE

    def _change(self, field: str, write: Write) -> Change:  # noqa: ARG002
        return lambda node: GONE  # noqa: ARG005


@attrs.frozen(init=False)
class Keep(OfFields):
    """Keeps these fields and takes all others away, those that the schema does not know too.

    Of an array in the way of a path each element keeps what the path says; what is neither an
    object nor an array in the way goes.

    >>> Keep("IXNID", "STARTDATE", "ALLATTRIBUTES.Subject")

    Raises:
        JobError: no field is given, or one is no path.
    """

    kind: ClassVar[str] = "keep"
    fields: tuple[str, ...] = attrs.field(validator=checked_fields)

    def __init__(self, *fields: str) -> None:
        self.__attrs_init__(fields)

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"keeps only {joined(self.fields)}"

    def schema_after(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of the records after it.

        Raises:
            JobError: the schema does not know a field, requires one that is not kept, or cannot
                be changed.
        """
        check_references(schema)
        kept = Kept(_paths(self.fields))
        for field in self.fields:
            check_field(schema, field, steps_of(field))
        missing = [name for name in required_of(schema) if kept.of(name) is None]
        if missing:
            raise JobError(
                f"transforms: the schema requires {joined(missing)}, which Keep leaves out; "
                "keep it, or take it away with Drop before"
            )
        after: Mapping[str, Any] = kept_of(schema, kept)
        return after

    def changes(self, write: Write) -> Step:  # noqa: ARG002
        """Return the function that changes a record in place and tells whether it did."""
        kept = Kept(_paths(self.fields))
        return lambda record: keep(record, kept)
