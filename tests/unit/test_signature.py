"""What a signature proves: our verifier says what OpenSSL says, and no more than was signed.

Producers are our `Signer`, ``openssl smime`` and ``openssl cms``, and what is put together here by
hand, one thing wrong at a time.
"""

from __future__ import annotations

import hashlib
import subprocess
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.crypto import Signature, Signer, ber, verify_signature
from cdds.crypto.ber_parser import Element, parse
from cdds.errors import CertificateError, SignatureError

Judge: TypeAlias = Callable[[str], str]
Issue: TypeAlias = Callable[..., x509.Certificate]

CONTENT = b"0123  export-1.zip.smime\n"
NOW = datetime.now(UTC)
DATA = "1.2.840.113549.1.7.1"
SHA256 = ber.tlv(ber.SEQUENCE, ber.object_identifier("2.16.840.1.101.3.4.2.1"), ber.NULL)
RSA = ber.tlv(ber.SEQUENCE, ber.object_identifier("1.2.840.113549.1.1.1"), ber.NULL)


def attribute(number: int, *values: bytes) -> bytes:
    kind = ber.object_identifier(f"1.2.840.113549.1.9.{number}")
    return ber.tlv(ber.SEQUENCE, kind, ber.tlv(ber.SET, *values))


def content_type(oid: str = DATA) -> bytes:
    return attribute(3, ber.object_identifier(oid))


def message_digest(content: bytes = CONTENT) -> bytes:
    return attribute(4, ber.tlv(ber.OCTET_STRING, hashlib.sha256(content).digest()))


def signing_time(text: str, tag: int = 0x17) -> bytes:
    return attribute(5, ber.tlv(tag, text.encode()))


# A signer who is named by the identifier of a key, without signed attributes.
STRANGER = ber.tlv(
    ber.SEQUENCE,
    ber.integer(3),
    ber.tlv(0x80, b"key"),
    SHA256,
    RSA,
    ber.tlv(ber.OCTET_STRING, b"value"),
)


@attrs.frozen
class Forge:
    """Puts a signature together, as RFC 5652 says or not; the key always signs what is there."""

    key: rsa.RSAPrivateKey = attrs.field(repr=False)
    certificate: x509.Certificate
    attributes: tuple[bytes, ...] = (content_type(), message_digest())
    digest: bytes = SHA256
    algorithm: bytes = RSA
    kind: str = "1.2.840.113549.1.7.2"
    encapsulated: bytes = ber.object_identifier(DATA)
    more_signers: int = 0
    unsigned: bytes = b""
    serial: int | None = None

    def __call__(self, **changes: Any) -> bytes:
        """Return the signature with some of it changed."""
        return attrs.evolve(self, **changes).made()

    def made(self) -> bytes:
        signed = ber.tlv(ber.SET, *sorted(self.attributes))
        value = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        info = ber.tlv(
            ber.SEQUENCE,
            ber.integer(1),
            ber.tlv(
                ber.SEQUENCE,
                self.certificate.issuer.public_bytes(),
                ber.integer(self.serial or self.certificate.serial_number),
            ),
            self.digest,
            ber.tlv(ber.CONTEXT_0, *sorted(self.attributes)) if self.attributes else b"",
            self.algorithm,
            ber.tlv(ber.OCTET_STRING, value),
            self.unsigned,
        )
        signed_data = ber.tlv(
            ber.SEQUENCE,
            ber.integer(1),
            ber.tlv(ber.SET, self.digest),
            ber.tlv(ber.SEQUENCE, self.encapsulated),
            ber.tlv(ber.SET, *[STRANGER] * self.more_signers, info),
        )
        return ber.tlv(
            ber.SEQUENCE, ber.object_identifier(self.kind), ber.tlv(ber.CONTEXT_0, signed_data)
        )


@pytest.fixture(scope="module")
def signer(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> x509.Certificate:
    return issue("Signer", key=rsa_key)


@pytest.fixture(scope="module")
def forge(rsa_key: rsa.RSAPrivateKey, signer: x509.Certificate) -> Forge:
    return Forge(rsa_key, signer)


def accepted(judge: Judge, home: Path, signature: bytes, certificate: x509.Certificate) -> bool:
    """Let OpenSSL judge, at the time that we say; all but the signature is left to it."""
    (home / "signature").write_bytes(signature)
    (home / "content").write_bytes(CONTENT)
    (home / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = [judge("openssl"), "cms", "-verify", "-binary", "-noverify", "-inform", "DER"]
    command += ["-in", "signature", "-content", "content", "-certfile", "signer.pem"]
    done = subprocess.run(
        [*command, "-out", "/dev/null"], cwd=home, capture_output=True, check=False
    )
    return done.returncode == 0


@given(content=st.binary(max_size=300), change=st.binary(min_size=1, max_size=3))
@settings(max_examples=20)
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384"])
def test_what_our_signer_signs_is_proven_and_nothing_else(
    issue: Issue, rsa_key: rsa.RSAPrivateKey, kind: str, content: bytes, change: bytes
) -> None:
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    key = rsa_key if kind == "RSA" else ec.generate_private_key(curves[kind])
    certificate = issue("Signer", key=key)
    signature = Signer.load(key, certificate).sign(content)
    proven = verify_signature(content, signature, certificate)
    assert proven.signer == "CN=Signer"
    assert proven.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()
    assert proven.signed_at is not None
    assert abs(proven.signed_at - datetime.now(UTC)) < timedelta(minutes=10)
    for other in (content + change, change + content, content[:-1]):
        if other != content:
            with pytest.raises(SignatureError, match="something else"):
                verify_signature(other, signature, certificate)


@pytest.mark.parametrize(
    "options",
    [
        "smime -binary -md sha256",
        "smime -binary -md sha256 -nosmimecap -nocerts",
        "cms -binary -md sha256",
        "cms -binary -md sha256 -cades",
        "cms -binary -md sha256 -outform PEM",
    ],
)
def test_what_openssl_signs_is_proven(
    judge: Judge, tmp_path: Path, issue: Issue, rsa_key: rsa.RSAPrivateKey, options: str
) -> None:
    signature, certificate = signed_by_openssl(judge, tmp_path, issue, rsa_key, options)
    assert verify_signature(CONTENT, signature, certificate).signer == "CN=Signer"
    with pytest.raises(SignatureError):
        verify_signature(CONTENT + b"\n", signature, certificate)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("cms -binary -md sha1", "is SHA-1"),
        ("cms -binary -md sha512", "is SHA-512"),
        ("cms -binary -md sha256 -keyid", "identifier of a key"),
        ("cms -binary -md sha256 -noattr", "no signed attributes"),
        ("cms -binary -md sha256 -nodetach", "holds its content"),
        ("cms -binary -md sha256 -keyopt rsa_padding_mode:pss", "is RSASSA-PSS"),
        ("cms -md sha256", "something else"),  # of text with line ends as mail has them
    ],
)
def test_what_is_not_read_is_refused_by_its_name(
    judge: Judge,
    tmp_path: Path,
    issue: Issue,
    rsa_key: rsa.RSAPrivateKey,
    options: str,
    told: str,
) -> None:
    signature, certificate = signed_by_openssl(judge, tmp_path, issue, rsa_key, options)
    with pytest.raises(SignatureError, match=told):
        verify_signature(CONTENT, signature, certificate)


def signed_by_openssl(
    judge: Judge, home: Path, issue: Issue, key: rsa.RSAPrivateKey, options: str
) -> tuple[bytes, x509.Certificate]:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = issue("Signer", key=key, extensions=(identifier,))
    Path(home / "key.pem").write_bytes(_pem(key))
    Path(home / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    Path(home / "content").write_bytes(CONTENT)
    command, *rest = options.split()
    form = [] if "-outform" in rest else ["-outform", "DER"]
    done = subprocess.run(
        [judge("openssl"), command, "-sign", "-in", "content", "-signer", "signer.pem"]
        + ["-inkey", "key.pem", *form, *rest],
        cwd=home,
        check=True,
        capture_output=True,
    )
    return done.stdout, certificate


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_forged_signature_is_right_where_nothing_is_wrong(
    judge: Judge, tmp_path: Path, forge: Forge, signer: x509.Certificate
) -> None:
    """So each of the cases that follow fails for what it changes."""
    assert verify_signature(CONTENT, forge(), signer) == Signature(
        "CN=Signer",
        signer.fingerprint(hashes.SHA256()).hex(),
        None,
        signer.not_valid_after_utc,
    )
    assert accepted(judge, tmp_path, forge(), signer)
    unsigned = ber.tlv(ber.CONTEXT_1, attribute(6, ber.NULL))
    assert verify_signature(CONTENT, forge(unsigned=unsigned), signer)
    assert verify_signature(CONTENT, forge(more_signers=20), signer)


def test_openssl_refuses_what_is_forged(
    judge: Judge, tmp_path: Path, forge: Forge, signer: x509.Certificate
) -> None:
    """As we do: the digest of another content, and a value that is not of these attributes."""
    other = forge(attributes=(content_type(), message_digest(b"other")))
    swapped = forge().replace(hashlib.sha256(CONTENT).digest(), bytes(32))
    for signature in (other, swapped):
        assert not accepted(judge, tmp_path, signature, signer)
        with pytest.raises(SignatureError):
            verify_signature(CONTENT, signature, signer)


def indefinite(element: Element) -> bytes:
    """Return an element in BER, with indefinite lengths wherever there may be."""
    if isinstance(element.contents, bytes):
        return ber.tlv(element.tag, element.contents)
    return bytes([element.tag, 0x80]) + b"".join(map(indefinite, element.contents)) + b"\0\0"


def test_any_encoding_is_read(
    judge: Judge, tmp_path: Path, forge: Forge, signer: x509.Certificate
) -> None:
    """What is signed are the attributes in DER (RFC 5652, section 5.4), however they came."""
    signature = indefinite(parse(forge()))
    assert accepted(judge, tmp_path, signature, signer)
    assert verify_signature(CONTENT, signature, signer).signer == "CN=Signer"


def algorithm(oid: str) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(oid))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no digest": ({"attributes": (content_type(),)}, "attribute is missing"),
    "no content type": ({"attributes": (message_digest(),)}, "attribute is missing"),
    "no attributes": ({"attributes": ()}, "no signed attributes"),
    "another digest": ({"attributes": (content_type(), message_digest(b""))}, "something else"),
    "two digests": (
        {"attributes": (content_type(), message_digest(), message_digest(b""))},
        "several values",
    ),
    "a digest twice": (
        {"attributes": (content_type(), message_digest(), message_digest())},
        "several values",
    ),
    "another content type": (
        {"attributes": (content_type("1.2.3"), message_digest())},
        "content type",
    ),
    "MD5": ({"digest": algorithm("1.2.840.113549.2.5")}, "is MD5"),
    "an unknown digest": ({"digest": algorithm("1.2.3")}, r"is 1\.2\.3"),
    "another algorithm": ({"algorithm": algorithm("1.2.840.113549.1.1.5")}, "RSA with SHA-1"),
    "an unknown algorithm": ({"algorithm": algorithm("1.2.3.4")}, r"is 1\.2\.3\.4"),
    "that of another key": ({"algorithm": algorithm("1.2.840.10045.4.3.2")}, "kind of key"),
    "EnvelopedData": ({"kind": "1.2.840.113549.1.7.3"}, "no SignedData"),
    "what is no data": ({"encapsulated": ber.object_identifier("1.2.3")}, "is no data"),
    "its content in it": (
        {
            "encapsulated": ber.object_identifier(DATA)
            + ber.tlv(ber.CONTEXT_0, ber.tlv(ber.OCTET_STRING, CONTENT))
        },
        "holds its content",
    ),
    "another number": ({"serial": 5}, "not a certificate that is trusted"),
    "too many signers": ({"more_signers": 100}, "more than 100 signers"),
    "something odd at its end": ({"unsigned": ber.NULL}, "too few or too many"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_wrong_is_one_error(forge: Forge, signer: x509.Certificate, name: str) -> None:
    changes, told = WRONG[name]
    with pytest.raises(SignatureError, match=told):
        verify_signature(CONTENT, forge(**changes), signer)


def test_every_byte_counts_or_changes_nothing(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> None:
    """What may be changed is what proves nothing: certificates in it, and parameters."""
    certificate = issue("Signer", key=rsa_key)
    signature = Signer.load(rsa_key, certificate).sign(CONTENT)
    proven = verify_signature(CONTENT, signature, certificate)
    der = certificate.public_bytes(Encoding.DER)
    start = signature.index(der)
    refused = 0
    for at in range(len(signature)):
        for flipped in (0x01, 0x80, 0xFF):
            changed = bytearray(signature)
            changed[at] ^= flipped
            try:
                assert verify_signature(CONTENT, bytes(changed), certificate) == proven
            except SignatureError:
                refused += not start <= at < start + len(der)
    assert refused > 2.8 * (len(signature) - len(der))


def test_every_proper_beginning_is_refused(forge: Forge, signer: x509.Certificate) -> None:
    """And whatever follows the end."""
    whole = forge()
    for size in range(len(whole)):
        with pytest.raises(SignatureError):
            verify_signature(CONTENT, whole[:size], signer)
    for after in (b"\0", b"\0\0", whole):
        with pytest.raises(SignatureError):
            verify_signature(CONTENT, whole + after, signer)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_the_one_error(signer: x509.Certificate, data: bytes) -> None:
    for start in (b"", b"\x30\x80", forge_start()):
        with pytest.raises(SignatureError):
            verify_signature(CONTENT, start + data, signer)


def forge_start() -> bytes:
    return b"\x30\x80" + ber.object_identifier("1.2.840.113549.1.7.2") + b"\xa0\x80\x30\x80"


@pytest.mark.parametrize("filling", [b"\x30\x80", b"\x05\x00", b"\x04\x88" + b"\x7f" * 8])
def test_hostile_signatures_end_in_bounded_memory(signer: x509.Certificate, filling: bytes) -> None:
    signature = forge_start() + ber.integer(1) + filling * 200_000
    tracemalloc.start()
    with pytest.raises(SignatureError):
        verify_signature(CONTENT, signature, signer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_who_signed_has_to_be_trusted(issue: Issue, forge: Forge, signer: x509.Certificate) -> None:
    """By name, number and key; among several that are trusted one is enough."""
    other_key = rsa.generate_private_key(65537, 2048)
    other = issue("Other", key=other_key)
    twin = issue("Signer", key=other_key, serial=signer.serial_number)
    curve = issue(
        "Signer", key=ec.generate_private_key(ec.SECP256R1()), serial=signer.serial_number
    )
    for trusted, told in (
        (other, "not a certificate that is trusted"),
        (twin, "not made with the key"),
        (curve, "not of the kind of key"),
    ):
        with pytest.raises(SignatureError, match=told):
            verify_signature(CONTENT, forge(), trusted)
    assert verify_signature(CONTENT, forge(), [other, signer]).signer == "CN=Signer"
    assert verify_signature(CONTENT, forge(), (c for c in (signer, other)))


@pytest.mark.parametrize("form", ["path", "text", "PEM", "DER"])
def test_a_certificate_is_read_from_anything(
    tmp_path: Path, forge: Forge, signer: x509.Certificate, form: str
) -> None:
    path = tmp_path / "signer.pem"
    path.write_bytes(signer.public_bytes(Encoding.PEM))
    trusted: Any = {
        "path": path,
        "text": str(path),
        "PEM": path.read_bytes(),
        "DER": signer.public_bytes(Encoding.DER),
    }[form]
    assert verify_signature(CONTENT, forge(), trusted).signer == "CN=Signer"


def test_certificates_that_cannot_verify_are_refused(
    issue: Issue, rsa_key: rsa.RSAPrivateKey
) -> None:
    sealing = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    weak = rsa.generate_private_key(65537, 1024)
    authority = x509.BasicConstraints(ca=False, path_length=None)
    twice = issue("Signer", extensions=(sealing, authority)).public_bytes(Encoding.DER)
    twice = twice.replace(b"\x55\x1d\x0f", b"\x55\x1d\x13")
    for certificate, key, told in (
        (issue("Signer", extensions=(sealing,)), rsa_key, "does not allow digitalSignature"),
        (x509.load_der_x509_certificate(twice), rsa_key, "fields that cannot be read"),
        (issue("Signer", key=weak), weak, "RSA key of 1024 bits"),
    ):
        with pytest.raises(CertificateError, match=told):
            verify_signature(CONTENT, Forge(key, certificate)(), certificate)
    damaged = issue("Signer").public_bytes(Encoding.DER)
    nothing: list[Any] = [
        [],
        damaged.replace(b"Signer", b"\xff" * 6),
        b"no certificate",
        "/no/such/file",
        3,
    ]
    for trusted in nothing:
        with pytest.raises(CertificateError):
            verify_signature(CONTENT, b"", trusted)


def test_what_was_signed_stays_signed_when_the_certificate_expires(
    issue: Issue, rsa_key: rsa.RSAPrivateKey
) -> None:
    """It must have been valid when it was signed; in both forms of times."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    expired = issue("Signer", start=start, end=start + timedelta(days=100))
    forge = Forge(rsa_key, expired)

    def signed(text: str, tag: int = 0x17) -> Signature:
        times = (content_type(), message_digest(), signing_time(text, tag))
        return verify_signature(CONTENT, forge(attributes=times), expired)

    assert signed("200201112233Z").signed_at == datetime(2020, 2, 1, 11, 22, 33, tzinfo=UTC)
    assert signed("20200201112233Z", 0x18).signed_at == datetime(2020, 2, 1, 11, 22, 33, tzinfo=UTC)
    assert signed("200201112233Z").expires < NOW
    for outside in ("191231235959Z", "200601000000Z", "500101000000Z"):
        with pytest.raises(SignatureError, match="was not valid"):
            signed(outside)
    for none in ("2002011122Z", "200201112233", "200201112233+0100", "209901112233Z", "2" * 13):
        with pytest.raises(SignatureError, match="signing time"):
            signed(none)
    with pytest.raises(SignatureError, match="signing time"):
        signed("20200201112233Z", 0x17)
    with pytest.raises(SignatureError, match="signing time"):
        signed("200201112233Z", 0x0C)
