"""`open_export`: an export is found, opened, proven and read.

Place: the top of the recipient's side: files, messages and archive below it, each by ranges, so
that one entry is read without the others. Nothing is released that is not proven: CRC-32 and the
manifest's SHA-256 of what is read, and the authentication of every message that has one. Of a
message that has none it is never told whether the key is wrong, the padding, or the archive within;
only what needs no key is: which file is malformed, or differs from its digest.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import msgspec

from cdds.archive import Archive, Limits
from cdds.crypto import RangedContent
from cdds.crypto.decryption import PrivateKeys
from cdds.crypto.ranges import ranged_content
from cdds.errors import (
    ArchiveError,
    Cancelled,
    CddsError,
    DecryptionError,
    ExportError,
    JobError,
    MessageError,
)
from cdds.location import printable
from cdds.manifest import NAME
from cdds.protocols import CancelToken
from cdds.recipient.digests import check_signature, prove_digests
from cdds.recipient.extraction import Extraction
from cdds.recipient.files import ExportFiles, Location, find_files
from cdds.recipient.lines import faults_last, whole_lines
from cdds.recipient.listing import ListedFile, Listing, listed, max_manifest_size, unlisted
from cdds.recipient.storage import ExportFile
from cdds.records.verdict import parse
from cdds.refusal import Refusal

if TYPE_CHECKING:
    from cdds.crypto import TrustedCertificate
    from cdds.crypto.certificates import CertificateSource
    from cdds.crypto.private_keys import DecryptionKeySource

Proof: TypeAlias = Literal["first", "end"]
"""When data are proven: before the first byte is given out, or before the last one is."""

MAX_SCHEMA_SIZE = 1024 * 1024
"""The most bytes of a schema that is read."""

_NO_LIMITS_GIVEN = Limits()
_WERE_CHECKED = Limits(entries=sys.maxsize, directory=sys.maxsize, ratio=sys.maxsize)
"""For an archive whose entries are those of one that kept to its limits."""
_UNKNOWN = None
_ZIP = b"PK"
_RUN = re.compile(r"export-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ONE_ERROR = (
    "the export cannot be opened: the key is not that of a recipient, or a file was changed, is "
    "damaged, or holds no archive that can be read; which of them it is cannot be told"
)
_DECODER = msgspec.json.Decoder(dict[str, Any])


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
        """Close its files."""
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
            JobError: there is no such data file.
        """
        file = self._file(name)
        pieces = self._proven_data(file, proof)
        held: dict[str, Any] | None = None  # for empty lines may follow the last record
        for record in faults_last(_records(pieces, file), pieces):
            if held is not None:
                yield held
            held = record
        if held is not None:
            yield held

    def data(self, name: str, *, proof: Proof = "first") -> Iterator[bytes]:
        """Yield the data of a file in the archive, in pieces of any size.

        Args:
            name: one of `names`, a data file's name in its dataset, or the name of any entry but
                the manifest, which is `manifest`.
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
        with _telling(self.files, self._contents):
            yield from self._archive.open(file.entry, block_offsets=offsets, start=start)

    def extract(
        self,
        folder: str | os.PathLike[str],
        names: Iterable[str] | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> tuple[Path, ...]:
        """Write the files of the archive into a folder, and return their paths.

        They get their names when all of them are written and proven. Whatever fails, nothing is
        left, and no file is ever overwritten.

        Args:
            folder: where to; made if it is not there.
            names: which of them; when left out all, and the manifest.
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
            CddsError: as `to_arrow`; ArtifactExists where there is a file of that name.
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
        for file in self.listing.files:
            if file.entry.name == name:
                return file
        known = ", ".join(map(printable, self.names)) or "none at all"
        raise JobError(f"the export has no file {printable(name)}; it has {known}")

    def _chosen(self, names: Iterable[str] | None) -> dict[str, ListedFile]:
        """Return the files to be extracted, by the names of their entries."""
        if names is not None:
            files = list(map(self._file, names))
        else:
            manifest = (entry for entry in self._archive.entries if entry.name == NAME)
            files = [*self.listing.files, *(ListedFile(entry, NAME) for entry in manifest)]
        return {file.entry.name: file for file in files}

    def _proven_data(self, file: ListedFile, proof: Proof) -> Generator[bytes]:
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

    def _joined(self) -> Iterator[bytes]:
        with _telling(self.files, self._contents):
            yield from self._archive.joined()

    def _read_back(self, path: Path) -> Iterator[bytes]:
        """Yield all data of this archive out of a file, and raise where they are not those."""
        with find_files(path) as written, _telling(self.files, self._contents):
            archive = Archive(written.parts, _WERE_CHECKED)
            entries = {entry.name: entry for entry in archive.entries}
            for name, file in self._chosen(None).items():
                if name not in entries:
                    raise ArchiveError("it was changed while it was read; open it again")
                data = archive.open(entries[name], block_offsets=file.block_offsets)
                yield from _held_against_digest(file, data)

    def _hashed(self, file: ListedFile) -> Generator[bytes]:
        """Yield data, the last piece only where the digest is right."""
        offsets = file.block_offsets if self._is_direct else None
        with _telling(self.files, self._contents):
            data = self._archive.open(file.entry, block_offsets=offsets)
            yield from _held_against_digest(file, data)

    def prove_messages(self) -> None:
        """Make sure, once, that no message that is authenticated was changed.

        Raises:
            DecryptionError: one was, or the key is wrong.
            MessageError: one is malformed.
        """
        if self._are_messages_proven:
            return
        with _telling(self.files, self._contents):
            _verify(self._contents)
        self._are_messages_proven = True

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


def open_export(
    locations: Location | Iterable[Location],
    *,
    key: DecryptionKeySource | None = None,
    keys: Iterable[DecryptionKeySource] = (),
    password: bytes | None = None,
    certificates: CertificateSource | Iterable[CertificateSource] = (),
    signer: TrustedCertificate | Iterable[TrustedCertificate] | None = None,
    require_authenticated: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    limits: Limits = _NO_LIMITS_GIVEN,
) -> Export:
    """Open an export, sealed or not, given any of its files; the others are found beside it.

    Read are the exports of this library, of any version and size, and ZIP archives of others, one
    file or split, each file sealed as S/MIME, PEM or DER, or none. Only what is asked for is read.

    Args:
        locations: paths or fsspec URLs: any file of the export, or several.
        key: the private key, as in `cdds.Envelope.decrypt`, and so are the others.
        keys: several of them, such as those before and after a rotation.
        password: what those keys are encrypted with that are.
        certificates: the key's certificate, or several.
        signer: the certificate of who must have signed the digests, or several. Signature and
            digests are then checked before any key is used, which reads all files once.
        require_authenticated: refuse what nothing proves to be unchanged: an export that is not
            sealed, or a message in AES-CBC, unless the digests are signed by `signer`.
        storage_options: passed to the file systems of URLs, such as credentials.
        limits: how much the archive may ask of its reader.

    Raises:
        ExportError: a file is missing, there twice, of another export, or cannot be read; it is not
            signed, or differs from its digest, or nothing authenticates it.
        SignatureError: the signature is not that of these digests by `signer`.
        DecryptionError: the key is wrong, or a message was changed or is damaged.
        MessageError: a message is malformed, or nothing authenticates it.
        ArchiveError: the archive is malformed, incomplete, unsafe or too large.
        CertificateError: a key or a certificate cannot be read.
        JobError: the export is sealed, and no key was given.

    >>> with open_export("exports/export-….z01.smime", key="key.pem") as export:
    ...     for record in export.records("Interaction"):
    ...         print(record["IXNID"])
    """
    with ExitStack() as opened:
        files = opened.enter_context(find_files(locations, storage_options=storage_options))
        if signer is not None:
            check_signature(files, signer)
            prove_digests(files)
        asks_messages = require_authenticated and signer is None
        private_keys = None
        if not is_archive(files):
            private_keys = PrivateKeys.loaded(key, keys, password, certificates)
            private_keys = attrs.evolve(private_keys, for_authenticated=asks_messages)
        elif asks_messages:
            raise ExportError(
                "the export is not sealed, so nothing authenticates it; give the certificate of "
                "who has signed it"
            )
        export = opened_files(files, private_keys, limits)
        opened.pop_all()
        return export


def opened_files(files: ExportFiles, private_keys: PrivateKeys | None, limits: Limits) -> Export:
    """Return what `open_export` does, given files that were found and keys that were loaded.

    Args:
        files: the export; they stay open where this fails.
        private_keys: what opens its messages; None where it is not sealed.
        limits: how much the archive may ask of its reader.
    """
    contents: tuple[RangedContent, ...] = ()
    if private_keys is not None:
        with _telling(files, _UNKNOWN):
            contents = _contents(files.parts, private_keys)
    with _telling(files, contents):
        return Export(files, contents, Archive(contents or files.parts, limits))


def is_archive(files: ExportFiles) -> bool:
    """Tell by the first bytes whether an export is an archive that is not sealed."""
    file = files.parts[0]
    return file.size >= len(_ZIP) and file.read(0, len(_ZIP)) == _ZIP


def _contents(parts: Sequence[ExportFile], private_keys: PrivateKeys) -> tuple[RangedContent, ...]:
    """Return what is in each message.

    All are looked at before it is told that one cannot be decrypted. Else a later one that is
    malformed would be told only where the padding of those before it is right.
    """
    contents = []
    fault: DecryptionError | None = None
    for part in parts:
        try:
            contents.append(_content(part, private_keys))
        except DecryptionError as error:
            fault = error
    if fault is not None:
        raise fault
    return tuple(contents)


def _content(part: ExportFile, private_keys: PrivateKeys) -> RangedContent:
    try:
        return ranged_content(part, private_keys)
    except MessageError as error:
        raise MessageError(f"{part.where}: {error}") from None


@contextmanager
def _telling(files: ExportFiles, contents: Sequence[RangedContent] | None) -> Iterator[None]:
    """Let out what may be told of a fault, and make one error of all else.

    Args:
        files: the export.
        contents: of its messages; none where it is not sealed, `_UNKNOWN` while they are opened.
    """
    try:
        yield
    except (ArchiveError, DecryptionError, MessageError) as error:
        fault = error if _may_be_told(error, contents) else None
    else:
        return
    if fault is not None:
        raise fault
    if files.digests is not None:
        prove_digests(files)
    raise DecryptionError(_ONE_ERROR) from None


def _may_be_told(error: CddsError, contents: Sequence[RangedContent] | None) -> bool:
    """Tell whether an error needs no key, or is surely of what the sender has made.

    That a message is malformed needs none before its key is used. Behind that, whether the place
    is come to at all depends on key and padding.
    """
    if contents is None:
        return isinstance(error, MessageError)
    if not all(content.header.is_authenticated for content in contents):
        return False
    with suppress(DecryptionError, MessageError):
        _verify(contents)
        return True
    return False


def _verify(contents: Iterable[RangedContent]) -> None:
    for content in contents:
        if content.header.is_authenticated:
            content.verify()


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


def _records(pieces: Iterable[bytes], file: ListedFile) -> Iterator[dict[str, Any]]:
    number = 0
    for lines in _lines(pieces, file):
        for line in io.BytesIO(lines):
            number += 1
            if not line.isspace():
                yield _record(line, number, file)


def _lines(pieces: Iterable[bytes], file: ListedFile) -> Iterator[bytes]:
    refusal: Refusal | None = None
    try:
        yield from whole_lines(pieces)
    except Refusal as caught:
        refusal = caught.with_traceback(None)
    if refusal is not None:  # outside the handler: its context would hold the line
        raise ArchiveError(f"{printable(file.entry.name)}: {refusal.rule}")


def _record(line: bytes, number: int, file: ListedFile) -> dict[str, Any]:
    try:
        record: dict[str, Any] = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return record
    refusal: Refusal | None = None
    try:
        return parse(line)
    except Refusal as caught:
        refusal = caught.with_traceback(None)
    raise ArchiveError(f"{printable(file.entry.name)}, line {number}: {refusal.rule}")
