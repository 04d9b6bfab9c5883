"""How the faults of an archive that is read are told: the entry, escaped, what, and the rule.

Place: the ground of the reading side. Sections are those of PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

from cdds.errors import ArchiveError

_LONGEST_SHOWN = 120


def shown(name: str) -> str:
    """Return a name as it can stand in a message: escaped, quoted, and not too long."""
    text = ascii(name)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def malformed(name: str, what: str, section: str) -> ArchiveError:
    """Return the error of an entry that breaks a rule of the format."""
    return ArchiveError(
        f"entry {shown(name)} {what} (APPNOTE {section}); the archive is damaged or was forged"
    )


def unsafe(name: str, what: str, section: str) -> ArchiveError:
    """Return the error of an entry that could harm whoever extracts it."""
    return ArchiveError(
        f"entry {shown(name)} {what}, so it is unsafe to extract (APPNOTE {section}); "
        "nothing was read from the archive"
    )


def unsupported(name: str, what: str, section: str) -> ArchiveError:
    """Return the error of an entry of a kind that is not read here."""
    return ArchiveError(
        f"entry {shown(name)} {what} (APPNOTE {section}), which is unsupported; only stored and "
        "deflated entries without encryption are read"
    )
