"""What is wrong with an export is told where it is, at its depth, and never with what it holds."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds import Envelope, Signer, sample
from cdds.errors import CddsError, CertificateError, ExportError
from cdds.manifest import MAX_SCHEMA_SIZE
from cdds.recipient import Verification, inspect_export, verify
from cdds.recipient.verification import MAX_DETAILS

Holder = tuple[Path, Path]

FORMS = [
    (form, cipher)
    for form in ("smime", "der", "pem")
    for cipher in ("aes-256-cbc", "aes-128-cbc", "aes-256-gcm")
]
SECRET = "the-content-of-a-record"
SCHEMA = {
    "type": "object",
    "required": ["ID"],
    "properties": {"ID": {"type": "string"}, "N": {"type": "integer"}},
}
JOB = "j"


@pytest.fixture(scope="module")
def key(rsa_key_and_certificate: Holder) -> Path:
    return rsa_key_and_certificate[0]


@pytest.fixture(scope="module")
def certificate(rsa_key_and_certificate: Holder) -> Path:
    return rsa_key_and_certificate[1]


def exported(
    folder: Path,
    certificate: Path,
    form: tuple[Any, Any] = FORMS[0],
    signer: Signer | None = None,
    split_size: int | None = None,
) -> list[Path]:
    sink = cdds.sinks.LocalSink(folder)
    envelope = Envelope(certificate, format=form[0], cipher=form[1])
    job = cdds.Job(dataset=cdds.datasets.INTERACTION, split_size=split_size)
    source = cdds.sources.Records(interaction=sample.interactions(60))
    result = cdds.Exporter(sink=sink, envelope=envelope, signer=signer).run(job, source)
    return [folder / artifact.name for artifact in result.artifacts]


def archive(
    path: Path,
    records: Sequence[Any] | bytes,
    schema: Any = SCHEMA,
    said: Mapping[str, Any] | None = None,
    **manifest: Any,
) -> Path:
    """Write an archive as an export has it, with any records, schema and manifest."""
    lines = records if isinstance(records, bytes) else b"".join(map(line, records))
    rule = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    data = {"Thing-j.json": lines, "thing.schema.json": rule}
    files: list[dict[str, Any]] = [
        {"name": name, "bytes": len(held), "sha256": hashlib.sha256(held).hexdigest()}
        for name, held in data.items()
    ]
    files[0] |= {"data_file": "thing", "schema": "thing.schema.json", **(said or {})}
    text = {"format": "cdds-manifest", "format_version": 1, "job_id": JOB, "files": files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, held in data.items():
            target.writestr(name, held)
        target.writestr("manifest.json", json.dumps(text | manifest))
    return path


def line(record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def sealed(file: Path, certificate: Path, cipher: Any) -> Path:
    target = file.with_name(f"{file.name}.der")
    envelope = Envelope(certificate, format="der", cipher=cipher)
    target.write_bytes(b"".join(envelope.encrypt([file.read_bytes()])))
    return target


def damaged(file: Path, name: str) -> Path:
    """Change a byte of the data of an entry."""
    with zipfile.ZipFile(file) as opened:
        entry = opened.getinfo(name)
    data = bytearray(file.read_bytes())
    data[entry.header_offset + 30 + len(name) + entry.compress_size // 2] ^= 1
    file.write_bytes(data)
    return file


def verdicts(found: Verification) -> dict[str, str]:
    return {check.name: check.verdict for check in found.checks}


def faults(found: Verification) -> dict[str, tuple[str, ...]]:
    """Return what is unsound, and make sure that both kinds of report tell it."""
    unsound: dict[str, tuple[str, ...]] = {
        check.name: check.details for check in found.checks if check.verdict == "unsound"
    }
    assert found.is_sound == (not unsound)
    assert found.as_dict()["sound"] == found.is_sound
    assert json.loads(json.dumps(found.as_dict())) == {
        "name": found.name,
        "sound": found.is_sound,
        "checks": [
            {"name": check.name, "verdict": check.verdict, "details": list(check.details)}
            for check in found.checks
        ],
    }
    assert all(detail in str(found) for details in unsound.values() for detail in details)
    assert SECRET not in str(found)
    return unsound


@pytest.mark.parametrize("split_size", [None, 65536])
@pytest.mark.parametrize("form", FORMS)
def test_a_sound_export_is_sound_at_every_depth(
    form: tuple[str, str], split_size: int | None, tmp_path: Path, certificate: Path, key: Path
) -> None:
    signer = Signer.load(key, certificate)
    files = exported(tmp_path, certificate, form, signer, split_size)
    assert (len(files) > 1) == (split_size is not None)

    whole = verify(files[-1], key=key, signer=certificate)
    assert set(verdicts(whole).values()) == {"sound"}
    assert faults(whole) == {}

    keyless = verify(files[0])
    assert faults(keyless) == {}
    assert {name for name, verdict in verdicts(keyless).items() if verdict == "not checked"} == {
        "signature",
        "decryption",
        "archive",
        "records",
    }
    told = inspect_export(files[0])
    assert [part.name for part in told.parts] == [file.name for file in files]
    assert all(part.header and part.header.cipher.name == form[1] for part in told.parts)
    assert (told.entries, told.signature is not None) == (None, True)


def test_each_missing_part_is_named(tmp_path: Path, certificate: Path, key: Path) -> None:
    files = exported(tmp_path, certificate, split_size=65536)
    for lost in files:
        data = lost.read_bytes()
        lost.unlink()
        found = verify(next(file for file in files if file != lost), key=key)
        assert list(faults(found)) == ["files"]
        assert lost.name in faults(found)["files"][0]
        lost.write_bytes(data)
    assert faults(verify(files, key=key)) == {}


@pytest.mark.parametrize("form", [FORMS[0], ("der", "aes-256-gcm")])
def test_a_changed_digest_is_the_only_fault(
    form: tuple[str, str], tmp_path: Path, certificate: Path, key: Path
) -> None:
    (file,) = exported(tmp_path, certificate, form)
    (digests,) = tmp_path.glob("*.sha256")
    digests.write_text("0" * 64 + digests.read_text()[64:])
    found = faults(verify(file, key=key))
    assert list(found) == ["digests"]
    assert file.name in found["digests"][0]

    digests.write_text("no digest\n")
    assert list(faults(verify(file, key=key))) == ["files"]


def test_a_signature_that_is_asked_for_must_be_there_and_be_right(
    tmp_path: Path, certificate: Path, key: Path, holders: Sequence[Any]
) -> None:
    (file,) = exported(tmp_path, certificate, signer=Signer.load(key, certificate))
    other = holders[1].certificate_file
    assert list(faults(verify(file, signer=other))) == ["signature"]
    assert faults(verify(file, signer=[other, certificate])) == {}
    (signature,) = tmp_path.glob("*.p7s")
    for data in (b"", b"x" * 2_000_000):
        signature.write_bytes(data)
        assert list(faults(verify(file, signer=certificate))) == ["signature"]
    signature.unlink()
    assert list(faults(verify(file, signer=certificate))) == ["signature"]
    assert faults(verify(file)) == {}


@pytest.mark.parametrize("form", FORMS)
def test_a_message_that_is_cut_off_is_named_without_a_key(
    form: tuple[str, str], tmp_path: Path, certificate: Path, key: Path
) -> None:
    (file,) = exported(tmp_path, certificate, form)
    next(tmp_path.glob("*.sha256")).unlink()
    whole = file.read_bytes()
    for size in random.Random(1).sample(range(len(whole) - 20), 8):
        file.write_bytes(whole[:size])
        for given in (None, key):
            found = faults(verify(file, key=given))
            assert list(found) == ["messages"]
            assert file.name in found["messages"][0]


def test_what_needs_the_key_is_one_fault_without_authentication(
    tmp_path: Path, certificate: Path, key: Path, holders: Sequence[Any]
) -> None:
    """A wrong key, a changed block, a damaged archive, and none at all: one report."""
    plain = archive(tmp_path / "a.zip", [{"ID": SECRET * 40}])
    good = sealed(plain, certificate, "aes-256-cbc")
    whole = good.read_bytes()
    reports = {str(verify(good, key=holders[1].key_file))}
    for back in (20, 40, 200, len(plain.read_bytes()) - 20):
        data = bytearray(whole)
        data[-back] ^= 0x80
        good.write_bytes(data)
        reports.add(str(verify(good, key=key)))
    for content in (damaged(plain, "Thing-j.json").read_bytes(), b"", b"no archive" * 30):
        plain.write_bytes(content)
        found = verify(sealed(plain, certificate, "aes-256-cbc"), key=key)
        assert list(faults(found)) == ["decryption"]
        reports.add(str(found).replace(str(good.stat().st_size), str(len(whole))))
    assert len(reports) == 1


def test_what_is_authenticated_tells_the_archive_from_the_key(
    tmp_path: Path, certificate: Path, key: Path, holders: Sequence[Any]
) -> None:
    plain = damaged(archive(tmp_path / "a.zip", [{"ID": SECRET * 40}]), "Thing-j.json")
    good = sealed(plain, certificate, "aes-256-gcm")
    found = faults(verify(good, key=key))
    assert list(found) == ["archive"]
    assert "Thing-j.json" in found["archive"][0]
    assert list(faults(verify(good, key=holders[1].key_file))) == ["decryption"]
    data = bytearray(good.read_bytes())
    data[-100] ^= 1
    good.write_bytes(data)
    assert list(faults(verify(good, key=key))) == ["decryption"]


@pytest.mark.parametrize("name", ["Thing-j.json", "thing.schema.json"])
def test_an_entry_of_an_open_archive_that_is_damaged_is_named(name: str, tmp_path: Path) -> None:
    file = archive(tmp_path / "a.zip", [{"ID": "x" * 100}])
    assert verdicts(verify(file)) == {
        "files": "sound",
        "digests": "not checked",
        "signature": "not checked",
        "messages": "not checked",
        "decryption": "not checked",
        "archive": "sound",
        "records": "sound",
    }
    found = faults(verify(damaged(file, name)))
    assert list(found) == ["archive"]
    assert name in found["archive"][0]


def test_another_digest_in_the_manifest_is_named(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.zip", [{"ID": "1"}], said={"sha256": "0" * 64})
    (fault,) = faults(verify(file))["archive"]
    assert "Thing-j.json" in fault
    assert "manifest" in fault


BROKEN = {
    "type": ({"ID": 5, "X": SECRET}, "line 3, ID: its type must be string"),
    "required": ({"X": SECRET}, "line 3: ID is required and missing"),
    "integer": ({"ID": "1", "N": SECRET}, "line 3, N: its type must be integer"),
    "null": ({"ID": "1", "N": None}, "line 3: it has a null that the schema does not allow"),
    "no object": ([SECRET], "line 3: the line is no JSON object"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("cipher", [None, "aes-256-cbc", "aes-256-gcm"])
def test_a_record_that_breaks_its_schema_is_told_by_line_field_and_rule(
    kind: str, cipher: str | None, tmp_path: Path, certificate: Path, key: Path
) -> None:
    record, said = BROKEN[kind]
    file = archive(tmp_path / "a.zip", [{"ID": "1"}, {"ID": "2", "N": 2}, record])
    found = faults(verify(sealed(file, certificate, cipher) if cipher else file, key=key))
    assert found == {"records": (f"Thing-j.json, {said}",)}


@pytest.mark.parametrize(
    "data", [b'{"ID": "\xff"}\n', b'{"ID": "1", "other": "\xff"}\n', b"{" + b"[" * 100_000, b"x"]
)
def test_a_line_that_cannot_be_read_is_told(data: bytes, tmp_path: Path) -> None:
    (fault,) = faults(verify(archive(tmp_path / "a.zip", data)))["records"]
    assert fault.startswith("Thing-j.json, line 1: ")


@pytest.mark.parametrize("count", [0, 1, 3, 2**70])
def test_the_records_must_be_as_many_as_the_manifest_says(count: int, tmp_path: Path) -> None:
    records = [{"ID": "1"}, {"ID": "2"}]
    file = archive(tmp_path / "a.zip", records, said={"records": count})
    found = faults(verify(file))
    assert found == {"records": (f"Thing-j.json has 2 records, and the manifest says {count}",)}
    assert faults(verify(archive(file, records, said={"records": 2}))) == {}


def test_faults_are_told_in_a_bounded_number_and_length(tmp_path: Path) -> None:
    schema = {"required": ["\x1b[2J" + "n" * 5_000]}
    found = faults(verify(archive(tmp_path / "a.zip", [{}] * 500, schema, validated=False)))
    *told, more, note = found["records"]
    assert len(told) == MAX_DETAILS
    assert more.startswith("and more")
    assert "without being validated" in note
    assert all(len(fault) <= 500 and fault.isprintable() for fault in told)


SCHEMAS: dict[str, Any] = {
    "no JSON": b"{",
    "no object": b"[]",
    "no schema": {"type": 5},
    "too large": b" " * MAX_SCHEMA_SIZE + b"{}",
    "too deep": b'{"not":' * 50_000 + b"{}" + b"}" * 50_000,
    "no pattern": {"properties": {"ID": {"pattern": "("}}},
    "of nothing": {"$ref": "#/definitions/none"},
    "elsewhere": {"$ref": "http://127.0.0.1:9/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "itself": {"$ref": "#"},
}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_hostile_schema_is_a_fault_and_fetches_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a schema was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    file = archive(tmp_path / "a.zip", [{"ID": "1"}], SCHEMAS[kind])
    (fault,) = faults(verify(file))["records"]
    assert fault.startswith("Thing-j.json")


def test_a_data_file_without_a_schema_is_a_fault(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.zip", [{"ID": "1"}], said={"schema": None})
    assert faults(verify(file)) == {"records": ("Thing-j.json: no schema came with it",)}


def test_a_schema_that_is_not_there_is_a_fault_of_the_archive(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.zip", [{"ID": "1"}], said={"schema": "other.json"})
    (fault,) = faults(verify(file))["archive"]
    assert "lists no schema of Thing-j.json" in fault


def test_a_foreign_archive_is_proven_by_its_crc_alone(tmp_path: Path) -> None:
    file = tmp_path / "foreign.zip"
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a/b.txt", "hello")
    assert (verdicts(verify(file))["archive"], verdicts(verify(file))["records"]) == (
        "sound",
        "not checked",
    )
    entries = inspect_export(file).as_dict()["entries"]
    assert [(entry["name"], entry["size"]) for entry in entries] == [("a/b.txt", 5)]
    assert list(faults(verify(damaged(file, "a/b.txt")))) == ["archive"]


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    file = tmp_path / "bomb.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target, target.open("a", "w") as entry:
        for _ in range(300):
            entry.write(bytes(1024 * 1024))
    assert list(faults(verify(file))) == ["archive"]


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06", b"\x30", b"\0" * 5000])
def test_what_is_no_export_is_not_sound(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    file.write_bytes(data)
    assert set(faults(verify(file))) in ({"messages"}, {"archive"})
    with pytest.raises(CddsError):
        inspect_export(file)


def test_what_keeps_from_judging_is_an_error(tmp_path: Path, certificate: Path, key: Path) -> None:
    (file,) = exported(tmp_path / "out", certificate, signer=Signer.load(key, certificate))
    with pytest.raises(ExportError, match="no such file"):
        verify(tmp_path / "nothing.zip.smime")
    with pytest.raises(ExportError, match="is no file"):
        verify(tmp_path)
    for wrong in ({"key": tmp_path / "none"}, {"key": file}, {"signer": file}):
        with pytest.raises(CddsError):
            verify(file, **wrong)  # type: ignore[arg-type]
    (unsigned,) = exported(tmp_path / "unsigned", certificate)
    wrong_signers: list[Any] = [tmp_path / "none", unsigned, []]
    for signer in wrong_signers:
        with pytest.raises(CertificateError):
            verify(unsigned, signer=signer)
    with pytest.raises(CddsError):
        verify([])
