"""Which properties may be null, as a schema says.

Place: the ground of the records room; nulls are left out where they are not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdds.json_schema import properties_of, types_of


def nullable(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the properties for which the schema allows null explicitly."""
    properties = properties_of(schema)
    return frozenset(name for name, sub in properties.items() if "null" in types_of(sub))


def not_nullable(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the properties that the schema knows and does not allow to be null explicitly."""
    return frozenset(properties_of(schema)) - nullable(schema)
