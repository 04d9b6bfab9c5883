"""A database is read in one snapshot, through a cursor of its own, and is not burdened.

What others write meanwhile does not show and is not held up; no statement takes longer than it may;
no more rows are held than need be.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interrupts import interrupted, wait_until
from sql_tables import DATABASES, connected, dataset, execute, records

from cdds.errors import SourceError
from cdds.model import DataFile, Dataset, Selection, Timeframe
from cdds.sources import Sql
from cdds.sources.sql.batches import Pace, batched

each_database = pytest.mark.parametrize("kind", DATABASES)
ANY = dataset({"x": None})
FILES = Dataset(
    "Two",
    [DataFile(name=name, label=name, schema={"type": "object"}) for name in ("first", "last")],
)
LARGE = "SELECT i AS x, replace(hex(zeroblob(400)), '0', 'ab') AS y FROM t"
QUERIES = {
    "sqlite": LARGE,
    "postgresql": "SELECT i AS x, repeat('ab', 800) AS y FROM t",
}
FILLED = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    " INSERT INTO t SELECT i FROM n",
    "postgresql": "INSERT INTO t SELECT generate_series(1, 3000)",
}
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS x FROM n"
)


@pytest.fixture(scope="module")
def urls(new_catalog_url: Any) -> Iterator[Any]:
    """Return what gives the URL of one database of each kind."""
    with ExitStack() as stack:
        made: dict[str, str] = {}

        def url_of(kind: str) -> str:
            if kind not in made:
                made[kind] = stack.enter_context(new_catalog_url(kind))
                if kind == "sqlite":
                    execute(made[kind], "PRAGMA journal_mode = wal")
            return made[kind]

        yield url_of


def filled(url: str, kind: str) -> Sql:
    """Return a source of two data files of 3,000 rows, some 5 MB each."""
    execute(url, "DROP TABLE IF EXISTS t", "CREATE TABLE t (i integer)", FILLED[kind])
    return Sql(url, first=QUERIES[kind], last=QUERIES[kind])


def change(url: str) -> None:
    """Insert, change and delete, each at once visible to others, without having to wait."""
    with connected(url) as connection:
        connection.execute(
            "SET lock_timeout = '1s'" if url.startswith("postgres") else "PRAGMA busy_timeout = 0"
        )
        connection.execute("INSERT INTO t VALUES (0), (-1)")
        connection.execute("UPDATE t SET i = -i WHERE i > 2000")
        connection.execute("DELETE FROM t WHERE i BETWEEN 1 AND 1000")


@each_database
def test_what_others_write_meanwhile_does_not_show(urls: Any, kind: str) -> None:
    """Before the first data file, in the middle of one, and between two."""
    url = urls(kind)
    expected = list(range(1, 3001))
    for moment in range(4):
        source = filled(url, kind)
        with source.snapshot(FILES, Selection()) as snapshot:
            found: dict[str, list[int]] = {}
            for number, name in enumerate(("first", "last")):
                if moment == 2 * number:
                    change(url)
                parts = snapshot.lines(name)
                lines = [next(parts)]
                if moment == 2 * number + 1:
                    change(url)
                lines += parts
                found[name] = [
                    orjson.loads(x)["x"] for part in lines for x in part.data.splitlines()
                ]
                assert snapshot.count(name) == 3000
        assert {name: sorted(each) for name, each in found.items()} == {
            "first": expected,
            "last": expected,
        }
        with connected(url) as connection:
            assert connection.execute("SELECT count(*), min(i) FROM t").fetchone() == (2002, -3000)


def test_the_cursor_is_one_of_the_server(urls: Any) -> None:
    """The server sees it, and has sent a part of the rows alone."""
    url = urls("postgresql")
    source = filled(url, "postgresql")
    with source.snapshot(FILES, Selection()) as snapshot:
        parts = snapshot.lines("first")
        first = next(parts)
        driver: Any = snapshot._session.connection.connection.driver_connection
        rows = driver.execute("SELECT statement FROM pg_cursors").fetchall()
        assert len(rows) == 1
        assert "DECLARE cdds_rows_" in rows[0][0]
        state = f"SELECT state FROM pg_stat_activity WHERE pid = {driver.info.backend_pid}"
        with connected(url) as connection:  # it waits, once it has made the next rows
            wait_until(lambda: connection.execute(state).fetchone() == ("idle in transaction",))
        assert first.count < 1500
        assert driver.execute("SHOW transaction_read_only").fetchone() == ("on",)
        assert driver.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
        assert driver.execute("SHOW synchronize_seqscans").fetchone() == ("off",)
        assert first.count + sum(part.count for part in parts) == 3000
        assert driver.execute("SELECT count(*) FROM pg_cursors").fetchone() == (0,)


def test_a_server_that_is_gone_without_a_word_is_noticed(urls: Any) -> None:
    """The driver is told when to give up, and what the URL says goes before it."""
    for more, expected in (("", "30"), ("&connect_timeout=7", "7")):
        source = Sql(urls("postgresql") + more, row="SELECT 1 AS x")
        with source.snapshot(ANY, Selection()) as snapshot:
            driver: Any = snapshot._session.connection.connection.driver_connection
            given = driver.info.get_parameters()
        assert given["connect_timeout"] == expected
        assert given["tcp_user_timeout"] == "60000"
        idle, every, count = (
            int(given[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
        )
        assert idle + every * count <= 60


@each_database
def test_data_files_may_be_read_side_by_side(urls: Any, kind: str) -> None:
    with filled(urls(kind), kind).snapshot(FILES, Selection()) as snapshot:
        pairs = zip(snapshot.records("first"), snapshot.records("last"), strict=True)
        assert sum(one == other for one, other in pairs) == 3000


@each_database
def test_a_reader_may_stop_anywhere(urls: Any, kind: str) -> None:
    with filled(urls(kind), kind).snapshot(FILES, Selection()) as snapshot:
        for _ in range(3):
            with closing(snapshot.lines("first")) as parts:
                next(parts)
        assert len(list(snapshot.records("last"))) == 3000


def test_a_reader_may_stop_among_rows_that_grow(urls: Any) -> None:
    """A thousand small ones, and some that are a megabyte each."""
    query = (
        "SELECT i AS x, repeat('x', CASE WHEN i > 1500 THEN 1000000 ELSE 1 END) AS y"
        " FROM generate_series(1, 1530) AS i"
    )
    source = Sql(urls("postgresql"), row=query)
    with source.snapshot(ANY, Selection()) as snapshot:
        with closing(snapshot.lines("row")) as parts:
            next(parts)
            next(parts)
        assert snapshot.count("row") == 1530
        assert [record["x"] for record in snapshot.records("row")] == list(range(1, 1531))


# How long a statement may take.


@each_database
@pytest.mark.parametrize("query", [ENDLESS, f"SELECT x FROM ({ENDLESS}) AS n UNION SELECT 1"])
@pytest.mark.parametrize("timeout", [timedelta(milliseconds=200), 0.2])
def test_an_endless_query_is_ended(urls: Any, kind: str, query: str, timeout: Any) -> None:
    source = Sql(urls(kind), row=query, timeout=timeout)

    with pytest.raises(SourceError, match="timeout") as caught:
        records(source, ANY)
    assert type(caught.value) is SourceError


def test_a_query_that_sleeps_is_ended(urls: Any) -> None:
    query = "SELECT pg_sleep(60) IS NULL AS x"

    with pytest.raises(SourceError, match="statement timeout"):
        records(Sql(urls("postgresql"), row=query, timeout=timedelta(milliseconds=100)), ANY)


def test_a_statement_may_take_as_long_as_it_wants(new_catalog_url: Any) -> None:
    """Without a timeout of the source, one that the server has set does not count either."""
    with new_catalog_url("postgresql") as url:
        name = url.partition("?")[0].rpartition("/")[2]
        execute(url, f"ALTER DATABASE {name} SET statement_timeout = '400ms'")
        slow = Sql(url, timeout=None, row="SELECT pg_sleep(0.6)::text AS x")

        assert records(slow, ANY) == [{"x": ""}]


@each_database
def test_a_slow_consumer_is_not_held_against_the_query(urls: Any, kind: str) -> None:
    """It takes longer over each part than a statement may take."""
    large = {
        "sqlite": "SELECT zeroblob(300000) AS x FROM t LIMIT 16",
        "postgresql": "SELECT repeat('x', 300000) AS x FROM generate_series(1, 16)",
    }
    filled(urls(kind), kind)
    timeout = timedelta(milliseconds=400)
    source = Sql(urls(kind), row=large[kind], timeout=timeout)
    rows = 0
    with source.snapshot(ANY, Selection()) as snapshot:
        for lines in snapshot.lines("row"):
            rows += lines.count
            time.sleep(timeout.total_seconds() * 1.2)

    assert rows == 16


# How many rows a second.


class Watch:
    """A clock that moves as it is slept by."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.pauses.append(seconds)
        self.now += seconds


@given(
    rate=st.floats(1, 1e6),
    sizes=st.lists(st.integers(1, 300_000), max_size=60),
    busy=st.lists(st.floats(0, 2), max_size=10),
)
def test_no_more_rows_pass_than_may(rate: float, sizes: list[int], busy: list[float]) -> None:
    """However large the rows, and however long the pipeline takes over them."""
    watch = Watch()
    pace = Pace(rate, lambda: watch.now, watch.sleep)
    waits = iter(busy)
    passed = 0

    for lines in batched((b"x" * size for size in sizes), "row", pace):
        passed += lines.count
        burst = max(rate * 0.25, 1)
        assert passed <= rate * watch.now + burst * 2 + 1
        watch.now += next(waits, 0)

    assert passed == len(sizes)
    if not busy:
        assert sum(watch.pauses) >= (len(sizes) - max(rate * 0.25, 1) * 2 - 1) / rate
    assert all(pause <= max(0.25, 1 / rate) + 1e-6 for pause in watch.pauses)


@each_database
def test_a_limited_source_reads_all(urls: Any, kind: str) -> None:
    filled(urls(kind), kind)
    source = Sql(urls(kind), row="SELECT i AS x FROM t", rows_per_second=5000)
    start = time.monotonic()

    assert len(records(source, ANY)) == 3000
    assert time.monotonic() - start >= 3000 / 5000 - 0.25


# How much memory.

_READER = """
import resource, sys
sys.path[:0] = {path!r}
from sql_tables import dataset
from cdds.model import Selection
from cdds.sources import Sql
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
of = dataset({{"x": None}})
with Sql({url!r}, row="SELECT 1 AS x").snapshot(of, Selection()) as snapshot:
    list(snapshot.lines("row"))
before = peak()
rows = 0
with Sql({url!r}, row={query!r}).snapshot(of, Selection()) as snapshot:
    for lines in snapshot.lines("row"):
        rows += lines.count
        del lines
print(rows, peak() - before)
"""
SMALL = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})"
    " SELECT i AS x FROM n",
    "postgresql": "SELECT i AS x FROM generate_series(1, {0}) AS i",
}
HUGE = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})"
    " SELECT zeroblob(CASE WHEN i > 4 THEN 10000000 ELSE 1 END) AS x FROM n",
    "postgresql": "SELECT convert_to(repeat('x', CASE WHEN i > 4 THEN 10000000 ELSE 1 END),"
    " 'UTF8') AS x FROM generate_series(1, {0}) AS i",
}


def read_in_a_process(url: str, query: str) -> tuple[int, int]:
    """Return how many rows were read, and by how many MiB that raised the peak of memory."""
    path = [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1] / "real")]
    code = _READER.format(path=path, url=url, query=query)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, grown = map(int, done.stdout.split())
    return rows, grown


@each_database
@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_small_rows_take_no_more_memory_the_more_they_are(urls: Any, kind: str, count: int) -> None:
    rows, grown = read_in_a_process(urls(kind), SMALL[kind].format(count))

    assert rows == count
    assert grown < 24


@each_database
@pytest.mark.parametrize("count", [24, pytest.param(60, marks=pytest.mark.slow)])
def test_few_large_rows_are_held_at_a_time(urls: Any, kind: str, count: int) -> None:
    """Rows of 10 MB, after small ones: some copies of a few, and never all that are fetched."""
    rows, grown = read_in_a_process(urls(kind), HUGE[kind].format(count))

    assert rows == count
    assert grown < 125


_RELATED = Dataset(
    "Related",
    [
        DataFile(name="call", label="Call", schema={"type": "object"}, key="x", timestamps=["at"]),
        DataFile(
            name="note", label="Note", schema={"type": "object"}, parent="call", parent_key="x"
        ),
    ],
)


def test_nothing_that_sqlite_sorts_or_looks_up_is_on_the_disk(urls: Any) -> None:
    """Neither where a query sorts 30 MB, nor where keys of parents are looked up."""
    url = urls("sqlite")
    filled(url, "sqlite")
    sizes = "replace(hex(zeroblob(5000)), '0', 'ab') || i"
    source = Sql(
        url,
        call=f"SELECT {sizes} AS x, '2025-03-04' AS at FROM t WHERE i < 2000",
        note=f"SELECT {sizes} AS x FROM t WHERE i < 2000 ORDER BY 1 DESC",
    )
    rows = 0
    with source.snapshot(_RELATED, Selection(Timeframe(datetime(2025, 1, 1, tzinfo=UTC)))) as held:
        for lines in held.lines("note"):
            rows += lines.count
            assert not [name for name in open_files() if "etilqs" in name]

    assert rows == 1999


def open_files() -> Iterator[str]:
    """Yield the names of the open files of this process."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            yield str(descriptor.readlink())


def test_an_interrupt_ends_a_query_that_takes_long(urls: Any) -> None:
    """The server is told, so that it does not go on for nobody."""
    url = urls("postgresql")
    source = Sql(url, first="SELECT pg_sleep(i * 600)::text AS x FROM generate_series(0, 9) AS i")
    with connected(url) as watching:
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'active' AND query LIKE 'FETCH%'"
        )
        with (
            pytest.raises(KeyboardInterrupt),
            interrupted(when=lambda: watching.execute(running).fetchone() == (1,)),
            source.snapshot(FILES, Selection()) as snapshot,
        ):
            list(snapshot.lines("first"))
        wait_until(lambda: watching.execute(running).fetchone() == (0,))
    assert "cdds-read-ahead" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("rows", ["max(i) AS x", "i AS x", "'2025' || i AS at"])
def test_an_interrupt_strikes_in_what_sqlite_calls_back(urls: Any, rows: str) -> None:
    """SQLite takes an exception of such a function for a failed statement."""
    query = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {rows} FROM n"
    source = Sql(urls("sqlite"), call=query, timeout=None)
    never = Selection(Timeframe(datetime(2030, 1, 1, tzinfo=UTC)))

    def is_reading() -> bool:
        frame = sys._current_frames()[threading.main_thread().ident or 0]
        return "lines" in [each.f_code.co_name for each, _ in traceback.walk_stack(frame)]

    with (
        pytest.raises(KeyboardInterrupt),
        interrupted(when=is_reading),
        source.snapshot(_RELATED, never if "at" in rows else Selection()) as snapshot,
    ):
        for _ in snapshot.lines("call"):
            pass


def test_rows_that_are_half_read_end_with_the_snapshot(urls: Any) -> None:
    source = filled(url := urls("postgresql"), "postgresql")
    with source.snapshot(FILES, Selection()) as snapshot:
        lines = snapshot.lines("first")
        next(lines)
    assert "cdds-read-ahead" not in [thread.name for thread in threading.enumerate()]
    with connected(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    lines.close()


def test_an_interrupted_reader_lets_the_database_go(urls: Any) -> None:
    """Leaving a snapshot by an error ends the transaction, in the middle of rows, too."""
    url = urls("postgresql")
    source = filled(url, "postgresql")

    with pytest.raises(KeyboardInterrupt), source.snapshot(FILES, Selection()) as snapshot:
        next(snapshot.lines("first"))
        raise KeyboardInterrupt

    with connected(url) as connection:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        gone = threading.Event()
        for _ in range(100):
            if connection.execute(others).fetchone() == (0,):
                gone.set()
                break
            connection.execute("SELECT pg_sleep(0.05)")
        assert gone.is_set()
