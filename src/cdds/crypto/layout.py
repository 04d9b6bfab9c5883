"""Where the ciphertext of a message stands, so that any of it is read without the rest.

Place: between `message`, which parses the structures before and after the ciphertext, and
`ranges`, which decrypts. Octet strings of one size behind headers of one form are a `Run`: when
two of them are alike, those that follow are assumed to be, up to the end of the message, and are
passed over. Whatever is read of them later is checked for their headers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import attrs

from cdds.crypto import ber
from cdds.crypto.ber_parser import SHORT_PIECE
from cdds.crypto.decryption import check_cipher
from cdds.crypto.message import MAX_ATTRIBUTES, EncryptedMessage, Ending, MessageHeader
from cdds.crypto.ranged_octets import (
    Irregular,
    PassedOctets,
    RangedFile,
    RangedOctets,
    ranged_octets,
)
from cdds.crypto.recognition import Recognised
from cdds.errors import MessageError

_MAX_WALKED = 4_096  # octet strings
_READ_AT_ONCE = 1 << 20
_TAIL = MAX_ATTRIBUTES * 2  # is always parsed
_MAX_HEADER = 10


@attrs.frozen
class Run:
    """Octet strings that follow each other, and are alike.

    Attributes:
        start: where the contents of the first begin, among the octets of the message.
        ciphertext_start: where they begin in the ciphertext.
        piece_size: the octets in each.
        header: what stands between the contents of two.
        count: how many octet strings there are.
    """

    start: int
    ciphertext_start: int
    piece_size: int
    header: bytes = b""
    count: int = 1

    @property
    def ciphertext_end(self) -> int:
        """Where the ciphertext goes on behind them."""
        return self.ciphertext_start + self.piece_size * self.count

    @property
    def stride(self) -> int:
        """The octets from one to the next."""
        return self.piece_size + len(self.header)

    @property
    def end(self) -> int:
        """Where they end, among the octets of the message."""
        return self.start + self.stride * self.count - len(self.header)


class RangedCiphertext:
    """The ciphertext of a message, of which any range can be read, by several threads at once.

    Attributes:
        size: its bytes.
    """

    def __init__(self, octets: RangedOctets, runs: Sequence[Run]) -> None:
        self._octets = octets
        self._runs = runs
        self._starts = [run.ciphertext_start for run in runs]
        self.size = runs[-1].ciphertext_end if runs else 0

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        """Yield `size` bytes from `offset`, all of which are there.

        Raises:
            MessageError: they are not where they must be.
        """
        end = offset + size
        while offset < end:
            run = self._runs[bisect_right(self._starts, offset) - 1]
            until = min(end, run.ciphertext_end, offset + _READ_AT_ONCE)
            yield from self._of_run(run, offset - run.ciphertext_start, until - offset)
            offset = until

    def _of_run(self, run: Run, offset: int, size: int) -> Iterator[memoryview]:
        header = run.header
        before = offset // run.piece_size
        between = (offset + size - 1) // run.piece_size - before
        octets = self._octets.read(
            run.start + offset + before * len(header), size + between * len(header)
        )
        start, end = 0, run.piece_size - offset % run.piece_size
        while end < len(octets):
            if octets[end : end + len(header)] != header:
                raise Irregular("an octet string of its content is not as long as the others")
            yield octets[start:end]
            start = end + len(header)
            end = start + run.piece_size
        yield octets[start:]


@attrs.frozen
class LaidOut:
    """A message of which it is known where its ciphertext stands, and what comes after it."""

    header: MessageHeader
    ciphertext: RangedCiphertext
    ending: Ending


def laid_out(file: RangedFile) -> LaidOut | None:
    """Return where the ciphertext of a message stands, if it is laid out regularly.

    What seems malformed may be irregular alone, as where empty lines are in the middle of base64:
    that is told where it is read from its beginning.
    """
    try:
        found, source = ranged_octets(file)
        octets = PassedOctets(source)
        message = EncryptedMessage(Recognised(found.form, octets, found.may_follow))
        check_cipher(message.header)
        runs = _runs(message.ciphertext_pieces(), octets)
        return LaidOut(message.header, RangedCiphertext(source, runs), message.ending())
    except MessageError:
        return None


def _runs(sizes: Iterator[int], octets: PassedOctets) -> list[Run]:
    runs: list[Run] = []
    for number, size in enumerate(sizes):
        if number == _MAX_WALKED:
            raise Irregular("its content is cut into pieces of many sizes")
        longer = _longer(runs[-1], size, octets) if runs else None
        if longer is not None:
            runs[-1] = longer
        elif size:
            start = runs[-1].ciphertext_end if runs else 0
            runs.append(Run(octets.position, start, size))
        octets.skip(size)
    return runs


def _longer(run: Run, size: int, octets: PassedOctets) -> Run | None:
    """Return a run with the next piece, and with those after it that are passed over."""
    between = octets.position - run.end
    if size != run.piece_size or between > _MAX_HEADER:
        return None
    header = octets.again(run.end, between)
    if run.count > 1:
        return attrs.evolve(run, count=run.count + 1) if header == run.header else None
    if not _is_header(header):
        return None
    return _up_to_tail(attrs.evolve(run, count=2, header=header), octets)


def _is_header(octets: bytes) -> bool:
    """Tell whether octets are one identifier with its length, and no more (X.690, 8.1.3)."""
    tag, length = octets[:2]
    return tag == ber.OCTET_STRING and len(octets) == 2 + (length & 0x7F if length & 0x80 else 0)


def _up_to_tail(run: Run, octets: PassedOctets) -> Run:
    """Pass over the pieces that are alike, if they are up to where the tail begins.

    There the last of them may be followed by a shorter one, with a header of its own.
    """
    most = (octets.source.size - _TAIL - octets.position) // run.stride
    if run.piece_size < SHORT_PIECE:  # of short ones there may be too many
        return run
    for count in range(most, max(0, most - 2), -1):
        header_start = octets.position + count * run.stride - len(run.header)
        if octets.source.read(header_start, len(run.header)) == run.header:
            octets.skip(count * run.stride)
            return attrs.evolve(run, count=run.count + count)
    return run
