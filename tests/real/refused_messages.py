"""Messages that are refused without a key, each with one fault, and the words that tell of it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import messages as by_hand
from cryptography.hazmat.primitives.asymmetric import rsa

from cdds.crypto import ber
from cdds.crypto.unwrapping import MAX_TRIES

SMALL_KEY = rsa.generate_private_key(65537, 1024)
"""The key of the recipient of all of them."""


def recipient_infos() -> bytes:
    """Return the RecipientInfos of a message for the holder of `SMALL_KEY`."""
    return by_hand.recipients(by_hand.recipient(by_hand.wrapped(SMALL_KEY)))


def base64_lines(body: bytes, width: int, end: str) -> bytes:
    """Return base64 in lines of a width, each with an end."""
    text = base64.b64encode(body).decode()
    return "".join(f"{text[i : i + width]}{end}" for i in range(0, len(text), width)).encode()


TYPE = b"Content-Type: application/pkcs7-mime\n"
BODY = b"\n" + base64_lines(by_hand.enveloped(recipient_infos()), 76, "\n")
UNRECOGNISED = {
    "nothing": (b"", "empty"),
    "blank lines": (b"\n" * 1_000_000, "empty"),
    "text": (b"Dear customer,\n\nplease find", "not recognised"),
    "headers alone": (TYPE, "not recognised"),
    "headers without end": (b"A: b\n" * 200_000, "not recognised"),
    "one long line": (b"x" * 1_000_000, "not recognised"),
    "bare base64": (BODY[1:], "not recognised"),
    "multipart": (b"Content-Type: multipart/mixed; boundary=x\n\n--x", "multipart/mixed"),
    "a header of many parts": (TYPE[:-1] + b";a=b" * 50_000 + b"\n" + BODY, "longer than"),
    "headers of many lines": (TYPE[:-1] + b";\n a=b" * 30_000 + b"\n" + BODY, "longer than"),
    "two types": (TYPE + TYPE + BODY, "2 headers Content-Type"),
    "quoted-printable": (
        TYPE + b"Content-Transfer-Encoding: quoted-printable\n" + BODY,
        "quoted-printable",
    ),
    "two encodings": (TYPE + b"Content-Transfer-Encoding: base64\n" * 2 + BODY, "2 headers"),
    "octets of another name": (
        b"Content-Type: application/octet-stream; name=a.zip\n" + BODY,
        "octet-stream",
    ),
    "garbage in base64": (TYPE + BODY[:40] + b"*" + BODY[40:], "base64"),
    "a minus in base64": (TYPE + BODY[:40] + b"-" + BODY[40:], "base64"),
    "padding within base64": (TYPE + BODY[:41] + b"====" + BODY[41:], "base64"),
    "base64 cut off": (TYPE + BODY.rstrip()[:-1], "base64"),
    "something after base64": (TYPE + BODY.rstrip() + b"\nMIAG", "malformed"),
    "a certificate": (b"-----BEGIN CERTIFICATE-----\nMIAG\n", "neither CMS nor PKCS7"),
    "PEM without end": (b"-----BEGIN CMS-----" + BODY, "malformed"),
    "PEM with another end": (b"-----BEGIN CMS-----" + BODY + b"-----END PKCS7-----\n", "its PEM"),
    "PEM and more": (b"-----BEGIN CMS-----" + BODY + b"-----END CMS-----\nx", "its PEM"),
}
"""Bytes that are recognised as no message, or as one whose text is damaged."""


def with_cipher(oid: str, *parameters: bytes, authenticated: bool = False) -> bytes:
    """Return a message with another algorithm identifier."""
    cipher = by_hand.algorithm(oid, *parameters)
    make = by_hand.auth_enveloped if authenticated else by_hand.enveloped
    return make(recipient_infos(), cipher=cipher)


def gcm_parameters(nonce: bytes, *mac_size: int) -> bytes:
    """Return GCMParameters (RFC 5084, section 3.2)."""
    return ber.tlv(ber.SEQUENCE, by_hand.octets(nonce), *map(ber.integer, mac_size))


def key_agreement() -> bytes:
    """Return a message whose content key is agreed upon."""
    return by_hand.enveloped(by_hand.recipients(ber.tlv(0xA1, ber.integer(3))))


def begun(*octets: bytes) -> bytes:
    """Return the beginning of EnvelopedData, with octets in the place of its recipients."""
    head = b"\x30\x80" + ber.object_identifier(by_hand.ENVELOPED) + b"\xa0\x80\x30\x80"
    return b"".join([head, ber.integer(0), b"\x31\x80", *octets])


CBC, GCM = by_hand.AES_256_CBC, by_hand.AES_256_GCM
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an AEAD cipher in EnvelopedData": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(12), 16)),
        "EnvelopedData with aes-256-gcm",
    ),
    "a cipher without authentication in AuthEnvelopedData": (
        lambda: with_cipher(CBC, by_hand.octets(bytes(16)), authenticated=True),
        "(malformed|AuthEnvelopedData with aes-256-cbc)",
    ),
    "3DES": (
        lambda: with_cipher("1.2.840.113549.3.7", by_hand.octets(bytes(8))),
        "des-ede3-cbc",
    ),
    "AES-CCM": (lambda: with_cipher("2.16.840.1.101.3.4.1.47", ber.NULL), "aes-256-ccm"),
    "a cipher that nobody knows": (lambda: with_cipher("1.2.3.4"), "1.2.3.4"),
    "a short IV": (lambda: with_cipher(CBC, by_hand.octets(bytes(15))), "IV .* 15 bytes"),
    "a long IV": (lambda: with_cipher(CBC, by_hand.octets(bytes(17))), "IV .* 17 bytes"),
    "no IV": (lambda: with_cipher(CBC), "malformed"),
    "an IV that is no string": (lambda: with_cipher(CBC, ber.NULL), "malformed"),
    "a short nonce": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(7)), authenticated=True),
        "nonce .* 7 bytes",
    ),
    "a short MAC": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(12), 11), authenticated=True),
        "MAC .* 11 bytes",
    ),
    "an empty MAC": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(12), 0), authenticated=True),
        "MAC .* 0 bytes",
    ),
    "a long MAC": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(12), 17), authenticated=True),
        "MAC .* 17 bytes",
    ),
    "a MAC that is not as long as it says": (
        lambda: with_cipher(GCM, gcm_parameters(bytes(12), 12), authenticated=True),
        "MAC is not as long",
    ),
    "key agreement": (key_agreement, "key agreement"),
    "nobody": (lambda: by_hand.enveloped(by_hand.recipients()), "by nothing"),
    "OAEP with MD5": (
        lambda: by_hand.enveloped(
            by_hand.recipients(by_hand.recipient(bytes(128), oaep_with("1.2.840.113549.2.5")))
        ),
        "oaep-1.2.840.113549.2.5",
    ),
    "SignedData": (
        lambda: by_hand.content_info("1.2.840.113549.1.7.2", ber.integer(1)),
        "SignedData",
    ),
    "an unknown content type": (lambda: by_hand.content_info("1.2.3", ber.integer(1)), "1.2.3"),
    "a trailing byte": (lambda: by_hand.enveloped(recipient_infos()) + b"\0", "after its end"),
    "two messages": (lambda: by_hand.enveloped(recipient_infos()) * 2, "after its end"),
    "a line end after DER": (
        lambda: by_hand.enveloped(recipient_infos()) + b"\n",
        "after its end",
    ),
    "no content": (
        lambda: by_hand.content_info(
            by_hand.ENVELOPED,
            ber.integer(0),
            recipient_infos(),
            by_hand.encrypted_content_info(by_hand.algorithm(CBC, by_hand.octets(bytes(16))), b""),
        ),
        "has no content",
    ),
    "a content of 2^63 bytes": (
        lambda: (
            by_hand.enveloped(recipient_infos()).partition(b"\x80\x10")[0]
            + b"\x80\x88"
            + (2**63).to_bytes(8, "big")
        ),
        "malformed",
    ),
    "a recipient of 2^63 bytes": (
        lambda: begun(b"\x04\x88", (2**63).to_bytes(8, "big"), bytes(9 << 20)),
        "too large",
    ),
    "a million levels": (lambda: begun(b"\x30\x80" * 1_000_000), "deeper than"),
    "a content of a million levels": (
        lambda: by_hand.enveloped(
            recipient_infos(), encrypted_content=b"\xa0\x80" + b"\x24\x80" * 1_000_000
        ),
        "deeper than",
    ),
    "integers in the place of octet strings": (
        lambda: by_hand.enveloped(
            recipient_infos(), encrypted_content=ber.tlv(0xA0, ber.integer(7))
        ),
        "no string",
    ),
    "too many recipients": (
        lambda: by_hand.enveloped(by_hand.recipients(by_hand.recipient(b"x") * 100_000)),
        "recipients",
    ),
    "too many recipients with large keys": (
        lambda: by_hand.enveloped(by_hand.recipients(by_hand.recipient(bytes(4096)) * 4000)),
        "too large",
    ),
    "too many tries": (
        lambda: by_hand.enveloped(by_hand.recipients(by_hand.recipient(bytes(128)) * 1001)),
        f"more than {MAX_TRIES} tries",
    ),
}


def oaep_with(hash_oid: str) -> bytes:
    """Return the algorithm identifier of OAEP with a hash."""
    digest = by_hand.algorithm(hash_oid)
    return by_hand.algorithm(
        "1.2.840.113549.1.1.7", ber.tlv(ber.SEQUENCE, ber.tlv(ber.CONTEXT_0, digest))
    )
