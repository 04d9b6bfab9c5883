"""Encrypts a content key for each recipient: the RecipientInfos of RFC 5652, section 6.2.

Place: between certificates and envelope. RSA PKCS#1 v1.5 (RFC 3370, section 4.2.1) with
issuerAndSerialNumber, which is what stock readers open.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import padding

from cdds.crypto import ber
from cdds.crypto.certificates import Recipient

_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
_VERSION_0 = ber.integer(0)


def recipient_infos(recipients: Iterable[Recipient], content_key: bytes) -> bytes:
    """Return ``RecipientInfos ::= SET OF RecipientInfo``, sorted as DER wants a SET OF."""
    infos = sorted(_key_trans(recipient, content_key) for recipient in recipients)
    return ber.tlv(ber.SET, *infos)


def _key_trans(recipient: Recipient, content_key: bytes) -> bytes:
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
        ber.tlv(ber.SEQUENCE, ber.object_identifier(_RSA_ENCRYPTION), ber.NULL),
        ber.tlv(ber.OCTET_STRING, recipient.public_key.encrypt(content_key, padding.PKCS1v15())),
    )
