"""Stores for the tests of sinks: a folder, fsspec's memory, a bucket; each seen with other eyes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import attrs
import fsspec

from cdds.protocols import Buffer, Sink, Upload
from cdds.sinks.filesystem import FileSystemSink

Listing: TypeAlias = dict[str, bytes]


class Store(Protocol):
    """A sink, and a second way to look at and change what is in it."""

    @property
    def sink(self) -> Any:
        """Return the sink."""
        ...

    def visible(self) -> Listing:
        """Return what a reader sees."""
        ...

    def everything(self) -> list[str]:
        """Return the names of all that is there, hidden and unfinished things included."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Have somebody else put something there."""
        ...


@attrs.frozen
class LocalStore:
    folder: Path
    sink: Sink

    def visible(self) -> Listing:
        if not self.folder.exists():
            return {}
        return {
            path.name: path.read_bytes()
            for path in self.folder.iterdir()
            if not path.name.startswith(".")
        }

    def everything(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.exists() else []  # noqa: PTH208

    def put(self, name: str, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)


@attrs.frozen
class MemoryStore:
    root: str
    sink: Sink

    @property
    def _fs(self) -> Any:
        return fsspec.filesystem("memory")

    def visible(self) -> Listing:
        return {
            path.removeprefix(f"/{self.root}/"): self._fs.cat_file(path)
            for path in self._fs.find(f"/{self.root}")
        }

    def everything(self) -> list[str]:
        return sorted(self.visible())

    def put(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(f"/{self.root}/{name}", data)


@attrs.frozen
class S3Store:
    client: Any
    bucket: str
    sink: Sink

    def visible(self) -> Listing:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {item["Key"].removeprefix("folder/"): self._get(item["Key"]) for item in found}

    def _get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def everything(self) -> list[str]:
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return sorted(self.visible()) + [f"upload of {upload['Key']}" for upload in uploads]

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"folder/{name}", Body=data)


numbers = itertools.count()


S3_KEYS = {"key": "testing", "secret": "testing"}


def s3_store(endpoint: str, **options: Any) -> S3Store:
    import botocore.session  # type: ignore[import-untyped]

    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=S3_KEYS["key"],
        aws_secret_access_key=S3_KEYS["secret"],
    )
    bucket = f"bucket-{next(numbers)}"
    client.create_bucket(Bucket=bucket)
    sink = FileSystemSink(f"s3://{bucket}/folder", endpoint_url=endpoint, **S3_KEYS, **options)
    return S3Store(client, bucket, sink)


def staged(sink: Sink, name: str, *chunks: Buffer) -> Upload:
    upload = sink.create(name)
    for chunk in chunks:
        upload.write(chunk)
    upload.stage()
    return upload
