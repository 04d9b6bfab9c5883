"""Makes the seeds of what recipients and hosts read besides messages and archives.

Signatures and certificates differ each time, for their keys are made anew and kept by nobody, and
so do messages; all else is the same. It needs `openssl`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.x509 import load_pem_x509_certificate

from cdds.catalog.paging import Order
from cdds.crypto import Envelope, Signer, ber, envelope
from fuzz.harnesses import layout, page_tokens, signature
from fuzz.harnesses.digests import written
from fuzz.harnesses.listing import JOB, SIZES

_DIGEST = sha256().hexdigest()
_DAYS = "36500"
_PKCS9 = "1.2.840.113549.1.9"


def manifests() -> dict[str, bytes]:
    """Return manifests of the archive that the harness knows, and some of others."""
    files: dict[str, dict[str, Any]] = {
        name: {"name": name, "bytes": size, "sha256": _DIGEST} for name, size in SIZES.items()
    }
    data = {"data_file": "a", "schema": "a.schema.json", "records": 2}
    offsets = {"data": [0, 20], "compressed": [0, 15]}
    files["a-J.json"] |= {**data, "block_offsets": offsets}
    files["b-J.json"] |= {**data, "data_file": "b", "records": None}
    whole = {"format": "cdds-manifest", "format_version": 1, "job_id": JOB, "run_id": "R"}
    made: dict[str, Any] = {
        "whole": {**whole, "files": list(files.values()), "rejects": [{"line": 1.5}]},
        "no-data": {**whole, "files": [dict(list(f.items())[:3]) for f in files.values()]},
        "later": {**whole, "format_version": 2, "files": list(files.values())},
        "lacking": {**whole, "files": list(files.values())[1:]},
        "empty": {**whole, "files": []},
    }
    return {name: json.dumps(document).encode() for name, document in made.items()}


def long_messages(certificate: Path) -> dict[str, bytes]:
    """Return messages of many lines, and of many octet strings."""
    made = {}
    header = bytes([ber.OCTET_STRING]) + ber.length(layout.WIDTH)
    with (
        mock.patch.object(envelope, "PIECE_SIZE", layout.WIDTH),
        mock.patch.object(envelope, "_PIECE_HEADER", header),
    ):
        for cipher in ("aes-128-cbc", "aes-256-gcm"):
            sealing = Envelope([certificate], format="der", cipher=cipher)
            made[f"strings-{cipher}"] = b"".join(sealing.encrypt([layout.CONTENT]))
    for form in ("smime", "pem"):
        sealing = Envelope([certificate], format=form, cipher="aes-256-gcm")
        made[form] = b"".join(sealing.encrypt([layout.CONTENT]))
    made["crlf"] = made["pem"].replace(b"\n", b"\r\n")
    made["spaces"] = made["smime"].replace(b"=\n", b"= \n").replace(b"A\n", b"A \n")
    return made


def digests() -> dict[str, bytes]:
    """Return files of digests."""
    names = [b"export-a.z01", b"export-a.zip", b"\xc3\xbc \xff", b"a\\b", b"a\nb\r"]
    plain = written(dict.fromkeys(names[:3], _DIGEST))
    return {
        "plain": plain,
        "binary": plain.replace(b"  ", b" *"),
        "escaped": written(dict.fromkeys(names, _DIGEST)),
        "names": b"\0".join(names),
        "open": plain.upper().rstrip(),
    }


def signers(folder: Path) -> dict[str, bytes]:
    """Write keys into a folder, and return their certificates."""
    made = {}
    for name, kind in (
        ("rsa", ["rsa:2048"]),
        ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ):
        key, certificate = folder / f"{name}.key", folder / f"signer-{name}.pem"
        subject = ["-subj", f"/CN=only for tests of cdds: {name}", "-days", "1"]
        made_anew = ["req", "-x509", "-nodes", "-newkey", *kind, *subject]
        _openssl(*made_anew, "-keyout", key, "-out", certificate)
        made[certificate.name] = certificate.read_bytes()
    return made


def signatures(folder: Path) -> dict[str, bytes]:
    """Return signatures by the keys in a folder, ours and those of openssl."""
    made = _signed_attributes(folder / "signer-ec.pem")
    content = folder / "content"
    content.write_bytes(signature.CONTENT)
    forms: dict[str, list[str]] = {"DER": ["-nocerts"], "PEM": ["-nosmimecap"]}
    for name in ("rsa", "ec"):
        key, certificate = folder / f"{name}.key", folder / f"signer-{name}.pem"
        made[f"cdds-{name}"] = Signer.load(key, certificate).sign(signature.CONTENT)
        for form, options in forms.items():
            made[f"openssl-{name}-{form.lower()}"] = _openssl(
                *("cms", "-sign", "-binary", "-md", "sha256", "-in", content),
                *("-outform", form, "-signer", certificate, "-inkey", key, *options),
            )
    return made


def _signed_attributes(certificate: Path) -> dict[str, bytes]:
    """Return what attributes say of the content, and of moments when a certificate was valid."""
    start = load_pem_x509_certificate(certificate.read_bytes()).not_valid_before_utc
    text = (start + timedelta(hours=1)).strftime("%Y%m%d%H%M%SZ").encode()
    digest = ber.tlv(ber.OCTET_STRING, sha256(signature.CONTENT).digest())
    least = signature.ATTRIBUTES
    least += signature.attribute(f"{_PKCS9}.3", ber.object_identifier(signature.DATA))
    least += signature.attribute(f"{_PKCS9}.4", digest)
    return {
        "attributes": least,
        "attributes-utc": least + signature.attribute(f"{_PKCS9}.5", ber.tlv(0x17, text[2:])),
        "attributes-time": least + signature.attribute(f"{_PKCS9}.5", ber.tlv(0x18, text)),
    }


def folders() -> dict[str, bytes]:
    """Return the names of files."""
    ours = [
        "export-a.z01",
        "export-a.z02",
        "export-a.zip",
        "export-a.sha256",
        "export-a.sha256.p7s",
    ]
    sealed = [f"{name}.smime" for name in ours[:3]]
    return _joined(
        {
            "ours": ours,
            "named": [ours[3], *ours[:3]],
            "sealed": [ours[3], *sealed, ours[4]],
            "both": [*ours[:3], *sealed],
            "volumes": ["b.zip.001", "b.zip.002", "c.zip.001.p7m", "b.zip"],
            "upper": ["C.Z01", "C.Z02", "C.ZIP", "c.zip"],
            "many": [f"d.z{number:02}" for number in range(1, 12)] + ["d.zip"],
        }
    )


def rows() -> dict[str, bytes]:
    """Return lines of records."""
    return _joined(
        {
            "usual": [
                '{"text":"a","integer":1,"number":1.5,"boolean":true,"moment":"2025-01-01"}',
                '{"binary":"AAAA","json":{"a":[1,2.50]}}',
                "",
                '{"text":null,"other":[1,{"b":"\\u00fc"}]}',
            ],
            "care": [
                '{"integer":1.0,"number":1e2,"integer":2e0}',
                '{"json":"\\ud800","\\u0074ext":"b"}',
                ' {"moment":"","binary":"AA\\r\\nAA"} ',
            ],
            "wrong": ['{"integer":1.5}', '{"number":1e400}', '{"text":1}', "[]", '{"binary":"A"}'],
            "more": ['{"moment":"2025-13-01"}', '{"boolean":0}', '{"integer":9223372036854775808}'],
        }
    )


def tokens() -> dict[str, bytes]:
    """Return the tokens of pages, and what is in them."""
    made = {}
    for sort in page_tokens.SORTS:
        for descending in (False, True):
            order = Order(sort=sort, descending=descending, limit=page_tokens.LIMIT)
            _, token = page_tokens.page(order)
            name = f"{sort}-{'down' if descending else 'up'}"
            made[name] = str(token).encode()
            made[f"{name}.json"] = urlsafe_b64decode(made[name])
    return made


def certificates(recipient: Path, folder: Path) -> dict[str, bytes]:
    """Return certificates to seal for, chains of them, and one that is only for signing."""
    key, leaf = folder / "leaf.key", folder / "leaf.pem"
    issuer, issuer_key = folder / "signer-rsa.pem", folder / "rsa.key"
    _openssl(
        *("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", key, "-out", leaf),
        *("-CA", issuer, "-CAkey", issuer_key, "-subj", "/CN=only for tests of cdds: leaf"),
        *("-days", _DAYS, "-addext", "keyUsage=critical,keyEncipherment"),
    )
    pem = leaf.read_bytes()
    return {
        "one.pem": pem,
        "one.der": _openssl("x509", "-in", recipient, "-outform", "DER"),
        "chain.pem": pem + issuer.read_bytes(),
        "two.pem": pem + recipient.read_bytes(),
        "signer.pem": issuer.read_bytes(),
        "ec.pem": (folder / "signer-ec.pem").read_bytes(),
    }


def _joined(texts: Mapping[str, Sequence[str]]) -> dict[str, bytes]:
    return {name: "\n".join(lines).encode() for name, lines in texts.items()}


def _openssl(*command: object) -> bytes:
    return subprocess.run(["openssl", *map(str, command)], capture_output=True, check=True).stdout


def made(recipient: Path) -> dict[str, dict[str, bytes]]:
    """Return the seeds by the folder that they are for; ``keys`` gets the signers' certificates.

    Args:
        recipient: the certificate that messages are sealed for.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "keys": signers(folder),
            "signature": signatures(folder),
            "certificates": certificates(recipient, folder),
            "listing": manifests(),
            "layout": long_messages(recipient),
            "digests": digests(),
            "files": folders(),
            "rows": rows(),
            "page_tokens": tokens(),
        }
