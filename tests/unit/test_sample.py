"""What tests, benchmarks and readers of the documentation may rely on in sample records.

That they fit their schemas, that a seed fixes every byte of them, that records which refer to each
other do meet, and that what claims to be base64, mail or XML is.
"""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from cdds import sample
from cdds.sample import Kind, Mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import EmailMessage

    Maker = Callable[..., Iterable[sample.Record]]

MIXES = {
    "default": Mix.DEFAULT,
    "email": Mix.EMAIL_HEAVY,
    "chat": Mix.CHAT_HEAVY,
    "voice": Mix.VOICE,
    "even": Mix(email_in=1, email_out=1, chat=1, voice=1, callback=1, cobrowse=1, social=1),
}
STREAMS: dict[str, Maker] = {
    "interaction": sample.interactions,
    "document": sample.documents,
    "contact": sample.contacts,
    "contactattribute": sample.contact_attributes,
}
ENTITY_TYPES = {
    Kind.EMAIL_IN: 0,
    Kind.EMAIL_OUT: 1,
    Kind.CHAT: 2,
    Kind.VOICE: 3,
    Kind.CALLBACK: 5,
    Kind.COBROWSE: 6,
    Kind.SOCIAL: 7,
}
MAILS = Mix(email_in=1, email_out=1)
often = settings(deadline=None, max_examples=25)
seeds = st.integers(min_value=-(2**40), max_value=2**40)
mixes = st.sampled_from(list(MIXES.values()))
named_mixes = pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
named_streams = pytest.mark.parametrize("name", STREAMS)


def schema(name: str) -> dict[str, Any]:
    path = files("cdds.datasets") / "schemas" / f"{name}.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def written(records: Iterable[sample.Record]) -> bytes:
    file = io.BytesIO()
    sample.write_lines(records, file)
    return file.getvalue()


def parsed(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


# Every record fits its schema.


@named_streams
def test_records_are_valid_in_schema_order_and_without_nulls(name: str) -> None:
    expected = schema(name)
    validator = Draft7Validator(expected)
    order = list(expected["properties"])
    records = list(STREAMS[name](150))

    assert records
    for record in records:
        validator.validate(record)
        assert list(record) == sorted(record, key=order.index)
        assert None not in record.values()


@named_mixes
def test_interactions_of_every_mix_are_valid(mix: Mix) -> None:
    validator = Draft7Validator(schema("interaction"))

    for record in sample.interactions(60, seed=5, mix=mix):
        validator.validate(record)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_the_entity_type_of_the_guide(kind: Kind) -> None:
    only = Mix(**{kind.value: 1})

    found = {record["ENTITYTYPEID"] for record in sample.interactions(5, mix=only)}

    assert found == {ENTITY_TYPES[kind]}


@often
@given(seed=seeds, index=st.integers(0, 2**40), mix=mixes)
def test_dates_are_iso_8601_in_utc_with_milliseconds(seed: int, index: int, mix: Mix) -> None:
    record = sample.interaction(index, seed=seed, mix=mix)

    dates = [value for name, value in record.items() if name.upper().endswith("DATE")]

    assert len(dates) >= 3
    for date in dates:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", date)
    assert record["STARTDATE"] < record["ENDDATE"]


# A seed and an index fix a record.


@named_streams
@often
@given(seed=seeds)
def test_same_seed_same_bytes_other_seed_other_bytes(name: str, seed: int) -> None:
    make = STREAMS[name]

    first = written(make(12, seed=seed))

    assert written(make(12, seed=seed)) == first
    assert not first or written(make(12, seed=seed + 1)) != first


@often
@given(seed=seeds, mix=mixes, index=st.integers(0, 30))
def test_a_record_made_alone_is_the_one_in_the_stream(seed: int, mix: Mix, index: int) -> None:
    stream = sample.interactions(index + 1, seed=seed, mix=mix)

    *_, last = stream

    assert sample.interaction(index, seed=seed, mix=mix) == last


@often
@given(seed=seeds, index=st.integers(0, 30))
def test_a_contact_made_alone_is_the_one_in_the_stream(seed: int, index: int) -> None:
    *_, last = sample.contacts(index + 1, seed=seed)

    assert sample.contact(index, seed=seed) == last


@named_streams
@often
@given(cut=st.integers(0, 40))
def test_shards_are_the_pieces_of_one_stream(name: str, cut: int) -> None:
    make = STREAMS[name]

    shards = written(make(range(cut))) + written(make(range(cut, 40)))

    assert shards == written(make(40))


def test_a_stream_makes_only_what_is_asked_for() -> None:
    endless = sample.interactions(10**15)

    assert len(list(islice(endless, 3))) == 3


def test_bytes_stay_the_same_from_one_release_to_the_next() -> None:
    assert sample.interaction(3, seed=1, mix=Mix.VOICE) == {
        "IXNID": "0002YC7D0000048X",
        "STATUS": 1,
        "ENTITYTYPEID": 3,
        "MEDIATYPEID": "voice",
        "TYPEID": "Internal",
        "OWNERID": 349,
        "CONTACTID": "0000YC7D00000Z8U",
        "STARTDATE": "2025-01-20T10:04:49.338Z",
        "MODIFIEDDATE": "2025-01-20T10:06:53.968Z",
        "ENDDATE": "2025-01-20T10:06:53.968Z",
        "TENANTID": 101,
        "CANBEPARENT": 1,
        "CREATORAPPID": 167,
        "ALLATTRIBUTES": {
            "ServiceType": "sales",
            "RRequestedSkills": {"Français": 1},
            "Reference": "FH-95963323",
        },
        "DURATION": 124,
        "OUTCOME": "transferred",
        "PHONENUMBER": "+445418624011",
        "TCONNECTIONID": "57388625a41b3dea",
    }


# Identifiers.


@often
@given(seed=seeds, first=st.integers(0, 10**9), count=st.integers(1, 60))
def test_identifiers_are_unique_and_of_16_capitals_and_digits(
    seed: int, first: int, count: int
) -> None:
    indexes = range(first, first + count)

    names = [record["IXNID"] for record in sample.interactions(indexes, seed=seed, mix=Mix.VOICE)]

    assert len(set(names)) == count
    assert all(re.fullmatch("[0-9A-Z]{16}", name) for name in names)


def test_identifiers_are_unique_across_the_border_of_a_run() -> None:
    border = 36**3
    indexes = range(border - 200, border + 200)

    names = {record["IXNID"] for record in sample.interactions(indexes, mix=Mix.VOICE)}

    assert len(names) == len(indexes)


@pytest.mark.parametrize(
    ("name", "key"), [("document", "ID"), ("contact", "CONTACTID"), ("contactattribute", "ID")]
)
def test_identifiers_of_other_records_are_unique(name: str, key: str) -> None:
    found = [record[key] for record in STREAMS[name](300)]

    assert len(set(found)) == len(found)


# Records that refer to each other meet.


@often
@given(seed=seeds)
def test_documents_belong_to_the_mails_of_the_same_stream(seed: int) -> None:
    interactions = {record["IXNID"]: record for record in sample.interactions(40, seed=seed)}

    for document in sample.documents(40, seed=seed):
        owner = interactions[document["ENTITYID"]]
        assert owner["MEDIATYPEID"] == "email"
        assert owner["ENTITYTYPEID"] == document["ENTITYTYPEID"]


def test_documents_are_the_attachments_inside_the_mails() -> None:
    documents = list(sample.documents(80, mix=MAILS))
    attached = [
        (mail["IXNID"], part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for mail in sample.interactions(80, mix=MAILS)
        for part in parsed(b64decode(mail["CONTENT"])).iter_attachments()
    ]

    assert documents
    assert attached == [
        (each["ENTITYID"], each["THENAME"], each["MIMETYPE"], b64decode(each["CONTENT"]))
        for each in documents
    ]


def test_documents_decode_to_their_size() -> None:
    for document in sample.documents(300, seed=2, mix=MAILS):
        assert len(b64decode(document["CONTENT"], validate=True)) == document["THESIZE"]


def test_interactions_name_contacts_of_the_same_seed() -> None:
    contacts = {record["CONTACTID"] for record in sample.contacts(1000, seed=9)}

    assert {record["CONTACTID"] for record in sample.interactions(60, seed=9)} <= contacts


def test_a_mail_comes_from_the_address_of_its_contact() -> None:
    addresses = {
        record["CONTACTID"]: record["STRVALUE"]
        for record in sample.contact_attributes(1000)
        if record["ATTRIBUTENAME"] == "EmailAddress"
    }

    for mail in sample.interactions(20, mix=Mix(email_in=1)):
        assert mail["FROMADDRESS"] == addresses[mail["CONTACTID"]]


def test_attributes_belong_to_contacts_and_one_of_a_name_is_primary() -> None:
    contacts = {record["CONTACTID"] for record in sample.contacts(200)}
    attributes = list(sample.contact_attributes(200))
    primary = [
        (record["CONTACTID"], record["ATTRIBUTENAME"])
        for record in attributes
        if record["ISPRIMARY"]
    ]

    assert {record["CONTACTID"] for record in attributes} == contacts
    assert len(set(primary)) == len(primary)
    assert set(primary) == {(each["CONTACTID"], each["ATTRIBUTENAME"]) for each in attributes}
    assert any("BINVALUE" in record for record in attributes)
    assert any("DATEVALUE" in record for record in attributes)


def test_contacts_change_after_they_come_to_be() -> None:
    for contact in sample.contacts(200):
        assert contact["CREATEDDATE"] <= contact["MODIFIEDDATE"]


# What is inside the fields is what it claims to be.


@often
@given(seed=seeds, index=st.integers(0, 10**6))
def test_a_mail_parses_without_defects(seed: int, index: int) -> None:
    record = sample.interaction(index, seed=seed, mix=MAILS)
    raw = b64decode(record["CONTENT"], validate=True)
    message = parsed(raw)
    text = message.get_body(("plain",))

    assert raw.startswith(b64decode(record["HEADER"], validate=True))
    assert len(raw) == record["THESIZE"]
    assert text is not None
    assert [part.defects for part in message.walk() if part.defects] == []
    assert message["Subject"].replace("'", '"') == record["SUBJECT"].replace("'", '"')
    assert text.get_content().splitlines() == record["TEXT"].splitlines()


@often
@given(seed=seeds, index=st.integers(0, 10**6))
def test_a_transcript_is_well_formed_xml(seed: int, index: int) -> None:
    record = sample.interaction(index, seed=seed, mix=Mix(chat=1))
    transcript = ET.fromstring(record["STRUCTUREDTEXT"])
    shifts = [int(event.attrib["timeShift"]) for event in transcript]

    assert transcript.tag == "chatTranscript"
    assert transcript.attrib["sessionId"] == record["IXNID"]
    assert {event.tag for event in transcript} == {"newParty", "message", "partyLeft"}
    assert shifts == sorted(shifts)


@pytest.mark.parametrize("language", ["en", "de", "fr", "ru", "ja"])
def test_every_language_is_met(language: str) -> None:
    assert any(record["LANG"] == language for record in sample.interactions(150, mix=MAILS))


# Time frames and mixes.


@often
@given(
    start=st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    length=st.timedeltas(timedelta(milliseconds=1), timedelta(days=900)),
    index=st.integers(0, 1000),
)
def test_start_dates_lie_in_the_half_open_time_frame(
    start: datetime, length: timedelta, index: int
) -> None:
    start = start.replace(microsecond=0)

    record = sample.interaction(index, mix=Mix.VOICE, start=start, end=start + length)

    assert start <= datetime.fromisoformat(record["STARTDATE"]) < start + length


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2025, 1, 2, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        (datetime(2025, 1, 1), datetime(2025, 1, 2)),
    ],
    ids=["backwards", "empty", "no time zone"],
)
def test_a_time_frame_without_instants_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="no time frame"):
        sample.interaction(0, start=start, end=end)


@pytest.mark.parametrize(
    "weights",
    [{}, {"chat": 0}, {"chat": -1, "voice": 2}, {"chat": float("nan")}, {"chat": float("inf")}],
    ids=str,
)
def test_weights_that_cannot_be_followed_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"weights|must be"):
        Mix(**weights)


def test_a_mix_is_a_value() -> None:
    assert attrs.evolve(Mix.VOICE, chat=1) == Mix(voice=1, chat=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Mix.VOICE.voice = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mix", "least", "most"),
    [
        (Mix.EMAIL_HEAVY, 10_000, 50_000),
        (Mix.CHAT_HEAVY, 2_000, 6_500),
        (Mix.VOICE, 300, 600),
    ],
    ids=["email", "chat", "voice"],
)
def test_records_of_a_mix_have_the_size_it_promises(mix: Mix, least: int, most: int) -> None:
    average = len(written(sample.interactions(300, mix=mix))) / 300

    assert least < average < most


# Lines.


def test_lines_are_compact_utf_8_and_counted() -> None:
    file = io.BytesIO()

    count = sample.write_lines([{"A": "é😀"}, {"B": [1, {}]}], file)

    assert count == 2
    assert file.getvalue() == '{"A":"é😀"}\n{"B":[1,{}]}\n'.encode()


@named_mixes
def test_a_corpus_is_of_valid_unique_interactions(mix: Mix) -> None:
    validator = Draft7Validator(schema("interaction"))
    records = [json.loads(row) for row in b"".join(sample.corpus(mix, 300_000, 4)).splitlines()]

    for record in records[:200]:
        validator.validate(record)
    assert len({record["IXNID"] for record in records}) == len(records)


@often
@given(size=st.integers(0, 60_000), seed=seeds)
def test_a_corpus_ends_with_the_line_that_reaches_its_size(size: int, seed: int) -> None:
    corpus = b"".join(sample.corpus(Mix.CHAT_HEAVY, size, seed))
    *earlier, last = [b"", *corpus.splitlines(keepends=True)]

    assert len(corpus) >= size
    assert len(b"".join(earlier)) <= size
    assert last.endswith(b"\n") or not size


def test_a_corpus_comes_in_chunks_of_whole_lines() -> None:
    chunks = list(sample.corpus(Mix.VOICE, 3_000_000))

    assert len(chunks) == 3
    assert all(chunk.startswith(b"{") and chunk.endswith(b"}\n") for chunk in chunks)


def test_a_corpus_is_fixed_by_its_seed() -> None:
    first = b"".join(sample.corpus(Mix.DEFAULT, 200_000, 1))

    assert b"".join(sample.corpus(Mix.DEFAULT, 200_000, 1)) == first
    assert b"".join(sample.corpus(Mix.DEFAULT, 200_000, 2)) != first


def test_a_long_corpus_still_is_of_unique_whole_records() -> None:
    """Long enough that every piece has come round more than once."""
    seen: set[bytes] = set()
    for number, chunk in enumerate(sample.corpus(Mix.VOICE, 12 << 20, 8)):
        rows = chunk.splitlines()
        seen.update(row[10:26] for row in rows)
        assert json.loads(rows[number])["MEDIATYPEID"] == "voice"

    assert len(seen) > 2 * 8009
    assert all(name.isalnum() for name in seen)


def test_a_corpus_does_not_repeat_itself_within_a_block() -> None:
    """No body of a line comes twice within 1 MiB, which is what a deflate block sees."""
    for chunk in sample.corpus(Mix.VOICE, 8 << 20):
        bodies = [row.partition(b'"ALLATTRIBUTES"')[2] for row in chunk.splitlines()]
        assert len(set(bodies)) == len(bodies)


# The public face.


def test_public_names_exist_and_say_what_they_do() -> None:
    for name in sample.__all__:
        public = getattr(sample, name)
        assert name == "Record" or public.__doc__
