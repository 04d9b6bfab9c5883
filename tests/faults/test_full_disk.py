"""A disk that is full at any point: one clear error, and nothing is left on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cdds
from cdds.recipient import Export

Judge = Callable[[str], str]
PAGE = 4096


@pytest.fixture
def disk(judge: Judge, tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return what makes a file system of so many bytes, in place of the one before."""
    if os.geteuid() != 0:
        if os.environ.get("CDDS_REQUIRE_JUDGES"):
            pytest.fail("file systems can be mounted by root only")
        pytest.skip("file systems can be mounted by root only")
    place = tmp_path / "disk"
    place.mkdir()
    mount, umount = judge("mount"), judge("umount")
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={PAGE}", "cdds", place], check=True)

    def resize(size: int) -> Path:
        subprocess.run([mount, "-o", f"remount,size={size}", place], check=True)
        return place

    yield resize
    subprocess.run([umount, place], check=True)


@pytest.mark.parametrize("split_size", [None, "64 KiB"])
def test_a_disk_is_full_at_any_point(
    disk: Callable[[int], Path],
    rsa_key_and_certificate: tuple[Path, Path],
    split_size: str | None,
) -> None:
    """From a disk that holds nothing to one that holds all, page by page or so."""
    records = [{"IXNID": f"{number}", "SUBJECT": os.urandom(10_000).hex()} for number in range(20)]
    failed = 0
    for pages in range(1, 1000, 5):
        target = disk(pages * PAGE) / "exports"
        try:
            result = cdds.export(
                cdds.sources.Records(interaction=records),
                dataset="Interaction",
                to=target,
                recipients=rsa_key_and_certificate[1],
                split_size=split_size,
            )
        except cdds.errors.SinkError as error:
            failed += 1
            words = str(error)
        else:
            break
        assert "No space left on device" in words
        assert not target.exists()
    assert len(list(target.iterdir())) == len(result.artifacts) + 1
    assert failed > 10


@pytest.mark.parametrize("write", [Export.extract, Export.to_zip])
def test_a_disk_that_is_full_leaves_nothing_of_what_is_extracted(
    write: Callable[[Export, Path], object],
    disk: Callable[[int], Path],
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    key, certificate = rsa_key_and_certificate
    records = [{"IXNID": f"{number}", "SUBJECT": os.urandom(10_000).hex()} for number in range(20)]
    result = cdds.export(
        cdds.sources.Records(interaction=records),
        dataset="Interaction",
        to=tmp_path / "in",
        recipients=certificate,
        split_size="64 KiB",
    )
    failed = 0
    with cdds.open_export(tmp_path / "in" / result.artifacts[0].name, key=key) as export:
        for pages in range(1, 1000, 5):
            target = disk(pages * PAGE) / "new" / "out"
            try:
                write(export, target)
            except cdds.errors.ExportError as error:
                failed += 1
                words = str(error)
            else:
                break
            assert "No space left on device" in words
            assert list(target.parents[1].iterdir()) == []
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert failed > 5
