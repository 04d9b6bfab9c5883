"""Every request of an export to an S3 server is refused once, or its answer is lost once.

The server is moto's, behind a piece that does the fault to the Nth request, for N = 1, 2, 3 and so
on, until a run goes through untouched.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import cdds

pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")

import botocore.session  # type: ignore[import-untyped]
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

Application: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CHILD = Path(__file__).with_name("one_export.py")
KEYS = {"key": "testing", "secret": "testing"}
REFUSAL = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
NOISE = random.Random(1)
RECORDS = [{"IXNID": f"{n}", "SUBJECT": NOISE.randbytes(3000).hex()} for n in range(60)]


class Faulty:
    """A server's application that does a fault to one request.

    Attributes:
        at: which request, counted from 1; 0 for none.
        lost: whether it is done and only its answer lost, or refused.
        kill: the process that is killed instead, before or after the request is done.
        count: how many requests have come.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.at = self.count = 0
        self.lost = False
        self.kill: int | None = None

    def begin(self, at: int, *, lost: bool, kill: int | None = None) -> None:
        self.at, self.lost, self.kill, self.count = at, lost, kill, 0

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        self.count += 1
        if self.count != self.at:
            return self._application(environ, start_response)
        if self.lost:
            list(self._application(environ, lambda *_: None))
            status = "503 Service Unavailable"
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status = "403 Forbidden"
        if self.kill is not None:
            os.kill(self.kill, signal.SIGKILL)
        length = ("Content-Length", str(len(REFUSAL)))
        start_response(status, [("Content-Type", "application/xml"), length])
        return [REFUSAL]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Faulty, str]]:
    """Return the application that does faults, and where it is reached."""
    faulty = Faulty(DomainDispatcherApplication(create_backend_app))
    http = make_server("127.0.0.1", 0, faulty, threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield faulty, f"http://127.0.0.1:{http.port}"
    http.shutdown()
    thread.join()


class Bucket:
    """A new bucket, seen with the eyes of another client."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.name = name
        self._client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEYS["key"],
            aws_secret_access_key=KEYS["secret"],
        )
        self._client.create_bucket(Bucket=name)

    @property
    def objects(self) -> dict[str, bytes]:
        listed = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {
            item["Key"]: self._client.get_object(Bucket=self.name, Key=item["Key"])["Body"].read()
            for item in listed
        }

    @property
    def uploads(self) -> list[str]:
        listed = self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [item["Key"] for item in listed]


def export(endpoint: str, bucket: Bucket, certificate: Path) -> cdds.ExportResult:
    """Export into four segments or so, each a multipart upload."""
    sink = cdds.sinks.FileSystemSink(
        f"s3://{bucket.name}/folder",
        endpoint_url=endpoint,
        block_size="5 MiB",
        skip_instance_cache=True,
        config_kwargs={"retries": {"max_attempts": 2, "mode": "standard"}},
        **KEYS,
    )
    return cdds.export(
        cdds.sources.Records(interaction=RECORDS),
        dataset="Interaction",
        to=sink,
        recipients=certificate,
        split_size="64 KiB",
    )


def check(bucket: Bucket, *, may_leave: bool = False) -> bool:
    """Check that there are complete sets and nothing else, or nothing; return which.

    After a kill there may be artifacts without a mark, which no reader shows.
    """
    objects = bucket.objects
    marks = [name for name in objects if name.endswith(".sha256")]
    names = set(marks)
    for mark in marks:
        for line in objects[mark].decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(objects[f"folder/{name}"]).hexdigest() == digest
            names.add(f"folder/{name}")
    assert may_leave or names == set(objects)
    return bool(marks)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
def test_each_request_fails_once(
    server: tuple[Faulty, str], rsa_key_and_certificate: tuple[Path, Path], lost: bool
) -> None:
    """A set is there or nothing is, no upload is left but one that nobody got an answer about."""
    faulty, endpoint = server
    failed = 0
    for number in itertools.count(1):
        faulty.begin(0, lost=lost)
        bucket = Bucket(endpoint, f"bucket-{'lost' if lost else 'refused'}-{number}")
        faulty.begin(number, lost=lost)
        try:
            export(endpoint, bucket, rsa_key_and_certificate[1])
            done = True
        except cdds.errors.SinkError:
            done = False
            failed += 1
        requests = faulty.count
        faulty.begin(0, lost=lost)
        assert check(bucket) == done
        assert len(bucket.uploads) <= lost
        if requests < number:
            break
        if not done:
            export(endpoint, bucket, rsa_key_and_certificate[1])
            assert check(bucket)
    assert number - 1 >= requests > 10
    print(f"{number - 1} requests failed one by one, and {failed} exports with them")


@pytest.mark.parametrize("lost", [False, True], ids=["before", "after"])
def test_the_process_is_killed_at_each_request(
    server: tuple[Faulty, str],
    rsa_key_and_certificate: tuple[Path, Path],
    tmp_path: Path,
    lost: bool,
) -> None:
    """Before the request is done, or when it is done and nobody is left to hear of it."""
    faulty, endpoint = server
    key, certificate = rsa_key_and_certificate
    source = tmp_path / "interactions.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    environment = os.environ | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEYS["key"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret"],
    }
    for number in itertools.count(1):
        faulty.begin(0, lost=lost)
        bucket = Bucket(endpoint, f"bucket-killed-{'after' if lost else 'before'}-{number}")
        words = (source, certificate, key, f"s3://{bucket.name}/folder")
        with subprocess.Popen(
            [sys.executable, CHILD, *words], stdout=subprocess.PIPE, env=environment
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            faulty.begin(number, lost=lost, kill=child.pid)
            child.send_signal(signal.SIGUSR1)
            code = child.wait()
        requests = faulty.count
        faulty.begin(0, lost=lost)
        is_there = check(bucket, may_leave=True)
        if requests < number:
            break
        assert code == -signal.SIGKILL
        export(endpoint, bucket, certificate)
        assert check(bucket, may_leave=True)
    assert (code, is_there) == (0, True)
    assert number - 1 >= requests > 10
    print(f"killed at {number - 1} requests, one by one")
