"""What a JSON Schema says in plain words: which properties there are, and of which types.

Place: at the very ground, for all rooms that ask it before any record is there. It judges nothing:
what the rules of draft 7 forbid is read as if it were not there, for the gate refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties that a schema names, with what it says of them."""
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def types_of(schema: Any) -> frozenset[str]:
    """Return the types of JSON that a schema, or a part of one, names; none where it is silent."""
    stated = schema.get("type") if isinstance(schema, Mapping) else None
    names = stated if isinstance(stated, list) else [stated]
    return frozenset(name for name in names if isinstance(name, str))
