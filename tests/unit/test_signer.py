"""Signatures that tell where an export comes from: OpenSSL accepts them, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.crypto import Signer
from cdds.errors import CertificateError

Judge: TypeAlias = Callable[[str], str]
Issue: TypeAlias = Callable[..., x509.Certificate]
TemporaryFolder: TypeAlias = Callable[[], Any]


def pem(key: Any, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))


def verifies(
    judge: Judge, home: Path, content: bytes, signature: bytes, issuer: x509.Certificate
) -> bool:
    """Let OpenSSL judge a signature, as the documentation shows it.

    The system's trusted authorities are another one, which must not count.
    """
    (home / "content").write_bytes(content)
    (home / "signature").write_bytes(signature)
    (home / "issuer.pem").write_bytes(issuer.public_bytes(Encoding.PEM))
    (home / "trusted").mkdir(exist_ok=True)
    done = subprocess.run(
        [judge("openssl"), "cms", "-verify", "-binary", "-purpose", "any", "-partial_chain"]
        + ["-no-CApath", "-no-CAstore", "-CAfile", "issuer.pem", "-inform", "DER"]
        + ["-in", "signature", "-content", "content", "-out", "/dev/null"],
        cwd=home,
        env=os.environ | {"SSL_CERT_DIR": str(home / "trusted")},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@given(content=st.binary(max_size=300))
@settings(max_examples=15)
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384"])
def test_openssl_accepts_a_signature_and_none_of_other_content(
    judge: Judge, folder: TemporaryFolder, issue: Issue, rsa_key: Any, kind: str, content: bytes
) -> None:
    """Line ends of any kind are content like any other."""
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    key = rsa_key if kind == "RSA" else ec.generate_private_key(curves[kind])
    certificate = issue("Signer", key=key)
    signature = Signer.load(key, certificate).sign(content)
    with folder() as home:
        assert verifies(judge, home, content, signature, certificate)
        assert not verifies(judge, home, content + b"\n", signature, certificate)
        assert not verifies(judge, home, content, signature, issue("Signer"))


def test_a_chain_goes_into_the_signature(
    judge: Judge, tmp_path: Path, issue: Issue, rsa_key: rsa.RSAPrivateKey
) -> None:
    """Who knows the root alone can verify, and who knows the issuer or the signer alone."""
    root_key, middle_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    authority = x509.BasicConstraints(ca=True, path_length=None)
    root = issue("Root", key=root_key, extensions=(authority,))
    middle = issue(
        "Middle", key=middle_key, issuer="Root", issuer_key=root_key, extensions=(authority,)
    )
    leaf = issue("Signer", issuer="Middle", issuer_key=middle_key)
    path = tmp_path / "chain.pem"
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (middle, leaf)))
    signer = Signer.load(rsa_key, path)
    signature = signer.sign(b"content")
    assert all(
        verifies(judge, tmp_path, b"content", signature, one) for one in (root, middle, leaf)
    )


def test_who_is_trusted_by_the_system_cannot_forge(
    judge: Judge, tmp_path: Path, issue: Issue, rsa_key: rsa.RSAPrivateKey
) -> None:
    """A certificate of any authority of the system's is not that of the signer."""
    forger_key = rsa.generate_private_key(65537, 2048)
    authority = x509.BasicConstraints(ca=True, path_length=None)
    forger = issue("Authority", key=forger_key, extensions=(authority,))
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "authority.pem").write_bytes(forger.public_bytes(Encoding.PEM))
    subprocess.run([judge("openssl"), "rehash", trusted], check=True)
    signature = Signer.load(forger_key, forger).sign(b"content")
    assert not verifies(judge, tmp_path, b"content", signature, issue("Signer", key=rsa_key))


@pytest.mark.parametrize("form", ["path", "text", "bytes", "der", "pkcs12", "value"])
@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_key_is_read_from_anything(
    tmp_path: Path, issue: Issue, rsa_key: rsa.RSAPrivateKey, form: str, password: bytes | None
) -> None:
    """Encrypted or not."""
    path = tmp_path / "signer.key"
    path.write_bytes(pem(rsa_key, password))
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    key: Any = {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "der": rsa_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, protection),
        "pkcs12": pkcs12.serialize_key_and_certificates(None, rsa_key, None, None, protection),
        "value": rsa_key,
    }[form]
    signer = Signer.load(key, issue("Signer"), password)
    assert signer.key.private_numbers() == rsa_key.private_numbers()


@pytest.mark.parametrize(
    ("password", "given"), [(b"right", None), (b"right", b"wrong"), (None, b"needless")]
)
def test_a_wrong_password_is_one_error_that_tells_no_password(
    issue: Issue, rsa_key: rsa.RSAPrivateKey, password: bytes | None, given: bytes | None
) -> None:
    """A missing, a wrong and a needless one."""
    with pytest.raises(CertificateError, match="password is missing or wrong") as caught:
        Signer.load(pem(rsa_key, password), issue("Signer"), given)
    assert not any(word in str(caught.value) for word in ("right", "needless"))
    assert caught.value.__cause__ is None


def test_what_cannot_sign_is_refused(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> None:
    """One reason each."""
    other = rsa.generate_private_key(65537, 2048)
    sealing = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    weak = rsa.generate_private_key(65537, 1024)
    edwards = ed25519.Ed25519PrivateKey.generate()
    cases: list[tuple[Any, Any, str]] = [
        (other, issue("Signer"), "not the certificate of the signing key"),
        (rsa_key, issue("Signer", extensions=(sealing,)), "does not allow digitalSignature"),
        (pem(edwards), issue("Signer", key=edwards), "RSA or an elliptic curve"),
        (edwards, issue("Signer", key=edwards), "RSA or an elliptic curve"),
        (b"no key", issue("Signer"), "cannot be read"),
        (pem(rsa_key), b"no certificate", "holds no X.509 certificate"),
        ("/no/such/key", issue("Signer"), "cannot read the signing key /no/such/key"),
        (3, issue("Signer"), "RSA or an elliptic curve"),
        (weak, issue("Signer", key=weak), "RSA key of 1024 bits"),
        (rsa_key, "no such file", "cannot read the certificate"),
    ]
    for key, certificate, reason in cases:
        with pytest.raises(CertificateError, match=reason):
            Signer.load(key, certificate)


def test_validity_is_checked_at_a_given_moment(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> None:
    """As a recipient's is."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    signer = Signer.load(rsa_key, issue("Signer", start=start, end=start + timedelta(days=100)))
    assert signer.check_validity(start) is None
    assert "expires at" in str(signer.check_validity(start + timedelta(days=80)))
    for moment in (start - timedelta(seconds=1), start + timedelta(days=101)):
        with pytest.raises(CertificateError):
            signer.check_validity(moment)


def test_the_key_is_not_shown(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> None:
    """Neither in logs nor in tracebacks."""
    assert "PrivateKey" not in repr(Signer.load(rsa_key, issue("Signer")))
