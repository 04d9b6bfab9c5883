"""Which properties may be null, as a schema says.

Place: the ground of the records room; nulls are left out where they are not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nullable(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the properties for which the schema allows null explicitly."""
    return frozenset(name for name, sub in _properties(schema).items() if "null" in _types(sub))


def not_nullable(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the properties that the schema knows and does not allow to be null explicitly."""
    return frozenset(_properties(schema)) - nullable(schema)


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties", {})
    return properties if isinstance(properties, Mapping) else {}


def _types(schema: Any) -> list[str]:
    names = schema.get("type", []) if isinstance(schema, Mapping) else []
    return names if isinstance(names, list) else [names]
