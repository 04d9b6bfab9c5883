"""Records made from real e-mails, chats and contacts arrive byte for byte.

The material lies in a folder of its own, which is not part of the project: the tests skip where
neither ``CDDS_DATA`` nor ``../shared/data`` leads to it.
"""

from __future__ import annotations

import csv
import email
import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import cdds

ROOT = Path(os.environ.get("CDDS_DATA", Path.cwd().parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"no real data at {ROOT}")


def base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def header(message: Any, name: str) -> str:
    value = str(message.get(name, ""))
    return value.encode("utf-8", "replace").decode("utf-8")


def e_mails() -> Iterator[tuple[str, bytes]]:
    for number, path in enumerate(sorted((ROOT / "email").rglob("*"))):
        if path.is_file() and path.suffix not in {".md", ".txt"}:
            yield f"MAIL{number:012}", path.read_bytes()


def mail_interactions() -> Iterator[dict[str, Any]]:
    for key, raw in e_mails():
        message = email.message_from_bytes(raw)
        yield {
            "IXNID": key,
            "STATUS": 3,
            "ENTITYTYPEID": 0,
            "MEDIATYPEID": "email",
            "STARTDATE": "2025-01-01T00:00:00.000Z",
            "SUBJECT": header(message, "Subject"),
            "FROMADDRESS": header(message, "From"),
            "TEXT": raw.decode("latin-1"),
            "MIMETYPE": "message/rfc822",
            "THESIZE": len(raw),
            "CONTENT": base64(raw),
        }


def mail_documents() -> Iterator[dict[str, Any]]:
    for key, raw in e_mails():
        for number, part in enumerate(email.message_from_bytes(raw).walk()):
            content = part.get_payload(decode=True) if part.get_filename() else None
            if isinstance(content, bytes):
                yield {
                    "ID": f"{key}-{number}",
                    "MIMETYPE": part.get_content_type(),
                    "THESIZE": len(content),
                    "CONTENT": base64(content),
                    "ENTITYID": key,
                    "ENTITYTYPEID": 0,
                }


def chat_interactions() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "chat" / "multidogo").rglob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for key, turns in groupby(rows, lambda row: row["conversationId"]):
                said = "".join(f"<msgText>{turn['utterance']}</msgText>" for turn in turns)
                yield {
                    "IXNID": key,
                    "ENTITYTYPEID": 2,
                    "MEDIATYPEID": "chat",
                    "STARTDATE": "2025-02-01T00:00:00.000Z",
                    "STRUCTUREDTEXT": f"<chatTranscript>{said}</chatTranscript>",
                }
    for dialogue in json.loads((ROOT / "chat" / "abcd" / "abcd_sample.json").read_bytes()):
        yield {
            "IXNID": str(dialogue["convo_id"]),
            "ENTITYTYPEID": 2,
            "MEDIATYPEID": "chat",
            "STARTDATE": "2025-02-02T00:00:00.000Z",
            "TEXT": json.dumps(dialogue["original"]),
            "ALLATTRIBUTES": dialogue["scenario"],
        }


def cards() -> Iterator[tuple[str, bytes]]:
    for number, path in enumerate(sorted((ROOT / "contacts").rglob("*"))):
        if path.is_file():
            yield f"CONTACT{number:09}", path.read_bytes()


def lines(records: Any) -> list[bytes]:
    return [json.dumps(record, ensure_ascii=False).encode() for record in records]


def write(path: Path, content: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in content))
    return path


@pytest.mark.parametrize("split_size", [None, "1 MB"])
def test_interactions_arrive_byte_for_byte(
    tmp_path: Path,
    export: Callable[..., cdds.ExportResult],
    open_export: Callable[[], Any],
    split_size: str | None,
) -> None:
    interactions = lines([*mail_interactions(), *chat_interactions()])
    documents = lines(mail_documents())
    assert len(interactions) > 2000
    assert len(documents) > 100
    source = cdds.sources.JsonLines(
        interaction=write(tmp_path / "i.jsonl", interactions),
        document=write(tmp_path / "d.jsonl", documents),
    )
    export(source, split_size=split_size)
    opened = open_export()
    assert opened.data("Interaction").split(b"\n")[:-1] == interactions
    assert opened.data("Interaction-Attachment").split(b"\n")[:-1] == documents


def test_contacts_arrive_byte_for_byte(
    export: Callable[..., cdds.ExportResult], open_export: Callable[[], Any]
) -> None:
    contacts = [{"CONTACTID": key, "CREATEDDATE": "2025-01-01 00:00:00"} for key, _ in cards()]
    attributes = [
        {"ID": f"{key}-card", "CONTACTID": key, "MIMETYPE": "text/vcard", "BINVALUE": base64(card)}
        for key, card in cards()
    ]
    assert len(contacts) > 20
    export(cdds.sources.Records(contact=contacts, contactattribute=attributes), "contact")
    opened = open_export()
    assert [json.loads(line) for line in opened.data("Contact").splitlines()] == contacts
    arrived = [json.loads(line) for line in opened.data("ContactAttribute").splitlines()]
    assert arrived == attributes
