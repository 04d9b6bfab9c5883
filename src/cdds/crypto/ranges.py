"""Any range of the content of a message, without reading and decrypting what is before it.

Place: beside `decryption`, which decrypts a message from its beginning, for files that can be read
by offset. In CBC mode the block before is all that decrypting a block needs; in GCM, its number.
So where `layout` tells where the ciphertext stands, only what is asked for is read. Any other
message is decrypted from its beginning, again where it is read far backward. Whatever may be wrong
with key or content gives the one error of `decryption`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from threading import Lock
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from cdds.crypto.certificates import CertificateSource
from cdds.crypto.content import BLOCK, MAX_GCM_SIZE
from cdds.crypto.decryption import WORKED_ON, Content, PrivateKeys, fail
from cdds.crypto.layout import LaidOut, RangedCiphertext, laid_out
from cdds.crypto.message import EncryptedMessage, Ending, MessageHeader
from cdds.crypto.private_keys import DecryptionKeySource
from cdds.crypto.ranged_octets import RangedFile, file_pieces
from cdds.crypto.recognition import READ_SIZE
from cdds.crypto.unwrapping import ContentKey
from cdds.errors import JobError, MessageError

_COUNTED_NONCE = 12  # bytes; with any other the counter begins anywhere (SP 800-38D, section 7.1)
_FIRST_COUNT = 2  # the count before is that of the tag
_KEPT = 1 << 20  # bytes of a content that is decrypted from its beginning


class _Plaintext(Protocol):
    """The content of a message, read in one of the ways there are."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes: ...

    def verify(self) -> None: ...


class RangedContent:
    """The content of an encrypted message, of which any range can be read; nothing of it is proven.

    What `Content.iter_unverified` says of its bytes holds for these too: until `verify` has
    returned they may be anything, and without authentication even then.

    Attributes:
        header: what the message says of itself.
        is_direct: whether a range is read without what is before it. Where it is not, the message
            is decrypted from its beginning, and again from there to read more than a MiB backward.
    """

    def __init__(self, header: MessageHeader, plaintext: _Plaintext, *, is_direct: bool) -> None:
        self.header = header
        self.is_direct = is_direct
        self._plaintext = plaintext

    def __repr__(self) -> str:
        return f"RangedContent({self.header!r}, size={self.size}, is_direct={self.is_direct})"

    @property
    def size(self) -> int:
        """The bytes of the content."""
        return self._plaintext.size

    def read(self, offset: int, size: int, /) -> bytes:
        """Return `size` bytes of the content from `offset`; several threads may call it at once.

        Where the content is not direct they wait for each other.

        Raises:
            DecryptionError: the content is damaged.
            MessageError: the message is malformed where these bytes are.
            JobError: some of them are not in the content.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise JobError(
                f"there are no {size} bytes at {offset} of a content of {self.size} bytes"
            )
        return self._plaintext.read(offset, size) if size else b""

    def verify(self) -> None:
        """Read the whole message once, and make sure that it is well formed to its end.

        Where it is authenticated (`MessageHeader.is_authenticated`), the content is then proven to
        be what was encrypted, as it was in the file at that time.

        Raises:
            DecryptionError: the key is wrong, or the content damaged.
            MessageError: the message is malformed.
        """
        self._plaintext.verify()


def open_ranged(
    file: RangedFile,
    *,
    key: DecryptionKeySource | None = None,
    keys: Iterable[DecryptionKeySource] = (),
    password: bytes | None = None,
    certificates: CertificateSource | Iterable[CertificateSource] = (),
) -> RangedContent:
    """Return the content of an encrypted message, of which any range can be read.

    Read are the messages of `cdds.Envelope.decrypt`. Direct are those with base64 lines of one
    length and octet strings of one size: those of this library, of ``openssl``, and of all who
    write the content in one piece. They are opened from both ends of the file; any other is
    decrypted once to its end.

    Args:
        file: the message.
        key: the private key, as in `cdds.Envelope.decrypt`, and so are the others.
        keys: several of them.
        password: what those keys are encrypted with that are.
        certificates: the key's certificate, or several.

    Raises:
        DecryptionError: the key is wrong, or the content damaged, as far as that can be told; of
            what is authenticated, `RangedContent.verify` tells the rest.
        CertificateError: a key or a certificate cannot be read, or they do not belong together.
        MessageError: the message is malformed, or is of a kind that is not read.
        JobError: no key was given.
    """
    return ranged_content(file, PrivateKeys.loaded(key, keys, password, certificates))


def ranged_content(file: RangedFile, private_keys: PrivateKeys) -> RangedContent:
    """Return what `open_ranged` does, given keys that have been loaded."""
    found = laid_out(file)
    if found is None or not _is_counted(found.header):
        header = EncryptedMessage(file_pieces(file, READ_SIZE)).header
        content_key = private_keys.content_key(header)
        return RangedContent(header, _Sequential(file, content_key), is_direct=False)
    content_key = private_keys.content_key(found.header)
    return RangedContent(found.header, _direct(found, content_key), is_direct=True)


def _is_counted(header: MessageHeader) -> bool:
    """Tell whether what decrypts a block follows from its number alone."""
    return not header.is_authenticated or len(header.cipher.nonce) == _COUNTED_NONCE


def _direct(found: LaidOut, key: ContentKey) -> _Plaintext:
    nonce = found.header.cipher.nonce
    plaintext: _Plaintext
    if found.header.is_authenticated:
        plaintext = _Gcm(found.ciphertext, key.key, nonce, found.ending)
    else:
        plaintext = _Cbc(found.ciphertext, key.key, nonce)
    if key.is_wrong:
        fail()
    return plaintext


class _Cbc:
    """AES in CBC mode, where nothing authenticates the content (RFC 3565)."""

    def __init__(self, ciphertext: RangedCiphertext, key: bytes, iv: bytes) -> None:
        self._ciphertext = ciphertext
        self._key = algorithms.AES(key)
        self._iv = iv
        if not ciphertext.size or ciphertext.size % BLOCK:
            fail()
        last = ciphertext.size - BLOCK
        self.size = last + _unpadded_size(self._decrypted(last, BLOCK))

    def read(self, offset: int, size: int) -> bytes:
        return self._decrypted(offset, size)

    def verify(self) -> None:
        for _ in self._ciphertext.pieces(0, self._ciphertext.size):
            pass

    def _decrypted(self, offset: int, size: int) -> bytes:
        start = offset - offset % BLOCK
        end = offset + size + -(offset + size) % BLOCK
        iv = self._iv
        if start:
            iv = b"".join(self._ciphertext.pieces(start - BLOCK, BLOCK))
        decryptor = Cipher(self._key, modes.CBC(iv)).decryptor()
        pieces = self._ciphertext.pieces(start, end - start)
        blocks = b"".join(map(decryptor.update, pieces))
        return blocks[offset - start : offset - start + size]


class _Gcm:
    """AES in Galois/Counter Mode: counter mode, and a tag over all of it (SP 800-38D)."""

    def __init__(
        self, ciphertext: RangedCiphertext, key: bytes, nonce: bytes, ending: Ending
    ) -> None:
        self._ciphertext = ciphertext
        self._key = algorithms.AES(key)
        self._nonce = nonce
        self._ending = ending
        self.size = ciphertext.size
        if self.size > MAX_GCM_SIZE:
            fail()

    def read(self, offset: int, size: int) -> bytes:
        block, skipped = divmod(offset, BLOCK)
        counter = self._nonce + (block + _FIRST_COUNT).to_bytes(BLOCK - _COUNTED_NONCE, "big")
        decryptor = Cipher(self._key, modes.CTR(counter)).decryptor()
        pieces = self._ciphertext.pieces(offset - skipped, size + skipped)
        return b"".join(map(decryptor.update, pieces))[skipped:]

    def verify(self) -> None:
        mac = self._ending.mac
        mode = modes.GCM(self._nonce, mac, min_tag_length=len(mac))
        decryptor = Cipher(self._key, mode).decryptor()
        decryptor.authenticate_additional_data(self._ending.attributes)
        unused = bytearray(WORKED_ON + BLOCK)
        for piece in self._ciphertext.pieces(0, self.size):
            for start in range(0, len(piece), WORKED_ON):
                decryptor.update_into(piece[start : start + WORKED_ON], unused)
        try:
            decryptor.finalize()
        except InvalidTag:
            fail()


def _unpadded_size(block: bytes) -> int:
    unpadder = PKCS7(BLOCK * 8).unpadder()
    try:
        return len(unpadder.update(block) + unpadder.finalize())
    except ValueError:
        fail()


class _Sequential:
    """A content that is decrypted from its beginning, and again from there to read far backward.

    What was decrypted last is kept: whoever reads an archive takes many small steps back, between
    its headers and from its end to its directory.
    """

    def __init__(self, file: RangedFile, key: ContentKey) -> None:
        self._file = file
        self._key = key
        self._lock = Lock()
        self._begin()
        for piece in self._pieces:
            self._keep(piece)
        self.size = self._position

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            if offset < self._kept_from:
                self._begin()
            try:
                return b"".join(self._between(offset, offset + size))
            except BaseException:
                self._begin()
                raise

    def verify(self) -> None:
        for _ in self._decrypted():
            pass

    def _decrypted(self) -> Generator[bytes]:
        message = EncryptedMessage(file_pieces(self._file, READ_SIZE))
        yield from Content(message, self._key).iter_unverified()

    def _begin(self) -> None:
        self._pieces = self._decrypted()
        self._kept: deque[bytes] = deque()
        self._kept_from = self._position = 0

    def _between(self, start: int, end: int) -> Iterator[memoryview]:
        """Yield what is kept from `start` on, and what comes after it, up to `end`."""
        at = self._kept_from
        for piece in tuple(self._kept):
            yield _overlap(piece, at, start, end)
            at += len(piece)
        while self._position < end:
            at, piece = self._position, self._next_piece()
            self._keep(piece)
            yield _overlap(piece, at, start, end)

    def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._position += len(piece)
        while self._position - self._kept_from - len(self._kept[0]) >= _KEPT:
            self._kept_from += len(self._kept.popleft())

    def _next_piece(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise MessageError("the message has become shorter while it was read")


def _overlap(piece: bytes, at: int, start: int, end: int) -> memoryview:
    """Return what a piece that stands `at` a place has between two others."""
    return memoryview(piece)[max(0, start - at) : max(0, end - at)]
