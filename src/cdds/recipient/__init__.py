"""What a recipient does with an export: find its files, prove them, read them.

Place: above archive and crypto, which it feeds with the bytes of files; beside what makes exports.
It writes nothing but what it was told to extract.
"""

from typing import TYPE_CHECKING

from cdds.lazy import loaded_when_used

if TYPE_CHECKING:
    from cdds.recipient.digests import DigestReport, check_digests, check_signature
    from cdds.recipient.export import Export, Proof, open_export
    from cdds.recipient.files import ExportFiles, find_files

__all__ = [
    "DigestReport",
    "Export",
    "ExportFiles",
    "Proof",
    "check_digests",
    "check_signature",
    "find_files",
    "open_export",
]

__getattr__ = loaded_when_used(
    __name__,
    {
        "DigestReport": "digests",
        "Export": "export",
        "ExportFiles": "files",
        "Proof": "export",
        "check_digests": "digests",
        "check_signature": "digests",
        "find_files": "files",
        "open_export": "export",
    },
)
