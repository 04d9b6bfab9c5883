"""Reads bzip2 and xz files whole, or says that they are damaged.

Place: below the opening of files. Python's own readers take whatever follows a stream and is no
stream for garbage and ignore it, so records behind a damaged place would be lost in silence. Here
a file is streams from its first byte to its last.
"""

from __future__ import annotations

import io
from bz2 import BZ2Decompressor
from collections.abc import Callable
from lzma import LZMADecompressor, LZMAError
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Decompressor: TypeAlias = BZ2Decompressor | LZMADecompressor

_READ_SIZE = 256 * 1024


class Decompressed(io.RawIOBase):
    """The content of a file that consists of compressed streams.

    Args:
        stored: the file as it is stored.
        decompressor: makes what decompresses one stream.
        padding: a byte that may stand between and after streams; none when left out.
    """

    def __init__(
        self, stored: IO[bytes], decompressor: Callable[[], Decompressor], padding: bytes = b""
    ) -> None:
        super().__init__()
        self._stored = stored
        self._new = decompressor
        self._stream = decompressor()
        self._padding = padding

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer, and return how many bytes; 0 at the end.

        Raises:
            OSError: the file is damaged.
            EOFError: it is cut off.
        """
        view = memoryview(buffer).cast("B")
        try:
            data = self._read(len(view))
        except (LZMAError, OSError):
            raise OSError("it is damaged, or something else follows its end") from None
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        data = b""
        while size and not data:
            if self._stream.eof:
                rest = self._after_stream()
                if not rest:
                    return b""
                self._stream = self._new()
                data = self._stream.decompress(rest, size)
            elif not self._stream.needs_input:
                data = self._stream.decompress(b"", size)
            elif more := self._stored.read(_READ_SIZE):
                data = self._stream.decompress(more, size)
            else:
                raise EOFError
        return data

    def _after_stream(self) -> bytes:
        """Return the start of the next stream; nothing at the end of the file."""
        rest = self._stream.unused_data.lstrip(self._padding)
        while not rest and (more := self._stored.read(_READ_SIZE)):
            rest = more.lstrip(self._padding)
        return rest


def bzip2(stored: IO[bytes]) -> Decompressed:
    """Return the content of a bzip2 file."""
    return Decompressed(stored, BZ2Decompressor)


def xz(stored: IO[bytes]) -> Decompressed:
    """Return the content of an xz or a legacy lzma file; streams of xz may be padded with zeros."""
    return Decompressed(stored, LZMADecompressor, b"\0")
