"""Reads recipients' certificates and refuses those that nothing may be sealed for.

Place: where the public keys come in. It takes PEM or DER, one certificate or a chain in one file,
and picks the end-entity certificate. It does not build trust paths: whose certificate it is, the
host has to know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from cdds.errors import CertificateError
from cdds.location import local_path

MIN_KEY_BITS = 2048
EXPIRY_NOTICE = timedelta(days=30)

CertificateSource: TypeAlias = "str | os.PathLike[str] | bytes | x509.Certificate | Recipient"
"""A path, PEM or DER bytes, a certificate, or a recipient made of one."""

UNREADABLE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What ``cryptography`` raises for a field of a certificate, often not before it is asked for."""

_PEM_LABEL = b"-----BEGIN CERTIFICATE-----"
_MAX_FILE_SIZE = 1024 * 1024


@attrs.frozen
class Recipient:
    """Somebody who shall be able to open what is sealed: an X.509 certificate with an RSA key.

    Attributes:
        certificate: the certificate.
        origin: where it came from, for messages.

    Raises:
        CertificateError: the key is not RSA, is below 2048 bits, or the certificate's key usage
            does not allow keyEncipherment (RFC 5280, section 4.2.1.3).
    """

    certificate: x509.Certificate
    origin: str = "the certificate"

    def __attrs_post_init__(self) -> None:
        try:
            _check_key(self)
            _check_usage(self)
            _try_out(self)
        except UNREADABLE as error:
            if isinstance(error, CertificateError):
                raise
            raise CertificateError(f"{self.origin} has fields that cannot be read") from error

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The key that content keys are encrypted with."""
        key = self.certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101  # checked at birth
        return key

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def expires(self) -> datetime:
        """The last moment that the certificate is valid, in UTC."""
        return self.certificate.not_valid_after_utc

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def __reduce__(self) -> tuple[Any, ...]:
        # The certificate cannot be pickled; its bytes can.
        return _of_bytes, (self.certificate.public_bytes(serialization.Encoding.DER), self.origin)

    def check_validity(self, now: datetime) -> str | None:
        """Refuse a certificate that is not valid at `now`; return a warning if it expires soon.

        Raises:
            CertificateError: it is not yet, or no longer, valid.
        """
        return check_validity(self.certificate, self.origin, now)


def check_validity(certificate: x509.Certificate, origin: str, now: datetime) -> str | None:
    """Refuse a certificate that is not valid at `now`; return a warning if it expires soon.

    Raises:
        CertificateError: it is not yet, or no longer, valid.
    """
    if now < certificate.not_valid_before_utc:
        raise CertificateError(
            f"{origin} is not valid before {certificate.not_valid_before_utc}; "
            "use one that is valid now"
        )
    if now > certificate.not_valid_after_utc:
        raise CertificateError(
            f"{origin} expired at {certificate.not_valid_after_utc}; ask its owner for a new one"
        )
    if certificate.not_valid_after_utc - now > EXPIRY_NOTICE:
        return None
    return (
        f"{origin} expires at {certificate.not_valid_after_utc}; later exports will need a new one"
    )


def _of_bytes(der: bytes, origin: str) -> Recipient:
    return Recipient(x509.load_der_x509_certificate(der), origin)


def _check_key(recipient: Recipient) -> None:
    certificate, origin = recipient.certificate, recipient.origin
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise CertificateError(
            f"{origin} has an RSASSA-PSS key, which can only sign; use an RSA key"
        )
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise CertificateError(f"{origin} has no RSA key; only RSA keys can be sealed for")
    if key.key_size < MIN_KEY_BITS:
        raise CertificateError(
            f"{origin} has an RSA key of {key.key_size} bits; at least {MIN_KEY_BITS} are needed"
        )


def _check_usage(recipient: Recipient) -> None:
    try:
        extensions = recipient.certificate.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_encipherment:
        raise CertificateError(
            f"the key usage of {recipient.origin} does not allow keyEncipherment; "
            "use a certificate for encryption"
        )


def _try_out(recipient: Recipient) -> None:
    """Use what an envelope will use, for some of it is read only then."""
    certificate = recipient.certificate
    certificate.issuer.public_bytes()
    certificate.subject.public_bytes()
    recipient.public_key.encrypt(bytes(32), padding.PKCS1v15())


def load_recipients(
    sources: CertificateSource | Iterable[CertificateSource],
) -> tuple[Recipient, ...]:
    """Return the recipients that the sources hold, one for each; repeated ones count once.

    Raises:
        CertificateError: there is none, or one cannot be read or used.
    """
    if isinstance(sources, (str, os.PathLike, bytes, x509.Certificate, Recipient)):
        sources = [sources]
    recipients = {recipient.fingerprint: recipient for recipient in map(_load, sources)}
    if not recipients:
        raise CertificateError("at least one recipient's certificate is needed")
    return tuple(recipients.values())


def _load(source: CertificateSource) -> Recipient:
    if isinstance(source, Recipient):
        return source
    certificates, origin = load_chain(source)
    return Recipient(certificates[0], origin)


def load_chain(
    source: str | os.PathLike[str] | bytes | x509.Certificate,
) -> tuple[list[x509.Certificate], str]:
    """Return the certificates that a source holds, the end entity's first, and what to call it.

    Raises:
        CertificateError: there is none that can be read, or they are not one chain.
    """
    origin = "the certificate"
    if isinstance(source, x509.Certificate):
        return [source], origin
    if isinstance(source, (str, os.PathLike)):
        origin = os.fspath(source)
        source = read_file(origin, "certificate")
    if not isinstance(source, bytes):
        raise CertificateError("a certificate is a path, PEM or DER bytes, or an x509.Certificate")
    certificates = _parse(source, origin)
    end = _end_entity(certificates, origin)
    return [end, *(other for other in certificates if other != end)], origin


def read_file(origin: str, kind: str) -> bytes:
    """Return what a small file holds.

    Raises:
        CertificateError: it cannot be read, or is far too large for a certificate or a key.
    """
    path = local_path(origin) or Path(origin)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise CertificateError(f"cannot read the {kind} {path}: {reason}") from error
    if len(data) > _MAX_FILE_SIZE:
        raise CertificateError(f"{path} is too large to be a {kind}")
    return data


def _parse(data: bytes, origin: str) -> Sequence[x509.Certificate]:
    try:
        if _PEM_LABEL in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except UNREADABLE as error:
        raise CertificateError(
            f"{origin} holds no X.509 certificate in PEM or DER that can be read"
        ) from error


def check_names(certificate: x509.Certificate, origin: str) -> None:
    """Refuse a certificate with names that cannot be read.

    Raises:
        CertificateError: one of them cannot.
    """
    try:
        certificate.issuer.public_bytes()
        certificate.subject.public_bytes()
    except UNREADABLE as error:
        raise CertificateError(
            f"{origin} holds a certificate whose names cannot be read; ask its owner for a new one"
        ) from error


def _end_entity(chain: Sequence[x509.Certificate], origin: str) -> x509.Certificate:
    """Return the certificate of a chain that issued none of the others."""
    if len(chain) == 1:
        return chain[0]
    distinct = {certificate.fingerprint(hashes.SHA256()): certificate for certificate in chain}
    for certificate in distinct.values():
        check_names(certificate, origin)
    ends = [
        certificate
        for certificate in distinct.values()
        if not any(
            other.issuer == certificate.subject
            for other in distinct.values()
            if other is not certificate
        )
    ]
    if len(ends) != 1:
        raise CertificateError(
            f"{origin} holds {len(distinct)} certificates that are not one chain; "
            "pass each recipient's certificate by itself"
        )
    return ends[0]
