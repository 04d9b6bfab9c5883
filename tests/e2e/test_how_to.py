"""The how-to pages and the examples do what they say."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds import sample
from cdds.service import events

ROOT = Path(__file__).parents[2]


def blocks(page: str) -> str:
    """Return the Python of a page, all of its blocks after one another."""
    text = (ROOT / page).read_text()
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def example(name: str) -> Any:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hosting_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIT_KEY", "k" * 32)
    shutil.copy(rsa_key_and_certificate[1], "recipient.pem")
    (tmp_path / "data" / "acme").mkdir(parents=True)
    records = [{"IXNID": str(number), "MEDIATYPEID": "chat"} for number in range(2000)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "data" / "acme" / "interactions.jsonl").write_text(lines)
    names: dict[str, Any] = {}
    exec(compile(blocks("docs/how-to/host-a-service.md"), "host-a-service.md", "exec"), names)
    assert names["run"].records == {"interaction": 2000}
    assert names["sent"] == names["artifact"].size - 1000
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [names["artifact"].name]
    names["catalog"].close()


def test_exporting_from_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(rsa_key_and_certificate[1], "recipient.pem")
    sample.load("sqlite:///ucs.db", 300)
    names: dict[str, Any] = {}
    page = "docs/how-to/export-from-a-database.md"
    exec(compile(blocks(page), page, "exec"), names)
    assert names["result"].records == {"customer": 1000}
    assert names["estimate"].records["interaction"] == 300
    assert len(list(Path("exports").glob("*.sha256"))) == 2


CRM = """
import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Served:
    def __init__(self, folder, url):
        self.folder, self.url = folder, url

    def filled_with(self, records):
        for name, given in records.items():
            with (self.folder / f"{name}.jsonl").open("w") as file:
                for record in given:
                    print(json.dumps(record), file=file)
        return self.url


@pytest.fixture
def crm(tmp_path):
    folder = tmp_path / "crm"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Served(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()
"""


def test_writing_a_plugin(tmp_path: Path) -> None:
    """The package of the page is found by its names, and keeps the contracts."""
    text = (ROOT / "docs/how-to/write-a-plugin.md").read_text()
    for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    (tmp_path / "tests" / "conftest.py").write_text(CRM)
    project = tomllib.loads("".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))["project"]
    info = tmp_path / "cdds_crm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cdds-crm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    found = json.loads(python("cdds", "plugins", "--json"))["plugins"]
    ours = {one["name"]: one["reason"] for one in found if one["distribution"] == "cdds-crm"}
    assert ours == {"crm": None, "attic": None}
    assert " passed" in python("pytest", "-q", "-p", "no:cacheprovider", "tests")


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the URL of a server, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_webhook_posts_what_happens(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    receiver: tuple[str, list[dict[str, Any]]],
) -> None:
    webhook = example("webhook")
    url, posted = receiver
    hook = webhook.Webhook(url)
    with cdds.Catalog("sqlite://", audit_key=b"k" * 32) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=tmp_path / "storage",
            sources={"UCS": lambda _: cdds.sources.Records(interaction=[{"IXNID": "needle"}])},
            listeners=[hook],
        )
        me = cdds.Principal("alice", "acme")
        service.preferences.set_certificate(me, rsa_key_and_certificate[1].read_bytes())
        settings = cdds.JobSettings(title="x", source="UCS", dataset="Interaction")
        run = service.jobs.run_now(me, service.jobs.add(me, settings).id)
        entry = service.preferences.certificate(me)
        assert entry is not None
        hook(events.CertificateExpiring(at=run.started, certificate=entry))
    hook.close()
    assert [body["event"] for body in posted if body["event"] != "RunProgressed"] == [
        "RunStarted",
        "RunFinished",
        "ArtifactStored",
        "CertificateExpiring",
    ]
    assert posted[-2]["artifact"] == run.file_name
    assert "needle" not in json.dumps(posted)


def test_a_webhook_that_nobody_receives_harms_nothing() -> None:
    webhook = example("webhook")
    hook = webhook.Webhook("http://127.0.0.1:9/", timeout=1, length=1)
    hook.close()
    assert hook.dropped == 0
    hook(object())
    hook(object())
    assert hook.dropped == 1
