"""The three ways of opening a message: from its beginning, by ranges, and as an export."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ranged import ranged, read_all

from cdds import open_export
from cdds.crypto import Envelope

_NAME = "noise"


def archive_of(size: int) -> bytes:
    """Return an archive with one file of so many bytes, which is a content that can be exported."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(_NAME, random.Random(size).randbytes(size))
    return archive.getvalue()


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Yield data in pieces of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def opened(message: Any, **arguments: Any) -> bytes:
    """Return the content of a message, read from its beginning."""
    return b"".join(Envelope.decrypt(message, **arguments).iter_unverified())


def assert_opens(message: bytes, archive: bytes, key: Any, folder: Path, step: int) -> None:
    """Open a message in all ways.

    Args:
        message: how it was sealed by somebody.
        archive: what was sealed.
        key: the private key.
        folder: where the message may be written to.
        step: the size of the pieces that it comes in.
    """
    assert opened(cut(message, step), key=key) == archive
    content = ranged(message, key=key)
    assert read_all(content, max(1, content.size // 7)) == archive
    content.verify()
    file = folder / "archive.zip.p7m"
    file.write_bytes(message)
    with open_export(file, key=key) as export, zipfile.ZipFile(io.BytesIO(archive)) as inside:
        assert b"".join(export.data(_NAME)) == inside.read(_NAME)
