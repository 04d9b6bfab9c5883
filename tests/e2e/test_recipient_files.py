"""What was exported is found by its recipient, in every form, split or not, on a disk or on S3."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from parts import contents, opened
from stores import S3_KEYS, s3_store

import cdds
from cdds import sample
from cdds.crypto import Envelope
from cdds.recipient.digests import check_digests, check_signature
from cdds.recipient.files import ExportFiles, find_files

Exporting: TypeAlias = Callable[..., cdds.ExportResult]
Issue: TypeAlias = Callable[..., x509.Certificate]

RECORDS = list(sample.interactions(300, seed=3))


@pytest.fixture
def signer(issue: Issue) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Return somebody who signs, and is not the recipient."""
    key = rsa.generate_private_key(65537, 2048)
    return key, issue("Signer", key=key)


def check(files: ExportFiles, result: cdds.ExportResult, signer: x509.Certificate) -> None:
    """All artifacts are there, in order, with digests that somebody signed."""
    with files:
        artifacts = {artifact.name: artifact for artifact in result.artifacts}
        assert [part.name for part in files.parts] == list(artifacts)
        report = check_digests(files)
        assert report.is_sound
        assert report.computed == {name: one.sha256 for name, one in artifacts.items()}
        assert check_signature(files, signer).signer == "CN=Signer"


@pytest.mark.parametrize("split_size", [None, "64 KiB"])
@pytest.mark.parametrize("form", ["smime", "der", "pem"])
def test_every_file_of_an_export_finds_it(
    export: Exporting,
    target: Path,
    signer: Any,
    rsa_key_and_certificate: tuple[Path, Path],
    form: str,
    split_size: str | None,
) -> None:
    """And what is found can be opened as it stands."""
    source = cdds.sources.Records(interaction=RECORDS)
    export(source, split_size="1 MB")  # another one in the same folder
    result = export(source, split_size=split_size, format=form, signer=signer)
    assert (len(result.artifacts) > 2) == bool(split_size)
    stem = result.artifacts[0].name.partition(".")[0]
    own = [path for path in target.iterdir() if path.name.startswith(stem)]
    assert len(own) == len(result.artifacts) + 2
    for path in random.Random(1).sample(own, min(4, len(own))):
        check(find_files(path), result, signer[1])
    with find_files(own) as files:
        assert "manifest.json" in contents(opened(*unsealed(files, rsa_key_and_certificate[0])))


def unsealed(files: ExportFiles, key: Path) -> Iterator[bytes]:
    """Yield what is sealed in each part."""
    for part in files.parts:
        yield b"".join(Envelope.decrypt(part.pieces(100_000), key=key).iter_unverified())


def test_an_export_in_a_bucket_is_found(
    export: Exporting, signer: Any, rsa_key_and_certificate: tuple[Path, Path], s3_endpoint: str
) -> None:
    """By the same options that it was written with."""
    store = s3_store(s3_endpoint)
    source = cdds.sources.Records(interaction=RECORDS)
    result = export(source, to=store.sink, split_size="64 KiB", signer=signer)
    options = {"endpoint_url": s3_endpoint, **S3_KEYS}
    for name in (result.artifacts[1].name, result.digests):
        url = f"s3://{store.bucket}/folder/{name}"
        check(find_files(url, storage_options=options), result, signer[1])
