"""Recognises how a message is written down, and yields the octets that it is.

Place: the first step of decryption, as `framing` is the last of encryption. The form is told by
the content: what begins with a SEQUENCE is BER; what begins with ``-----BEGIN`` is PEM (RFC 7468);
the rest must be MIME headers and a body (RFC 8551). Base64 may be broken anywhere by line ends,
spaces and tabs; anything else in it is refused, and so is anything after its end.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, Literal, NoReturn, TypeAlias

import attrs
import pybase64

from cdds.crypto import ber
from cdds.crypto.ber_parser import Octets
from cdds.crypto.mime import is_base64
from cdds.errors import JobError, MessageError

Form: TypeAlias = Literal["smime", "pem", "der"]
"""How a message is written down; ``"der"`` is BER too."""
MessageSource: TypeAlias = "bytes | Iterable[bytes | memoryview] | BinaryIO"
"""A message: its bytes, whole or in pieces, or a binary file."""

MAX_MIME_HEADERS = 256 * 1024
"""The most bytes of header lines before a message."""
READ_SIZE = 256 * 1024
"""The bytes that are worked on at once."""

SPACE = b" \t\r\n"
"""What may stand between the characters of base64, and after them."""
_BEGIN = b"-----BEGIN "
_PEM_BEGIN = re.compile(rb"-----BEGIN (CMS|PKCS7)-----[ \t]*\r?\n")
_END_OF_HEADERS = re.compile(rb"\r?\n[ \t]*\r?\n")


@attrs.frozen
class Recognised:
    """A message of which it is known how it is written down.

    Attributes:
        form: how.
        octets: the octets that it is, as they are asked for.
        may_follow: which octets may come after its end: mail adds line ends to a binary body.
    """

    form: Form
    octets: Octets
    may_follow: bytes = b""


@attrs.frozen
class Beginning:
    """What the first bytes of a message tell.

    Attributes:
        form: how the message is written down.
        head: the first bytes of its body, as far as they were read.
        is_base64: whether the body is base64.
        pem_label: what stands in the first and the last line of PEM.
    """

    form: Form
    head: bytes
    is_base64: bool = True
    pem_label: bytes = b""

    @property
    def may_follow(self) -> bytes:
        """Which octets may come after the message: mail adds line ends to a binary body."""
        return b"\r\n" if self.form == "smime" and not self.is_base64 else b""


def recognised(message: MessageSource) -> Recognised:
    """Return the form of a message, and its octets.

    Raises:
        MessageError: the form is none of them, now or while the octets are read.
        JobError: it is a path; nothing is opened here.
    """
    pieces = _regular(message)
    found = beginning(pieces)
    body: Iterator[bytes] = chain([found.head], pieces)
    if found.pem_label:
        body = up_to_pem_end(body, found.pem_label)
    octets = _from_base64(body) if found.is_base64 else body
    return Recognised(found.form, Octets(octets), found.may_follow)


def beginning(pieces: Iterator[bytes]) -> Beginning:
    """Return what the first pieces of a message tell; those that are not needed are left.

    Raises:
        MessageError: the form is none of those that are known.
    """
    head = next(pieces, b"")
    if head.startswith(bytes([ber.SEQUENCE])):
        return Beginning("der", head, is_base64=False)
    head = _after_blank_lines(head, pieces)
    if head.startswith(_BEGIN):
        label, head = _pem_label(head)
        return Beginning("pem", head, pem_label=label)
    headers, head = _mime_headers(head, pieces)
    return Beginning("smime", head, is_base64(headers, head[0] if head else None))


def _regular(message: MessageSource) -> Iterator[bytes]:
    """Yield a message in pieces of `READ_SIZE` bytes or more, all but the last."""
    started: list[bytes] = []
    size = 0
    for piece in _given(message):
        # The owner of another buffer may use it again.
        started.append(piece if isinstance(piece, bytes) else bytes(memoryview(piece)))
        size += len(started[-1])
        if size >= READ_SIZE:
            yield b"".join(started)
            started, size = [], 0
    if started:
        yield b"".join(started)


def _given(message: MessageSource) -> Iterable[bytes | memoryview]:
    if isinstance(message, (str, os.PathLike)):
        raise JobError("a message is given as bytes or as a binary file; open its file first")
    if isinstance(message, (bytes, bytearray, memoryview)):
        view = memoryview(message).cast("B")
        return (view[start : start + READ_SIZE] for start in range(0, len(view), READ_SIZE))
    read = getattr(message, "read", None)
    if read is not None:
        return iter(lambda: read(READ_SIZE), b"")
    return message


def _after_blank_lines(head: bytes, pieces: Iterator[bytes]) -> bytes:
    blank = 0
    while not (rest := head.lstrip(SPACE)):
        blank += len(head)
        more = next(pieces, None)
        if more is None or blank > MAX_MIME_HEADERS:
            raise MessageError("the message is empty; nothing of it can be recognised")
        head = more
    return rest


def _pem_label(head: bytes) -> tuple[bytes, bytes]:
    begin = _PEM_BEGIN.match(head)
    if begin is None:
        raise MessageError("the message is PEM, but neither CMS nor PKCS7 (RFC 7468, section 9)")
    return begin[1], head[begin.end() :]


def _mime_headers(head: bytes, pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return the header lines, and what is at hand of the body."""
    while (end := _END_OF_HEADERS.search(head, 0, MAX_MIME_HEADERS)) is None:
        more = next(pieces, None)
        if more is None or len(head) > MAX_MIME_HEADERS:
            raise MessageError("the message is not recognised: it is neither S/MIME, PEM nor DER")
        head += more
    return head[: end.start()], head[end.end() :] or next(pieces, b"")


def up_to_pem_end(pieces: Iterator[bytes], label: bytes) -> Iterator[bytes]:
    """Yield what stands before the last line of PEM, and make sure that nothing follows that.

    Raises:
        MessageError: there is no such line, or something comes after it.
    """
    for piece in pieces:
        end = piece.find(b"-")
        if end >= 0:
            yield piece[:end]
            _check_pem_end(piece[end:], pieces, b"-----END " + label + b"-----")
            return
        yield piece
    raise MessageError("the message is malformed: its PEM has no end (RFC 7468, section 2)")


def _check_pem_end(rest: bytes, pieces: Iterator[bytes], line: bytes) -> None:
    if len(rest) < len(line):
        rest += next(pieces, b"")
    after = rest[len(line) :]
    if not rest.startswith(line) or after.strip(SPACE) or any(p.strip(SPACE) for p in pieces):
        raise MessageError(
            "the message is malformed: the end of its PEM is damaged, or something follows it "
            "(RFC 7468, section 2)"
        )


def _from_base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    ended = False
    for piece in pieces:
        text = rest + _without_space(piece)
        cut = len(text) - len(text) % 4
        rest = text[cut:]
        if ended and text:
            bad_base64()
        if cut:
            yield _decoded(text[:cut])
            ended = text[cut - 1] == ord("=")
    if rest:
        bad_base64()


def _without_space(text: bytes) -> bytes:
    text = text.replace(b"\n", b"").replace(b"\r", b"")  # several times as fast as `translate`
    return text.translate(None, SPACE) if b" " in text or b"\t" in text else text


def _decoded(text: bytes) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error:
        bad_base64()


def bad_base64() -> NoReturn:
    """Refuse a message for its base64.

    Raises:
        MessageError: always.
    """
    raise MessageError(
        "the message is malformed: its base64 is cut off or holds what is no base64 "
        "(RFC 4648, section 4)"
    )
