"""Contact History: a UCS database, however it is spelled, gives the records that it was made of.

The sample's records are what is expected; `test_sample_database` holds the sample against joins
written by hand.
"""

from __future__ import annotations

import io
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sql_tables import DATABASES, connected, execute, records, taken

import cdds
from cdds import sample
from cdds.datasets import CONTACT, INTERACTION
from cdds.errors import SourceError
from cdds.model import DataFile, Dataset, Job, Selection, Timeframe
from cdds.sample import Mix
from cdds.sources import ContactHistory, Records

COUNT = 250
EVEN = Mix(email_in=1, email_out=1, chat=1, voice=1, callback=1, cobrowse=1, social=1)
each_database = pytest.mark.parametrize("kind", DATABASES)
each_spelling = pytest.mark.parametrize("names", ["upper", "lower", "camel"])
MIDDLE = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def filled(new_catalog_url: Any) -> Iterator[Callable[[str, str], str]]:
    """Return what gives the URL of a sample of each kind and spelling, loaded once, to be read."""
    with ExitStack() as stack:
        made: dict[tuple[str, str], str] = {}

        def url_of(kind: str, names: str = "upper") -> str:
            if (kind, names) not in made:
                url = made[kind, names] = stack.enter_context(new_catalog_url(kind))
                sample.load(url, COUNT, 60, seed=3, mix=EVEN, names=names)
            return made[kind, names]

        yield url_of


@pytest.fixture
def fresh(new_catalog_url: Any) -> Iterator[Callable[[str], str]]:
    """Return what gives the URL of a small sample of each kind, to be changed."""
    with ExitStack() as stack:

        def url_of(kind: str, names: str = "upper") -> str:
            url: str = stack.enter_context(new_catalog_url(kind))
            sample.load(url, 40, 10, seed=3, mix=EVEN, names=names)
            return url

        yield url_of


def interactions(count: int = COUNT) -> list[sample.Record]:
    found = list(sample.interactions(count, seed=3, mix=EVEN))
    for record in found:
        if record["ENTITYTYPEID"] == 1:
            del record["HEADER"]  # there is no column for the header of a mail that went out
    return found


def by_key(found: Any, key: str) -> dict[str, Any]:
    kept = {record[key]: record for record in found}
    assert len(kept) == len(list(found))
    return kept


def notes(url: str, dataset: Dataset = INTERACTION, **options: Any) -> list[str]:
    with ContactHistory(url, **options).snapshot(dataset, Selection()) as snapshot:
        return list(snapshot.notes())


@each_database
@each_spelling
def test_all_records_come_out_in_schema_order(filled: Any, kind: str, names: str) -> None:
    source = ContactHistory(filled(kind, names))
    expected = {
        "interaction": interactions(),
        "document": list(sample.documents(COUNT, seed=3, mix=EVEN)),
        "contact": list(sample.contacts(60, seed=3)),
        "contactattribute": list(sample.contact_attributes(60, seed=3)),
    }
    for dataset in (INTERACTION, CONTACT):
        for file in dataset.files:
            assert file.key is not None
            found = by_key(records(source, dataset, data_file=file.name), file.key)
            assert found == by_key(expected[file.name], file.key)
            order = list(file.schema["properties"])
            for record in found.values():
                assert list(record) == sorted(record, key=order.index)
        assert notes(filled(kind, names), dataset) == []


@each_database
@each_spelling
def test_all_records_are_valid(filled: Any, kind: str, names: str) -> None:
    for dataset in (INTERACTION, CONTACT):
        found, tally = taken(ContactHistory(filled(kind, names)), Job(dataset=dataset))
        assert all(found.values())
        assert list(tally.rejects) == []
        assert (tally.undated, tally.unmatched) == (0, 0)


@each_database
@pytest.mark.parametrize("media", [None, ["email"], ["EMAIL", " chat"], ["none"]])
@pytest.mark.parametrize("timeframe", [None, Timeframe(MIDDLE, None), Timeframe(None, MIDDLE)])
def test_a_selection_is_that_of_the_same_records_in_memory(
    filled: Any, kind: str, timeframe: Timeframe | None, media: list[str] | None
) -> None:
    judge = Records(
        interaction=interactions(), document=list(sample.documents(COUNT, seed=3, mix=EVEN))
    )
    job = Job(dataset=INTERACTION, timeframe=timeframe, media_types=media)

    found, _ = taken(ContactHistory(filled(kind)), job)
    expected, _ = taken(judge, job)

    for file in INTERACTION.files:
        assert file.key is not None
        assert by_key(found[file.name], file.key) == by_key(expected[file.name], file.key)
    with ContactHistory(filled(kind)).snapshot(INTERACTION, job.selection) as snapshot:
        for file in INTERACTION.files:
            assert snapshot.count(file.name) == len(expected[file.name])


# What deployments differ in.


@each_database
def test_what_is_not_found_is_told(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(
        url,
        'ALTER TABLE "Interaction" RENAME COLUMN "QUEUENAME" TO "LAST_QUEUE"',
        'ALTER TABLE "Interaction" DROP COLUMN "LANG"',
        'ALTER TABLE "Chat" ADD COLUMN "MOOD" integer',
    )

    missing, unused = notes(url)

    assert missing == "the database has no column for interaction: QUEUEENAME, LANG"
    assert unused == (
        "these columns are no property of interaction: Interaction.LAST_QUEUE, Chat.MOOD"
    )
    found = records(ContactHistory(url), INTERACTION, data_file="interaction")
    assert not any("QUEUEENAME" in record or "LANG" in record for record in found)


@each_database
@pytest.mark.parametrize("place", ["Interaction.LAST_QUEUE", "interaction.last_queue"])
def test_a_property_may_be_anywhere(fresh: Any, kind: str, place: str) -> None:
    url = fresh(kind)
    expected = Counter(record.get("QUEUEENAME") for record in interactions(40))
    execute(url, 'ALTER TABLE "Interaction" RENAME COLUMN "QUEUENAME" TO "LAST_QUEUE"')

    columns = {"interaction": {"QUEUEENAME": place}}
    source = ContactHistory(url, columns=columns)

    found = records(source, INTERACTION, data_file="interaction")
    assert Counter(record.get("QUEUEENAME") for record in found) == expected
    assert notes(url, columns=columns) == []
    mapped = source.mapping(INTERACTION)["interaction"]
    assert mapped.columns["QUEUEENAME"] == ("Interaction", "LAST_QUEUE")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"interaction": {"QUEUEENAME": "Interaction.NONE"}}, "interaction.QUEUEENAME"),
        ({"interaction": {"QUEUEENAME": "None.ID"}}, "interaction.QUEUEENAME"),
        ({"interaction": {"QUEUEENAME": "QUEUENAME"}}, "interaction.QUEUEENAME"),
        ({"interaction": {"QUEUEENAME": ""}}, "interaction.QUEUEENAME"),
        ({"interaction": {"NONE": "Interaction.ID"}}, "NONE"),
        ({"interactions": {}}, "interactions"),
    ],
)
def test_an_override_that_names_nothing_is_refused(filled: Any, columns: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        ContactHistory(filled("sqlite"), columns=columns).mapping(INTERACTION)


@pytest.mark.parametrize(
    "options",
    [
        {"columns": "Interaction.ID"},
        {"columns": []},
        {"columns": {"interaction": None}},
        {"columns": {"interaction": ["QUEUEENAME"]}},
        {"columns": {"interaction": {"QUEUEENAME": 5}}},
        {"columns": {"document": {"ID": ("Document", "ID")}}},
        {"schema": 5},
        {"schema": ""},
        {"schema": "a\0b"},
        {"schema": "\ud800"},
        {"schema": ["public"]},
    ],
)
def test_an_option_of_another_form_is_refused(options: Any) -> None:
    (name,) = options
    with pytest.raises(SourceError, match=f"{name}= "):
        ContactHistory("ucs.db", **options)


@each_database
def test_the_older_spelling_of_the_queue_is_found(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(url, 'ALTER TABLE "Interaction" RENAME COLUMN "QUEUENAME" TO "queueeName"')

    assert notes(url) == []


@each_database
def test_of_two_columns_one_is_taken_and_the_other_told(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(url, 'ALTER TABLE "Interaction" ADD COLUMN "QUEUE_NAME" text')

    assert notes(url) == ["these columns are no property of interaction: Interaction.QUEUE_NAME"]
    other = {"interaction": {"QUEUEENAME": "Interaction.QUEUE_NAME"}}
    assert notes(url, columns=other) == [
        "these columns are no property of interaction: Interaction.QUEUENAME"
    ]


@each_database
def test_two_tables_of_one_name_are_refused(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(url, 'CREATE TABLE "EMAIL_IN" ("ID" text)')

    with pytest.raises(SourceError, match="EMAIL_IN, EmailIn"):
        notes(url)


@each_database
def test_a_view_stands_for_a_table(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(
        url,
        'ALTER TABLE "Chat" RENAME TO "stored"',
        'CREATE VIEW "Chat" AS SELECT * FROM "stored"',
    )

    found = by_key(records(ContactHistory(url), INTERACTION, data_file="interaction"), "IXNID")
    assert found == by_key(interactions(40), "IXNID")


def test_a_materialized_view_stands_for_a_table(fresh: Any) -> None:
    url = fresh("postgresql")
    execute(
        url,
        'ALTER TABLE "Chat" RENAME TO "stored"',
        'CREATE MATERIALIZED VIEW "Chat" AS SELECT * FROM "stored"',
    )

    found = by_key(records(ContactHistory(url), INTERACTION, data_file="interaction"), "IXNID")
    assert found == by_key(interactions(40), "IXNID")


def test_a_foreign_table_is_looked_at(fresh: Any) -> None:
    """What should read it, which nobody has written, is what is missing then."""
    url = fresh("postgresql")
    execute(
        url,
        'DROP TABLE "Chat"',
        "CREATE FOREIGN DATA WRAPPER none",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER none",
        'CREATE FOREIGN TABLE "Chat" ("ID" text) SERVER elsewhere',
    )

    with pytest.raises(SourceError, match="has no handler"):
        notes(url)


@each_database
def test_an_override_for_a_table_that_is_missing_is_refused(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    execute(url, 'DROP TABLE "Attachment"')
    columns = {"document": {"THENAME": "Attachment.TITLE"}}

    with pytest.raises(SourceError, match=r"document\.THENAME, but the database has no table"):
        ContactHistory(url, columns=columns).mapping(INTERACTION)
    assert notes(url, CONTACT, columns=columns) == []


@each_database
def test_a_table_that_is_missing_takes_its_properties_with_it(fresh: Any, kind: str) -> None:
    url = fresh(kind)
    for table in ("CoBrowse", "Chat", "Attachment"):
        execute(url, f'DROP TABLE "{table}"')

    assert notes(url) == [
        "the database has no column for interaction: ESTABLISHEDDATE, RELEASEDDATE",
        "these columns are no property of interaction: Document.THENAME, Document.DESCRIPTION",
        "the database has no table for document, so there are none of them",
        (
            "3 documents are no interaction's original, and no attachment names them, so no "
            "export holds them"
        ),
    ]
    found, _ = taken(ContactHistory(url), Job(dataset=INTERACTION, timeframe=Timeframe(MIDDLE)))
    assert found["interaction"]
    assert found["document"] == []


@each_database
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('DROP TABLE "Interaction"', "no table Interaction, so it is no UCS database; it has Att"),
        ('ALTER TABLE "Interaction" RENAME COLUMN "ID" TO "KEY"', "no column for IXNID"),
        ('ALTER TABLE "Attachment" RENAME COLUMN "ENTITYID" TO "OF"', "no column for ENTITYID"),
        ('DROP TABLE "Document"', r"there is no Document\.ID"),
    ],
)
def test_what_cannot_be_missing_is_refused(fresh: Any, kind: str, change: str, words: str) -> None:
    url = fresh(kind)
    if kind == "postgresql" and change.startswith("DROP"):
        change += " CASCADE"
    execute(url, change)

    with pytest.raises(SourceError, match=words):
        notes(url)


@each_database
def test_an_empty_database_is_no_ucs_database(new_catalog_url: Any, kind: str) -> None:
    with new_catalog_url(kind) as url:
        execute(url, "CREATE TABLE t (x integer)")
        for dataset in (INTERACTION, CONTACT):
            with pytest.raises(SourceError, match="it is no UCS database"):
                notes(url, dataset)


def test_columns_of_types_unknown_to_all_do_no_harm(fresh: Any) -> None:
    url = fresh("postgresql")
    execute(
        url,
        'CREATE TYPE "odd" AS (a integer)',
        'ALTER TABLE "Interaction" ADD COLUMN "A" odd, ADD COLUMN "B" int4range[]',
        'ALTER TABLE "Interaction" ADD COLUMN "C" polygon',
    )

    assert notes(url) == [
        "these columns are no property of interaction: Interaction.A, Interaction.B, Interaction.C"
    ]


def test_the_tables_are_those_of_a_schema(fresh: Any) -> None:
    url = fresh("postgresql")
    execute(
        url,
        'ALTER SCHEMA public RENAME TO "ucs %s :x ""1"',
        "CREATE SCHEMA public",
        'CREATE TABLE "Interaction" ("ID" text)',
    )

    source = ContactHistory(url, schema='ucs %s :x "1')

    assert len(records(source, INTERACTION, data_file="interaction")) == 40
    assert len(records(source, CONTACT, data_file="contact")) == 10
    with pytest.raises(SourceError):
        ContactHistory(url, schema="none").mapping(INTERACTION)


@each_database
def test_documents_without_what_they_belong_to_are_told(fresh: Any, kind: str) -> None:
    """An attachment without a document, and one without an interaction."""
    url = fresh(kind)
    if kind == "postgresql":
        keys = ("DOCUMENTID", "ENTITYID")
        names = ", ".join(f'DROP CONSTRAINT IF EXISTS "Attachment_{key}_fkey"' for key in keys)
        execute(url, f'ALTER TABLE "Attachment" {names}')
    execute(
        url,
        """INSERT INTO "Attachment" ("DOCUMENTID", "ENTITYID", "ENTITYTYPEID")
           SELECT 'no document', "ID", 0 FROM "Interaction" WHERE "STARTDATE" = (
               SELECT max("STARTDATE") FROM "Interaction")""",
        """INSERT INTO "Attachment" ("DOCUMENTID", "ENTITYID", "ENTITYTYPEID")
           SELECT min("ID"), 'no interaction', 0 FROM "Document" """,
    )
    source = ContactHistory(url)

    found, tally = taken(source, Job(dataset=INTERACTION))
    assert tally.unmatched == 1
    (bare,) = (record for record in found["document"] if "ID" not in record)
    assert bare["DOCUMENTID"] == "no document"
    with source.snapshot(INTERACTION, Selection(Timeframe(MIDDLE))) as snapshot:
        (told,) = snapshot.notes()
    assert told.startswith("1 records of document belong to no record of interaction at all")


@each_database
@pytest.mark.parametrize("names", ["upper", "camel"])
@pytest.mark.parametrize("selection", [Selection(), Selection(Timeframe(MIDDLE))])
def test_documents_that_nothing_names_are_told(
    fresh: Any, kind: str, names: str, selection: Selection
) -> None:
    """Neither an original, however old its interaction, nor an attachment is one of them."""
    url = fresh(kind, names)
    document = {"upper": "Document", "camel": "document"}[names]
    key = {"upper": "ID", "camel": "id"}[names]
    execute(
        url,
        f"""INSERT INTO "{document}" ("{key}") VALUES ('forgotten'), ('lost')""",
    )

    with ContactHistory(url).snapshot(INTERACTION, selection) as snapshot:
        (told,) = snapshot.notes()

    assert told.startswith("2 documents are no interaction's original, and no attachment names")
    assert notes(url, CONTACT) == []


def test_documents_that_nothing_names_are_counted_without_an_index(new_catalog_url: Any) -> None:
    """Each of 30,000 looked for among as many would take longer than may be."""
    with new_catalog_url("sqlite") as url:
        sample.load(url, 1, 0, seed=3)
        execute(
            url,
            "PRAGMA foreign_keys = off",
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
               INSERT INTO "Document" ("ID") SELECT 'd' || i FROM n""",
            """INSERT INTO "Attachment" SELECT "ID", "ID", 0 FROM "Document" WHERE "ID" <> 'd7'""",
        )

        with ContactHistory(url).snapshot(INTERACTION, Selection()) as snapshot:
            assert [told.partition(" are ")[0] for told in snapshot.notes()] == ["1 documents"]


def test_another_dataset_is_refused(filled: Any) -> None:
    other = Dataset("Survey", [DataFile(name="answer", label="A", schema={})])

    with pytest.raises(SourceError, match=r"Interaction and Contact, not Survey; use .*Sql"):
        notes(filled("sqlite"), other)


# Speed that must not be lost.


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of a plan of PostgreSQL."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def test_a_narrow_time_frame_is_found_by_its_index(new_catalog_url: Any) -> None:
    """Also where a record need not have a time, so that those without one are read, too."""
    with new_catalog_url("postgresql") as url:
        sample.load(url, 20_000, 50, seed=3, mix=Mix.CHAT_HEAVY, recycle_after=200)
        timeframe = Timeframe(MIDDLE, MIDDLE + timedelta(hours=6))
        for change in ("SET", "DROP"):
            execute(url, f'ALTER TABLE "Interaction" ALTER "STARTDATE" {change} NOT NULL')
            execute(url, "ANALYZE")
            with ContactHistory(url).snapshot(INTERACTION, Selection(timeframe)) as snapshot:
                query = snapshot._selected["interaction"].query
                explained = snapshot._session.value(f"EXPLAIN (FORMAT JSON) {query}")
                steps = list(nodes(explained[0]["Plan"]))
                assert "interaction_startdate" in {step.get("Index Name") for step in steps}
                scanned = {step["Relation Name"] for step in steps if "Seq Scan" in step.values()}
                assert "Interaction" not in scanned
                assert 0 < snapshot.count("interaction") < 200


# The whole way.


@each_database
def test_an_export_holds_what_the_database_counts(
    filled: Any,
    kind: str,
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    judge: Callable[[str], str],
) -> None:
    key, certificate = rsa_key_and_certificate
    url = filled(kind, "lower")
    timeframe = Timeframe(MIDDLE, MIDDLE + timedelta(days=60))

    result = cdds.export(
        ContactHistory(url),
        dataset="Interaction",
        to=tmp_path / "exports",
        recipients=certificate,
        timeframe=timeframe,
        media_types=["email"],
        job_id="job",
    )

    (artifact,) = result.artifacts
    archive = tmp_path / "export.zip"
    subprocess.run(
        [judge("openssl"), "smime", "-decrypt", "-binary", "-inkey", key,
         "-in", tmp_path / "exports" / artifact.name, "-out", archive],
        check=True,
    )  # fmt: skip
    subprocess.run([judge("unzip"), "-q", archive, "-d", tmp_path / "files"], check=True)
    where = """from "interaction" i {} where i."startdate" >= '2025-07-01 00:00:00'
        and i."startdate" < '2025-08-30 00:00:00' and lower(i."mediatypeid") = 'email'"""
    joined = """join "attachment" a on a."entityid" = i."id" """
    with connected(url) as connection:
        (count,) = connection.execute("select count(*) " + where.format("")).fetchone()
        (documents,) = connection.execute("select count(*) " + where.format(joined)).fetchone()
        keys = {key for (key,) in connection.execute('select i."id" ' + where.format(""))}
    assert count
    assert documents
    assert result.records == {"interaction": count, "document": documents}
    (data,) = (tmp_path / "files").glob("Interaction-job.json")
    assert {json.loads(line)["IXNID"] for line in io.BytesIO(data.read_bytes())} == keys
