"""Sources: every line and record arrives, whole, in order, and with its right place in the input.

What is written by tools of the standard library is what has to be read.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
import lzma
import os
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import fsspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdds.datasets import CONTACT, INTERACTION
from cdds.errors import RecordError, SourceError
from cdds.model import Dataset, Selection
from cdds.protocols import Lines, LineSnapshot, SizedSnapshot, Snapshot
from cdds.sources import JsonArray, JsonLines, Records, json_lines
from cdds.sources.files import InputFile

TemporaryFolder: TypeAlias = Callable[[], Any]

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
every_form = pytest.mark.parametrize("suffix", COMPRESS)
BOM = b"\xef\xbb\xbf"


def read_lines(source: JsonLines, data_file: str = "interaction") -> list[Lines]:
    with source.snapshot(INTERACTION, Selection()) as snapshot:
        assert isinstance(snapshot, LineSnapshot)
        return list(snapshot.lines(data_file))


def read_records(source: Any, data_file: str = "contact", dataset: Dataset = CONTACT) -> list[Any]:
    with source.snapshot(dataset, Selection()) as snapshot:
        return list(snapshot.records(data_file))


def read_interactions(source: Any) -> list[Any]:
    return read_records(source, "interaction", INTERACTION)


def expected_lines(content: bytes) -> list[bytes]:
    """Return the lines that a file of that content holds, each with a line feed."""
    content = content.removeprefix(BOM)
    if content and not content.endswith(b"\n"):
        content += b"\n"
    return io.BytesIO(content).readlines()


def check_lines(found: Sequence[Lines], content: bytes, origin: str) -> None:
    """Assert that the groups hold exactly the lines of the content, and number them rightly."""
    number = 1
    at = 0
    for lines in found:
        assert lines.data.endswith(b"\n")
        assert (lines.first, lines.count, lines.origin) == (number, lines.data.count(b"\n"), origin)
        assert lines.at >= at
        number, at = number + lines.count, lines.at
    together = b"".join(lines.data for lines in found)
    assert io.BytesIO(together).readlines() == expected_lines(content)


LINES = st.one_of(
    st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")),
    st.sampled_from([b"", b"\r", b'{"IXNID":"1"}', b'{"IXNID":"1"}\r', b"x" * 100, BOM, b"\x00"]),
)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    found = draw(st.lists(LINES, max_size=12))
    start = draw(st.sampled_from([b"", b"", BOM]))
    end = draw(st.sampled_from([b"", b"\n"]))
    content = b"\n".join(found) + end
    if content.lstrip().startswith(b"["):  # what begins as an array does is none of lines
        content = b"x" + content
    return start + content


@every_form
@given(content=contents(), read_size=st.integers(4, 60))
@settings(max_examples=50)
@example(content=b"", read_size=4)
@example(content=BOM, read_size=4)
@example(content=b"\n", read_size=4)
@example(content=BOM + b'{"IXNID":"1"}', read_size=4)
def test_every_line_arrives_whole_however_it_is_read(
    folder: TemporaryFolder, suffix: str, content: bytes, read_size: int
) -> None:
    """Any content, read in pieces of any size, compressed or not."""
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "READ_SIZE", read_size)
        path = home / f"i.jsonl{suffix}"
        path.write_bytes(COMPRESS[suffix](content))
        check_lines(read_lines(JsonLines(interaction=path)), content, str(path))


class ShortReads(io.RawIOBase):
    """A stream that returns fewer bytes than it is asked for, as streams may."""

    def __init__(self, content: bytes, steps: Sequence[int]) -> None:
        self._content = io.BytesIO(content)
        self._steps = itertools.chain(steps, itertools.repeat(1_000_000))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)
        return self._content.readinto(room[: next(self._steps)])


@given(content=contents(), steps=st.lists(st.integers(1, 9), max_size=12))
@settings(max_examples=200)
@example(content=BOM + b'{"IXNID":"1"}\n', steps=[3])
@example(content=BOM + b'{"IXNID":"1"}\n', steps=[1, 1, 1])
def test_short_reads_lose_nothing(content: bytes, steps: list[int]) -> None:
    """A remote or compressed stream may give a byte at a time, also within the byte order mark."""
    pieces = list(json_lines._whole_lines(ShortReads(content, steps), 10_000))  # type: ignore[arg-type]
    assert None not in pieces
    together = b"".join(piece for piece in pieces if piece is not None)
    assert io.BytesIO(together).readlines() == expected_lines(content)


def test_large_input_comes_in_pieces_of_about_a_megabyte(tmp_path: Path) -> None:
    """So that memory stays flat, and a piece is worth a thread's while."""
    content = b'{"IXNID":"%d"}\n' % 10**9 * 400_000
    path = tmp_path / "i.jsonl"
    path.write_bytes(content)
    found = read_lines(JsonLines(interaction=path))
    check_lines(found, content, str(path))
    assert all(len(lines.data) <= 1_100_000 for lines in found)
    assert len(found) <= len(content) / 500_000


@every_form
def test_several_files_are_read_one_after_another(tmp_path: Path, suffix: str) -> None:
    """Each numbers its lines from 1 under its own name, and none runs into the next."""
    texts = [b'{"IXNID":"1"}', b"", BOM + b'{"IXNID":"2"}\n\n', b'{"IXNID":"3"}']
    paths = [tmp_path / f"{number}.jsonl{suffix}" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(COMPRESS[suffix](text))
    found = read_lines(JsonLines(interaction=list(map(str, paths))))
    for path, text in zip(paths, texts, strict=True):
        check_lines([lines for lines in found if lines.origin == str(path)], text, str(path))
    assert [lines.origin for lines in found] == [str(paths[number]) for number in (0, 2, 3)]


def test_the_size_is_that_of_all_files_as_they_are_stored(tmp_path: Path) -> None:
    """Progress is told in stored bytes, and ends at the size."""
    (tmp_path / "a.jsonl").write_bytes(b"{}\n" * 1000)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1000))
    source = JsonLines(interaction=[tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"])
    assert isinstance(source, SizedSnapshot)
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert source.size() == sum(sizes)
    assert [lines.at for lines in read_lines(source)] == sizes


def test_a_data_file_that_is_not_given_has_no_lines(tmp_path: Path) -> None:
    """An export without documents is usual."""
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    assert read_lines(JsonLines(interaction=tmp_path / "a.jsonl"), "document") == []


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_any_fsspec_url_can_be_read(suffix: str) -> None:
    """Here its memory; compressed files are told by their names there, too."""
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/sources/i.jsonl{suffix}", COMPRESS[suffix](b'{"IXNID":"1"}\n{}'))
    url = f"memory://sources/i.jsonl{suffix}"
    source = JsonLines(interaction=url)
    check_lines(read_lines(source), b'{"IXNID":"1"}\n{}', url)
    assert source.size() is None


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_a_file_url_is_a_path(tmp_path: Path, scheme: str) -> None:
    """As fsspec has it."""
    (tmp_path / "i.jsonl").write_bytes(b"{}\n")
    assert len(read_lines(JsonLines(interaction=f"{scheme}{tmp_path}/i.jsonl"))) == 1


def test_user_information_in_a_url_is_not_told() -> None:
    """Messages and manifests carry the name of the input."""
    source = JsonLines(interaction="nosuch://user:password@host/i.jsonl")
    with pytest.raises(SourceError) as caught:
        read_lines(source)
    assert "password" not in f"{caught.value} {caught.value!r}"


# What cannot be read


@pytest.mark.parametrize("kind", [JsonLines, JsonArray])
@pytest.mark.parametrize("case", ["missing", "folder", "below a file", "null", "compressed"])
def test_a_file_that_cannot_be_opened_is_refused_before_anything_begins(
    tmp_path: Path, kind: Any, case: str
) -> None:
    """When the snapshot is opened, with the name of the file, also if it is the last of several."""
    (tmp_path / "good").write_bytes(b"[]")
    path: Any = {
        "missing": tmp_path / "missing.jsonl",
        "folder": tmp_path,
        "below a file": tmp_path / "good" / "i.jsonl",
        "null": f"{tmp_path}/a\x00b",
        "compressed": tmp_path / "missing.jsonl.gz",
    }[case]
    source = kind(interaction=tmp_path / "good", document=[tmp_path / "good", path])
    with pytest.raises(SourceError, match="cannot read") as caught:
        source.snapshot(INTERACTION, Selection())
    assert os.fspath(path).replace("\0", "\\x00") in str(caught.value)


@pytest.mark.parametrize("kind", [JsonLines, JsonArray, Records])
def test_a_data_file_that_the_dataset_does_not_know_is_refused(tmp_path: Path, kind: Any) -> None:
    """What is given is never left out in silence."""
    (tmp_path / "a").write_bytes(b"[]")
    given_: Any = [] if kind is Records else tmp_path / "a"
    with pytest.raises(SourceError, match="contacts"):
        kind(contacts=given_).snapshot(CONTACT, Selection())


NOISE = random.Random(7).randbytes(300_000).hex().encode()


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESS if suffix])
@pytest.mark.parametrize(
    "damage",
    ["cut off", "cut in the header", "changed", "changed early", "not compressed", "empty"]
    + ["trailer", "something else follows", "the second stream is no stream"],
)
@pytest.mark.parametrize("kind", [JsonLines, JsonArray])
def test_damaged_compressed_data_are_refused(
    tmp_path: Path, suffix: str, damage: str, kind: Any
) -> None:
    """With an error of this library that names the file; never with less data."""
    inner = b'["' + NOISE + b'"]' if kind is JsonArray else b'{"a":"%s"}\n' % NOISE[:1000] * 600
    good = COMPRESS[suffix](inner)
    middle = len(good) // 2
    changed = good[:middle] + bytes(byte ^ 0xFF for byte in good[middle : middle + 50])
    changed += good[middle + 50 :]
    path = tmp_path / f"i.jsonl{suffix}"
    path.write_bytes(
        {
            "cut off": good[:middle],
            "cut in the header": good[:5],
            "changed": changed,
            "changed early": good[:20] + b"\xff" * 40 + good[60:],
            "not compressed": inner,
            "empty": b"",
            "trailer": good[:-1],
            "something else follows": good + b"garbage",
            "the second stream is no stream": good + b"\x01" + good[1:],
        }[damage]
    )
    read = read_lines if kind is JsonLines else read_interactions
    with pytest.raises(SourceError) as caught:
        read(kind(interaction=path))
    assert str(path) in str(caught.value)


@every_form
def test_several_compressed_streams_in_a_file_are_one(tmp_path: Path, suffix: str) -> None:
    """As ``cat a.gz b.gz`` makes them, which logs are."""
    parts = [b'{"IXNID":"1"}\n{"IX', b'NID":"2"}\n', b'{"IXNID":"3"}']
    path = tmp_path / f"i.jsonl{suffix}"
    path.write_bytes(b"".join(map(COMPRESS[suffix], parts)))
    check_lines(read_lines(JsonLines(interaction=path)), b"".join(parts), str(path))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("size", [1, 13, 26, 100, 4096, 1_000_000])
def test_a_file_of_zeros_is_no_compressed_file(tmp_path: Path, suffix: str, size: int) -> None:
    """A crash may leave one, of the size of what should have been there."""
    path = tmp_path / f"i.jsonl{suffix}"
    path.write_bytes(bytes(size))
    with pytest.raises(SourceError):
        read_lines(JsonLines(interaction=path))


@pytest.mark.parametrize("zeros", [1, 2, 3, 5, 300_001])
def test_an_xz_file_that_is_padded_wrongly_is_refused(tmp_path: Path, zeros: int) -> None:
    """Padding comes in fours."""
    path = tmp_path / "i.jsonl.xz"
    path.write_bytes(lzma.compress(b"{}") + bytes(zeros))
    with pytest.raises(SourceError, match="damaged"):
        read_lines(JsonLines(interaction=path))


def test_a_query_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Of a URL that is signed; a local file may be called anything."""
    location = "https://host/i.jsonl.gz?signature=x.json"
    assert InputFile(location).suffixes == [".jsonl", ".gz"]
    assert InputFile(tmp_path / "a?b.jsonl.gz").suffixes == [".jsonl", ".gz"]
    assert InputFile("a?b.gz").name == "a?b.gz"


def test_an_xz_file_may_be_padded(tmp_path: Path) -> None:
    """With zeros between and after its streams, as the format has it."""
    path = tmp_path / "i.jsonl.xz"
    path.write_bytes(lzma.compress(b'{"IXNID":"1"}\n') + bytes(8) + lzma.compress(b"{}") + bytes(4))
    check_lines(read_lines(JsonLines(interaction=path)), b'{"IXNID":"1"}\n{}', str(path))


# Long lines


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=10),
    limit=st.integers(1, 50),
    read_size=st.integers(4, 40) | st.just(1_000_000),
    ended=st.booleans(),
)
@settings(max_examples=200)
def test_a_line_longer_than_the_limit_is_refused_wherever_it_stands(
    folder: TemporaryFolder, lengths: list[int], limit: int, read_size: int, ended: bool
) -> None:
    """With its number; and a line just as long as the limit passes."""
    content = b"\n".join(b"x" * length for length in lengths) + b"\n" * ended
    too_long = [number for number, length in enumerate(lengths, 1) if length > limit]
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "READ_SIZE", read_size)
        (home / "i").write_bytes(content)
        source = JsonLines(interaction=home / "i", max_line_size=limit)
        if not too_long:
            check_lines(read_lines(source), content, str(home / "i"))
            return
        with pytest.raises(RecordError) as caught:
            read_lines(source)
    assert caught.value.reject.position == too_long[0]
    assert f"longer than {limit} bytes" in str(caught.value)
    assert "xx" not in caught.value.reject.rule


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("before", [0, 3])
def test_a_line_that_is_much_too_long_does_not_fill_the_memory(
    tmp_path: Path, suffix: str, before: int
) -> None:
    """200 MB are refused after the first few."""
    path = tmp_path / f"i.jsonl{suffix}"
    if suffix:
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(b"{}\n" * before)
            for _ in range(200):
                file.write(bytes(1_000_000))
    else:
        with path.open("wb") as plain:
            plain.write(b"{}\n" * before)
            plain.truncate(200_000_000)
    source = JsonLines(interaction=path, max_line_size="8MB")
    tracemalloc.start()
    try:
        with pytest.raises(RecordError) as caught:
            read_lines(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reject.position == before + 1
    assert peak < 25_000_000


def test_an_endless_line_is_refused() -> None:
    """A device never ends; the limit does."""
    with pytest.raises(RecordError):
        read_lines(JsonLines(interaction="/dev/zero", max_line_size="2MB"))


# Records of JSON Lines one by one


@pytest.mark.parametrize(
    "line",
    [
        b'{"IXNID":"1"}',
        b'{"IXNID":\r"1"}',
        b'{"N":100000000000000000001}',
        b'{"S":"\\ud800"}',
        b" ",
    ],
)
def test_records_are_what_the_lines_hold(tmp_path: Path, line: bytes) -> None:
    """For whoever takes records instead of lines: the same, exactly."""
    (tmp_path / "i").write_bytes(line + b"\n\n" + b'{"IXNID":"2"}')
    found = read_interactions(JsonLines(interaction=tmp_path / "i"))
    assert found == [json.loads(text) for text in (line, b'{"IXNID":"2"}') if text.strip()]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        "{}".encode("utf-16-be"),
        b'{"N":NaN}',
        b'{"S":"\xff"}',
        b'{"N":1e9999999999999999999}',
    ],
    ids=["cut off", "UTF-16", "NaN", "no UTF-8", "an exponent beyond those of Decimal"],
)
def test_a_malformed_line_is_an_error_of_this_library(tmp_path: Path, line: bytes) -> None:
    """Also for whoever takes records instead of lines: the gate would refuse it too."""
    (tmp_path / "i").write_bytes(b"{}\n" + line + b"\n")
    with pytest.raises(SourceError):
        read_interactions(JsonLines(interaction=tmp_path / "i"))


# JSON arrays

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@every_form
@given(
    st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4)),
    st.sampled_from([None, 2]),
    st.booleans(),
)
@settings(max_examples=30)
def test_an_array_gives_its_elements(
    folder: TemporaryFolder, suffix: str, records: list[Any], indent: int | None, ascii_only: bool
) -> None:
    """However it is written; the reference is `json`."""
    text = json.dumps(records, indent=indent, ensure_ascii=ascii_only).encode()
    with folder() as home:
        path = home / f"c.json{suffix}"
        path.write_bytes(COMPRESS[suffix](text))
        assert read_records(JsonArray(contact=path)) == records


@given(
    st.lists(
        st.one_of(
            st.integers().map(str),
            st.integers(-(10**60), 10**60).map(str),
            st.decimals(allow_nan=False, allow_infinity=False).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from(["1e400", "-1E-400", "0.10", "1.0", "1E2", "0.1e-30", "123.456e789"]),
        ),
        max_size=8,
    )
)
@settings(max_examples=60)
def test_numbers_are_exact(folder: TemporaryFolder, numbers: list[str]) -> None:
    """Integers of any size, and decimals with every digit that is written."""
    text = "[" + ",".join(f'{{"N":{number}}}' for number in numbers) + "]"
    expected = json.loads(text, parse_float=Decimal)
    with folder() as home:
        (home / "c").write_bytes(text.encode())
        found = read_records(JsonArray(contact=home / "c"))
    assert [(type(item["N"]), str(item["N"])) for item in found] == [
        (type(item["N"]), str(item["N"])) for item in expected
    ]


@pytest.mark.parametrize("text", [r'"\ud800"', r'"a\udfffb"', r'{"\ud800":1}', r'["\ude00\ud83d"]'])
def test_a_lone_surrogate_is_kept_or_refused(tmp_path: Path, text: str) -> None:
    """Its escape is JSON: it may be refused, but it never becomes another character."""
    (tmp_path / "c").write_bytes(b'[{"A":%s}]' % text.encode())
    try:
        found = read_records(JsonArray(contact=tmp_path / "c"))
    except SourceError:
        return
    assert found == [{"A": json.loads(text)}]


@given(
    units=st.lists(
        st.sampled_from(["a", "\\\\", r"\ud83d\ude00", r"\ud800", r"\udc00", "ud83d", r"\n"]),
        max_size=12,
    ),
    padding=st.integers(0, 30),
)
@settings(max_examples=300)
def test_surrogates_are_told_from_text_at_any_border(
    folder: TemporaryFolder, units: list[str], padding: int
) -> None:
    """Text that looks like an escape is kept, a pair is one character, and only half a one not."""
    text = '"' + "".join(units) + '"'
    value = json.loads(text)
    start = b'[{"A":"' + b"x" * (65536 - 20 - padding) + b'"},{"A":'
    with folder() as home:
        (home / "c").write_bytes(start + text.encode() + b"}]")
        source = JsonArray(contact=home / "c")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            with pytest.raises(SourceError, match="lone surrogate"):
                read_records(source)
        else:
            assert read_records(source)[1] == {"A": value}


MALFORMED = {
    "empty": b"",
    "blank": b" \n ",
    "no JSON": b"garbage",
    "object": b'{"CONTACTID":"1"}',
    "lines": b'{"CONTACTID":"1"}\n{"CONTACTID":"2"}\n',
    "string": b'"[]"',
    "null": b"null",
    "cut off": b'[{"CONTACTID":"1"},',
    "cut in a record": b'[{"CONTACTID":"1"},{"CONTACT',
    "cut in a value": b'[{"CONTACTID":"1"},{"CONTACTID":"2',
    "only the start": b"[",
    "comma at the end": b'[{"CONTACTID":"1"},]',
    "no comma": b'[{"CONTACTID":"1"}{"CONTACTID":"2"}]',
    "garbage after": b'[{"CONTACTID":"1"}]garbage',
    "two arrays": b'[{"CONTACTID":"1"}][{"CONTACTID":"2"}]',
    "bracket after": b"[]]",
    "half a text after": b'[{"CONTACTID":"1"}]"SECRET]',
    "quote after": b'[{"CONTACTID":"1"}] "',
    "wrong bracket": b'[{"CONTACTID":"1"]]',
    "bare word": b'[{"CONTACTID":SECRET}]',
    "NaN": b'[{"CONTACTID":NaN}]',
    "single quotes": b"[{'CONTACTID':'SECRET'}]",
    "no UTF-8": b'[{"CONTACTID":"\xffSECRET"}]',
    "UTF-16": '[{"CONTACTID":"1"}]'.encode("utf-16"),
    "control character": b'[{"CONTACTID":"\x01SECRET"}]',
    "long number": b'[{"CONTACTID":' + b"7" * 5000 + b"}]",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_array_is_one_clear_error(tmp_path: Path, case: str) -> None:
    """It names the file and holds nothing of its content."""
    path = tmp_path / "c.json"
    path.write_bytes(MALFORMED[case])
    with pytest.raises(SourceError) as caught:
        read_records(JsonArray(contact=path))
    assert str(path) in str(caught.value)
    assert "SECRET" not in f"{caught.value} {caught.value!r}"


def test_records_before_a_fault_are_given(tmp_path: Path) -> None:
    """The reading is streamed: a fault is found when it is reached."""
    (tmp_path / "c").write_bytes(b'[{"N":1},{"N":2},' + b" " * 1_000_000 + b"garbage")
    records = JsonArray(contact=tmp_path / "c").records("contact")
    assert [next(records), next(records)] == [{"N": 1}, {"N": 2}]
    with pytest.raises(SourceError, match="after record 2"):
        next(records)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("depth", [150, 100_000])
@pytest.mark.parametrize("ended", [True, False])
def test_depth_is_bounded(tmp_path: Path, opening: bytes, depth: int, ended: bool) -> None:
    """A hundred levels are fine; a hundred thousand are refused at once, in little memory."""
    levels = depth // (2 if opening == b'[{"a":' else 1)
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]"}[opening]
    text = (
        b'[{"CONTACTID":"1"},{"A":' + opening * levels + b"1" + (closing * levels + b"}]") * ended
    )
    path = tmp_path / "c.json"
    path.write_bytes(text)
    tracemalloc.start()
    try:
        if depth < 200 and ended:
            assert len(read_records(JsonArray(contact=path))) == 2
            return
        with pytest.raises(SourceError) as caught:
            read_records(JsonArray(contact=path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    if depth > 200:
        assert isinstance(caught.value, RecordError)
        assert caught.value.reject.position == 2
        assert "nested deeper" in caught.value.reject.rule


def test_a_record_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its number, however it is made large: by values, by names, or by count."""
    from cdds.sources import json_array

    monkeypatch.setattr(json_array, "MAX_RECORD_SIZE", 1000)
    for text in ['"' + "x" * 2000 + '"', json.dumps({"x" * 2000: 1}), json.dumps([1] * 2000)]:
        path = tmp_path / "c.json"
        path.write_text(f'[{{"A":1}},{{"A":{text}}}]')
        with pytest.raises(RecordError) as caught:
            read_records(JsonArray(contact=path))
        assert caught.value.reject.position == 2


def test_an_array_at_a_url_can_be_read() -> None:
    """As with JSON Lines."""
    fsspec.filesystem("memory").pipe_file("/arrays/c.json", b'[{"CONTACTID":"1"}]')
    assert read_records(JsonArray(contact="memory://arrays/c.json")) == [{"CONTACTID": "1"}]


def test_a_large_array_is_streamed(tmp_path: Path) -> None:
    """Memory does not grow with the number of records."""
    path = tmp_path / "c.json"
    with path.open("w") as file:
        file.write("[" + ",".join(['{"CONTACTID":"%s"}' % ("x" * 1000)] * 20_000) + "]")
    tracemalloc.start()
    try:
        count = sum(1 for _ in JsonArray(contact=path).records("contact"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 3_000_000


# Records in memory


def test_records_are_handed_on_as_they_are() -> None:
    """The very same mappings, in their order, from lists, iterators and callables."""
    records: list[Mapping[str, Any]] = [{"CONTACTID": str(number)} for number in range(3)]
    for given_ in (records, tuple(records), lambda: records, lambda: iter(records)):
        found = read_records(Records(contact=given_))
        assert all(one is other for one, other in zip(found, records, strict=True))
    assert read_records(Records(contact=iter(records))) == records


def test_a_list_or_callable_can_be_read_again() -> None:
    """A host exports the same source more than once."""
    for given_ in ([{"a": 1}], lambda: iter([{"a": 1}])):
        source = Records(contact=given_)
        assert read_records(source) == read_records(source) == [{"a": 1}]


def test_records_are_pulled_one_by_one() -> None:
    """A generator is asked for no more than is needed."""
    asked: list[int] = []

    def endless() -> Iterator[dict[str, int]]:
        for number in itertools.count():
            asked.append(number)
            yield {"N": number}

    with Records(contact=endless).snapshot(CONTACT, Selection()) as snapshot:
        records = snapshot.records("contact")
        assert [next(records), next(records)] == [{"N": 0}, {"N": 1}]
    assert asked == [0, 1]


def test_errors_of_the_host_pass_through() -> None:
    """A source of the host's own fails in its own way."""

    class OwnError(Exception):
        pass

    error = OwnError()

    def broken() -> Iterator[dict[str, int]]:
        yield {}
        raise error

    with pytest.raises(OwnError) as caught:
        read_records(Records(contact=broken))
    assert caught.value is error


def test_sources_are_what_the_protocols_want(tmp_path: Path) -> None:
    """Lines from where there are lines, records from everywhere."""
    (tmp_path / "a").write_bytes(b"[]")
    lines: Snapshot = JsonLines(contact=tmp_path / "a")
    array: Snapshot = JsonArray(contact=tmp_path / "a")
    assert isinstance(lines, LineSnapshot)
    assert not isinstance(array, LineSnapshot)
    assert not isinstance(Records(), LineSnapshot)


@pytest.mark.parametrize("source", [JsonLines, JsonArray, Records])
def test_representations_hold_no_data_and_no_secrets(source: Any) -> None:
    """They end in logs."""
    given_: Any = [{"A": "SECRET"}] if source is Records else "s3://user:SECRET@host/x"
    assert "SECRET" not in repr(source(contact=given_))
    assert "SECRET" not in repr(Lines(b'{"A":"SECRET"}\n', 1, 1))


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """Also when it is cut at the end of a line, so that nothing else could tell."""
    path = tmp_path / "i.jsonl"
    line = b'{"IXNID":"0"}\n'
    path.write_bytes(line * 300_000)
    snapshot = JsonLines(interaction=path)
    lines = snapshot.lines("interaction")
    next(lines)
    os.truncate(path, len(line) * 200_000)
    with pytest.raises(SourceError, match="became shorter"):
        list(lines)


# What is said of a file


@pytest.mark.parametrize("kind", [JsonLines, JsonArray])
@pytest.mark.parametrize(
    "url", ["https://user:PASSWORD@127.0.0.1:9/x?token=TOKEN", "nosuch://u:PASSWORD@h/x"]
)
def test_no_error_tells_what_is_secret_in_a_url(kind: Any, url: str) -> None:
    """Neither our own words nor those of the library that could not open it."""
    with pytest.raises(SourceError) as caught:
        read_interactions(kind(interaction=url))
    told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert "PASSWORD" not in told
    assert "TOKEN" not in told


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("kind", [JsonLines, JsonArray])
def test_an_empty_pipe_is_no_compressed_file(tmp_path: Path, kind: Any, suffix: str) -> None:
    """Whoever should have written to it has died: that is no export of nothing."""
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.open("wb").close())
    writer.start()
    with pytest.raises(SourceError, match="it is cut off"):
        read_interactions(kind(interaction=path))
    writer.join()


@pytest.mark.parametrize("start", [b"", BOM, b" \n", BOM + b"\n "])
def test_an_array_is_no_lines(tmp_path: Path, start: bytes) -> None:
    """Or all its records would be one invalid line."""
    (tmp_path / "c").write_bytes(start + b'[{"CONTACTID":"1"},{"CONTACTID":"2"}]')
    with pytest.raises(SourceError, match="is a JSON array, not JSON Lines"):
        read_records(JsonLines(contact=tmp_path / "c"))


def test_an_array_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As lines may."""
    (tmp_path / "c").write_bytes(BOM + b'[{"CONTACTID":"1"}]')
    assert read_records(JsonArray(contact=tmp_path / "c")) == [{"CONTACTID": "1"}]


def test_a_text_in_an_array_is_bounded_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser gathers it in quadratic time, and never lets go of what has no end."""
    from cdds.sources import json_array

    monkeypatch.setattr(json_array, "MAX_RECORD_SIZE", 100_000)
    (tmp_path / "c").write_bytes(b'[{"A":"' + b"x" * 1_000_000)
    with pytest.raises(SourceError, match="a value is larger than 100000 bytes"):
        read_records(JsonArray(contact=tmp_path / "c"))


def test_a_number_beyond_all_bounds_is_one_clear_error(tmp_path: Path) -> None:
    """Where it stands, and not which error of Python it led to."""
    (tmp_path / "c").write_bytes(b'[{"A":1},{"A":1e99999999999999999999}]')
    with pytest.raises(SourceError, match="malformed JSON after record"):
        read_records(JsonArray(contact=tmp_path / "c"))
