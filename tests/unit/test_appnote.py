"""The records of a ZIP archive parse back, field by field, by PKWARE APPNOTE 6.3.10.

The parsers here are written from the specification. Values at the borders of 16 and 32 bits are
told in the Zip64 fields, and only there.
"""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import UTC, datetime
from typing import Any

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from cdds.archive.appnote import (
    MAX_END_SIZE,
    Directory,
    Header,
    Place,
    Sizes,
    central_header,
    data_descriptor,
    local_header,
)

M16, M32 = 0xFFFF, 0xFFFF_FFFF

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).map(
    lambda name: name.encode()
)
MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2107, 12, 31, 23, 59, 59)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
AROUND_32 = st.one_of(
    st.integers(0, 2**40), st.sampled_from([0, 1, M32 - 1, M32, M32 + 1, 2**63 - 1])
)
AROUND_16 = st.one_of(st.integers(0, 100_000), st.sampled_from([0, 1, M16 - 1, M16, M16 + 1]))
SIZES = st.builds(Sizes, st.integers(0, M32), AROUND_32, AROUND_32)
SMALL_SIZES = st.builds(
    Sizes, st.integers(0, M32), st.integers(0, M32 - 1), st.integers(0, M32 - 1)
)
HEADERS = st.builds(Header, NAMES, MOMENTS, st.booleans())
PLACES = st.builds(Place, AROUND_16, AROUND_32.filter(lambda offset: offset < 2**63))


def parse(layout: str, names: str, data: bytes) -> dict[str, Any]:
    return dict(zip(names.split(), struct.unpack_from("<" + layout, data), strict=True))


def zip64_field(extra: bytes) -> bytes | None:
    """Return the contents of the one extra field there is, which must be the Zip64 one."""
    if not extra:
        return None
    tag, size = struct.unpack_from("<HH", extra)
    assert (tag, size) == (0x0001, len(extra) - 4)
    return extra[4:]


def dos_moment(time: int, date: int) -> datetime:
    return datetime(
        1980 + (date >> 9),
        date >> 5 & 15,
        date & 31,
        time >> 11,
        time >> 5 & 63,
        (time & 31) * 2,
        tzinfo=UTC,
    )


def check_common(fields: dict[str, Any], header: Header, zip64: bool) -> None:
    assert fields["method"] == 8
    assert fields["flags"] == 0x800 | (0x8 if header.streamed else 0)
    assert fields["needed"] == (45 if zip64 else 20)
    even = header.modified.replace(second=header.modified.second // 2 * 2, microsecond=0)
    assert dos_moment(fields["time"], fields["date"]) == even


LOCAL = "signature needed flags method time date crc compressed size name extra"


@given(HEADERS, SMALL_SIZES)
def test_the_local_header_parses_back(header: Header, sizes: Sizes) -> None:
    """A streamed entry has no sizes yet and the Zip64 field; any other has plain sizes."""
    data = local_header(header, sizes)
    fields = parse("4sHHHHHLLLHH", LOCAL, data)
    assert fields["signature"] == b"PK\x03\x04"
    assert data[30 : 30 + fields["name"]] == header.name
    extra = zip64_field(data[30 + fields["name"] :])
    check_common(fields, header, zip64=header.streamed)
    found = fields["crc"], fields["compressed"], fields["size"]
    if header.streamed:
        assert found == (0, M32, M32)
        assert extra == bytes(16)
    else:
        assert found == (sizes.crc, sizes.compressed, sizes.size)
        assert extra is None
    assert len(data) == 30 + fields["name"] + fields["extra"]


@given(SIZES)
def test_the_descriptor_parses_back(sizes: Sizes) -> None:
    """Its sizes have eight bytes, as a Zip64 entry wants."""
    fields = parse("4sLQQ", "signature crc compressed size", data_descriptor(sizes))
    assert fields == {
        "signature": b"PK\x07\x08",
        "crc": sizes.crc,
        "compressed": sizes.compressed,
        "size": sizes.size,
    }


CENTRAL = (
    "signature made needed flags method time date crc compressed size name extra comment disk "
    "internal external offset"
)


@given(HEADERS, SIZES, PLACES)
@example(
    Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), False),
    Sizes(0, M32 - 1, M32 - 1),
    Place(M16 - 1, M32 - 1),
)
@example(Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), False), Sizes(0, M32, 1), Place(0, 0))
@example(Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), False), Sizes(0, 1, M32), Place(0, 0))
@example(Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), False), Sizes(0, 1, 1), Place(0, M32))
@example(Header(b"a", datetime(2025, 1, 1, tzinfo=UTC), False), Sizes(0, 1, 1), Place(M16, 0))
def test_the_central_header_parses_back(header: Header, sizes: Sizes, place: Place) -> None:
    """What does not fit stands in the Zip64 field, in order, and the plain field is all ones."""
    data = central_header(header, sizes, place)
    fields = parse("4sHHHHHHLLLHHHHHLL", CENTRAL, data)
    assert fields["signature"] == b"PK\x01\x02"
    assert data[46 : 46 + fields["name"]] == header.name
    assert len(data) == 46 + fields["name"] + fields["extra"]
    zip64 = zip64_field(data[46 + fields["name"] :])
    check_common(fields, header, zip64=zip64 is not None)
    assert fields["made"] == 3 << 8 | fields["needed"]
    assert fields["external"] == 0o100600 << 16
    assert (fields["comment"], fields["internal"], fields["crc"]) == (0, 0, sizes.crc)

    # 4.5.3: a value is in the field exactly if the plain one is all ones, and in this order.
    stream = io.BytesIO(zip64 or b"")
    found = {}
    for name, full, width in [
        ("size", M32, 8),
        ("compressed", M32, 8),
        ("offset", M32, 8),
        ("disk", M16, 4),
    ]:
        found[name] = (
            int.from_bytes(stream.read(width), "little") if fields[name] == full else fields[name]
        )
    assert stream.read() == b""
    assert found == {
        "size": sizes.size,
        "compressed": sizes.compressed,
        "offset": place.offset,
        "disk": place.disk,
    }
    large = max(sizes.size, sizes.compressed, place.offset) >= M32 or place.disk >= M16
    assert (zip64 is not None) == (large or header.streamed)


END = "signature disk start_disk on_last entries size offset comment"
END64 = "signature length made needed disk start_disk on_last entries size offset"


@st.composite
def directories(draw: st.DrawFn) -> tuple[Directory, Place]:
    entries = draw(AROUND_16)
    start = draw(PLACES)
    last = Place(start.disk + draw(st.integers(0, 2)), draw(AROUND_32))
    on_last = draw(st.integers(0, entries))
    return Directory(start, draw(AROUND_32), entries, on_last), last


@given(directories())
@example((Directory(Place(0, M32 - 1), M32 - 1, M16 - 1, M16 - 1), Place(M16 - 1, 0)))
@example((Directory(Place(0, 0), 0, M16, M16), Place(0, 0)))
@example((Directory(Place(0, M32), 0, 1, 1), Place(0, 0)))
@example((Directory(Place(0, 0), M32, 1, 1), Place(0, 0)))
@example((Directory(Place(0, 0), 0, 1, 1), Place(M16, 0)))
def test_the_end_records_parse_back(case: tuple[Directory, Place]) -> None:
    """With a value that does not fit there are a Zip64 record and a locator, and only then."""
    directory, place = case
    data = directory.end(place)
    assert len(data) in {22, MAX_END_SIZE}
    end = parse("4sHHHHLLH", END, data[-22:])
    assert (end["signature"], end["comment"]) == (b"PK\x05\x06", 0)
    exact = {
        "disk": place.disk,
        "start_disk": directory.start.disk,
        "on_last": directory.entries_on_last_disk,
        "entries": directory.entries,
        "size": directory.size,
        "offset": directory.start.offset,
    }
    widths = dict.fromkeys(exact, M16) | {"size": M32, "offset": M32}
    assert {name: end[name] for name in exact} == {
        name: min(value, widths[name]) for name, value in exact.items()
    }
    large = any(value >= widths[name] for name, value in exact.items())
    assert len(data) == (98 if large else 22)
    if large:
        record = parse("4sQHHLLQQQQ", END64, data)
        assert {name: record[name] for name in exact} == exact
        assert (record["signature"], record["length"], record["needed"]) == (b"PK\x06\x06", 44, 45)
        locator = parse("4sLQL", "signature disk offset disks", data[56:])
        assert locator == {
            "signature": b"PK\x06\x07",
            "disk": place.disk,
            "offset": place.offset,
            "disks": place.disk + 1,
        }


@given(NAMES, MOMENTS, SMALL_SIZES)
def test_the_standard_library_reads_the_directory(
    name: bytes, moment: datetime, sizes: Sizes
) -> None:
    """A directory made of these records is one for `zipfile`, too."""
    header = Header(name, moment, streamed=False)
    central = central_header(header, sizes, Place(0, 0))
    end = Directory(Place(0, 0), len(central), 1, 1).end(Place(0, len(central)))
    with zipfile.ZipFile(io.BytesIO(central + end)) as archive:
        (info,) = archive.infolist()
    assert info.orig_filename == name.decode()
    assert (info.CRC, info.compress_size, info.file_size) == attrs.astuple(sizes)
