"""What is wrong with a query, a database or a connection is one clear error, and leaves nothing.

No message, and nothing that a traceback prints, shows a password or a value of a row.
"""

from __future__ import annotations

import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sql_tables import DATABASES, connected, dataset, execute, insert, records
from sqlalchemy import bindparam, column, literal_column, select, table

import cdds
from cdds.errors import SourceError, SourceUnavailable
from cdds.model import Selection
from cdds.sources import Sql
from cdds.sources.sql import sqlite

each_database = pytest.mark.parametrize("kind", DATABASES)
ANY = dataset({"x": None})
SECRET = "hunter2-\u20ac"
VALUE = "a value of a row"


@pytest.fixture(scope="module")
def urls(new_catalog_url: Any) -> Iterator[Any]:
    """Return what gives the URL of one database of each kind."""
    with ExitStack() as stack:
        made: dict[str, str] = {}

        def url_of(kind: str) -> str:
            if kind not in made:
                made[kind] = stack.enter_context(new_catalog_url(kind))
                execute(made[kind], "CREATE TABLE there (x text)")
                insert(made[kind], "there", [(VALUE,)])
            return made[kind]

        yield url_of


def led_to(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it leads to, whether a traceback prints it or not."""
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from led_to(other)


@pytest.fixture
def refused(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> Callable[..., SourceError]:
    """Return what exports, and gives the one error that this ends in."""

    def run(source: Callable[[], Any], of: Any = ANY, **options: Any) -> SourceError:
        folder = tmp_path / "exports"
        caplog.set_level(logging.DEBUG)
        with pytest.raises(SourceError) as caught:
            cdds.export(
                source(), dataset=of, to=folder, recipients=rsa_key_and_certificate[1], **options
            )
        assert not folder.exists() or list(folder.iterdir()) == []
        said = "".join(traceback.format_exception(caught.value)) + caplog.text
        said += "".join(map(repr, led_to(caught.value)))
        for secret in (SECRET, "hunter2", VALUE):
            assert secret not in said
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)
        return caught.value

    return run


@each_database
@pytest.mark.parametrize("query", ["", " \n", ";", " ; ; "])
def test_an_empty_query_is_refused(urls: Any, kind: str, query: str) -> None:
    with pytest.raises(SourceError, match="data file row: its query is empty"):
        Sql(urls(kind), row=query)


@each_database
@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_query_that_cannot_be_told_is_refused(urls: Any, kind: str, character: str) -> None:
    there = table("there", column("x"))
    for query in (f"SELECT '{character}' AS x", select(there).where(there.c.x == character)):
        with pytest.raises(SourceError, match="data file row: its query holds"):
            Sql(urls(kind), row=query)


def test_a_source_without_queries_is_refused(urls: Any) -> None:
    url = urls("sqlite")
    with pytest.raises(SourceError, match="no query"):
        Sql(url)
    with pytest.raises(SourceError, match="no query"):
        cdds.sources.open_source(f"sql+{url}")


@each_database
@pytest.mark.parametrize(
    "query",
    ["SELECT x FROM there;", "SELECT x FROM there -- all", "SELECT x FROM there /* all */ ; ;",
     "-- all\nSELECT x FROM there --", "SELECT '-- ;' AS x", "VALUES ('x')",
     "/* ' */ SELECT x FROM there",
     "WITH t AS (SELECT x FROM there) SELECT x FROM t -- )"],
)  # fmt: skip
def test_a_query_may_end_as_people_end_it(urls: Any, kind: str, query: str) -> None:
    source = Sql(urls(kind), row=query)

    with source.snapshot(ANY, Selection()) as snapshot:
        assert snapshot.count("row") == len(list(snapshot.records("row"))) == 1


@each_database
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS x; SELECT 2 AS x",
        "SELECT 1 AS x) AS q; COMMIT; CREATE TABLE made (x int); SELECT * FROM (SELECT 1 AS x",
        "SELECT 1 AS x) AS q LIMIT 0; ROLLBACK; DROP TABLE there; SELECT * FROM (SELECT 1 AS x",
        "SELECT 1 AS x -- \n) AS q; COMMIT; DELETE FROM there; --",
        "DELETE FROM there",
        "INSERT INTO there VALUES ('made') RETURNING x",
        "WITH gone AS (DELETE FROM there RETURNING x) SELECT x FROM gone",
        "DROP TABLE there",
        "PRAGMA writable_schema = 1",
        "COMMIT",
        "SELECT x FROM there FOR UPDATE",
        "SELECT setval('numbers', 5) AS x",
        "SELECT nextval('numbers') AS x",
        "SELECT 1 AS x INTO made",
        "SELECT lo_create(0) AS x",
    ],
)
def test_nothing_is_ever_written(
    urls: Any, kind: str, refused: Callable[..., SourceError], query: str
) -> None:
    url = urls(kind)
    if kind == "postgresql":
        execute(url, "CREATE SEQUENCE IF NOT EXISTS numbers")

    refused(lambda: Sql(url, row=query))

    with connected(url) as connection:
        assert connection.execute("SELECT x FROM there").fetchall() == [(VALUE,)]
        names = "SELECT name FROM sqlite_master" if kind == "sqlite" else (
            "SELECT relname FROM pg_class WHERE relname = 'made'"
        )  # fmt: skip
        assert ("made",) not in connection.execute(names).fetchall()
        if kind == "postgresql":
            assert connection.execute("SELECT is_called FROM numbers").fetchone() == (False,)


@each_database
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT x FROM missing", "missing"),
        ("SELECT missing FROM there", "missing"),
        ("SELECT x FROM there WHERE", "syntax error"),
        ("SELECT x FROM FROM there", "syntax error"),
        ("SELECT x FROM there WHERE x = (1", "data"),
        ("SELECT missing(x) AS x FROM there", "missing"),
    ],
)
def test_a_query_that_is_refused_says_what_is_wrong(
    urls: Any, kind: str, refused: Callable[..., SourceError], query: str, words: str
) -> None:
    error = refused(lambda: Sql(urls(kind), row=query))

    assert words in str(error)
    assert type(error) is SourceError


@pytest.mark.parametrize(
    ("kind", "query", "words"),
    [
        ("postgresql", "SELECT x FROM there FOR UPDATE", "would write"),
        ("postgresql", "SELECT nextval('written') AS x", "would write"),
        ("postgresql", "SELECT x FROM there WHERE x <> written()", "would write"),
        (
            "postgresql",
            "WITH gone AS (DELETE FROM there RETURNING x) SELECT x FROM gone",
            "data-modifying statement must be at the top level",
        ),
        ("postgresql", "SELECT $1::text AS x", "requires 1"),
        ("sqlite", "SELECT ? AS x", "parameters are not allowed"),
        ("sqlite", "SELECT 1 AS x) AS q; COMMIT; SELECT * FROM (SELECT 1 AS x", "one statement"),
    ],
)
def test_a_query_that_can_never_be_read_says_why(
    urls: Any, refused: Callable[..., SourceError], kind: str, query: str, words: str
) -> None:
    url = urls(kind)
    if kind == "postgresql":
        execute(
            url,
            "CREATE SEQUENCE IF NOT EXISTS written",
            "CREATE OR REPLACE FUNCTION written() RETURNS text LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO there VALUES (1); RETURN 1; END'",
        )

    error = refused(lambda: Sql(url, row=query))

    assert words in str(error)
    assert type(error) is SourceError  # and no try of a scheduler is worth it


@pytest.mark.parametrize(
    ("port", "options", "words"),
    [
        (99999, {"host": "localhost"}, "invalid port number"),
        (None, {"nonsense": SECRET}, "invalid connection option"),
        (None, {"connect_timeout": SECRET}, "bad value for connect_timeout"),
        (None, {"sslmode": "nonsense"}, "invalid sslmode value"),
        (None, {"options": "-c nonsense=1"}, "unrecognized configuration parameter"),
    ],
)
def test_an_option_that_no_server_takes_is_no_matter_of_time(
    urls: Any,
    refused: Callable[..., SourceError],
    port: int | None,
    options: dict[str, str],
    words: str,
) -> None:
    url = sqlalchemy.make_url(urls("postgresql")).set(port=port).update_query_dict(options)

    error = refused(lambda: Sql(url.render_as_string(hide_password=False), row="SELECT 1 AS x"))

    assert words in str(error)
    assert type(error) is SourceError


QUOTING = {
    "sqlite": [
        ("json_extract('{}', x)", "JSON path"),
        ("json_type('{}', x)", "JSON path"),
        ("json_set('{}', x, 1)", "JSON path"),
        ("(SELECT value FROM json_each('{}', x))", "JSON path"),
        ("json_extract(x, '$')", "malformed JSON"),
        ("json_patch(x, x)", "malformed JSON"),
        ("(SELECT count(*) FROM pragma_index_list(x, x))", "it failed with"),
        ("(SELECT count(*) FROM pragma_integrity_check(x))", "it failed with"),
        ("(SELECT count(*) FROM pragma_foreign_key_check(x))", "it failed with"),
        ("fts3_tokenizer(x)", "it failed with"),
        ("(SELECT a FROM found WHERE found MATCH x || ':')", "no such column"),
        ("(SELECT a FROM found WHERE found MATCH x || ' AND')", "fts5: syntax error"),
        ("(SELECT a FROM found WHERE found MATCH '*' || x)", "it failed with"),
        ("x LIKE x ESCAPE x", "ESCAPE expression"),
        ("CAST(x AS INTEGER) + abs(-9223372036854775807 - length(x) / length(x))", "overflow"),
        ("zeroblob(length(x) * 1000000000)", "too big"),
    ],
    "postgresql": [
        ("x::integer", "InvalidTextRepresentation"),
        ("x::boolean", "InvalidTextRepresentation"),
        ("x::uuid", "InvalidTextRepresentation"),
        ("x::inet", "InvalidTextRepresentation"),
        ("x::jsonb", "InvalidTextRepresentation"),
        ("x::json", "InvalidTextRepresentation"),
        ("x::numeric", "InvalidTextRepresentation"),
        ("x::float8", "InvalidTextRepresentation"),
        ("x::bit(3)", "InvalidTextRepresentation"),
        ("x::int[]", "InvalidTextRepresentation"),
        ("x::int4range::text", "InvalidTextRepresentation"),
        ("x::mood", "InvalidTextRepresentation"),
        ("x::timestamp", "InvalidDatetimeFormat"),
        ("x::interval", "InvalidDatetimeFormat"),
        ("x::jsonpath::text", "it failed with"),
        ("x::regclass::text", "InvalidName"),
        ("x::regtype::text", "SyntaxError"),
        ("x::regprocedure::text", "InvalidTextRepresentation"),
        ("to_tsvector(x::regconfig, 'a')::text", "InvalidName"),
        ("to_tsquery(x)::text", "SyntaxError"),
        ("decode(x, 'hex')", "InvalidParameterValue"),
        ("decode('', x)", "InvalidParameterValue"),
        ("convert_to('', x)", "InvalidParameterValue"),
        ("1 / (length(x) - length(x))", "DivisionByZero"),
        ("'' ~ ('(' || x)", "InvalidRegularExpression"),
        ("to_char(now() AT TIME ZONE x, 'YYYY')", "InvalidParameterValue"),
        ("date_trunc(x, now())", "InvalidParameterValue"),
        ("extract(year FROM make_date(length(x), 77, 1))", "DatetimeFieldOverflow"),
        ("to_date(x, 'YYYY')", "InvalidDatetimeFormat"),
        ("current_setting(x)", "UndefinedObject"),
        ("pg_read_file(x)", "UndefinedFile"),
        ("pg_ls_dir(x)", "UndefinedFile"),
        ("nextval(quote_ident(x))", "UndefinedTable"),
        ("has_table_privilege(quote_ident(x), 'SELECT')", "UndefinedTable"),
        ("pg_get_serial_sequence('there', x)", "UndefinedColumn"),
        ("xmlparse(document x)::text", "it failed with"),
        ("xpath(x, '<a/>')::text", "the database"),
        ("raises(x, 'P0001')", "RaiseException"),
        ("raises(x, '22000')", "DataException"),
        ("raises(x, '42P01')", "UndefinedTable"),
        ("raises(x, '53100')", "DiskFull"),
        ("raises(x, '57014')", "QueryCanceled"),
        ("raises(x, '08006')", "ConnectionFailure"),
        ("raises(x, 'ZZ123')", "it failed with"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def quoting_urls(urls: Any) -> Any:
    """Return what gives the URL of a database with what quotes the values of rows."""
    execute(urls("sqlite"), "CREATE VIRTUAL TABLE found USING fts5 (a)")
    execute(
        urls("postgresql"),
        "CREATE TYPE mood AS ENUM ('b')",
        """CREATE FUNCTION raises(what text, state text) RETURNS text AS $$
        BEGIN RAISE EXCEPTION '% is there', what
            USING ERRCODE = state, DETAIL = what, HINT = what, COLUMN = what; END
        $$ LANGUAGE plpgsql""",
    )
    return urls


@pytest.mark.parametrize(
    ("kind", "expression", "words"),
    [(kind, *each) for kind, all_of_them in QUOTING.items() for each in all_of_them],
)
def test_a_failure_of_a_value_does_not_show_it(
    quoting_urls: Any,
    refused: Callable[..., SourceError],
    kind: str,
    expression: str,
    words: str,
) -> None:
    """Neither where rows are read, nor where they are counted or selected from."""
    query = f"SELECT {expression} AS x FROM there"

    error = refused(lambda: Sql(quoting_urls(kind), row=query))

    assert words in str(error)
    filtered = f"SELECT x FROM there WHERE ({expression}) IS NULL"
    with pytest.raises(SourceError) as caught:
        cdds.estimate(Sql(quoting_urls(kind), row=filtered), dataset=ANY)
    assert VALUE not in str(caught.value)


def test_a_text_that_is_no_utf_8_fails_without_being_shown(
    new_catalog_url: Any, refused: Callable[..., SourceError]
) -> None:
    with new_catalog_url("sqlite") as url:
        execute(url, "CREATE TABLE t (x text)")
        insert(url, "t", [("ok",), (b"\xff" + VALUE.encode(),)])
        execute(url, "UPDATE t SET x = CAST(x AS TEXT)")

        error = refused(lambda: Sql(url, row="SELECT x FROM t"))

        assert "UTF-8" in str(error)
        of = dataset({"x": "string"}, timestamps="x")
        refused(
            lambda: Sql(url, row="SELECT x FROM t"),
            of,
            timeframe=cdds.Timeframe(datetime(2025, 1, 1, tzinfo=UTC)),
        )


@each_database
def test_a_query_that_fails_late_leaves_nothing(
    urls: Any, kind: str, refused: Callable[..., SourceError]
) -> None:
    """After many rows have been read, sealed and written."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
    last = {"sqlite": "abs(-9223372036854775807 - (i = 60000))", "postgresql": "1 / (i - 60000)"}
    source = Sql(urls(kind), row=f"{numbers} SELECT {last[kind]} AS x FROM n")

    error = refused(lambda: source)

    assert {"sqlite": "integer overflow", "postgresql": "DivisionByZero"}[kind] in str(error)


@pytest.mark.slow
@each_database
def test_a_query_that_fails_after_a_million_rows_leaves_nothing(
    urls: Any, kind: str, refused: Callable[..., SourceError]
) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000001)"
    last = {
        "sqlite": "abs(-9223372036854775807 - (i > 1000000))",
        "postgresql": "1 / (i - 1000001)",
    }

    refused(lambda: Sql(urls(kind), row=f"{numbers} SELECT {last[kind]} AS x FROM n"))


def test_a_database_without_an_encoding_is_read_as_utf_8(
    urls: Any, refused: Callable[..., SourceError]
) -> None:
    """PostgreSQL takes the bytes of SQL_ASCII for texts, whatever they are."""
    url = urls("postgresql")
    execute(
        url,
        "CREATE DATABASE plain TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    plain = sqlalchemy.make_url(url).set(database="plain").render_as_string(hide_password=False)
    try:
        execute(plain, "CREATE TABLE t (x text)")
        insert(plain, "t", [("\u00e9\u20ac",)])
        assert records(Sql(plain, row="SELECT x FROM t"), ANY) == [{"x": "\u00e9\u20ac"}]

        execute(plain, "INSERT INTO t VALUES (chr(233))")
        error = refused(lambda: Sql(plain, row="SELECT x FROM t"))

        assert str(error).endswith(": a text is no UTF-8")
        assert type(error) is SourceError
    finally:
        execute(url, "DROP DATABASE plain WITH (FORCE)")


def test_a_connection_that_is_lost_midway_is_one_error(
    urls: Any, refused: Callable[..., SourceError]
) -> None:
    """The server ends it while rows are read."""
    url = urls("postgresql")
    query = "SELECT i AS x, repeat('x', 1000) AS y FROM generate_series(1, 50000) AS i"

    class Losing(Sql):
        def snapshot(self, *arguments: Any) -> Any:
            return losing(super().snapshot(*arguments), url)

    error = refused(lambda: Losing(url, row=query))

    assert type(error) is SourceUnavailable


class losing:  # noqa: N801
    """A snapshot whose connection the server ends after the first lines."""

    def __init__(self, snapshot: Any, url: str) -> None:
        self._snapshot, self._url = snapshot, url

    def __enter__(self) -> Any:
        self._opened = self._snapshot.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._snapshot.__exit__(*error)

    def has(self, data_file: str) -> bool:
        return bool(self._opened.has(data_file))

    def lines(self, data_file: str) -> Iterator[Any]:
        for number, lines in enumerate(self._opened.lines(data_file)):
            yield lines
            if number == 0:
                with connected(self._url) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
                        "datname = current_database() AND pid <> pg_backend_pid()"
                    )


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"username": "nobody"}, SourceError, "nobody"),
        ({"database": "nothing"}, SourceError, "nothing"),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, SourceUnavailable, "refused"),
        ({"host": "nowhere.invalid", "query": {}}, SourceUnavailable, "nowhere.invalid"),
    ],
)
def test_a_server_that_lets_nobody_in_is_one_error(
    urls: Any,
    refused: Callable[..., SourceError],
    changes: Any,
    kind: type[SourceError],
    words: str,
) -> None:
    url = sqlalchemy.make_url(urls("postgresql")).set(**{"password": SECRET} | changes)

    error = refused(lambda: Sql(url.render_as_string(hide_password=False), row="SELECT 1 AS x"))

    assert type(error) is kind
    assert words in str(error)
    other = refused(
        lambda: Sql(url.set(password=None).render_as_string(), password=SECRET, row="SELECT 1 AS x")
    )
    assert type(other) is kind


def test_a_wrong_password_is_no_matter_of_time(
    urls: Any, refused: Callable[..., SourceError], tmp_path: Path
) -> None:
    url = urls("postgresql")
    with connected(url) as connection:
        (file,) = connection.execute("SHOW hba_file").fetchone()
    rules = Path(file).read_text()
    execute(url, "CREATE ROLE reader LOGIN PASSWORD 'right'")
    try:
        Path(file).write_text(f"local all reader scram-sha-256\n{rules}")
        execute(url, "SELECT pg_reload_conf()")
        reader = sqlalchemy.make_url(url).set(username="reader", password=SECRET)

        for password in (SECRET, "hunter2"):
            error = refused(
                lambda password=password: Sql(
                    reader.set(password=password).render_as_string(hide_password=False),
                    row="SELECT 1 AS x",
                )
            )
            assert type(error) is SourceError
            assert "authentication failed" in str(error)
        right = reader.set(password="right").render_as_string(hide_password=False)
        error = refused(lambda: Sql(right, row="SELECT x FROM there"))
        assert "permission denied for table there" in str(error)
    finally:
        Path(file).write_text(rules)
        execute(url, "SELECT pg_reload_conf()", "DROP ROLE reader")


def test_who_may_not_log_in_may_not_a_moment_later(
    urls: Any, refused: Callable[..., SourceError]
) -> None:
    url = urls("postgresql")
    with connected(url) as connection:
        (file,) = connection.execute("SHOW hba_file").fetchone()
    rules = Path(file).read_text()
    execute(url, "CREATE ROLE guest NOLOGIN")
    guest = sqlalchemy.make_url(url).set(username="guest").render_as_string(hide_password=False)
    try:
        for rule, words in (
            (rules, "not permitted to log in"),
            ("local all postgres trust\n", "no pg_hba.conf entry"),
            (f"local all guest reject\n{rules}", "pg_hba.conf rejects"),
        ):
            Path(file).write_text(rule)
            execute(url, "SELECT pg_reload_conf()")
            error = refused(lambda: Sql(guest, row="SELECT 1 AS x"))
            assert words in str(error)
            assert type(error) is SourceError
    finally:
        Path(file).write_text(rules)
        execute(url, "SELECT pg_reload_conf()", "DROP ROLE guest")


def test_a_file_that_is_no_database_is_one_error(
    refused: Callable[..., SourceError], tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text(VALUE * 100)
    (tmp_path / "folder").mkdir()
    for name, words in (("none.db", "no such file"), ("folder", "no such file"),
                        ("text.db", "not a database")):  # fmt: skip
        error = refused(lambda name=name: Sql(tmp_path / name, row="SELECT 1 AS x"))
        assert words in str(error)
        assert name in str(error)
        assert type(error) is SourceError
    assert not (tmp_path / "none.db").exists()
    refused(lambda: Sql("sqlite://", row="SELECT 1 AS x"))


def test_an_empty_file_is_an_empty_database(
    refused: Callable[..., SourceError], tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch()

    assert "no such table" in str(
        refused(lambda: Sql(tmp_path / "empty.db", row="SELECT x FROM t"))
    )


def test_a_locked_file_may_be_free_later(
    new_catalog_url: Any, refused: Callable[..., SourceError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT", 0)
    with new_catalog_url("sqlite") as url, connected(url) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN EXCLUSIVE")

        assert type(refused(lambda: Sql(url, row="SELECT x FROM t"))) is SourceUnavailable


def test_a_file_that_is_no_database_is_closed_when_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, " * 100)
    with pytest.raises(SourceError) as caught:  # whose traceback would keep it open
        records(Sql(path, row="SELECT x FROM t"), ANY)
    is_open = [file.samefile(path) for file in Path("/proc/self/fd").iterdir() if file.exists()]
    assert not any(is_open), caught


@pytest.mark.parametrize(
    "name", ["a b.db", "ü€.db", "100%.db", "a?b.db", "a#b.db", "file:x.db", "\udcff.db"]
)
def test_a_file_has_any_name(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / "made.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 5 AS x")
        connection.commit()
    (tmp_path / "made.db").rename(tmp_path / name)

    assert records(Sql(tmp_path / name, row="SELECT x FROM t"), ANY) == [{"x": 5}]


# Queries of SQLAlchemy.


@each_database
def test_a_query_of_sqlalchemy_is_written_out(urls: Any, kind: str) -> None:
    there = table("there", column("x"))
    for query in (
        there,
        select(there),
        select(there.c.x).where(there.c.x == VALUE),
        select(there.c.x).where(there.c.x.like("a%")),
        select(there.c.x).where(there.c.x == bindparam("wanted", VALUE)),
        select(there.c.x).where(there.c.x.in_([VALUE, "100%:a'\\"])),
        select(there.c.x).union_all(select(there.c.x).where(literal_column("1 = 0"))),
        select(there.c.x).order_by(there.c.x).limit(1),
    ):
        assert records(Sql(urls(kind), row=query), ANY) == [{"x": VALUE}]


@each_database
def test_a_parameter_without_a_value_is_refused(urls: Any, kind: str) -> None:
    there = table("there", column("x"))
    queries: tuple[Any, ...] = (
        select(there.c.x).where(there.c.x == bindparam("wanted")),
        select(there.c.x).where(there.c.x == bindparam("wanted", object())),
        there.delete(),
        5,
        None,
        sqlalchemy.text("SELECT 1"),
    )
    for query in queries:
        with pytest.raises(SourceError, match="data file row: "):
            Sql(urls(kind), row=query)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.5}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
        ({"timeout": 7 * 24 * 3600 + 1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"timeout": timedelta()}, "timeout"),
        ({"timeout": timedelta(days=8)}, "timeout"),
        ({"rows_per_second": 0}, "rows_per_second"),
        ({"rows_per_second": 0.99}, "rows_per_second"),
        ({"rows_per_second": float("nan")}, "rows_per_second"),
        ({"rows_per_second": True}, "rows_per_second"),
        ({"password": SECRET}, "password"),
        ({"url": "postgresql://u@host/d", "password": f"{SECRET}\0"}, "password"),
        ({"url": "postgresql://u@host/d", "password": f"{SECRET}\udcff"}, "password"),
    ],
)
def test_a_limit_out_of_its_range_is_refused(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        Sql(**{"url": tmp_path / "a.db", "row": "SELECT 1 AS x"} | options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2%00@h/d",
        "postgresql://u%00:hunter2@h/d",
        "postgresql://u:hunter2@h/d%00",
        "postgresql://u:hunter2@h/d?host=x%00",
        "postgresql://u:hunter2\udcff@h/d",
        "",
        5,
    ],
)
def test_a_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(SourceError) as caught:
        Sql(url, row="SELECT 1 AS x")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_source_shows_no_password() -> None:
    source = Sql("postgresql://u:hunter2@h/d?sslpassword=hunter2", row="SELECT 1 AS x")
    assert "hunter2" not in repr(source)


@each_database
def test_an_unknown_data_file_is_refused(urls: Any, kind: str) -> None:
    with pytest.raises(SourceError, match="rows"):
        records(Sql(urls(kind), rows="SELECT 1 AS x"), ANY)
