"""Hostile and damaged archives: one error each, nothing given out that was not to be.

What can be told from the headers is refused before any data are read; what only the data show ends
in an error before their last piece.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any

import attrs
import pytest
from forged import (
    FIELDS,
    SAME,
    SPECIAL,
    UNSAFE,
    central_of,
    central_offset,
    noise,
    packed,
    patched,
    with_centrals,
    zipped,
)
from hypothesis import given
from hypothesis import strategies as st
from parts import (
    CountingPart,
    MemoryPart,
    block_offsets,
    contents,
    data_of,
    entry_of,
    opened,
    read,
    saved,
)

from cdds.archive import Archive, BlockOffsets, Limits, Packager
from cdds.archive.appnote import (
    Directory,
    Header,
    Place,
    Sizes,
    central_header,
    data_descriptor,
    local_header,
)
from cdds.errors import ArchiveError

KIB = 1024


# Names and kinds


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_name_is_refused(name: str) -> None:
    """Beside harmless entries too, of which nothing is given out; the message escapes it."""
    with pytest.raises(ArchiveError, match="unsafe") as refused:
        opened(zipped(("harmless", b"data"), (name, b"data")))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


SAFE = ["a", "a/b/c.json", ".hidden", "...a", "a b", "console.txt", "com10", "größe/世界", "nul_"]


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_name_is_taken(name: str) -> None:
    assert read(zipped((name, b"data"))) == {name: b"data"}


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_may_mean_one_file_are_refused(one: str, other: str) -> None:
    """By case and by the forms of Unicode."""
    with pytest.raises(ArchiveError, match="one name"):
        opened(zipped((one, b""), ("between", b"data"), (other, b"")))


@pytest.mark.parametrize("system", [0, 3, 19])
@pytest.mark.parametrize("kind", SPECIAL.values(), ids=SPECIAL)
def test_links_and_devices_are_refused(kind: int, system: int) -> None:
    """Whatever system is said to have made them; links of Windows too."""
    with pytest.raises(ArchiveError, match="link or a special file"):
        opened(zipped(("a", b"/etc/passwd"), external_attr=kind << 16, create_system=system))
    with pytest.raises(ArchiveError, match="link or a special file"):
        opened(zipped(("a", b"/etc/passwd"), external_attr=0x400, create_system=system))


def test_a_folder_has_a_name_of_one_and_no_data() -> None:
    with pytest.raises(ArchiveError, match="folder"):
        opened(zipped(("a", b""), external_attr=0o040755 << 16))
    with pytest.raises(ArchiveError, match="folder"):
        opened(zipped(("a/", b"data")))


# Damage


def small_archives() -> dict[str, list[bytes]]:
    """Return small archives of every form, as their parts."""
    files = [("one.txt", b"one " * 40), ("two.json", b'{"a": 1}\n' * 20)]
    streamed = io.BytesIO()
    with zipfile.ZipFile(streamed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    return {
        "stored": [zipped(*files)],
        "deflated": [zipped(*files, method=zipfile.ZIP_DEFLATED)],
        "zip64": [streamed.getvalue()],
        "described": packed([("large", bytes(1_400_000))]),
        "split": packed([("a", noise(100_000)), ("b", b"data")], 64 * KIB),
        "split zip64": packed([("a", noise(100_000) + bytes(1_300_000))], 64 * KIB),
    }


SMALL = small_archives()
WHOLE = {name: parts for name, parts in SMALL.items() if len(parts) == 1}


@pytest.mark.parametrize("parts", WHOLE.values(), ids=WHOLE)
def test_no_proper_prefix_is_an_archive(parts: list[bytes]) -> None:
    whole = parts[0]
    for size in range(len(whole)):
        with pytest.raises(ArchiveError):
            opened(whole[:size])


def headers(parts: list[bytes]) -> Iterator[tuple[int, int]]:
    """Yield each byte that is not an entry's data: its part and its offset in it."""
    archive = opened(*parts)
    data: set[int] = set()
    for entry in archive.entries:
        data.update(range(entry.data_offset, entry.data_offset + entry.compressed_size))
    at = 0
    for number, part in enumerate(parts):
        yield from ((number, offset) for offset in range(len(part)) if at + offset not in data)
        at += len(part)


@pytest.mark.parametrize("parts", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
def test_a_changed_byte_of_a_header_gives_one_error_or_the_same(
    parts: list[bytes], mask: int
) -> None:
    """Never other data, another name, or another error."""
    expected = read(*parts)
    for number, offset in headers(parts):
        changed = bytearray(parts[number])
        changed[offset] ^= mask
        try:
            found = read(*parts[:number], bytes(changed), *parts[number + 1 :])
        except ArchiveError:
            continue
        assert found == expected, (number, offset)


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda data: data + zipped()))
def test_any_bytes_are_an_archive_or_one_error(data: bytes) -> None:
    with suppress(ArchiveError):
        read(data)


@given(st.sampled_from(sorted(SMALL)), st.data())
def test_any_change_gives_one_error_or_the_same(name: str, data: st.DataObject) -> None:
    """Several bytes at once, in the data too: their CRC-32 tells."""
    parts = [bytearray(part) for part in SMALL[name]]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(parts))
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ArchiveError):
        assert read(*map(bytes, parts)) == read(*SMALL[name])


# Headers that lie


@pytest.mark.parametrize(("local", "central", "value"), FIELDS.values(), ids=FIELDS)
def test_headers_that_disagree_are_refused(local: int, central: int, value: bytes) -> None:
    """Before any data are read, whichever of the two was changed."""
    archive = zipped(("a", b"data"))
    for forged in (patched(archive, local, None, value), patched(archive, None, central, value)):
        with pytest.raises(ArchiveError, match=r"entry '[ab]'"):
            opened(forged)


NOT_PLAIN = [(0, "encrypted"), (6, "encrypted"), (13, "encrypted"), (5, "patched")]


@pytest.mark.parametrize(("bit", "kind"), NOT_PLAIN)
def test_what_is_not_plain_data_is_unsupported(bit: int, kind: str) -> None:
    """Encrypted in any way, or a patch."""
    flags = struct.pack("<H", 1 << bit)
    with pytest.raises(ArchiveError, match=f"{kind}.*unsupported"):
        opened(patched(zipped(("a", b"data")), 6, 8, flags))


def test_a_stored_entry_has_one_size() -> None:
    with pytest.raises(ArchiveError, match="two different sizes"):
        opened(patched(zipped(("a", b"data")), 22, 24, b"\x03\0\0\0"))


def test_extra_fields_keep_to_their_room() -> None:
    """Padding that is too short for a field is passed over, as other fields are."""
    for harmless in (b"\0\0\0", b"\x99\x99\x02\0ab", b"\x01\0\x08\0" + bytes(8)):
        assert read(zipped(("a", b"data"), extra=harmless)) == {"a": b"data"}
    with pytest.raises(ArchiveError, match="longer than its room"):
        opened(zipped(("a", b"data"), extra=b"\x99\x99\x03\0ab"))
    with pytest.raises(ArchiveError, match="two Zip64 fields"):
        opened(zipped(("a", b"data"), extra=2 * (b"\x01\0\x08\0" + bytes(8))))
    with pytest.raises(ArchiveError, match="no value in its Zip64 field"):
        opened(patched(zipped(("a", b"data")), 22, 24, b"\xff" * 4))


def test_a_local_name_may_not_go_on() -> None:
    """Where the directory's ends."""
    archive = zipped(("a", b"data"))
    with pytest.raises(ArchiveError, match="another name"):
        opened(patched(archive, 26, None, b"\x02\0"))


@pytest.mark.parametrize("name", ["described", "split zip64"])
def test_a_descriptor_that_disagrees_is_refused(name: str) -> None:
    """Whichever of its fields; its part is named where there are several."""
    whole = b"".join(SMALL[name])
    entry = opened(*SMALL[name]).entries[0]
    at = entry.data_offset + entry.compressed_size
    borders = [0, *accumulate(map(len, SMALL[name]))]
    for field in (4, 8, 16):
        changed = bytearray(whole)
        changed[at + field] ^= 1
        parts = [bytes(changed[a:b]) for a, b in pairwise(borders)]
        where = "entry" if len(parts) == 1 else f"part {len(parts)} of {len(parts)}"
        with pytest.raises(ArchiveError, match=f"{where}.*no descriptor"):
            opened(*parts)


@attrs.frozen
class HugePart:
    """A part of zeros, but for what is put somewhere."""

    size: int
    put: dict[int, bytes]

    def read(self, offset: int, size: int, /) -> bytes:
        data = bytearray(min(size, self.size - offset))
        for at, value in self.put.items():
            for number in range(max(at, offset), min(at + len(value), offset + len(data))):
                data[number - offset] = value[number - at]
        return bytes(data)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32, 5 * 2**30])
def test_headers_of_what_is_larger_than_32_bits_count_are_read(size: int) -> None:
    """And must agree as any others."""
    header = Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), streamed=True)
    sizes = Sizes(1, size, size)
    local, descriptor = local_header(header, sizes), data_descriptor(sizes)
    central = central_header(header, sizes, Place(0, 0))
    at = len(local) + size
    begin = at + len(descriptor)
    end = Directory(Place(0, begin), len(central), 1, 1).end(Place(0, begin + len(central)))
    tail = descriptor + central + end
    archive = Archive([HugePart(at + len(tail), {0: local, at: tail})])
    assert archive.entries[0].size == size
    other = data_descriptor(Sizes(1, size, size + 1)) + tail[len(descriptor) :]
    with pytest.raises(ArchiveError, match="no descriptor"):
        Archive([HugePart(at + len(tail), {0: local, at: other})])


def given_out(archive: Archive, **options: Any) -> int:
    """Return how many bytes of the first entry come before the error that must come."""
    size = 0
    with pytest.raises(ArchiveError):
        for piece in archive.open(archive.entries[0], **options):
            size += len(piece)
    return size


@pytest.mark.parametrize("size", [100_000, 999_999, 1_000_001, 5_000_000])
def test_a_size_that_lies_ends_the_reading(size: int) -> None:
    """Told alike in both headers; what is given out stays below what is said and what is there."""
    archive = zipped(("a", bytes(1_000_000)), method=zipfile.ZIP_DEFLATED)
    forged = patched(archive, 22, 24, struct.pack("<L", size))
    assert given_out(opened(forged)) < min(size + 1, 1_000_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_crc_is_told_before_the_last_piece(method: int) -> None:
    data = noise(1_000_000)
    forged = patched(zipped(("a", data), method=method), 14, 16, b"1234")
    assert given_out(opened(forged)) < len(data)
    small = patched(zipped(("a", b"small"), method=method), 14, 16, b"1234")
    assert given_out(opened(small)) == 0


@pytest.mark.parametrize("offsets", [None, BlockOffsets((0,), (0,))], ids=["stream", "block"])
def test_a_stream_ends_where_its_data_end(offsets: BlockOffsets | None) -> None:
    """Nothing may follow its end within the entry."""
    archive = zipped(("a", b"text" * 100), method=zipfile.ZIP_DEFLATED)
    size = struct.unpack_from("<L", archive, 18)[0]
    longer = archive[: 31 + size] + b"\0" + archive[31 + size : -6]
    longer += struct.pack("<LH", 32 + size, 0)
    forged = opened(patched(longer, 18, 20, struct.pack("<L", size + 1)))
    assert given_out(forged, block_offsets=offsets) == 0


def test_overlapping_entries_are_refused() -> None:
    """One within the data of another, and two that are one."""
    inner = zipped(("inner", bytes(1000)), method=zipfile.ZIP_DEFLATED)
    local = inner[: central_offset(inner)]
    outer = zipped(("outer", local))
    data = outer[: central_offset(outer)]
    inside = central_of(inner, len(data) - len(local))
    for centrals in ([central_of(outer, 0), inside], [inside, central_of(outer, 0)]):
        with pytest.raises(ArchiveError, match="overlaps"):
            opened(with_centrals(data, *centrals))
    assert read(with_centrals(data, central_of(outer, 0))) == {"outer": local}


def test_an_entry_does_not_reach_into_the_directory() -> None:
    archive = zipped(("a", b"data"))
    size = struct.pack("<LL", 40, 40)
    with pytest.raises(ArchiveError, match="overlaps"):
        opened(patched(archive, 18, 20, size))


# Zip64 end records


def with_zip64_end(
    archive: bytes, least: int = 44, cut: int = 56, disks: int = 1, more: int = 0
) -> bytes:
    """Put a Zip64 end record and its locator before the end record, which keeps its values."""
    at = len(archive) - 22
    count, _, size, offset = struct.unpack_from("<HHLL", archive, at + 8)
    record = struct.pack(
        "<4sQHHLL4Q", b"PK\6\6", least, 45, 45, 0, 0, count, count + more, size, offset
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, disks)
    return archive[:at] + record[:cut] + locator + archive[at:]


LOCATED: dict[str, dict[str, int]] = {
    "too short": {"least": 43, "cut": 55},
    "longer than its room": {"least": 45},
    "shorter than its room": {"least": 40},
    "of several parts": {"disks": 2},
    "of other values": {"more": 1},
}


@pytest.mark.parametrize("lie", LOCATED.values(), ids=LOCATED)
def test_a_zip64_end_record_agrees_with_the_other(lie: dict[str, int]) -> None:
    """Its own length, its parts and its values; where it need not be there it may be."""
    archive = zipped(("a", b"data"))
    assert read(with_zip64_end(archive)) == {"a": b"data"}
    with pytest.raises(ArchiveError, match=r"[Ee]nd record|2 parts"):
        opened(with_zip64_end(archive, **lie))


@pytest.mark.parametrize("disk", [0, 1])
def test_both_end_records_count_the_same_parts(disk: int) -> None:
    """One part that is said to be the first, or the second, of two."""
    archive = bytearray(with_zip64_end(zipped(("a", b"data"))))
    at = archive.index(b"PK\6\6")
    struct.pack_into("<L", archive, at + 16, 1)
    struct.pack_into("<H", archive, len(archive) - 18, disk)
    with pytest.raises(ArchiveError, match="locator"):
        opened(bytes(archive))


# Bombs, and lists without end


def test_a_bomb_is_refused_unless_it_is_allowed() -> None:
    """By what its headers say, and at once; a limit of bytes is applied to all data together."""
    archive = packed([("a", bytes(300_000_000))])
    with pytest.raises(ArchiveError, match="bomb"):
        opened(*archive)
    assert opened(*archive, limits=Limits(ratio=2000)).entries[0].size == 300_000_000
    with pytest.raises(ArchiveError, match="at most 5 are allowed"):
        opened(zipped(("a", b"123"), ("b", b"456")), limits=Limits(size=5))
    assert contents(opened(zipped(("a", b"123"), ("b", b"45")), limits=Limits(size=5)))


def test_an_archive_in_an_archive_is_data() -> None:
    """As in 42.zip: nothing is opened that was not asked for."""
    layer = zipped(("0.dll", bytes(1_000_000)), method=zipfile.ZIP_DEFLATED)
    for depth in range(5):
        inner = layer
        names = (f"lib {number}.zip" for number in range(16))
        layer = zipped(*((name, inner) for name in names), method=zipfile.ZIP_DEFLATED)
        assert set(read(layer).values()) == {inner}, depth


def test_a_directory_of_millions_is_not_read() -> None:
    """Neither a long one, nor one that is said to be long."""
    archive = zipped(("a", b"data"))
    part = CountingPart(bytes(10_000_000) + archive[-22:-14] + b"\xff\xff\xff\xff" + archive[-10:])
    with pytest.raises(ArchiveError):
        Archive([part])
    assert part.count < 100_000
    many = zipped(*((str(number), b"") for number in range(1001)))
    assert len(opened(many, limits=Limits(entries=1001)).entries) == 1001
    part = CountingPart(many)
    with pytest.raises(ArchiveError, match="1001 entries"):
        Archive([part], Limits(entries=1000))
    with pytest.raises(ArchiveError, match="central directory has"):
        Archive([part], Limits(directory=1000))


# Two directories


def test_an_end_record_in_a_comment_is_refused() -> None:
    """Readers that look for the last one, and those that look at comments, would differ."""
    other = zipped()
    stream = io.BytesIO(zipped(("a", b"data")))
    for comment in (other, b"x" + other, other + b"x", b"x" * 60_000 + other):
        with zipfile.ZipFile(stream, "a") as archive:
            archive.comment = comment
        with pytest.raises(ArchiveError, match="two ends"):
            opened(stream.getvalue())


@pytest.mark.parametrize("junk", [b"", b"junk"])
@pytest.mark.parametrize("outer", [[], ["a"]])
def test_an_end_record_in_a_comment_is_refused_whatever_follows(
    outer: list[str], junk: bytes
) -> None:
    """The outer archive has entries or none, and the inner record is not at the very end."""
    inner = zipped(("b", b"other"))
    stream = io.BytesIO(zipped(*((name, b"data") for name in outer)))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = inner
    with pytest.raises(ArchiveError, match="two ends"):
        opened(stream.getvalue() + junk)


def test_an_end_record_in_a_comment_is_refused_after_a_zip64_one() -> None:
    inner = zipped(("b", b"other"))
    outer = with_zip64_end(zipped(("a", b"data")))
    with pytest.raises(ArchiveError, match="two ends"):
        opened(outer[:-2] + struct.pack("<H", len(inner)) + inner)


@pytest.mark.parametrize("prefix", [b"#!/bin/sh\n", zipped(("b", b"other"))])
def test_bytes_before_an_archive_that_moved_it_are_refused(prefix: bytes) -> None:
    with pytest.raises(ArchiveError, match="bytes were put before it"):
        opened(prefix + zipped(("a", b"data")))


# Parts that are not those of the set


def a_set(seed: int = 0) -> list[bytes]:
    """Return a set with parts that hold nothing but data."""
    return packed([("a", noise(3_500_000, seed))], 300_000)


SET = a_set()


@pytest.mark.parametrize("number", range(len(SET)))
def test_a_missing_or_repeated_part_is_named(number: int) -> None:
    """Before any data are given out, wherever it is."""
    with pytest.raises(
        ArchiveError, match=rf"{len(SET)} parts, and {len(SET) - 1} were given|last"
    ):
        opened(*SET[:number], *SET[number + 1 :])
    other = (number + 3) % len(SET)
    parts = [SET[other] if at == number else part for at, part in enumerate(SET)]
    later, earlier = max(number, other) + 1, min(number, other) + 1
    with pytest.raises(ArchiveError, match=rf"part {later} of {len(SET)} is part {earlier}"):
        opened(*parts)
    with pytest.raises(ArchiveError, match="once more"):
        Archive([MemoryPart(SET[number])] * 2)


def offsets_of(seed: int = 0) -> BlockOffsets:
    found: list[BlockOffsets] = []
    entry = entry_of("a", noise(3_500_000, seed))
    segments = Packager(split_size=300_000).pack(
        [entry], on_packed=lambda done: found.append(block_offsets(done))
    )
    saved(segments)
    return found[0]


def refused(parts: list[bytes], **options: Any) -> str:
    """Return the error of a set, before the last byte of its data."""
    with pytest.raises(ArchiveError) as error:
        archive = opened(*parts)
        size = 0
        for piece in archive.open(archive.entries[0], **options):
            size += len(piece)
            assert size < archive.entries[0].size
    return str(error.value)


@pytest.mark.parametrize("number", range(len(SET) - 1))
def test_a_swapped_or_foreign_part_never_passes(number: int) -> None:
    """With block offsets it is named where blocks end in it; else the CRC-32 tells at the end."""
    foreign = [*SET[:number], a_set(1)[number], *SET[number + 1 :]]
    swapped = [*SET[:number], SET[number + 1], SET[number], *SET[number + 2 :]]
    for parts in (foreign, swapped):
        assert "part" in refused(parts)
        assert "part" in refused(parts, block_offsets=offsets_of())


def test_a_swapped_part_is_named_by_the_block_offsets_before_any_data() -> None:
    """A block must end in it where the offsets say."""
    for number in range(len(SET) - 1):
        ends = [
            end
            for end in offsets_of().compressed[1:]
            if number * 300_000 + 40 < end < (number + 1) * 300_000 - 40
        ]
        parts = [*SET[:number], noise(300_000, 7), *SET[number + 1 :]]
        if number and ends:
            archive = opened(*parts)
            with pytest.raises(ArchiveError, match=f"part {number + 1} of"):
                next(archive.open(archive.entries[0], block_offsets=offsets_of()))


def test_parts_of_an_archive_that_is_whole_by_itself_are_refused() -> None:
    archive = zipped(("a", b"data"))
    with pytest.raises(ArchiveError, match="by itself"):
        opened(zipped(("b", b"other")), archive)
    with pytest.raises(ArchiveError, match="at least one part"):
        opened()


def test_volumes_that_are_missing_repeated_or_swapped_are_refused() -> None:
    """They have no numbers: the directory, or a header that is not where it should be, tells."""
    archive = zipped(*((f"{number}", noise(40_000, number)) for number in range(10)))
    volumes = [archive[at : at + 50_000] for at in range(0, len(archive), 50_000)]
    assert len(read(*volumes)) == 10
    for number in range(len(volumes) - 1):
        rest = [*volumes[:number], *volumes[number + 1 :]]
        with pytest.raises(ArchiveError, match="one of its parts is missing"):
            opened(*rest)
        with pytest.raises(ArchiveError, match="once more"):
            opened(*rest[:3], rest[0], *rest[3:])
        for other in range(number + 1, len(volumes) - 1):
            swapped = list(volumes)
            swapped[number], swapped[other] = volumes[other], volumes[number]
            with pytest.raises(ArchiveError, match=r"part \d of \d does not fit"):
                opened(*swapped)


def test_parts_that_are_alike_are_no_repetition() -> None:
    """Stored zeros cut into volumes are the same again and again."""
    data = bytes(1_000_000)
    archive = zipped(("a", data))
    volumes = [archive[at : at + 100_000] for at in range(0, len(archive), 100_000)]
    assert volumes[1] == volumes[2]
    assert read(*volumes) == {"a": data}


def test_parts_that_are_alike_in_the_middle_are_no_repetition() -> None:
    """Only a part that is the same throughout is one."""
    middle = noise(10_000, 1)
    data = noise(45_000, 2) + middle + noise(90_000, 3) + middle + noise(45_000, 4)
    archive = zipped(("a", data))
    volumes = [archive[31:100_031], archive[100_031:200_031]]
    assert volumes[0][45_000:55_000] == volumes[1][45_000:55_000]
    assert read(archive[:31], *volumes, archive[200_031:]) == {"a": data}


def test_an_offset_stays_within_its_segment() -> None:
    """One that runs on into the next is refused: other readers would find nothing there."""
    *parts, last = SMALL["split"]
    at = last.rindex(b"PK\1\2")
    disk, offset = struct.unpack_from("<H", last, at + 34)[0], last[at + 42 : at + 46]
    moved = int.from_bytes(offset, "little") + len(parts[disk - 1])
    forged = bytearray(last)
    struct.pack_into("<H", forged, at + 34, disk - 1)
    struct.pack_into("<L", forged, at + 42, moved)
    with pytest.raises(ArchiveError, match="no part of the archive"):
        opened(*parts, bytes(forged))


# Block offsets that lie


BLOCKS = offsets_of()
LIES = {
    "none": BlockOffsets((), ()),
    "of two lengths": BlockOffsets(BLOCKS.data, BLOCKS.compressed[:-1]),
    "not from the start": BlockOffsets(BLOCKS.data[1:], BLOCKS.compressed[1:]),
    "backwards": BlockOffsets(BLOCKS.data[:1] + BLOCKS.data[:0:-1], BLOCKS.compressed),
    "beyond the end": BlockOffsets((*BLOCKS.data, 2**63), (*BLOCKS.compressed, 2**63)),
    "moved": BlockOffsets((0, *(at + 1 for at in BLOCKS.data[1:])), BLOCKS.compressed),
    "moved in the stream": BlockOffsets(
        BLOCKS.data, (0, *(at + 1 for at in BLOCKS.compressed[1:]))
    ),
    "of one block too large": BlockOffsets((0, 2**24 + 1), (0, 1)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_block_offsets_that_lie_give_one_error(lie: BlockOffsets) -> None:
    refused(SET, block_offsets=lie)


def test_two_streams_are_not_two_blocks() -> None:
    """A reader without the offsets would stop after the first, so nobody goes on."""
    texts = [b"one " * 100, b"two " * 100, b"six " * 100]
    first = zlib.compressobj(wbits=-15)
    streams = [first.compress(texts[0]) + first.flush(zlib.Z_SYNC_FLUSH)]
    streams += [zlib.compress(text, wbits=-15) for text in texts[1:]]
    archive = zipped(("a", b"".join(streams)))
    for local, central, value in (
        (8, 10, b"\x08\0"),
        (14, 16, struct.pack("<L", zlib.crc32(b"".join(texts)))),
        (22, 24, struct.pack("<L", 1200)),
    ):
        archive = patched(archive, local, central, value)
    starts = tuple(accumulate(map(len, streams), initial=0))[:-1]
    for offsets in (None, BlockOffsets((0, 400, 800), starts)):
        refused([archive], block_offsets=offsets)


def test_a_stored_entry_has_no_blocks() -> None:
    archive = opened(zipped(("a", b"data")))
    with pytest.raises(ArchiveError, match="no deflate blocks"):
        list(archive.open(archive.entries[0], block_offsets=BLOCKS))
    assert data_of(archive, archive.entries[0]) == b"data"
