"""Artifacts in S3 and what speaks its protocol: one multipart upload for each.

Place: below the sink for URLs, which uses it for ``s3://``. A staged artifact is a multipart upload
whose parts are all there; its commit completes the upload, on the condition that the name is free,
so nothing is ever overwritten. An abort ends that very upload by its own identifier and touches
nobody else's. Each object bears a token of its own, by which an upload knows its object again when
the answer to its commit was lost.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

from cdds.errors import SinkError
from cdds.protocols import Buffer
from cdds.sinks.reporting import exists, reporting

MAX_PARTS = 10_000
"""The most parts of one upload, in the protocol."""
MIN_PART_SIZE = 5 * 1024 * 1024
"""The least bytes of a part that is not the last, in the protocol."""

_TOKEN = "cdds-upload"  # noqa: S105  # the name of an object's metadata, not a secret


class S3Upload:
    """One artifact being written to S3.

    Args:
        fs: an ``s3fs.S3FileSystem``.
        path: bucket and key.
        block_size: the bytes of a part, and of what is held in memory before it is sent.
    """

    def __init__(self, fs: Any, path: str, block_size: int) -> None:
        self._fs = fs
        self._path = path
        self._limit = MAX_PARTS * block_size
        self._size = 0
        self._token = secrets.token_hex(16)
        self._committed = self._may_be_committed = False
        with reporting(path):
            fs.invalidate_cache()  # another process may have taken the name
            if fs.exists(path):
                raise exists(path)
            self._file = fs.open(
                path,
                "xb",
                block_size=block_size,
                autocommit=False,
                Metadata={_TOKEN: self._token},
            )

    def write(self, data: Buffer) -> None:
        """Append bytes.

        Raises:
            SinkError: they are more than one upload may hold, or cannot be sent.
        """
        self._size += len(data)
        if self._size > self._limit:
            raise SinkError(
                f"{self._path} would be larger than {self._limit} bytes, the most that "
                f"{MAX_PARTS} parts hold; set a split size, or a larger block size of the sink"
            )
        with reporting(self._path):
            self._file.write(data)

    def stage(self) -> None:
        """Send what is still held, without making it visible."""
        with reporting(self._path):
            self._file.close()

    def commit(self) -> None:
        """Make the artifact visible.

        Raises:
            ArtifactExists: the name has been taken meanwhile.
        """
        with reporting(self._path):
            self._may_be_committed = True
            try:
                self._complete()
            except Exception as error:
                # It may have succeeded, and only its answer was lost: then a second try, which is
                # made below this library, finds the name taken.
                if not self._is_ours():
                    if isinstance(error, FileExistsError):
                        raise exists(self._path) from None
                    raise
            self._committed = True

    def abort(self) -> None:
        """End the upload, or remove the object that it made."""
        with reporting(self._path):
            if self._committed or (self._may_be_committed and self._is_ours()):
                self._fs.rm_file(self._path)
            self._committed = self._may_be_committed = False
            with suppress(FileNotFoundError):  # there is no such upload any more
                self._file.discard()

    def _complete(self) -> None:
        if self._size:
            self._file.commit()
            return
        # An upload without parts cannot be completed, and s3fs would overwrite.
        bucket, key, _ = self._fs.split_path(self._path)
        self._fs.call_s3(
            "put_object",
            Bucket=bucket,
            Key=key,
            Body=b"",
            IfNoneMatch="*",
            Metadata={_TOKEN: self._token},
        )
        self._file.discard()

    def _is_ours(self) -> bool:
        """Tell whether the object of that name is the one of this upload."""
        self._fs.invalidate_cache()
        try:
            info = self._fs.metadata(self._path)
        except FileNotFoundError:
            return False
        return bool(info.get(_TOKEN) == self._token)
