"""Seals a stream of bytes as CMS EnvelopedData or AuthEnvelopedData (RFC 5652, RFC 5083).

Place: after the archive, before the sink: `Iterable[bytes]` in, `Iterator[bytes]` out. Only
public keys are needed. Nothing is known of the content's size when the message begins, so the
outer structures have indefinite lengths. The encrypted octets come in pieces of `PIECE_SIZE`
bytes, all but the last, and base64 in lines of fixed length: a reader can compute where a byte
of the content lies.

An exception of the content passes through unchanged, and a message whose content did not end well
never gets its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cdds.crypto import ber, framing
from cdds.crypto.certificates import CertificateSource, Recipient, load_recipients
from cdds.crypto.content import BLOCK, CipherName, ContentCipher, Encryption, new_cipher
from cdds.crypto.recipients import KeyTransport, recipient_infos
from cdds.errors import EnvelopeError
from cdds.model import one_of

if TYPE_CHECKING:
    from cdds.crypto.decryption import Content
    from cdds.crypto.private_keys import DecryptionKeySource
    from cdds.crypto.recognition import MessageSource

Format: TypeAlias = Literal["smime", "der", "pem"]
"""How a message is written down."""

PIECE_SIZE = 256 * 1024
"""The bytes of ciphertext in one octet string."""

_DATA = "1.2.840.113549.1.7.1"
_ENVELOPED_DATA = "1.2.840.113549.1.7.3"
_AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"
_PIECE_HEADER = bytes([ber.OCTET_STRING]) + ber.length(PIECE_SIZE)
_SUFFIXES: dict[Format, str] = {"smime": ".smime", "der": ".p7m", "pem": ".pem"}


@attrs.frozen
class Envelope:
    """Seals for one or several recipients, each of whom can open with the own private key.

    The defaults are what every reader opens. ``docs/reference/forms.md`` shows which reader opens
    which of the other forms.

    Attributes:
        recipients: paths, PEM or DER bytes, `x509.Certificate` values; one or several.
        format: ``"smime"``; ``"der"`` for the bytes as they are, a quarter smaller; ``"pem"``.
        cipher: ``"aes-256-cbc"``, ``"aes-128-cbc"``, or ``"aes-256-gcm"``, which also tells
            whether the content was changed, and takes at most 64 GiB.
        key_transport: ``"pkcs1v15"``, or ``"oaep"`` with SHA-256.
        random: returns that many random bytes.

    Raises:
        CertificateError: a certificate is unreadable or unsuitable.
        JobError: a form is unknown.

    >>> envelope = Envelope(["recipient.pem"])
    >>> with open("message.smime", "wb") as file:
    ...     file.writelines(envelope.encrypt([b"content ", b"in any ", b"pieces"]))
    """

    recipients: tuple[Recipient, ...] = attrs.field(converter=load_recipients)
    format: Format = attrs.field(default="smime", validator=one_of(Format))
    cipher: CipherName = attrs.field(default="aes-256-cbc", validator=one_of(CipherName))
    key_transport: KeyTransport = attrs.field(default="pkcs1v15", validator=one_of(KeyTransport))
    random: Callable[[int], bytes] = attrs.field(default=os.urandom, repr=False)

    @property
    def suffix(self) -> str:
        """How the name of a file with such a message ends: ``.smime``, ``.p7m`` or ``.pem``."""
        return _SUFFIXES[self.format]

    def check_validity(self, now: datetime) -> tuple[str, ...]:
        """Refuse certificates that are not valid at `now`; return warnings for those that expire.

        Raises:
            CertificateError: a certificate is not yet, or no longer, valid.
        """
        warnings = (recipient.check_validity(now) for recipient in self.recipients)
        return tuple(filter(None, warnings))

    def encrypt(
        self, content: Iterable[bytes | memoryview], *, size: int | None = None
    ) -> Generator[bytes]:
        """Yield one message that holds the content; each call uses a new key.

        Args:
            content: what to seal.
            size: the bytes of it, where they are known: what is too large for the cipher is then
                refused at once, otherwise when it gets there.

        Raises:
            EnvelopeError: the content is larger than one message may be.
        """
        cipher = new_cipher(self.cipher, self.random)
        _check_size(cipher, size or 0)
        message = self._message(cipher, content)
        match self.format:
            case "smime":
                kind = "authEnveloped-data" if cipher.authenticates else "enveloped-data"
                return framing.smime(message, kind)
            case "pem":
                # What old readers know is called PKCS7; the rest is not for them.
                is_old = not cipher.authenticates and self.key_transport == "pkcs1v15"
                return framing.pem(message, "PKCS7" if is_old else "CMS")
            case "der":
                return framing.der(message)

    @staticmethod
    def decrypt(
        message: MessageSource,
        *,
        key: DecryptionKeySource | None = None,
        keys: Iterable[DecryptionKeySource] = (),
        password: bytes | None = None,
        certificates: CertificateSource | Iterable[CertificateSource] = (),
    ) -> Content:
        """Return the content of an encrypted message, whoever made it, of any size.

        The form is told by the content: S/MIME (RFC 8551), PEM (RFC 7468), DER or BER. Read are
        EnvelopedData with AES-CBC (RFC 5652, RFC 3565) and AuthEnvelopedData with AES-GCM
        (RFC 5083, RFC 5084), for recipients with RSA keys, by PKCS#1 v1.5 or OAEP.

        Args:
            message: its bytes, whole or in pieces, or a binary file.
            key: the private key: a path, or the bytes of a file (PKCS#1, PKCS#8 or PKCS#12, in
                PEM or DER), an `RSAPrivateKey`, or a `KeyDecryptor` for a key in an HSM or a KMS.
            keys: several of them, where it may be any, as after a rotation.
            password: what those keys are encrypted with that are.
            certificates: the key's certificate, or several: only the recipients whom they name
                are tried then. That is faster, and safer where messages come from anybody.

        Raises:
            CertificateError: a key or a certificate cannot be read, or they do not belong together.
            MessageError: the message is malformed, or is of a kind that is not read.
            JobError: no key was given.

        >>> with open("message.smime", "rb") as file:
        ...     content = Envelope.decrypt(file, key="recipient.key")
        ...     for piece in content.iter_unverified():  # read there what is not proven
        ...         ...
        """
        from cdds.crypto.decryption import decrypt  # what need not be loaded to seal is not

        return decrypt(message, key=key, keys=keys, password=password, certificates=certificates)

    def _message(
        self, cipher: ContentCipher, content: Iterable[bytes | memoryview]
    ) -> Iterator[bytes | memoryview]:
        encryption = cipher.encryption()
        kind = _AUTH_ENVELOPED_DATA if cipher.authenticates else _ENVELOPED_DATA
        yield b"".join(
            [
                ber.open_indefinite(ber.SEQUENCE),  # ContentInfo
                ber.object_identifier(kind),
                ber.open_indefinite(ber.CONTEXT_0),
                ber.open_indefinite(ber.SEQUENCE),  # EnvelopedData or AuthEnvelopedData
                ber.integer(0),
                recipient_infos(self.recipients, cipher.key, self.key_transport),
                ber.open_indefinite(ber.SEQUENCE),  # EncryptedContentInfo
                ber.object_identifier(_DATA),
                cipher.algorithm_identifier(),
                ber.open_indefinite(ber.CONTEXT_0),  # encryptedContent
            ]
        )
        yield from _octet_strings(cipher, encryption, content)
        yield ber.END_OF_CONTENTS * 2
        if cipher.authenticates:
            yield ber.tlv(ber.OCTET_STRING, encryption.mac)
        yield ber.END_OF_CONTENTS * 3


def _octet_strings(
    cipher: ContentCipher, encryption: Encryption, content: Iterable[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    """Yield the ciphertext as octet strings, each in the same buffer as the one before."""
    size = 0
    buffer = bytearray(len(_PIECE_HEADER) + PIECE_SIZE + BLOCK)
    buffer[: len(_PIECE_HEADER)] = _PIECE_HEADER
    room = memoryview(buffer)[len(_PIECE_HEADER) :]
    whole = memoryview(buffer)[: len(_PIECE_HEADER) + PIECE_SIZE]
    rest: bytes | memoryview = b""
    for piece, last in _pieces(content):
        size += len(piece)
        _check_size(cipher, size)
        if not last:
            encryption.update_into(piece, room)
            yield whole
        else:
            rest = piece
    yield ber.tlv(ber.OCTET_STRING, encryption.end(bytes(rest), size))


def _check_size(cipher: ContentCipher, size: int) -> None:
    if cipher.max_size is not None and size > cipher.max_size:
        raise EnvelopeError(
            f"AES-GCM seals at most {cipher.max_size} bytes in one message; "
            "set a split size, or use AES-CBC"
        )


def _pieces(content: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Cut the content into pieces of `PIECE_SIZE`; the last is shorter, maybe empty, and marked."""
    started: list[bytes] = []
    size = 0
    for data in content:
        rest = memoryview(data)
        if started and size + len(rest) >= PIECE_SIZE:
            room = PIECE_SIZE - size
            yield b"".join([*started, rest[:room]]), False
            started, size, rest = [], 0, rest[room:]
        while len(rest) >= PIECE_SIZE:
            yield rest[:PIECE_SIZE], False
            rest = rest[PIECE_SIZE:]
        started.append(bytes(rest))  # its owner may use the buffer again
        size += len(rest)
    yield b"".join(started), True
