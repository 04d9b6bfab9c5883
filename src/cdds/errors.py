"""Every error that this library raises by intention, in one tree.

Place: at the ground; everything above may import it. It holds no logic.

    CddsError
    ├── JobError                 the request makes no sense: sizes, time frame, names, media types
    │   ├── UnsupportedSource    a source that cannot be exported, such as Info Mart
    │   ├── NotEditable          a one-time job cannot be changed once it is submitted
    │   ├── NotResumable         a one-time job that was to start at once, or has started
    │   ├── NotRunnable          a one-time job has finished already
    │   └── StillInProgress      a run is in progress; wait for its end, or cancel it
    ├── AccessDenied             the principal may not do this
    ├── NotFound                 there is no such thing, or none that the principal may see
    │   └── ArtifactGone         an artifact has expired, was deleted, or is missing
    ├── CertificateError         a certificate or its key is unreadable or unsuitable
    │   └── NoCertificate        the owner has no certificate in their preferences
    ├── CatalogError             the database cannot be reached, read or written
    │   ├── CatalogVersionError  it was made by a newer version of this library
    │   └── AuditBroken          the audit trail was changed, or is not complete
    ├── RunLost                  a run was given up by others while it was still at work
    ├── SourceError              a source cannot be opened or read
    │   ├── SourceUnavailable    it cannot be reached now, and may be later
    │   └── RecordError          one record is malformed or breaks its schema
    │       └── TooManyRejects   more records were rejected than the job allows
    ├── ArchiveError             an archive would break a limit of the ZIP format, or cannot be read
    ├── EnvelopeError            a message would break a limit of its cipher
    │   ├── MessageError         a message is malformed, or is of a kind that is not read
    │   └── DecryptionError      the key is wrong or the content damaged; which is not told
    ├── SignatureError           a signature is malformed, of a kind not read, or proves nothing
    ├── ExportError              the files of an export are missing, mixed up, changed or unreadable
    │   ├── ExportIncomplete     one is missing, there twice, or of another export
    │   └── ExportUnavailable    they cannot be reached now, and may be later
    ├── SinkError                the storage refused or failed, writing, reading or removing
    │   ├── ArtifactExists       the name is taken; nothing is ever overwritten
    │   └── ArtifactMissing      there is nothing of that name to be read
    ├── Cancelled                the caller asked the run to stop
    ├── PluginError              an installed source or sink is broken, or two have one name
    └── MissingDependency        an optional package has to be installed first

A message says what is wrong, where, which rule was broken and what to do. It never holds the
content of a record, a key or a password. An error whose `is_transient` is true may not come again:
a scheduled run that fails with it is tried again. Errors raised by a host's own source, sink or
progress listener pass through this library unchanged, except that `DownloadService.run_due` and the
removal of files log their kind and go on. What a host's function raises that changes records
becomes a `RecordError`, which tells its kind. What listeners of a service raise is logged, no more.
"""

from __future__ import annotations

from cdds.reject import Reject


class CddsError(Exception):
    """Root of the tree: catch this to catch everything that this library raises itself.

    Attributes:
        is_transient: whether the same work may succeed later, so that it is worth another try.
    """

    is_transient = False


class JobError(CddsError, ValueError):
    """What was asked for makes no sense; nothing was read or written."""


class UnsupportedSource(JobError):
    """The source is known by name, and cannot be exported."""


class NotEditable(JobError):
    """A one-time job cannot be edited after it is submitted; clone it instead."""


class NotResumable(JobError):
    """A one-time job that was to start at once, or has started, cannot be resumed; clone it."""


class NotRunnable(JobError):
    """A one-time job that has finished is not run again; clone it instead."""


class StillInProgress(JobError):
    """A run is in progress: its job can be neither deleted nor run, and it cannot be deleted."""


class AccessDenied(CddsError):
    """The principal may not do this; what it may not even see is `NotFound` instead."""


class NotFound(CddsError, LookupError):
    """There is no such job, run or artifact, or none that the principal may see."""


class ArtifactGone(NotFound):
    """The artifact has expired, was deleted, or is missing from the storage."""


class CertificateError(CddsError, ValueError):
    """A certificate cannot be read, or nothing may be sealed for it; the message says why."""


class NoCertificate(CertificateError):
    """The owner of a job has no certificate in their preferences, so nothing can be exported."""


class CatalogError(CddsError):
    """The database cannot be reached, read or written.

    Where a commit failed, it may have been done and only its answer lost.
    """

    is_transient = True


class CatalogVersionError(CatalogError):
    """The database was made by a newer version of this library, and was left alone."""

    is_transient = False


class AuditBroken(CatalogError):
    """The audit trail was changed, or a part of it was dropped or cut off."""

    is_transient = False


class RunLost(CddsError):
    """A run was given up by others, for it gave no sign of life; what it made was taken back."""

    is_transient = True


class SourceError(CddsError):
    """A source cannot be opened or read."""


class SourceUnavailable(SourceError):
    """A source cannot be reached at this moment: a database that is down, a network that fails.

    A host's own source raises it where the same export may succeed later.
    """

    is_transient = True


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
    """More records were rejected than the job allows; `reject` is the one that broke the limit.

    However many it allows, a manifest lists 12 MiB of them: some 60,000.
    """

    def __str__(self) -> str:
        return (
            "more records are invalid than max_rejects allows, or than a manifest can list, so "
            f"nothing was exported; one of them: {self.reject}"
        )


class ArchiveError(CddsError):
    """An archive would break a limit of the ZIP format, or one that is read cannot be trusted.

    It is malformed, incomplete, unsafe to extract, unsupported, or larger than the limits. Nothing
    is read from an archive of which this can be told in advance; damage of data shows at their end.
    """


class EnvelopeError(CddsError):
    """A message would break a limit of its cipher."""


class MessageError(EnvelopeError):
    """An encrypted message is malformed, cut off, or of a kind that is not read here."""


class DecryptionError(EnvelopeError):
    """The key is wrong, or the content was changed or is damaged.

    Which of them it is, is never told: whoever can try and learn it might decrypt what is not
    theirs.
    """


class SignatureError(CddsError, ValueError):
    """A signature is malformed, is of a kind that is not read, or does not prove what it should."""


class ExportError(CddsError):
    """The files that an export is are missing, mixed up, changed, or cannot be read."""


class ExportIncomplete(ExportError):
    """The files that there are, are not those of one whole export.

    One is missing, there twice or of another export, or what is beside them is malformed.
    """


class ExportUnavailable(ExportError):
    """The files of an export cannot be reached at this moment; the same may work later."""

    is_transient = True


class SinkError(CddsError):
    """The storage refused or failed; where it was written, no incomplete set is visible in it."""

    is_transient = True


class ArtifactExists(SinkError):
    """An artifact of that name is there already; it was left as it is."""

    is_transient = False


class ArtifactMissing(SinkError):
    """There is no artifact of that name, or none any more."""

    is_transient = False


class Cancelled(CddsError):
    """The run was stopped by the caller; it left nothing behind."""


class PluginError(CddsError):
    """What an installed distribution offers under a name cannot be used; other names can."""


class MissingDependency(CddsError, ImportError):
    """An optional package is needed; the message holds the command that installs it."""
