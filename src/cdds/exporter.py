"""The main job: records in, sealed artifacts out. The order of the stages stands here.

    source snapshot --> contents (select, validate, transform) --> packager (deflate, split)
        --> envelope, one for each segment --> staging --> commit

Place: above all the rooms it joins, which know nothing of each other. Everything is streamed: the
sink pulls through the whole line. It holds no state of its own between runs, so that one exporter
can serve many threads.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import closing
from datetime import datetime
from typing import Any

import attrs

from cdds.archive import Packager
from cdds.clock import SystemClock
from cdds.contents import Contents
from cdds.crypto import Envelope, Signer
from cdds.errors import Cancelled, JobError, SourceError
from cdds.model import Artifact, ExportResult, Job, Progress
from cdds.protocols import (
    CancelToken,
    Clock,
    Lines,
    NotingSnapshot,
    ProgressListener,
    Sink,
    SizedSnapshot,
    Snapshot,
    Source,
)
from cdds.records import Tally
from cdds.staging import SIGNATURE_SUFFIX, Staging

_log = logging.getLogger(__name__)

_REPORTS_PER_SECOND = 4
_LARGE_ARCHIVE = 1024**3


def _threads(_: object, __: object, value: Any) -> None:
    if value is not None and not (isinstance(value, int) and value > 0):
        raise JobError("threads must be a whole number, 1 or more")


@attrs.frozen(kw_only=True)
class Exporter:
    """Exports jobs into a sink, sealed for the recipients of an envelope.

    Attributes:
        sink: where the artifacts go.
        envelope: what seals them.
        signer: what signs the file of their digests, if anything shall.
        clock: tells the time that artifacts bear and certificates are checked against.
        threads: how many threads deflate and validate; two to four by default.

    >>> exporter = Exporter(sink=LocalSink("exports"), envelope=Envelope(["recipient.pem"]))
    >>> job = Job(dataset=cdds.datasets.INTERACTION, split_size="100 MB")
    >>> result = exporter.run(job, JsonLines(interaction="interactions.jsonl"))
    """

    sink: Sink
    envelope: Envelope
    signer: Signer | None = None
    clock: Clock = attrs.field(factory=SystemClock)
    threads: int | None = attrs.field(default=None, validator=_threads)

    def run(
        self,
        job: Job,
        source: Source,
        *,
        run_id: str | None = None,
        progress: ProgressListener | None = None,
        cancel: CancelToken | None = None,
    ) -> ExportResult:
        """Export what the job says from the source, and return what is in the sink now.

        Args:
            job: what to export.
            source: where the records come from.
            run_id: a UUID; a new one when left out.
            progress: called on this thread with how far the run is.
            cancel: set by another thread to stop the run.

        Raises:
            CddsError: the export was refused, failed or was cancelled; the sink is as it was.
        """
        run_id = _run_id(run_id)
        started = self.clock.now()
        log = logging.LoggerAdapter(_log, {"run_id": run_id})
        log.info("run %s: export of %s begins", run_id, job.dataset.name)
        warnings = self._check_validity(started)
        follower = _Follower(progress, cancel)
        artifacts: list[Artifact] | None = None
        try:
            with Staging(self.sink) as staging:
                with source.snapshot(job.dataset, job.selection) as snapshot:
                    follower.snapshot = snapshot
                    contents = Contents(
                        job,
                        snapshot,
                        run_id=run_id,
                        source=type(source).__name__,
                        created=started,
                        on_lines=follower.read,
                        on_record=follower.step,
                        on_change=follower.check,
                    )
                    follower.tally = contents.tally
                    artifacts = self._stage(job, run_id, contents, staging, follower)
                    if isinstance(snapshot, NotingSnapshot):
                        warnings += snapshot.notes()
                artifacts = _not_hidden(artifacts)
                follower.check()
                sign = self.signer.sign if self.signer else None
                staging.commit(_digests(run_id), artifacts, sign)
        except BaseException as error:
            log.info("run %s: failed with %s", run_id, type(error).__name__)
            raise
        log.info("run %s: finished with %d artifacts", run_id, len(artifacts))
        follower.finish()
        return self._result(run_id, artifacts, contents, [*warnings, *_warnings(job, contents)])

    def _check_validity(self, now: datetime) -> list[str]:
        warnings = list(self.envelope.check_validity(now))
        if self.signer is not None and (warning := self.signer.check_validity(now)):
            warnings.append(warning)
        return warnings

    def _stage(
        self,
        job: Job,
        run_id: str,
        contents: Contents,
        staging: Staging,
        follower: _Follower,
    ) -> list[Artifact]:
        packager = Packager(
            level=job.level,
            split_size=job.split_size,
            threads=self.threads,
            modified=contents.created,
        )
        artifacts: list[Artifact] = []
        with closing(packager.pack(contents.entries(), on_packed=contents.packed)) as segments:
            for segment in segments:
                name = f"export-{run_id}{segment.suffix}{self.envelope.suffix}"
                sealed = self.envelope.encrypt(segment.chunks)
                # Closed here, so that the source is let go before its snapshot ends.
                with closing(segment.chunks), closing(sealed):
                    artifacts.append(staging.stage(name, sealed, follower.wrote))
        return artifacts

    def _result(
        self, run_id: str, artifacts: list[Artifact], contents: Contents, warnings: list[str]
    ) -> ExportResult:
        tally = contents.tally
        digests = _digests(run_id)
        return ExportResult(
            run_id=run_id,
            artifacts=tuple(artifacts),
            digests=digests,
            signature=digests + SIGNATURE_SUFFIX if self.signer else None,
            records=tally.records,
            rejects=tally.rejects,
            undated=tally.undated,
            unmatched=tally.unmatched,
            unknown_fields=tally.unknown_fields,
            warnings=tuple(warnings),
        )


class _Follower:
    """Follows a run: reports its progress a few times a second, and stops it on request."""

    snapshot: Snapshot
    tally: Tally

    def __init__(self, listener: ProgressListener | None, cancel: CancelToken | None) -> None:
        self._listener = listener
        self._cancel = cancel
        self._before = self._at = 0
        self._origin = ""
        self._written = 0
        self._next_report = 0.0

    def read(self, lines: Lines) -> None:
        if lines.origin != self._origin or lines.at < self._at:
            self._before, self._origin = self._before + self._at, lines.origin
        self._at = lines.at
        self.step()

    def wrote(self, size: int) -> None:
        self._written += size
        self.step()

    def check(self) -> None:
        """Stop the run if that is asked for.

        Raises:
            Cancelled: it is.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("the export was cancelled; nothing of it is left")

    def finish(self) -> None:
        """Report the end; the set is there, so a listener's failure must not say otherwise."""
        try:
            self._report(done=True)
        except Exception as error:  # noqa: BLE001
            _log.warning("the progress listener failed with %s", type(error).__name__)

    def step(self) -> None:
        self.check()
        now = time.monotonic()
        if self._listener is not None and now >= self._next_report:
            self._next_report = now + 1 / _REPORTS_PER_SECOND
            self._report(done=False)

    def _total(self) -> int | None:
        return self.snapshot.size() if isinstance(self.snapshot, SizedSnapshot) else None

    def _report(self, *, done: bool) -> None:
        if self._listener is not None:
            read = self._before + self._at
            self._listener(
                Progress(
                    records=self.tally.total,
                    bytes_read=read,
                    # What a source says in advance may be an estimate.
                    bytes_total=read if done else self._total(),
                    bytes_written=self._written,
                    done=done,
                )
            )


def _digests(run_id: str) -> str:
    return f"export-{run_id}.sha256"


def _not_hidden(artifacts: list[Artifact] | None) -> list[Artifact]:
    """Refuse to go on when leaving a host's snapshot has swallowed the error of an export."""
    if artifacts is None:
        raise SourceError("the source's snapshot hid an error, so nothing is exported")
    return artifacts


def _run_id(given: str | None) -> str:
    try:
        return str(uuid.UUID(given)) if given is not None else str(uuid.uuid4())
    except (ValueError, AttributeError, TypeError):
        raise JobError("a run id must be a UUID") from None


def _warnings(job: Job, contents: Contents) -> list[str]:
    tally = contents.tally
    warnings = []
    if job.split_size is None and contents.archive_size > _LARGE_ARCHIVE:
        warnings.append(
            "the archive is larger than 1 GiB, and stock OpenSSL may not be able to open it; "
            "set a split size, such as 500 MB"
        )
    if tally.rejects:
        warnings.append(
            f"{len(tally.rejects)} invalid records were left out; the manifest lists them"
        )
    if tally.undated:
        warnings.append(
            f"{tally.undated} records have no timestamp, so the time frame left them out"
        )
    if tally.unmatched:
        warnings.append(
            f"{tally.unmatched} records belong to no selected record, so they were left out"
        )
    # No names, for warnings go where the content of records must not, and names come from there.
    warnings += [
        f"records of {name} have fields that the schema does not know; the manifest lists those "
        "that are exported"
        for name in tally.unknown_fields
    ]
    return warnings
