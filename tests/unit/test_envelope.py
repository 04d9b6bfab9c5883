"""Sealed messages: stock OpenSSL opens them, and every byte lies where it can be computed.

The layout is worked out here from RFC 5652, X.690 and RFC 2045, not from the code under test.
"""

from __future__ import annotations

import base64
import itertools
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.crypto import Envelope
from cdds.crypto.envelope import PIECE_SIZE
from cdds.errors import CertificateError

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]
Holders: TypeAlias = tuple[Any, ...]

SIZES = [0, 1, 15, 16, 17, 56, 57, 58, 113, 114, 115]
SIZES += [PIECE_SIZE + step for step in (-17, -16, -15, -1, 0, 1, 15, 16)]
SIZES += [2 * PIECE_SIZE - 1, 2 * PIECE_SIZE, 3 * PIECE_SIZE + 5]


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@attrs.frozen
class Case:
    """A content and how it is cut, told in few words: it can be made again at any time."""

    size: int
    ends: list[int]
    views: bool

    @property
    def data(self) -> bytes:
        return content(self.size)

    @property
    def pieces(self) -> list[bytes | memoryview]:
        data = memoryview(self.data)
        pairs = itertools.pairwise([0, *self.ends, self.size])
        return [data[a:b] if self.views else bytes(data[a:b]) for a, b in pairs]


@st.composite
def cases(draw: st.DrawFn, sizes: st.SearchStrategy[int]) -> Case:
    """Return a content in pieces of any size: crumbs, empty ones, views."""
    size = draw(sizes)
    if size <= 200 and draw(st.booleans()):
        ends = list(range(size + 1))
    else:
        ends = sorted(draw(st.lists(st.integers(0, size), max_size=6)))
    return Case(size, ends, draw(st.booleans()))


ANY_SIZE = st.sampled_from(SIZES) | st.integers(0, 2000)


def seal(recipients: Sequence[Any], pieces: Sequence[bytes | memoryview], **options: Any) -> bytes:
    return b"".join(Envelope(recipients, **options).encrypt(pieces))


def opened(openssl: str, *arguments: str | Path) -> bytes:
    done = subprocess.run([openssl, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("command", ["smime", "cms"])
@pytest.mark.parametrize("count", [1, 3])
@given(case=cases(ANY_SIZE))
@settings(max_examples=20)
def test_openssl_gives_the_content_back(
    judge: Judge,
    folder: TemporaryFolder,
    holders: Holders,
    command: str,
    count: int,
    case: Case,
) -> None:
    """Any content in any pieces; each recipient opens it with the own key and certificate."""
    openssl = judge("openssl")
    data, pieces = case.data, case.pieces
    message = seal([holder.certificate for holder in holders[:count]], pieces)
    with folder() as home:
        path = home / "message"
        path.write_bytes(message)
        for holder in holders[:count]:
            found = opened(
                openssl,
                *(command, "-decrypt", "-binary", "-in", path),
                *("-inkey", holder.key_file, "-recip", holder.certificate_file),
            )
            assert found == data


@pytest.mark.parametrize("size", SIZES)
def test_openssl_opens_every_border(
    judge: Judge, folder: TemporaryFolder, holders: Holders, size: int
) -> None:
    """Block, line and piece borders, by the key alone as the README shows it."""
    with folder() as home:
        (home / "message").write_bytes(seal([holders[0].certificate_file], [content(size)]))
        found = opened(
            judge("openssl"),
            *("smime", "-decrypt", "-binary", "-in", home / "message"),
            *("-inkey", holders[0].key_file),
        )
    assert found == content(size)


def test_a_stranger_cannot_open_it(judge: Judge, folder: TemporaryFolder, holders: Holders) -> None:
    """Another key with its own certificate finds no message for it."""
    with folder() as home:
        (home / "message").write_bytes(seal([holders[0].certificate], [b"secret" * 1000]))
        done = subprocess.run(
            [judge("openssl"), "cms", "-decrypt", "-binary", "-in", str(home / "message")]
            + ["-inkey", str(holders[1].key_file), "-recip", str(holders[1].certificate_file)],
            capture_output=True,
            check=False,
        )
    assert done.returncode != 0
    assert b"secret" not in done.stdout


def test_pyca_gives_the_content_back(holders: Holders) -> None:
    """As far as it reads BER of indefinite length."""
    message = seal([holders[0].certificate], [content(1000)])
    try:
        found = pkcs7.pkcs7_decrypt_smime(message, holders[0].certificate, holders[0].key, [])
    except ValueError as error:
        pytest.skip(f"this version of cryptography reads no such message: {error}")
    assert found == content(1000)


# What the message looks like


def test_the_header_lines_are_those_of_openssl(
    judge: Judge, folder: TemporaryFolder, holders: Holders
) -> None:
    """Byte for byte, so that whoever knows the one knows the other."""
    with folder() as home:
        (home / "content").write_bytes(b"content")
        theirs = opened(
            judge("openssl"),
            *("smime", "-encrypt", "-binary", "-aes256", "-in", home / "content"),
            holders[0].certificate_file,
        )
    ours = seal([holders[0].certificate], [b"content"])
    assert theirs.partition(b"\n\n")[0] == ours.partition(b"\n\n")[0]
    assert ours.partition(b"\n\n")[0].count(b"\n") == 3


@attrs.frozen
class Value:
    """A BER value: its tag, where its contents begin, and its contents if the length is told."""

    tag: int
    start: int
    length: int | None

    def end(self) -> int:
        assert self.length is not None
        return self.start + self.length


def read_value(data: bytes, at: int) -> Value:
    """Read tag and length (X.690, 8.1): single-byte tags, all forms of length."""
    tag, first = data[at], data[at + 1]
    if first == 0x80:
        return Value(tag, at + 2, None)
    if first < 0x80:
        return Value(tag, at + 2, first)
    octets = first & 0x7F
    return Value(tag, at + 2 + octets, int.from_bytes(data[at + 2 : at + 2 + octets], "big"))


@attrs.frozen
class Parsed:
    """The parts of an EnvelopedData message."""

    recipients: list[bytes]
    iv: bytes
    first_piece: int
    pieces: list[bytes]


def parse(ber: bytes) -> Parsed:
    """Walk down ContentInfo, EnvelopedData, EncryptedContentInfo (RFC 5652, 3 and 6.1)."""

    def expect(at: int, tag: int) -> Value:
        value = read_value(ber, at)
        assert value.tag == tag
        return value

    at = expect(0, 0x30).start  # ContentInfo
    oid = expect(at, 0x06)
    assert ber[oid.start : oid.end()] == bytes.fromhex("2a864886f70d010703")
    at = expect(expect(oid.end(), 0xA0).start, 0x30).start  # EnvelopedData
    version = expect(at, 0x02)
    assert ber[version.start : version.end()] == b"\x00"
    infos = expect(version.end(), 0x31)
    recipients, at = [], infos.start
    while at < infos.end():
        info = expect(at, 0x30)
        recipients.append(ber[at : info.end()])
        at = info.end()
    at = expect(infos.end(), 0x30).start  # EncryptedContentInfo
    kind = expect(at, 0x06)
    assert ber[kind.start : kind.end()] == bytes.fromhex("2a864886f70d010701")
    algorithm = expect(kind.end(), 0x30)
    aes = expect(algorithm.start, 0x06)
    assert ber[aes.start : aes.end()] == bytes.fromhex("60864801650304012a")
    iv = expect(aes.end(), 0x04)
    first = at = expect(algorithm.end(), 0xA0).start
    pieces = []
    while ber[at : at + 2] != b"\x00\x00":
        piece = expect(at, 0x04)
        pieces.append(ber[piece.start : piece.end()])
        at = piece.end()
    assert ber[at:] == b"\x00\x00" * 5  # each open length is closed, and nothing follows
    return Parsed(recipients, ber[iv.start : iv.end()], first, pieces)


def body_of(message: bytes) -> bytes:
    return message.partition(b"\n\n")[2]


@given(cases(ANY_SIZE))
@settings(max_examples=60)
def test_lines_and_pieces_lie_where_they_can_be_computed(holders: Holders, case: Case) -> None:
    """Lines hold 57 bytes, pieces one fixed size; only the last of either may be shorter."""
    data, pieces = case.data, case.pieces
    message = seal([holders[0].certificate], pieces)
    body = body_of(message)
    lines = body.split(b"\n")
    while lines and not lines[-1]:
        lines.pop()
    assert all(len(line) == 76 for line in lines[:-1])
    assert 0 < len(lines[-1]) <= 76
    assert b"\r" not in message
    ber = base64.b64decode(b"".join(lines), validate=True)
    for number in {0, 1, len(lines) // 2, len(lines) - 1} & set(range(len(lines))):
        at = len(message) - len(body) + 77 * number
        line = message[at : at + 77].partition(b"\n")[0]
        assert base64.b64decode(line) == ber[57 * number : 57 * number + 57]
    parsed = parse(ber)
    encrypted = len(data) // 16 * 16 + 16
    assert sum(map(len, parsed.pieces)) == encrypted
    size = len(parsed.pieces[0]) if len(parsed.pieces) > 1 else PIECE_SIZE
    assert size == PIECE_SIZE
    assert [len(piece) for piece in parsed.pieces[:-1]] == [size] * (len(parsed.pieces) - 1)
    assert 0 < len(parsed.pieces[-1]) <= size
    header = 2 + (size.bit_length() + 7) // 8
    for number, piece in enumerate(parsed.pieces):
        at = parsed.first_piece + number * (header + size)
        assert read_value(ber, at).length == len(piece)
        start = read_value(ber, at).start
        assert ber[start : start + len(piece)] == piece


@given(cases(st.sampled_from([PIECE_SIZE + 1, 3 * PIECE_SIZE + 5, 2 * PIECE_SIZE])))
@settings(max_examples=10)
def test_decrypting_can_begin_at_any_piece(holders: Holders, case: Case) -> None:
    """CBC needs the block before, and that is the end of the piece before."""
    data, pieces = case.data, case.pieces
    key, iv = content(32), content(16)
    randoms = iter([key, iv])
    message = seal([holders[0].certificate], pieces, random=lambda _: next(randoms))
    parsed = parse(base64.b64decode(body_of(message)))
    assert parsed.iv == iv
    before = iv
    for number, piece in enumerate(parsed.pieces):
        decryptor = Cipher(algorithms.AES(key), modes.CBC(before)).decryptor()
        plain = decryptor.update(piece) + decryptor.finalize()
        part = data[number * PIECE_SIZE : (number + 1) * PIECE_SIZE]
        assert plain[: len(part)] == part
        before = piece[-16:]
    rest = plain[len(part) :]
    assert rest == bytes([16 - len(data) % 16]) * (16 - len(data) % 16)


def test_chunking_does_not_show(holders: Holders) -> None:
    """The encrypted content depends on the content alone: no length of a chunk leaks."""
    data = content(PIECE_SIZE + 1000)

    def message(step: int) -> list[bytes]:
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        sealed = seal([holders[0].certificate], chunks, random=lambda size: b"r" * size)
        return parse(base64.b64decode(body_of(sealed))).pieces

    assert message(len(data)) == message(100) == message(PIECE_SIZE)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_recipient_is_named_and_gets_the_same_key(holders: Holders, count: int) -> None:
    """KeyTransRecipientInfo v0 by issuer and serial number, RSA PKCS#1 v1.5, sorted as in DER."""
    message = seal([holder.certificate for holder in holders[:count]], [b"x"])
    infos = parse(base64.b64decode(body_of(message))).recipients
    assert len(infos) == count
    assert infos == sorted(infos)
    keys = set()
    for holder in holders[:count]:
        serial = holder.certificate.serial_number
        issuer = holder.certificate.issuer.public_bytes()
        (info,) = [info for info in infos if issuer in info]
        number = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
        assert info[4:7] == b"\x02\x01\x00"
        assert issuer + bytes([2, len(number)]) + number in info
        assert bytes.fromhex("300d06092a864886f70d0101010500") in info
        keys.add(holder.key.decrypt(info[-holder.key.key_size // 8 :], padding.PKCS1v15()))
    assert len(keys) == 1
    assert len(keys.pop()) == 32


@pytest.mark.parametrize("serial", [1, 127, 128, 255, 256, 2**64 - 1, 2**159 - 1])
def test_any_serial_number_is_named_rightly(
    judge: Judge, folder: TemporaryFolder, holders: Holders, issue: Any, serial: int
) -> None:
    """Its leading bit decides whether the encoding needs a byte more."""
    certificate = issue("Numbered", key=holders[0].key, serial=serial)
    with folder() as home:
        (home / "c.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (home / "message").write_bytes(seal([certificate], [b"content"]))
        found = opened(
            judge("openssl"),
            *("smime", "-decrypt", "-binary", "-in", home / "message"),
            *("-inkey", holders[0].key_file, "-recip", home / "c.pem"),
        )
    assert found == b"content"


def test_it_is_a_mime_message(holders: Holders) -> None:
    """A mail program finds type, name and encoding."""
    message = message_from_bytes(seal([holders[0].certificate], [b"x"]))
    assert message.get_content_type() == "application/x-pkcs7-mime"
    assert message.get_param("smime-type") == "enveloped-data"
    assert message.get_filename() == "smime.p7m"
    assert message["Content-Transfer-Encoding"] == "base64"


# Keys and randomness


def test_each_message_has_a_fresh_key_and_iv(holders: Holders) -> None:
    """Also from one envelope, also for the same content."""
    envelope = Envelope([holders[0].certificate])
    parsed = [
        parse(base64.b64decode(body_of(b"".join(envelope.encrypt([b"same"]))))) for _ in range(5)
    ]
    keys = {holders[0].key.decrypt(one.recipients[0][-256:], padding.PKCS1v15()) for one in parsed}
    assert len(keys) == len({one.iv for one in parsed}) == 5


def test_the_random_source_is_the_one_that_is_given(holders: Holders) -> None:
    """Key and IV, and nothing else, come from it: 32 and 16 bytes for each message."""
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes([len(asked)]) * size

    envelope = Envelope([holders[0].certificate], random=source)
    for number in (1, 2):
        parsed = parse(base64.b64decode(body_of(b"".join(envelope.encrypt([b"x"])))))
        key = holders[0].key.decrypt(parsed.recipients[0][-256:], padding.PKCS1v15())
        assert (key, parsed.iv) == (bytes([2 * number - 1]) * 32, bytes([2 * number]) * 16)
    assert sorted(asked) == [16, 16, 32, 32]


def test_the_representation_of_an_envelope_holds_no_key(holders: Holders) -> None:
    """Neither does that of what it is made of."""
    envelope = Envelope([holders[0].certificate], random=lambda size: b"K" * size)
    assert "KKKK" not in repr(envelope)


# What goes wrong


class OwnError(Exception):
    """An error that this library knows nothing of."""


@given(
    size=st.sampled_from([0, 1, 57, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 3 * PIECE_SIZE]),
    base=st.booleans(),
)
@settings(max_examples=20)
def test_an_error_of_the_content_passes_through_and_the_message_has_no_end(
    holders: Holders, size: int, base: bool
) -> None:
    """What is there decodes to no complete message, so nobody can take it for one."""
    error: BaseException = KeyboardInterrupt() if base else OwnError("mine")

    def broken() -> Iterator[bytes]:
        yield content(size)
        raise error

    out = bytearray()
    with pytest.raises(type(error)) as caught:
        for part in Envelope([holders[0].certificate]).encrypt(broken()):
            out += part
    assert caught.value is error
    text = body_of(bytes(out)).replace(b"\n", b"")
    ber = base64.b64decode(text[: len(text) // 4 * 4])
    assert not ber.endswith(b"\x00\x00" * 5)
    assert len(ber) < len(content(size)) // PIECE_SIZE * (PIECE_SIZE + 5) + 1000


def test_a_message_is_sealed_as_it_is_pulled(holders: Holders) -> None:
    """An endless content is sealed in bounded memory."""
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield content(PIECE_SIZE)

    parts = Envelope([holders[0].certificate]).encrypt(endless())
    out = 0
    while out < 20 * PIECE_SIZE:
        out += len(next(parts))
        assert asked <= out // PIECE_SIZE + 3


@pytest.mark.parametrize("recipients", [[], (), iter([])])
def test_nobody_is_no_recipient(recipients: Any) -> None:
    """An envelope that nobody can open is never made."""
    with pytest.raises(CertificateError):
        Envelope(recipients)


def test_validity_is_checked_for_all_recipients(holders: Holders, issue: Any) -> None:
    """One that is not valid refuses all; those that expire soon are warned of, each."""
    now = holders[0].certificate.not_valid_before_utc + timedelta(days=1)
    soon = [
        issue(
            f"Soon {number}", key=rsa.generate_private_key(65537, 2048), end=now + timedelta(days=2)
        )
        for number in range(2)
    ]
    envelope = Envelope([holders[0].certificate, *soon])
    assert len(envelope.check_validity(now)) == 2
    with pytest.raises(CertificateError):
        envelope.check_validity(now + timedelta(days=3))
