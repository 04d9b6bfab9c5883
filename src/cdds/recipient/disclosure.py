"""What may be told of a fault in an export, and to what all other faults become: one error.

Place: around whatever reads messages and the archive within. Of a message that is not
authenticated it is never told whether the key is wrong, the padding, or the archive within; only
what needs no key is: which file is malformed, or differs from its digest. Why,
`docs/explanation/security.md` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from cdds.crypto import RangedContent
from cdds.errors import ArchiveError, CddsError, DecryptionError, MessageError
from cdds.recipient.digests import prove_digests
from cdds.recipient.files import ExportFiles

UNKNOWN = None
"""The contents of messages that are being opened."""
_ONE_ERROR = (
    "the export cannot be opened: the key is not that of a recipient, or a file was changed, is "
    "damaged, or holds no archive that can be read; which of them it is cannot be told"
)


@contextmanager
def telling(files: ExportFiles, contents: Sequence[RangedContent] | None) -> Iterator[None]:
    """Let out what may be told of a fault, and make one error of all else.

    Args:
        files: the export.
        contents: of its messages; none where it is not sealed, `UNKNOWN` while they are opened.
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
        verify_messages(contents)
        return True
    return False


def verify_messages(contents: Iterable[RangedContent]) -> None:
    """Make sure that no message that is authenticated was changed.

    Raises:
        DecryptionError: one was, or the key is wrong.
        MessageError: one is malformed.
    """
    for content in contents:
        if content.header.is_authenticated:
            content.verify()
