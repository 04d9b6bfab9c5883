"""A mail as it comes from the wire: RFC 5322 headers, MIME parts, attachments.

Place: above `_people` and `_attachments`, below `_interaction`. It refuses to use the e-mail
package of the standard library to write: that one draws its boundaries from a clock-seeded
source, and is twenty times slower. The tests read with it what is written here.
"""

from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from html import escape
from random import Random
from urllib.parse import quote

import attrs

from cdds.sample import _prose
from cdds.sample._attachments import Attachment
from cdds.sample._prose import pick
from cdds.sample._tongues import Tongue


@attrs.frozen(kw_only=True)
class Envelope:
    """Who wrote to whom about what, and when."""

    sender_name: str
    sender: str
    recipient: str
    subject: str
    sent: datetime
    message_id: str


@attrs.frozen(kw_only=True)
class Mail:
    """A mail in three forms: its plain text, its header block, and the whole message."""

    text: str
    header: bytes
    message: bytes


def write(rng: Random, envelope: Envelope, spoken: Tongue, attached: Sequence[Attachment]) -> Mail:
    """Compose a mail in this language."""
    body = _body(rng, spoken)
    text = "\n\n".join((*body, *_history(rng, envelope, spoken)))
    boundary = f"----=_Part_{rng.randrange(10**6)}_{rng.randrange(10**9)}.{rng.randrange(10**12)}"
    parts = [_alternative(rng, spoken, body, text), *map(_attached, attached)]
    header = _header(rng, envelope, f'multipart/mixed;\r\n boundary="{boundary}"')
    return Mail(text=text, header=header, message=header + b"\r\n" + _multipart(boundary, parts))


def subject(rng: Random, spoken: Tongue) -> str:
    """Make up what a mail in this language may be about."""
    return _prose.sentence(rng, spoken, spoken.subjects)


def _body(rng: Random, spoken: Tongue) -> list[str]:
    greeting = _prose.fill(rng, pick(rng, spoken.greetings), spoken)
    closing = _prose.fill(rng, pick(rng, spoken.closings), spoken)
    length = min(int(rng.lognormvariate(1.3, 0.6)) + 1, 24)
    return [greeting, *_prose.paragraphs(rng, spoken, length), closing]


def _history(rng: Random, envelope: Envelope, spoken: Tongue) -> list[str]:
    """Make the mails before this one, quoted below it as everybody does."""
    quoted = []
    for depth in range(1, pick(rng, (1, 1, 2, 2, 3))):
        written = envelope.sent - timedelta(minutes=rng.randrange(20, 9000) * depth)
        quoted.append(f"{envelope.recipient} ({written:%d.%m.%Y %H:%M}):")
        earlier = _prose.paragraphs(rng, spoken, rng.randrange(1, 5))
        quoted += ["> " * depth + paragraph for paragraph in earlier]
    return quoted


def _header(rng: Random, envelope: Envelope, content_type: str) -> bytes:
    host = envelope.sender.partition("@")[2]
    date = format_datetime(envelope.sent)
    lines = [
        f"Return-Path: <{envelope.sender}>",
        *_received(rng, host, envelope.sent),
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={host}; s=s{rng.randrange(9)};",
        f"\th=from:to:subject:date:message-id; bh={_token(rng, 32)};",
        *(f"\t {_token(rng, 48)}" for _ in range(4)),
        f"Message-ID: <{envelope.message_id}>",
        f"Date: {date}",
        f"From: {_words_of(envelope.sender_name)} <{envelope.sender}>",
        f"To: {envelope.recipient}",
        f"Subject: {_words_of(envelope.subject)}",
        "MIME-Version: 1.0",
        f"X-Mailer: {_prose.brand(rng)}",
        f"X-Spam-Score: {rng.random() * 5:.3f}",
        f"Content-Type: {content_type}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _received(rng: Random, host: str, sent: datetime) -> list[str]:
    lines = []
    for hop in range(rng.randrange(1, 4), 0, -1):
        address = f"[10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}]"
        arrived = format_datetime(sent + timedelta(seconds=hop * rng.randrange(1, 9)))
        lines.append(f"Received: from relay{hop}.{host} ({address})")
        lines.append(
            f"\tby mx{rng.randrange(1, 9)}.{host} with ESMTPS id {rng.randrange(16**12):x};"
        )
        lines.append(f"\t{arrived}")
    return lines


def _words_of(text: str) -> str:
    """Write the text of a header field, in encoded words (RFC 2047) where it is not ASCII."""
    if text.isascii():
        return text.replace('"', "'")
    pieces = [text[start : start + 14] for start in range(0, len(text), 14)]
    return "\r\n ".join(f"=?UTF-8?B?{_base64(piece.encode())}?=" for piece in pieces)


def _alternative(rng: Random, spoken: Tongue, body: Sequence[str], text: str) -> bytes:
    boundary = f"----=_Alt_{rng.randrange(10**15):x}"
    html = _html(rng, spoken, body, text)
    parts = [_text_part("plain", text, spoken), _text_part("html", html, spoken)]
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    return head.encode() + _multipart(boundary, parts)


def _multipart(boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = boundary.encode()
    return b"".join(b"--%b\r\n%b\r\n" % (mark, part) for part in parts) + b"--%b--\r\n" % mark


def _text_part(subtype: str, text: str, spoken: Tongue) -> bytes:
    """Make a text part: quoted-printable for languages near to ASCII, base64 for the others."""
    data = text.replace("\n", "\r\n").encode()
    if spoken.code in ("ru", "ja"):
        encoding, encoded = "base64", _wrapped(data)
    else:
        encoding, encoded = "quoted-printable", b2a_qp(data)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
    return head.encode() + b"\r\n\r\n" + encoded


def _html(rng: Random, spoken: Tongue, body: Sequence[str], text: str) -> str:
    font, colour = pick(rng, _FONTS), f"#{rng.randrange(16**6):06x}"
    style = f"margin:0 0 {rng.randrange(6, 16)}px;color:{colour}"
    opening = f'<p class="m{rng.randrange(9)}" style="{style}">'
    shown = body if rng.random() < 0.2 else text.split("\n\n")
    paragraphs = "\n".join(f"{opening}{escape(paragraph)}</p>" for paragraph in shown)
    links = " | ".join(_link(rng, spoken) for _ in range(rng.randrange(5)))
    return (
        f'<!DOCTYPE html>\n<html lang="{spoken.code}"><head><meta charset="utf-8"><style>\n'
        f"body {{ font-family: {font}, sans-serif; font-size: {rng.randrange(11, 16)}px; }}\n"
        f".m{rng.randrange(9)} {{ line-height: 1.{rng.randrange(2, 7)}em; }}\n</style></head>\n"
        f"<body>\n{paragraphs}\n<div>{links}</div>\n</body></html>\n"
    )


def _link(rng: Random, spoken: Tongue) -> str:
    label = escape(pick(rng, spoken.words["h"]))
    target = f"https://go.links.example/c/{rng.randrange(16**20):x}?u={_token(rng, 18)}"
    return f'<a href="{target}">{label}</a>'


def _attached(attachment: Attachment) -> bytes:
    name = f"filename*=UTF-8''{quote(attachment.name)}"
    head = (
        f"Content-Type: {attachment.media_type}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment;\r\n {name}\r\n\r\n"
    )
    return head.encode() + _wrapped(attachment.content)


def _token(rng: Random, size: int) -> str:
    return _base64(rng.randbytes(size))


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _wrapped(data: bytes) -> bytes:
    return encodebytes(data).replace(b"\n", b"\r\n")


_FONTS = ("Arial", "Calibri", "Verdana", "'Segoe UI'", "Georgia", "Tahoma", "'Noto Sans'")
