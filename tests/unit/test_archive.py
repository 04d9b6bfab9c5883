"""The packager: any entries in any pieces become an archive that foreign tools open.

The judges are the standard library's `zipfile`, Info-ZIP's ``unzip`` and 7-Zip. Expected data are
made here, so nothing is compared with what the packager says of itself alone.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import itertools
import random
import struct
import subprocess
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.archive import Entry, Packager, PackedEntry
from cdds.archive.deflate import Block
from cdds.archive.digest import Digest
from cdds.archive.levels import compression
from cdds.errors import ArchiveError, JobError

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]

BLOCK_SIZE = compression("fast").block_size
SMALL = BLOCK_SIZE // 4  # where blocks begin to be compressed by themselves
BORDERS = [0, 1, 2, 57, SMALL - 1, SMALL, SMALL + 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1]
BORDERS += [BLOCK_SIZE + SMALL - 1, BLOCK_SIZE + SMALL, BLOCK_SIZE + SMALL + 1, 2 * BLOCK_SIZE]
BORDERS += [3 * BLOCK_SIZE + 7]


WORDS = [b"order", b"where", b"is", b"my", b"refund", b"thank", b"you", b"parcel", b"late", b"now"]


def content(size: int, seed: int = 0) -> bytes:
    """Return lines that compress as usual, without the signature of any ZIP record."""
    block = _lines(seed)
    return (block * (size // len(block) + 1))[:size]


@functools.cache
def _lines(seed: int) -> bytes:
    source = random.Random(seed)
    lines = [
        b'{"IXNID":"%06d","TEXT":"%s"}\n' % (number, b" ".join(source.choices(WORDS, k=12)))
        for number in range(2000)
    ]
    return b"".join(lines)


def hard_content(size: int, kind: str) -> bytes:
    """Return data that a compressor may stumble over."""
    source = random.Random(size)
    match kind:
        case "noise":
            return source.randbytes(size)
        case "zeros":
            return bytes(size)
        case "base64":
            return base64.b64encode(source.randbytes(size))[:size]
        case "ramp":
            return (bytes(range(256)) * (size // 256 + 1))[:size]
        case _:  # noise and zeros in turns of any length
            parts = (source.randbytes(length) + bytes(length) for length in range(1, 4000, 37))
            block = b"".join(parts)
            return (block * (size // len(block) + 1))[:size]


@attrs.frozen
class Packed:
    data: bytes
    entries: list[PackedEntry]


def pack(entries: Iterable[Entry], **options: Any) -> Packed:
    """Pack into one file."""
    packed: list[PackedEntry] = []
    (segment,) = _read_all(Packager(**options), entries, packed)
    return Packed(segment, packed)


def _read_all(
    packager: Packager, entries: Iterable[Entry], packed: list[PackedEntry]
) -> list[bytes]:
    segments = packager.pack(entries, on_packed=packed.append)
    return [b"".join(segment.chunks) for segment in segments]


@contextmanager
def leaving_no_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert not left


@st.composite
def chunkings(draw: st.DrawFn, size: int) -> list[tuple[int, bool]]:
    """Return how to cut data: the ends of the pieces, and whether each comes as a callable."""
    if size <= 3000 and draw(st.booleans()):
        ends = list(range(1, size + 1))  # crumbs of one byte
    else:
        near = st.sampled_from(BORDERS).filter(lambda border: border <= size)
        ends = sorted(draw(st.lists(st.integers(0, size) | near, max_size=8)))
    return [(end, draw(st.booleans()) if len(ends) < 10 else end % 3 == 0) for end in [*ends, size]]


def blocks(data: bytes, chunking: Sequence[tuple[int, bool]]) -> Iterator[Block]:
    start = 0
    for end, lazily in chunking:
        piece = data[start:end]
        yield (lambda piece=piece: piece) if lazily else piece  # type: ignore[misc]
        start = end


@attrs.frozen
class Part:
    """An entry to be packed, told in few words: its data can be made again at any time."""

    name: str
    size: int
    seed: int
    chunking: list[tuple[int, bool]]

    @property
    def data(self) -> bytes:
        return content(self.size, self.seed)

    @property
    def entry(self) -> Entry:
        return Entry(self.name, blocks(self.data, self.chunking))


@st.composite
def contents(draw: st.DrawFn) -> list[Part]:
    sizes = draw(
        st.lists(st.sampled_from(BORDERS) | st.integers(0, 70_000), min_size=0, max_size=4)
    )
    names = draw(
        st.lists(
            st.sampled_from(["a.json", "schema/b.json", "ü/é.txt", "x" * 200, "€", "d/e/f/g"]),
            min_size=len(sizes),
            max_size=len(sizes),
            unique=True,
        )
    )
    return [
        Part(name, size, seed, draw(chunkings(size)))
        for seed, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]


def entries_of(parts: Sequence[Part]) -> Iterator[Entry]:
    return (part.entry for part in parts)


@given(parts=contents(), level=st.sampled_from(["fast", "small"]), threads=st.integers(1, 3))
@settings(max_examples=30)
def test_what_goes_in_comes_out_of_every_judge(
    judge: Judge,
    folder: TemporaryFolder,
    parts: list[Part],
    level: str,
    threads: int,
) -> None:
    """Any data in any pieces: `zipfile`, ``unzip`` and 7-Zip find exactly the non-empty entries."""
    packed = pack(entries_of(parts), level=level, threads=threads)
    expected = {part.name: part.data for part in parts if part.size}
    with zipfile.ZipFile(io.BytesIO(packed.data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == expected
    assert [entry.name for entry in packed.entries] == list(expected)
    if not expected:
        return
    with folder() as home:
        path = home / "archive.zip"
        path.write_bytes(packed.data)
        run(judge("unzip"), "-tq", path)
        run(judge("7zz"), "t", path)
        run(judge("7zz"), "x", f"-o{home / 'out'}", path)
        found = (file for file in (home / "out").rglob("*") if file.is_file())
        assert {
            str(file.relative_to(home / "out")): file.read_bytes() for file in found
        } == expected


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def test_an_archive_without_entries_is_an_archive() -> None:
    """When nothing at all is there, the end records alone make a valid, empty archive."""
    with zipfile.ZipFile(io.BytesIO(pack([]).data)) as archive:
        assert archive.namelist() == []


def test_many_megabytes_come_out_of_every_judge(judge: Judge, folder: TemporaryFolder) -> None:
    """More than one window of blocks is in flight, on several threads, and order is kept."""
    data = content(40_000_003)
    pieces = [data[start : start + 777_777] for start in range(0, len(data), 777_777)]
    packed = pack([Entry("large", pieces)], threads=4)
    with folder() as home:
        path = home / "archive.zip"
        path.write_bytes(packed.data)
        run(judge("unzip"), "-tq", path)
        run(judge("7zz"), "t", path)
    with zipfile.ZipFile(io.BytesIO(packed.data)) as archive:
        assert archive.read("large") == data


@pytest.mark.parametrize("kind", ["noise", "zeros", "base64", "ramp", "mixture"])
@pytest.mark.parametrize("level", ["fast", "small"])
def test_data_that_do_not_compress_as_usual(kind: str, level: str) -> None:
    """Whatever the data, of whatever size up to the largest block, they come out again."""
    for size in BORDERS:
        data = hard_content(size, kind)
        with zipfile.ZipFile(io.BytesIO(pack([Entry("a", [data])], level=level).data)) as archive:
            assert [archive.read(name) == data for name in archive.namelist()] == [True] * bool(
                size
            )


# Blocks


def compressed(archive: bytes, name: str) -> bytes:
    """Return the deflate stream of an entry, cut out by the numbers in the headers."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        info = file.getinfo(name)
    lengths = struct.unpack_from("<HH", archive, info.header_offset + 26)
    start = info.header_offset + 30 + sum(lengths)
    return archive[start : start + info.compress_size]


@given(parts=contents(), level=st.sampled_from(["fast", "small"]))
@settings(max_examples=30)
def test_each_listed_block_inflates_by_itself(parts: list[Part], level: str) -> None:
    """Blocks begin where the sizes say, need none before them, and add up to the data."""
    packed = pack(entries_of(parts), level=level)
    expected = {part.name: part.data for part in parts}
    for entry in packed.entries:
        stream = compressed(packed.data, entry.name)
        sizes = list(entry.block_compressed_sizes)
        offsets = list(accumulate(sizes, initial=0))
        assert len(sizes) == len(entry.block_sizes)
        data = []
        for offset, size, data_size in zip(offsets, sizes, entry.block_sizes, strict=False):
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            block = inflater.decompress(stream[offset : offset + size])
            assert (len(block), inflater.eof, inflater.unused_data) == (data_size, False, b"")
            data.append(block)
        assert b"".join(data) == expected[entry.name]
        assert zlib.decompress(stream[offsets[-1] :], -zlib.MAX_WBITS) == b""  # the final block
        assert zlib.decompress(stream, -zlib.MAX_WBITS) == expected[entry.name]
        assert entry.size == len(expected[entry.name])
        assert entry.compressed_size == len(stream)
        assert entry.sha256 == hashlib.sha256(expected[entry.name]).hexdigest()


@given(st.sampled_from(BORDERS).flatmap(lambda size: chunkings(size).map(lambda c: (size, c))))
@settings(max_examples=40)
def test_blocks_are_neither_crumbs_nor_lumps(case: tuple[int, list[tuple[int, bool]]]) -> None:
    """A block holds at most 1 MiB and a quarter; two neighbours hold at least a quarter."""
    size, chunking = case
    for entry in pack([Entry("a", blocks(content(size), chunking))]).entries:
        sizes = list(entry.block_sizes)
        assert 0 < min(sizes) <= max(sizes) <= BLOCK_SIZE + SMALL
        assert all(first + second >= SMALL for first, second in itertools.pairwise(sizes))


@pytest.mark.parametrize("level", ["fast", "small"])
def test_packing_is_reproducible(level: str) -> None:
    """The same blocks make the same bytes, on however many threads."""
    data = content(3 * BLOCK_SIZE)
    first, second = (
        pack([Entry("a", [data, lambda: data])], level=level, threads=threads).data
        for threads in (1, 4)
    )
    assert first == second


def test_the_small_level_is_smaller() -> None:
    """That is what it is for."""
    data = content(3 * BLOCK_SIZE)
    small, fast = (len(pack([Entry("a", [data])], level=level).data) for level in ["small", "fast"])
    assert small < fast < len(data)


# Names


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a/.", "a//b", "a/"]
    + ["\\", "a\\b", "..\\a", "a\nb", "a\x00", "\x1b[0m", "a\u202eb", "a\u2028b", "\ud800", "\x7f"]
    + ["x" * 1025, "é" * 513],
)
def test_a_name_that_is_no_plain_relative_path_is_refused(name: str) -> None:
    """What could escape a folder, or fool a terminal, never gets into an archive."""
    with pytest.raises(ArchiveError):
        Entry(name, [])


@given(
    st.lists(
        st.text("aé€😀 .-_~*?:|", min_size=1, max_size=12).filter(lambda part: part.strip(".")),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=50)
def test_any_other_name_is_kept(parts: list[str]) -> None:
    """Names are UTF-8 and marked as such, so that every reader gives them back."""
    name = "/".join(parts)
    with zipfile.ZipFile(io.BytesIO(pack([Entry(name, [b"x"])]).data)) as archive:
        assert archive.namelist() == [name]


@pytest.mark.parametrize("year", [1970, 1980, 2025, 2107, 2108, 9999])
def test_any_time_can_be_borne(year: int) -> None:
    """Times that the format cannot say become the nearest that it can."""
    packager = {"modified": datetime(year, 5, 17, 13, 59, 58, tzinfo=UTC)}
    with zipfile.ZipFile(io.BytesIO(pack([Entry("a", [b"x"])], **packager).data)) as archive:
        (info,) = archive.infolist()
    if 1980 <= year <= 2107:
        assert info.date_time == (year, 5, 17, 13, 59, 58)
    else:
        assert 1980 <= info.date_time[0] <= 2107


# What goes wrong


class OwnError(Exception):
    """An error that this library knows nothing of."""


def failing(error: Exception) -> Callable[[], bytes]:
    def fail() -> bytes:
        raise error

    return fail


@given(
    before=st.lists(st.sampled_from([1, 1000, SMALL, BLOCK_SIZE, 2 * BLOCK_SIZE]), max_size=12),
    lazily=st.booleans(),
    in_worker=st.booleans(),
    split_size=st.sampled_from([None, 64 * 1024]),
    entries_before=st.integers(0, 2),
    base=st.booleans(),
)
@settings(max_examples=50)
def test_an_error_passes_through_unchanged_and_the_archive_has_no_end(
    before: list[int],
    lazily: bool,
    in_worker: bool,
    split_size: int | None,
    entries_before: int,
    base: bool,
) -> None:
    """Whoever raises it, the very same object arrives, no directory is written, no thread stays."""
    error: Any = KeyboardInterrupt() if base and not in_worker else OwnError("mine")

    def some_blocks() -> Iterator[Block]:
        for number, size in enumerate(before):
            data = content(size, number)
            yield (lambda data=data: data) if lazily else data  # type: ignore[misc]
        if in_worker:
            yield failing(error)
            yield content(BLOCK_SIZE)
        else:
            raise error

    def some_entries() -> Iterator[Entry]:
        for number in range(entries_before):
            yield Entry(f"e{number}", [content(70_000, number)])
        yield Entry("last", some_blocks())

    packed: list[PackedEntry] = []
    out = bytearray()
    with leaving_no_threads():
        segments = Packager(split_size=split_size).pack(some_entries(), on_packed=packed.append)
        with pytest.raises(type(error)) as caught:
            for segment in segments:
                for chunk in segment.chunks:
                    out += chunk
        segments.close()
    assert caught.value is error
    assert b"PK\x01\x02" not in out
    assert b"PK\x05\x06" not in out
    assert "last" not in [entry.name for entry in packed]


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_between_entries_leaves_the_archive_without_an_end(count: int) -> None:
    """The one who yields the entries may fail, too."""
    error = OwnError()

    def entries() -> Iterator[Entry]:
        yield from [Entry("a", [b"x"])] * count
        raise error

    out = bytearray()
    segments = Packager().pack(entries())
    with pytest.raises(OwnError) as caught:
        for segment in segments:
            for chunk in segment.chunks:
                out += chunk
    assert caught.value is error
    assert b"PK\x05\x06" not in out


def test_of_two_errors_the_first_in_order_counts() -> None:
    """A block that fails comes before an iterator that fails after it: the same one each time."""
    first, second = OwnError("first"), OwnError("second")

    def blocks() -> Iterator[Block]:
        yield failing(first)
        raise second

    with pytest.raises(OwnError) as caught:
        pack([Entry("a", blocks())])
    assert caught.value is first


@pytest.mark.parametrize("split_size", [None, 64 * 1024])
@pytest.mark.parametrize("read", [0, 1, 3])
def test_threads_are_gone_when_the_archive_is_abandoned(split_size: int | None, read: int) -> None:
    """Closing the generator stops the work, however far it is."""
    with leaving_no_threads():
        segments = Packager(split_size=split_size).pack([Entry("a", [content(BLOCK_SIZE)] * 5)])
        segment = next(segments)
        for _ in range(read):
            next(segment.chunks)
        segments.close()


def test_threads_are_gone_when_the_archive_is_complete() -> None:
    """And while they work they carry a name by which a host can tell them."""
    names: list[str] = []

    def look() -> bytes:
        names.append(threading.current_thread().name)
        return b"x"

    with leaving_no_threads():
        pack([Entry("a", [look])])
    assert [name.startswith("cdds-") for name in names] == [True]


# Order


@given(
    sizes=st.lists(st.sampled_from([0, 1, SMALL, 3 * BLOCK_SIZE]), min_size=1, max_size=6),
    split_size=st.sampled_from([None, 64 * 1024]),
)
@settings(max_examples=25)
def test_the_next_entry_is_asked_for_when_the_last_has_been_reported(
    sizes: list[int], split_size: int | None
) -> None:
    """So the manifest, which comes last, can describe what became of the others."""
    events: list[str] = []

    def entries() -> Iterator[Entry]:
        for number, size in enumerate(sizes):
            events.append(f"asked {number}")
            yield Entry(str(number), [content(size)])

    packager = Packager(split_size=split_size)
    for segment in packager.pack(
        entries(), on_packed=lambda entry: events.append(f"packed {entry.name}")
    ):
        for _ in segment.chunks:
            pass
    expected = []
    for number, size in enumerate(sizes):
        expected += [f"asked {number}"] + ([f"packed {number}"] if size else [])
    assert events == expected


def test_nothing_is_read_before_the_first_segment_is_asked_for() -> None:
    """Packing is pulled: a call by itself starts nothing."""
    events: list[str] = []

    def entries() -> Iterator[Entry]:
        events.append("asked")
        yield Entry("a", [b"x"])

    with leaving_no_threads():
        segments = Packager().pack(entries())
    assert events == []
    assert [b"".join(segment.chunks) != b"" for segment in segments] == [True]
    assert events == ["asked"]


def test_data_flow_before_an_entry_ends() -> None:
    """An endless entry is packed in bounded memory: output comes while input is still asked for."""
    asked = 0

    def endless() -> Iterator[Block]:
        nonlocal asked
        while True:
            asked += 1
            yield content(BLOCK_SIZE)

    segments = Packager(threads=2).pack([Entry("a", endless())])
    chunks = next(segments).chunks
    for number in range(10):
        next(chunks)
        assert asked <= number + 20
    segments.close()


def test_a_callable_is_called_once_and_not_on_the_callers_thread() -> None:
    """Validation happens there, and counts."""
    names: list[str] = []

    def make() -> bytes:
        names.append(threading.current_thread().name)
        return content(BLOCK_SIZE)

    pack([Entry("a", [make] * 6)])
    assert len(names) == 6
    assert all(name.startswith("cdds-") for name in names)


def test_the_representation_of_an_entry_holds_no_data() -> None:
    """Representations end in logs."""
    assert "secret" not in repr(Entry("a", [b"secret"]))
    assert "secret" not in repr(pack([Entry("a", [b"secret"])]).entries)


@given(st.permutations(range(12)))
@settings(max_examples=50)
def test_blocks_put_in_any_order_give_the_digest_of_their_right_order(order: list[int]) -> None:
    """Workers end when they end; the digest is that of the whole."""
    blocks = [bytes([number]) * (number % 4) for number in range(12)]
    digest = Digest()
    for number in order:
        digest.put(number, [blocks[number], b""])
    assert digest.hexdigest() == hashlib.sha256(b"".join(blocks)).hexdigest()


@pytest.mark.parametrize("options", [{"level": "x"}, {"split_size": 0}, {"split_size": 2**32}])
def test_a_packager_that_could_not_pack_is_refused_when_made(options: Any) -> None:
    """Or it would never end."""
    with pytest.raises(JobError):
        Packager(**options)
