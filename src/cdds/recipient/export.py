"""`Export`: an export that is open, proven and read.

Place: over the listing of its archive and below `opening`, which finds its files and decrypts their
messages. One entry is read without the others. Nothing is released that is not proven: CRC-32 and
the manifest's SHA-256 of what is read, and the authentication of every message that has one.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias, get_args

from cdds.archive import Archive, Limits
from cdds.crypto import RangedContent
from cdds.errors import ArchiveError, Cancelled, JobError
from cdds.location import printable
from cdds.manifest import MAX_SCHEMA_SIZE, NAME
from cdds.protocols import CancelToken
from cdds.recipient.disclosure import telling, verify_messages
from cdds.recipient.extraction import Extraction
from cdds.recipient.files import ExportFiles, find_files
from cdds.recipient.json_records import records_of
from cdds.recipient.lines import faults_last
from cdds.recipient.listing import ListedFile, Listing, listed, max_manifest_size, unlisted
from cdds.records.verdict import parse
from cdds.refusal import Refusal

Proof: TypeAlias = Literal["first", "end"]
"""When data are proven: before the first byte is given out, or before the last one is."""

_WERE_CHECKED = Limits(entries=sys.maxsize, directory=sys.maxsize, ratio=sys.maxsize)
"""For an archive whose entries are those of one that kept to its limits."""
_MAX_TOLD = 20  # names in an error
_RUN = re.compile(r"export-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Export:
    """An export that is open; a context manager that closes its files.

    Attributes:
        files: the files that it is.
        listing: the files in its archive, with what the manifest says of them.
    """

    def __init__(
        self, files: ExportFiles, contents: tuple[RangedContent, ...], archive: Archive
    ) -> None:
        self.files = files
        self._contents = contents
        self._archive = archive
        self._is_direct = all(content.is_direct for content in contents)
        self.listing = self._listed()
        self._proven: set[str] = set()
        self._are_messages_proven = False
        self._is_closed = False

    def __enter__(self) -> Export:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Export({self.files.stem!r}, names={self.names!r})"

    def close(self) -> None:
        """Close its files; nothing can be read any more."""
        self._is_closed = True
        self.files.close()

    @property
    def manifest(self) -> Mapping[str, Any] | None:
        """What the export says of itself; None for archives that others made."""
        return self.listing.manifest

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its data files, such as ``"Interaction"``; without a manifest of all."""
        return tuple(file.label for file in self.listing.data_files)

    def records(self, name: str, *, proof: Proof = "first") -> Iterator[dict[str, Any]]:
        """Yield the records of a data file, streamed; integers of any size are kept.

        Args:
            name: one of `names`, the data file's name in its dataset, or that of the entry.
            proof: ``"first"`` reads the data twice, and gives out nothing before all of them are
                proven; ``"end"`` reads them once, and raises before the last record is given out
                where the proof fails.

        Raises:
            ArchiveError: the data are not what the export says, or no records.
            DecryptionError: a message is damaged.
            MessageError: a message is malformed.
            ExportError: a file cannot be read, or was changed meanwhile.
            JobError: there is no such data file, or no such proof.
        """
        file = self._file(name)
        pieces = self._proven_data(file, proof)
        held: dict[str, Any] | None = None  # for empty lines may follow the last record
        for record in faults_last(records_of(pieces, file), pieces):
            if held is not None:
                yield held
            held = record
        if held is not None:
            yield held

    def data(self, name: str, *, proof: Proof = "first") -> Iterator[bytes]:
        """Yield the data of a file in the archive, in pieces of any size.

        Args:
            name: one of `names`, a data file's name in its dataset, or the name of any entry, such
                as ``manifest.json``.
            proof: as for `records`; with ``"end"``, the last piece comes when all are proven.

        Raises:
            CddsError: as `records`.
        """
        return self._proven_data(self._file(name), proof)

    def data_of(self, file: ListedFile) -> Iterator[bytes]:
        """Yield the data of one of the files in `listing`; the last piece when all are proven.

        Raises:
            CddsError: as `records`.
        """
        return self._proven_data(file, "end")

    def iter_unverified(self, name: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield the data of a file from a byte on, in pieces; nothing of them is proven.

        Where messages and archive are this library's, what is before that byte is not read, so an
        interrupted copy goes on where it was. What has come so far may be anything until the
        whole of it has been compared with the digest in `listing`.

        Args:
            name: as for `data`.
            start: the first byte that is wanted.

        Raises:
            CddsError: as `records`; JobError where the data have no such byte.

        >>> with open("Interaction.jsonl", "ab") as copy:
        ...     copy.writelines(export.iter_unverified("Interaction", start=copy.tell()))
        """
        file = self._file(name)
        if not 0 <= start <= file.entry.size:
            raise JobError(f"{printable(file.entry.name)} has no byte {start}")
        offsets = file.block_offsets if self._is_direct else None
        with self._reading():
            yield from self._archive.open(file.entry, block_offsets=offsets, start=start)

    def extract(
        self,
        folder: str | os.PathLike[str],
        names: str | Iterable[str] | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> tuple[Path, ...]:
        """Write the files of the archive into a folder, and return their paths.

        They get their names when all of them are written and proven. Whatever fails, nothing is
        left, and no file is ever overwritten.

        Args:
            folder: where to; made if it is not there.
            names: which of them, one or several, as for `data`; when left out all.
            cancel: set by another thread to stop it.

        Raises:
            CddsError: as `records`; ExportError where a file cannot be written or is there;
                Cancelled.
        """
        chosen = self._chosen(names)
        target = Path(folder)
        with Extraction(target, list(chosen)) as extraction:
            for entry_name, file in chosen.items():
                extraction.write(entry_name, _until_set(cancel, self._hashed(file)))
            self.prove_messages()
            self._check_unchanged()
            _check(cancel)
        return tuple(target / name for name in chosen)

    def to_zip(self, path: str | os.PathLike[str], *, cancel: CancelToken | None = None) -> None:
        """Write the whole archive as one plain ZIP file, neither sealed nor split.

        All data are copied as they are compressed. What is not split comes byte for byte. The file
        gets its name when what it holds is proven; whatever fails, nothing is left.

        Args:
            path: the file, which must not be there yet; folders are made.
            cancel: set by another thread to stop it.

        Raises:
            CddsError: as `extract`.
        """
        target = Path(path).absolute()
        with Extraction(target.parent, [target.name]) as extraction:
            extraction.write(target.name, _until_set(cancel, self._joined()))
            for _ in _until_set(cancel, self._read_back(extraction.staged(target.name))):
                pass
            self.prove_messages()
            self._check_unchanged()
            _check(cancel)

    def to_arrow(self, name: str, *, proof: Proof = "first") -> Any:
        """Return the records of a data file as a `pyarrow.RecordBatchReader`.

        The columns have the types of the schema in the export; see `cdds.recipient.arrow`.

        Raises:
            CddsError: as `records`; RecordError where a value does not fit its column.
            MissingDependency: pyarrow is not installed.
        """
        return self._converter(name).to_arrow(self.data(name, proof=proof))

    def to_parquet(self, name: str, path: str | os.PathLike[str], *, proof: Proof = "end") -> None:
        """Write the records of a data file to a Parquet file, which is named when all are proven.

        Raises:
            CddsError: as `to_arrow`; ExportError where the file cannot be written or is there.
        """
        self._converter(name).to_parquet(self.data(name, proof=proof), path)

    def to_pandas(self, name: str, *, proof: Proof = "end") -> Any:
        """Return the records of a data file as a pandas ``DataFrame``.

        Raises:
            CddsError: as `to_arrow`.
        """
        return self._converter(name).to_pandas(self.data(name, proof=proof))

    def schema(self, name: str) -> Mapping[str, Any]:
        """Return the JSON Schema that came with a data file.

        Raises:
            CddsError: as `records`; JobError where none came.
        """
        return self.schema_of(self._file(name))

    def schema_of(self, file: ListedFile) -> Mapping[str, Any]:
        """Return the JSON Schema that came with one of the files in `listing`.

        Raises:
            CddsError: as `schema`.
        """
        if file.schema is None:
            raise JobError(f"no schema came with {printable(file.entry.name)}")
        schema = next(other for other in self.listing.files if other.entry.name == file.schema)
        if schema.entry.size > MAX_SCHEMA_SIZE:
            raise ArchiveError(
                f"{printable(file.schema)} is larger than {MAX_SCHEMA_SIZE} bytes, so it is not "
                "read as a schema"
            )
        refusal: Refusal | None = None
        try:
            return parse(b"".join(self._proven_data(schema, "first")))
        except Refusal as caught:
            refusal = caught.with_traceback(None)
        raise ArchiveError(f"{printable(file.schema)} is no JSON Schema: {refusal.rule}")

    def prove_messages(self) -> None:
        """Make sure, once, that no message that is authenticated was changed.

        Raises:
            DecryptionError: one was, or the key is wrong.
            MessageError: one is malformed.
        """
        if self._are_messages_proven:
            return
        with self._reading():
            verify_messages(self._contents)
        self._are_messages_proven = True

    def _listed(self) -> Listing:
        entries = self._archive.entries
        manifest = next((entry for entry in entries if entry.name == NAME), None)
        if manifest is None:
            return unlisted(entries)
        most = max_manifest_size(entries)
        if manifest.size > most:
            raise ArchiveError(f"{NAME} is larger than {most} bytes, so it is not read")
        listing = listed(b"".join(self._archive.open(manifest)), entries)
        run = _RUN.fullmatch(self.files.stem)
        if run and listing.manifest and run[1] != listing.manifest.get("run_id"):
            raise ArchiveError("the export is of another run than the names of its files say")
        return listing

    def _file(self, name: str) -> ListedFile:
        for told in ("label", "data_file"):
            for file in self.listing.data_files:
                if getattr(file, told) == name:
                    return file
        files = self._all_files()
        for file in files:
            if file.entry.name == name:
                return file
        known = [printable(file.label) for file in files[:_MAX_TOLD]]
        if len(files) > _MAX_TOLD:
            known.append(f"{len(files) - _MAX_TOLD} more")
        raise JobError(
            f"the export has no file {printable(name)}; it has {', '.join(known) or 'none at all'}"
        )

    def _all_files(self) -> list[ListedFile]:
        """Return the files in `listing`, and the manifest, which does not list itself."""
        manifest = (entry for entry in self._archive.entries if entry.name == NAME)
        return [*self.listing.files, *(ListedFile(entry, NAME) for entry in manifest)]

    def _chosen(self, names: str | Iterable[str] | None) -> dict[str, ListedFile]:
        """Return the files to be extracted, by the names of their entries."""
        if names is None:
            files = self._all_files()
        else:
            files = [self._file(name) for name in ([names] if isinstance(names, str) else names)]
        return {file.entry.name: file for file in files}

    def _proven_data(self, file: ListedFile, proof: Proof) -> Generator[bytes]:
        if proof not in get_args(Proof):
            raise JobError(f"proof is one of {', '.join(get_args(Proof))}")
        if proof == "first" and file.entry.name not in self._proven:
            for _ in self._hashed(file):
                pass
            self.prove_messages()
            self._check_unchanged()
            self._proven.add(file.entry.name)
        held: bytes | None = None
        for piece in self._hashed(file):
            if held is not None:
                yield held
            held = piece
        self.prove_messages()
        self._check_unchanged()
        if held is not None:
            yield held

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Let out of a fault what may be told; nothing is read when the files are closed."""
        if self._is_closed:
            raise JobError("the export is closed; read it before, or open it again")
        with telling(self.files, self._contents):
            yield

    def _joined(self) -> Iterator[bytes]:
        with self._reading():
            yield from self._archive.joined()

    def _read_back(self, path: Path) -> Iterator[bytes]:
        """Yield all data of this archive out of a file, and raise where they are not those."""
        with find_files(path) as written, self._reading():
            archive = Archive(written.parts, _WERE_CHECKED)
            if _what_entries_say(archive) != _what_entries_say(self._archive):
                raise ArchiveError("it was changed while it was read; open it again")
            entries = {entry.name: entry for entry in archive.entries}
            for name, file in self._chosen(None).items():
                data = archive.open(entries[name], block_offsets=file.block_offsets)
                yield from _held_against_digest(file, data)

    def _hashed(self, file: ListedFile) -> Generator[bytes]:
        """Yield data, the last piece only where the digest is right."""
        offsets = file.block_offsets if self._is_direct else None
        with self._reading():
            data = self._archive.open(file.entry, block_offsets=offsets)
            yield from _held_against_digest(file, data)

    def _check_unchanged(self) -> None:
        for file in self.files.parts:
            file.check_unchanged()

    def _converter(self, name: str) -> Any:
        from cdds.recipient.arrow import ArrowConverter  # loads pyarrow

        file = self._file(name)
        return ArrowConverter(
            self.schema_of(file),
            data_file=file.data_file or file.label,
            origin=file.entry.name,
        )


def _what_entries_say(archive: Archive) -> list[tuple[str, int, int]]:
    return [(entry.name, entry.size, entry.crc) for entry in archive.entries]


def _until_set(cancel: CancelToken | None, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        _check(cancel)
        yield piece


def _check(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("the extraction was cancelled; nothing of it is left")


def _held_against_digest(file: ListedFile, data: Iterable[bytes]) -> Generator[bytes]:
    """Yield data, the last piece only where their digest is the one that the manifest says."""
    digest = hashlib.sha256()
    held: bytes | None = None
    for piece in data:
        if held is not None:
            yield held
        digest.update(piece)
        held = piece
    if file.sha256 not in {None, digest.hexdigest()}:
        raise ArchiveError(
            f"{printable(file.entry.name)}: the SHA-256 of its data is not the one that the "
            "manifest says; fetch the export again"
        )
    if held is not None:
        yield held
