"""What the end-to-end tests share: exporting into a folder, and opening it as a recipient does."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from jsonschema import Draft7Validator

import cdds


@attrs.frozen
class Opened:
    """An export as its recipient sees it: the files of the archive, and what the manifest says."""

    files: Mapping[str, bytes] = attrs.field(repr=False)
    manifest: Mapping[str, Any] = attrs.field(repr=False)
    parts: tuple[Path, ...]

    def data(self, label: str) -> bytes:
        """Return the data file of that label; empty if there is none."""
        found = [data for name, data in self.files.items() if name.startswith(f"{label}-job")]
        assert len(found) <= 1
        return found[0] if found else b""


Export: TypeAlias = Callable[..., cdds.ExportResult]
Open: TypeAlias = Callable[..., Opened]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return the folder that exports go to."""
    return tmp_path / "exports"


@pytest.fixture
def export(target: Path, rsa_key_and_certificate: tuple[Path, Path]) -> Export:
    """Return `cdds.export` with the target, the recipient and a job id filled in."""

    def run(source: Any, dataset: Any = "Interaction", **options: Any) -> cdds.ExportResult:
        certificate = rsa_key_and_certificate[1]
        arguments: dict[str, Any] = {
            "to": target,
            "recipients": certificate,
            "job_id": "job",
        } | options
        return cdds.export(source, dataset=dataset, **arguments)

    return run


@pytest.fixture
def open_export(
    target: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    judge: Callable[[str], str],
    tmp_path: Path,
) -> Open:
    """Return what decrypts with OpenSSL, extracts with unzip or 7-Zip, and checks the manifest."""

    def run(*, validated: bool = True) -> Opened:
        check_digests(target)
        parts = decrypt(target, rsa_key_and_certificate[0], tmp_path / "opened", judge("openssl"))
        files = tmp_path / "files"
        if len(parts) == 1:
            call(judge("unzip"), "-q", parts[0], "-d", files)
        archive = next(part for part in parts if part.suffix == ".zip")
        call(judge("7zz"), "t", archive)
        call(judge("7zz"), "x", "-y", archive, f"-o{files}")
        return Opened(*check_manifest(files, validated), tuple(parts))

    return run


def call(*command: str | Path) -> None:
    """Run a judge, which must be content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def decrypt(folder: Path, key: Path, out: Path, openssl: str) -> list[Path]:
    """Decrypt every artifact of a folder by itself; return the parts of the archive."""
    out.mkdir()
    for artifact in sorted(folder.glob("*.smime")):
        part = out / artifact.stem
        call(openssl, "smime", "-decrypt", "-binary", "-inkey", key, "-in", artifact, "-out", part)
    return sorted(out.iterdir())


def check_digests(folder: Path) -> None:
    """Let sha256sum judge the commit mark."""
    marks = list(folder.glob("*.sha256"))
    assert len(marks) == 1
    done = subprocess.run(
        ["sha256sum", "-c", marks[0].name], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.count(": OK") == len(list(folder.glob("*.smime")))


def check_manifest(folder: Path, validated: bool) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Hold the manifest against the files: names, sizes, digests, counts, schemas."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    assert set(files) == {entry["name"] for entry in manifest["files"]} | {"manifest.json"}
    for entry in manifest["files"]:
        data = files[entry["name"]]
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        if "records" in entry:
            assert entry["records"] == data.count(b"\n")
            if validated:
                check_records(data, json.loads(files[entry["schema"]]))
    return files, manifest


def check_records(data: bytes, schema: dict[str, Any]) -> None:
    """Validate each line with the schema that came with it."""
    Draft7Validator.check_schema(schema)
    validator = Draft7Validator(schema)
    for line in data.split(b"\n")[:-1]:
        validator.validate(json.loads(line))
