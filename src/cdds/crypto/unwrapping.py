"""Finds the key of a message's content: for which recipient, and with which private key.

Place: between `message` and `private_keys` on one side and decryption on the other.

With PKCS#1 v1.5, whoever learns whether a content key was well formed can decrypt any message after
enough tries (RFC 3218). So a failure is not told here: a key that nobody can guess takes the place
of what could not be decrypted, and the content then fails at its end, as it does for a wrong key
and for damaged content. Where the certificate is given, only its recipient is tried. Where it is
not, all are, and a message that was made for the purpose might tell by which of them opens it
something of another: give the certificate where messages come from anybody and the outcome is told
to them.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

import attrs
from cryptography import x509

from cdds.crypto import ber
from cdds.crypto.ber_parser import parse
from cdds.crypto.certificates import UNREADABLE
from cdds.crypto.message import RecipientHeader
from cdds.crypto.private_keys import DecryptionKey, RsaKey
from cdds.errors import CertificateError, DecryptionError, MessageError

MAX_TRIES = 1_000
"""The most content keys that are decrypted for one message."""

_SECRET = os.urandom(32)
"""What keys are made up from where no private key is at hand; another one in each process."""


@attrs.frozen
class ContentKey:
    """The key of a content, or what takes its place.

    Attributes:
        key: its bytes.
        is_wrong: it is known to be a made-up one, and may be known to be: nothing was encrypted
            for the private key, or OAEP says so, which gives no oracle.
    """

    key: bytes = attrs.field(repr=False)
    is_wrong: bool = False


@attrs.frozen
class Candidate:
    """A private key and a recipient whom it may belong to."""

    recipient: RecipientHeader
    key: DecryptionKey

    def unwrap(self) -> bytes:
        """Return the content key, or nothing where that is known to fail."""
        assert self.recipient.key_transport is not None  # noqa: S101  # of `_readable`
        try:
            return self.key.decrypt(self.recipient.encrypted_key, self.recipient.key_transport)
        except DecryptionError:
            return b""

    @property
    def tells_failure(self) -> bool:
        """Whether the key transport tells of itself that decrypting failed."""
        return self.recipient.key_transport is not None and (
            self.recipient.key_transport.hash is not None
        )

    def is_made_up(self, content_key: bytes) -> bool:
        """Tell whether a content key was made up in the place of one that is not well formed."""
        return (
            not self.tells_failure
            and isinstance(self.key, RsaKey)
            and self.key.is_made_up(content_key, self.recipient.encrypted_key)
        )


def candidates(
    recipients: Sequence[RecipientHeader],
    keys: Sequence[DecryptionKey],
    certificates: Iterable[x509.Certificate] = (),
) -> list[Candidate]:
    """Return which private keys to try for which recipients.

    Args:
        recipients: those of the message.
        keys: the private keys at hand.
        certificates: of the keys: where there are some, only the recipients whom they name count.

    Raises:
        MessageError: the message is for nobody of those meant, or in a way that is not read here.
        CertificateError: no key belongs to the certificates.
    """
    readable = _readable(recipients)
    holders = [_Holder.of(certificate) for certificate in certificates]
    if holders:
        return _checked(_named(recipients, keys, holders))
    came_with_keys = [
        _Holder.of(certificate)
        for key in keys
        if isinstance(key, RsaKey)
        for certificate in key.certificates
    ]
    # A certificate that only came with a key may be a newer one: it is a hint, no more.
    return _checked(
        _pairs(readable, keys, came_with_keys)
        or [Candidate(recipient, key) for recipient in readable for key in keys]
    )


def content_key(tried: Sequence[Candidate], size: int) -> ContentKey:
    """Return the content key of `size` bytes that one of the candidates gives, or a made-up one."""
    in_place_of_it = _made_up(tried, size)  # in any case, so that time does not tell of a failure
    unwrapped = [(candidate, candidate.unwrap()) for candidate in tried]
    found = [(candidate, key) for candidate, key in unwrapped if len(key) == size]
    if len(found) > 1:
        found = [pair for pair in found if not pair[0].is_made_up(pair[1])] or found
    found.sort(key=lambda pair: not pair[0].tells_failure)
    if found:
        return ContentKey(found[0][1])
    return ContentKey(in_place_of_it, all(candidate.tells_failure for candidate in tried))


def _made_up(tried: Sequence[Candidate], size: int) -> bytes:
    """Return a key that is the same whenever the same is tried.

    One that is new each time would tell of a failure to those who send a message again and again.
    """
    keys = [key for candidate in tried if isinstance(key := candidate.key, RsaKey)]
    secret = keys[0].secret(-(-keys[0].key.key_size // 8)) if keys else _SECRET
    encrypted = b"".join(candidate.recipient.encrypted_key for candidate in tried)
    return hmac.digest(secret, b"content key" + encrypted, "sha256")[:size]


@attrs.frozen
class _Holder:
    """The holder of a certificate, and what a message may call them."""

    certificate: x509.Certificate
    issuer_der: bytes
    key_identifier: bytes

    @classmethod
    def of(cls, certificate: x509.Certificate) -> _Holder:
        return cls(certificate, _issuer(certificate), _key_identifier(certificate))

    def is_meant(self, recipient: RecipientHeader) -> bool:
        if recipient.subject_key_identifier is not None:
            return recipient.subject_key_identifier == self.key_identifier
        return (
            recipient.serial_number == self.certificate.serial_number
            and recipient.issuer_der == self.issuer_der
        )


def _named(
    recipients: Iterable[RecipientHeader],
    keys: Sequence[DecryptionKey],
    holders: Sequence[_Holder],
) -> list[Candidate]:
    meant = [r for r in recipients if any(holder.is_meant(r) for holder in holders)]
    if not meant:
        raise MessageError(
            "the message is for none of the certificates given; try the certificate that was "
            "valid when it was made, or none"
        )
    named = _pairs(_readable(meant), keys, holders)
    if not named:
        raise CertificateError(
            "no private key given belongs to the certificate that the message is for"
        )
    return named


def _pairs(
    recipients: Iterable[RecipientHeader],
    keys: Sequence[DecryptionKey],
    holders: Sequence[_Holder],
) -> list[Candidate]:
    """Return each recipient who is one of the holders with each key that may be of that one."""
    return [
        Candidate(recipient, key)
        for recipient in recipients
        for holder in holders
        if holder.is_meant(recipient)
        for key in keys
        if not isinstance(key, RsaKey) or key.belongs_to(holder.certificate)
    ]


def _readable(recipients: Sequence[RecipientHeader]) -> list[RecipientHeader]:
    readable = [r for r in recipients if r.key_transport and r.key_transport.is_read]
    if not readable:
        kinds = sorted({f"{r.key_transport or r.kind}" for r in recipients})[:5]
        raise MessageError(
            f"the content key of the message is encrypted by {', '.join(kinds) or 'nothing'}; "
            "RSA key transport with PKCS#1 v1.5 or OAEP is read"
        )
    return readable


def _checked(found: list[Candidate]) -> list[Candidate]:
    fitting = [
        candidate
        for candidate in found
        if not isinstance(candidate.key, RsaKey)
        or candidate.key.fits(candidate.recipient.encrypted_key)
    ]
    if len(fitting) > MAX_TRIES:
        raise MessageError(
            f"the message would need more than {MAX_TRIES} tries to be decrypted; "
            "give the certificate beside the key"
        )
    return fitting


def _issuer(certificate: x509.Certificate) -> bytes:
    """Return the issuer's name as it stands in a certificate (RFC 5280, section 4.1)."""
    fields = parse(certificate.tbs_certificate_bytes).children(ber.SEQUENCE, 6, 10)
    has_version = fields[0].tag == ber.CONTEXT_0
    return fields[3 if has_version else 2].der()


def _key_identifier(certificate: x509.Certificate) -> bytes:
    """Return what a certificate's key is called by (RFC 5280, section 4.2.1.2)."""
    with suppress(x509.ExtensionNotFound, *UNREADABLE):
        extensions = certificate.extensions
        return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    try:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    except UNREADABLE as error:
        raise CertificateError("a certificate of a key has fields that cannot be read") from error
