"""What the tests of the pages share: a configured service, and an operator at its terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from terminals import CONFIGURATION, Terminal

from cdds import sample

RECORDS = 40


@pytest.fixture
def bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Return a terminal before anything but the configuration and the data is there."""
    home = tmp_path / "home"
    for name, records in {
        "interactions": sample.interactions(RECORDS),
        "documents": sample.documents(RECORDS),
    }.items():
        path = home / "data" / "acme" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            sample.write_lines(records, file)
    key = home / "audit.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    terminal = Terminal(home, capsys)
    terminal.configure(CONFIGURATION)
    monkeypatch.setenv("CDDS_CONFIG", str(terminal.config))
    monkeypatch.setenv("CDDS_USER", "alice")
    monkeypatch.setenv("CDDS_TENANT", "acme")
    return terminal


@pytest.fixture
def terminal(bare: Terminal, rsa_key_and_certificate: tuple[Path, Path]) -> Terminal:
    """Return a terminal where alice has a certificate."""
    shutil.copy(rsa_key_and_certificate[1], bare.home / "cert.pem")
    assert bare("preferences", "set", bare.home / "cert.pem").code == 0
    return bare
