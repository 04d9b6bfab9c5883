"""The digests of an export: ``sha256sum`` writes what we read, and agrees on what is changed."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdds.crypto import Signer
from cdds.errors import ExportError, SignatureError
from cdds.recipient.digest_file import MAX_DIGESTS_SIZE, parse_digests
from cdds.recipient.digests import check_digests, check_signature
from cdds.recipient.files import find_files
from cdds.recipient.local_files import LocalFile

Judge: TypeAlias = Callable[[str], str]
Issue: TypeAlias = Callable[..., x509.Certificate]
TemporaryFolder: TypeAlias = Callable[[], Any]

DIGEST = b"0123456789abcdef" * 4
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."} and not name.startswith("-"))


def sha256sum(judge: Judge, home: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [judge("sha256sum"), *options], cwd=home, capture_output=True, check=False
    )


def exported(home: Path, judge: Judge, sizes: list[int]) -> list[str]:
    """Write an export of parts of random bytes, with the digests that ``sha256sum`` makes."""
    source = random.Random(len(sizes))
    ends = [*(f"z{number:02}" for number in range(1, len(sizes))), "zip"]
    names = [f"export-1.{end}.smime" for end in ends]
    for name, size in zip(names, sizes, strict=True):
        (home / name).write_bytes(source.randbytes(size))
    (home / "export-1.sha256").write_bytes(sha256sum(judge, home, *names).stdout)
    return names


@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True), binary=st.booleans())
@example(names=["a\\nb", "a\nb", "\\", " ", "*", " *x", "é"], binary=True)
@settings(max_examples=40)
def test_what_sha256sum_writes_is_read(
    judge: Judge, folder: TemporaryFolder, names: list[str], binary: bool
) -> None:
    """Any name, and it checks what we read."""
    names = [name for name in names if len(name.encode()) < 200]
    if not names:
        return
    with folder() as home:
        for name in names:
            (home / name).write_text(name)
        data = sha256sum(judge, home, "-b" if binary else "-t", "--", *names).stdout
        digests = parse_digests(data)
        assert list(digests) == names
        for name, digest in digests.items():
            shown = sha256sum(judge, home, "--", name).stdout.removeprefix(b"\\")
            assert shown[:64] == digest.encode()


MALFORMED = {
    "nothing": b"",
    "an empty line": DIGEST + b"  a\n\n",
    "a comment": b"# " + DIGEST + b"  a\n",
    "a short digest": DIGEST[1:] + b"  a\n",
    "a long digest": DIGEST + b"0  a\n",
    "no digest": b"x" * 64 + b"  a\n",
    "one space": DIGEST + b" a\n",
    "a tab": DIGEST + b"\t a\n",
    "no name": DIGEST + b"  \n",
    "a folder": DIGEST + b"  a/b\n",
    "a path": DIGEST + b"  /etc/passwd\n",
    "a folder above": DIGEST + b"  ..\n",
    "this folder": DIGEST + b"  .\n",
    "a NUL": DIGEST + b"  a\0\n",
    "an unknown escape": b"\\" + DIGEST + b"  a\\t\n",
    "half an escape": b"\\" + DIGEST + b"  a\\\n",
    "BSD's form": b"SHA256 (a) = " + DIGEST + b"\n",
    "another algorithm": b"0" * 128 + b"  a\n",
    "a name twice": DIGEST + b"  a\n" + DIGEST.upper() + b" *a\n",
    "a name twice, escaped": DIGEST + b"  a\n\\" + DIGEST + b"  a",
    "a long name": DIGEST + b"  " + b"a" * 1025 + b"\n",
    "too much": (DIGEST + b"  a\n") * (MAX_DIGESTS_SIZE // 67 + 1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match=r"line \d of|is larger than"):
        parse_digests(MALFORMED[name])


@given(data=st.binary(max_size=200))
def test_any_bytes_are_digests_or_the_one_error(data: bytes) -> None:
    try:
        digests = parse_digests(data)
    except ExportError:
        return
    assert digests
    assert all(len(digest) == 64 and "/" not in name for name, digest in digests.items())


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    changed=st.sets(st.integers(0, 7)),
    unnamed=st.integers(0, 7),
)
@settings(max_examples=40)
def test_what_differs_is_told_by_name(
    judge: Judge, folder: TemporaryFolder, sizes: list[int], changed: set[int], unnamed: int
) -> None:
    """``sha256sum -c`` says the same of each part."""
    with folder() as home:
        names = exported(home, judge, sizes)
        digests = home / "export-1.sha256"
        with find_files(home / names[0]) as files:
            assert check_digests(files).is_sound
        for number in changed & set(range(len(sizes))):
            data = (home / names[number]).read_bytes()
            (home / names[number]).write_bytes(data[:-1] if len(data) % 2 else data + b"x")
        if 0 < unnamed < len(names):
            lines = digests.read_bytes().splitlines(keepends=True)
            digests.write_bytes(b"".join(lines[:unnamed] + lines[unnamed + 1 :]))
        with find_files(home / names[0]) as files:
            report = check_digests(files)
        judged = sha256sum(judge, home, "-c", "export-1.sha256").stdout.decode()
        assert sorted(report.differing) == sorted(re.findall(r"(.+): FAILED", judged))
        assert report.unnamed == tuple(names[unnamed : unnamed + 1] if unnamed else ())
        assert not report.missing
        assert report.is_sound == (not report.faults)
        told = " ".join(report.faults)
        assert all(name in told for name in (*report.differing, *report.unnamed))
        assert list(report.computed) == names


def test_large_parts_are_hashed_in_pieces(judge: Judge, tmp_path: Path) -> None:
    """So what is held at once does not grow with them."""
    names = exported(tmp_path, judge, [30_000_000, 25_000_000, 4 * 1024 * 1024])
    with find_files(tmp_path / names[0]) as files:
        tracemalloc.start()
        assert check_digests(files).is_sound
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024


def test_a_failure_in_one_part_ends_the_check(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other thread goes on with nothing, and both are gone."""
    names = exported(tmp_path, judge, [100] * 50)
    read = LocalFile.pieces
    asked: list[str] = []

    def pieces(file: LocalFile, size: int) -> Iterator[bytes]:
        asked.append(file.name)
        if file.name == names[3]:
            raise ExportError("cannot read it")
        return read(file, size)

    with find_files(tmp_path / names[0]) as files:
        monkeypatch.setattr(LocalFile, "pieces", pieces)
        with pytest.raises(ExportError, match="cannot read it"):
            check_digests(files)
    assert len(asked) < 50
    assert not [one for one in threading.enumerate() if one.name.startswith("cdds-digests")]


def test_the_signature_of_the_digests_is_checked(
    judge: Judge, tmp_path: Path, issue: Issue, rsa_key: rsa.RSAPrivateKey
) -> None:
    """Of that file as it was found; without either file it is said what is missing."""
    names = exported(tmp_path, judge, [10, 20])
    digests = tmp_path / "export-1.sha256"
    signature = tmp_path / "export-1.sha256.p7s"
    certificate = issue("Signer", key=rsa_key)
    with find_files(digests) as files, pytest.raises(ExportError, match="no signature"):
        check_signature(files, certificate)
    signature.write_bytes(Signer.load(rsa_key, certificate).sign(digests.read_bytes()))
    with find_files(tmp_path / names[1]) as files:
        assert check_signature(files, certificate).signer == "CN=Signer"
    with digests.open("ab") as file:
        file.write(DIGEST + b"  other\n")
    with find_files(digests.with_name(names[0])) as files:
        with pytest.raises(SignatureError, match="something else"):
            check_signature(files, certificate)
        assert "other is missing" in " ".join(check_digests(files).faults)
    signature.write_bytes(bytes(2_000_000))
    with find_files(tmp_path / names[1]) as files, pytest.raises(ExportError, match="larger than"):
        check_signature(files, certificate)
    digests.unlink()
    with find_files(tmp_path / names[1]) as files:
        for check in (check_digests, lambda files: check_signature(files, certificate)):
            with pytest.raises(ExportError, match="no file of digests"):
                check(files)
