"""Content ciphers: how the bytes of a message are encrypted, and how CMS calls it.

Place: beside the recipients, below the envelope, which knows only the protocol `ContentCipher`.
A cipher here serves one message: it is made with a key and a nonce of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Protocol, TypeAlias

import attrs
from cryptography.hazmat.primitives.ciphers import (
    AEADEncryptionContext,
    Cipher,
    CipherContext,
    algorithms,
    modes,
)

from cdds.crypto import ber

CipherName: TypeAlias = Literal["aes-256-cbc", "aes-128-cbc", "aes-256-gcm"]
"""What a content is encrypted with."""

BLOCK = 16
"""The block size of AES in bytes."""

_AES = "2.16.840.1.101.3.4.1"  # NIST's arc of AES
_MAC_SIZE = 16
MAX_GCM_SIZE = 2**36 - 32  # NIST SP 800-38D, section 5.2.1.1, where it is given in bits
"""The most bytes of content of AES-GCM."""


class Encryption(Protocol):
    """The encryption of one content, from its first byte to its last."""

    def update_into(self, data: bytes | memoryview, buffer: memoryview) -> int:
        """Encrypt whole blocks into a buffer, which has a block's room more than they need."""
        ...

    def end(self, rest: bytes, size: int) -> bytes:
        """Return what ends the ciphertext: the rest of a content of `size` bytes, and padding."""
        ...

    @property
    def mac(self) -> bytes:
        """What authenticates the content, once it has ended; empty where nothing does."""
        ...


class ContentCipher(Protocol):
    """A cipher with the key and the nonce of one message."""

    authenticates: ClassVar[bool]
    """Whether a reader can tell that the content was changed."""
    max_size: ClassVar[int | None]
    """The most bytes of content in one message, where there is a limit."""

    @property
    def key(self) -> bytes:
        """The content-encryption key."""
        ...

    def algorithm_identifier(self) -> bytes:
        """Return the ContentEncryptionAlgorithmIdentifier."""
        ...

    def encryption(self) -> Encryption:
        """Begin to encrypt."""
        ...


@attrs.frozen
class AesCbc:
    """AES-128 or AES-256 in CBC mode with the padding of RFC 5652, section 6.3 (RFC 3565)."""

    key: bytes = attrs.field(repr=False)
    iv: bytes = attrs.field(repr=False)
    authenticates: ClassVar[bool] = False
    max_size: ClassVar[int | None] = None

    def algorithm_identifier(self) -> bytes:
        """Return the OID, and the IV as its parameter."""
        number = {16: 2, 32: 42}[len(self.key)]
        return ber.tlv(
            ber.SEQUENCE,
            ber.object_identifier(f"{_AES}.{number}"),
            ber.tlv(ber.OCTET_STRING, self.iv),
        )

    def encryption(self) -> Encryption:
        """Begin to encrypt."""
        return _CbcEncryption(Cipher(algorithms.AES(self.key), modes.CBC(self.iv)).encryptor())


class _CbcEncryption:
    mac = b""

    def __init__(self, context: CipherContext) -> None:
        self._context = context
        self.update_into = context.update_into

    def end(self, rest: bytes, size: int) -> bytes:
        padded = self._context.update(rest + padding(size))
        return padded + self._context.finalize()


@attrs.frozen
class AesGcm:
    """AES-256 in Galois/Counter Mode, which also authenticates (RFC 5084, section 3.2)."""

    key: bytes = attrs.field(repr=False)
    nonce: bytes = attrs.field(repr=False)
    authenticates: ClassVar[bool] = True
    max_size: ClassVar[int | None] = MAX_GCM_SIZE

    def algorithm_identifier(self) -> bytes:
        """Return the OID, and GCMParameters; the size of the MAC is told, its default is 12."""
        parameters = ber.tlv(
            ber.SEQUENCE, ber.tlv(ber.OCTET_STRING, self.nonce), ber.integer(_MAC_SIZE)
        )
        return ber.tlv(ber.SEQUENCE, ber.object_identifier(f"{_AES}.46"), parameters)

    def encryption(self) -> Encryption:
        """Begin to encrypt."""
        return _GcmEncryption(Cipher(algorithms.AES(self.key), modes.GCM(self.nonce)).encryptor())


class _GcmEncryption:
    def __init__(self, context: AEADEncryptionContext) -> None:
        self._context = context
        self.update_into = context.update_into

    def end(self, rest: bytes, size: int) -> bytes:
        del size  # a stream cipher needs no padding
        return self._context.update(rest) + self._context.finalize()

    @property
    def mac(self) -> bytes:
        return self._context.tag


def new_cipher(name: CipherName, random: Callable[[int], bytes]) -> ContentCipher:
    """Return a cipher of that name with a new key and nonce."""
    match name:
        case "aes-256-cbc":
            return AesCbc(random(32), random(BLOCK))
        case "aes-128-cbc":
            return AesCbc(random(16), random(BLOCK))
        case "aes-256-gcm":
            return AesGcm(random(32), random(12))


def padding(size: int) -> bytes:
    """Return the padding for a content of `size` bytes (RFC 5652, section 6.3)."""
    count = BLOCK - size % BLOCK
    return bytes([count]) * count
