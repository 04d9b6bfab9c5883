"""Content ciphers: how the bytes of a message are encrypted, and how CMS calls it.

Place: beside the recipients, below the envelope, which knows only `ContentCipher`'s two methods.
"""

from __future__ import annotations

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from cdds.crypto import ber

_AES256_CBC = "2.16.840.1.101.3.4.1.42"
BLOCK = 16
"""The cipher's block size in bytes."""


@attrs.frozen
class Aes256Cbc:
    """AES-256 in CBC mode with the padding of RFC 5652, section 6.3 (RFC 3565)."""

    key: bytes = attrs.field(repr=False)
    iv: bytes = attrs.field(repr=False)

    KEY_SIZE = 32
    IV_SIZE = BLOCK

    def algorithm_identifier(self) -> bytes:
        """Return the ContentEncryptionAlgorithmIdentifier: the AES OID and the IV."""
        return ber.tlv(
            ber.SEQUENCE,
            ber.object_identifier(_AES256_CBC),
            ber.tlv(ber.OCTET_STRING, self.iv),
        )

    def encryptor(self) -> CipherContext:
        """Return a context that encrypts whole blocks."""
        return Cipher(algorithms.AES(self.key), modes.CBC(self.iv)).encryptor()


def padding(size: int) -> bytes:
    """Return the padding for a content of `size` bytes (RFC 5652, section 6.3)."""
    count = BLOCK - size % BLOCK
    return bytes([count]) * count
