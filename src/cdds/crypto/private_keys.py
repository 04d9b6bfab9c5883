"""Reads recipients' private keys, and decrypts content keys with them.

Place: where the private keys come in, as `certificates` is for public ones. It takes PKCS#1,
PKCS#8 and PKCS#12, encrypted or not, in PEM or DER. A key that never leaves an HSM or a KMS comes
in as a `KeyDecryptor`. Only RSA keys are taken. No message of it holds a key or a password.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, TypeAlias, runtime_checkable

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from cdds.crypto.algorithms import KeyTransportIdentifier
from cdds.crypto.certificates import read_file
from cdds.errors import CertificateError, DecryptionError

_PEM_KEY = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL
)
_PEM_START = b"-----BEGIN "
_SMALLEST_PADDING = 8  # of PKCS#1 v1.5 (RFC 8017, section 7.2.1), between two bytes and one
_LENGTH_TRIES = 128


@runtime_checkable
class KeyDecryptor(Protocol):
    """A private key that only decrypts: in an HSM, in a KMS, or anywhere else.

    Give its certificate too: otherwise it is asked for each recipient of a message.
    """

    def decrypt(self, encrypted_key: bytes, algorithm: KeyTransportIdentifier) -> bytes:
        """Return a content key, decrypted.

        Args:
            encrypted_key: what the message holds for a recipient.
            algorithm: how it was encrypted; ``str()`` gives its name, such as ``"pkcs1v15"``.

        Raises:
            DecryptionError: it is not for this key, or damaged. What else is raised passes
                through and ends the decryption: it is for what may work another time.
        """
        ...


@attrs.frozen
class RsaKey:
    """A recipient's RSA private key at hand.

    Attributes:
        key: the key.
        certificates: those that came with it, in a PKCS#12 file.
    """

    key: rsa.RSAPrivateKey = attrs.field(repr=False)
    certificates: tuple[x509.Certificate, ...] = ()

    def decrypt(self, encrypted_key: bytes, algorithm: KeyTransportIdentifier) -> bytes:
        """Return a content key, decrypted; for PKCS#1 v1.5 maybe a made-up one (`is_made_up`)."""
        try:
            return self.key.decrypt(encrypted_key, algorithm.padding)
        except (ValueError, UnsupportedAlgorithm):
            raise DecryptionError from None

    def fits(self, encrypted_key: bytes) -> bool:
        """Tell whether the size is that of what this key decrypts."""
        return len(encrypted_key) * 8 == -(-self.key.key_size // 8) * 8

    def belongs_to(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate is of this key."""
        try:
            return self.key.public_key() == certificate.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False

    def secret(self, size: int) -> bytes:
        """Return what only the holder of the key can know, made from so many bytes of it."""
        return hashlib.sha256(self.key.private_numbers().d.to_bytes(size, "big")).digest()

    def is_made_up(self, content_key: bytes, encrypted_key: bytes) -> bool:
        """Tell whether OpenSSL made up the result of decrypting with PKCS#1 v1.5.

        Since version 3.2 it does not tell of wrong padding, but returns what it derives from the
        private key and the ciphertext (draft-irtf-cfrg-rsa-guidance, section 7.2). That is
        computed here again. It is only for choosing among several keys that might be the right
        one: for one key it would bring back the oracle that the rejection takes away.
        """
        size = len(encrypted_key)
        secret = hmac.digest(self.secret(size), encrypted_key, "sha256")
        most = size - 2 - _SMALLEST_PADDING
        mask = (1 << most.bit_length()) - 1
        tries = _prf(secret, b"length", _LENGTH_TRIES * 2)
        length = 0
        for start in range(0, len(tries), 2):
            candidate = int.from_bytes(tries[start : start + 2], "big") & mask
            length = candidate if candidate < most else length
        made_up = _prf(secret, b"message", size)[size - length :]
        return hmac.compare_digest(made_up, content_key)


def _prf(secret: bytes, label: bytes, size: int) -> bytes:
    bits = (size * 8).to_bytes(2, "big")
    blocks = (
        hmac.digest(secret, number.to_bytes(2, "big") + label + bits, "sha256")
        for number in range(-(-size // 32))
    )
    return b"".join(blocks)[:size]


DecryptionKey: TypeAlias = RsaKey | KeyDecryptor
DecryptionKeySource: TypeAlias = "str | os.PathLike[str] | bytes | rsa.RSAPrivateKey | KeyDecryptor"
"""A path, the bytes of a file, a private key, or what decrypts with one that is elsewhere."""


def load_decryption_keys(
    sources: Iterable[DecryptionKeySource], password: bytes | None = None
) -> tuple[DecryptionKey, ...]:
    """Return the private keys that the sources hold.

    Args:
        sources: where they come from.
        password: what those are encrypted with that are.

    Raises:
        CertificateError: one cannot be read, or is no RSA key.
    """
    return tuple(_load(source, password) for source in sources)


def _load(source: DecryptionKeySource, password: bytes | None) -> DecryptionKey:
    if isinstance(source, rsa.RSAPrivateKey):
        return RsaKey(source)
    if isinstance(source, KeyDecryptor):
        return source
    if not isinstance(source, (str, os.PathLike, bytes)):
        raise CertificateError(
            f"a private key to decrypt with cannot be a {type(source).__name__}: give a path, "
            "bytes, an RSAPrivateKey, or an object with the method decrypt"
        )
    # One password is given for several keys, some of which may need none.
    key, certificates, origin = load_private_key(source, (password, None), "private key")
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").strip("_")
        raise CertificateError(f"{origin} is an {kind} key; only RSA keys can decrypt here")
    return RsaKey(key, certificates)


def load_private_key(
    source: str | os.PathLike[str] | bytes, passwords: tuple[bytes | None, ...], kind: str
) -> tuple[PrivateKeyTypes, tuple[x509.Certificate, ...], str]:
    """Return a private key, the certificates that came with it, and what to call it.

    Args:
        source: a path, or the bytes of a file.
        passwords: what it may be encrypted with; None stands for no encryption.
        kind: what the key is for, in messages.

    Raises:
        CertificateError: it cannot be read, with none of the passwords.
    """
    origin = f"the {kind}"
    if isinstance(source, (str, os.PathLike)):
        origin = os.fspath(source)
        source = read_file(origin, kind)
    if not all(isinstance(password, bytes | None) for password in passwords):
        raise CertificateError("a password is given as bytes")
    tries = (_parsed(source, password) for password in dict.fromkeys(passwords))
    loaded = next(filter(None, tries), None)
    if loaded is None:  # the errors of `cryptography` may tell of the password
        raise CertificateError(
            f"{origin} cannot be read: it is no private key, or its password is missing or wrong"
        )
    return *loaded, origin


def _parsed(
    data: bytes, password: bytes | None
) -> tuple[PrivateKeyTypes, tuple[x509.Certificate, ...]] | None:
    """Return what can be read with the password."""
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        if _PEM_START in data:
            found = _PEM_KEY.search(data)  # a certificate may stand before it
            return serialization.load_pem_private_key(found[0] if found else data, password), ()
        return serialization.load_der_private_key(data, password), ()
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key, certificate, others = pkcs12.load_key_and_certificates(data, password)
        found_certificates = [certificate] if certificate else []
        return (key, (*found_certificates, *others)) if key else None
    return None
