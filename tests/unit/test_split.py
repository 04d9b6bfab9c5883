"""Split archives: what stands on which segment, and that 7-Zip reads the whole.

The layout is checked against PKWARE APPNOTE 6.3.10, section 8, on the bytes that come out, and
the sets are tested and extracted by 7-Zip.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cdds.archive import Entry, Packager, appnote, split
from cdds.archive.appnote import SPLIT_MARKER, Directory, Header, Place, Sizes
from cdds.archive.packager import _Listed, _tail
from cdds.archive.split import HELD_BACK, Piece, Record, Segment, lay_out

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]

KIB = 1024
SMALLEST = 64 * KIB


def noise(size: int, seed: int = 0) -> bytes:
    """Return data that cannot be compressed."""
    return random.Random(seed).randbytes(size)


@attrs.frozen
class Set:
    """The segments of an archive, read in order as they came."""

    suffixes: list[str]
    data: list[bytes]

    @classmethod
    def read(cls, segments: Iterable[Segment]) -> Set:
        pairs = [(segment.suffix, b"".join(segment.chunks)) for segment in segments]
        return cls([suffix for suffix, _ in pairs], [data for _, data in pairs])

    @property
    def sizes(self) -> list[int]:
        return list(map(len, self.data))

    def save(self, folder: Path) -> Path:
        for suffix, data in zip(self.suffixes, self.data, strict=True):
            (folder / f"archive{suffix}").write_bytes(data)
        return folder / "archive.zip"


def check_suffixes(segments: Set) -> None:
    count = len(segments.suffixes) - 1
    assert segments.suffixes == [f".z{number + 1:02}" for number in range(count)] + [".zip"]


# The layout by itself, on pieces of any kind


@attrs.define
class Spy:
    """A record that remembers where it was last rendered."""

    mark: bytes
    place: Place | None = None

    def record(self) -> Record:
        def render(place: Place) -> bytes:
            self.place = place
            return self.mark

        return Record(len(self.mark), render)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[Spy | bytes], list[Spy], int, int]:
    """Return pieces, the records of the tail, a split size, and how much is held back."""
    split_size = draw(st.integers(40, 200))
    held_back = draw(st.integers(20, 250))
    count = draw(st.integers(0, 30))
    pieces: list[Spy | bytes] = []
    for number in range(count):
        if draw(st.booleans()):
            pieces.append(Spy(b"<%d>" % number + b"r" * draw(st.integers(0, 30))))
        else:
            pieces.append(b"[%d]" % number * draw(st.integers(0, 90)))
    tail = [
        Spy(b"{%d}" % number + b"t" * draw(st.integers(0, 30)))
        for number in range(draw(st.integers(1, 12)))
    ]
    return pieces, tail, split_size, held_back


@given(layouts())
@settings(max_examples=400)
def test_segments_are_full_records_are_whole_and_places_are_right(
    layout: tuple[list[Spy | bytes], list[Spy], int, int],
) -> None:
    """For any pieces, any segment size and any amount held back."""
    given_pieces, tail, split_size, held_back = layout
    pieces: list[Piece] = [
        piece if isinstance(piece, bytes) else piece.record() for piece in given_pieces
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "HELD_BACK", held_back)
        segments = Set.read(lay_out(pieces, lambda: [spy.record() for spy in tail], split_size))
    check_suffixes(segments)
    flat = [piece if isinstance(piece, bytes) else piece.mark for piece in given_pieces]
    whole = b"".join([*flat, *(spy.mark for spy in tail)])
    if len(whole) <= min(split_size, held_back):
        assert segments.data == [whole]
    else:
        assert b"".join(segments.data) == SPLIT_MARKER + whole
        assert len(segments.data) > 1 or len(SPLIT_MARKER + whole) <= split_size
    assert max(segments.sizes) <= split_size

    spies = [spy for spy in [*given_pieces, *tail] if isinstance(spy, Spy)]
    for spy in spies:
        assert spy.place is not None
        data = segments.data[spy.place.disk]
        assert data[spy.place.offset : spy.place.offset + len(spy.mark)] == spy.mark

    starts = {spy.place: len(spy.mark) for spy in spies}
    directory = tail[0].place
    for disk, size in enumerate(segments.sizes[:-1]):
        following = Place(disk + 1, 0)
        own = following == directory and size > held_back
        assert size == split_size or own or size + starts[following] > split_size


@given(st.integers(1, 300), st.integers(10, 300))
@settings(max_examples=100)
def test_a_one_segment_archive_never_bears_the_marker(size: int, held_back: int) -> None:
    """Some readers cannot open one; so what is marked has a second segment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "HELD_BACK", held_back)
        end = Spy(b"end")
        segments = Set.read(lay_out([b"x" * size], lambda: [end.record()], 200))
    assert segments.data[0].startswith(SPLIT_MARKER) == (len(segments.data) > 1)


@pytest.mark.parametrize("count", [1, 2, 98, 99, 100, 101, 1000])
def test_suffixes_count_on_beyond_99(count: int) -> None:
    """``.z01`` to ``.z99``, then ``.z100``; the last is always ``.zip``."""
    size = 100 * count - 4 - 10
    segments = Set.read(lay_out([b"x" * size], lambda: [Spy(b"end").record()], 100))
    assert len(segments.data) == count
    check_suffixes(segments)


def test_not_split_is_one_plain_zip() -> None:
    """Without a split size there is one segment, and it is not held back."""
    asked: list[int] = []

    def pieces() -> Iterable[Piece]:
        for number in range(3):
            asked.append(number)
            yield b"data"

    (segment,) = lay_out(pieces(), lambda: [Spy(b"end").record()], None)
    assert asked == []
    assert (segment.suffix, next(segment.chunks), asked) == (".zip", b"data", [0])


# Real archives, for 7-Zip


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    output = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, output
    assert "Warning" not in output, output
    return output


def check_with_7zip(
    sevenzip: str, folder: TemporaryFolder, segments: Set, files: dict[str, bytes]
) -> None:
    """Assert that 7-Zip tests the set and extracts exactly the files."""
    with folder() as home:
        path = segments.save(home)
        assert "Everything is Ok" in run(sevenzip, "t", path)
        run(sevenzip, "x", f"-o{home / 'out'}", path)
        found = [file for file in (home / "out").rglob("*") if file.is_file()]
        assert sorted(str(file.relative_to(home / "out")) for file in found) == sorted(files)
        for file in found:
            data = file.read_bytes()
            assert digest(data) == digest(files[str(file.relative_to(home / "out"))])


def digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def packed(files: dict[str, bytes], split_size: int | None) -> Set:
    packager = Packager(split_size=split_size)
    return Set.read(packager.pack([Entry(name, [data]) for name, data in files.items()]))


def check_set(segments: Set, split_size: int) -> None:
    check_suffixes(segments)
    assert max(segments.sizes) <= split_size
    total = sum(segments.sizes)
    if len(segments.data) == 1:
        assert not segments.data[0].startswith(SPLIT_MARKER)
        assert total <= min(split_size, HELD_BACK)
    else:
        assert segments.data[0].startswith(SPLIT_MARKER)
        assert total - len(SPLIT_MARKER) > min(split_size, split.HELD_BACK)


@given(
    sizes=st.lists(st.integers(1, 300_000), min_size=1, max_size=4),
    split_size=st.integers(SMALLEST, 400_000) | st.just(SMALLEST),
    held_back=st.sampled_from([HELD_BACK, 100_000]),
)
@settings(max_examples=30)
@example(sizes=[2_000_000, 1, 3_000_000], split_size=SMALLEST, held_back=HELD_BACK)
@example(sizes=[7_000_000], split_size=SMALLEST, held_back=HELD_BACK)  # more than 99 segments
@example(sizes=[150_000], split_size=400_000, held_back=100_000)  # a directory of its own
@example(sizes=[450_000, 100_000], split_size=400_000, held_back=100_000)
def test_7zip_reads_any_set(
    judge: Judge, folder: TemporaryFolder, sizes: list[int], split_size: int, held_back: int
) -> None:
    """Any entries, any segment size, also with a directory in a ``.zip`` of its own."""
    sevenzip = judge("7zz")
    files = {f"f/{number}": noise(size, number) for number, size in enumerate(sizes)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "HELD_BACK", held_back)
        segments = packed(files, split_size)
        check_set(segments, split_size)
    check_with_7zip(sevenzip, folder, segments, files)


@given(
    sizes=st.lists(st.integers(SMALLEST // 2, 150_000), min_size=2, max_size=4),
    which=st.integers(0, 3),
    step=st.sampled_from([-1, 0, 1, 45, 46]),
)
@settings(max_examples=20)
def test_entries_may_end_just_at_a_border(
    judge: Judge, folder: TemporaryFolder, sizes: list[int], which: int, step: int
) -> None:
    """The next header then stands at the start of the next segment, and is told to be there."""
    sevenzip = judge("7zz")
    files = {f"f{number}": noise(size, number) for number, size in enumerate(sizes)}
    (whole,) = packed(files, None).data
    place = whole.find(b"PK\x03\x04", sum(sizes[: which % len(sizes) + 1]))
    end = place if place > 0 else whole.find(b"PK\x01\x02")
    split_size = len(SPLIT_MARKER) + end + step
    assume(split_size >= SMALLEST)
    segments = packed(files, split_size)
    check_set(segments, split_size)
    check_with_7zip(sevenzip, folder, segments, files)


@pytest.mark.parametrize("large_first", [True, False])
def test_the_central_directory_may_span_segments(
    judge: Judge, folder: TemporaryFolder, large_first: bool
) -> None:
    """Thousands of small entries: headers of the directory stand on several segments."""
    files = {f"{'n' * 40}/{number:05}": b"%d" % number for number in range(2500)}
    large = {"large": noise(200_000)}
    files = large | files if large_first else files | large
    segments = packed(files, SMALLEST)
    check_set(segments, SMALLEST)
    assert sum(b"PK\x01\x02" in data for data in segments.data) >= 3
    assert "large" in files
    check_with_7zip(judge("7zz"), folder, segments, files)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_what_just_fits_is_plain(extra: int) -> None:
    """An archive as large as a segment is one; a byte more makes two."""
    files = {"a": noise(100_000)}
    size = len(packed(files, None).data[0])
    segments = packed(files, size - extra)
    assert len(segments.data) == (2 if extra > 0 else 1)
    check_set(segments, size - extra)


def test_more_than_is_held_back_puts_the_directory_in_a_zip_of_its_own(
    judge: Judge, folder: TemporaryFolder
) -> None:
    """Between 16 MiB and the segment size a name cannot be taken back: 7-Zip reads such a set."""
    files = {"large": noise(HELD_BACK + 100_000), "small": b"x"}
    segments = packed(files, 20_000_000)
    assert segments.suffixes == [".z01", ".zip"]
    assert segments.data[0].startswith(SPLIT_MARKER)
    assert segments.data[1].startswith(b"PK\x01\x02")
    check_with_7zip(judge("7zz"), folder, segments, files)


@pytest.mark.parametrize(
    ("size", "suffixes"),
    [
        (HELD_BACK // 4 - 100_000, [".z01", ".zip"]),
        (HELD_BACK // 4 + 100_000, [".z01", ".z02", ".zip"]),
    ],
)
def test_less_is_held_back_of_later_segments(
    judge: Judge, folder: TemporaryFolder, size: int, suffixes: list[str]
) -> None:
    split_size = HELD_BACK + 1_000_000
    files = {"large": noise(split_size + size)}
    segments = packed(files, split_size)
    assert segments.suffixes == suffixes
    check_with_7zip(judge("7zz"), folder, segments, files)


def test_a_large_set_has_full_segments(judge: Judge, folder: TemporaryFolder) -> None:
    """Entries' data may be cut anywhere, so only what follows uncuttable records is not full."""
    files = {"a": noise(HELD_BACK), "b": noise(HELD_BACK // 2, 1)}
    split_size = 17 * KIB * KIB
    segments = packed(files, split_size)
    assert segments.sizes[0] == split_size
    check_set(segments, split_size)
    check_with_7zip(judge("7zz"), folder, segments, files)


# The tail, where counts need Zip64


@given(
    disk=st.integers(0xFFFF - 4, 0xFFFF + 2),
    room=st.integers(0, 300),
    count=st.integers(1, 8),
)
@settings(max_examples=200)
def test_the_end_records_fit_where_the_directory_crosses_the_65535th_segment(
    disk: int, room: int, count: int
) -> None:
    """They grow by Zip64 records on that very segment, and still no segment is too large."""
    split_size = 300
    directory = []
    for number in range(count):
        header = Header(b"e%d" % number, Packager().modified, streamed=True)
        directory.append(_Listed(header, place=Place(1, number)))
    layout = split._Layout(split_size)
    layout.disk, layout.offset = disk, split_size - room
    sizes: dict[int, int] = {disk: layout.offset}
    laid = list(layout.lay(_tail(directory)))
    for at, data in laid:
        sizes[at] = sizes.get(at, 0) + len(data)
    assert max(sizes.values()) <= split_size
    last, end = laid[-1]
    assert bytes(end).startswith(b"PK\x06\x06" if last >= appnote.MAX_16 else b"PK\x05\x06")


@given(st.integers(0, 3), st.integers(0, 0xFFFF + 2), st.integers(0, 2**33))
def test_the_end_fits_in_the_room_that_is_made_for_it(disk: int, entries: int, size: int) -> None:
    """A record's room is made before it is rendered."""
    directory = Directory(Place(0, 0), size, entries, 0)
    assert len(directory.end(Place(disk, 0))) <= appnote.MAX_END_SIZE


def test_headers_of_the_largest_name_fit_in_the_smallest_segment() -> None:
    """Or an archive could never be laid out."""
    header = Header(b"x" * 1024, Packager().modified, streamed=True)
    sizes = Sizes(0, 2**40, 2**40)
    assert len(appnote.central_header(header, sizes, Place(2**20, 2**32))) < SMALLEST
