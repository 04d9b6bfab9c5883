"""How a message is written down: as S/MIME, as PEM, or as the bytes it is.

Place: the last step of the envelope. Binary is the only mode: nothing is canonicalised. Lines of
base64 are all of one length but the last, each ended by one LF, so the place of every byte can be
computed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from struct import Struct

import pybase64

SMIME_HEADER = (
    b"MIME-Version: 1.0\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\n'
    b'Content-Type: application/x-pkcs7-mime; smime-type=%s; name="smime.p7m"\n'
    b"Content-Transfer-Encoding: base64\n"
    b"\n"
)
SMIME_LINE = 57
"""The bytes of content in one line of S/MIME: 76 columns (RFC 2045, section 6.8)."""
PEM_LINE = 48
"""The bytes of content in one line of PEM: 64 columns (RFC 7468, section 2)."""

_PEM_LINES = Struct("64s" * 1024)  # unpacking is the fastest way there is to cut lines


def smime(message: Iterable[bytes | memoryview], smime_type: str) -> Generator[bytes]:
    """Yield the message in S/MIME form (RFC 8551), as ``openssl smime -encrypt`` cuts it.

    A piece is used up before the next is asked for, so the caller may reuse its buffer.
    """
    yield SMIME_HEADER % smime_type.encode()
    yield from _base64(message, SMIME_LINE, pybase64.encodebytes)
    yield b"\n"


def pem(message: Iterable[bytes | memoryview], label: str) -> Generator[bytes]:
    """Yield the message in PEM (RFC 7468); a piece is used up before the next is asked for."""
    yield f"-----BEGIN {label}-----\n".encode()
    yield from _base64(message, PEM_LINE, _pem_lines)
    yield f"-----END {label}-----\n".encode()


def der(message: Iterable[bytes | memoryview]) -> Generator[bytes]:
    """Yield the message as it is: BER, which those who ask for DER read."""
    yield from map(bytes, message)


def _base64(
    message: Iterable[bytes | memoryview],
    line: int,
    encode: Callable[[bytes | memoryview], bytes],
) -> Generator[bytes]:
    rest = b""
    for piece in message:
        head = 0
        if rest:
            head = line - len(rest)
            start = rest + bytes(piece[:head])
            if len(start) < line:
                rest = start
                continue
            yield encode(start)
        whole = len(piece) - (len(piece) - head) % line
        rest = bytes(piece[whole:])
        if whole > head:
            yield encode(memoryview(piece)[head:whole])
    if rest:
        yield encode(rest)


def _pem_lines(data: bytes | memoryview) -> bytes:
    encoded = memoryview(pybase64.b64encode(data))
    parts: list[bytes] = []
    cut = len(encoded) - len(encoded) % _PEM_LINES.size
    for lines in _PEM_LINES.iter_unpack(encoded[:cut]):
        parts += lines
    parts += (bytes(encoded[start : start + 64]) for start in range(cut, len(encoded), 64))
    return b"\n".join([*parts, b""])
