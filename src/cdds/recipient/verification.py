"""`verify`: whether an export is sound, in rising depth, as a report instead of an error.

Place: beside `export`, over the same parts. What is wrong with the export is a line of the report;
what keeps from judging it, such as a key that cannot be read or a storage that is not there, stays
an error. The one-error rule of `export` holds: of messages that nothing authenticates the report
never tells apart a wrong key, wrong padding and a damaged archive. It releases no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import attrs

from cdds.archive import Limits
from cdds.crypto.decryption import PrivateKeys
from cdds.crypto.message import EncryptedMessage
from cdds.crypto.ranged_octets import file_pieces
from cdds.crypto.recognition import READ_SIZE
from cdds.crypto.signature import load_trusted
from cdds.errors import (
    ArchiveError,
    DecryptionError,
    ExportIncomplete,
    MessageError,
    SignatureError,
)
from cdds.location import printable
from cdds.recipient.conformity import record_faults
from cdds.recipient.digests import check_digests, check_signature
from cdds.recipient.export import Export
from cdds.recipient.files import ExportFiles, Location, find_files
from cdds.recipient.opening import is_archive, opened_files

if TYPE_CHECKING:
    from cdds.crypto import TrustedCertificate
    from cdds.crypto.certificates import CertificateSource
    from cdds.crypto.private_keys import DecryptionKeySource

CheckName: TypeAlias = Literal[
    "files", "digests", "signature", "messages", "decryption", "archive", "records"
]
"""The depths, in rising order."""
Verdict: TypeAlias = Literal["sound", "unsound", "not checked"]

MAX_DETAILS = 20
"""How many faults a check tells; it looks for no more of them."""

_LONGEST = 500
_NO_LIMITS_GIVEN = Limits()
_DEPTHS: tuple[CheckName, ...] = get_args(CheckName)


@attrs.frozen
class Check:
    """What was found in one depth.

    Attributes:
        name: which.
        verdict: whether it is sound.
        details: what is wrong, where, and which rule was broken; else what was checked, or why
            nothing was. Never what a record holds.
    """

    name: CheckName
    verdict: Verdict
    details: tuple[str, ...] = ()


@attrs.frozen
class Verification:
    """A report on an export; as text, for a person.

    Attributes:
        name: what the names of its files begin with; empty where they are of no one export.
        checks: one for each depth.
    """

    name: str
    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, as far as it was checked."""
        return all(check.verdict != "unsound" for check in self.checks)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._lines()])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values of JSON."""
        checks = [attrs.asdict(check) for check in self.checks]
        return {"name": self.name, "sound": self.is_sound, "checks": checks}

    def _headline(self) -> str:
        verdicts = {check.verdict for check in self.checks}
        verdict = "sound" if verdicts == {"sound"} else "sound, as far as it was checked"
        if not self.is_sound:
            verdict = "not sound"
        return f"{printable(self.name) or 'the export'}: {verdict}"

    def _lines(self) -> Iterator[str]:
        for check in self.checks:
            first, *others = check.details or ("",)
            yield f"  {check.name:<11} {check.verdict:<12} {first}".rstrip()
            yield from (f"{'':27}{other}" for other in others)


def verify(
    locations: Location | Iterable[Location],
    *,
    key: DecryptionKeySource | None = None,
    keys: Iterable[DecryptionKeySource] = (),
    password: bytes | None = None,
    certificates: CertificateSource | Iterable[CertificateSource] = (),
    signer: TrustedCertificate | Iterable[TrustedCertificate] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    limits: Limits = _NO_LIMITS_GIVEN,
) -> Verification:
    """Return whether an export is sound, given any of its files; the others are found beside it.

    In rising depth: its files are all there; they have the digests that are stated, and those are
    signed; each message is well formed to its end; they decrypt; every CRC-32 and every digest of
    the manifest is right; every record follows the schema that came with it, and they are as many
    as the manifest says. What needs the key is not checked without one, nor the signature without
    the signer's certificate. The data are read several times, and none are kept.

    Args:
        locations: as in `open_export`, and so are the others.
        key: the private key.
        keys: several of them.
        password: what those keys are encrypted with that are.
        certificates: the key's certificate, or several.
        signer: the certificate of who is trusted to have signed the digests, or several.
        storage_options: passed to the file systems of URLs.
        limits: how much the archive may ask of its reader.

    Raises:
        ExportError: a file that was named is not there, or one cannot be read or was changed
            meanwhile.
        CertificateError: a key or a certificate cannot be read.
        JobError: nothing was named.
    """
    sources = [*([] if key is None else [key]), *keys]
    private_keys = PrivateKeys.loaded(None, sources, password, certificates) if sources else None
    try:
        files = find_files(locations, storage_options=storage_options)
    except ExportIncomplete as error:
        checks = (_judged("files", [str(error)]), *_skipped(_DEPTHS[1:], "the files are not whole"))
        return Verification("", checks)
    with files:
        return Verification(files.stem, tuple(_checks(files, private_keys, signer, limits)))


def _checks(
    files: ExportFiles,
    private_keys: PrivateKeys | None,
    signer: TrustedCertificate | Iterable[TrustedCertificate] | None,
    limits: Limits,
) -> Iterator[Check]:
    size = sum(part.size for part in files.parts)
    yield _judged("files", (), f"all of the archive are there: {len(files.parts)}, {size} bytes")
    yield _digests(files)
    yield _signature(files, signer)
    if is_archive(files):
        yield from _skipped(("messages", "decryption"), "the export is not sealed")
        yield from _within(files, None, limits)[1:]
        return
    messages = _judged("messages", _message_faults(files), "all are well formed to their end")
    yield messages
    if messages.verdict == "unsound":
        yield from _skipped(_DEPTHS[4:], "a message is malformed")
    elif private_keys is None:
        yield from _skipped(_DEPTHS[4:], "not asked for: it takes the private key")
    else:
        yield from _within(files, private_keys, limits)


def _digests(files: ExportFiles) -> Check:
    if files.digests is None:
        return _skip("digests", "there is no file of digests")
    return _judged("digests", check_digests(files).faults, "all files have their SHA-256")


def _signature(
    files: ExportFiles, signer: TrustedCertificate | Iterable[TrustedCertificate] | None
) -> Check:
    if signer is None:
        there = "there is none" if files.signature is None else "there is one"
        return _skip("signature", f"not asked for: it takes the signer's certificate; {there}")
    if files.digests is None or files.signature is None:
        load_trusted(signer)  # who names a wrong file shall be told so, signature or not
        return _judged("signature", ["there is none, so nothing tells who made the export"])
    try:
        check_signature(files, signer)
    except (SignatureError, ExportIncomplete) as error:
        return _judged("signature", [str(error)])
    return _judged("signature", (), "the digests are signed by a trusted certificate")


def _message_faults(files: ExportFiles) -> Iterator[str]:
    """Yield what needs no key to be found wrong with the messages."""
    for part in files.parts:
        try:
            message = EncryptedMessage(file_pieces(part, READ_SIZE))
            for _ in message.ciphertext():
                pass
            message.ending()
        except MessageError as error:
            yield f"{part.where}: {error}"


def _within(
    files: ExportFiles, private_keys: PrivateKeys | None, limits: Limits
) -> Sequence[Check]:
    """Return the checks of what the messages hold: decryption, archive and records."""
    opens = _judged("decryption", (), "all messages open")
    # Which files differ from their digests has been told, and is not looked for once more.
    files = attrs.evolve(files, digests=None)
    try:
        export = opened_files(files, private_keys, limits)
        export.prove_messages()
        archive = _judged("archive", _archive_faults(export), _proven_by(export))
    except (DecryptionError, MessageError) as error:
        return _judged("decryption", [str(error)]), *_skipped(_DEPTHS[5:], "it does not open")
    except ArchiveError as error:
        archive = _judged("archive", [str(error)])
    if archive.verdict == "unsound":
        return opens, archive, _skip("records", "the archive is not sound")
    return opens, archive, _records(export)


def _archive_faults(export: Export) -> Iterator[str]:
    for file in export.listing.files:
        try:
            for _ in export.data_of(file):
                pass
        except ArchiveError as error:
            yield str(error)


def _proven_by(export: Export) -> str:
    proof = "CRC-32" if export.manifest is None else "CRC-32 and the manifest's SHA-256"
    return f"{len(export.listing.files)} files, proven by {proof}"


def _records(export: Export) -> Check:
    if export.manifest is None:
        return _skip("records", "the archive has no manifest, so nothing tells what are records")
    data_files = export.listing.data_files
    faults = (fault for file in data_files for fault in record_faults(export, file))
    count = sum(file.records or 0 for file in data_files)
    found = _judged("records", faults, f"{count} records, all by their schemas")
    if found.verdict == "unsound" and export.manifest.get("validated") is False:
        note = "the manifest says that the records were exported without being validated"
        return attrs.evolve(found, details=(*found.details, note))
    return found


def _judged(name: CheckName, faults: Iterable[str], otherwise: str = "") -> Check:
    """Return a check that is sound where there are no faults."""
    told = [_told(fault) for fault in islice(faults, MAX_DETAILS + 1)]
    if not told:
        return Check(name, "sound", (otherwise,))
    if len(told) > MAX_DETAILS:
        told[MAX_DETAILS:] = ["and more, which were not looked for"]
    return Check(name, "unsound", tuple(told))


def _told(fault: str) -> str:
    """Return a fault in one line that no terminal takes for orders; schemas may be of anybody."""
    line = printable(" ".join(fault.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _skip(name: CheckName, why: str) -> Check:
    return Check(name, "not checked", (why,))


def _skipped(names: Iterable[CheckName], why: str) -> Iterator[Check]:
    return (_skip(name, why) for name in names)
