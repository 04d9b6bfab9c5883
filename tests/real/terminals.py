"""A terminal for the tests of the command line: an operator who runs commands in a home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from cdds import cli

SOURCE = "Contact History"
CONFIGURATION = """
[catalog]
url = "cdds.db"
audit_key_file = "audit.key"

[sink]
url = "exports"

[sources."Contact History"]
kind = "json-lines"
interaction = "data/{tenant}/interactions.jsonl"
document = "data/{tenant}/documents.jsonl"
"""


@attrs.frozen
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object that it printed."""
        assert (self.code, self.err) == (0, "")
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def words(self) -> list[str]:
        """What it printed, split at white space."""
        assert (self.code, self.err) == (0, "")
        return self.out.split()

    @property
    def refusal(self) -> str:
        """The one line that says why it was refused."""
        assert (self.code, self.out) == (1, "")
        assert self.err.startswith("cdds: error: ")
        assert self.err.endswith("\n")
        assert len(self.err.splitlines()) == 1
        return self.err


@attrs.frozen
class Terminal:
    """An operator who acts for alice of acme on a configuration, at a terminal of their own."""

    home: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.home / "cdds.toml"

    def __call__(self, *words: str | Path) -> Done:
        """Run a command."""
        self.capture.readouterr()
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        printed = self.capture.readouterr()
        return Done(code, printed.out, printed.err)

    def configure(self, text: str) -> None:
        """Write another configuration."""
        self.config.write_text(text)

    def files(self) -> set[str]:
        """Return what is in the home."""
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*")}

    def add(self, *words: str | Path, title: str = "Backup") -> str:
        """Add a job, and return its id."""
        ends = ["--title", title, "--source", SOURCE, "--dataset", "interaction"]
        (job_id,) = self("jobs", "add", *ends, *words).words
        return job_id

    def run(self, job_id: str) -> tuple[str, list[str]]:
        """Run a job, and return the id of the run and the names of its artifacts."""
        told = self("jobs", "run", job_id, "--json").json
        return told["run"]["id"], told["artifacts"]
