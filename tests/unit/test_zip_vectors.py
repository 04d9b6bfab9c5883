"""Archives that others wrote: each comes out as its case file says, or is refused.

What is not to be read gives one error and nothing else; where readers differ, either is right, but
then exactly what the case file lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import data_of, opened_files
from vectors import cases_or_skip, vectors

from cdds.archive import Archive
from cdds.errors import ArchiveError

# Its name begins with NUL, where Python cuts names: the case file calls it "". Others take the
# name from an extra field, which has no meaning with the UTF-8 flag. A name with NUL is refused.
NUL_IN_NAME = "yauzl_success_unicode-path-extra-field.zip"
UNSUPPORTED = {"encrypted", "other_method"}


def cases() -> Iterator[Any]:
    """Yield each case, and the files of its archive, in order."""
    root = vectors()
    for name in ("cases.jsonl", "split_cases.jsonl") if root else ():
        assert root is not None
        for line in (root / "zip" / name).read_text().splitlines():
            case = json.loads(line)
            files = [root / "zip" / file for file in case.get("parts") or [case["file"]]]
            yield pytest.param(case, files, id=case["id"])


def listed(case: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(member["name"], member["size"], member["sha256"]) for member in case["members"]]


def found(archive: Archive) -> list[tuple[str, int, str]]:
    return [
        (entry.name, entry.size, hashlib.sha256(data_of(archive, entry)).hexdigest())
        for entry in archive.entries
    ]


@pytest.mark.parametrize(("case", "files"), cases_or_skip(list(cases()), 2))
def test_an_archive_comes_out_as_its_case_says(case: dict[str, Any], files: list[Path]) -> None:
    """Every case, whole."""
    expected = case["expect"]
    if case["id"] == NUL_IN_NAME:
        expected = "unsafe_names"
    if expected == "ok":
        assert found(opened_files(files)) == listed(case)
    elif expected == "disputed":
        try:
            content = found(opened_files(files))
        except ArchiveError:
            return
        assert content == listed(case)
    elif expected == "malformed":
        with pytest.raises(ArchiveError):
            found(opened_files(files))
    else:
        with pytest.raises(ArchiveError) as refused:
            opened_files(files)
        assert ("unsupported" in str(refused.value)) == (expected in UNSUPPORTED)
        assert ("unsafe" in str(refused.value)) == (expected == "unsafe_names")


SPLIT = [case for case in cases() if len(case.values[1]) > 1]


@pytest.mark.parametrize(("case", "files"), cases_or_skip(SPLIT, 2))
def test_a_set_of_others_that_is_not_whole_is_refused(
    case: dict[str, Any], files: list[Path]
) -> None:
    """A part missing, repeated, swapped, or of another set; nothing can be read from it."""
    for number in range(len(files)):
        with pytest.raises(ArchiveError, match="part"):
            opened_files(files[:number] + files[number + 1 :])
        with pytest.raises(ArchiveError, match="part"):
            opened_files(files[:number] + [files[0]] + files[number:])
    swapped = [files[1], files[0], *files[2:]]
    with pytest.raises(ArchiveError, match="part 1"):
        opened_files(swapped)
    for other in SPLIT:
        foreign = [files[0], other.values[1][1], *files[2:]]
        if foreign != files:
            with pytest.raises(ArchiveError, match="part 2"):
                opened_files(foreign)
