"""Ranges of messages of others: OpenSSL, `cryptography`, and the vectors of many libraries."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from ranged import ranged, ranged_outcome, read_all
from vectors import cases_or_skip, vectors

from cdds.crypto import Envelope
from cdds.errors import CertificateError, EnvelopeError

Judge: TypeAlias = Callable[[str], str]
Holders: TypeAlias = tuple[Any, ...]

SIZES = (0, 1, 16, 4096, 100_001, 3_000_000)
COMMANDS = {
    "smime": ("smime", "-encrypt", "-aes256"),
    "cms": ("cms", "-encrypt", "-aes128"),
    "cms with GCM": ("cms", "-encrypt", "-aes-256-gcm"),
}


@pytest.mark.parametrize("stream", [(), ("-stream",)], ids=["whole", "stream"])
@pytest.mark.parametrize("form", ["SMIME", "PEM", "DER"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_openssl_encrypts_is_direct(
    judge: Judge, holders: Holders, command: str, form: str, stream: tuple[str, ...]
) -> None:
    certificates = [str(holder.certificate_file) for holder in holders]
    for size in SIZES if "GCM" not in command else SIZES[1:]:  # OpenSSL fails for no content
        content = os.urandom(size)
        arguments = (*COMMANDS[command], "-binary", "-outform", form, *stream, *certificates)
        message = subprocess.run(
            [judge("openssl"), *arguments], input=content, capture_output=True, check=True
        ).stdout
        opened = ranged(message, key=holders[1].key)
        assert opened.is_direct
        assert read_all(opened, max(1, size // 7)) == content
        opened.verify()


@pytest.mark.parametrize("encoding", [Encoding.SMIME, Encoding.PEM, Encoding.DER])
def test_what_cryptography_encrypts_is_direct(holders: Holders, encoding: Any) -> None:
    for size in SIZES:
        content = os.urandom(size)
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content)
        builder = builder.add_recipient(holders[0].certificate)
        message = builder.encrypt(encoding, [pkcs7.PKCS7Options.Binary])
        opened = ranged(message, key=holders[0].key)
        assert opened.is_direct
        assert read_all(opened, max(1, size // 7)) == content
        opened.verify()


FOLDER = vectors()
CASES = (
    [json.loads(line) for line in (FOLDER / "cms" / "cases.jsonl").read_text().splitlines()]
    if FOLDER
    else []
)


@pytest.mark.filterwarnings("ignore")  # about small keys
@pytest.mark.parametrize(
    "case",
    cases_or_skip(CASES, width=1),
    ids=lambda case: case["id"] if isinstance(case, dict) else str(case),
)
def test_the_vectors_come_out_in_pieces_as_they_do_from_the_beginning(
    case: dict[str, Any], holders: Holders
) -> None:
    assert FOLDER
    message = (FOLDER / "cms" / case["file"]).read_bytes()
    # Where the key was not published, one of a size that no recipient has: it always fails.
    key = FOLDER / "cms" / case["key_pem"] if "key_pem" in case else holders[2].key
    found = ranged_outcome(message, 13, key=key)
    if case["expect"] == "ok":
        assert isinstance(found, bytes)
        assert hashlib.sha256(found).hexdigest() == case["plaintext_sha256"]
    elif case["expect"] == "reject_or_ok":  # those have a key of a wrong size, or no content
        assert found == from_the_beginning(message, key)
    else:
        assert isinstance(found, str)


def from_the_beginning(message: bytes, key: Any) -> bytes | str:
    try:
        return b"".join(Envelope.decrypt(message, key=key).iter_unverified())
    except (EnvelopeError, CertificateError) as error:
        return str(error)
