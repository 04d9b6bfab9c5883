"""The stores on which the laws of sinks are tested, and an S3 server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import LocalStore, MemoryStore, Store, numbers, s3_store

from cdds.sinks import LocalSink, open_sink


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Start an S3 server of one's own; no region is given, or s3fs would not find buckets."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store of each kind."""
    if request.param == "local":
        return LocalStore(tmp_path / "exports", LocalSink(tmp_path / "exports"))
    if request.param == "memory":
        root = f"exports-{next(numbers)}"
        return MemoryStore(root, open_sink(f"memory://{root}"))
    return s3_store(request.getfixturevalue("s3_endpoint"))


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    """Return an empty local store."""
    return LocalStore(tmp_path / "exports", LocalSink(tmp_path / "exports"))
