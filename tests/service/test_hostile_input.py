"""Whatever is passed to the service: a clear error of this library, or a faithful round trip.

The arguments are found by looking at the signatures, so that a new one cannot be left out: it needs
a sound value in `sound_values`, and is then tried with everything that is not sound.
"""

from __future__ import annotations

import base64
import inspect
import json
import math
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cdds
from cdds.access import Principal
from cdds.catalog import ArtifactEntry, AuditHead, Catalog, JobSettings
from cdds.errors import CatalogError, CddsError
from cdds.protocols import Source, Stored
from cdds.schedule import Hourly, Once
from cdds.sinks import LocalSink

KEY = b"k" * 32
NOW = datetime.now(UTC).replace(microsecond=0)
LONGEST_MESSAGE = 500

SORTS = {
    "jobs": ["title", "created", "next_start", "latest_start", "latest_status"],
    "history": ["started", "status", "title"],
    "artifacts": ["created", "expires", "name", "size", "title"],
}

HOSTILE: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "-1": -1,
    "0": 0,
    "1": 1,
    "2**31": 2**31,
    "2**63": 2**63,
    "2**70": 2**70,
    "10**5000": 10**5000,
    "-10**5000": -(10**5000),
    "0.5": 0.5,
    "nan": math.nan,
    "inf": math.inf,
    "empty": "",
    "blank": " \t ",
    "huge": "x" * 10**6,
    "huge digits": "9" * 10**6,
    "huge emoji": "😀" * 10**5,
    "SQL": "'; DROP TABLE cdds_jobs; --",
    "LIKE": "%_\\",
    "path": "../..",
    "absolute path": "/etc/passwd",
    "NUL": "\0",
    "NUL inside": "export-\0.zip",
    "line feed": "a\nb",
    "line separator": "a\u2028b",
    "escape": "\x1b[31mred",
    "C1 control": "a\x9bb",
    "lone surrogate": "\ud800",
    "reversed": "\u202egnp.exe",
    "format": "{0.__class__} %s %d",
    "a UUID": str(uuid.UUID(int=5)),
    "a UUID in capitals": "{" + str(uuid.UUID(int=5)).upper() + "}",
    "a name": f"export-{uuid.UUID(int=5)}.zip.smime",
    "a near name": "export-" + "-" * 36 + ".zip.smime",
    "token": "WyJ0aXRsZSIsZmFsc2UsWyJ4IiwxXV0=",
    "size with a true": "WyJzaXplIix0cnVlLFt0cnVlLCJ4Il1d",
    "bytes": b"x",
    "huge bytes": b"x" * 10**6,
    "broken PEM": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "list": [],
    "list of None": [None],
    "list of lists": [[]],
    "list of huge": ["x" * 10**6],
    "list of NUL": ["\0"],
    "long list": ["x"] * 1000,
    "dict": {},
    "dict of dicts": {"a": {"b": {}}},
    "dict of bytes": {b"a": None},
    "tuple": ("x", 1),
    "set": {1, 2},
    "object": object(),
    "UUID": uuid.UUID(int=5),
    "path object": Path("x"),
    "naive": datetime(2024, 1, 1),
    "earliest": datetime.min.replace(tzinfo=UTC),
    "latest": datetime.max.replace(tzinfo=UTC),
    "no time": timedelta(),
    "negative time": timedelta(days=-1),
    "shortest": timedelta(microseconds=1),
    "longest": timedelta.max,
}

ANYTHING = st.one_of(
    st.sampled_from(sorted(HOSTILE)).map(HOSTILE.__getitem__),
    st.text(st.characters(), max_size=300),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.binary(max_size=100),
    st.lists(st.text(max_size=5) | st.none() | st.integers(), max_size=3),
)


class SigningStorage(LocalSink):
    """A folder that pretends to sign links."""

    def signed_url(self, name: str, lifetime: timedelta) -> str:
        return f"https://localhost/{name}?for={lifetime.total_seconds()}"


def a_source(tenant: str) -> Source:
    return cdds.sources.Records(interaction=[{"IXNID": "1"}])


@attrs.frozen
class World:
    """A service with one of everything, and the sound values of all arguments."""

    catalog: Catalog
    service: cdds.DownloadService
    certificate: bytes
    folder: Path
    sound: dict[str, Any]
    pages: dict[str, Any]

    @property
    def principal(self) -> Principal:
        principal: Principal = self.sound["principal"]
        return principal


@pytest.fixture(scope="module", params=["memory", "postgresql"])
def world(
    request: pytest.FixtureRequest,
    new_catalog_url: Any,
    holders: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    certificate = holders[0].certificate_file.read_bytes()
    me = Principal("alice", "acme", ["use", "choose recipients", "audit"])
    with new_catalog_url(request.param) as url, Catalog(url, audit_key=KEY) as catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=SigningStorage(folder / "exports"),
            sources={"UCS": a_source},
            threads=1,
        )
        service.preferences.set_certificate(me, certificate)
        sound = sound_values(service, me, certificate)
        pages = {
            name: getattr(service, name)
            for name in ("jobs", "history", "artifacts", "preferences", "audit", "retention")
        }
        yield World(catalog, service, certificate, folder, sound, pages | {"service": service})


def sound_values(
    service: cdds.DownloadService, me: Principal, certificate: bytes
) -> dict[str, Any]:
    """Return a sound value for every argument of every method."""
    wanted = JobSettings(
        title="x", source="UCS", dataset="Interaction", recurrence=Hourly(), split_size="64 KiB"
    )
    job = service.jobs.add(me, wanted)
    run = service.jobs.run_now(me, job.id)
    (artifact,) = service.artifacts.list(me).items
    return {
        "principal": me,
        "settings": wanted,
        "job_id": job.id,
        "run_id": run.id,
        "name": artifact.name,
        "names": [artifact.name],
        "artifact": artifact,
        "certificate": certificate,
        "head": service.audit.head(me),
        "lifetime": timedelta(hours=1),
        "start": NOW - timedelta(days=1),
        "end": NOW,
        "step": timedelta(hours=1),
    }


def methods(world: World) -> Iterator[tuple[str, Callable[..., Any], list[str]]]:
    """Yield the public methods of all pages, with the names of their arguments."""
    for page, holder in world.pages.items():
        for name, method in inspect.getmembers(holder, inspect.ismethod):
            if name.startswith("_"):
                continue
            parameters = inspect.signature(method).parameters.values()
            names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
            if len(names) < len(parameters):
                names += [f"*{field.name}" for field in attrs.fields(JobSettings)]
            yield f"{page}.{name}", method, names


def call(world: World, method: Callable[..., Any], name: str, value: Any) -> Any:
    """Call a method with sound arguments but for one."""
    parameters = inspect.signature(method).parameters.values()
    arguments = {
        parameter.name: world.sound[parameter.name]
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    result: Any = method(**arguments | {name.removeprefix("*"): value})
    for download in result if inspect.isgenerator(result) else [result]:
        close = getattr(download, "close", None)
        if close is not None:
            close()
    return result


def check(label: str, attempt: Callable[[], Any]) -> Any:
    """Make an attempt: it succeeds, or is refused in one short and printable line."""
    try:
        return attempt()
    except CddsError as error:
        message = str(error)
        assert message, label
        assert message.isprintable(), f"{label}: {message[:200]!a}"
        assert len(message) <= LONGEST_MESSAGE, f"{label}: {message[:100]!a}"
        return None
    except Exception as error:
        raise AssertionError(f"{label}: {type(error).__name__}: {str(error)[:200]!a}") from error


def test_every_argument_of_every_method(world: World) -> None:
    failures = []
    for label, method, names in methods(world):
        for name in names:
            for hostile, value in HOSTILE.items():
                try:
                    case = f"{label}({name}={hostile})"
                    check(case, lambda: call(world, method, name, value))  # noqa: B023
                except AssertionError as error:
                    failures.append(str(error).partition("\n")[0])
    assert not failures, "\n".join(failures)


@given(data=st.data())
@settings(max_examples=200)
def test_any_argument_of_any_method(world: World, data: st.DataObject) -> None:
    some = [(label, method, name) for label, method, names in methods(world) for name in names]
    label, method, name = some[data.draw(st.integers(0, len(some) - 1), "argument")]
    value = data.draw(ANYTHING, label)
    check(f"{label}({name})", lambda: call(world, method, name, value))


JSON = st.recursive(
    st.sampled_from([None, True, 0, -1, 2**63, 1e400, "", "x", "\0", "\ud800", "9999-12-31T23:59Z"])
    | st.text(st.characters(), max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=2), values),
    max_leaves=5,
)


@given(page=st.sampled_from(sorted(SORTS)), descending=st.booleans(), data=st.data())
@settings(max_examples=200)
def test_a_forged_token_of_a_page(
    world: World, page: str, descending: bool, data: st.DataObject
) -> None:
    sort = data.draw(st.sampled_from(SORTS[page]), "sort")
    keys = data.draw(st.lists(JSON, max_size=3) | JSON, "keys")
    whole = data.draw(st.just([sort, descending, keys]) | JSON, "token")
    token = base64.urlsafe_b64encode(json.dumps(whole).encode()).decode()

    def read() -> None:
        try:
            world.pages[page].list(world.principal, sort=sort, descending=descending, after=token)
        except CatalogError as error:
            raise AssertionError("it reached the database") from error

    check(f"{page} by {sort}", read)


@given(
    name=st.sampled_from([field.name for field in attrs.fields(JobSettings)]),
    value=ANYTHING,
)
@settings(max_examples=200)
def test_settings_are_refused_or_come_back_unchanged(world: World, name: str, value: Any) -> None:
    changed = check(name, lambda: attrs.evolve(world.sound["settings"], **{name: value}))
    if changed is None:
        return
    if name in {"title", "description", "source", "dataset", "max_rejects", "level", "on_invalid"}:
        assert getattr(changed, name) == value
    added = check(name, lambda: world.service.jobs.add(world.principal, changed))
    if added is not None:
        assert world.service.jobs.get(world.principal, added.id).settings == changed
        world.service.jobs.delete(world.principal, added.id)


@given(user=ANYTHING | st.just("alice"), tenant=ANYTHING | st.just("acme"))
@settings(max_examples=200)
def test_principals_are_refused_or_come_back_unchanged(
    world: World, user: Any, tenant: Any
) -> None:
    principal = check("Principal", lambda: Principal(user, tenant, ["use", "audit"]))
    if principal is None:
        return
    assert (principal.user, principal.tenant) == (user, tenant)
    preferences = world.service.preferences
    preferences.set_certificate(principal, world.certificate)
    entry = preferences.certificate(principal)
    assert entry is not None
    assert (entry.user, entry.tenant) == (user, tenant)
    last = world.service.audit.head(principal).number
    (trace,) = world.service.audit.entries(principal, after=last - 1)
    assert (trace.actor, trace.tenant) == (user, tenant)
    world.service.audit.verify(principal)


@pytest.mark.parametrize("hostile", sorted(HOSTILE))
def test_values_are_refused_at_their_birth(hostile: str) -> None:
    value = HOSTILE[hostile]
    for label, make in {
        "permissions": lambda: Principal("alice", "acme", value),
        "Once": lambda: Once(value),
        "Hourly": lambda: Hourly(value),
        "Hourly start": lambda: Hourly(start=value),
        "Timeframe start": lambda: cdds.Timeframe(value),
        "Timeframe end": lambda: cdds.Timeframe(None, value),
    }.items():
        check(f"{label} of {hostile}", make)


URLS = {
    "no database": "postgresql://",
    "no server": "postgresql://user:password@127.0.0.1:1/x?connect_timeout=2",
    "unknown": "nothing://x",
    "unknown driver": "sqlite+nothing://",
    "unknown driver of PostgreSQL": "postgresql+nothing://x/y",
    "other": "mysql://x/y",
    "unknown option": "sqlite:///x.db?nothing=1",
    "bad option": "sqlite:///x.db?timeout=soon",
    "unknown option of PostgreSQL": "postgresql://127.0.0.1:1/x?nothing=1",
    "bad port": "postgresql://x:port/y",
    "bad host": "postgresql://[::1/y",
    "huge": "sqlite:///" + "x" * 10**6,
    "huge host": "postgresql://" + "x" * 10**6 + "/y",
    "NUL": "sqlite:///a\0b",
    "quoted NUL": "postgresql://127.0.0.1:1/a%00b",
    "lone surrogate": "sqlite:///\ud800",
    "lone surrogate in a host": "postgresql://\ud800/y",
    "missing folder": "sqlite:////nowhere/at/all/x.db",
}


@pytest.mark.filterwarnings("ignore:Query string argument")  # SQLAlchemy's, of an unknown option
def test_every_argument_of_a_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound: dict[str, Any] = {"location": "sqlite://", "audit_key": KEY}

    def attempt(name: str, value: Any) -> None:
        with Catalog(**sound | {name: value}) as catalog:
            catalog.write()
            with catalog.write() as transaction:
                transaction.audit.append("t", "tried", "catalog", "x", at=NOW)
                transaction.now()

    failures = []
    names = inspect.signature(Catalog).parameters
    cases = [(name, hostile, value) for name in names for hostile, value in HOSTILE.items()]
    cases += [("location", name, url) for name, url in URLS.items()]
    cases += [("location", f"{name} as a file", f"{url}/x") for name, url in URLS.items()]
    for name, hostile, value in cases:
        try:
            check(f"Catalog({name}={hostile})", lambda: attempt(name, value))  # noqa: B023
        except AssertionError as error:
            failures.append(str(error).partition("\n")[0])
    assert not failures, "\n".join(failures)


def test_every_argument_of_a_service(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sound: dict[str, Any] = {
        "catalog": world.catalog,
        "sink": tmp_path / "s",
        "sources": {"UCS": a_source},
    }

    def attempt(name: str, value: Any) -> None:
        service = cdds.DownloadService(**sound | {name: value})
        service.jobs.list(world.principal)
        job = service.jobs.add(world.principal, world.sound["settings"])
        service.jobs.run_now(world.principal, job.id)
        service.retention.plan()
        service.retention.remind()
        for _ in service._context.sink.stored():
            pass

    failures = []
    names = inspect.signature(cdds.DownloadService).parameters
    for name in names:
        for hostile, value in HOSTILE.items():
            try:
                case = f"DownloadService({name}={hostile})"
                check(case, lambda: attempt(name, value))  # noqa: B023
            except AssertionError as error:
                failures.append(str(error).partition("\n")[0])
    assert not failures, "\n".join(failures)


HEADS = [
    AuditHead("acme", 1, "é"),
    AuditHead("acme", "1", "0" * 64),  # type: ignore[arg-type]
    AuditHead("acme", 1, b"0"),  # type: ignore[arg-type]
    AuditHead("acme", None, None),  # type: ignore[arg-type]
    AuditHead("acme", 0, None),  # type: ignore[arg-type]
    AuditHead("acme", -1, ""),
    AuditHead("globex", 1, "0" * 64),
    AuditHead(None, 1, "0" * 64),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_a_head_that_was_not_given_out_proves_nothing(world: World, head: AuditHead) -> None:
    with pytest.raises(CddsError):
        world.service.audit.verify(world.principal, head)


def test_a_range_beyond_all_numbers(world: World) -> None:
    run = world.service.history.get(world.principal, world.sound["run_id"])
    assert run.digests is not None
    for name in (run.digests, world.sound["name"]):
        for start, end in ((2**70, None), (2**70, 2**71), (0, 2**70), (10**5000, None)):
            check(
                f"open {name}",
                lambda: b"".join(
                    world.service.artifacts.open(world.principal, name, start=start, end=end)  # noqa: B023
                ),
            )


def test_an_entry_of_nobody_has_days(world: World) -> None:
    artifact = world.sound["artifact"]
    assert isinstance(artifact, ArtifactEntry)
    assert world.service.artifacts.days_remaining(artifact) == 30
    assert Stored(artifact.name, artifact.size) in world.service._context.sink.stored()
