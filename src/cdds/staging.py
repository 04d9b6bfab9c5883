"""Stages the artifacts of one run, and makes them visible together or not at all.

Place: between the envelope and the sink. All artifacts are staged first, then made final one
after another; last comes the file of digests, the commit mark: a set without it does not exist.
Leaving the context in any other way takes back everything.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from cdds.model import Artifact
from cdds.protocols import Buffer, DurableSink, Sink, Upload

SIGNATURE_SUFFIX = ".p7s"
_LINES_AT_ONCE = 1000

_log = logging.getLogger(__name__)


class Staging:
    """The uploads of one run; a context manager that aborts unless `commit` went through."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._staged: list[Upload] = []
        self._mark: Upload | None = None
        self._done = False

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._done:
            self._take_back()

    def stage(
        self, name: str, chunks: Iterable[Buffer], on_write: Callable[[int], object]
    ) -> Artifact:
        """Write an artifact without making it visible; `on_write` gets the bytes of each chunk.

        Raises:
            SinkError: the sink refused it.
        """
        upload = self._sink.create(name)
        self._staged.append(upload)
        digest = hashlib.sha256()
        size = 0
        for chunk in chunks:
            upload.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            on_write(len(chunk))
        upload.stage()
        return Artifact(name, size, digest.hexdigest())

    def commit(
        self,
        digests: str,
        artifacts: Sequence[Artifact],
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Make all artifacts visible, and last the file called `digests`, which seals the set.

        Where `sign` is given, the signature that it makes of that file stands beside it.

        Raises:
            SinkError: the sink refused one; then none is visible, or, where not even the mark
                can be taken back, all are.
        """
        if sign is not None:
            signature = sign(b"".join(_lines(artifacts)))
            self.stage(digests + SIGNATURE_SUFFIX, [signature], lambda _: None)
        self.stage(digests, _lines(artifacts), lambda _: None)
        for upload in self._staged[:-1]:
            upload.commit()
        self._sync()
        self._mark = self._staged[-1]
        self._mark.commit()
        self._sync()
        self._done = True

    def _sync(self) -> None:
        if isinstance(self._sink, DurableSink):
            self._sink.sync()

    def _take_back(self) -> None:
        """Remove everything, the commit mark first; what cannot be removed is told in the log.

        Where the mark may be visible and cannot be removed, all that it names stays: a set is
        whole, or there is none.
        """
        for upload in reversed(self._staged):
            try:
                upload.abort()
            except Exception as error:  # noqa: BLE001  # a host's sink; the rest must go too
                _log.warning("a part of the export is left behind: %s", error)
                if upload is self._mark:
                    return


def _lines(artifacts: Sequence[Artifact]) -> Iterator[bytes]:
    """Yield the lines of the digest file, some at a time: there may be very many."""
    for start in range(0, len(artifacts), _LINES_AT_ONCE):
        some = artifacts[start : start + _LINES_AT_ONCE]
        yield "".join(f"{artifact.sha256}  {artifact.name}\n" for artifact in some).encode()
