"""What goes in comes out, judged by the recipient's tools: OpenSSL, unzip, 7-Zip, sha256sum."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

import cdds
from cdds import sample

Opener = Callable[..., Any]
Exporting = Callable[..., cdds.ExportResult]


def lines(records: Any) -> bytes:
    text = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    return "".join(line + "\n" for line in text).encode()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with interactions, their documents, and documents of nobody."""
    home = tmp_path_factory.mktemp("inputs")
    with (home / "interactions.jsonl").open("wb") as file:
        sample.write_lines(sample.interactions(600, seed=3), file)
    orphan = {"ID": "orphan", "ENTITYID": "NOBODY"}
    with gzip.open(home / "documents.jsonl.gz", "wb") as packed:
        packed.write(lines([*sample.documents(600, seed=3), orphan]))
    return home


def source(inputs: Path) -> cdds.sources.JsonLines:
    return cdds.sources.JsonLines(
        interaction=inputs / "interactions.jsonl", document=inputs / "documents.jsonl.gz"
    )


@pytest.mark.parametrize("split_size", [None, "64 KiB", "1 MB", "10 MB"])
@pytest.mark.parametrize("level", ["fast", "small"])
def test_every_line_arrives(
    inputs: Path,
    export: Exporting,
    open_export: Opener,
    split_size: str | None,
    level: str,
) -> None:
    result = export(source(inputs), split_size=split_size, level=level)
    opened = open_export()
    assert opened.data("Interaction") == (inputs / "interactions.jsonl").read_bytes()
    assert opened.data("Interaction-Attachment") == lines(sample.documents(600, seed=3))
    assert result.unmatched == opened.manifest["unmatched"] == 1
    limit = cdds.Job(dataset=cdds.datasets.INTERACTION, split_size=split_size).split_size
    assert all(limit is None or part.stat().st_size <= limit for part in opened.parts)


def test_unread_lines_arrive_as_they_stand(
    tmp_path: Path, export: Exporting, open_export: Opener
) -> None:
    content = b'{"IXNID" : "1"}\n\n{"IXNID":2, "unknown": [1.10]}\r\nnot even JSON'
    (tmp_path / "in.jsonl").write_bytes(content)
    data = cdds.sources.JsonLines(interaction=tmp_path / "in.jsonl")
    result = export(data, validate=False)
    assert result.records == {"interaction": 3}
    expected = b'{"IXNID" : "1"}\n{"IXNID":2, "unknown": [1.10]}\r\nnot even JSON\n'
    assert open_export(validated=False).data("Interaction") == expected


def test_selection_takes_exactly_what_is_asked_for(
    inputs: Path, export: Exporting, open_export: Opener
) -> None:
    start, end = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    export(
        source(inputs),
        media_types=["Chat", "EMAIL"],
        timeframe=cdds.Timeframe.between(start, end),
    )
    chosen = [
        record
        for record in sample.interactions(600, seed=3)
        if record["MEDIATYPEID"] in {"chat", "email"}
        and start <= datetime.fromisoformat(record["STARTDATE"]) < end
    ]
    keys = {record["IXNID"] for record in chosen}
    documents = [item for item in sample.documents(600, seed=3) if item["ENTITYID"] in keys]
    assert 0 < len(chosen) < 600
    opened = open_export()
    assert opened.data("Interaction") == lines(chosen)
    assert opened.data("Interaction-Attachment") == lines(documents)


def test_contacts_follow_their_modification_else_their_creation(
    export: Exporting, open_export: Opener
) -> None:
    contacts = [
        {"CONTACTID": "early", "CREATEDDATE": "2024-01-01 00:00:00.5"},
        {"CONTACTID": "touched", "CREATEDDATE": "2024-01-01", "MODIFIEDDATE": "2025-01-01"},
        {"CONTACTID": "new", "CREATEDDATE": "2025-01-01T01:00:00+01:00"},
        {"CONTACTID": "late", "CREATEDDATE": "2025-02-01T00:00:00Z"},
        {"CONTACTID": "undated"},
    ]
    attributes = [
        {"ID": f"a-{item['CONTACTID']}", "CONTACTID": item["CONTACTID"]} for item in contacts
    ]
    january = cdds.Timeframe.between(
        datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)
    )
    records = cdds.sources.Records(contact=contacts, contactattribute=attributes)
    result = export(records, "contact", timeframe=january)
    opened = open_export()
    assert opened.data("Contact") == lines(contacts[1:3])
    assert opened.data("ContactAttribute") == lines(attributes[1:3])
    assert (result.undated, result.unmatched) == (1, 3)
    assert len(result.warnings) == 2


def test_nothing_selected_leaves_the_manifest_alone(export: Exporting, open_export: Opener) -> None:
    result = export(cdds.sources.Records(interaction=()))
    assert result.records == {}
    assert set(open_export().files) == {"manifest.json"}


def test_schemas_stand_in_a_folder_and_only_beside_their_data(
    inputs: Path, export: Exporting, open_export: Opener
) -> None:
    export(cdds.sources.JsonLines(interaction=inputs / "interactions.jsonl"))
    assert set(open_export().files) == {
        "Interaction-job.json",
        "schema/interaction.json",
        "manifest.json",
    }


def test_rejects_are_left_out_and_listed_without_content(
    export: Exporting, open_export: Opener
) -> None:
    secret = "never to be told"
    records: list[dict[str, Any]] = [
        {"IXNID": "good-1"},
        {"IXNID": "bad-1", "STATUS": secret},
        {"SUBJECT": secret},
        {"IXNID": "good-2", "OWNERID": None},
    ]
    documents = [{"ID": "1", "ENTITYID": "good-1"}, {"ID": "2", "ENTITYID": "bad-1"}]
    given = cdds.sources.Records(interaction=records, document=documents)
    result = export(given, on_invalid="reject")
    opened = open_export()
    assert opened.data("Interaction") == b'{"IXNID":"good-1"}\n{"IXNID":"good-2"}\n'
    assert opened.data("Interaction-Attachment") == lines(documents[:1])
    assert [(item.position, item.key, item.field) for item in result.rejects] == [
        (2, "bad-1", "STATUS"),
        (3, None, None),
    ]
    assert len(opened.manifest["rejects"]) == 2
    assert secret not in str(result) + json.dumps(opened.manifest)


def test_a_dataset_of_the_host(export: Exporting, open_export: Opener) -> None:
    schema = {
        "type": "object",
        "required": ["ID"],
        "properties": {"ID": {"type": "string"}, "SCORE": {"type": "number", "maximum": 10}},
    }
    file = cdds.DataFile(name="answer", label="Survey", schema=schema, key="ID")
    answers = [{"ID": "1", "SCORE": 9.5}, {"ID": "2", "SCORE": 10}]
    export(cdds.sources.Records(answer=answers), cdds.Dataset("Survey", [file]))
    assert open_export().data("Survey") == lines(answers)


def test_json_arrays_keep_exact_numbers(
    tmp_path: Path, export: Exporting, open_export: Opener
) -> None:
    text = '[{"IXNID":"1","OWNERID":123456789012345678901234567890,"ALLATTRIBUTES":{"n":1.10}}]'
    (tmp_path / "in.json").write_text(text)
    export(cdds.sources.JsonArray(interaction=tmp_path / "in.json"))
    assert open_export().data("Interaction") == text[1:-1].encode() + b"\n"


def test_into_memory(
    rsa_key_and_certificate: tuple[Path, Path], tmp_path: Path, inputs: Path, target: Path
) -> None:
    """The same through fsspec's file system in memory; what is there is what a folder gets."""
    result = cdds.export(
        source(inputs),
        dataset="Interaction",
        to="memory://exports",
        recipients=rsa_key_and_certificate[1],
        split_size="64 KiB",
    )
    fs = fsspec.filesystem("memory")
    names = sorted(Path(path).name for path in fs.ls("/exports", detail=False))
    assert names == sorted([*(artifact.name for artifact in result.artifacts), result.digests])
    fs.rm("/exports", recursive=True)


def test_names_and_order(inputs: Path, export: Exporting, target: Path) -> None:
    run_id = "2b710a2c-0e7f-4918-983c-0c02d108eae0"
    result = export(source(inputs), split_size="64 KiB", run_id=run_id)
    names = [artifact.name for artifact in result.artifacts]
    assert names[0] == f"export-{run_id}.z01.smime"
    assert names[-1] == f"export-{run_id}.zip.smime"
    assert result.digests == f"export-{run_id}.sha256"
    assert sorted(path.name for path in target.iterdir()) == sorted([*names, result.digests])
