"""Any bytes are an encrypted message that can be inspected, or are refused with `MessageError`.

Nothing else is raised, and what is told does not depend on the pieces in which the bytes come, nor
do the octets that the message is depend on how many bytes are worked on at once. The header can be
shown: it has a text, and names its recipients without control characters.
"""

from __future__ import annotations

from unittest import mock

from cdds.crypto import MessageHeader, inspect_message, recognition
from cdds.crypto.recognition import recognised
from cdds.errors import MessageError

READS = (
    "cdds.crypto.recognition",
    "cdds.crypto.mime",
    "cdds.crypto.ber_parser",
    "cdds.crypto.message",
    "cdds.crypto.algorithms",
    "cdds.crypto.names",
)
WORDS = (
    b"-----BEGIN CMS-----\n",
    b"-----END CMS-----\n",
    b"-----BEGIN PKCS7-----\n",
    b"-----END PKCS7-----\n",
    b"Content-Type: application/pkcs7-mime\n",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: binary\n",
    b"\x30\x80",
    b"\x24\x80",
    b"\xa0\x80",
    b"\x00\x00",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07",
)
VECTORS = "cms"

_SMALL = 96  # longer than the line that ends PEM


def check(data: bytes) -> None:
    """Check the invariant for a message."""
    told = _told(data)
    assert told == _told([data[:3], data[3:]])
    if not data[:1].isspace():  # the line that begins PEM must come in one piece with what is blank
        with mock.patch.object(recognition, "READ_SIZE", _SMALL):
            found = _octets(data)
        assert found == _octets(data)
    if isinstance(told, MessageHeader):
        assert str(told)
        for recipient in told.recipients:
            assert recipient.issuer is None or recipient.issuer.isprintable()


def _told(message: object) -> MessageHeader | str:
    try:
        return inspect_message(message)  # type: ignore[arg-type]  # a generator is an iterable
    except MessageError as error:
        assert len(str(error)) < 5_000
        return str(error)


def _octets(message: bytes) -> tuple[str, bytes] | None:
    try:
        found = recognised(message)
        pieces = []
        while not found.octets.at_end():
            pieces.append(bytes(found.octets.some(len(message))))
        return found.form, b"".join(pieces)
    except MessageError:  # of two faults the first that is seen is told
        return None
