"""Verifies what `Signer` signs: detached CMS SignedData (RFC 5652, section 5) over bytes at hand.

Place: the counterpart of `signer`, on the recipient's side. ``cryptography`` makes such signatures
and cannot verify them. Whom to trust is told by the caller, who hands in the signer's certificate:
no paths of trust are built, and certificates within a signature count for nothing. What is read is
SHA-256 with RSA PKCS #1 v1.5 or ECDSA, over signed attributes; the rest is refused by its name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cdds.crypto import ber
from cdds.crypto.algorithms import identified
from cdds.crypto.ber_parser import CONSTRUCTED, Element, Parser, malformed
from cdds.crypto.certificates import MIN_KEY_BITS, check_names, check_validity, load_chain
from cdds.crypto.names import shown_name
from cdds.crypto.recognition import recognised
from cdds.crypto.signer import signing_key
from cdds.errors import CertificateError, MessageError, SignatureError

TrustedCertificate: TypeAlias = "str | os.PathLike[str] | bytes | x509.Certificate"
"""A path, PEM or DER bytes, or a certificate."""

MAX_SIGNERS = 100
"""The most signers of one signature."""

_PKCS7 = "1.2.840.113549.1.7"
_DATA, _SIGNED_DATA = f"{_PKCS7}.1", f"{_PKCS7}.2"
_PKCS9 = "1.2.840.113549.1.9"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = f"{_PKCS9}.3", f"{_PKCS9}.4", f"{_PKCS9}.5"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_RSA = frozenset({"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"})
_ECDSA = frozenset({"1.2.840.10045.4.3.2"})
_NOT_READ = {
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA-1",
    "2.16.840.1.101.3.4.2.2": "SHA-384",
    "2.16.840.1.101.3.4.2.3": "SHA-512",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.12": "RSA with SHA-384",
    "1.2.840.113549.1.1.13": "RSA with SHA-512",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
    "1.3.101.112": "Ed25519",
}
_KEY_IDENTIFIER = 0x80
_LONGEST_SHOWN = 200  # of a name
_UNSIGNED_ATTRIBUTES = ber.CONTEXT_1
_TIMES = {0x17: 2, 0x18: 4}  # UTCTime and GeneralizedTime: the digits of their years
_TIME = re.compile(rb"[0-9]+Z")


@attrs.frozen
class Signature:
    """What a signature proves.

    Attributes:
        signer: the subject of the signer's certificate, in RFC 4514's form.
        fingerprint: the SHA-256 of that certificate, in hexadecimal.
        signed_at: when it was made, as the signer says; None where that is not told.
        expires: the last moment that the certificate is valid. It may be past: what was signed
            before stays signed.
    """

    signer: str
    fingerprint: str
    signed_at: datetime | None
    expires: datetime


@attrs.frozen
class _SignerInfo:
    """A SignerInfo (RFC 5652, section 5.3): who signed what, and how.

    A signer who is named by the identifier of a key has no issuer here.
    """

    issuer: Element | None
    serial_number: int
    digest: str
    attributes: Element | None
    algorithm: str
    value: bytes

    def is_by(self, certificate: x509.Certificate) -> bool:
        return (
            self.issuer is not None
            and self.serial_number == certificate.serial_number
            and self.issuer.der() == certificate.issuer.public_bytes()
        )

    def __str__(self) -> str:
        if self.issuer is None:
            return "somebody named by the identifier of a key, which is not read"
        issuer = shown_name(self.issuer)[:_LONGEST_SHOWN]
        return f"the certificate {self.serial_number:x} of {issuer}"


def verify_signature(
    content: bytes,
    signature: bytes,
    trusted: TrustedCertificate | Iterable[TrustedCertificate],
) -> Signature:
    """Make sure that a content was signed by one of the certificates that are trusted.

    The certificate need not be valid any more, for what was signed stays signed; but it must have
    been valid when the signature was made, as far as the signer says when that was.

    Args:
        content: what was signed.
        signature: the detached signature, in DER or BER, PEM or S/MIME's base64.
        trusted: the certificate of the signer, or several, such as those before a rotation; of a
            chain in one file the end entity's counts.

    Raises:
        SignatureError: it is malformed, of a kind that is not read, by somebody else, of another
            content, or made when the certificate was not valid.
        CertificateError: a certificate cannot be read, or its key may not sign.
    """
    certificates = load_trusted(trusted)
    try:
        return _verified(content, _signer_infos(signature), certificates)
    except MessageError as error:
        raise SignatureError(f"the signature cannot be read: {error}") from None


def load_trusted(
    trusted: TrustedCertificate | Iterable[TrustedCertificate],
) -> list[tuple[x509.Certificate, str]]:
    """Return the certificates that `verify_signature` trusts, each with where it came from.

    Raises:
        CertificateError: there are none, or one cannot be read.
    """
    if isinstance(trusted, (str, bytes)) or not isinstance(trusted, Iterable):
        trusted = [trusted]
    chains = [load_chain(source) for source in trusted]
    if not chains:
        raise CertificateError("the certificate of the signer is needed to verify a signature")
    loaded = [(certificates[0], origin) for certificates, origin in chains]
    for certificate, origin in loaded:
        check_names(certificate, origin)
    return loaded


def _verified(
    content: bytes,
    infos: Sequence[_SignerInfo],
    certificates: Sequence[tuple[x509.Certificate, str]],
) -> Signature:
    for certificate, origin in certificates:
        for info in infos:
            if info.is_by(certificate):
                return _verified_by(content, info, certificate, origin)
    signers = ", ".join(map(str, infos[:3])) or "nobody"
    raise SignatureError(
        f"the digests are signed by {signers}; that is not a certificate that is trusted"
    )


def _verified_by(
    content: bytes, info: _SignerInfo, certificate: x509.Certificate, origin: str
) -> Signature:
    if info.digest != _SHA256:
        raise _unread("digest", info.digest)
    if info.attributes is None:
        raise SignatureError("the signature has no signed attributes, so it is not read")
    _check_value(info, info.attributes.der(ber.SET), certificate, origin)
    signed = _Attributes(info.attributes)
    if signed.only(_CONTENT_TYPE).object_identifier() != _DATA:
        malformed("its signed content type is not that of its content")
    if signed.only(_MESSAGE_DIGEST).octets() != hashlib.sha256(content).digest():
        raise SignatureError(
            "what was signed is something else; it was changed after it was signed"
        )
    signed_at = signed.time()
    if signed_at is not None:
        _check_valid(certificate, origin, signed_at)
    return Signature(
        certificate.subject.rfc4514_string(),
        certificate.fingerprint(hashes.SHA256()).hex(),
        signed_at,
        certificate.not_valid_after_utc,
    )


def _check_value(
    info: _SignerInfo, signed: bytes, certificate: x509.Certificate, origin: str
) -> None:
    """Make sure that the key of a certificate made the value of a signature."""
    key = signing_key(certificate, origin)
    try:
        if info.algorithm in _RSA and isinstance(key, rsa.RSAPublicKey):
            _check_size(key, origin)
            key.verify(info.value, signed, padding.PKCS1v15(), hashes.SHA256())
        elif info.algorithm in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(info.value, signed, ec.ECDSA(hashes.SHA256()))
        elif info.algorithm in _RSA | _ECDSA:
            raise SignatureError(f"the signature is not of the kind of key that {origin} has")
        else:
            raise _unread("algorithm", info.algorithm)
    except (InvalidSignature, UnsupportedAlgorithm):
        raise SignatureError(f"the signature was not made with the key of {origin}") from None


def _check_size(key: rsa.RSAPublicKey, origin: str) -> None:
    if key.key_size < MIN_KEY_BITS:
        raise CertificateError(
            f"{origin} has an RSA key of {key.key_size} bits; at least {MIN_KEY_BITS} are needed"
        )


def _check_valid(certificate: x509.Certificate, origin: str, signed_at: datetime) -> None:
    try:
        check_validity(certificate, origin, signed_at)
    except CertificateError:
        raise SignatureError(
            f"the signature says it was made at {signed_at}, when {origin} was not valid"
        ) from None


def _unread(what: str, oid: str) -> SignatureError:
    return SignatureError(
        f"the {what} of the signature is {_NOT_READ.get(oid, oid)}; "
        "SHA-256 with RSA PKCS #1 v1.5 or ECDSA is read"
    )


class _Attributes:
    """The signed attributes that are understood, each of which is there once (RFC 5652, 11)."""

    def __init__(self, attributes: Element) -> None:
        self._values: dict[str, list[Element]] = {}
        for attribute in attributes.children(ber.CONTEXT_0, 1, MAX_SIGNERS):
            kind, values = attribute.children(ber.SEQUENCE, 2, 2)
            found = self._values.setdefault(kind.object_identifier(), [])
            found.extend(values.children(ber.SET, 0, MAX_SIGNERS))

    def only(self, oid: str) -> Element:
        """Return the one value of an attribute."""
        values = self._values.get(oid, [])
        if len(values) != 1:
            malformed("a signed attribute is missing, or has several values")
        return values[0]

    def time(self) -> datetime | None:
        """Return the signing time (RFC 5652, section 11.3), if it is told."""
        if _SIGNING_TIME not in self._values:
            return None
        value = self.only(_SIGNING_TIME)
        digits, text = _TIMES.get(value.tag, 0), value.octets()
        if not digits or len(text) != digits + 11 or not _TIME.fullmatch(text):
            malformed("its signing time is none")
        century = b"" if digits == 4 else b"19" if text >= b"5" else b"20"
        try:
            moment = datetime.strptime((century + text).decode(), "%Y%m%d%H%M%SZ")
        except ValueError:
            malformed("its signing time is none")
        return moment.replace(tzinfo=UTC)


def _signer_infos(signature: bytes) -> list[_SignerInfo]:
    """Return the SignerInfos of a SignedData (RFC 5652, section 5.1) with ContentInfo around it."""
    found = recognised(signature)
    parser = Parser(found.octets)
    parser.enter(ber.SEQUENCE)
    kind = parser.element().object_identifier()
    if kind != _SIGNED_DATA:
        raise SignatureError(f"the signature is no SignedData, but {kind} (RFC 5652)")
    parser.enter(ber.CONTEXT_0)
    parser.enter(ber.SEQUENCE)
    parser.element().integer()  # the version follows from the rest
    parser.skip()  # the digest algorithms, which each signer names again
    _check_detached(parser.element())
    for tag in (ber.CONTEXT_0, ber.CONTEXT_1):  # certificates, and lists of revoked ones
        if parser.next_tag() == tag:
            parser.skip()
    parser.enter(ber.SET)
    infos: list[_SignerInfo] = []
    while not parser.at_end():
        if len(infos) == MAX_SIGNERS:
            malformed(f"it has more than {MAX_SIGNERS} signers")
        infos.append(_signer_info(parser.element()))
    for _ in range(4):
        parser.leave()
    parser.end(found.may_follow)
    return infos


def _check_detached(encapsulated: Element) -> None:
    content_type, *content = encapsulated.children(ber.SEQUENCE, 1, 2)
    oid = content_type.object_identifier()
    if oid != _DATA:
        raise SignatureError(f"what was signed is no data, but {oid} (RFC 5652, section 5.2)")
    if content:
        raise SignatureError("the signature holds its content; a detached one is needed")


def _signer_info(info: Element) -> _SignerInfo:
    version, identifier, digest, *rest = info.children(ber.SEQUENCE, 5, 7)
    version.integer()
    attributes = rest.pop(0) if rest[0].tag == ber.CONTEXT_0 else None
    if len(rest) not in {2, 3} or any(e.tag != _UNSIGNED_ATTRIBUTES for e in rest[2:]):
        malformed("a signer has too few or too many values")
    issuer, serial_number = _identified(identifier)
    return _SignerInfo(
        issuer,
        serial_number,
        identified(digest)[0],
        attributes,
        identified(rest[0])[0],
        rest[1].octets(),
    )


def _identified(identifier: Element) -> tuple[Element | None, int]:
    """Return issuer and serial number of a SignerIdentifier; no issuer of one by its key."""
    if identifier.tag & ~CONSTRUCTED == _KEY_IDENTIFIER:
        return None, 0
    issuer, serial_number = identifier.children(ber.SEQUENCE, 2, 2)
    shown_name(issuer)  # so that it is a name, whoever compares it
    return issuer, serial_number.integer()
