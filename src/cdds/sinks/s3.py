"""Artifacts in S3 and what speaks its protocol: one multipart upload for each.

Place: the sink for ``s3://``, which the sink for URLs becomes there. A staged artifact is a
multipart upload whose parts are all there; its commit completes the upload, on the condition that
the name is free, so nothing is ever overwritten. An abort ends that very upload by its own
identifier and touches nobody else's. Each object bears a token of its own, by which an upload knows
its object again when the answer to its commit was lost.

What is removed is removed for good: all versions of the key and all its delete markers. It takes
the permissions to list versions and uploads, besides those of an export.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from cdds.errors import JobError, SinkError
from cdds.protocols import Buffer, Stored
from cdds.sinks.filesystem import (
    DEFAULT_BLOCK_SIZE,
    SigningFileSystemSink,
    abandoning,
    forget,
)
from cdds.sinks.reading import is_plain
from cdds.sinks.reporting import exists, reporting

MAX_PARTS = 10_000
"""The most parts of one upload, in the protocol."""
MIN_PART_SIZE = 5 * 1024 * 1024
"""The least bytes of a part that is not the last, in the protocol."""

PAGE_SIZE = 1000
"""How many items of a listing are asked for at once; the most that the protocol gives."""
MAX_LIFETIME = timedelta(days=7)
"""The longest that a signed link lives, by version 4 of the signatures."""

_TOKEN = "cdds-upload"  # noqa: S105  # the name of an object's metadata, not a secret


class S3Sink(SigningFileSystemSink):
    """A bucket, or a prefix in it.

    Args:
        url: ``s3://bucket/prefix``; it holds no credentials.
        block_size: the bytes of a part, at least 5 MiB; an artifact has at most 10,000 parts.
        options: passed to ``s3fs.S3FileSystem``.

    Raises:
        JobError: the block size is too small.
        SinkError: the URL is none, or holds credentials.
        MissingDependency: s3fs is not installed.
    """

    _least_block_size = MIN_PART_SIZE

    def __init__(
        self, url: str, *, block_size: str | int = DEFAULT_BLOCK_SIZE, **options: Any
    ) -> None:
        bucket = url.partition("://")[2].partition("/")[0]
        if "@" in bucket or (":" in bucket and not bucket.startswith("arn:")):
            raise SinkError(
                "an S3 URL holds no credentials; give them as options, or in the environment"
            )
        # Links of the older signatures, which would be the default for these, AWS refuses for
        # many buckets.
        config = {"signature_version": "s3v4"} | options.pop("config_kwargs", {})
        # Some stores that speak the protocol want parts of one size.
        options = {"fixed_upload_size": True, "config_kwargs": config} | options
        super().__init__(url, block_size=block_size, **options)

    def create(self, name: str) -> S3Upload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
            SinkError: the bucket cannot be written.
        """
        return S3Upload(self._fs, f"{self._root}/{name}", self._block_size)

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the artifacts whose names begin with `prefix`, and the uploads in progress of such.

        The size of an upload is not known, so it is 0. Keys below a further slash are not listed.

        Raises:
            SinkError: the bucket cannot be listed.
        """
        with reporting(self._root, "list"):
            yield from self._committed(prefix)
            yield from self._uploads(prefix)

    def _committed(self, prefix: str) -> Iterator[Stored]:
        bucket, folder = self._place("")
        follow = {"ContinuationToken": "NextContinuationToken"}
        for page in self._pages(
            "list_objects_v2",
            follow,
            Bucket=bucket,
            Prefix=folder + prefix,
            Delimiter="/",
            MaxKeys=PAGE_SIZE,
        ):
            for item in page.get("Contents", []):
                name = item["Key"].removeprefix(folder)
                if is_plain(name):
                    yield Stored(name, item["Size"])

    def _uploads(self, prefix: str) -> Iterator[Stored]:
        bucket, folder = self._place("")
        follow = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        for page in self._pages(
            "list_multipart_uploads",
            follow,
            Bucket=bucket,
            Prefix=folder + prefix,
            Delimiter="/",
            MaxUploads=PAGE_SIZE,
        ):
            for item in page.get("Uploads", []):
                name = item["Key"].removeprefix(folder)
                if is_plain(name):
                    yield Stored(name, 0, staged=item["UploadId"])

    def remove(self, item: Stored) -> None:
        """Remove all versions and delete markers of an artifact, or end one upload in progress.

        Raises:
            SinkError: it cannot be removed, or the name is not a plain one.
        """
        path = self._path(item.name)
        bucket, key = self._place(item.name)
        with reporting(path, "remove"):
            if item.staged is None:
                self._remove_versions(bucket, key)
                self._fs.invalidate_cache()
                return
            with suppress(FileNotFoundError):
                self._fs.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=key, UploadId=item.staged
                )

    def _remove_versions(self, bucket: str, key: str) -> None:
        try:
            versions = list(self._versions(bucket, key))
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            # The store knows no versions, and so no delete markers that this would set.
            self._fs.call_s3("delete_object", Bucket=bucket, Key=key)
            return
        for version in versions:
            with suppress(FileNotFoundError):
                self._fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=version)

    def _versions(self, bucket: str, key: str) -> Iterator[str]:
        """Yield all versions of a key and its delete markers; ``null`` is one without versions."""
        follow = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        for page in self._pages(
            "list_object_versions", follow, Bucket=bucket, Prefix=key, MaxKeys=PAGE_SIZE
        ):
            for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if item["Key"] == key:
                    yield item["VersionId"]
            if page.get("NextKeyMarker") != key:  # keys are in order: what follows are longer ones
                return

    def signed_url(self, name: str, lifetime: timedelta) -> str:
        """Return a link by which anybody may fetch the artifact for so long, 7 days at most.

        It may end earlier where the credentials that sign it are temporary.

        Raises:
            JobError: the lifetime is less than a second or more than 7 days.
            SinkError: there are no credentials to sign with, or the name is not a plain one.
        """
        if lifetime > MAX_LIFETIME:
            raise JobError(f"a link to S3 lives for 7 days at most, not for {lifetime}")
        if self._fs.anon:
            raise SinkError("without credentials no link can be signed; give them as options")
        return super().signed_url(name, lifetime)

    def _path(self, name: str) -> str:
        if "?versionId=" in name:  # s3fs would read the key before it
            raise SinkError(f"{name!a} is no name of an artifact in S3")
        return super()._path(name)

    def _place(self, name: str) -> tuple[str, str]:
        """Return the bucket, and the key of that name; of no name, what all keys begin with."""
        bucket, key, _ = self._fs.split_path(f"{self._root}/x")
        return bucket, key[:-1] + name

    def _pages(
        self, method: str, follow: Mapping[str, str], **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing.

        `follow` says which parameter asks for the next page, and which field of a page holds it.
        """
        while True:
            page = self._fs.call_s3(method, **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            markers = {to: page[field] for to, field in follow.items() if page.get(field)}
            if not markers:
                raise SinkError(f"{self._root} breaks off a listing; nothing says how to go on")
            arguments |= markers


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
            forget(fs, self._file)

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
        with reporting(self._path), abandoning(self._file):
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
