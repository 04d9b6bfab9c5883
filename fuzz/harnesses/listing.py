"""Any bytes are the manifest of one archive, or are refused with `ArchiveError`.

What is taken is a JSON object that `jsonschema` finds well formed, and names each entry once, with
its size, a digest, and the name and the schema of its data if it is a data file. What is listed is
what it says, in the order of the archive. What is refused breaks one of these rules, or holds what
may be refused for itself: a fraction, or a number of very many digits.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from jsonschema import Draft7Validator

from cdds.archive import ArchivedEntry
from cdds.errors import ArchiveError
from cdds.recipient.listing import Listing, listed
from fuzz.inputs import read_json

READS = ("cdds.recipient.listing",)
WORDS = (
    *(b'"format":"cdds-manifest"', b'"format_version":1', b'"job_id":"J"', b'"files":['),
    *(b'"name":"', b'"bytes":40', b'"sha256":"', b'"data_file":"a"', b'"schema":"a.schema.json"'),
    *(b'"records":2', b'"block_offsets":{"data":[0],"compressed":[0]}', b"null", b'"b-J.json"'),
)

JOB = "J"
SIZES = {"a-J.json": 40, "b-J.json": 0, "a.schema.json": 9, "README.txt": 5}
_FOLDER, _MANIFEST = "folder/", "manifest.json"
_ENTRIES = [
    ArchivedEntry(name, size, size, 0, "stored", 0, 0, 0)
    for name, size in {**SIZES, _FOLDER: 0, _MANIFEST: 100}.items()
]
_DEEP = 100
_MOST_DIGITS = 18

_INTEGERS = {"type": "array", "items": {"type": "integer"}}
_FILE = {
    "type": "object",
    "required": ["name", "bytes", "sha256"],
    "properties": {
        "name": {"enum": list(SIZES)},
        "bytes": {"type": "integer"},
        "sha256": {"type": "string", "pattern": r"\A[0-9a-f]{64}\Z"},
        "data_file": {"type": ["string", "null"]},
        "schema": {"type": ["string", "null"]},
        "records": {"type": ["integer", "null"]},
        "block_offsets": {
            "type": ["object", "null"],
            "required": ["data", "compressed"],
            "properties": {"data": _INTEGERS, "compressed": _INTEGERS},
        },
    },
}
_JUDGE = Draft7Validator(
    {
        "type": "object",
        "required": ["format", "format_version", "job_id", "files"],
        "properties": {
            "format": {"const": "cdds-manifest"},
            "format_version": {"type": "integer", "maximum": 1},
            "job_id": {"type": "string"},
            "files": {"type": "array", "items": _FILE, "minItems": len(SIZES)},
        },
    }
)


def check(data: bytes) -> None:
    """Check the invariant for a manifest."""
    if data.count(b"[") + data.count(b"{") > _DEEP:
        return
    try:
        listing = listed(data, _ENTRIES)
    except ArchiveError:
        assert not _fits(_plain(data))
        return
    document = json.loads(data)
    assert _fits(document)
    _check_listing(listing, document)


def _plain(data: bytes) -> Any:
    """Return the value of a JSON text; None if it holds what may be refused for itself."""
    try:
        return read_json(data, parse_int=_integer, parse_float=_integer, object_pairs_hook=dict)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError
    return int(digits)


def _fits(document: Any) -> bool:
    if not _JUDGE.is_valid(document):
        return False
    files = document["files"]
    data_files = [file for file in files if file.get("data_file") is not None]
    others = {file["name"] for file in files} - {file["name"] for file in data_files}
    schemas = {file.get("schema") for file in data_files} - {None}
    names = [[file["name"] for file in files], [file["data_file"] for file in data_files]]
    labels = [_label(file, document["job_id"]) for file in data_files]
    return (
        all(file["bytes"] == SIZES[file["name"]] for file in files)
        and all(count == 1 for found in (*names, labels) for count in Counter(found).values())
        and schemas <= others
    )


def _label(file: dict[str, Any], job_id: str) -> str:
    name: str = file["name"]
    return name.removesuffix(f"-{job_id}.json") if file.get("data_file") else name


def _check_listing(listing: Listing, document: dict[str, Any]) -> None:
    assert listing.manifest == document
    assert [file.entry.name for file in listing.files] == list(SIZES)
    said = {file["name"]: file for file in document["files"]}
    for file in listing.files:
        expected = said[file.entry.name]
        assert file.sha256 == expected["sha256"]
        assert file.label == _label(expected, document["job_id"])
        for told in ("data_file", "schema", "records"):
            assert getattr(file, told) == expected.get(told)
        offsets = expected.get("block_offsets")
        assert (file.block_offsets is None) == (offsets is None)
        if file.block_offsets is not None:
            assert list(file.block_offsets.data) == offsets["data"]
            assert list(file.block_offsets.compressed) == offsets["compressed"]
    assert [file for file in listing.files if file.data_file is not None] == [*listing.data_files]
