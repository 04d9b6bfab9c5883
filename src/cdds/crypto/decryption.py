"""Decrypts the content of a message, piece by piece.

Place: the last step of decryption: a message and private keys in, the content's bytes out.
Whatever may be wrong with key or content gives one error with one text. Nothing is proven before
the content has ended, and without authentication never, so the only way to the bytes is called
`Content.iter_unverified`.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NoReturn, Protocol, TypeVar

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from cdds.crypto.certificates import CertificateSource, Recipient, load_chain
from cdds.crypto.content import BLOCK
from cdds.crypto.ghash import with_attributes
from cdds.crypto.message import EncryptedMessage, Ending, MessageHeader
from cdds.crypto.private_keys import DecryptionKey, DecryptionKeySource, load_decryption_keys
from cdds.crypto.recognition import MessageSource
from cdds.crypto.unwrapping import ContentKey, candidates, content_key
from cdds.errors import DecryptionError, JobError, MessageError

_Input = TypeVar("_Input")

WORKED_ON = 256 * 1024
"""The bytes that are decrypted at once."""


class Decryption(Protocol):
    """The decryption of one content, from its first byte to its last."""

    def update(self, data: bytes | memoryview) -> bytes:
        """Return what the next bytes of ciphertext stand for, maybe later.

        Raises:
            ValueError: the content is larger than it may be.
        """
        ...

    def end(self, ending: Ending) -> bytes:
        """Return the rest.

        Raises:
            ValueError: the content is not right.
        """
        ...


class Content:
    """The content of an encrypted message, which is decrypted while it is read.

    Attributes:
        header: what the message says of itself.
        is_verified: whether the content has been read to its end, and is proven to be what was
            encrypted. It never is without authentication (AES-CBC), and says nothing of who
            encrypted it: anybody can who has the recipient's certificate.
    """

    def __init__(self, message: EncryptedMessage, key: ContentKey) -> None:
        self.header = message.header
        self.is_verified = False
        self._message = message
        self._key = key
        self._is_read = False

    def __repr__(self) -> str:
        return f"Content({self.header!r})"

    def iter_unverified(self) -> Generator[bytes]:
        """Yield the content, once, as it comes; nothing of it is proven.

        Do not act on a byte of it before the last was yielded without an error: until then, it
        may be anything. And where the message is not authenticated
        (`MessageHeader.is_authenticated`), it may be anything even then: somebody may have
        changed it, and about one wrong key in 256 gives garbage without an error. Then only
        something within the content can tell, such as the digests of an archive. Whoever can
        change a message can also make one that is not authenticated of one that was: ask
        `is_verified`, not what was expected.

        Raises:
            DecryptionError: the key is wrong, or the content damaged; usually known only at the
                end of the content.
            MessageError: the message is malformed from there on, or cut off.
            JobError: the content was asked for before.
        """
        if self._is_read:
            raise JobError("the content of a message can be read once; decrypt the message again")
        self._is_read = True
        return self._decrypted()

    def _decrypted(self) -> Generator[bytes]:
        decryption = _decryption(self.header, self._key.key)
        for piece in _in_pieces(self._message.ciphertext()):
            yield _right(decryption.update, piece)
        rest = _right(decryption.end, self._message.ending())
        if self._key.is_wrong:
            fail()
        if rest:
            yield rest
        self.is_verified = self.header.is_authenticated


@attrs.frozen
class PrivateKeys:
    """The private keys that may open a message, and the certificates that were given with them.

    With `for_authenticated` they open no message that nothing authenticates.
    """

    keys: tuple[DecryptionKey, ...] = attrs.field(repr=False)
    certificates: tuple[x509.Certificate, ...]
    for_authenticated: bool = False

    @classmethod
    def loaded(
        cls,
        key: DecryptionKeySource | None,
        keys: Iterable[DecryptionKeySource],
        password: bytes | None,
        certificates: CertificateSource | Iterable[CertificateSource],
    ) -> PrivateKeys:
        """Return them from the arguments of `cdds.Envelope.decrypt`.

        Raises:
            CertificateError: a key or a certificate cannot be read.
            JobError: no key was given.
        """
        sources = [*([] if key is None else [key]), *keys]
        if not sources:
            raise JobError("decrypting needs a private key, and none is given")
        loaded = load_decryption_keys(sources, password)
        return cls(tuple(loaded), tuple(_certificates(certificates)))

    def content_key(self, header: MessageHeader) -> ContentKey:
        """Return the key of a message's content, or what takes its place.

        Raises:
            CertificateError: no key belongs to the certificates.
            MessageError: the message is for nobody of those meant, or of a kind that is not read.
        """
        check_cipher(header)
        if self.for_authenticated and not header.is_authenticated:  # before any key is used
            raise MessageError(
                f"nothing authenticates a message in {header.cipher.name}, so it may have been "
                "changed; ask for AES-GCM, or for signed digests"
            )
        tried = candidates(header.recipients, self.keys, self.certificates)
        return content_key(tried, header.cipher.key_size)


def inspect_message(message: MessageSource) -> MessageHeader:
    """Return what can be told of an encrypted message without a key; its content is not read.

    Args:
        message: its bytes, whole or in pieces, or a binary file; S/MIME, PEM, DER or BER.

    Raises:
        MessageError: it is malformed, or no message of CMS that is encrypted for recipients.
    """
    return EncryptedMessage(message).header


def decrypt(
    message: MessageSource,
    *,
    key: DecryptionKeySource | None = None,
    keys: Iterable[DecryptionKeySource] = (),
    password: bytes | None = None,
    certificates: CertificateSource | Iterable[CertificateSource] = (),
) -> Content:
    """Return the content of an encrypted message; `cdds.Envelope.decrypt` tells all of it."""
    private_keys = PrivateKeys.loaded(key, keys, password, certificates)
    opened = EncryptedMessage(message)
    return Content(opened, private_keys.content_key(opened.header))


def _certificates(
    sources: CertificateSource | Iterable[CertificateSource],
) -> list[x509.Certificate]:
    if isinstance(sources, (str, os.PathLike, bytes, x509.Certificate, Recipient)):
        sources = [sources]
    return [
        source.certificate if isinstance(source, Recipient) else load_chain(source)[0][0]
        for source in sources
    ]


def check_cipher(header: MessageHeader) -> None:
    """Refuse a message of which the content cannot be decrypted here.

    Raises:
        MessageError: it is encrypted with another cipher, or with one that must not be there.
    """
    cipher = header.cipher
    if not cipher.key_size:
        raise MessageError(
            f"the content of the message is encrypted with {cipher.name}; "
            "AES in CBC and GCM modes is read"
        )
    if header.is_authenticated != bool(cipher.mac_size):
        raise MessageError(
            f"the message is {header.kind} with {cipher.name}, which must not be "
            "(RFC 5083, section 1; RFC 5084, section 1)"
        )


def _right(step: Callable[[_Input], bytes], given: _Input) -> bytes:
    """Return what a step of a decryption gives, or raise the one error."""
    try:
        return step(given)
    except ValueError:
        fail()


def _in_pieces(ciphertext: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the ciphertext in pieces of at least `WORKED_ON` bytes but the last."""
    started: list[memoryview] = []
    size = 0
    for piece in ciphertext:
        started.append(piece)
        size += len(piece)
        if size >= WORKED_ON:
            yield b"".join(started) if len(started) > 1 else piece
            started, size = [], 0
    if started:
        yield b"".join(started)


def _decryption(header: MessageHeader, key: bytes) -> Decryption:
    if header.is_authenticated:
        return _GcmDecryption(key, header.cipher.nonce)
    return _CbcDecryption(key, header.cipher.nonce)


class _CbcDecryption:
    """Holds the last block back, for it has the padding (RFC 5652, section 6.3)."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._context = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        self._last = b""
        self._buffer = bytearray()

    def update(self, data: bytes | memoryview) -> bytes:
        if len(self._buffer) < len(data) + BLOCK:
            self._buffer = bytearray(len(data) + BLOCK)
        size = self._context.update_into(data, self._buffer)
        if not size:
            return b""
        ready = memoryview(self._buffer)[: size - BLOCK]
        before, self._last = self._last, bytes(self._buffer[size - BLOCK : size])
        return b"".join([before, ready])

    def end(self, ending: Ending) -> bytes:
        del ending  # nothing authenticates the content
        self._context.finalize()
        unpadder = PKCS7(BLOCK * 8).unpadder()
        return unpadder.update(self._last) + unpadder.finalize()


class _GcmDecryption:
    """Encrypts the plaintext again, for only that tells the tag before the attributes are known."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key = key
        cipher = Cipher(algorithms.AES(key), modes.GCM(nonce))
        self._decryptor, self._encryptor = cipher.decryptor(), cipher.encryptor()
        self._size = 0
        self._unused = bytearray()

    def update(self, data: bytes | memoryview) -> bytes:
        plaintext = self._decryptor.update(data)
        if len(self._unused) < len(data) + BLOCK:
            self._unused = bytearray(len(data) + BLOCK)
        self._encryptor.update_into(plaintext, self._unused)
        self._size += len(data)
        return plaintext

    def end(self, ending: Ending) -> bytes:
        self._encryptor.finalize()
        tag = self._encryptor.tag
        if ending.attributes:
            subkey = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor().update(bytes(BLOCK))  # noqa: S305  # one block is what GCM asks for
            tag = with_attributes(tag, subkey, ending.attributes, self._size)
        if not hmac.compare_digest(tag[: len(ending.mac)], ending.mac):
            raise ValueError
        return b""


def fail() -> NoReturn:
    """Tell that a message cannot be decrypted: the one error for all that needs the key.

    Raises:
        DecryptionError: always, with one text.
    """
    raise DecryptionError(
        "the message cannot be decrypted: the key is not that of a recipient, or the message was "
        "changed or is damaged; which of them it is cannot be told"
    ) from None
