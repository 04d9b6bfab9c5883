"""Ranges of a content: each is the slice of what decrypting from the beginning gives, or an error.

Messages are made by our own envelope or by hand; `tests/interop` has those of others.
"""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeAlias

import messages as by_hand
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from ranged import Stored, ranged, ranged_outcome, read_all

from cdds.archive import Archive
from cdds.archive.parts import Part
from cdds.crypto import Envelope, RangedContent, ber, open_ranged
from cdds.crypto.algorithms import KeyTransportIdentifier
from cdds.crypto.envelope import PIECE_SIZE
from cdds.errors import DecryptionError, EnvelopeError, JobError, MessageError

Holders: TypeAlias = tuple[Any, ...]

CIPHERS = ["aes-256-cbc", "aes-128-cbc", "aes-256-gcm"]
FORMATS = ["smime", "pem", "der"]
ONE_ERROR = "the message cannot be decrypted: the key is not that of a recipient, or the message"
SMALL_KEY = rsa.generate_private_key(65537, 1024)
MANY_SIZES = (100, 101) * 4000
LINE_ENDS: dict[str, Callable[[bytes], bytes]] = {
    "LF": lambda message: message,
    "CRLF": lambda message: message.replace(b"\n", b"\r\n"),
}


@cache
def made_up(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def sealed(certificate: Any, content: bytes = b"content", **form: Any) -> bytes:
    return b"".join(Envelope(certificate, **form).encrypt([content]))


def sequential_outcome(message: bytes, **arguments: Any) -> bytes | str:
    try:
        return b"".join(Envelope.decrypt(message, **arguments).iter_unverified())
    except EnvelopeError as error:
        return str(error)


def infos() -> bytes:
    return by_hand.recipients(by_hand.recipient(by_hand.wrapped(SMALL_KEY)))


def enveloped(*strings: bytes, constructed: bytes = b"\xa0\x80", end: bytes = b"\0\0") -> bytes:
    """Return EnvelopedData whose content is cut into the given octet strings."""
    content = constructed + b"".join(map(by_hand.octets, strings)) + end
    return by_hand.enveloped(infos(), encrypted_content=content)


def cut(data: bytes, *sizes: int) -> list[bytes]:
    """Return data cut into pieces of these sizes, and of the last of them from there on."""
    pieces = []
    for size in sizes[:-1]:
        pieces.append(data[:size])
        data = data[size:]
    return pieces + [data[at : at + sizes[-1]] for at in range(0, len(data), sizes[-1])]


# What comes out

borders = st.sampled_from([0, 16, 48, 57, 1000, PIECE_SIZE, 2 * PIECE_SIZE, 5 * PIECE_SIZE])
sizes = st.builds(lambda border, by: max(0, border + by), borders, st.integers(-20, 20))


@settings(max_examples=150)
@given(
    size=st.one_of(sizes, st.integers(0, 3_000_000)),
    cipher=st.sampled_from(CIPHERS),
    format_=st.sampled_from(FORMATS),
    line_end=st.sampled_from(sorted(LINE_ENDS)),
    data=st.data(),
)
def test_a_range_is_the_slice_of_what_was_sealed(
    holders: Holders, size: int, cipher: Any, format_: Any, line_end: str, data: st.DataObject
) -> None:
    plaintext = made_up(size)
    message = sealed(holders[0].certificate, plaintext, cipher=cipher, format=format_)
    if format_ != "der":
        message = LINE_ENDS[line_end](message)
    content = ranged(message, key=holders[0].key)
    assert content.is_direct
    assert content.size == size
    assert content.header.form == format_
    for _ in range(5):
        start = data.draw(st.one_of(st.integers(0, size), sizes.map(lambda at: min(at, size))))
        length = data.draw(st.one_of(st.integers(0, size - start), st.integers(0, 40)))
        length = min(length, size - start)
        assert content.read(start, length) == plaintext[start : start + length]
    content.verify()


@settings(max_examples=60)
@given(
    size=st.integers(0, 300_000),
    piece=st.one_of(st.integers(64, 5000), st.sampled_from([64, 127, 128, 255, 256, 65_536])),
    step=st.integers(1000, 70_000),
    first=st.integers(1, 100),
)
def test_pieces_of_any_one_size_are_direct(size: int, piece: int, step: int, first: int) -> None:
    """Also behind some of another size, and if blocks of the cipher lie across them."""
    plaintext = made_up(size)
    ciphertext = by_hand.cbc(plaintext)
    for sizes_ in ((piece,), (first, piece), (first, 1, piece)):
        content = ranged(enveloped(*cut(ciphertext, *sizes_)), key=SMALL_KEY)
        assert content.is_direct
        assert read_all(content, step) == plaintext
        content.verify()


@pytest.mark.parametrize(
    "line_length", [4, 60, 76, 1000, 100_000_000], ids=lambda length: f"{length} columns"
)
def test_lines_of_any_one_length_are_direct(holders: Holders, line_length: int) -> None:
    plaintext = made_up(200_000)
    head, _, body = sealed(holders[0].certificate, plaintext).partition(b"\n\n")
    text = body.replace(b"\n", b"")
    message = head + b"\n\n" + b"\n".join(cut(text, line_length))
    content = ranged(message, key=holders[0].key)
    assert content.is_direct
    assert read_all(content, 70_001) == plaintext


def test_a_range_is_read_without_what_is_before_it(holders: Holders) -> None:
    plaintext = made_up(20 << 20)
    for cipher in CIPHERS:
        for format_ in FORMATS:
            message = sealed(holders[0].certificate, plaintext, cipher=cipher, format=format_)
            file = Stored(message)
            content = open_ranged(file, key=holders[0].key)
            assert content.read(15 << 20, 100_000) == plaintext[15 << 20 :][:100_000]
            assert file.taken < 1 << 20


def test_ranges_are_read_by_several_threads(holders: Holders) -> None:
    plaintext = made_up(3_000_000)
    direct = ranged(sealed(holders[0].certificate, plaintext), key=holders[0].key)
    irregular = enveloped(*cut(by_hand.cbc(plaintext), *MANY_SIZES))
    sequential = ranged(irregular, key=SMALL_KEY)
    assert (direct.is_direct, sequential.is_direct) == (True, False)
    chosen = random.Random(1)
    starts = [chosen.randrange(2_900_000) for _ in range(60)]
    for content in (direct, sequential):
        with ThreadPoolExecutor(4) as pool:
            for start, piece in zip(
                starts, pool.map(content.read, starts, [100_000] * 60), strict=True
            ):
                assert piece == plaintext[start : start + 100_000]


def test_a_content_is_a_part_of_an_archive(holders: Holders) -> None:
    members = {f"{number}.json": made_up(100_000 * number) for number in range(9)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    parts: list[Part] = [
        ranged(sealed(holder.certificate, piece), key=holder.key)
        for holder, piece in zip(holders, cut(file.getvalue(), 2_000_000), strict=False)
    ]
    assert len(parts) == 2
    read = Archive(parts)
    found = {entry.name: b"".join(read.open(entry)) for entry in reversed(read.entries)}
    assert found == members


# What is not regular


def with_last_group_cut(message: bytes) -> bytes:
    """Put a line end into the last four characters, and so many spaces that it seems regular."""
    at, end = line_end(message), len(message.rstrip()) - 1
    return message[:at] + b"   " + message[at:end] + b"\n" + message[end:]


SPACED = "spaces after each line"
OTHERS: dict[str, Callable[[bytes], bytes]] = {
    SPACED: lambda message: message.replace(b"\n", b" \n"),
    "one line longer than the others": lambda message: without(message, line_end(message)),
    "an empty line at the beginning": lambda message: message.replace(b"\n\n", b"\n\n\n", 1),
    "much space after it": lambda message: message + b"\n" * 70_000,
    "an empty line at the end": lambda message: message[:-20] + b"\n\n" + message[-20:],
    "a line end within the last group": with_last_group_cut,
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_message_with_other_lines_is_read_from_its_beginning(holders: Holders, name: str) -> None:
    plaintext = made_up(300_000)
    changed = OTHERS[name](sealed(holders[0].certificate, plaintext))
    check_sequential(ranged(changed, key=holders[0].key), plaintext)


@pytest.mark.parametrize(
    "message",
    [
        lambda text: enveloped(*cut(by_hand.cbc(text), *MANY_SIZES)),
        lambda text: enveloped(*cut(by_hand.cbc(text), 63)),
        lambda text: by_hand.auth_enveloped(infos(), text, nonce=bytes(16)),
    ],
    ids=["pieces of many sizes", "short pieces", "a nonce of 16 bytes"],
)
def test_a_message_with_other_pieces_is_read_from_its_beginning(
    message: Callable[[bytes], bytes],
) -> None:
    plaintext = made_up(1_000_000)
    check_sequential(ranged(message(plaintext), key=SMALL_KEY), plaintext)


@pytest.mark.parametrize("order", ["as they stand", "reversed", "at random"])
def test_an_archive_of_many_entries_is_opened_in_a_few_passes(order: str) -> None:
    """Also where the directory lists them in another order than that in which they stand."""
    members = {f"{number}.json": made_up(20) * (number % 9) for number in range(500)}
    members["large"] = made_up(3 << 20)
    file = _Streamed()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        if order == "reversed":
            archive.filelist.reverse()
        elif order == "at random":
            random.Random(1).shuffle(archive.filelist)
    stored = Stored(enveloped(*cut(by_hand.cbc(bytes(file.data)), *MANY_SIZES)))
    content = open_ranged(stored, key=SMALL_KEY)
    assert not content.is_direct
    read = Archive([content])
    assert [entry.name for entry in read.entries] == [info.filename for info in archive.filelist]
    assert stored.taken < 6 * stored.size


class _Streamed(io.RawIOBase):
    """What was written, where nothing can be written again: entries have descriptors then."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.data += data
        return len(data)


def check_sequential(content: RangedContent, plaintext: bytes) -> None:
    assert not content.is_direct
    assert content.size == len(plaintext)
    for start, size in ((5000, 1000), (5500, 100_000), (0, 10), (10, 0), (len(plaintext) - 1, 1)):
        assert content.read(start, size) == plaintext[start : start + size]
    content.verify()
    assert read_all(content, 99_999) == plaintext


def test_nested_strings_are_no_obstacle() -> None:
    """Pieces that are alike, but each within a string of its own."""
    plaintext = made_up(100_000)
    pieces = cut(by_hand.cbc(plaintext), 1000)
    nested = [b"\x24\x80" + by_hand.octets(piece) + b"\0\0" for piece in pieces]
    content = b"\xa0\x80" + b"".join(nested) + b"\0\0"
    message = by_hand.enveloped(infos(), encrypted_content=content)
    assert ranged_outcome(message, 7777, key=SMALL_KEY) == plaintext


@given(
    content=st.binary(max_size=100),
    mac_size=st.sampled_from([None, 12, 13, 14, 15, 16]),
    values=st.lists(st.binary(max_size=60), max_size=4, unique=True),
)
def test_authenticated_attributes_are_proven_too(
    content: bytes, mac_size: int | None, values: list[bytes]
) -> None:
    attributes = b"".join(sorted(map(by_hand.attribute, values)))
    message = by_hand.auth_enveloped(infos(), content, mac_size=mac_size, attributes=attributes)
    assert ranged_outcome(message, key=SMALL_KEY) == content
    if any(values):
        value = max(values)
        other = by_hand.attribute(value[:-1] + bytes([value[-1] ^ 1]))
        changed = message.replace(by_hand.attribute(value), other)
        assert str(ranged_outcome(changed, key=SMALL_KEY)).startswith(ONE_ERROR)


# What is wrong


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_each_byte_changed_is_an_error_or_what_decrypting_gives(
    holders: Holders, cipher: Any, format_: Any
) -> None:
    """With OAEP, where a wrong content key is always told; in CBC an IV may be changed."""
    message = sealed(
        holders[0].certificate, b"content", cipher=cipher, format=format_, key_transport="oaep"
    )
    step = 1 if format_ == "der" else 3
    for at in range(0, len(message), step):
        changed = message[:at] + bytes([message[at] ^ (1 << at % 7)]) + message[at + 1 :]
        found = ranged_outcome(changed, key=holders[0].key)
        expected = sequential_outcome(changed, key=holders[0].key)
        if isinstance(expected, bytes):
            assert found == expected
        else:
            assert isinstance(found, str)
            assert found.startswith(ONE_ERROR) == expected.startswith(ONE_ERROR)
        assert isinstance(found, str) or found == b"content" or "cbc" in cipher


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_every_prefix_is_refused(holders: Holders, cipher: Any, format_: Any) -> None:
    message = sealed(holders[0].certificate, cipher=cipher, format=format_)
    for size in range(len(message.rstrip(b"\n")) if format_ != "der" else len(message)):
        with pytest.raises(EnvelopeError):
            ranged(message[:size], key=holders[0].key)


@pytest.mark.parametrize("more", [1, 2, 3])
def test_base64_that_ends_within_a_group_is_refused(holders: Holders, more: int) -> None:
    messages = [sealed(holders[0].certificate, bytes(size)).rstrip() for size in (0, 16, 32)]
    whole = next(message for message in messages if not message.endswith(b"="))
    assert ranged(whole, key=holders[0].key).is_direct
    with pytest.raises(MessageError, match="base64"):
        ranged(whole + b"A" * more + b"\n", key=holders[0].key)


def test_a_definite_length_that_goes_beyond_the_end_is_refused() -> None:
    message = by_hand.enveloped(infos(), made_up(200_000))
    for size in range(len(message) - 40, len(message)):
        with pytest.raises(MessageError, match="too early"):
            ranged(message[:size], key=SMALL_KEY)


def replaced(message: bytes, at: int, new: bytes) -> bytes:
    return message[:at] + new + message[at + len(new) :]


def without(message: bytes, at: int) -> bytes:
    return message[:at] + message[at + 1 :]


def line_end(message: bytes) -> int:
    return message.index(b"\n", len(message) // 2)


def string_header(message: bytes) -> int:
    return message.index(b"\x04\x83\x04\x00\x00", len(message) // 2)


DAMAGE_OF_STRINGS: dict[str, Callable[[bytes], bytes]] = {
    "a longer octet string": lambda message: replaced(message, string_header(message) + 4, b"\1"),
    "another tag": lambda message: replaced(message, string_header(message), b"\2"),
}
DAMAGE = DAMAGE_OF_STRINGS | {
    "no line end": lambda message: replaced(message, line_end(message), b"A"),
    "a line end within a line": lambda message: replaced(message, line_end(message) + 9, b"\n"),
    "what is no base64": lambda message: replaced(message, line_end(message) + 9, b"*"),
    "a padding within": lambda message: replaced(message, line_end(message) + 9, b"="),
}


@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_of_the_structure_is_told_where_it_is_read(
    holders: Holders, kind: str, cipher: Any
) -> None:
    plaintext = made_up(12 * PIECE_SIZE)
    formats: list[Any] = ["der"] if kind in DAMAGE_OF_STRINGS else ["smime", "pem"]
    for format_ in formats:
        message = sealed(holders[0].certificate, plaintext, format=format_, cipher=cipher)
        content = ranged(DAMAGE[kind](message), key=holders[0].key)
        with pytest.raises(MessageError, match="malformed"):
            content.verify()
        with pytest.raises(MessageError, match="malformed"):
            content.read(content.size // 2 - PIECE_SIZE, 2 * PIECE_SIZE)
        assert content.read(0, 1000) == plaintext[:1000]
        assert content.read(content.size - 1000, 1000) == plaintext[-1000:]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_byte_that_is_missing_in_the_middle_is_told_at_once(
    holders: Holders, format_: Any
) -> None:
    message = sealed(holders[0].certificate, made_up(3 * PIECE_SIZE), format=format_)
    with pytest.raises(EnvelopeError):
        ranged(without(message, line_end(message) + 1), key=holders[0].key)


def with_lines_moved(message: bytes) -> bytes:
    """Make a line in the middle shorter by a character, and the twentieth after it longer."""
    lines = message.split(b"\n")
    middle = len(lines) // 2
    columns = len(lines[middle])
    text = b"".join(lines[middle : middle + 21])
    end = len(text) - columns - 1
    between = cut(text[columns - 1 : end], columns)
    lines[middle : middle + 21] = [text[: columns - 1], *between, text[end:]]
    return b"\n".join(lines)


@pytest.mark.parametrize("format_", ["smime", "pem"])
def test_lines_that_moved_never_give_other_bytes(holders: Holders, format_: Any) -> None:
    """A line is a character shorter and a later one longer: what is between is elsewhere."""
    plaintext = made_up(4 * PIECE_SIZE)
    message = sealed(holders[0].certificate, plaintext, format=format_)
    message = with_lines_moved(message)
    assert sequential_outcome(message, key=holders[0].key) == plaintext
    content = ranged(message, key=holders[0].key)
    refused = 0
    for start in range(content.size // 2 - 2000, content.size // 2 + 2000, 10):
        try:
            assert content.read(start, 10) == plaintext[start : start + 10]
        except MessageError:
            refused += 1
    assert refused
    with pytest.raises(MessageError, match="malformed"):
        content.verify()


@pytest.mark.parametrize("format_", FORMATS)
def test_a_changed_content_is_found_by_its_tag(holders: Holders, format_: Any) -> None:
    plaintext = made_up(3 * PIECE_SIZE)
    message = bytearray(
        sealed(holders[0].certificate, plaintext, format=format_, cipher=CIPHERS[2])
    )
    at = len(message) // 2
    while message[at] in b"\n":
        at += 1
    message[at] = ord("A") if message[at] != ord("A") else ord("B")
    content = ranged(bytes(message), key=holders[0].key)
    with pytest.raises(DecryptionError, match=ONE_ERROR):
        content.verify()


def test_a_wrong_key_is_the_one_error(holders: Holders) -> None:
    """At once where that may be known; by chance about once in 256 not at all, with CBC."""
    first, second, _ = holders
    for cipher in CIPHERS:
        message = sealed(first.certificate, cipher=cipher, key_transport="oaep")
        with pytest.raises(DecryptionError, match=ONE_ERROR):
            ranged(message, key=second.key)
    content = ranged(sealed(first.certificate, cipher="aes-256-gcm"), key=second.key)
    assert content.read(0, 7) != b"content"
    with pytest.raises(DecryptionError, match=ONE_ERROR):
        content.verify()
    found = [ranged_outcome(sealed(first.certificate), key=second.key) for _ in range(50)]
    assert b"content" not in found
    errors = {text for text in found if isinstance(text, str)}
    assert len(errors) == 1
    assert errors.pop().startswith(ONE_ERROR)


@pytest.mark.parametrize("size", [0, 1, 15, 17, 31])
def test_a_content_of_no_whole_blocks_is_the_one_error(size: int) -> None:
    message = by_hand.enveloped(infos(), encrypted_content=ber.tlv(0x80, bytes(size)))
    expected = sequential_outcome(message, key=SMALL_KEY)
    assert isinstance(expected, str)
    assert ranged_outcome(message, key=SMALL_KEY) == expected


def test_what_is_outside_of_the_content_is_refused(holders: Holders) -> None:
    irregular = OTHERS[SPACED](sealed(holders[0].certificate))
    for message in (sealed(holders[0].certificate), irregular):
        content = ranged(message, key=holders[0].key)
        for start, size in ((-1, 1), (0, 8), (7, 1), (8, 0), (0, -1), (3, 2**64)):
            with pytest.raises(JobError, match="there are no"):
                content.read(start, size)
        assert content.read(7, 0) == b""
        assert content.read(0, 7) == b"content"


class Shrinking(Stored):
    """A file that is cut off when it has been opened."""

    is_cut = False

    def read(self, offset: int, size: int, /) -> bytes:
        data = super().read(offset, size)
        return data[: size // 2] if self.is_cut else data


@pytest.mark.parametrize("kind", ["LF", SPACED])
def test_a_file_that_becomes_shorter_is_told(holders: Holders, kind: str) -> None:
    message = sealed(holders[0].certificate, bytes(3_000_000))
    file = Shrinking({**LINE_ENDS, **OTHERS}[kind](message))
    content = open_ranged(file, key=holders[0].key)
    file.is_cut = True
    for read in (content.verify, lambda: content.read(50_000, 10)):
        with pytest.raises(MessageError, match="shorter"):
            read()
    file.is_cut = False
    assert content.read(50_000, 10) == bytes(10)


def test_what_a_file_raises_passes_through(holders: Holders) -> None:
    class Broken(Stored):
        def read(self, offset: int, size: int, /) -> bytes:
            raise ConnectionError("of the store")

    with pytest.raises(ConnectionError, match="of the store"):
        open_ranged(Broken(sealed(holders[0].certificate)), key=holders[0].key)


def test_a_key_elsewhere_is_asked_once(holders: Holders) -> None:
    class Hsm:
        asked = 0

        def decrypt(self, encrypted_key: bytes, algorithm: KeyTransportIdentifier) -> bytes:
            self.asked += 1
            key: bytes = holders[0].key.decrypt(encrypted_key, algorithm.padding)
            return key

    message = sealed(holders[0].certificate, bytes(1000))
    for kind in (message, OTHERS[SPACED](message)):
        hsm = Hsm()
        content = ranged(kind, key=hsm, certificates=holders[0].certificate)
        assert content.read(500, 500) + content.read(0, 500) == bytes(1000)
        content.verify()
        assert hsm.asked == 1


@pytest.mark.parametrize("kind", ["LF", SPACED])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_memory_does_not_grow_with_the_content(holders: Holders, cipher: Any, kind: str) -> None:
    message = sealed(holders[0].certificate, bytes(40 << 20), cipher=cipher)
    file = Stored({**LINE_ENDS, **OTHERS}[kind](message))
    tracemalloc.start()
    content = open_ranged(file, key=holders[0].key)
    content.verify()
    assert content.read(39 << 20, 1000) == bytes(1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


@pytest.mark.parametrize("last", [0, 1, 100_000, 130_000, 200_000, PIECE_SIZE - 1])
@pytest.mark.parametrize("form", FORMATS)
def test_a_message_of_many_pieces_is_direct_however_long_the_last_is(
    form: Any, last: int, holders: Holders
) -> None:
    content = bytes(20 * PIECE_SIZE + last)
    message = sealed(holders[0].certificate, content, format=form)

    found = open_ranged(Stored(message), key=holders[0].key)

    assert found.is_direct
    assert read_all(found) == content
