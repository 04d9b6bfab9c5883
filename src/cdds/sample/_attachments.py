"""What hangs on a mail: a few files of different nature, their bytes as varied as real ones.

Place: below `_mail`, which packs them into the message, and `_interaction`, which makes them
documents. It refuses to call a compressor: its output differs between zlib builds, and the same
seed must mean the same bytes. Random bytes stand in for what is compressed inside real files.
"""

from collections.abc import Callable
from random import Random

import attrs

from cdds.sample import _prose, _seeds
from cdds.sample._prose import pick

AT_MOST = 3
"""No mail has more files than this."""


@attrs.frozen(kw_only=True)
class Attachment:
    """One file: its name, its media type, its bytes."""

    name: str
    media_type: str
    content: bytes


def attachments(seed: int, index: int) -> list[Attachment]:
    """Make the files on the mail with this index, mostly none."""
    rng = _seeds.stream(seed, "attachments", index)
    return [_attachment(rng) for _ in range(pick(rng, _HOW_MANY))]


def picture(rng: Random, size: int) -> bytes:
    """Make a blob with the outline of a PNG: signature, header, chunks of noise, end."""
    chunks = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", rng.randbytes(8) + b"\x08\x02\x00\x00\x00")]
    chunks += [_chunk(b"IDAT", rng.randbytes(4096)) for _ in range(size // 4096)]
    chunks.append(_chunk(b"IDAT", rng.randbytes(size % 4096)))
    chunks.append(_chunk(b"IEND", b""))
    return b"".join(chunks)


def _attachment(rng: Random) -> Attachment:
    ending, media_type, make = pick(rng, _SORTS)
    name = f"{pick(rng, _NAMES)}{pick(rng, _JOINTS)}{rng.randrange(1, 9999)}.{ending}"
    size = min(int(rng.lognormvariate(8.4, 0.9)), 120_000)
    return Attachment(name=name, media_type=media_type, content=make(rng, size))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + sum(body).to_bytes(4, "big")


def _pdf(rng: Random, size: int) -> bytes:
    parts = [b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n"]
    for number in range(1, 2 + size // 3000):
        stream = rng.randbytes(rng.randrange(1200, 4200))
        parts.append(b"%d 0 obj\n<< /Filter /FlateDecode /Length %d >>\n" % (number, len(stream)))
        parts.append(b"stream\n" + stream + b"\nendstream\nendobj\n")
        parts.append(_page(rng, number))
    parts.append(b"trailer\n<< /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % sum(map(len, parts)))
    return b"".join(parts)


def _page(rng: Random, number: int) -> bytes:
    width, height = rng.randrange(500, 700), rng.randrange(700, 900)
    return (
        b"%d 1 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] "
        b"/Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> /Contents %d 0 R >>\nendobj\n"
        % (number, width, height, number)
    )


def _sheet(rng: Random, size: int) -> bytes:
    rows = ["date;reference;article;town;amount\r\n"]
    english = _prose.TONGUES[0].words
    for _ in range(size // 60 + 1):
        article = f"{pick(rng, english['a'])} {pick(rng, english['h'])}"
        cells = (_prose.day(rng), _prose.reference(rng), article, pick(rng, english["c"]))
        rows.append(";".join((*cells, _prose.money(rng))) + "\r\n")
    return "".join(rows).encode()


def _note(rng: Random, size: int) -> bytes:
    spoken = _prose.tongue(rng)
    return "\r\n\r\n".join(_prose.paragraphs(rng, spoken, size // 600 + 1)).encode()


def _log(rng: Random, size: int) -> bytes:
    english = _prose.TONGUES[0].words
    lines = []
    for place in range(size // 70 + 1):
        cause = f"{pick(rng, english['v'])} {pick(rng, english['h'])} {rng.randrange(16**6):06x}"
        lines.append(f"{_prose.hour(rng)}:{place % 60:02} [{pick(rng, _LEVELS)}] {cause}\n")
    return "".join(lines).encode()


_HOW_MANY = (0,) * 34 + (1,) * 4 + (2, AT_MOST)
_LEVELS = ("debug", "info", "info", "info", "warning", "error")
_JOINTS = ("-", "_", " ", " - ")
_NAMES = (
    "invoice", "scan", "photo", "statement", "contract", "order", "Rechnung", "Kündigung März",
    "facture reçue", "relevé", "договор", "請求書", "list", "minutes", "receipt", "IMG", "export",
)  # fmt: skip
_SORTS: tuple[tuple[str, str, Callable[[Random, int], bytes]], ...] = (
    ("pdf", "application/pdf", _pdf),
    ("pdf", "application/pdf", _pdf),
    ("png", "image/png", picture),
    ("csv", "text/csv", _sheet),
    ("csv", "text/csv", _sheet),
    ("txt", "text/plain", _note),
    ("log", "text/plain", _log),
)
