"""Which columns the records of a data file make, as their JSON Schema says.

Place: the ground of tables. It knows names and kinds alone: neither values nor any library of
tables. What the schema leaves open stays the JSON text that it is, so nothing is guessed.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import Any

import attrs

from cdds.errors import JobError
from cdds.json_schema import properties_of, types_of

_CONTACT_HISTORY = "http://genesys.com/gdps/schema/"
_CONTACT_HISTORY_DATES = frozenset(
    (
        "CREATEDDATE",
        "DATEVALUE",
        "ENDDATE",
        "ENDTIME",
        "ESTABLISHEDDATE",
        "MODIFIEDDATE",
        "RELEASEDDATE",
        "SENTDATE",
        "STARTDATE",
        "STARTTIME",
        "SentDateEmailOut",
    )
)
"""The texts in ISO 8601 of these schemas, where only descriptions say so."""

_OTHERS = "additional_properties"


class Kind(enum.Enum):
    """What the values of a column are."""

    TEXT = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    BOOLEAN = enum.auto()
    TIMESTAMP = enum.auto()
    """A text in ISO 8601; one without a zone is UTC."""
    BINARY = enum.auto()
    """A text in base64."""
    JSON = enum.auto()
    """Any value, as the JSON text that it was written as."""


_BY_TYPES = {
    frozenset({"string"}): Kind.TEXT,
    frozenset({"integer"}): Kind.INTEGER,
    frozenset({"number"}): Kind.NUMBER,
    frozenset({"integer", "number"}): Kind.NUMBER,
    frozenset({"boolean"}): Kind.BOOLEAN,
}


@attrs.frozen
class Column:
    """A property of the records, and what its values are."""

    name: str
    kind: Kind


@attrs.frozen
class Columns:
    """All columns that records make.

    Attributes:
        known: a column for each property that the schema knows, in its order.
        others: the name of the column that holds all other members of a record, as one JSON
            object; None if the schema allows no others.
    """

    known: tuple[Column, ...]
    others: str | None


def columns_of(
    schema: Mapping[str, Any], *, timestamps: Collection[str] = (), texts: Collection[str] = ()
) -> Columns:
    """Return the columns of records that a JSON Schema, draft 7, describes.

    A property is a timestamp where it is a string and its format is ``date-time``, and so are the
    dates of Contact History, unless a transform has changed them; a string whose contentEncoding
    is ``base64`` is binary. Properties of several types, of objects or of arrays are JSON.

    Args:
        schema: the schema.
        timestamps: further strings that are timestamps.
        texts: properties that stay as they are written, whatever the schema says: a string is a
            text, and all else JSON.

    Raises:
        JobError: a name is no property of the schema, or no string that could be a timestamp.
    """
    known = _properties(schema)
    _refuse_unknown("timestamps", timestamps, known)
    _refuse_unknown("texts", texts, known)
    dates = _CONTACT_HISTORY_DATES if _is_contact_history(schema) else frozenset()
    columns = []
    for name, said in known.items():
        if name in texts:
            kind = Kind.TEXT if _types(said) == {"string"} else Kind.JSON
        elif name in timestamps:
            kind = _timestamp(name, said)
        else:
            kind = _kind(said, is_date=name in dates and "$comment" not in said)
        columns.append(Column(name, kind))
    return Columns(tuple(columns), _others(schema, known))


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that can be columns, for a name may hold half a surrogate pair."""
    known = {} if "$ref" in schema else properties_of(schema)  # beside it nothing counts
    return {name: said for name, said in known.items() if _is_text(name)}


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_unknown(what: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise JobError(f"{what}: the schema of the data file has no property {unknown[0]!a}")


def _is_contact_history(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("$id")).startswith(_CONTACT_HISTORY)


def _types(said: Any) -> frozenset[str]:
    """Return the types that a property may have besides null; none where its schema leaves it."""
    if isinstance(said, Mapping) and "$ref" in said:
        return frozenset()
    return types_of(said) - {"null"}


def _timestamp(name: str, said: Any) -> Kind:
    if _types(said) <= {"string"}:
        return Kind.TIMESTAMP
    raise JobError(f"timestamps: the schema of the data file says that {name!a} is no string")


def _kind(said: Any, *, is_date: bool) -> Kind:
    kind = _BY_TYPES.get(_types(said), Kind.JSON)
    if kind is not Kind.TEXT:
        return kind
    if is_date or said.get("format") == "date-time":
        return Kind.TIMESTAMP
    return Kind.BINARY if str(said.get("contentEncoding")).lower() == "base64" else Kind.TEXT


def _others(schema: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Return a name for what the schema does not know; None if it allows nothing of that kind."""
    if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
        return None
    name = _OTHERS
    while name in known:
        name = f"_{name}"
    return name
