"""Reading archives: what went in comes out, whoever packed it and into however many parts.

The producers are our packager, Info-ZIP's ``zip``, 7-Zip and `zipfile`; the judge is the data that
they were given.
"""

from __future__ import annotations

import io
import random
import subprocess
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, get_args

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parts import (
    CountingPart,
    block_offsets,
    contents,
    data_of,
    entry_of,
    opened,
    opened_files,
    read,
    saved,
)

from cdds.archive import Archive, BlockOffsets, Limits, Packager, PackedEntry
from cdds.errors import ArchiveError
from cdds.model import Level

Judge: TypeAlias = Callable[[str], str]
KIB = 1024
SMALLEST = 64 * KIB


def text(size: int, seed: int = 0) -> bytes:
    """Return data that compress as records do."""
    source = random.Random(seed)
    words = [source.randbytes(3).hex().encode() for _ in range(200)]
    line = b" ".join(source.choices(words, k=4000))
    return (line * (size // len(line) + 1))[:size]


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


KINDS = {"text": text, "noise": noise, "zeros": lambda size, _: bytes(size)}


@attrs.frozen
class Packed:
    """An archive of our packager, and what is in it."""

    parts: list[bytes] = attrs.field(repr=False)
    files: dict[str, bytes] = attrs.field(repr=False)
    entries: dict[str, PackedEntry] = attrs.field(repr=False)

    @classmethod
    def of(cls, files: dict[str, bytes], **options: Any) -> Packed:
        packed: dict[str, PackedEntry] = {}
        segments = Packager(**options).pack(
            [entry_of(name, data) for name, data in files.items()],
            on_packed=lambda entry: packed.update({entry.name: entry}),
        )
        return cls(saved(segments), files, packed)


@st.composite
def packed_archives(draw: st.DrawFn) -> Packed:
    sizes = st.sampled_from([1, 57, 70_000, 262_144, 1_048_576, 1_400_000, 3_300_000])
    files = {
        f"data/{number}.json": KINDS[draw(st.sampled_from(sorted(KINDS)))](draw(sizes), number)
        for number in range(draw(st.integers(1, 4)))
    }
    return Packed.of(
        files,
        level=draw(st.sampled_from(get_args(Level))),
        split_size=draw(st.sampled_from([None, SMALLEST, 99_999, 1_000_000])),
    )


@given(packed_archives(), st.data())
@settings(max_examples=40)
def test_what_we_pack_comes_out(packed: Packed, data: st.DataObject) -> None:
    """As one stream and by blocks, from the start and from anywhere."""
    archive = opened(*packed.parts)
    assert contents(archive) == packed.files
    for entry in archive.entries:
        expected = packed.files[entry.name]
        offsets = block_offsets(packed.entries[entry.name])
        start = data.draw(st.integers(0, entry.size))
        assert b"".join(archive.open(entry, block_offsets=offsets)) == expected
        for given_offsets in (None, offsets):
            pieces = archive.open(entry, block_offsets=given_offsets, start=start)
            assert b"".join(pieces) == expected[start:]


LAYOUTS = {
    "a directory over several segments": ([(f"entry {n:05}", b"x") for n in range(3000)], SMALLEST),
    "a directory in a segment of its own": ([("a", noise(19_000_000))], 20_000_000),
    "the border within a descriptor": ([("a", bytes(1_400_000)), ("b", noise(70_000))], SMALLEST),
}


@pytest.mark.parametrize(("files", "split_size"), LAYOUTS.values(), ids=LAYOUTS)
def test_sets_of_any_layout_come_out(files: list[tuple[str, bytes]], split_size: int) -> None:
    packed = Packed.of(dict(files), split_size=split_size)
    assert len(packed.parts) > 1
    assert read(*packed.parts) == packed.files


def test_a_set_of_more_parts_than_16_bits_count_comes_out() -> None:
    """Disk numbers stand in the Zip64 fields then; such small segments are made for this alone."""
    packager = Packager()
    object.__setattr__(packager, "split_size", 200)
    data = {"a": noise(66_000 * 200), "b": b"data", "c": noise(2_000_000)}
    parts = saved(packager.pack([entry_of(name, data[name]) for name in data]))
    assert len(parts) > 2**16
    archive = opened(*parts)
    assert contents(archive) == data
    with pytest.raises(ArchiveError, match=f"{len(parts)} parts"):
        opened(*parts[:100], *parts[101:])


def test_more_entries_than_16_bits_count_come_out() -> None:
    names = [f"{number}" for number in range(66_000)]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    assert [entry.name for entry in opened(stream.getvalue()).entries] == names


def test_a_start_is_reached_without_what_lies_before() -> None:
    """By blocks, only those from the start are read."""
    packed = Packed.of({"a": noise(20_000_000)})
    part = CountingPart(packed.parts[0])
    archive = Archive([part])
    part.count = 0
    pieces = archive.open(
        archive.entries[0], block_offsets=block_offsets(packed.entries["a"]), start=19_999_000
    )
    assert b"".join(pieces) == packed.files["a"][-1000:]
    assert part.count < 2_000_000


# Archives of others


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files of several kinds."""
    home = tmp_path_factory.mktemp("tree")
    (home / "sub" / "deeper").mkdir(parents=True)
    (home / "empty.txt").touch()
    (home / "text.json").write_bytes(text(400_000))
    (home / "noise.bin").write_bytes(noise(300_000))
    (home / "zeros.bin").write_bytes(bytes(200_000))
    (home / "sub" / "größe 世界.txt").write_bytes(b"small")
    (home / "sub" / "deeper" / "more.json").write_bytes(text(150_000, 1))
    return home


def only_files(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if not name.endswith("/")}


def run(folder: Path, *command: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, check=True)
    return done.stdout


def as_info_zip_says(name: str) -> str:
    """Return a name as it was: Info-ZIP may write UTF-8 without saying that it is."""
    return name if name.isprintable() and "世" in name else name.encode("cp437").decode()


INFO_ZIP = [[], ["-0"], ["-9"], ["-fz"], ["-fd"], ["-s", "64k"], ["-s", "100k", "-0"]]
INFO_ZIP += [["-s", "64k", "-fz"], ["-X", "-D"]]


@pytest.mark.parametrize("options", INFO_ZIP, ids=" ".join)
def test_archives_of_info_zip_come_out(
    options: list[str], tree: Path, judge: Judge, tmp_path: Path
) -> None:
    """Stored and deflated, Zip64, with descriptors, and split."""
    run(tree, judge("zip"), "-q", "-r", *options, str(tmp_path / "a.zip"), ".")
    parts = [*sorted(tmp_path.glob("a.z[0-9]*")), tmp_path / "a.zip"]
    assert (len(parts) > 1) == ("-s" in options)
    found = only_files(contents(opened_files(parts)))
    assert {as_info_zip_says(name): data for name, data in found.items()} == files_of(tree)


def test_what_info_zip_streams_comes_out(tree: Path, judge: Judge) -> None:
    """From standard input to standard output: nothing is known in advance."""
    data = (tree / "text.json").read_bytes()
    assert read(run(tree, judge("zip"), "-q", "-", "-", stdin=data)) == {"-": data}


@pytest.mark.parametrize("options", [[], ["-mx0"], ["-mx9"], ["-v64k"], ["-v100k", "-mx0"]])
def test_archives_of_7_zip_come_out(
    options: list[str], tree: Path, judge: Judge, tmp_path: Path
) -> None:
    """As one file, and cut into volumes, whose offsets count over the whole."""
    run(tree, judge("7zz"), "a", "-tzip", "-bd", *options, str(tmp_path / "a.zip"), ".")
    parts = sorted(tmp_path.glob("a.zip*"))
    assert (len(parts) > 1) == any(option.startswith("-v") for option in options)
    assert only_files(contents(opened_files(parts))) == files_of(tree)


class Unseekable(io.RawIOBase):
    """A stream that can only be written on."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.data += data
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("seekable", [False, True])
def test_archives_of_zipfile_come_out(method: int, zip64: bool, seekable: bool, tree: Path) -> None:
    """Stored and deflated, Zip64, with and without descriptors."""
    stream: Any = io.BytesIO() if seekable else Unseekable()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.comment = b"a comment"
        for name, data in files_of(tree).items():
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(data)
    found = stream.getvalue() if seekable else bytes(stream.data)
    assert read(found) == files_of(tree)


@example(b"PK\x05\x06", [])
@example(b"PK\x05\x06 is the signature of an end record, if one happens to be in the data", [])
@given(st.binary(min_size=1, max_size=300_000), st.lists(st.integers(0, 300_000), max_size=5))
def test_an_archive_may_be_cut_anywhere_into_volumes(data: bytes, cuts: list[int]) -> None:
    """Within headers and end records too; a volume may be empty."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", data)
        archive.writestr("b", b"b" * 10)
    whole = stream.getvalue()
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parts = [whole[a:b] for a, b in pairwise(borders)]
    assert read(*parts) == {"a": data, "b": b"b" * 10}


def test_a_set_of_one_segment_with_the_split_marker_comes_out() -> None:
    """Offsets are those of the file, marker included (APPNOTE 8.5.4)."""
    stream = io.BytesIO(b"PK\x07\x08")
    stream.seek(4)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"data")
    assert stream.getvalue().startswith(b"PK\x07\x08PK\x03\x04")
    assert read(stream.getvalue()) == {"a": b"data"}


def test_an_archive_without_entries_is_one() -> None:
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    assert read(stream.getvalue()) == {}


# How it is read


def pieces_of(archive: Archive, offsets: BlockOffsets | None) -> Generator[bytes]:
    return archive.open(archive.entries[0], block_offsets=offsets)


@pytest.mark.parametrize(("together", "most"), [(0, 24), (1, 24), (12, 64)])
def test_memory_is_bounded_by_what_is_under_way(together: int, most: int) -> None:
    """As one stream, by blocks, and by such as are many blocks together; in MB."""
    packed = Packed.of({"a": bytes(400_000_000)})
    archive = opened(*packed.parts, limits=Limits(ratio=2000))
    offsets = None
    if together:
        offsets = block_offsets(packed.entries["a"])
        offsets = BlockOffsets(offsets.data[::together], offsets.compressed[::together])
    packed.files.clear()
    tracemalloc.start()
    try:
        pieces = archive.open(archive.entries[0], block_offsets=offsets, threads=4)
        assert sum(map(len, pieces)) == 400_000_000
        assert tracemalloc.get_traced_memory()[1] < most * 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_threads_end_with_the_reader(taken: int) -> None:
    """Wherever it stops."""
    packed = Packed.of({"a": text(20_000_000)})
    before = threading.active_count()
    pieces = pieces_of(opened(*packed.parts), block_offsets(packed.entries["a"]))
    for _, _ in zip(range(taken), pieces, strict=False):
        pass
    pieces.close()
    assert threading.active_count() == before


def test_an_error_of_a_part_passes_through() -> None:
    """And one that gives too little is named."""
    data = saved(Packager().pack([entry_of("a", noise(100_000))]))[0]

    @attrs.define
    class Failing(CountingPart):
        failing: bool = False
        short: bool = False

        def read(self, offset: int, size: int, /) -> bytes:
            if self.failing:
                raise TimeoutError("the network")
            return super().read(offset, size - self.short)

    part = Failing(data)
    archive = Archive([part])
    part.failing = True
    with pytest.raises(TimeoutError):
        data_of(archive, archive.entries[0])
    part.failing, part.short = False, True
    with pytest.raises(ArchiveError, match="part 1 of 1 is shorter"):
        data_of(archive, archive.entries[0])


def test_no_byte_beyond_an_entry_is_asked_for() -> None:
    """A start beyond the end is a mistake, and one at the end gives nothing."""
    archive = opened(*Packed.of({"a": b"12345"}).parts)
    assert b"".join(archive.open(archive.entries[0], start=5)) == b""
    for start in (-1, 6):
        with pytest.raises(ArchiveError, match="no byte"):
            archive.open(archive.entries[0], start=start)
