"""Values: valid from birth, frozen, and the same after a trip to another process."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdds import datasets
from cdds.errors import JobError
from cdds.model import (
    MAX_SPLIT_SIZE,
    MIN_SPLIT_SIZE,
    Artifact,
    DataFile,
    Dataset,
    ExportResult,
    Job,
    Progress,
    Selection,
    Timeframe,
    parse_size,
)
from cdds.reject import Reject

# Sizes

UNITS = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}


def recased(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.lower()])


@given(
    st.integers(0, 2**60),
    st.sampled_from(list(UNITS)).flatmap(lambda unit: st.tuples(st.just(unit), recased(unit))),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["", " "]),
)
def test_a_whole_number_of_any_unit_is_that_many_bytes(
    count: int, unit: tuple[str, str], space: str, around: str
) -> None:
    """Decimal and binary units, in any case, with or without spaces: exactly."""
    name, written = unit
    assert parse_size(f"{around}{count}{space}{written}{around}") == count * UNITS[name]


@given(st.integers(0, 10**10), st.sampled_from(["kB", "MB", "GB", "TB"]))
@example(1005, "kB")
@example(2_300_000, "MB")
def test_a_fraction_that_is_a_whole_number_of_bytes_is_taken(size: int, unit: str) -> None:
    """``1.005 kB`` are 1005 bytes, however a float would see it."""
    text = format(Decimal(size) / UNITS[unit], "f")
    assert parse_size(f"{text} {unit}") == size


@given(st.integers(0, 2**70))
def test_a_number_is_that_many_bytes(size: int) -> None:
    """Plain bytes, as a number or as its digits."""
    assert parse_size(size) == size
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "MB",
        "x",
        "1 XB",
        "1,5 MB",
        "-1",
        "-1 MB",
        "+1",
        "1e6",
        "1.",
        ".5 MB",
        "1 M B",
        "0x10",
    ]
    + [
        "1 MB x",
        "1.5",
        "0.5 B",
        "1.0001 kB",
        "inf",
        "nan",
        "\uff11\uff10MB",
        "1\nMB\n1",
        "1 KB/s",
        "∞",
    ]
    + [None, True, False, 1.5, b"1", [1], Decimal(1)],
)
def test_what_is_no_size_is_refused(text: Any) -> None:
    """With what a size looks like."""
    with pytest.raises(JobError, match=r"is not a (size|whole number)"):
        parse_size(text)


@pytest.mark.parametrize(
    "size", [MIN_SPLIT_SIZE, MIN_SPLIT_SIZE + 1, MAX_SPLIT_SIZE, "64 KiB", "4294967295"]
)
def test_a_split_size_within_the_limits_is_taken(size: Any) -> None:
    """At both ends."""
    assert Job(dataset=datasets.INTERACTION, split_size=size).split_size == parse_size(size)


@pytest.mark.parametrize(
    "size", [0, -1, 1, MIN_SPLIT_SIZE - 1, MAX_SPLIT_SIZE + 1, "64 kB", "4 GiB", "1 TB", True, 1e6]
)
def test_a_split_size_beyond_the_limits_is_refused(size: Any) -> None:
    """Before anything is read or written."""
    with pytest.raises(JobError):
        Job(dataset=datasets.INTERACTION, split_size=size)


# Time frames

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    ZONES,
)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_a_time_frame_is_half_open(one: datetime, other: datetime, moment: datetime) -> None:
    """Whatever the zones; the same span in other zones is the same value."""
    start, end = min(one, other), max(one, other)
    frame = Timeframe.between(start, end)
    assert (moment in frame) == (start <= moment < end)
    assert (start in frame) == (start < end)
    assert end not in frame
    assert frame == Timeframe(start.astimezone(UTC), end.astimezone(UTC))
    assert (moment in Timeframe(start, None)) == (moment >= start)
    assert (moment in Timeframe(None, end)) == (moment < end)
    assert moment in Timeframe()


@given(MOMENTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=1)))
def test_a_time_frame_that_ends_before_it_starts_is_refused(
    start: datetime, before: timedelta
) -> None:
    """By however little; an empty one is no error."""
    with pytest.raises(JobError, match="before it starts"):
        Timeframe(start, start - before)
    assert start not in Timeframe(start, start)


@pytest.mark.parametrize(
    "value", [datetime(2025, 1, 1), "2025-01-01", 0, datetime(2025, 1, 1).date(), 1.5]
)
@pytest.mark.parametrize("side", ["start", "end"])
def test_a_time_without_a_zone_is_refused(value: Any, side: str) -> None:
    """Nobody can tell which moment it is."""
    with pytest.raises(JobError, match="aware"):
        Timeframe(**{side: value})


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_time_that_is_outside_the_calendar_in_utc_is_refused(moment: datetime) -> None:
    """With an error of this library."""
    with pytest.raises(JobError):
        Timeframe(moment, None)


# Jobs


@pytest.mark.parametrize("value", ["x", "a" * 64, "A.b_c-9", "...", "-", str(0)])
def test_a_job_id_of_the_right_form_is_taken(value: str) -> None:
    """Letters, digits, dot, underscore, hyphen."""
    assert Job(dataset=datasets.INTERACTION, id=value).id == value


@pytest.mark.parametrize(
    "value", ["", "a" * 65, "a b", "a/b", "a\\b", "é", "a\n", "a\x00", "٣", "a:b", None, 7, b"a"]
)
def test_any_other_job_id_is_refused(value: Any) -> None:
    """It becomes part of file names."""
    with pytest.raises(JobError, match="job id"):
        Job(dataset=datasets.INTERACTION, id=value)


def test_a_job_has_an_id_of_its_own() -> None:
    """A UUID, when none is given."""
    first, second = (Job(dataset=datasets.INTERACTION).id for _ in range(2))
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1))
def test_media_types_have_no_case_and_no_order(names: list[str]) -> None:
    """Selecting twice is selecting once."""
    selection = Selection(media_types=names)
    again = attrs.evolve(selection)
    assert again == selection == Selection(media_types=list(reversed(names)))
    assert selection == Selection(media_types=[f" {name.casefold()} " for name in names])


@pytest.mark.parametrize("names", [[], (), "chat", iter([]), [""], ["  "], ["chat", 7], [None], {}])
def test_media_types_that_select_nothing_are_refused(names: Any) -> None:
    """An empty list is an error, not everything; a text is not a list of letters."""
    with pytest.raises(JobError, match="media_types"):
        Job(dataset=datasets.INTERACTION, media_types=names)


def test_what_a_dataset_does_not_have_cannot_be_selected_by() -> None:
    """Contacts have no media types; some data have no times."""
    with pytest.raises(JobError, match="media types"):
        Job(dataset=datasets.CONTACT, media_types=["chat"])
    timeless = Dataset("Timeless", [DataFile(name="a", label="A", schema={})])
    with pytest.raises(JobError, match="timestamps"):
        Job(dataset=timeless, timeframe=Timeframe())


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": "Interaction"},
        {"dataset": None},
        {"timeframe": (None, None)},
        {"on_invalid": "ignore"},
        {"on_invalid": None},
        {"level": "best"},
        {"level": 9},
        {"max_rejects": -1},
        {"max_rejects": 1.0},
        {"max_rejects": True},
        {"max_rejects": None},
    ],
)
def test_any_other_value_out_of_range_is_refused(options: dict[str, Any]) -> None:
    """At birth."""
    with pytest.raises(JobError):
        Job(**{"dataset": datasets.INTERACTION} | options)


def test_a_job_tells_what_it_selects() -> None:
    """Sources see that and nothing else."""
    frame = Timeframe(datetime(2025, 1, 1, tzinfo=UTC))
    job = Job(dataset=datasets.INTERACTION, media_types=["Chat"], timeframe=frame)
    assert job.selection == Selection(frame, frozenset({"chat"}))
    assert Job(dataset=datasets.INTERACTION).selection == Selection()


# Datasets


def file(name: str, /, **options: Any) -> DataFile:
    return DataFile(**{"name": name, "label": name.title(), "schema": {}} | options)


@pytest.mark.parametrize(
    "files",
    [
        [],
        [file("a"), file("a", label="Other")],
        [file("a"), file("b", label="A")],
        [file("a", parent="b", parent_key="K"), file("b", key="ID")],
        [file("a"), file("b", parent="a", parent_key="K")],
        [file("a", parent="a", parent_key="K", key="ID")],
        [file("a", parent="nowhere", parent_key="K")],
    ],
    ids=["none", "name", "label", "order", "no key", "itself", "missing"],
)
def test_a_dataset_that_makes_no_sense_is_refused(files: Any) -> None:
    """Names repeat, or a parent is missing, comes later, or has no key."""
    with pytest.raises(JobError):
        Dataset("D", files)


@pytest.mark.parametrize("name", ["", "a/b", "..\\a", "a b", "é", "a" * 65, "a\n", "/", "a\x00"])
@pytest.mark.parametrize("what", ["name", "label"])
def test_a_data_file_cannot_be_called_what_no_file_can_be_called(what: str, name: str) -> None:
    """Both become parts of names in the archive."""
    with pytest.raises(JobError):
        file("a", **{what: name})


@pytest.mark.parametrize("options", [{"parent": "a"}, {"parent_key": "K"}])
def test_a_parent_and_its_key_go_together(options: dict[str, Any]) -> None:
    """One without the other means nothing."""
    with pytest.raises(JobError):
        file("b", **options)


@pytest.mark.parametrize("name", ["Interaction", "interaction", "INTERACTION"])
def test_a_dataset_is_found_by_its_name(name: str) -> None:
    """In any case; a dataset is itself."""
    assert datasets.find(name) is datasets.INTERACTION
    assert datasets.find(datasets.CONTACT) is datasets.CONTACT


@pytest.mark.parametrize("name", ["", "Interactions", "contact ", None, 7])
def test_an_unknown_dataset_is_refused(name: Any) -> None:
    """With those that are known."""
    with pytest.raises(JobError, match="Interaction, Contact"):
        datasets.find(name)


def test_the_built_in_datasets_join_as_their_schemas_say() -> None:
    """Every property that is looked at is one that the schema knows."""
    for dataset in datasets.BUILTIN:
        keys = {found.name: found.key for found in dataset.files}
        for found in dataset.files:
            names = [found.key, found.media_type, found.parent_key, *found.timestamps]
            assert {name for name in names if name} <= set(found.schema["properties"])
            assert found.parent is None or keys[found.parent] is not None


# All values

MOMENT = datetime(2025, 1, 1, tzinfo=UTC)
VALUES: list[Any] = [
    Timeframe(MOMENT, MOMENT + timedelta(days=1)),
    Timeframe(),
    Selection(Timeframe(MOMENT), frozenset({"chat"})),
    datasets.INTERACTION.files[0],
    datasets.CONTACT,
    Job(dataset=datasets.INTERACTION, split_size="1 MB", media_types=["a"]),
    Reject("interaction", "i.jsonl", 7, "its type must be string", "IXNID", "0001"),
    Artifact("export.zip.smime", 1, "0" * 64),
    Progress(records=1, bytes_read=2, bytes_total=None, bytes_written=3),
    ExportResult(run_id="r", artifacts=(Artifact("a", 1, "0"),), digests="d", records={"a": 1}),
]
every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


@every_value
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_value_survives_pickling(value: Any, protocol: int) -> None:
    """Exports are described to other processes that way."""
    again = pickle.loads(pickle.dumps(value, protocol))
    assert again == value
    assert type(again) is type(value)
    assert copy.deepcopy(value) == value


@every_value
def test_a_value_is_frozen(value: Any) -> None:
    """It is changed by making another."""
    for attribute in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, attribute.name, None)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, attribute.name)
    with pytest.raises((AttributeError, TypeError)):
        value.something_else = 1


@every_value
def test_a_value_that_is_evolved_without_change_is_the_same(value: Any) -> None:
    """Converters take what they have made."""
    assert attrs.evolve(value) == value


@pytest.mark.parametrize(
    "change", [{"id": "a b"}, {"split_size": 1}, {"media_types": []}, {"level": "x"}]
)
def test_a_value_is_checked_again_when_it_is_changed(change: dict[str, Any]) -> None:
    """So it stays valid."""
    job = Job(dataset=datasets.INTERACTION)
    with pytest.raises(JobError):
        attrs.evolve(job, **change)


def test_a_reject_says_in_one_line_what_is_wrong_and_where() -> None:
    """With whatever is known."""
    full = Reject("interaction", "i.jsonl", 7, "its type must be string", "IXNID", "0001")
    assert str(full) == "i.jsonl:7: interaction (key 0001): IXNID: its type must be string"
    assert str(Reject("contact", "", 3, "it is odd")) == "record 3: contact: it is odd"


@pytest.mark.parametrize(
    "schema", [5, None, [], {"default": {1, 2}}, {"default": b"x"}, {"default": float("nan")}]
)
def test_a_schema_that_is_no_json_is_refused_when_made(schema: Any) -> None:
    """It will stand in archives."""
    with pytest.raises(JobError, match="schema"):
        DataFile(name="a", label="A", schema=schema)
