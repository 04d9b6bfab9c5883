"""Encrypted messages made by hand, structure by structure, right or wrong as a test wants."""

from __future__ import annotations

import base64
import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from cdds.crypto import ber, inspect_message

ENVELOPED, AUTH_ENVELOPED = "1.2.840.113549.1.7.3", "1.2.840.113549.1.9.16.1.23"
DATA = "1.2.840.113549.1.7.1"
AES_256_CBC, AES_256_GCM = "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.46"
RSA = ber.tlv(ber.SEQUENCE, ber.object_identifier("1.2.840.113549.1.1.1"), ber.NULL)
KEY, IV, NONCE = bytes(range(32)), bytes(range(16)), bytes(range(12))


def algorithm(oid: str, *parameters: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(oid), *parameters)


def octets(data: bytes) -> bytes:
    return ber.tlv(ber.OCTET_STRING, data)


def recipient(encrypted_key: bytes, transport: bytes = RSA, identifier: bytes = b"id") -> bytes:
    """Return a KeyTransRecipientInfo with a subjectKeyIdentifier."""
    name = ber.tlv(0x80, identifier)
    return ber.tlv(ber.SEQUENCE, ber.integer(2), name, transport, octets(encrypted_key))


def wrapped(key: Any, content_key: bytes = KEY) -> bytes:
    """Return a content key, encrypted for the holder of a key by PKCS#1 v1.5."""
    encrypted: bytes = key.public_key().encrypt(content_key, padding.PKCS1v15())
    return encrypted


def cbc(content: bytes, key: bytes = KEY, iv: bytes = IV) -> bytes:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def content_info(oid: str, *structure: bytes) -> bytes:
    inner = ber.tlv(ber.CONTEXT_0, ber.tlv(ber.SEQUENCE, *structure))
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(oid), inner)


def encrypted_content_info(cipher: bytes, encrypted_content: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(DATA), cipher, encrypted_content)


def recipients(*infos: bytes) -> bytes:
    return ber.tlv(ber.SET, *infos)


def enveloped(
    infos: bytes,
    content: bytes = b"content",
    *,
    cipher: bytes | None = None,
    encrypted_content: bytes | None = None,
) -> bytes:
    """Return EnvelopedData with AES-256-CBC, or with what is given in its place."""
    cipher = cipher or algorithm(AES_256_CBC, octets(IV))
    if encrypted_content is None:
        encrypted_content = ber.tlv(0x80, cbc(content))
    info = encrypted_content_info(cipher, encrypted_content)
    return content_info(ENVELOPED, ber.integer(0), infos, info)


def gcm_cipher(nonce: bytes = NONCE, mac_size: int | None = 16) -> bytes:
    size = b"" if mac_size is None else ber.integer(mac_size)
    return algorithm(AES_256_GCM, ber.tlv(ber.SEQUENCE, octets(nonce), size))


def auth_enveloped(
    infos: bytes,
    content: bytes = b"content",
    *,
    nonce: bytes = NONCE,
    mac_size: int | None = 16,
    attributes: bytes = b"",
    cipher: bytes | None = None,
) -> bytes:
    """Return AuthEnvelopedData with AES-256-GCM.

    Args:
        infos: the RecipientInfos.
        content: what is encrypted.
        nonce: of GCM.
        mac_size: the size of the MAC; None for the default, which is left out.
        attributes: the authenticated attributes, each in DER, in their order.
        cipher: another algorithm identifier.
    """
    aad = ber.tlv(ber.SET, attributes) if attributes else b""
    sealed = AESGCM(KEY).encrypt(nonce, content, aad or None)
    info = encrypted_content_info(
        cipher or gcm_cipher(nonce, mac_size), ber.tlv(0x80, sealed[:-16])
    )
    mac = octets(sealed[-16:][: 12 if mac_size is None else mac_size])
    authenticated = ber.tlv(ber.CONTEXT_1, attributes) if attributes else b""
    return content_info(AUTH_ENVELOPED, ber.integer(0), infos, info, authenticated, mac)


def attribute(value: bytes) -> bytes:
    """Return an attribute with a value of its own, in DER."""
    return ber.tlv(ber.SEQUENCE, ber.object_identifier("1.2.3.4"), ber.tlv(ber.SET, octets(value)))


def with_encrypted_key(message: bytes, encrypted_key: bytes) -> bytes:
    """Return a message with another encrypted key of the same size for its first recipient."""
    header = inspect_message(message)
    found = header.recipients[0].encrypted_key
    if header.form == "der":
        return message.replace(found, encrypted_key)
    head, body = message.split(b"\n\n", 1)
    octets = base64.b64decode(body).replace(found, encrypted_key)
    return head + b"\n\n" + base64.encodebytes(octets)


def random_encrypted_key(key: Any) -> bytes:
    """Return what looks like an encrypted key, and is none."""
    return b"\0" + os.urandom(key.key_size // 8 - 1)
