"""Messages that others made: OpenSSL, `cryptography`, and the vectors of many libraries."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import SubjectKeyIdentifier
from vectors import cases_or_skip, vectors
from ways import archive_of, assert_opens, cut, opened

from cdds.crypto import Envelope, inspect_message
from cdds.errors import CertificateError, DecryptionError, EnvelopeError, MessageError

Judge: TypeAlias = Callable[[str], str]
Holders: TypeAlias = tuple[Any, ...]

SIZES = (0, 1, 16, 100_001)
ARCHIVES = (archive_of(1000), archive_of(100_000))
STEPS = (1, 4096, 10_000_000)


# OpenSSL

SMIME_CIPHERS = ["-aes128", "-aes192", "-aes256"]
GCM_CIPHERS = ["-aes-128-gcm", "-aes-192-gcm", "-aes-256-gcm"]
OAEP = ["-keyopt", "rsa_padding_mode:oaep"]
TRANSPORTS: dict[str, list[str]] = {
    "pkcs1v15": [],
    "oaep-sha1": OAEP,
    **{
        f"oaep-{name}": [*OAEP, "-keyopt", f"rsa_oaep_md:{name}"]
        for name in ("sha256", "sha384", "sha512")
    },
    "oaep-sha256-mgf1-sha1": [
        *OAEP,
        *("-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"),
    ],
    "oaep-sha1 with a label": [*OAEP, "-keyopt", "rsa_oaep_label:6c6162656c"],
}


def openssl(judge: Judge, content: bytes, *arguments: str) -> bytes:
    """Return what a command of OpenSSL makes of a content, or skip where it is too old for it."""
    done = subprocess.run(
        [judge("openssl"), *arguments], input=content, capture_output=True, check=False
    )
    if b"nknown" in done.stderr and b"ption" in done.stderr:
        pytest.skip("this OpenSSL is too old")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("stream", [[], ["-stream"]], ids=["whole", "stream"])
@pytest.mark.parametrize("form", ["SMIME", "PEM", "DER"])
@pytest.mark.parametrize("cipher", SMIME_CIPHERS)
def test_what_openssl_smime_encrypts_opens(
    judge: Judge, holders: Holders, cipher: str, form: str, stream: list[str], tmp_path: Path
) -> None:
    certificates = [str(holder.certificate_file) for holder in holders]
    words = ("smime", "-encrypt", "-binary", cipher, "-outform", form, *stream, *certificates)
    for size in SIZES:
        content = os.urandom(size)
        message = openssl(judge, content, *words)
        for holder, step in zip(holders, STEPS, strict=True):
            assert opened(cut(message, step), key=holder.key_file) == content
    for archive in ARCHIVES:
        message = openssl(judge, archive, *words)
        for holder, step in zip(holders, STEPS, strict=True):
            assert_opens(message, archive, holder.key, tmp_path, step)


@pytest.mark.parametrize("keyid", [[], ["-keyid"]], ids=["issuer", "keyid"])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("cipher", [*SMIME_CIPHERS, *GCM_CIPHERS])
def test_what_openssl_cms_encrypts_opens(
    judge: Judge,
    holders: Holders,
    identified: list[Path],
    cipher: str,
    transport: str,
    keyid: list[str],
    tmp_path: Path,
) -> None:
    """All ciphers and key transports, for recipients who are named in both ways, in all forms."""
    recipients: list[str] = []
    for path in identified:
        recipients += ["-recip", str(path), *TRANSPORTS[transport]]
    archive = ARCHIVES[0]
    for form, stream in itertools.product(("SMIME", "PEM", "DER"), ([], ["-stream"])):
        message = openssl(
            judge,
            archive,
            *("cms", "-encrypt", "-binary", cipher, *keyid, "-outform", form, *stream),
            *recipients,
        )
        for holder, certificate in zip(holders, identified, strict=True):
            alone = Envelope.decrypt(message, key=holder.key)
            assert b"".join(alone.iter_unverified()) == archive
            assert alone.is_verified == ("gcm" in cipher)
            names = {str(recipient.key_transport) for recipient in alone.header.recipients}
            assert names == {transport.removesuffix(" with a label")}
            assert opened(message, key=holder.key, certificates=certificate) == archive
        assert_opens(message, archive, holders[1].key, tmp_path, 4096)


@pytest.fixture(scope="module")
def identified(
    holders: Holders, issue: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Return certificates of the holders that say a key identifier."""
    home = tmp_path_factory.mktemp("identified")
    paths = []
    for number, holder in enumerate(holders):
        identifier = SubjectKeyIdentifier.from_public_key(holder.key.public_key())
        certificate = issue(f"Identified {number}", key=holder.key, extensions=(identifier,))
        path = home / f"{number}.crt"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        paths.append(path)
    return paths


# cryptography


@pytest.mark.parametrize("encoding", [Encoding.SMIME, Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("cipher", [algorithms.AES128, algorithms.AES256])
def test_what_cryptography_encrypts_opens(
    holders: Holders, cipher: Any, encoding: Any, tmp_path: Path
) -> None:
    for content in (*map(os.urandom, SIZES), *ARCHIVES):
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content)
        try:
            builder = builder.set_content_encryption_algorithm(cipher)
        except AttributeError:
            if cipher is algorithms.AES256:
                pytest.skip("this version of cryptography seals with AES-128 only")
        for holder in holders:
            builder = builder.add_recipient(holder.certificate)
        message = builder.encrypt(encoding, [pkcs7.PKCS7Options.Binary])
        for holder, step in zip(holders, STEPS, strict=True):
            assert opened(cut(message, step), key=holder.key) == content
            if content in ARCHIVES:
                assert_opens(message, content, holder.key, tmp_path, step)


# Vectors

FOLDER = vectors()
CASES = (
    [json.loads(line) for line in (FOLDER / "cms" / "cases.jsonl").read_text().splitlines()]
    if FOLDER
    else []
)
PAIRS = [(case, step) for case in CASES for step in STEPS]


@pytest.mark.filterwarnings("ignore")  # about small keys
@pytest.mark.parametrize(
    ("case", "step"),
    cases_or_skip(PAIRS, width=2),
    ids=lambda value: value["id"] if isinstance(value, dict) else str(value),
)
def test_the_vectors_come_out_as_their_cases_say(
    case: dict[str, Any], step: int, holders: Holders
) -> None:
    assert FOLDER
    message = (FOLDER / "cms" / case["file"]).read_bytes()
    # Where the key was not published, one of a size that no recipient has: it always fails.
    key = FOLDER / "cms" / case["key_pem"] if "key_pem" in case else holders[2].key
    digest = digest_or_error(cut(message, step), key)
    if case["expect"] == "ok":
        assert digest == case["plaintext_sha256"]
    elif case["expect"] != "reject_or_ok":  # those have a key of a wrong size, or no content
        assert isinstance(digest, MessageError | DecryptionError | CertificateError)
        assert not isinstance(digest, CertificateError) or case["expect"] == "ok_kari"


def digest_or_error(message: Iterator[bytes], key: Any) -> str | EnvelopeError | CertificateError:
    try:
        return hashlib.sha256(opened(message, key=key)).hexdigest()
    except (EnvelopeError, CertificateError) as error:
        return error


@pytest.mark.parametrize(
    "case",
    cases_or_skip([case for case in CASES if case["content_type"] == "enveloped"], width=1),
    ids=lambda case: case["id"] if isinstance(case, dict) else str(case),
)
def test_what_the_vectors_are_is_told_without_a_key(case: dict[str, Any]) -> None:
    """Also where they cannot be decrypted here, by the names of their algorithms."""
    assert FOLDER
    header = inspect_message((FOLDER / "cms" / case["file"]).read_bytes())
    assert header.form == case["format"].lower()
    assert header.cipher.name in case["algorithms"]
    assert header.recipients
