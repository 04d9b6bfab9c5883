"""Reads gzip, bzip2 and xz files whole, or says that they are damaged.

Place: below the opening of files. Python's own readers take whatever follows a stream of bzip2 or
xz and is no stream for garbage and ignore it, and an empty file for one of no streams, so records
would be lost in silence. Here a file is streams from its first byte to its last.
"""

from __future__ import annotations

import io
from bz2 import BZ2Decompressor
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from lzma import FORMAT_XZ, LZMADecompressor, LZMAError
from typing import IO, TYPE_CHECKING, TypeAlias

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor
from isal.isal_zlib import IsalError

from cdds.sources.damage import Damaged

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Decompressor: TypeAlias = BZ2Decompressor | LZMADecompressor | IgzipDecompressor

_READ_SIZE = 256 * 1024
_FAULTS: tuple[type[Exception], ...] = (
    *(LZMAError, OSError, ValueError),
    IsalError,  # type: ignore[assignment]  # its stub calls it a value
)


class Decompressed(io.RawIOBase):
    """The content of a file that consists of compressed streams.

    Args:
        stored: the file as it is stored.
        decompressor: makes what decompresses one stream.
        padding: so many zeros, or a multiple, may stand after a stream; 0 for none.
    """

    def __init__(
        self, stored: IO[bytes], decompressor: Callable[[], Decompressor], padding: int = 0
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
            Damaged: the file is damaged.
            EOFError: it is cut off.
        """
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
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
                data = self._decompress(rest, size)
            elif not self._stream.needs_input:
                data = self._decompress(b"", size)
            elif more := self._stored.read(_READ_SIZE):
                data = self._decompress(more, size)
            else:
                raise EOFError
        return data

    def _decompress(self, data: bytes, size: int) -> bytes:
        with suppress(*_FAULTS):
            return self._stream.decompress(data, size)
        # Raised out here, for the context of their errors might quote the file.
        raise Damaged("it is damaged, or something else follows its end")

    def _after_stream(self) -> bytes:
        """Return the start of the next stream; nothing at the end of the file."""
        zeros = 0
        more = self._stream.unused_data or self._stored.read(_READ_SIZE)
        while more:
            rest = more.lstrip(b"\0") if self._padding else more
            zeros += len(more) - len(rest)
            if rest:
                break
            more = self._stored.read(_READ_SIZE)
        if self._padding and zeros % self._padding:
            raise Damaged("it is damaged: its streams are padded wrongly")
        return rest if more else b""


def decompressed(stored: IO[bytes], suffix: str) -> Decompressed:
    """Return the content of a file whose name ends in ``.gz``, ``.bz2`` or ``.xz``."""
    match suffix:
        case ".gz":
            return Decompressed(stored, partial(IgzipDecompressor, flag=DECOMP_GZIP), padding=1)
        case ".bz2":
            return Decompressed(stored, BZ2Decompressor)
        case _:
            return Decompressed(stored, partial(LZMADecompressor, FORMAT_XZ), padding=4)
