"""Of any export comes one plain ZIP file that everybody reads, proven, or nothing at all."""

from __future__ import annotations

import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

import cdds
from cdds import Envelope, recipient
from cdds.errors import ArchiveError, CddsError, DecryptionError, ExportError
from cdds.recipient.export import Export

FORMS = [("smime", "aes-256-cbc"), ("der", "aes-256-gcm")]
MIB = 1024 * 1024


def exported(folder: Path, certificate: Path, **options: Any) -> list[Path]:
    """Export records that are hard to compress, and return the files of the archive."""
    records = [{"IXNID": f"{number:016}", "SUBJECT": noise(900).hex()} for number in range(1500)]
    result = cdds.export(
        cdds.sources.Records(interaction=records),
        dataset="interaction",
        to=folder,
        recipients=certificate,
        validate=False,
        **options,
    )
    return [folder / artifact.name for artifact in result.artifacts]


def noise(size: int, random: Random = Random(3)) -> bytes:  # noqa: B008  # each is another one
    return random.randbytes(size)


def assert_judged_sound(path: Path, judge: Callable[[str], str]) -> None:
    for command in ([judge("unzip"), "-tq"], [judge("7zz"), "t"]):
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def data_of(export: Export) -> dict[str, bytes]:
    return {file.entry.name: b"".join(export.data_of(file)) for file in export.listing.files}


@pytest.mark.parametrize("split_size", [None, 300_000])
@pytest.mark.parametrize(("form", "cipher"), FORMS)
def test_ours_become_one_file_that_is_sound(
    form: Any,
    cipher: Any,
    split_size: int | None,
    tmp_path: Path,
    certificate: Path,
    key: Path,
    judge: Callable[[str], str],
) -> None:
    files = exported(
        tmp_path / "in", certificate, split_size=split_size, format=form, cipher=cipher
    )
    assert (len(files) > 3) == (split_size is not None)
    one = tmp_path / "new" / "one.zip"
    with cdds.open_export(files[0], key=key) as export:
        export.to_zip(one)
        assert_judged_sound(one, judge)
        with cdds.open_export(one) as joined:
            assert joined.manifest == export.manifest
            assert joined.names == export.names
            assert data_of(joined) == data_of(export)
    assert recipient.verify(one).is_sound
    assert [path.name for path in one.parent.iterdir()] == ["one.zip"]
    if split_size is None:
        content = Envelope.decrypt(files[0].read_bytes(), keys=[key]).iter_unverified()
        assert one.read_bytes() == b"".join(content)


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("how", ["zip", "zip -s 64k", "7zz -v50k"])
def test_those_of_others_become_one_file(
    how: str,
    is_sealed: bool,
    tmp_path: Path,
    certificate: Path,
    key: Path,
    judge: Callable[[str], str],
) -> None:
    data = {"a.txt": b"a" * 10, "folder/b.bin": noise(200_000)}
    for name, content in data.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    tool, *options = how.split()
    words = [*(["a"] if tool == "7zz" else ["-qr"]), *options, str(out / "a.zip"), "."]
    subprocess.run([judge(tool), *words], check=True, cwd=tmp_path / "in", capture_output=True)
    files = sealed(sorted(out.iterdir()), certificate) if is_sealed else sorted(out.iterdir())

    with cdds.open_export(files[-1], key=key if is_sealed else None) as export:
        export.to_zip(tmp_path / "one.zip")
    assert_judged_sound(tmp_path / "one.zip", judge)
    with cdds.open_export(tmp_path / "one.zip") as joined:
        assert data_of(joined) == data


def sealed(files: Sequence[Path], certificate: Path) -> list[Path]:
    """Seal each file, as export files are."""
    envelope, made = Envelope(certificate), []
    for file in files:
        made.append(file.with_name(f"{file.name}.smime"))
        made[-1].write_bytes(b"".join(map(bytes, envelope.encrypt([file.read_bytes()]))))
        file.unlink()
    return made


@pytest.mark.parametrize("split_size", [None, 300_000])
@pytest.mark.parametrize(("form", "cipher"), FORMS)
def test_of_damaged_data_there_is_one_error_and_no_file(
    form: Any, cipher: Any, split_size: int | None, tmp_path: Path, certificate: Path, key: Path
) -> None:
    files = exported(
        tmp_path / "in", certificate, split_size=split_size, format=form, cipher=cipher
    )
    next((tmp_path / "in").glob("*.sha256")).unlink()
    data = bytearray(files[0].read_bytes())
    at = 100_000 - 100_000 % 77 + 5
    data[at] = ord("B") if data[at] == ord("A") else ord("A")
    files[0].write_bytes(data)
    with (
        cdds.open_export(files[0], key=key) as export,
        pytest.raises(DecryptionError, match="cannot be told"),
    ):
        export.to_zip(tmp_path / "out" / "one.zip")
    assert not (tmp_path / "out").exists()


def test_data_that_differ_from_the_manifest_leave_no_file(tmp_path: Path) -> None:
    """Here what was stored was exchanged, and the CRC-32 with it."""
    manifest = (
        b'{"format": "cdds-manifest", "format_version": 1, "job_id": "j", "files": [{"name": "a",'
        b' "bytes": 4, "sha256": "' + b"0" * 64 + b'"}]}'
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"data")
        archive.writestr("manifest.json", manifest)
    with (
        cdds.open_export(tmp_path / "a.zip") as export,
        pytest.raises(ArchiveError, match="the SHA-256 of its data"),
    ):
        export.to_zip(tmp_path / "one.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"data")
    before = (tmp_path / "a.zip").read_bytes()
    with (
        cdds.open_export(tmp_path / "a.zip") as export,
        pytest.raises(ExportError, match="is there already"),
    ):
        export.to_zip(tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == before


def test_a_part_that_changes_meanwhile_leaves_no_file(
    tmp_path: Path, certificate: Path, key: Path
) -> None:
    files = exported(tmp_path / "in", certificate, split_size=300_000)
    with cdds.open_export(files[0], key=key) as export:
        files[1].write_bytes(files[0].read_bytes())
        with pytest.raises(CddsError, match="was changed"):
            export.to_zip(tmp_path / "one.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_begins_with_a_program_comes_as_it_is(
    tmp_path: Path, certificate: Path, key: Path
) -> None:
    """As self-extracting archives do; their offsets count from the program's first byte."""
    with (tmp_path / "a.zip").open("wb") as file:
        file.write(b"#!/bin/sh\n")
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a", b"data")
    before = (tmp_path / "a.zip").read_bytes()
    with cdds.open_export(sealed([tmp_path / "a.zip"], certificate), key=key) as export:
        export.to_zip(tmp_path / "one.zip")
    assert (tmp_path / "one.zip").read_bytes() == before


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}", noise(16 * MIB))
    tracemalloc.start()
    try:
        with cdds.open_export(tmp_path / "a.zip") as export:
            tracemalloc.reset_peak()
            export.to_zip(tmp_path / "one.zip")
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("split_size", [None, "64k"])
def test_a_copy_that_holds_more_than_what_was_opened_gets_no_name(
    split_size: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: Any
) -> None:
    """A storage that lies may give another archive when it is read once more."""
    (tmp_path / "in").mkdir()
    for name, size in (("a", 100_000), ("b", 50_000)):
        (tmp_path / "in" / name).write_bytes(noise(size))
    for path, wanted in ((tmp_path / "one", "a"), (tmp_path / "two", "ab")):
        path.mkdir()
        options = ["-s", split_size] if split_size else []
        words = [judge("zip"), "-q", *options, str(path / "x.zip"), *wanted]
        subprocess.run(words, check=True, cwd=tmp_path / "in", capture_output=True)
    with (
        cdds.open_export(tmp_path / "one" / "x.zip") as export,
        cdds.open_export(tmp_path / "two" / "x.zip") as larger,
    ):
        monkeypatch.setattr(export._archive, "joined", larger._archive.joined)
        with pytest.raises(ArchiveError, match="was changed while it was read"):
            export.to_zip(tmp_path / "out" / "x.zip")
    assert not (tmp_path / "out").exists()
