"""Finds the files of an export: from any of them all, in the order of the archive.

Place: where a recipient's reading begins. It looks into one folder, opens what belongs to the
export and nothing else, and reads none of it but the file of digests. What names and digests can
tell of a missing, a repeated or a foreign file is told here, before any data are read.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from math import inf
from types import TracebackType
from typing import Any, TypeAlias

import attrs

from cdds.errors import ExportError, ExportIncomplete, JobError
from cdds.location import printable
from cdds.recipient.digest_file import MAX_DIGESTS_SIZE, parse_digests
from cdds.recipient.locating import located
from cdds.recipient.naming import (
    DIGESTS_SUFFIX,
    SIGNATURE_SUFFIX,
    PartName,
    digests_name,
    missing_names,
    part_name,
)
from cdds.recipient.storage import Entry, ExportFile, Folder, find

Location: TypeAlias = "str | os.PathLike[str]"

MAX_PROBED = 10_000
"""The most files of a set that are asked for one by one, where a folder cannot be listed."""

_KEPT_OPEN = 100  # of the usual 1,024 descriptors of a process
_NAMED = 3  # how many missing files are told by name
_SIGNATURE = DIGESTS_SUFFIX + SIGNATURE_SUFFIX


@attrs.frozen
class ExportFiles:
    """The files of an export; a context manager that closes them.

    Attributes:
        parts: the files of the archive, in order.
        stem: what their names begin with.
        digests: the file of digests, if there is one.
        signature: the signature of that file, if there is one.
        digests_data: what the file of digests held when it was found; empty if there is none.
    """

    parts: tuple[ExportFile, ...]
    stem: str
    digests: ExportFile | None = None
    signature: ExportFile | None = None
    digests_data: bytes = attrs.field(default=b"", repr=False)

    def __enter__(self) -> ExportFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for file in (*self.parts, self.digests, self.signature):
            if file is not None:
                file.close()


def find_files(
    locations: Location | Iterable[Location],
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> ExportFiles:
    """Return all files of an export, given any of them.

    The others are looked for in the folder of the first that is given. Those given may lie in
    different folders, and come in any order.

    Args:
        locations: paths or fsspec URLs: files of the archive, the file of digests, its signature.
            What a URL says before the host and in its query is never shown.
        storage_options: passed to the file systems of URLs, such as credentials.

    Raises:
        JobError: nothing is given, or what is no path or URL.
        ExportIncomplete: a file is missing, was given twice, or is of another export, or the file
            of digests is malformed.
        ExportError: a file cannot be read.
        ExportUnavailable: a storage cannot be reached.
        MissingDependency: the package for a URL is not installed.
    """
    given = _given(locations, storage_options or {})
    folder = given[0][0]
    parts, digests, signature = _sorted(folder, [entry for _, entry in given])
    with ExitStack() as opened:
        digests_file = _opened(opened, digests) if digests else None
        digests_data = digests_file.whole(MAX_DIGESTS_SIZE) if digests_file else b""
        named = parse_digests(digests_data, digests_file.where) if digests_file else {}
        ordered = _found(folder, parts, tuple(named), digests.where if digests else "")
        files = ExportFiles(
            tuple(_opened(opened, entry, len(ordered) <= _KEPT_OPEN) for entry in ordered),
            part_name(ordered[0].name).stem,
            digests_file,
            _opened(opened, signature) if signature else None,
            digests_data,
        )
        opened.pop_all()
        return files


def _given(
    locations: Location | Iterable[Location], options: Mapping[str, Any]
) -> list[tuple[Folder, Entry]]:
    if isinstance(locations, (str, os.PathLike)):
        locations = [locations]
    places = [located(_text(location), options) for location in locations]
    if not places:
        raise JobError("no file of an export is given; give any of them")
    return [(folder, folder.entry(name)) for folder, name in places]


def _text(location: Location) -> str:
    try:
        return os.fspath(location)
    except TypeError:
        raise JobError("the files of an export are given as paths or URLs") from None


def _sorted(
    folder: Folder, given: Iterable[Entry]
) -> tuple[list[Entry], Entry | None, Entry | None]:
    """Return the parts that were given, the file of digests, and its signature."""
    entries = list({entry.identity: entry for entry in given}.values())
    digests, signature = _one(entries, DIGESTS_SUFFIX), _one(entries, _SIGNATURE)
    parts = [entry for entry in entries if entry not in (digests, signature)]
    digests = digests or _beside(folder, parts, signature)
    if signature is None and digests is not None:
        signature = find(folder, digests.name + SIGNATURE_SUFFIX)
    return parts, digests, signature


def _one(entries: Sequence[Entry], suffix: str) -> Entry | None:
    """Return the one file whose name ends so."""
    found = [entry for entry in entries if entry.name.lower().endswith(suffix)]
    if len(found) > 1:
        raise ExportIncomplete(f"{found[0].where} and {found[1].where} are of different exports")
    return found[0] if found else None


def _beside(folder: Folder, parts: Sequence[Entry], signature: Entry | None) -> Entry | None:
    """Return the file of digests that is beside the files that were given."""
    if parts:
        name = digests_name(part_name(parts[0].name))
        return find(folder, name) if name else None
    if signature:
        return folder.entry(signature.name[: -len(SIGNATURE_SUFFIX)])
    return None


def _opened(stack: ExitStack, entry: Entry, keeps_open: bool = True) -> ExportFile:
    file = entry.open(keeps_open)
    stack.callback(file.close)
    return file


def _found(
    folder: Folder, given: Sequence[Entry], named: Sequence[str], digests: str
) -> list[Entry]:
    """Return all files of the archive, in order.

    Args:
        folder: where they are looked for.
        given: those that were given; where there are none, they are those that have digests.
        named: which files have digests.
        digests: what the file of digests is called in messages.

    Raises:
        ExportIncomplete: one is missing, there twice, or of another export.
    """
    names = [entry.name for entry in given] or named
    one = _of_one_set(names)
    ours = [name for name in named if part_name(name).of_set == one.of_set]
    if named and not ours:
        raise ExportIncomplete(f"{digests} has no digest of {printable(one.name)}")
    found = _numbered([*given, *(_siblings(folder, given, ours) if given else _all(folder, ours))])
    there = {entry.name for entry in found.values()}
    _check_missing((name for name in ours if name not in there), f", which {digests} names")
    _check_missing(missing_names(one, found))
    return [found[number] for number in sorted(found, key=_order)]


def _of_one_set(names: Sequence[str]) -> PartName:
    parts = [part_name(name) for name in names]
    for other in parts[1:]:
        if other.of_set != parts[0].of_set:
            raise ExportIncomplete(
                f"{printable(parts[0].name)} and {printable(other.name)} are of different exports; "
                "open each by itself"
            )
    return parts[0]


def _siblings(folder: Folder, given: Sequence[Entry], named: Sequence[str]) -> Iterable[Entry]:
    """Return what is found beside files that were given, of those that were not."""
    parts = [part_name(entry.name) for entry in given]
    of_set, there = parts[0].of_set, {part.number for part in parts}
    if parts[0].layout == "single":
        return ()

    def is_wanted(name: str) -> bool:
        part = part_name(name)
        return part.of_set == of_set and part.number not in there

    listed = folder.entries(is_wanted)
    if listed is not None:
        return listed
    known = [*there, *(part_name(name).number for name in named)]
    return _asked_for(folder, parts[0], there, max(number or 0 for number in known))


def _asked_for(
    folder: Folder, one: PartName, there: Container[int | None], last_known: int
) -> Iterator[Entry]:
    """Yield what is there under the names that files of a set have, one after another."""
    missing = 0
    for number in range(1, MAX_PROBED + 1):
        if number in there:
            continue
        entry = find(folder, one.sibling(number))
        if entry is not None:
            yield entry
        elif number > last_known or missing == _NAMED:
            break
        else:
            missing += 1
    else:
        raise ExportError(
            f"there are more than {MAX_PROBED} files beside {printable(one.name)}, in a folder "
            "that cannot be listed; download them first"
        )
    if one.layout == "split" and None not in there:
        last = find(folder, one.sibling(None))
        if last is not None:
            yield last


def _all(folder: Folder, names: Sequence[str]) -> list[Entry]:
    """Return those of the names that are there."""
    listed = folder.entries(frozenset(names).__contains__)
    if listed is not None:
        return listed
    found = (find(folder, name) for name in names)
    return [entry for entry in found if entry is not None]


def _numbered(entries: Iterable[Entry]) -> dict[int | None, Entry]:
    found: dict[int | None, Entry] = {}
    for entry in entries:
        other = found.setdefault(part_name(entry.name).number, entry)
        if other is not entry:
            raise ExportIncomplete(
                f"{other.where} and {entry.where} are the same part of an export; "
                "leave one of them out"
            )
    return found


def _check_missing(names: Iterable[str], why: str = "") -> None:
    missing = list(islice(names, _NAMED + 1))
    if not missing:
        return
    listed = ", ".join(map(printable, missing[:_NAMED]))
    more = " and more" if len(missing) > _NAMED else ""
    verb = "is" if len(missing) == 1 else "are"
    raise ExportIncomplete(
        f"{listed}{more} {verb} missing{why}; put all files of the export into one folder"
    )


def _order(number: int | None) -> float:
    return inf if number is None else number
