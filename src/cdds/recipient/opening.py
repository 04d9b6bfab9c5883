"""`open_export`: the files of an export are found, their messages opened, its archive listed.

Place: the top of the recipient's side. Only what is needed to list the archive is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import attrs

from cdds.archive import Archive, Limits
from cdds.crypto import RangedContent
from cdds.crypto.decryption import PrivateKeys
from cdds.crypto.ranges import ranged_content
from cdds.errors import DecryptionError, ExportError, MessageError
from cdds.recipient.digests import check_signature, prove_digests
from cdds.recipient.disclosure import UNKNOWN, telling
from cdds.recipient.export import Export
from cdds.recipient.files import ExportFiles, Location, find_files
from cdds.recipient.storage import ExportFile

if TYPE_CHECKING:
    from cdds.crypto import TrustedCertificate
    from cdds.crypto.certificates import CertificateSource
    from cdds.crypto.private_keys import DecryptionKeySource

_NO_LIMITS_GIVEN = Limits()
_ZIP = b"PK"


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
        with telling(files, UNKNOWN):
            contents = _contents(files.parts, private_keys)
    with telling(files, contents):
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
