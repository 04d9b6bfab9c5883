"""Reads the MIME headers before an S/MIME message (RFC 8551, section 3; RFC 2045).

Place: beside `recognition`, which finds where they end. It looks for how the body is encoded, and
refuses bodies that are something else than one message of CMS, such as ``multipart/mixed``.
"""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser

from cdds.crypto.ber import SEQUENCE
from cdds.errors import MessageError
from cdds.location import printable

_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PLAIN_ENCODINGS = frozenset({"binary", "8bit", "7bit"})
_LONGEST = 4096


def is_base64(headers: bytes, first: int | None) -> bool:
    """Tell whether the body of a message is base64, or the octets themselves.

    Args:
        headers: the header lines.
        first: the body's first octet, if it has one; it decides where the headers do not say.

    Raises:
        MessageError: the headers are not those of an S/MIME message, or contradict each other.
    """
    message = HeaderParser().parsestr(headers.decode("latin-1"))
    _check_type(_only(message, "Content-Type"), _only(message, "Content-Disposition") or "")
    encoding = _only(message, "Content-Transfer-Encoding")
    if encoding is None:
        return first != SEQUENCE
    word = encoding.partition("(")[0].strip().lower()
    if word == "base64":
        return True
    if word in _PLAIN_ENCODINGS:
        return False
    raise MessageError(
        f"the Content-Transfer-Encoding {_shown(word)} of the message is not read; "
        "base64 and binary are"
    )


def _only(message: Message, name: str) -> str | None:
    found: list[str] = message.get_all(name, [])
    if len(found) > 1:
        raise MessageError(f"the message has {len(found)} headers {name}, and may have one")
    if found and len(found[0]) > _LONGEST:
        raise MessageError(f"the header {name} of the message is longer than {_LONGEST} characters")
    return found[0] if found else None


def _check_type(content_type: str | None, disposition: str) -> None:
    if content_type is None:
        raise MessageError("the message is not recognised: it is neither S/MIME, PEM nor DER")
    kind = content_type.partition(";")[0].strip().lower()
    is_called_p7m = ".p7m" in f"{content_type};{disposition}".lower()
    if kind not in _TYPES and not (kind == "application/octet-stream" and is_called_p7m):
        raise MessageError(
            f"the message is of type {_shown(kind)}, not application/pkcs7-mime; "
            "give the part of it that is encrypted"
        )


def _shown(text: str) -> str:
    return printable(text[:80])
