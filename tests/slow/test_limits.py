"""Sizes beyond what thirty-two bits hold, in archives and in messages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cdds.archive import Entry, Packager
from cdds.crypto import Envelope
from cdds.crypto.content import AesGcm
from cdds.errors import EnvelopeError

Judge: TypeAlias = Callable[[str], str]

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
NOISE = [os.urandom(MIB) for _ in range(16)]


def noise(size: int) -> Iterator[bytes]:
    """Yield so many MiB that cannot be compressed."""
    return (NOISE[number % len(NOISE)] for number in range(size))


def zeros(size: int) -> Iterator[bytes]:
    return (bytes(MIB) for _ in range(size))


def write(folder: Path, packager: Packager, entries: list[Entry]) -> list[Path]:
    paths = []
    for segment in packager.pack(entries):
        paths.append(folder / f"archive{segment.suffix}")
        with paths[-1].open("wb") as file:
            file.writelines(segment.chunks)
    return paths


def call(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:] + done.stdout[-1000:]


def test_entries_and_offsets_above_4_gib(judge: Judge, tmp_path: Path) -> None:
    """An entry of 5 GiB that shrinks, one of 4.2 GiB that does not, and one behind them."""
    entries = [
        Entry("zeros", zeros(5 * 1024)),
        Entry("noise", noise(4300)),
        Entry("last", [b"last"]),
    ]
    (archive,) = write(tmp_path, Packager(), entries)
    assert archive.stat().st_size > 2**32
    call(judge("7zz"), "t", archive)
    call(judge("unzip"), "-tqq", archive)
    with zipfile.ZipFile(archive) as opened:
        assert opened.getinfo("zeros").file_size == 5 * 1024 * MIB
        assert opened.getinfo("last").header_offset > 2**32
        assert opened.read("last") == b"last"


@pytest.mark.parametrize("split_size", [2**32 - 1, 10**9])
def test_split_archives_above_4_gib(judge: Judge, tmp_path: Path, split_size: int) -> None:
    """Segments as large as may be, and the offsets of an entry that crosses them."""
    parts = write(tmp_path, Packager(split_size=split_size), [Entry("noise", noise(8500))])
    assert all(part.stat().st_size <= split_size for part in parts)
    assert len(parts) == -(-8500 * MIB // split_size) + 1  # and the directory's own
    call(judge("7zz"), "t", parts[-1])


def test_gcm_stops_at_its_limit_and_not_before(holders: tuple[Any, ...]) -> None:
    """64 GiB less 32 bytes can be sealed with one nonce, and not a byte more."""
    envelope = Envelope(holders[0].certificate, cipher="aes-256-gcm", format="der")
    limit = AesGcm.max_size
    assert limit is not None
    block = bytes(64 * MIB)
    whole, rest = divmod(limit, len(block))

    def content(extra: int) -> Iterator[bytes]:
        yield from (block for _ in range(whole))
        yield bytes(rest + extra)

    size = sum(map(len, envelope.encrypt(content(0))))
    assert limit < size < limit * 1.001
    with pytest.raises(EnvelopeError, match="at most 68719476704 bytes"):
        for _ in envelope.encrypt(content(1)):
            pass


def test_gcm_refuses_at_once_what_is_known_to_be_too_large(holders: tuple[Any, ...]) -> None:
    """Before anything is asked for or written."""
    envelope = Envelope(holders[0].certificate, cipher="aes-256-gcm")
    with pytest.raises(EnvelopeError):
        envelope.encrypt(iter([]), size=2**36)
    assert hashlib.sha256(b"".join(envelope.encrypt([b"x"], size=1))).digest()
