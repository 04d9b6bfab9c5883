"""Whatever stands in the place of a schema, it is told which properties may be null.

They and those that may not are all properties that the schema names, none is both, and a property
of which the schema says its types is told right, as `jsonschema` says.
"""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft7Validator, SchemaError

from cdds.json_schema import properties_of
from cdds.records.nulls import not_nullable, nullable

READS = ("cdds.json_schema", "cdds.records.nulls")
WORDS = (b'{"properties":', b'"type":', b'"null"', b'["string","null"]', b"true", b"{}")


def check(data: bytes) -> None:
    """Check the invariant for a schema."""
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(schema, dict):
        return
    properties = properties_of(schema)
    assert nullable(schema) | not_nullable(schema) == set(properties)
    assert not nullable(schema) & not_nullable(schema)
    for name, said in properties.items():
        if isinstance(said, dict) and "type" in said:
            _check_property(said["type"], name in nullable(schema))


def _check_property(types: Any, is_nullable: bool) -> None:
    try:
        Draft7Validator.check_schema({"type": types})
    except SchemaError:
        return
    assert Draft7Validator({"type": types}).is_valid(None) == is_nullable
