"""The parser of BER: what it reads is what was written, and whatever it is given, it is bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdds.crypto import ber
from cdds.crypto.ber_parser import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_SHORT_PIECES,
    Element,
    Octets,
    Parser,
    parse,
)
from cdds.errors import MessageError

TREES = st.recursive(
    st.builds(Element, st.sampled_from([0x02, 0x04, 0x0C, 0x80]), st.binary(max_size=300)),
    lambda inner: st.builds(
        Element, st.sampled_from([0x30, 0x31, 0xA0]), st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def written(tree: Element, choose: Iterator[bool]) -> bytes:
    """Return a tree in BER, with long forms of lengths and indefinite ones where chosen."""
    if isinstance(tree.contents, bytes):
        contents = tree.contents
    else:
        contents = b"".join(written(child, choose) for child in tree.contents)
        if next(choose):
            return bytes([tree.tag, 0x80]) + contents + b"\0\0"
    if next(choose):
        return bytes([tree.tag, 0x84]) + len(contents).to_bytes(4, "big") + contents
    return ber.tlv(tree.tag, contents)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(tree=TREES, random=st.randoms(use_true_random=False), size=st.integers(1, 50))
def test_what_was_written_is_read_in_any_pieces(tree: Element, random: object, size: int) -> None:
    choose = iter(lambda: bool(random.getrandbits(1)), None)  # type: ignore[attr-defined]
    parser = Parser(Octets(cut(written(tree, choose), size)))
    assert parser.element() == tree
    parser.end()


@given(tree=TREES, random=st.randoms(use_true_random=False))
def test_der_is_one_encoding_of_all(tree: Element, random: object) -> None:
    """However a value was written, its DER is the same, and is DER."""
    choose = iter(lambda: bool(random.getrandbits(1)), None)  # type: ignore[attr-defined]
    der = parse(written(tree, choose)).der()
    assert der == tree.der() == parse(der).der()


@given(tree=TREES, random=st.randoms(use_true_random=False))
def test_what_is_skipped_is_passed_over_whole(tree: Element, random: object) -> None:
    choose = iter(lambda: bool(random.getrandbits(1)), None)  # type: ignore[attr-defined]
    parser = Parser(Octets(iter([written(tree, choose), ber.integer(7)])))
    parser.skip()
    assert parser.element().integer() == 7


@given(data=st.binary(max_size=200))
def test_any_octets_are_an_element_or_the_one_error(data: bytes) -> None:
    try:
        element = parse(data)
    except MessageError:
        return
    assert parse(element.der()).tag == element.tag


@given(number=st.integers(-(2**200), 2**200))
def test_numbers(number: int) -> None:
    assert parse(ber.integer(number)).integer() == number


@given(
    arcs=st.lists(st.integers(0, 2**60), max_size=6),
    start=st.sampled_from(["0.0", "0.39", "1.2", "2.0", "2.999"]),
)
def test_object_identifiers(arcs: list[int], start: str) -> None:
    dotted = ".".join([start, *map(str, arcs)])
    assert parse(ber.object_identifier(dotted)).object_identifier() == dotted


@given(pieces=st.lists(st.binary(max_size=50), max_size=6), nested=st.booleans())
def test_strings_in_pieces_are_one_string(pieces: list[bytes], nested: bool) -> None:
    strings = b"".join(ber.tlv(0x04, piece) for piece in pieces)
    if nested:
        strings = b"\x24\x80" + strings + b"\0\0" + ber.tlv(0x04, b"end")
        pieces = [*pieces, b"end"]
    parser = Parser(Octets(iter([b"\xa0\x80" + strings + b"\0\0"])))
    assert b"".join(parser.string(0x80)) == b"".join(pieces)
    parser.end()


def million_levels() -> Iterator[bytes]:
    return (b"\x30\x80" * 1000 for _ in range(1000))


def many_elements() -> Iterator[bytes]:
    yield b"\x30\x80"
    yield from (b"\x05\x00" * 1000 for _ in range(1000))


def long_string() -> Iterator[bytes]:
    yield b"\x04\x88" + (2**63).to_bytes(8, "big")
    yield from (bytes(1 << 20) for _ in range(64))


HOSTILE = {
    "a million levels": (million_levels, f"deeper than {MAX_DEPTH}"),
    "a million elements": (many_elements, "too large"),
    "a length of 2^63": (long_string, "too large"),
}


@pytest.mark.parametrize("read", ["element", "skip"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_octets_end_in_bounded_memory(name: str, read: str) -> None:
    """Only what is kept is limited in size; what is passed over is limited by what there is."""
    octets, message = HOSTILE[name]
    tracemalloc.start()
    with pytest.raises(MessageError) as caught:
        getattr(Parser(Octets(octets())), read)()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert message in str(caught.value) or read == "skip"


def test_a_string_is_not_cut_into_too_many_short_pieces() -> None:
    pieces = (ber.tlv(0x04, b"x") * 1000 for _ in range(MAX_SHORT_PIECES // 1000))
    right = Parser(Octets(iter([b"\xa0\x80", *pieces, b"\0\0"])))
    assert sum(map(len, right.string(0x80))) == MAX_SHORT_PIECES
    pieces = (ber.tlv(0x04, b"x") * 1000 for _ in range(MAX_SHORT_PIECES // 1000 + 1))
    wrong = Parser(Octets(iter([b"\xa0\x80", *pieces, b"\0\0"])))
    with pytest.raises(MessageError, match="too many short pieces"):
        list(wrong.string(0x80))


MALFORMED = {
    "a primitive value of indefinite length": "0480 00 0000",
    "a length of nine octets": "3089 000000000000000001 00",
    "a child beyond its parent": "3003 0402 ffff",
    "a child of indefinite length beyond its parent": "3004 3080 0500 0000",
    "no end": "3080 0500",
    "a damaged end": "3080 0500 0001",
    "an end in a definite length": "3002 0000",
    "an end alone": "0000",
    "a high tag number": "1f8101 00",
    "nothing": "",
    "half a header": "30",
    "something after it": "0500 00",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_octets_are_refused(name: str) -> None:
    with pytest.raises(MessageError, match="malformed"):
        parse(bytes.fromhex(MALFORMED[name]))


def test_elements_are_limited_from_both_sides() -> None:
    assert len(parse(ber.tlv(0x30, ber.NULL * (MAX_ELEMENTS - 1))).children(0x30, 0, 9999)) == 1999
    with pytest.raises(MessageError, match="too large"):
        parse(ber.tlv(0x30, ber.NULL * MAX_ELEMENTS))
