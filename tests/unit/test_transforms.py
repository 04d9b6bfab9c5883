"""Transforms: what is changed is changed everywhere and told; all else stays to the byte."""

from __future__ import annotations

import json
import pickle
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest
from archives import archive, lines_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

import cdds
import cdds.estimates
from cdds import DataFile, Dataset, Job
from cdds import transforms as t
from cdds.datasets import CONTACT, INTERACTION
from cdds.errors import JobError, RecordError
from cdds.model import Transform

KEY = b"a key of 16 bytes or more"
NAMES = ("A", "B", "C")
OPEN = {"type": "object", "properties": dict.fromkeys(NAMES, True)}


def dataset(schema: Mapping[str, Any] = OPEN, key: str | None = None) -> Dataset:
    return Dataset("Thing", [DataFile(name="thing", label="Thing", schema=schema, key=key)])


def job(*transforms: Transform, schema: Mapping[str, Any] = OPEN, **options: Any) -> Job:
    given = {"thing": transforms}
    return Job(dataset=dataset(schema), id="job", transforms=given, **options)


def changed(line: bytes, *transforms: Transform) -> bytes:
    return archive(job(*transforms), thing=line).data("Thing")


def value(record: Any, *transforms: Transform) -> Any:
    return json.loads(changed(lines_of(record), *transforms))


# What is not touched


RAW = st.sampled_from(
    [
        b"1.10",
        b"1E5",
        b"-0.0",
        b"12345678901234567890123456789012345678901234567890",
        b'"caf\\u00e9 \\/"',
        '"café 🙂"'.encode(),
        b'"\\ud800"',
        b"null",
        b"true",
        b'{"x" : [1 , 2.50],"y":{"x":"\\u0041"}}',
        b'[{"x":1},  [ ], "\\n"]',
        b"1e-400",
    ]
)
NAME = st.sampled_from([*NAMES, "D", "x.y", "*", "\u00e4", "with space", ""])
RAW_RECORD = st.dictionaries(NAME, RAW)


def written(members: Mapping[str, bytes]) -> bytes:
    names = [json.dumps(name, ensure_ascii=False).encode() for name in members]
    pairs = [name + b":" + raw for name, raw in zip(names, members.values(), strict=True)]
    return b"{" + b",".join(pairs) + b"}\n"


@given(RAW_RECORD, st.sampled_from(NAMES))
def test_all_members_but_the_one_that_is_changed_stay_to_the_byte(
    members: dict[str, bytes], name: str
) -> None:
    dropped = changed(written(members), t.Drop(name))
    assert dropped == written({other: raw for other, raw in members.items() if other != name})
    applied = changed(written(members), t.Apply(lambda _: "new", name))
    here = members.get(name, b"null") != b"null"
    assert applied == written(members | ({name: b'"new"'} if here else {}))


@given(RAW_RECORD)
def test_what_a_function_leaves_as_it_was_stays_to_the_byte(members: dict[str, bytes]) -> None:
    line = written(members)
    assert changed(line, t.Apply(lambda value: value, *NAMES)) == line
    assert changed(line, t.ApplyToRecord(lambda record: record)) == line
    added = changed(line, t.ApplyToRecord(lambda record: record | {"new": 1}))
    assert added == written(members | {"new": b"1"})


@given(RAW_RECORD, st.sampled_from(["B.x", "C.*.x", "B.*", "*.x", "*"]))
def test_a_line_without_such_a_field_passes_as_it_stands(
    members: dict[str, bytes], path: str
) -> None:
    spaced = b" " + written({name: raw for name, raw in members.items() if raw[:1] not in b"[{"})
    if path in {"B.*", "*"}:
        path += ".x"
    assert changed(spaced, t.Drop(path), t.Mask(path)) == spaced


@given(RAW_RECORD)
def test_below_a_path_too_only_what_is_named_is_touched(members: dict[str, bytes]) -> None:
    inner = written(members)[:-1]
    line = b'{"Z":[1.10],"A":' + inner + b',"B":1.0}\n'
    rest = {name: raw for name, raw in members.items() if name != "x.y"}
    expected = b'{"Z":[1.10],"A":' + written(rest)[:-1] + b',"B":1.0}\n'
    assert changed(line, t.Drop("A.x\\.y")) == expected


@pytest.mark.parametrize(
    "line", [b'{"A":1,"A":2}\n', b'{"A":1,"\\u0041":2}\n', b'{"B":{"x":1,"x":2},"A":1}\n']
)
def test_a_name_that_comes_twice_where_a_change_is_made_is_refused(line: bytes) -> None:
    with pytest.raises(RecordError, match="comes twice"):
        changed(line, t.Drop("B.x"), t.Mask("A"))


def without(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "A"}


@pytest.mark.parametrize(
    "twice", ['{"x":1,"x":2}', '[{"y":{"x":1, "\\u0078":1}}]', '{"x":{},"y":0,"x":{}}']
)
@pytest.mark.parametrize(
    ("rule", "is_changed"),
    [
        (t.Apply(lambda _: 1, "A"), True),
        (t.Apply(lambda _: 1, "B"), False),
        (t.Apply(lambda value: value, "A"), False),
        (t.ApplyToRecord(lambda record: record | {"A": 1}), True),
        (t.ApplyToRecord(lambda record: without(record) | {"C": record["A"]}), True),
        (t.ApplyToRecord(lambda record: record | {"B": 1}), False),
        (t.ApplyToRecord(lambda record: record), False),
    ],
)
def test_what_a_function_was_not_shown_is_not_lost(
    rule: Transform, is_changed: bool, twice: str
) -> None:
    line = f'{{"A":{twice},"B":0}}\n'
    if is_changed:
        with pytest.raises(RecordError, match="comes twice"):
            changed(line.encode(), rule)
    else:
        assert f'"A":{twice}' in changed(line.encode(), rule).decode()


# What each of them does, held against a model that works on values


GONE = object()
Path = tuple[str, ...]


def model_drop(value: Any, path: Path) -> Any:
    if not path:
        return GONE
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        below = rest if step == "*" else path
        return [new for item in value if (new := model_drop(item, below)) is not GONE]
    if isinstance(value, dict):
        new = {k: model_drop(v, rest) if step in {k, "*"} else v for k, v in value.items()}
        return {k: v for k, v in new.items() if v is not GONE}
    return value


def model_keep(value: Any, paths: list[Path]) -> Any:
    if () in paths:
        return value
    if isinstance(value, list):
        each = [path[1:] if path[0] == "*" else path for path in paths]
        new = [model_keep(item, each) for item in value]
    elif isinstance(value, dict):
        below = {k: [path[1:] for path in paths if path[0] in {k, "*"}] for k in value}
        found = {k: model_keep(v, below[k]) if below[k] else GONE for k, v in value.items()}
        return {k: v for k, v in found.items() if v is not GONE}
    else:
        return GONE
    return [item for item in new if item is not GONE]


def leaves(value: Any, turn: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: leaves(item, turn) for name, item in value.items()}
    if isinstance(value, list):
        return [leaves(item, turn) for item in value]
    return None if value is None else turn(value)


SCALARS = st.none() | st.booleans() | st.integers(-9, 99) | st.text("ab\u00e9", max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES)
STEPS = st.sampled_from([*NAMES, "*"])
PATHS = st.lists(STEPS, min_size=1, max_size=4).map(tuple)


def texts(paths: list[Path]) -> list[str]:
    return [".".join(path) for path in paths]


@given(RECORDS, st.lists(PATHS, min_size=1, max_size=3))
def test_drop_takes_away_what_the_paths_name_and_nothing_else(
    record: dict[str, Any], paths: list[Path]
) -> None:
    expected: Any = record
    for path in paths:
        expected = model_drop(expected, path)
    assert value(record, t.Drop(*texts(paths))) == expected


@given(RECORDS, st.lists(PATHS, min_size=1, max_size=3))
def test_keep_keeps_what_the_paths_name_and_nothing_else(
    record: dict[str, Any], paths: list[Path]
) -> None:
    once = value(record, t.Keep(*texts(paths)))
    assert once == model_keep(record, paths)
    assert value(once, t.Keep(*texts(paths))) == once


@given(RECORDS, st.lists(PATHS, min_size=1, max_size=3))
@example({"A": [{"B": 1, "C": 2}]}, [("A", "*", "B"), ("A", "C")])
def test_what_is_kept_is_what_a_drop_would_reach(record: dict[str, Any], paths: list[Path]) -> None:
    """One path means the same to both: what Drop reaches in a record is there after Keep."""
    kept = value(record, t.Keep(*texts(paths)))
    for path in paths:
        once = value(record, t.Drop(*texts([path])))
        assert (once == record) == (value(kept, t.Drop(*texts([path]))) == kept)


@given(RECORDS, st.sampled_from(NAMES))
def test_to_keep_some_is_to_drop_the_others(record: dict[str, Any], name: str) -> None:
    others = [other for other in NAMES if other != name]
    assert value(record, t.Keep(name)) == value(record, t.Drop(*others))
    assert value(record, t.Keep(*NAMES)) == record


@given(VALUES, st.integers(0, 5))
def test_a_mask_shows_the_last_characters_and_how_long_it_is(inner: Any, keep_last: int) -> None:
    def model(leaf: Any) -> str:
        text = str(leaf)
        if isinstance(leaf, bool):
            return "****"
        shown = text[len(text) - keep_last :] if keep_last < len(text) else ""
        return "*" * (len(text) - len(shown)) + shown

    masked = value({"A": inner}, t.Mask("A", keep_last=keep_last))
    assert masked == {"A": leaves(inner, model)}


def test_a_mask_takes_another_character_and_half_a_pair() -> None:
    assert value({"A": "abc\ud800"}, t.Mask("A", character="\u2588", keep_last=1)) == {
        "A": "\u2588\u2588\u2588\ud800"
    }


@given(st.lists(SCALARS, min_size=1))
def test_one_value_has_one_pseudonym_and_two_have_two(values: list[Any]) -> None:
    found = value({"A": values}, t.Pseudonymise("A", key=KEY))["A"]
    spelled = [v if v is None else json.dumps(v) if isinstance(v, bool) else str(v) for v in values]
    pairs = set(zip(spelled, found, strict=True))
    assert len(pairs) == len(set(spelled)) == len(set(found))
    assert all(v is None or len(v) == 32 for v in found)


@pytest.mark.parametrize(
    "spellings",
    [
        (b"7", b"7.0", b"0.7e1", b'"7"', b"70E-1"),
        (b"0", b"-0.0"),
        (b"0.05", b"5e-2", b'"0.05"'),
        (b"1e30", b"1" + b"0" * 30),
        (b"-12.50", b'"-12.5"'),
    ],
)
def test_a_number_is_one_value_in_all_its_spellings(spellings: tuple[bytes, ...]) -> None:
    line = b'{"A":[' + b",".join(spellings) + b"]}\n"
    assert len(set(json.loads(changed(line, t.Pseudonymise("A", key=KEY)))["A"])) == 1


def test_openssl_makes_the_same_pseudonym(judge: Callable[[str], str]) -> None:
    command = [
        judge("openssl"),
        "dgst",
        "-sha256",
        "-mac",
        "HMAC",
        "-macopt",
        f"hexkey:{KEY.hex()}",
    ]
    done = subprocess.run(command, input="Zo\u00eb".encode(), capture_output=True, check=True)
    digest = done.stdout.decode().split()[-1]
    assert value({"A": "Zo\u00eb"}, t.Pseudonymise("A", key=KEY)) == {"A": digest[:32]}


# Joins


def interactions(*ids: str) -> bytes:
    return lines_of(*({"IXNID": i, "CONTACTID": f"c{i}"} for i in ids))


def test_joins_hold_across_fields_files_datasets_and_runs() -> None:
    ids = ("1", "2", "three")
    documents = lines_of(*({"ID": "d", "ENTITYID": i} for i in (*ids, "other")))
    first = archive(
        Job(
            dataset=INTERACTION,
            id="job",
            transforms={
                "interaction": [t.Pseudonymise("IXNID", "CONTACTID", key=KEY)],
                "document": [t.Pseudonymise("ENTITYID", key=KEY)],
            },
        ),
        interaction=interactions(*ids),
        document=documents,
    )
    contacts = lines_of(*({"CONTACTID": f"c{i}"} for i in ids))
    second = archive(
        Job(
            dataset=CONTACT,
            id="job",
            transforms={"contact": [t.Pseudonymise("CONTACTID", key=KEY)]},
        ),
        contact=contacts,
    )
    ours, theirs = first.records("Interaction"), first.records("Interaction-Attachment")
    # Whose documents follow is decided by the keys as the source has them.
    assert first.tally.unmatched == 1
    assert [r["IXNID"] for r in ours] == [r["ENTITYID"] for r in theirs]
    assert [r["CONTACTID"] for r in ours] == [r["CONTACTID"] for r in second.records("Contact")]
    assert len({r["IXNID"] for r in ours}) == 3
    assert b"three" not in first.data("Interaction") + first.data("Interaction-Attachment")


def test_joins_hold_across_processes_by_a_rule_that_was_pickled() -> None:
    rule = t.Pseudonymise("A", key=secrets.token_bytes(16))
    program = (
        "import pickle, sys; from cdds.transforms import Chain\n"
        "rule = pickle.load(sys.stdin.buffer)\n"
        'sys.stdout.buffer.write(Chain([rule], repr, bytes)(b\'{"A":"x"}\\n\'))'
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(rule), capture_output=True, check=True
    )
    assert done.stdout == changed(b'{"A":"x"}\n', rule)


def test_another_key_gives_other_pseudonyms_and_another_name_of_the_key() -> None:
    one, other = t.Pseudonymise("A", key=KEY), t.Pseudonymise("A", key=KEY + b".")
    assert value({"A": "x"}, one) != value({"A": "x"}, other)
    assert one.key_id != other.key_id
    assert one.key_id == t.Pseudonymise("B", key=KEY).key_id


# The archive describes itself


TYPE = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])
SOME_PATHS = st.lists(PATHS, min_size=1, max_size=3).map(texts)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(NAMES)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPE | st.lists(TYPE, min_size=1, unique=True),
            "properties": st.dictionaries(names, inner),
            "required": st.lists(names, unique=True, max_size=1),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["A|B", "."]), inner, max_size=1),
            "items": inner | st.lists(inner, min_size=1, max_size=2),
            "minProperties": st.just(1),
            "maxLength": st.just(3),
            "uniqueItems": st.booleans(),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "dependencies": st.dictionaries(names, st.lists(names, unique=True), max_size=1),
            "$comment": st.just("as it was"),
            "default": SCALARS,
        },
    )


REFERENCE = st.just({"$ref": "#/definitions/text"})
SCHEMAS = st.recursive(st.just(True) | st.booleans() | REFERENCE, schemas, max_leaves=8)
TRANSFORMS = st.one_of(
    SOME_PATHS.map(lambda paths: t.Drop(*paths)),
    SOME_PATHS.map(lambda paths: t.Keep(*paths)),
    SOME_PATHS.map(lambda paths: t.Mask(*paths, keep_last=1)),
    SOME_PATHS.map(lambda paths: t.Pseudonymise(*paths, key=KEY)),
    st.just(t.Apply(str, "A")),
    st.just(t.Apply(str, "*.B", schema={"type": "string"})),
    st.just(t.Apply(lambda value: value, "A", "*.B", schema={"type": "string"})),
    st.just(t.ApplyToRecord(lambda record: record | {"C": 1})),
    st.just(t.ApplyToRecord(lambda record: record, schema={"required": ["A"]})),
)


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(NAMES), SCHEMAS, max_size=3),
    schemas(SCHEMAS),
    st.lists(RECORDS, min_size=1, max_size=6),
    st.lists(TRANSFORMS, min_size=1, max_size=3),
)
def test_every_line_fits_the_schema_that_stands_beside_it(
    properties: dict[str, Any],
    schema: dict[str, Any],
    records: list[dict[str, Any]],
    transforms: list[Transform],
) -> None:
    schema |= {"type": "object", "definitions": {"text": {"type": "string"}}}
    schema["properties"] = properties
    try:
        made = job(*transforms, schema=schema, on_invalid="reject")
    except JobError:  # a field that the schema does not know, or that is gone already
        return
    found = archive(made, thing=lines_of(*records))
    if found.records("Thing"):
        after = found.schema("thing")
        Draft7Validator.check_schema(after)
        for record in found.records("Thing"):
            Draft7Validator(after).validate(record)
    # What the built-in ones make fits by itself: only what was invalid before is left out.
    if not any(each.is_hosts_own for each in transforms):
        rules = {reject.rule for reject in found.tally.rejects}
        plain = archive(attrs.evolve(made, transforms=None), thing=lines_of(*records))
        assert rules == {reject.rule for reject in plain.tally.rejects}


def test_the_schema_tells_what_was_dropped_kept_masked_and_pseudonymised() -> None:
    rules = [
        t.Drop("FROMADDRESS", "ALLATTRIBUTES.Phone"),
        t.Mask("SUBJECT", "STATUS", keep_last=2),
        t.Pseudonymise("CONTACTID", key=KEY),
    ]
    made = Job(dataset=INTERACTION, id="job", transforms={"interaction": rules})
    found = archive(made, interaction=interactions("1"))
    schema, before = found.schema("interaction"), INTERACTION.files[0].schema
    assert "FROMADDRESS" not in schema["properties"]
    assert set(before["properties"]) - set(schema["properties"]) == {"FROMADDRESS"}
    for name in ("SUBJECT", "STATUS"):
        assert schema["properties"][name]["type"] == "string"
        assert schema["properties"][name]["$comment"] == (
            "masked with '*' but for the last 2 characters"
        )
    comment = schema["properties"]["CONTACTID"]["$comment"]
    assert comment == f"pseudonymised with HMAC-SHA-256 (key {rules[2].listing()['key_id']})"
    untouched = set(before["properties"]) - {"SUBJECT", "STATUS", "CONTACTID", "ALLATTRIBUTES"}
    for name in untouched & set(schema["properties"]):
        assert schema["properties"][name] == before["properties"][name]
    (entry,) = [e for e in found.manifest["files"] if e.get("data_file") == "interaction"]
    assert entry["transforms"] == [rule.listing() for rule in rules]
    assert [e["kind"] for e in entry["transforms"]] == ["drop", "mask", "pseudonymise"]


def test_after_keep_the_schema_has_those_fields_and_allows_no_other() -> None:
    rule = t.Keep("IXNID", "ALLATTRIBUTES.Subject", "ALLATTRIBUTES.*.Name")
    made = Job(dataset=INTERACTION, id="job", transforms={"interaction": [rule]})
    record = {"IXNID": "1", "STATUS": 1, "NEW": 2}
    record |= {"ALLATTRIBUTES": {"Subject": "s", "x": {"Name": 1, "y": 2}, "z": 3}}
    found = archive(made, interaction=lines_of(record))
    assert found.records("Interaction") == [
        {"IXNID": "1", "ALLATTRIBUTES": {"Subject": "s", "x": {"Name": 1}}}
    ]
    schema = found.schema("interaction")
    assert list(schema["properties"]) == ["IXNID", "ALLATTRIBUTES"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["IXNID"]


def test_what_a_required_property_that_is_dropped_leaves_is_required_no_longer() -> None:
    made = Job(dataset=INTERACTION, id="job", transforms={"interaction": [t.Drop("IXNID")]})
    found = archive(made, interaction=interactions("1"))
    assert found.records("Interaction") == [{"CONTACTID": "c1"}]
    assert found.schema("interaction")["required"] == []


def test_without_transforms_nothing_tells_of_them() -> None:
    found = archive(Job(dataset=INTERACTION, id="job"), interaction=interactions("1"))
    assert "transforms" not in found.files["manifest.json"].decode()
    assert "unknown_fields" not in found.manifest
    assert found.schema("interaction") == INTERACTION.files[0].schema
    assert found.data("Interaction") == interactions("1")


@given(st.lists(RECORDS, max_size=8), st.integers(1, 8), st.lists(TRANSFORMS, max_size=2))
def test_how_lines_are_cut_does_not_matter(
    records: list[dict[str, Any]], at_once: int, transforms: list[Transform]
) -> None:
    schema = OPEN | {"properties": {"A": {"type": "string"}, "B": True}}
    try:
        made = job(*transforms, schema=schema, on_invalid="reject")
    except JobError:
        return
    whole = archive(made, thing=lines_of(*records))
    pieces = archive(made, at_once=at_once, thing=lines_of(*records))
    assert pieces.files == whole.files


# A host's own functions


class Talkative(Exception):
    pass


def fails_on_secret(text: Any) -> Any:
    if "secret" in str(text):
        raise Talkative(f"cannot take {text}")
    return str(text).upper()


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def pseudonym(text: str) -> str:
    return str(value({"A": text}, t.Pseudonymise("A", key=KEY))["A"])


NUMBERED = {"type": "object", "properties": {"A": {}, "B": {"type": "integer"}, "C": {}}}
TOLD: list[tuple[list[Transform], str | None]] = [
    ([t.Mask("B")], "needle"),
    ([t.Keep("A")], "needle"),
    ([t.Apply(str, "B")], "needle"),
    ([t.Drop("A")], None),
    ([t.Drop("*")], None),
    ([t.Keep("B")], None),
    ([t.Mask("A", keep_last=2)], "****le"),
    ([t.Mask("*")], "******"),
    ([t.Pseudonymise("A", key=KEY)], pseudonym("needle")),
    ([t.Mask("A", keep_last=2), t.Pseudonymise("A", key=KEY)], pseudonym("****le")),
    ([t.Apply(str.upper, "A")], "NEEDLE"),
    ([t.Apply(len, "A", schema={"type": "integer"})], "6"),
    ([t.Apply(lambda _: [1], "A")], None),
    ([t.Apply(int, "A")], None),
    ([t.Mask("B"), t.ApplyToRecord(lambda record: record)], None),
]


@pytest.mark.parametrize("fault", ["invalid", "unserialisable", "no change"])
@pytest.mark.parametrize(("rules", "key"), TOLD)
def test_a_reject_tells_a_key_as_the_archive_would_have_it(
    rules: list[Transform], key: str | None, fault: str
) -> None:
    """In the manifest, in results and in errors, however early or late a record is refused."""
    faulty: dict[str, Any] = {"A": "needle", "B": "no integer"}
    if fault == "unserialisable":
        faulty["B"] = object()
    if fault == "no change":
        faulty, rules = {"A": "needle", "C": "x"}, [t.Apply(fails_on_needle, "C"), *rules]
    made = Job(dataset=dataset(NUMBERED, key="A"), id="job", transforms={"thing": rules})
    with pytest.raises(RecordError) as caught:
        cdds.estimates.estimated(made, cdds.sources.Records(thing=[faulty]))
    assert caught.value.reject.key == key
    assert key == "needle" or "needle" not in str(caught.value).replace("fails_on_needle", "")
    if fault != "unserialisable":
        found = archive(attrs.evolve(made, on_invalid="reject"), thing=lines_of(faulty))
        assert [reject.key for reject in found.tally.rejects] == [key]
        assert [reject["key"] for reject in found.manifest["rejects"]] == [key]


def fails_on_needle(value: str) -> str:
    raise Talkative(value)


@pytest.mark.parametrize("rule", [t.Apply(fails_on_secret, "B"), t.ApplyToRecord(fails_on_secret)])
@pytest.mark.parametrize("broken", ["", '{"A":'])
def test_an_error_of_a_function_tells_where_and_which_and_never_the_content(
    rule: Transform, broken: str
) -> None:
    given = {"thing": [rule]}
    schema = {"type": "object", "properties": {"A": {"type": "integer"}, "B": {"type": "string"}}}
    made = Job(dataset=dataset(schema, key="A"), transforms=given)
    lines = lines_of({"A": 1, "B": "b"}) if isinstance(rule, t.Apply) else b""
    with pytest.raises(RecordError) as caught:
        archive(made, thing=lines + lines_of({"A": 70, "B": "my secret"}) + broken.encode())
    reject = caught.value.reject
    assert (reject.data_file, reject.key) == ("thing", "70" if isinstance(rule, t.Apply) else None)
    assert reject.position == lines.count(b"\n") + 1
    assert reject.rule == "the function fails_on_secret failed with Talkative"
    assert reject.field == ("B" if isinstance(rule, t.Apply) else None)
    for error in chain_of(caught.value):
        assert "secret" not in f"{error!r}{error}".replace("fails_on_secret", "")
        assert not isinstance(error, Talkative)


class Lazy(Mapping[str, Any]):
    """Fails with the words of a record, but only when it is read."""

    def __getitem__(self, name: str) -> Any:
        raise ValueError("a secret")

    def __iter__(self) -> Iterator[str]:
        return iter("A")

    def __len__(self) -> int:
        return 1


class Quarrelsome(str):
    """Fails with the words of a record when it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("a secret")


def exits(_: Any) -> Any:
    sys.exit("a secret")


@pytest.mark.parametrize(
    "function",
    [
        exits,
        lambda _: Lazy(),
        lambda _: {"A": Lazy()},
        lambda _: {Quarrelsome("A"): 1},
        lambda _: {"A": {1, Quarrelsome("A")}},
    ],
)
@pytest.mark.parametrize("rule", [t.ApplyToRecord, lambda function: t.Apply(function, "A")])
def test_what_a_function_returns_can_no_more_speak_of_a_record_than_what_it_raises(
    rule: Callable[[Any], Transform], function: Callable[[Any], Any]
) -> None:
    with pytest.raises(RecordError) as caught:
        archive(job(rule(function)), thing=b'{"A":{"A":1}}\n')
    for error in chain_of(caught.value):
        assert "secret" not in f"{error!r}{error}"


def test_a_record_that_cannot_be_changed_is_a_reject_on_request_and_so_are_its_children() -> None:
    made = Job(
        dataset=INTERACTION,
        id="job",
        on_invalid="reject",
        transforms={"interaction": [t.Apply(fails_on_secret, "SUBJECT")]},
    )
    subjects = {"1": "one", "2": "a secret", "3": "three"}
    records = [{"IXNID": i, "SUBJECT": text} for i, text in subjects.items()]
    documents = [{"ID": f"d{i}", "ENTITYID": i} for i in subjects]
    found = archive(made, interaction=lines_of(*records), document=lines_of(*documents))
    assert [r["SUBJECT"] for r in found.records("Interaction")] == ["ONE", "THREE"]
    assert [r["ENTITYID"] for r in found.records("Interaction-Attachment")] == ["1", "3"]
    (reject,) = found.tally.rejects
    assert (reject.position, reject.key, reject.field) == (2, "2", "SUBJECT")
    assert (found.tally.records["interaction"], found.tally.unmatched) == (2, 1)
    assert found.manifest["rejects"][0]["key"] == "2"


@pytest.mark.parametrize(
    ("returned", "rule"),
    [
        (7, "after its transforms its type must be string"),
        (float("nan"), "NaN"),
        (object(), "a type that JSON does not have"),
        ({1: 2}, "a type that JSON does not have"),
    ],
)
def test_what_a_function_returns_must_fit_the_changed_schema(returned: Any, rule: str) -> None:
    schema = {"type": "object", "properties": {"A": {"type": "string"}}}
    with pytest.raises(RecordError, match=rule):
        archive(job(t.Apply(lambda _: returned, "A"), schema=schema), thing=b'{"A":"x"}\n')


def test_a_function_may_change_the_type_and_say_so() -> None:
    schema = {"type": "object", "properties": {"A": {"type": "string"}}}
    rule = t.Apply(len, "A", schema={"type": "integer"})
    found = archive(job(rule, schema=schema), thing=b'{"A":"abc"}\n')
    assert found.records("Thing") == [{"A": 3}]
    assert found.schema("thing")["properties"]["A"] == {
        "type": "integer",
        "$comment": "changed by the function len",
    }


@pytest.mark.parametrize(
    "rule",
    [
        t.Apply(lambda value: value, "A", schema={"type": "integer"}),
        t.ApplyToRecord(lambda record: record, schema={"type": "object", "required": ["zz"]}),
    ],
)
def test_what_a_function_leaves_as_it_was_must_fit_its_schema_too(rule: Transform) -> None:
    with pytest.raises(RecordError, match="after its transforms"):
        changed(b'{"A":"abc"}\n', rule)


@pytest.mark.parametrize("before", [True, {"type": ["string", "null"]}, {"enum": ["abc", None]}])
@pytest.mark.parametrize(
    "after",
    [{"type": "integer"}, {"type": ["integer"]}, {"minimum": 0}, {"enum": [3]}, {"type": "null"}],
)
def test_a_null_that_no_function_is_called_for_stays_allowed(before: Any, after: Any) -> None:
    schema = {"type": "object", "properties": {"A": before}}
    rule = t.Apply(lambda _: 3, "A", schema=after)
    lines = b'{"A":null}\n' + (b"" if after == {"type": "null"} else b'{"A":"abc"}\n')
    found = archive(job(rule, schema=schema), thing=lines)
    assert [record["A"] for record in found.records("Thing")] == [None, 3][: lines.count(b"\n")]
    for record in found.records("Thing"):
        Draft7Validator(found.schema("thing")).validate(record)


@pytest.mark.parametrize("returned", [None, [], "text", {3: 4}])
def test_a_function_of_records_returns_a_mapping_with_names(returned: Any) -> None:
    with pytest.raises(RecordError, match="returned"):
        changed(b'{"A":"x"}\n', t.ApplyToRecord(lambda _: returned))


def test_what_was_dropped_before_a_function_is_not_shown_to_it() -> None:
    seen: list[Any] = []

    def look(record: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(record))
        return record

    changed(b'{"A":"x","B":1}\n', t.Drop("A"), t.ApplyToRecord(look))
    assert seen == [{"B": 1}]


def test_transforms_are_made_in_the_order_in_which_they_are_given() -> None:
    up, mask = t.Apply(str.upper, "A"), t.Mask("A", keep_last=1)
    assert value({"A": "abc"}, up, mask) == {"A": "**C"}
    assert value({"A": "abc"}, t.Apply(len, "A"), t.Mask("A")) == {"A": "*"}
    assert value({"A": "abc"}, t.Mask("A"), t.Apply(len, "A", schema={})) == {"A": 3}


@pytest.mark.parametrize("validate", [True, False])
def test_unvalidated_records_are_changed_too(validate: bool) -> None:
    made = job(t.Drop("A"), validate=validate)
    assert archive(made, thing=b'{"A":"x", "B":1}\n\n').data("Thing") == b'{"B":1}\n'
    with pytest.raises(RecordError, match="not JSON"):
        archive(made, thing=b'{"A":\n')


DEEP = 100_000


@pytest.mark.parametrize("rule", [t.Mask("A"), t.Drop("A.x"), t.Keep("A.x"), t.Apply(str, "A")])
def test_what_is_nested_too_deeply_is_refused_and_harms_nothing(rule: Transform) -> None:
    fine = changed(b'{"B":1}\n', rule)
    for depth in (400, 900, DEEP):
        line = b'{"A":' + b"[" * depth + b"]" * depth + b"}\n"
        found = archive(job(rule, on_invalid="reject"), thing=line + b'{"B":1}\n')
        assert found.data("Thing").endswith(fine)
    assert [reject.position for reject in found.tally.rejects] == [1]
    assert "deep" in found.tally.rejects[0].rule


# Refused when the job is made


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: t.Drop("SUBJEKT"), "did you mean 'SUBJECT'"),
        (lambda: t.Mask("allattributes.x"), "did you mean 'ALLATTRIBUTES'"),
        (lambda: t.Keep("STATUS"), "requires IXNID"),
        (lambda: t.Keep("IXNID", "NO"), "'NO'"),
        (t.Drop, "at least one"),
        (lambda: t.Drop(""), "path"),
        (lambda: t.Drop("A..B"), "no path"),
        (lambda: t.Drop("A.b*"), "no path"),
        (lambda: t.Drop("A\\"), "no path"),
        (lambda: t.Drop(7), "path"),  # type: ignore[arg-type]
        (lambda: t.Mask("SUBJECT", keep_last=-1), "keep_last"),
        (lambda: t.Mask("SUBJECT", keep_last=True), "keep_last"),
        (lambda: t.Mask("SUBJECT", character="ab"), "character"),
        (lambda: t.Pseudonymise("SUBJECT", key=b"short"), "16"),
        (lambda: t.Pseudonymise("SUBJECT", key="a text of 16 characters or more"), "bytes"),  # type: ignore[arg-type]
        (lambda: t.Apply("SUBJECT"), "function"),  # type: ignore[arg-type]
        (lambda: t.Apply(str), "at least one"),
        (lambda: t.Apply(str, "SUBJECT", schema=[]), "mapping"),  # type: ignore[arg-type]
        (lambda: t.Apply(str, "SUBJECT", schema={"type": "text"}), "no JSON Schema"),
        (lambda: t.ApplyToRecord(None), "function"),  # type: ignore[arg-type]
        (lambda: "SUBJECT", "none of cdds.transforms"),
        (lambda: t.Drop, "none of cdds.transforms"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_job_is_made(
    make: Callable[[], Any], words: str
) -> None:
    with pytest.raises(JobError, match=words):
        Job(dataset=INTERACTION, transforms={"interaction": [make()]})


@pytest.mark.parametrize(
    "given", [[], {"documents": [t.Drop("ID")]}, {"docs": []}, {"document": t}, 7]
)
def test_transforms_are_lists_by_the_names_of_data_files(given: Any) -> None:
    with pytest.raises(JobError, match="transforms"):
        Job(dataset=INTERACTION, transforms=given)


def test_a_field_that_an_earlier_transform_takes_away_is_refused() -> None:
    with pytest.raises(JobError, match="an earlier transform"):
        Job(dataset=INTERACTION, transforms={"interaction": [t.Drop("SUBJECT"), t.Mask("SUBJECT")]})


def test_a_schema_that_refers_to_its_own_parts_is_refused() -> None:
    schema = {"type": "object", "properties": {"A": {"$ref": "#"}, "B": True}}
    with pytest.raises(JobError, match=r"\$ref"):
        job(t.Drop("B"), schema=schema)


TEXT = {"definitions": {"t": {"type": "string"}, "u": {"$ref": "#/definitions/t"}}}


@pytest.mark.parametrize(
    "reference", ["#", "#/definitions/t", "#/definitions/u", "#/definitions/none", "thing.json"]
)
def test_a_field_s_own_schema_with_a_reference_is_refused(reference: str) -> None:
    with pytest.raises(JobError, match=r"\$ref"):
        t.Apply(str, "A", schema=TEXT | {"items": [{"$ref": reference}]})


@pytest.mark.parametrize("name", ["A", "const", "default", "enum", "examples", "$ref"])
@pytest.mark.parametrize("word", ["properties", "patternProperties", "definitions"])
def test_a_reference_is_found_under_any_name(word: str, name: str) -> None:
    with pytest.raises(JobError, match=r"\$ref"):
        t.ApplyToRecord(dict, schema={word: {name: {"$ref": "#/nowhere"}}})
    t.ApplyToRecord(dict, schema={word: {name: {"const": {"$ref": "#/nowhere"}}}})


@pytest.mark.parametrize(
    ("reference", "is_its_own"),
    [
        ("#/definitions/t", True),
        ("#/definitions/u", True),
        ("#/definitions/%74", True),
        ("#/allOf/1", True),
        ("#/definitions/none", False),
        ("#/allOf/2", False),
        ("#/allOf/0", False),
        ("#/properties/A", False),
        ("#/definitions/t/type", False),
        ("#name", False),
        ("https://host.invalid/thing.json", False),
        ("thing.json#/definitions/t", False),
    ],
)
def test_the_own_schema_of_records_refers_to_its_own_parts_only(
    reference: str, is_its_own: bool
) -> None:
    loop = {"$ref": "#/allOf/0"} if reference == "#/allOf/0" else True
    schema = TEXT | {"properties": {"A": {"$ref": reference}}, "allOf": [loop, True]}
    if not is_its_own:
        with pytest.raises(JobError, match=r"\$ref"):
            t.ApplyToRecord(dict, schema=schema)
        return
    found = archive(job(t.ApplyToRecord(dict, schema=schema)), thing=b'{"A":"x"}\n')
    assert found.records("Thing") == [{"A": "x"}]


def test_no_text_form_shows_a_key() -> None:
    key = b"0123456789abcdef-in-the-clear"
    rule = t.Pseudonymise("SUBJECT", key=key)
    made = Job(dataset=INTERACTION, transforms={"interaction": [rule]})
    shown = (
        f"{rule!r}{made!r}{rule.describe()}{rule.listing()}{made.schema_of(INTERACTION.files[0])}"
    )
    assert "in-the-clear" not in shown
    assert key.hex() not in shown


def test_rules_are_values() -> None:
    rules: list[Any] = [t.Drop("A"), t.Keep("A", "B"), t.Mask("A"), t.Pseudonymise("A", key=KEY)]
    rules += [t.Apply(fails_on_secret, "A"), t.ApplyToRecord(fails_on_secret)]
    for rule in rules:
        assert pickle.loads(pickle.dumps(rule)) == rule
        with pytest.raises(AttributeError):
            rule.fields = ("B",)
        assert isinstance(rule, Transform)
        assert rule.describe()
    made = Job(dataset=INTERACTION, transforms={"document": [t.Mask("THENAME")]})
    assert pickle.loads(pickle.dumps(made)) == made


def test_the_room_is_loaded_when_it_is_used() -> None:
    program = (
        "import sys, cdds; cdds.export; assert 'cdds.transforms' not in sys.modules\n"
        "cdds.transforms.Drop"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert cdds.transforms is t
