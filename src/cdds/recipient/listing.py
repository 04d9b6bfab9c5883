"""What the manifest of an export says of the files in its archive, held against the archive.

Place: between the archive, whose entries it is given, and `export`, which reads them. An archive
that others made has no manifest: its entries are then known by their names, and proven by their
CRC-32 alone. A manifest that does not fit the archive refuses all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from cdds.archive import ArchivedEntry, BlockOffsets
from cdds.errors import ArchiveError
from cdds.location import printable
from cdds.manifest import FORMAT_VERSION, NAME
from cdds.records.verdict import parse
from cdds.refusal import Refusal

_MAX_SIZE = 256 * 1024 * 1024  # enough for some 5 TB of records
_ALWAYS_READ = 16 * 1024 * 1024
_DATA_FOR_EACH_BYTE = 4096  # a deflate block takes some 30 bytes in a manifest
_FORMAT = "cdds-manifest"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Offsets(msgspec.Struct):
    data: list[int]
    compressed: list[int]


class _File(msgspec.Struct):
    name: str
    bytes: int
    sha256: str
    data_file: str | None = None
    schema: str | None = None
    records: int | None = None
    block_offsets: _Offsets | None = None


class _Manifest(msgspec.Struct):
    format: str
    format_version: int
    job_id: str
    files: list[_File]


@attrs.frozen
class ListedFile:
    """A file in an archive, and what the manifest says of it.

    Attributes:
        entry: where it is.
        label: its name without the identifier of the job and the suffix, for a data file; else its
            name.
        sha256: the digest of its data in hexadecimal; None without a manifest.
        data_file: the name of the data file in its dataset, if it is one.
        schema: the name of the entry with its schema, if it is a data file.
        records: how many records it has, if it is a data file.
        block_offsets: where its deflate blocks begin, if the manifest says so.
    """

    entry: ArchivedEntry
    label: str
    sha256: str | None = None
    data_file: str | None = None
    schema: str | None = None
    records: int | None = None
    block_offsets: BlockOffsets | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Listing:
    """All files of an archive, in its order, but for the manifest itself.

    Attributes:
        manifest: what the manifest says, as it stands; None where there is none.
        files: the files.
    """

    manifest: Mapping[str, Any] | None = attrs.field(repr=False)
    files: tuple[ListedFile, ...]

    @property
    def data_files(self) -> tuple[ListedFile, ...]:
        """The data files; without a manifest, all files."""
        if self.manifest is None:
            return self.files
        return tuple(file for file in self.files if file.data_file is not None)


def max_manifest_size(entries: Iterable[ArchivedEntry]) -> int:
    """Return the most bytes of a manifest that is read, for it becomes twenty times larger.

    A large one belongs to much data: what is compressed a thousandfold shall not fill the memory.
    """
    data_size = sum(entry.size for entry in entries if entry.name != NAME)
    return min(_MAX_SIZE, _ALWAYS_READ + data_size // _DATA_FOR_EACH_BYTE)


def unlisted(entries: Iterable[ArchivedEntry]) -> Listing:
    """Return the files of an archive without a manifest."""
    files = (ListedFile(entry, entry.name) for entry in entries if not entry.is_folder)
    return Listing(None, tuple(files))


def listed(data: bytes, entries: Iterable[ArchivedEntry]) -> Listing:
    """Return the files of an archive as its manifest lists them.

    Args:
        data: the manifest.
        entries: all entries of the archive.

    Raises:
        ArchiveError: it is no manifest, of a later version, or does not fit the entries.
    """
    manifest, document = _parsed(data)
    said = {file.name: file for file in manifest.files}
    found = {entry.name: entry for entry in entries if entry.name != NAME and not entry.is_folder}
    _check_same_names(said, found, len(manifest.files))
    files = tuple(_listed_file(said[name], entry, manifest.job_id) for name, entry in found.items())
    listing = Listing(document, files)
    _check_data_files(listing.data_files, said)
    return listing


def _parsed(data: bytes) -> tuple[_Manifest, Mapping[str, Any]]:
    try:
        document = parse(data)
        manifest = msgspec.convert(document, _Manifest)
    except (msgspec.ValidationError, RecursionError, Refusal):
        raise _no_manifest() from None
    if manifest.format != _FORMAT:
        raise _no_manifest()
    if manifest.format_version > FORMAT_VERSION:
        raise ArchiveError(
            f"the export is of format {manifest.format_version}, and this version of cdds reads up "
            f"to {FORMAT_VERSION}; install a later one"
        )
    return manifest, document


def _no_manifest() -> ArchiveError:
    return ArchiveError(f"{NAME} of the archive is no manifest of an export")


def _check_same_names(
    said: Mapping[str, _File], found: Mapping[str, ArchivedEntry], listed_count: int
) -> None:
    if len(said) != listed_count:
        raise ArchiveError("the manifest lists a file twice")
    for name in found:
        if name not in said:
            raise ArchiveError(f"the archive holds {printable(name)}, which the manifest omits")
    for name in said:
        if name not in found:
            raise ArchiveError(f"the archive lacks {printable(name)}, which the manifest lists")


def _check_data_files(files: Sequence[ListedFile], said: Mapping[str, _File]) -> None:
    """Make sure that each is the only one of its names, and came with its schema."""
    for names in ([file.label for file in files], [file.data_file for file in files]):
        for name, count in Counter(names).items():
            if count > 1:
                raise ArchiveError(f"the manifest lists two data files {printable(str(name))}")
    for file in files:
        if file.schema is not None and (
            file.schema not in said or said[file.schema].data_file is not None
        ):
            raise ArchiveError(
                f"the manifest lists no schema of {printable(file.entry.name)} where it says"
            )


def _listed_file(said: _File, entry: ArchivedEntry, job_id: str) -> ListedFile:
    if said.bytes != entry.size:
        raise ArchiveError(f"the manifest says another size of {printable(said.name)}")
    if not _SHA256.fullmatch(said.sha256):
        raise ArchiveError(f"the manifest says no SHA-256 of {printable(said.name)}")
    offsets = said.block_offsets
    return ListedFile(
        entry,
        said.name.removesuffix(f"-{job_id}.json") if said.data_file else said.name,
        said.sha256,
        said.data_file,
        said.schema,
        said.records,
        BlockOffsets(tuple(offsets.data), tuple(offsets.compressed)) if offsets else None,
    )
