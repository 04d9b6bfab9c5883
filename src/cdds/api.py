"""`cdds.export`: the main job in one call, a thin layer on the objects that a host wires itself.

Place: just below the command line. It turns convenient arguments into values and has no logic of
its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from cdds import datasets
from cdds.crypto import Envelope, Signer
from cdds.crypto.certificates import CertificateSource
from cdds.crypto.content import CipherName
from cdds.crypto.envelope import Format
from cdds.crypto.recipients import KeyTransport
from cdds.crypto.signer import KeySource, SignerCertificate
from cdds.errors import CertificateError
from cdds.estimates import Estimate, estimated
from cdds.exporter import Exporter
from cdds.model import Dataset, ExportResult, Job, Level, OnInvalid, Timeframe, Transform
from cdds.protocols import CancelToken, ProgressListener, Sink, Source
from cdds.sinks import open_sink
from cdds.sources import open_source


def export(
    source: Source | str,
    *,
    dataset: Dataset | str,
    to: str | os.PathLike[str] | Sink,
    recipients: CertificateSource | Iterable[CertificateSource],
    media_types: Iterable[str] | None = None,
    timeframe: Timeframe | None = None,
    split_size: str | int | None = None,
    on_invalid: OnInvalid = "fail",
    max_rejects: int = 1000,
    validate: bool = True,
    level: Level = "fast",
    match_case: bool = True,
    transforms: Mapping[str, Iterable[Transform]] | None = None,
    format: Format = "smime",  # noqa: A002  # the word of the command line
    cipher: CipherName = "aes-256-cbc",
    key_transport: KeyTransport = "pkcs1v15",
    signer: Signer | tuple[KeySource, SignerCertificate] | None = None,
    job_id: str | None = None,
    run_id: str | None = None,
    progress: bool | ProgressListener = False,
    cancel: CancelToken | None = None,
) -> ExportResult:
    """Export records, sealed for the recipients, and return what is in the sink now.

    Args:
        source: where the records come from, such as `cdds.sources.JsonLines`, or a URL that
            `cdds.sources.open_source` opens.
        dataset: a `Dataset`, or the name of a built-in one: ``"Interaction"``, ``"Contact"``.
        to: a folder, any fsspec URL, the URL of a plugin, or a sink.
        recipients: certificates as paths, PEM or DER bytes, or `x509.Certificate`; one or several.
        media_types: names to select, without regard to case; all when left out.
        timeframe: the span to select; all data when left out.
        split_size: the most bytes of one segment before sealing adds about 35 %; ``"100 MB"``,
            ``"64 MiB"`` or bytes; one file when left out.
        on_invalid: ``"fail"``, or ``"reject"`` to leave invalid records out and list them.
        max_rejects: how many records may be left out before the export fails.
        validate: False passes lines on unread, as far as the selection allows it.
        level: ``"fast"``, or ``"small"`` for smaller files at a fraction of the speed.
        match_case: False takes a field whose name differs only in case from one of the schema for
            that one.
        transforms: for data files, by their names, what is changed in their records: lists of
            `cdds.transforms`, such as ``{"interaction": [Drop("FROMADDRESS")]}``.
        format: how messages are written: ``"smime"``, ``"der"`` or ``"pem"``.
        cipher: what they are encrypted with: ``"aes-256-cbc"``, ``"aes-128-cbc"``, or
            ``"aes-256-gcm"``, which also tells whether they were changed.
        key_transport: ``"pkcs1v15"``, or ``"oaep"``, which old readers do not know.
        signer: a private key and its certificate, as paths, PEM or DER bytes, or values; the file
            of digests gets a signature beside it. `Signer.load` takes a password too.
        job_id: part of the data files' names; a new UUID when left out.
        run_id: a UUID, part of the artifacts' names; a new one when left out.
        progress: True for a bar, or a function that is called with `Progress` values.
        cancel: a `threading.Event` or the like; setting it stops the export.

    Raises:
        CddsError: the export was refused, failed or was cancelled; the sink is as it was.
    """
    options = {
        "media_types": media_types,
        "timeframe": timeframe,
        "split_size": split_size,
        "on_invalid": on_invalid,
        "max_rejects": max_rejects,
        "validate": validate,
        "level": level,
        "match_case": match_case,
        "transforms": transforms,
    }
    job = _job(dataset, job_id, options)
    envelope = Envelope(recipients, format=format, cipher=cipher, key_transport=key_transport)
    exporter = Exporter(sink=open_sink(to), envelope=envelope, signer=_signer(signer))
    source = open_source(source)
    with _listener(progress) as listener:
        return exporter.run(job, source, run_id=run_id, progress=listener, cancel=cancel)


def estimate(
    source: Source | str, *, dataset: Dataset | str, job_id: str | None = None, **options: Any
) -> Estimate:
    """Return what an export would hold, with nothing sealed and nothing stored.

    A source that can count, such as a database, is asked to, and sizes are reckoned from a sample.
    Any other is read, validated and packed, which takes about as long as an export.

    Args:
        source: where the records would come from, or its URL.
        dataset: a `Dataset`, or the name of a built-in one.
        job_id: part of the data files' names; a new UUID when left out.
        options: what `Job` takes besides: ``media_types``, ``timeframe``, ``split_size`` and so on.

    Raises:
        CddsError: the export would be refused, or fail.
        TypeError: a job takes no such option.
    """
    return estimated(_job(dataset, job_id, options), open_source(source))


def _job(dataset: Dataset | str, job_id: str | None, options: Mapping[str, Any]) -> Job:
    identity: dict[str, Any] = {} if job_id is None else {"id": job_id}
    return Job(dataset=datasets.find(dataset), **identity, **options)


def _signer(given: Signer | tuple[KeySource, SignerCertificate] | None) -> Signer | None:
    if given is None or isinstance(given, Signer):
        return given
    if not (isinstance(given, tuple) and len(given) == 2):
        raise CertificateError("a signer is a pair of a private key and its certificate")
    return Signer.load(*given)


def _listener(
    progress: bool | ProgressListener,
) -> AbstractContextManager[ProgressListener | None]:
    if callable(progress):
        return nullcontext(progress)
    if not progress:
        return nullcontext(None)
    from cdds.progress import progress_bar  # loads tqdm

    return progress_bar()
