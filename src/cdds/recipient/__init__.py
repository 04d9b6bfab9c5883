"""What a recipient does with an export: find its files, prove them, read them.

Place: above archive and crypto, which it feeds with the bytes of files; beside what makes exports.
It writes nothing but what it was told to extract.
"""

from typing import TYPE_CHECKING

from cdds.lazy import loaded_when_used

if TYPE_CHECKING:
    from cdds.recipient.digests import DigestReport, check_digests, check_signature
    from cdds.recipient.export import Export, Proof
    from cdds.recipient.files import ExportFiles, find_files
    from cdds.recipient.inspection import Inspection, inspect_export
    from cdds.recipient.opening import open_export
    from cdds.recipient.verification import Check, Verification, verify

__all__ = [
    "Check",
    "DigestReport",
    "Export",
    "ExportFiles",
    "Inspection",
    "Proof",
    "Verification",
    "check_digests",
    "check_signature",
    "find_files",
    "inspect_export",
    "open_export",
    "verify",
]

__getattr__ = loaded_when_used(
    __name__,
    {
        "Check": "verification",
        "DigestReport": "digests",
        "Export": "export",
        "ExportFiles": "files",
        "Inspection": "inspection",
        "Proof": "export",
        "Verification": "verification",
        "check_digests": "digests",
        "check_signature": "digests",
        "find_files": "files",
        "inspect_export": "inspection",
        "open_export": "opening",
        "verify": "verification",
    },
)
