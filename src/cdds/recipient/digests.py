"""The file of digests beside an export: what it says, whether it is true, and who signed it.

Place: above the files of an export, below what verifies all of it. It needs no key. What the
digests prove is that the files are those that were written; the signature proves by whom.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs

from cdds.errors import ExportError, ExportIncomplete
from cdds.location import printable
from cdds.recipient.storage import ExportFile

if TYPE_CHECKING:
    from cdds.crypto import Signature, TrustedCertificate
    from cdds.recipient.files import ExportFiles

MAX_DIGESTS_SIZE = 16 * 1024 * 1024
"""The most bytes of a file of digests: those of some 100,000 files."""
MAX_SIGNATURE_SIZE = 1024 * 1024
"""The most bytes of a signature, which holds certificates too."""

_THREADS = 2
_PIECE = 4 * 1024 * 1024
_LINE = re.compile(rb"(\\?)([0-9A-Fa-f]{64}) [ *]([^\0/]{1,1024})")
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_ESCAPED = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


def parse_digests(data: bytes, where: str = "the file of digests") -> dict[str, str]:
    """Return the SHA-256 of each file by its name, in hexadecimal, in the order of the lines.

    The format is the one that ``sha256sum`` writes: in text or binary mode, with a backslash before
    a line whose name has characters escaped. No name may have a folder.

    Args:
        data: what the file holds.
        where: what messages call it.

    Raises:
        ExportIncomplete: it is too large, has no lines, or one that is of another form, or a name
            twice.
    """
    if len(data) > MAX_DIGESTS_SIZE:
        raise ExportIncomplete(
            f"{where} is larger than {MAX_DIGESTS_SIZE} bytes, so it is not read"
        )
    digests: dict[str, str] = {}
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        parsed = _parsed(line)
        if parsed is None:
            raise ExportIncomplete(
                f"line {number} of {where} is not a SHA-256, two spaces and a plain name, "
                "as sha256sum writes them"
            )
        name, digest = parsed
        if name in digests:
            raise ExportIncomplete(f"line {number} of {where} names {printable(name)} once more")
        digests[name] = digest
    return digests


def _parsed(line: bytes) -> tuple[str, str] | None:
    found = _LINE.fullmatch(line)
    name = found and (_unescaped(found[3]) if found[1] else found[3])
    if not found or not name or name in {b".", b".."}:
        return None
    return name.decode("utf-8", "surrogateescape"), found[2].decode().lower()


def _unescaped(name: bytes) -> bytes | None:
    if any(found[1] not in _ESCAPED for found in _ESCAPE.finditer(name)):
        return None
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], name)


@attrs.frozen
class DigestReport:
    """How the files of an export compare with their digests.

    Attributes:
        computed: the SHA-256 of each part, in hexadecimal, by its name.
        differing: the parts that have another digest than the one that is stated.
        unnamed: the parts that no digest is stated for.
        missing: the names that a digest is stated for, of which there is no part.
    """

    computed: Mapping[str, str] = attrs.field(repr=False)
    differing: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether all parts are there and are as they were written."""
        return not (self.differing or self.unnamed or self.missing)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, a sentence for each file."""
        said = (
            (self.differing, "differs from its digest; it was changed or is damaged"),
            (self.unnamed, "has no digest; it may be of another export"),
            (self.missing, "is missing, though it has a digest"),
        )
        return tuple(f"{printable(name)} {what}" for names, what in said for name in names)


def check_digests(files: ExportFiles) -> DigestReport:
    """Compute the SHA-256 of each part, two at a time, and compare it with what is stated.

    Raises:
        ExportError: there is no file of digests, or it is malformed, or a file cannot be read.
    """
    stated = parse_digests(files.digests_data, _digests_of(files).where)
    computed = _computed(files.parts)
    return DigestReport(
        computed,
        differing=tuple(n for n in computed if stated.get(n, computed[n]) != computed[n]),
        unnamed=tuple(name for name in computed if name not in stated),
        missing=tuple(name for name in stated if name not in computed),
    )


def prove_digests(files: ExportFiles) -> None:
    """Make sure that each part has the SHA-256 that is stated, and that there are no others.

    Raises:
        ExportError: a part differs, is missing, or has none; or as `check_digests`.
    """
    if faults := check_digests(files).faults:
        # What has led here may tell of a message what must not be told.
        raise ExportError("; ".join(faults) + "; fetch the export again") from None


def check_signature(
    files: ExportFiles, trusted: TrustedCertificate | Iterable[TrustedCertificate]
) -> Signature:
    """Make sure that the file of digests was signed by a trusted certificate; return how.

    Args:
        files: the export.
        trusted: the certificate of the signer, or several.

    Raises:
        ExportError: there is no signature, or a file cannot be read.
        SignatureError: it is not that of these digests by any of these certificates.
        CertificateError: a certificate cannot be read.
    """
    from cdds.crypto import verify_signature  # loads what reads messages

    _digests_of(files)
    if files.signature is None:
        raise ExportError(f"there is no signature of {files.stem}; ask for its .sha256.p7s")
    signature = read_whole(files.signature, MAX_SIGNATURE_SIZE)
    return verify_signature(files.digests_data, signature, trusted)


def read_whole(file: ExportFile, most: int) -> bytes:
    """Return what a small file holds.

    Raises:
        ExportIncomplete: it has more than `most` bytes.
        ExportError: it cannot be read.
    """
    if file.size > most:
        raise ExportIncomplete(f"{file.where} is larger than {most} bytes, so it is not read")
    return b"".join(file.pieces(most))


def _digests_of(files: ExportFiles) -> ExportFile:
    if files.digests is None:
        raise ExportError(f"there is no file of digests of {files.stem}; ask for its .sha256")
    return files.digests


def _computed(parts: Sequence[ExportFile]) -> dict[str, str]:
    """Return the SHA-256 of each part; the first failure ends all that is under way."""
    waiting, stop = deque(parts), threading.Event()

    def work() -> dict[str, str]:
        done = {}
        try:
            while not stop.is_set() and (part := _taken(waiting)) is not None:
                done[part.name] = _sha256(part, stop)
        except BaseException:
            stop.set()
            raise
        return done

    with ThreadPoolExecutor(_THREADS, "cdds-digests") as threads:
        working = [threads.submit(work) for _ in range(min(_THREADS, len(parts)))]
        try:
            found = {name: digest for one in working for name, digest in one.result().items()}
        finally:
            stop.set()
    return {part.name: found[part.name] for part in parts}


def _taken(waiting: deque[ExportFile]) -> ExportFile | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _sha256(part: ExportFile, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    for piece in part.pieces(_PIECE):
        if stop.is_set():
            break
        digest.update(piece)
        del piece  # before the next one is read
    return digest.hexdigest()
