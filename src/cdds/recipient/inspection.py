"""`inspect_export`: what an export tells without a key.

Place: beside `export`, over its files. It reads the beginning of each message and, where the
export is not sealed, the directory of the archive. Nothing of it is proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from cdds.archive import Archive, ArchivedEntry, Limits
from cdds.crypto.decryption import inspect_message
from cdds.crypto.message import MessageHeader, RecipientHeader
from cdds.crypto.ranged_octets import file_pieces
from cdds.crypto.recognition import READ_SIZE
from cdds.errors import MessageError
from cdds.recipient.files import ExportFiles, Location, find_files
from cdds.recipient.opening import is_archive
from cdds.recipient.storage import ExportFile

_NO_LIMITS_GIVEN = Limits()


@attrs.frozen
class InspectedPart:
    """A file of an export.

    Attributes:
        name: its name.
        size: its bytes.
        header: what its message says of itself; None where it is not sealed.
    """

    name: str
    size: int
    header: MessageHeader | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        told: dict[str, Any] = {"name": self.name, "size": self.size}
        if self.header is not None:
            told |= {
                "form": self.header.form,
                "kind": self.header.kind,
                "cipher": self.header.cipher.name,
                "authenticated": self.header.is_authenticated,
                "content_type": self.header.content_type,
                "recipients": [recipient_as_dict(one) for one in self.header.recipients],
            }
        return told


@attrs.frozen
class Inspection:
    """What an export tells without a key.

    Attributes:
        name: what the names of its files begin with.
        parts: the files of the archive, in order.
        entries: what is in the archive; None where it is sealed.
        digests: the name of the file of digests, if there is one.
        signature: the name of its signature, if there is one.
    """

    name: str
    parts: tuple[InspectedPart, ...]
    entries: tuple[ArchivedEntry, ...] | None
    digests: str | None
    signature: str | None

    @property
    def is_sealed(self) -> bool:
        """Whether it takes a key to read it."""
        return self.entries is None

    @property
    def size(self) -> int:
        """The bytes of all parts."""
        return sum(part.size for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return {
            "name": self.name,
            "sealed": self.is_sealed,
            "size": self.size,
            "parts": [part.as_dict() for part in self.parts],
            "entries": None if self.entries is None else [_entry(entry) for entry in self.entries],
            "digests": self.digests,
            "signature": self.signature,
        }


def inspect_export(
    locations: Location | Iterable[Location],
    *,
    storage_options: Mapping[str, Any] | None = None,
    limits: Limits = _NO_LIMITS_GIVEN,
) -> Inspection:
    """Return what an export tells without a key, given any of its files.

    Args:
        locations: as in `open_export`.
        storage_options: passed to the file systems of URLs.
        limits: how much an archive that is not sealed may ask of its reader.

    Raises:
        ExportError: a file is missing, there twice, of another export, or cannot be read.
        MessageError: a message is malformed.
        ArchiveError: the archive is malformed, incomplete, unsafe or too large.
        JobError: nothing was named.
    """
    with find_files(locations, storage_options=storage_options) as files:
        is_sealed = not is_archive(files)
        return Inspection(
            files.stem,
            tuple(_part(part, is_sealed=is_sealed) for part in files.parts),
            None if is_sealed else _entries(files, limits),
            _name(files.digests),
            _name(files.signature),
        )


def recipient_as_dict(recipient: RecipientHeader) -> dict[str, Any]:
    """Return a recipient as values of JSON; numbers that are too large for it in hexadecimal."""
    serial, identifier = recipient.serial_number, recipient.subject_key_identifier
    transport = recipient.key_transport
    return {
        "kind": recipient.kind,
        "issuer": recipient.issuer,
        "serial_number": None if serial is None else f"{serial:X}",
        "subject_key_identifier": None if identifier is None else identifier.hex().upper(),
        "key_transport": None if transport is None else transport.name,
    }


def _part(part: ExportFile, *, is_sealed: bool) -> InspectedPart:
    if not is_sealed:
        return InspectedPart(part.name, part.size)
    try:
        header = inspect_message(file_pieces(part, READ_SIZE))
    except MessageError as error:
        raise MessageError(f"{part.where}: {error}") from None
    return InspectedPart(part.name, part.size, header)


def _name(file: ExportFile | None) -> str | None:
    return None if file is None else file.name


def _entries(files: ExportFiles, limits: Limits) -> tuple[ArchivedEntry, ...]:
    return Archive(files.parts, limits).entries


def _entry(entry: ArchivedEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "size": entry.size,
        "compressed_size": entry.compressed_size,
        "method": entry.method,
    }
