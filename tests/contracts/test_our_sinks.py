"""Our own sinks keep the contracts that plugins are held to: folders, fsspec's memory, and S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stores import LocalStore, MemoryStore, S3Store, numbers, s3_store

from cdds.sinks import FileSystemSink, LocalSink, open_sink
from cdds.testing import SinkContract, StorageContract


class TestLocalSink(SinkContract, StorageContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> LocalSink:
        return LocalSink(tmp_path / "exports")

    def everything(self, sink: LocalSink) -> list[str]:
        """Look at the folder with other eyes than the sink's."""
        return LocalStore(sink._folder, sink).everything()


class TestFileSystemSinkInMemory(SinkContract, StorageContract):
    memory = None
    lists_staged = False

    @pytest.fixture
    def sink(self) -> Any:
        return open_sink(f"memory://contract-{next(numbers)}")

    def everything(self, sink: Any) -> list[str]:
        return MemoryStore(sink._root.removeprefix("/"), sink).everything()


class TestFileSystemSinkOnDisk(SinkContract, StorageContract):
    lists_staged = False

    @pytest.fixture
    def sink(self, tmp_path: Path) -> FileSystemSink:
        return FileSystemSink(f"file://{tmp_path}/exports", auto_mkdir=True)


class TestS3Sink(SinkContract, StorageContract):
    memory = None  # the server is in this process, and keeps all in memory

    @pytest.fixture
    def store(self, s3_endpoint: str) -> S3Store:
        return s3_store(s3_endpoint)

    @pytest.fixture
    def sink(self, store: S3Store) -> Any:
        return store.sink

    @pytest.fixture(autouse=True)
    def other_eyes(self, store: S3Store) -> None:
        self.everything = lambda _: store.everything()  # type: ignore[method-assign,assignment]
