"""The MIME dress of an enveloped message (RFC 8551), as ``openssl smime -encrypt`` cuts it.

Place: the last step of the envelope. Binary is the only mode: nothing is canonicalised. Lines are
76 columns (RFC 2045, section 6.8), all but the last of that length, each ended by one LF, so the
place of every byte can be computed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

import pybase64

HEADER = (
    b"MIME-Version: 1.0\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\n'
    b'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\n'
    b"Content-Transfer-Encoding: base64\n"
    b"\n"
)
LINE_BYTES = 57
"""The bytes of content in one line of base64: 76 columns."""


def smime(message: Iterable[bytes | memoryview]) -> Generator[bytes]:
    """Yield the message in S/MIME form: the header lines, then base64.

    A piece is used up before the next is asked for, so the caller may reuse its buffer.
    """
    yield HEADER
    rest = b""
    for piece in message:
        if rest:
            head = LINE_BYTES - len(rest)
            start = rest + bytes(piece[:head])
            if len(start) < LINE_BYTES:
                rest = start
                continue
            yield pybase64.encodebytes(start)
        else:
            head = 0
        whole = len(piece) - (len(piece) - head) % LINE_BYTES
        rest = bytes(piece[whole:])
        if whole > head:
            yield pybase64.encodebytes(memoryview(piece)[head:whole])
    yield pybase64.encodebytes(rest) + b"\n"
