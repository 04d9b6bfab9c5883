"""Whether the digests beside an export are those of its files, and who signed them.

Place: above the files of an export, below what verifies all of it. It needs no key. What the
digests prove is that the files are those that were written; the signature proves by whom.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs

from cdds.errors import ExportError
from cdds.location import printable
from cdds.recipient.digest_file import parse_digests
from cdds.recipient.files import ExportFiles
from cdds.recipient.storage import ExportFile

if TYPE_CHECKING:
    from cdds.crypto import Signature, TrustedCertificate

MAX_SIGNATURE_SIZE = 1024 * 1024
"""The most bytes of a signature, which holds certificates too."""

_THREADS = 2
_PIECE = 4 * 1024 * 1024


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
    signature = files.signature.whole(MAX_SIGNATURE_SIZE)
    return verify_signature(files.digests_data, signature, trusted)


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
