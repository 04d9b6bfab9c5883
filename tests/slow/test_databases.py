"""A million interactions out of a database, while others write to it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import sqlalchemy
import ucs
from catalogs import SHARED_KINDS
from processes import measure

from cdds import sample

COUNT = 1_000_000
LIMIT = 128_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


class Writer:
    """Inserts, changes and deletes interactions on a thread of its own, for a ``with`` block.

    It begins when an export stages its first artifact, so when the source has been opened.
    """

    def __init__(self, url: str, exports: Path) -> None:
        self._exports = exports
        self._url = url.replace("postgresql://", "postgresql+psycopg://")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.changes = 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._exports.exists():
            if self._stop.wait(0.01):
                return
        engine = sqlalchemy.create_engine(self._url)
        while not self._stop.wait(0.01):
            number = self.changes
            with engine.begin() as connection:
                keys = 'SELECT "ID" FROM "Attachment" JOIN "Interaction" ON "ENTITYID" = "ID"'
                key = connection.exec_driver_sql(f"{keys} LIMIT 1 OFFSET 50").scalar_one()
                columns = '"STATUS", "ENTITYTYPEID", "MEDIATYPEID", "TYPEID", "STARTDATE", '
                columns += '"TENANTID", "CANBEPARENT", "CREATORAPPID"'
                which = f"""WHERE "ID" = '{key}'"""
                call = 'SELECT "ID" FROM "PhoneCall" LIMIT 1 OFFSET 50'
                gone = f"""'{connection.exec_driver_sql(call).scalar_one()}'"""
                for statement in (
                    f"""UPDATE "Interaction" SET "SUBJECT" = 'changed {number}' {which}""",
                    f"""INSERT INTO "Interaction" ("ID", {columns})
                        SELECT 'new {number}', {columns} FROM "Interaction" {which}""",
                    f"""DELETE FROM "Attachment" WHERE "ENTITYID" = '{key}'""",
                    f"""DELETE FROM "PhoneCall" WHERE "ID" = {gone}""",
                    f"""DELETE FROM "Attachment" WHERE "ENTITYID" = {gone}""",
                    f"""DELETE FROM "Interaction" WHERE "ID" = {gone}""",
                ):
                    connection.exec_driver_sql(statement)
            self.changes += 1
        engine.dispose()


def decrypted(folder: Path, key: Path, openssl: str) -> Path:
    """Decrypt the parts of an export, each removed once it is, and return the last one."""
    for artifact in sorted(folder.glob("*.smime")):
        words: list[str | Path] = [
            openssl,
            "smime",
            "-decrypt",
            "-binary",
            "-inkey",
            key,
            "-in",
            artifact,
        ]
        subprocess.run([*words, "-out", artifact.with_suffix("")], check=True)
        artifact.unlink()
    return next(folder.glob("*.zip"))


def lines_of(archive: Path, entry: str, seven_zip: str) -> Iterator[Any]:
    """Yield the records of an entry, read through 7-Zip."""
    words: list[str | Path] = [seven_zip, "x", "-so", archive, entry]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        stdout: IO[bytes] | None = process.stdout
        assert stdout is not None
        for line in stdout:
            yield json.loads(line)
    assert process.returncode == 0


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_a_million_interactions_are_those_that_were_there_at_the_start(
    tmp_path: Path,
    new_catalog_url: Any,
    rsa_key_and_certificate: tuple[Path, Path],
    judge: Callable[[str], str],
    kind: str,
) -> None:
    """Counts and contents are compared with a query of its own; memory stays below the limit."""
    key, certificate = rsa_key_and_certificate
    with new_catalog_url(kind) as url:
        sample.load(url, COUNT, recycle_after=10_000)
        if kind == "sqlite":
            ucs.select(url, "PRAGMA journal_mode = WAL")  # so that others may write
        views = {"Interaction": ucs.INTERACTION, "Interaction-Attachment": ucs.DOCUMENT}
        expected = {name: ucs.digest(ucs.rows_of(url, view)) for name, view in views.items()}
        words = [sys.executable, "-m", "cdds", "export", "--dataset", "interaction", "--source"]
        words += [f"ucs+{url.replace(':@', '@')}", "--recipient", str(certificate)]
        words += ["--to", str(tmp_path / "exports"), "--split-size", "500 MB", "--job-id", "job"]
        with Writer(url, tmp_path / "exports") as writer:
            cost = measure(words)
    archive = decrypted(tmp_path / "exports", key, judge("openssl"))
    found = {
        name: ucs.digest(lines_of(archive, f"{name}-job.json", judge("7zz"))) for name in views
    }
    print(
        f"{kind}: {cost.wall:.0f} s, {cost.cpu:.0f} s of processors, peak"
        f" {cost.peak / 1e6:.0f} MB, {writer.changes} changes meanwhile"
    )
    assert found == expected
    assert found["Interaction"][0] == COUNT
    assert writer.changes > 100
    assert cost.peak < LIMIT
