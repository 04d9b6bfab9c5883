"""Encrypts a content key for each recipient: the RecipientInfos of RFC 5652, section 6.2.

Place: between certificates and envelope. Recipients are named by issuerAndSerialNumber, which is
what stock readers look for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cdds.crypto import ber
from cdds.crypto.certificates import Recipient

KeyTransport: TypeAlias = Literal["pkcs1v15", "oaep"]
"""What a content key is encrypted with, for each recipient's RSA key."""

_VERSION_0 = ber.integer(0)


@attrs.frozen
class _Transport:
    """A key transport algorithm: what CMS calls it, and how it pads."""

    algorithm_identifier: bytes
    padding: padding.AsymmetricPadding


def _algorithm(dotted: str, parameters: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(dotted), parameters)


def _oaep() -> _Transport:
    """Return RSAES-OAEP with SHA-256, also in its mask generation (RFC 4055, section 4.1)."""
    sha256 = _algorithm("2.16.840.1.101.3.4.2.1", ber.NULL)
    mgf1 = _algorithm("1.2.840.113549.1.1.8", sha256)
    parameters = ber.tlv(ber.SEQUENCE, ber.tlv(ber.CONTEXT_0, sha256), ber.tlv(ber.CONTEXT_1, mgf1))
    return _Transport(
        _algorithm("1.2.840.113549.1.1.7", parameters),
        padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    )


_TRANSPORTS: dict[KeyTransport, _Transport] = {
    # RFC 3370, section 4.2.1
    "pkcs1v15": _Transport(_algorithm("1.2.840.113549.1.1.1", ber.NULL), padding.PKCS1v15()),
    "oaep": _oaep(),
}


def recipient_infos(
    recipients: Iterable[Recipient], content_key: bytes, transport: KeyTransport
) -> bytes:
    """Return ``RecipientInfos ::= SET OF RecipientInfo``, sorted as DER wants a SET OF."""
    infos = (_key_trans(recipient, content_key, _TRANSPORTS[transport]) for recipient in recipients)
    return ber.tlv(ber.SET, *sorted(infos))


def _key_trans(recipient: Recipient, content_key: bytes, transport: _Transport) -> bytes:
    """Return a KeyTransRecipientInfo (RFC 5652, section 6.2.1)."""
    certificate = recipient.certificate
    return ber.tlv(
        ber.SEQUENCE,
        _VERSION_0,
        ber.tlv(  # IssuerAndSerialNumber
            ber.SEQUENCE,
            certificate.issuer.public_bytes(),
            ber.integer(certificate.serial_number),
        ),
        transport.algorithm_identifier,
        ber.tlv(ber.OCTET_STRING, recipient.public_key.encrypt(content_key, transport.padding)),
    )
