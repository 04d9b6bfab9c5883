"""Every error that this library raises by intention, in one tree.

Place: at the ground; everything above may import it. It holds no logic.

    CddsError
    ├── JobError                 the request makes no sense: sizes, time frame, names, media types
    ├── CertificateError         a certificate or its key is unreadable or unsuitable
    ├── SourceError              a source cannot be opened or read
    │   └── RecordError          one record is malformed or breaks its schema
    │       └── TooManyRejects   more records were rejected than the job allows
    ├── ArchiveError             an archive would break a limit of the ZIP format
    ├── EnvelopeError            a message would break a limit of its cipher
    ├── SinkError                the storage refused or failed
    │   ├── ArtifactExists       the name is taken; nothing is ever overwritten
    │   └── ArtifactMissing      there is nothing of that name to be read
    ├── Cancelled                the caller asked the run to stop
    └── MissingDependency        an optional package has to be installed first

A message says what is wrong, where, which rule was broken and what to do. It never holds the
content of a record, a key or a password. Errors raised by a host's own source, sink or listener
pass through this library unchanged.
"""

from __future__ import annotations

from cdds.reject import Reject


class CddsError(Exception):
    """Root of the tree: catch this to catch everything that this library raises itself."""


class JobError(CddsError, ValueError):
    """What was asked for makes no sense; nothing was read or written."""


class CertificateError(CddsError, ValueError):
    """A certificate cannot be read, or nothing may be sealed for it; the message says why."""


class SourceError(CddsError):
    """A source cannot be opened or read."""


class RecordError(SourceError):
    """A record is malformed or breaks its schema.

    `reject` says where it stands and which rule it breaks, without its content.
    """

    def __init__(self, reject: Reject, advice: str = "correct it, and export again") -> None:
        super().__init__(reject, advice)
        self.reject = reject
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.reject}; {self.advice}"


class TooManyRejects(RecordError):
    """More records were rejected than the job allows; `reject` is the one that broke the limit."""

    def __str__(self) -> str:
        return (
            "more records are invalid than max_rejects allows, so nothing was exported; "
            f"one of them: {self.reject}"
        )


class ArchiveError(CddsError):
    """The archive would break a limit of the ZIP format."""


class EnvelopeError(CddsError):
    """A message would break a limit of its cipher."""


class SinkError(CddsError):
    """The storage refused or failed; no incomplete set of the run is visible in it."""


class ArtifactExists(SinkError):
    """An artifact of that name is there already; it was left as it is."""


class ArtifactMissing(SinkError):
    """There is no artifact of that name, or none any more."""


class Cancelled(CddsError):
    """The run was stopped by the caller; it left nothing behind."""


class MissingDependency(CddsError, ImportError):
    """An optional package is needed; the message holds the command that installs it."""
