"""Seals a stream of bytes as CMS EnvelopedData (RFC 5652, section 6) in S/MIME form.

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

import attrs

from cdds.crypto import ber
from cdds.crypto.certificates import Recipient, load_recipients
from cdds.crypto.content import Aes256Cbc, padding
from cdds.crypto.recipients import recipient_infos
from cdds.crypto.smime import smime

PIECE_SIZE = 256 * 1024
"""The bytes of ciphertext in one octet string."""

_DATA = "1.2.840.113549.1.7.1"
_ENVELOPED_DATA = "1.2.840.113549.1.7.3"
_PIECE_HEADER = bytes([ber.OCTET_STRING]) + ber.length(PIECE_SIZE)
_OPEN = 5
"""How many indefinite lengths are open while the content flows."""


@attrs.frozen
class Envelope:
    """Seals for one or several recipients, each of whom can open with the own private key.

    Attributes:
        recipients: paths, PEM or DER bytes, `x509.Certificate` values; one or several.
        random: returns that many random bytes.

    Raises:
        CertificateError: a certificate is unreadable or unsuitable.

    >>> envelope = Envelope(["recipient.pem"])
    >>> with open("message.smime", "wb") as file:
    ...     file.writelines(envelope.encrypt([b"content ", b"in any ", b"pieces"]))
    """

    recipients: tuple[Recipient, ...] = attrs.field(converter=load_recipients)
    random: Callable[[int], bytes] = attrs.field(default=os.urandom, repr=False)

    def check_validity(self, now: datetime) -> tuple[str, ...]:
        """Refuse certificates that are not valid at `now`; return warnings for those that expire.

        Raises:
            CertificateError: a certificate is not yet, or no longer, valid.
        """
        warnings = (recipient.check_validity(now) for recipient in self.recipients)
        return tuple(filter(None, warnings))

    def encrypt(self, content: Iterable[bytes | memoryview]) -> Generator[bytes]:
        """Yield one S/MIME message that holds the content; each call uses a new key."""
        cipher = Aes256Cbc(self.random(Aes256Cbc.KEY_SIZE), self.random(Aes256Cbc.IV_SIZE))
        return smime(self._enveloped_data(cipher, content))

    def _enveloped_data(
        self, cipher: Aes256Cbc, content: Iterable[bytes | memoryview]
    ) -> Iterator[bytes | memoryview]:
        yield b"".join(
            [
                ber.open_indefinite(ber.SEQUENCE),  # ContentInfo
                ber.object_identifier(_ENVELOPED_DATA),
                ber.open_indefinite(ber.CONTEXT_0),
                ber.open_indefinite(ber.SEQUENCE),  # EnvelopedData
                ber.integer(0),
                recipient_infos(self.recipients, cipher.key),
                ber.open_indefinite(ber.SEQUENCE),  # EncryptedContentInfo
                ber.object_identifier(_DATA),
                cipher.algorithm_identifier(),
                ber.open_indefinite(ber.CONTEXT_0),  # encryptedContent
            ]
        )
        yield from _octet_strings(cipher, content)
        yield ber.END_OF_CONTENTS * _OPEN


def _octet_strings(
    cipher: Aes256Cbc, content: Iterable[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    """Yield the ciphertext as octet strings, each in the same buffer as the one before."""
    encryptor = cipher.encryptor()
    size = 0
    buffer = bytearray(len(_PIECE_HEADER) + PIECE_SIZE + Aes256Cbc.IV_SIZE)
    buffer[: len(_PIECE_HEADER)] = _PIECE_HEADER
    room = memoryview(buffer)[len(_PIECE_HEADER) :]
    whole = memoryview(buffer)[: len(_PIECE_HEADER) + PIECE_SIZE]
    rest: bytes | memoryview = b""
    for piece, last in _pieces(content):
        size += len(piece)
        if not last:
            encryptor.update_into(piece, room)
            yield whole
        else:
            rest = piece
    end = encryptor.update(bytes(rest) + padding(size)) + encryptor.finalize()
    yield ber.tlv(ber.OCTET_STRING, end)


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
