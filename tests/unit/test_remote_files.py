"""What a storage across a network gives is what is in it, though connections are lost."""

from __future__ import annotations

import http.server
import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cdds.errors import ExportError, ExportUnavailable
from cdds.recipient.files import find_files

DATA = bytes(range(256)) * 400
FAULTS = ("cut", "closed", "busy")
STATUSES = {"busy": 503, "gone": 404, "shorter": 416}


class FaultyHandler(http.server.BaseHTTPRequestHandler):
    """A web server that loses the connections, or is busy, as it is told to."""

    protocol_version = "HTTP/1.1"
    faults: list[str]
    asked: list[str]
    size = len(DATA)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(self.size))
        self.end_headers()

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        assert wanted is not None
        self.asked.append(wanted[0])
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "shorter":
            type(self).size = 5
        if fault in STATUSES:
            self.send_response(STATUSES[fault])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = DATA[int(wanted[1]) : int(wanted[2]) + 1]
        self.close_connection = bool(fault)
        if fault == "closed":
            return
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"{wanted[0].replace('=', ' ')}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault else data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdds.recipient.remote_files._PAUSES", (0, 0, 0))


@contextmanager
def faulty(faults: list[str]) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (FaultyHandler,), {"faults": faults, "asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/message.smime", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "lost", [faults for count in range(4) for faults in itertools.product(FAULTS, repeat=count)]
)
def test_a_range_is_asked_for_again_where_the_connection_was_lost(lost: tuple[str, ...]) -> None:
    """Three times, and then it is an error; what is given is what is there."""
    faults: list[str] = []
    with faulty(faults) as (url, asked), find_files(url) as files:
        asked.clear()
        faults += lost
        assert files.parts[0].read(100, 50_000) == DATA[100:50_100]
        assert asked == ["bytes=100-50099"] * (len(lost) + 1)
        faults += ["busy"] * 4
        with pytest.raises(ExportUnavailable):
            files.parts[0].read(100, 50_000)
        assert not faults


@pytest.mark.parametrize(
    ("fault", "told"), [("gone", "there is no such file"), ("shorter", "was changed")]
)
def test_what_will_not_pass_is_told_at_once(fault: str, told: str) -> None:
    faults: list[str] = []
    with faulty(faults) as (url, asked), find_files(url) as files:
        asked.clear()
        faults += [fault]
        with pytest.raises(ExportError, match=told):
            files.parts[0].read(0, 10)
        assert len(asked) == 1


def test_an_option_that_is_not_taken_is_no_failure_that_may_pass() -> None:
    with faulty([]) as (url, _), pytest.raises(ExportError, match="storage options") as told:
        find_files(url, storage_options={"mistyped": 1})
    assert not isinstance(told.value, ExportUnavailable)
