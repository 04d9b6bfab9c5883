"""What goes in comes out, through packager and envelope, judged by OpenSSL, 7-Zip and unzip.

Any entries, names and sizes around every border, any pieces, any split size, any recipients and
any form.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.archive import Entry, Packager
from cdds.crypto import Envelope

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]

KIB, MIB = 1024, 1024 * 1024
BORDERS = [1, 2, 57, 256 * KIB, MIB, MIB + MIB // 4, 4 * MIB]
SIZES = st.sampled_from(BORDERS).flatmap(
    lambda border: st.integers(max(0, border - 2), border + 2)
) | st.integers(0, 3 * MIB)
SPLIT_SIZES = st.none() | st.sampled_from([64 * KIB, 64 * KIB + 1, 100_000, MIB, 20 * MIB])
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@attrs.frozen
class File:
    """One entry: how large its data is, whether it can be compressed, and where it is cut."""

    size: int
    seed: int
    is_noise: bool
    ends: list[int]

    @property
    def data(self) -> bytes:
        if self.is_noise:
            return random.Random(self.seed).randbytes(self.size)
        line = b'{"IXNID":"%d","TEXT":"of a few words"}\n' % self.seed
        return (line * (self.size // len(line) + 1))[: self.size]

    @property
    def blocks(self) -> Iterator[bytes]:
        data = self.data
        return (data[start:end] for start, end in pairwise([0, *self.ends, self.size]))


@st.composite
def files(draw: st.DrawFn) -> File:
    """Return a file whose data comes in any pieces, also empty ones."""
    size = draw(SIZES)
    ends = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    return File(size, draw(st.integers(0, 9)), draw(st.booleans()), ends)


@given(
    entries=st.dictionaries(NAMES, files(), max_size=4),
    split_size=SPLIT_SIZES,
    level=st.sampled_from(["fast", "small"]),
    form=st.sampled_from(["smime", "der", "pem"]),
    cipher=st.sampled_from(["aes-256-cbc", "aes-128-cbc", "aes-256-gcm"]),
    key_transport=st.sampled_from(["pkcs1v15", "oaep"]),
    readers=st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=30)
def test_any_archive_in_any_form_comes_out_as_it_went_in(
    judge: Judge,
    folder: TemporaryFolder,
    holders: tuple[Any, ...],
    entries: dict[str, File],
    split_size: int | None,
    level: Any,
    form: Any,
    cipher: Any,
    key_transport: Any,
    readers: list[int],
) -> None:
    """The last of the recipients opens each part by itself, then the set."""
    envelope = Envelope(
        [holders[number].certificate for number in readers],
        format=form,
        cipher=cipher,
        key_transport=key_transport,
    )
    packager = Packager(level=level, split_size=split_size)
    expected = {name: file.data for name, file in entries.items() if file.size}
    with folder() as home:
        for segment in packager.pack(Entry(name, file.blocks) for name, file in entries.items()):
            with (home / "sealed").open("wb") as sealed:
                sealed.writelines(envelope.encrypt(segment.chunks))
            part = home / f"archive{segment.suffix}"
            decrypt(judge("openssl"), form, home / "sealed", part, holders[readers[-1]])
            assert split_size is None or part.stat().st_size <= split_size
        parts = list(home.glob("archive.*"))
        out = home / "out"
        out.mkdir()
        if expected:
            call(judge("7zz"), "x", "-y", home / "archive.zip", f"-o{out}")
        found = {path.name: path.read_bytes() for path in out.iterdir()}
        if expected and len(parts) == 1:
            call(judge("unzip"), "-tqq", home / "archive.zip")
    assert found == expected


def decrypt(openssl: str, form: str, sealed: Path, part: Path, holder: Any) -> None:
    call(
        *(openssl, "cms", "-decrypt", "-binary", "-inform", form.upper(), "-in", sealed),
        *("-inkey", holder.key_file, "-recip", holder.certificate_file, "-out", part),
    )


def call(*command: str | Path) -> None:
    """Run a judge, which must be content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
