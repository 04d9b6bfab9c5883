"""The record schemas of Contact History, as they are packed into every archive.

Recipients check their files against them, so names, order and types are a promise. What the
schemas say is pinned here twice: by a few anchors that any reader can follow, and, where the
reference is at hand, property by property.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

PROPERTY_COUNTS = {"interaction": 93, "document": 9, "contact": 21, "contactattribute": 13}
REQUIRED = {
    "interaction": ["IXNID"],
    "document": [],
    "contact": ["CONTACTID"],
    "contactattribute": [],
}
SCHEMA_KEYS = ["$schema", "$id", "type", "title", "description", "required", "properties"]
PROPERTY_KEYS = {"$id", "type", "format", "title", "description"}

# Position of a property, counted from zero; -1 is the last one.
ANCHORS = [
    ("interaction", 0, "IXNID"),
    ("interaction", 1, "STATUS"),
    ("interaction", 26, "QUEUEENAME"),
    ("interaction", 27, "ALLATTRIBUTES"),
    ("interaction", 37, "STRATTRIBUTE10"),
    ("interaction", 48, "FROMADDRESS"),
    ("interaction", 59, "FromAddressEmailOut"),
    ("interaction", 69, "STANDARDRESPONSEID"),
    ("interaction", 70, "ESTABLISHEDDATE"),
    ("interaction", 91, "CONTENT"),
    ("interaction", -1, "SUBSCRIBERID"),
    ("document", 0, "ID"),
    ("document", 7, "ENTITYID"),
    ("document", -1, "ENTITYTYPEID"),
    ("contact", 0, "CONTACTID"),
    ("contact", 14, "DATEATTRIBUTE1"),
    ("contact", -1, "SUBSCRIBERID"),
    ("contactattribute", 0, "ID"),
    ("contactattribute", 3, "ATTRIBUTENAME"),
    ("contactattribute", -1, "SUBTENANTID"),
]

Schema = dict[str, Any]

every_schema = pytest.mark.parametrize("name", PROPERTY_COUNTS)


def read_bytes(name: str) -> bytes:
    return (files("cdds.datasets") / "schemas" / f"{name}.json").read_bytes()


def load(name: str) -> Schema:
    schema: Schema = json.loads(read_bytes(name), object_pairs_hook=refuse_duplicates)
    return schema


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object as `json` does, but fail where it would silently keep the last of two."""
    result = dict(pairs)
    assert len(result) == len(pairs), f"duplicate key among {[key for key, _ in pairs]}"
    return result


def properties(name: str) -> Iterator[tuple[str, Schema]]:
    yield from load(name)["properties"].items()


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The field lists that the schemas were made from; they are no part of this repository."""
    given = os.environ.get("CDDS_REFERENCE")
    beside = Path(__file__).parents[3] / "shared" / "reference"
    if given:
        path = Path(given)
    elif beside.is_dir():
        path = beside / "contact-history-fields.json"
    else:
        pytest.skip(f"no reference: CDDS_REFERENCE is not set and there is no {beside}")
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return fields


def test_the_package_holds_these_four_schemas_and_no_other() -> None:
    folder = files("cdds.datasets") / "schemas"
    found = {entry.name for entry in folder.iterdir() if entry.name.endswith(".json")}
    assert found == {f"{name}.json" for name in PROPERTY_COUNTS}


@every_schema
def test_is_a_valid_draft_7_schema(name: str) -> None:
    schema = load(name)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


@every_schema
def test_file_is_utf_8_indented_by_two_with_one_newline_at_the_end(name: str) -> None:
    text = read_bytes(name).decode("utf-8")
    assert text == json.dumps(load(name), indent=2, ensure_ascii=False) + "\n"


@every_schema
def test_top_level(name: str) -> None:
    schema = load(name)
    assert list(schema) == SCHEMA_KEYS
    assert schema["$id"] == f"http://genesys.com/gdps/schema/9.0.001.07/{name}.json"
    assert schema["type"] == "object"
    assert schema["title"].endswith(" schema")
    assert schema["description"].endswith(".")


@every_schema
def test_number_of_properties(name: str) -> None:
    assert len(load(name)["properties"]) == PROPERTY_COUNTS[name]


@every_schema
def test_required_properties(name: str) -> None:
    assert load(name)["required"] == REQUIRED[name]


@pytest.mark.parametrize(("name", "position", "expected"), ANCHORS)
def test_order_of_properties(name: str, position: int, expected: str) -> None:
    assert list(load(name)["properties"])[position] == expected


@every_schema
def test_each_property_is_called_what_its_key_says(name: str) -> None:
    for key, field in properties(name):
        assert field["$id"] == f"#/properties/{key}"
        assert field["title"] == f"The {key} Schema"


@every_schema
def test_each_property_has_a_known_type(name: str) -> None:
    for key, field in properties(name):
        assert field["type"] in {"string", "integer", "object"}, key


def test_only_the_user_data_is_an_object() -> None:
    objects = [
        (name, key)
        for name in PROPERTY_COUNTS
        for key, field in properties(name)
        if field["type"] == "object"
    ]
    assert objects == [("interaction", "ALLATTRIBUTES")]


def test_only_the_date_attributes_of_a_contact_have_a_format() -> None:
    formats = {
        (name, key): field["format"]
        for name in PROPERTY_COUNTS
        for key, field in properties(name)
        if "format" in field
    }
    assert formats == {("contact", f"DATEATTRIBUTE{n}"): "int64" for n in (1, 2, 3)}


@every_schema
def test_no_property_carries_a_default(name: str) -> None:
    """The guide gives integers string defaults: whoever applied one would break the record."""
    for key, field in properties(name):
        assert "default" not in field, key


@every_schema
def test_no_property_carries_a_constraint_of_our_own(name: str) -> None:
    for key, field in properties(name):
        assert set(field) <= PROPERTY_KEYS, key


@every_schema
def test_each_description_is_a_sentence(name: str) -> None:
    for key, field in properties(name):
        if "description" in field:
            text = field["description"]
            assert text == text.strip(), key
            assert text.endswith("."), key


@pytest.mark.parametrize(
    ("name", "record"),
    [
        (
            "interaction",
            {"IXNID": "0002Ha7QB2MX000R", "STATUS": 3, "ALLATTRIBUTES": {"a": {"b": 1}}},
        ),
        ("interaction", {"IXNID": "0002Ha7QB2MX000R", "ADDED_BY_A_HOST": True}),
        ("document", {}),
        ("contact", {"CONTACTID": "00001a57JGQ00039", "DATEATTRIBUTE1": "1249461025467"}),
        ("contactattribute", {"ATTRIBUTENAME": "LastName", "STRVALUE": "Joseph", "ISPRIMARY": 1}),
    ],
)
def test_accepts(name: str, record: Schema) -> None:
    assert list(Draft7Validator(load(name)).iter_errors(record)) == []


@pytest.mark.parametrize(
    ("name", "record", "path", "validator"),
    [
        ("interaction", {}, [], "required"),
        ("interaction", {"IXNID": "x", "STATUS": "3"}, ["STATUS"], "type"),
        ("interaction", {"IXNID": "x", "ALLATTRIBUTES": "{}"}, ["ALLATTRIBUTES"], "type"),
        ("document", {"THESIZE": "628"}, ["THESIZE"], "type"),
        ("contact", {"TENANTID": 101}, [], "required"),
        ("contact", {"CONTACTID": "x", "DATEATTRIBUTE1": 1}, ["DATEATTRIBUTE1"], "type"),
        ("contactattribute", {"ISPRIMARY": "1"}, ["ISPRIMARY"], "type"),
    ],
)
def test_refuses(name: str, record: Schema, path: list[str], validator: str) -> None:
    (error,) = Draft7Validator(load(name)).iter_errors(record)
    assert (list(error.path), error.validator) == (path, validator)


def test_the_reference_knows_the_same_schemas(reference: dict[str, Any]) -> None:
    assert set(reference) == set(PROPERTY_COUNTS)


@every_schema
def test_agrees_with_the_reference_in_every_property(name: str, reference: dict[str, Any]) -> None:
    expected = reference[name]
    schema = load(name)
    assert schema["$id"] == expected["$id"]
    assert schema["required"] == expected["required"]
    assert [
        (key, field["type"], field.get("format")) for key, field in schema["properties"].items()
    ] == [(field["name"], field["type"], field.get("format")) for field in expected["properties"]]
