"""Drift: fields that the schema does not know are counted, and mapped by case on request."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from archives import archive, lines_of
from hypothesis import given
from hypothesis import strategies as st

from cdds import DataFile, Dataset, Job, Timeframe
from cdds import transforms as t
from cdds.datasets import INTERACTION
from cdds.errors import RecordError
from cdds.records import Tally
from cdds.records.drift import MAX_NAME, MAX_NAMES, FieldCounts

SCHEMA = {
    "type": "object",
    "required": ["ID"],
    "properties": {"ID": {"type": "string"}, "N": {"type": "integer"}, "Mixed": {}},
}


def dataset(schema: dict[str, Any] = SCHEMA) -> Dataset:
    return Dataset("Thing", [DataFile(name="thing", label="Thing", schema=schema, key="ID")])


def job(schema: dict[str, Any] = SCHEMA, **options: Any) -> Job:
    return Job(dataset=dataset(schema), id="job", **options)


NAMES = ["ID", "N", "Mixed", "id", "n", "MIXED", "new", "\u00e4", "other"]
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers() | st.just("x"), max_size=5), max_size=10
)
PLAIN_AND_NOT = st.sampled_from([SCHEMA, SCHEMA | {"minProperties": 0}])


def without_new_and_other(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in {"new", "other"}}


CHANGES = st.sampled_from(
    [
        [],
        [t.Mask("Mixed")],
        [t.Keep("ID", "N")],
        [t.Mask("Mixed"), t.Keep("ID", "Mixed")],
        [t.ApplyToRecord(without_new_and_other)],
        [t.Keep("ID", "*.x")],
        [t.Drop("N"), t.Drop("*.x")],
    ]
)


@given(RECORDS, PLAIN_AND_NOT, st.integers(1, 10), CHANGES)
def test_each_field_of_an_exported_record_that_the_schema_does_not_know_is_counted(
    records: list[dict[str, Any]], schema: dict[str, Any], at_once: int, changes: list[Any]
) -> None:
    """All that the source gave for the host, and for the archive those that it still holds."""
    made = job(schema, on_invalid="reject", transforms={"thing": changes} if changes else {})
    found = archive(made, at_once=at_once, thing=lines_of(*records))
    expected = Counter(
        name
        for record in records
        if isinstance(record.get("ID"), str) and isinstance(record.get("N", 0), int)
        for name in record
        if name not in SCHEMA["properties"]
    )
    assert found.tally.unknown_fields == ({"thing": dict(expected)} if expected else {})
    held = Counter(
        name
        for record in found.records("Thing")
        for name in record
        if name not in SCHEMA["properties"]
    )
    assert found.manifest.get("unknown_fields", {}) == ({"thing": dict(held)} if held else {})


@pytest.mark.parametrize("schema", [SCHEMA, SCHEMA | {"minProperties": 0}])
def test_a_name_that_is_taken_away_is_nowhere_in_the_archive(schema: dict[str, Any]) -> None:
    records = lines_of(
        {"ID": "1", "+49 30 901820": "x"}, {"ID": "2"}, {"ID": "3", "+49 30 901820": 1}
    )

    found = archive(job(schema, transforms={"thing": [t.Keep("ID")]}), thing=records)

    assert found.tally.unknown_fields == {"thing": {"+49 30 901820": 2}}
    assert not [name for name, data in found.files.items() if b"901820" in data]


def test_names_that_only_escapes_can_say_do_no_harm_beside_others() -> None:
    line = b'{"ID":"1","\\ud800":1,"\\u006eew":2,"Mixed":"x"}\n'

    found = archive(job(transforms={"thing": [t.Mask("Mixed")]}), thing=line)

    assert found.manifest["unknown_fields"] == {"thing": {"new": 1, "*": 1}}


@given(st.lists(st.integers(0, 3 * MAX_NAMES), max_size=600))
def test_the_first_names_in_order_are_counted_exactly_whatever_the_order(
    numbers: list[int],
) -> None:
    names = [f"{number:03}" for number in numbers]
    counts = FieldCounts()
    counts.update(names)
    listed = sorted(set(names))[:MAX_NAMES]
    true = Counter(names)
    others = len(names) - sum(true[name] for name in listed)
    expected = {name: true[name] for name in listed} | ({"*": others} if others else {})
    assert counts.listing() == expected


@pytest.mark.parametrize("name", ["", "*", "a\nb", "x" * (MAX_NAME + 1), "\x1b[31m", "\ud800"])
def test_a_name_that_is_hardly_one_is_counted_and_not_shown(name: str) -> None:
    found = archive(job(), thing=lines_of({"ID": "1", name: "secret"}))
    assert found.tally.unknown_fields == {"thing": {"*": 1}}


def test_a_hostile_record_leaves_a_bounded_listing() -> None:
    record = {"ID": "1"} | {f"n{number}": 0 for number in range(100_000)}
    found = archive(job(), thing=lines_of(record))
    listing = found.tally.unknown_fields["thing"]
    assert len(listing) == MAX_NAMES + 1
    assert listing["*"] == 100_000 - MAX_NAMES


@pytest.mark.parametrize(
    ("schema", "options"),
    [
        ({"type": "object"}, {}),
        (SCHEMA | {"patternProperties": {"^x": {}}}, {}),
        (SCHEMA, {"validate": False}),
    ],
)
def test_where_the_schema_does_not_tell_fields_or_is_not_asked_nothing_is_reported(
    schema: dict[str, Any], options: dict[str, Any]
) -> None:
    found = archive(job(schema, **options), thing=lines_of({"ID": "1", "new": 1}))
    assert found.tally.unknown_fields == {}
    assert "unknown_fields" not in found.manifest


def test_what_the_data_file_itself_names_is_known() -> None:
    schema = {"type": "object", "properties": {"ID": {"type": "string"}}}
    file = DataFile(name="thing", label="T", schema=schema, key="ID", timestamps=["WHEN"])
    made = Job(dataset=Dataset("Thing", [file]), id="job")
    found = archive(made, thing=lines_of({"ID": "1", "WHEN": "2025-01-01", "new": 1}))
    assert found.tally.unknown_fields == {"thing": {"new": 1}}


# Names that differ only in case


RAW = st.sampled_from([b"1.10", b'"x"', b"12345678901234567890123", b'"\\ud800"', b'{"ID" : 1}'])


@given(st.dictionaries(st.sampled_from(["mixed", "Mixed", "other", "\u00c4"]), RAW))
def test_only_the_names_change_and_all_values_stay_to_the_byte(members: dict[str, bytes]) -> None:
    def line(names: dict[str, str]) -> bytes:
        pairs = [
            json.dumps(names.get(name, name), ensure_ascii=False).encode() + b":" + raw
            for name, raw in members.items()
        ]
        return b"{" + b",".join([b'"%b":"k"' % names["Id"].encode(), *pairs]) + b"}\n"

    given = line({"Id": "Id"})
    made = job(match_case=False, on_invalid="reject")
    found = archive(made, thing=given)
    if {"mixed", "Mixed"} <= set(members):
        (reject,) = found.tally.rejects
        assert reject.rule == "two of its members differ only in case"
        assert reject.field == "Mixed"
    else:
        assert found.data("Thing") == line({"Id": "ID", "mixed": "Mixed"})


@given(RECORDS, PLAIN_AND_NOT, st.integers(1, 10), st.booleans())
def test_case_is_mapped_whatever_the_schema_and_however_lines_are_cut(
    records: list[dict[str, Any]], schema: dict[str, Any], at_once: int, validate: bool
) -> None:
    known = {name.casefold(): name for name in ("ID", "N", "Mixed")}
    made = job(schema, match_case=False, on_invalid="reject", validate=validate)
    found = archive(made, at_once=at_once, thing=lines_of(*records))
    expected = []
    for record in records:
        mapped = {known.get(name.casefold(), name): value for name, value in record.items()}
        is_valid = isinstance(mapped.get("ID"), str) and isinstance(mapped.get("N", 0), int)
        if len(mapped) == len(record) and (is_valid or not validate):
            expected.append(mapped)
    assert found.records("Thing") == expected
    assert [list(record) for record in found.records("Thing")] == [list(r) for r in expected]


def test_selection_keys_and_parents_work_on_the_names_that_are_meant() -> None:
    records = [
        {"ixnid": "1", "StartDate": "2025-01-15T00:00:00Z", "mediatypeid": "chat"},
        {"ixnid": "2", "StartDate": "2024-01-15T00:00:00Z", "mediatypeid": "chat"},
        {"IXNID": "3", "STARTDATE": "2025-01-15T00:00:00Z", "MEDIATYPEID": "email"},
        {"IxnId": "4", "startdate": "2025-01-16T00:00:00Z", "MediaTypeId": "Chat"},
    ]
    documents = [{"id": f"d{i}", "entityId": str(i)} for i in range(1, 5)]
    made = Job(
        dataset=INTERACTION,
        id="job",
        match_case=False,
        media_types=["chat"],
        timeframe=Timeframe(datetime(2025, 1, 1, tzinfo=UTC)),
    )
    found = archive(made, interaction=lines_of(*records), document=lines_of(*documents))
    assert [r["IXNID"] for r in found.records("Interaction")] == ["1", "4"]
    assert [r["ENTITYID"] for r in found.records("Interaction-Attachment")] == ["1", "4"]
    assert found.tally.unmatched == 2
    assert found.tally.unknown_fields == {}


def test_a_name_that_could_mean_two_properties_is_refused() -> None:
    schema = {"type": "object", "properties": {"Id": {}, "ID": {}}}
    with pytest.raises(RecordError, match="several properties"):
        archive(job(schema, match_case=False), thing=lines_of({"iD": 1}))
    both = lines_of({"Id": 1, "ID": 2})
    assert archive(job(schema, match_case=False), thing=both).data("Thing") == both


def test_by_default_case_matters() -> None:
    with pytest.raises(RecordError, match="ID is required"):
        archive(job(), thing=lines_of({"id": "1"}))
    assert archive(job(), thing=lines_of({"ID": "1", "n": 1})).tally.unknown_fields == {
        "thing": {"n": 1}
    }


@pytest.mark.parametrize("match_case", [True, False])
@pytest.mark.parametrize(
    ("line", "key", "rule"),
    [
        (b'{"ID":"k1","N":"x"}', "k1", "its type must be integer"),
        (b'{"ID":17,"N":1}', "17", "its type must be string"),
        (b'{"ID":true}', None, "its type must be string"),
        (b'{"ID":"a\\nb","N":"x"}', None, "its type must be"),
        (b'{"N":1}', None, "required"),
        (b'{"ID":"k1",', None, "not JSON"),
        (b'{"ID":"k1","Mixed":"\xff"}', None, "not UTF-8"),
    ],
)
def test_a_reject_has_the_key_of_its_record_where_there_is_a_plausible_one(
    line: bytes, key: str | None, rule: str, match_case: bool
) -> None:
    made = job(on_invalid="reject", match_case=match_case)
    good = lines_of({"ID": "1"})
    found = archive(made, thing=good + line + b"\n" + good)
    (reject,) = found.tally.rejects
    assert (reject.position, reject.key) == (2, key)
    assert rule in reject.rule
    assert found.manifest["rejects"] == [attrs.asdict(reject)]
    assert found.data("Thing") == good * 2


@pytest.mark.parametrize("name", ["ID", "id"])
def test_a_record_that_a_function_fails_on_is_told_by_the_key_that_is_meant(name: str) -> None:
    def fail(value: object) -> object:
        raise ValueError(value)

    rule = {"thing": [t.Apply(fail, "Mixed")]}
    made = job(match_case=False, on_invalid="reject", transforms=rule)
    found = archive(made, thing=lines_of({name: "k1", "Mixed": 1}))
    assert [reject.key for reject in found.tally.rejects] == ["k1"]


def test_counts_without_names_make_no_listing() -> None:
    tally = Tally()
    tally.drift("thing", [], [])
    assert tally.unknown_fields == {}
