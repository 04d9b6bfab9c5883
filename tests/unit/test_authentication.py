"""An export of which authentication is demanded is proven to be unchanged, or not opened."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds.crypto import Signer
from cdds.errors import CertificateError, ExportError, MessageError, SignatureError

END_OF_CONTENTS = 10  # bytes after the ciphertext
RECORDS = [{"IXNID": f"{number:016}", "SUBJECT": f"subject {number}"} for number in range(100)]


@pytest.fixture
def export(tmp_path: Path, key: Path, certificate: Path) -> Callable[..., list[Path]]:
    """Return what makes an export, and returns its files."""

    def make(name: str, *, is_signed: bool = False, **options: Any) -> list[Path]:
        if is_signed:
            options["signer"] = Signer.load(key, certificate)
        result = cdds.export(
            cdds.sources.Records(interaction=RECORDS),
            dataset="interaction",
            to=tmp_path / name,
            recipients=certificate,
            validate=False,
            **options,
        )
        return [tmp_path / name / artifact.name for artifact in result.artifacts]

    return make


def records(file: Path, **options: Any) -> list[dict[str, Any]]:
    with cdds.open_export(file, **options) as opened:
        return list(opened.records("Interaction"))


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_cipher_or_signature_authenticates(
    cipher: str, is_signed: bool, export: Callable[..., list[Path]], key: Path, certificate: Path
) -> None:
    file = export("out", is_signed=is_signed, cipher=cipher)[0]
    assert records(file, key=key) == RECORDS
    if cipher.endswith("gcm"):
        assert records(file, key=key, require_authenticated=True) == RECORDS
    else:
        with pytest.raises(MessageError, match="nothing authenticates"):
            records(file, key=key, require_authenticated=True)
    for demanded in (False, True):
        options = {"key": key, "signer": certificate, "require_authenticated": demanded}
        if is_signed:
            assert records(file, **options) == RECORDS
        else:
            with pytest.raises(ExportError, match="no signature"):
                records(file, **options)


@pytest.mark.parametrize("ciphers", [["aes-256-gcm"] * 2, ["aes-256-gcm", "aes-256-cbc"]])
def test_one_message_that_nothing_authenticates_is_enough(
    ciphers: list[Any], tmp_path: Path, key: Path, certificate: Path
) -> None:
    plain = plain_archive(tmp_path / "plain.zip").read_bytes()
    for number, cipher in enumerate(ciphers, 1):
        half = plain[:50] if number == 1 else plain[50:]
        message = b"".join(map(bytes, cdds.Envelope(certificate, cipher=cipher).encrypt([half])))
        (tmp_path / f"a.zip.{number:03}.smime").write_bytes(message)
    file = tmp_path / "a.zip.001.smime"
    assert records(file, key=key) == [{"a": 1}]
    if "aes-256-cbc" in ciphers:
        with pytest.raises(MessageError, match=r"a\.zip\.002.*nothing authenticates"):
            records(file, key=key, require_authenticated=True)
    else:
        assert records(file, key=key, require_authenticated=True) == [{"a": 1}]


def plain_archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Interaction", '{"a": 1}\n')
    return path


def test_the_padding_of_what_is_refused_is_not_told(
    export: Callable[..., list[Path]], key: Path, tmp_path: Path
) -> None:
    """No key is used for it, so all messages of one cipher are refused alike."""
    good = export("out", format="der")[0].read_bytes()
    bad = bytearray(good)
    bad[-(END_OF_CONTENTS + 17)] ^= 0x80
    told = set()
    for data in (good, bytes(bad)):
        (tmp_path / "a.p7m").write_bytes(data)
        with pytest.raises(MessageError) as caught:
            records(tmp_path / "a.p7m", key=key, require_authenticated=True)
        told.add(str(caught.value))
    assert len(told) == 1


def test_an_archive_that_is_not_sealed_has_to_be_signed(
    tmp_path: Path, key: Path, certificate: Path
) -> None:
    file = plain_archive(tmp_path / "export-1.zip")
    with pytest.raises(ExportError, match="is not sealed"):
        records(file, require_authenticated=True)

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    digests = f"{digest}  {file.name}\n".encode()
    file.with_suffix(".sha256").write_bytes(digests)
    signature = Signer.load(key, certificate).sign(digests)
    file.with_suffix(".sha256.p7s").write_bytes(signature)
    assert records(file, require_authenticated=True, signer=certificate) == [{"a": 1}]


def test_what_is_signed_is_held_against_its_digests_before_a_key_is_used(
    export: Callable[..., list[Path]], certificate: Path
) -> None:
    class Key:
        def decrypt(self, encrypted_key: bytes, algorithm: object) -> bytes:
            pytest.fail("the key was used")

    (file,) = export("out", is_signed=True)
    data = bytearray(file.read_bytes())
    data[-100] = ord("B") if data[-100] == ord("A") else ord("A")
    file.write_bytes(data)
    with pytest.raises(ExportError, match="differs from its digest"):
        records(file, key=Key(), certificates=certificate, signer=certificate)


def test_the_signature_of_another_is_refused(
    export: Callable[..., list[Path]], key: Path, holders: Any
) -> None:
    (file,) = export("out", is_signed=True)
    with pytest.raises(SignatureError):
        records(file, key=key, signer=holders[1].certificate_file)
    with pytest.raises(CertificateError):
        records(file, key=key, signer=file)
