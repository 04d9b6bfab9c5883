"""A split archive that is joined is one plain archive of the same entries, whoever reads it."""

from __future__ import annotations

import random
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import MemoryPart, block_offsets, contents, entry_of, opened, opened_files, saved

from cdds.archive import Packager, PackedEntry, appnote
from cdds.archive.appnote import MAX_16, MAX_32, Directory, Header, Place, Sizes
from cdds.archive.directory import RawCentral, raw_headers
from cdds.archive.ends import read_end
from cdds.archive.extra import replace_zip64, zip64_field
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

FILES = {
    "a.txt": b"some text",
    "folder/long.json": b"".join(b"%d %d\n" % (n, n * n) for n in range(150_000)),
    "folder/noise.bin": random.Random(5).randbytes(300_000),
    "Ünïcode.txt": "ï".encode() * 1000,
}
OTHER_FIELDS = b"UT\x05\x00\x01abcd"


def assert_judged_sound(path: Path, judge: Callable[[str], str]) -> None:
    """Let foreign tools test all of an archive."""
    for command in ([judge("unzip"), "-tq"], [judge("7zz"), "t"]):
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.volume for info in archive.infolist()} == {0}


@pytest.mark.parametrize("split_size", [None, 65_536, 200_000])
def test_ours_are_one_archive_that_others_read(
    split_size: int | None, tmp_path: Path, judge: Callable[[str], str]
) -> None:
    packed: dict[str, PackedEntry] = {}
    segments = Packager(split_size=split_size).pack(
        [entry_of(name, data) for name, data in FILES.items()],
        on_packed=lambda entry: packed.update({entry.name: entry}),
    )
    parts = saved(segments)
    assert (len(parts) > 3) == (split_size is not None)
    archive = opened(*parts)
    path = tmp_path / "joined.zip"
    path.write_bytes(b"".join(archive.joined()))

    assert_judged_sound(path, judge)
    joined = opened_files([path])
    assert contents(joined) == FILES
    assert [entry.name for entry in joined.entries] == [entry.name for entry in archive.entries]
    for entry in joined.entries:
        offsets = block_offsets(packed[entry.name])
        assert b"".join(joined.open(entry, block_offsets=offsets)) == FILES[entry.name]
    if split_size is None:
        assert [path.read_bytes()] == parts


@pytest.mark.parametrize("how", ["zip -s 64k", "zip -0 -s 64k", "7zz -v50k"])
def test_those_of_others_are_one_archive(
    how: str, tmp_path: Path, judge: Callable[[str], str]
) -> None:
    for name, data in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    tool, *options = how.split()
    words = ["a", "-tzip", "-bd"] if tool == "7zz" else ["-qr", "-z"]
    command = [judge(tool), *words, *options, str(out / "a.zip"), "."]
    subprocess.run(
        command, check=True, cwd=tmp_path / "in", capture_output=True, input=b"a comment\n.\n"
    )
    parts = sorted(out.iterdir())
    assert len(parts) > 2

    archive = opened_files(parts)
    (tmp_path / "joined.zip").write_bytes(b"".join(archive.joined()))
    assert_judged_sound(tmp_path / "joined.zip", judge)
    joined = opened_files([tmp_path / "joined.zip"])
    assert contents(joined) == contents(archive)
    if tool == "7zz":
        assert (tmp_path / "joined.zip").read_bytes() == b"".join(map(Path.read_bytes, parts))


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("before", [Place(0, 0), Place(3, MAX_32), Place(70_000, 9)])
@pytest.mark.parametrize("offset", [0, 1, MAX_32 - 1, MAX_32, 2**33])
def test_a_header_can_be_moved_anywhere(
    offset: int, before: Place, is_streamed: bool, tmp_path: Path
) -> None:
    """In a file with a hole before the entry; what else the header says stays as it was."""
    header = Header(b"a", datetime(2025, 3, 1), is_streamed)
    packed = zlib.compress(b"data", wbits=-15)
    sizes = Sizes(zlib.crc32(b"data"), len(packed), 4)
    raw = raw_header(appnote.central_header(header, sizes, before), OTHER_FIELDS)
    moved = raw.moved(offset)
    with (tmp_path / "a.zip").open("wb") as file:
        file.seek(offset)
        file.write(appnote.local_header(header, sizes) + packed)
        file.write(appnote.data_descriptor(sizes) if is_streamed else b"")
        start = file.tell()
        said = Directory(Place(0, start), len(moved), 1, 1)
        file.write(moved + said.end(Place(0, start + len(moved))))

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        (info,) = archive.infolist()
        assert (info.header_offset, info.volume) == (offset, 0)
        assert archive.read("a") == b"data"
        assert info.extra.endswith(OTHER_FIELDS)
        assert (info.date_time[:3], info.comment) == ((2025, 3, 1), b"said")
    assert (is_streamed or offset >= MAX_32) == (len(info.extra) > len(OTHER_FIELDS))


def test_a_header_without_room_for_its_offset_is_refused() -> None:
    header = appnote.central_header(
        Header(b"a", datetime(2025, 3, 1), streamed=False), Sizes(0, 2, 0), Place(1, 0)
    )
    extra = struct.pack("<HH", 0xCAFE, MAX_16 - 8) + bytes(MAX_16 - 8)
    raw = raw_header(header, extra)
    assert len(raw.moved(7)) == len(header) + len(extra) + len(b"said")
    with pytest.raises(ArchiveError, match="no room"):
        raw.moved(MAX_32)


@given(
    fields=st.lists(st.tuples(st.sampled_from([1, 2, 0x5455]), st.binary(max_size=20)), max_size=4),
    contents=st.binary(max_size=28),
    padding=st.binary(max_size=3),
)
def test_of_extra_fields_the_zip64_one_alone_is_replaced(
    fields: list[tuple[int, bytes]], contents: bytes, padding: bytes
) -> None:
    def written(some: list[tuple[int, bytes]]) -> bytes:
        return b"".join(struct.pack("<HH", tag, len(data)) + data for tag, data in some)

    others = [field for field in fields if field[0] != 1]
    replaced = replace_zip64(written(fields) + padding, contents)
    assert replaced == written([(1, contents)] * bool(contents) + others) + padding
    assert zip64_field("a", replaced) == contents


def raw_header(header: bytes, extra: bytes) -> RawCentral:
    """Return a header with another extra field behind those that it has, and a comment."""
    name_size, extra_size = struct.unpack_from("<HH", header, 28)
    sizes = struct.pack("<HHH", name_size, extra_size + len(extra), 4)
    header = header[:28] + sizes + header[34:] + extra + b"said"
    end = Directory(Place(0, 0), len(header), 1, 1).end(Place(0, len(header)))
    parts = Parts((MemoryPart(header + end),))
    (raw,) = raw_headers(parts, read_end(parts))
    return raw
