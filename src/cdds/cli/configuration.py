"""The configuration of a service that the command line hosts: a file in TOML, as frozen values.

Place: below `hosting.py`, which makes a service of it. It is read as a whole and refused as a
whole, before anything is opened or made: unknown keys, wrong kinds, missing and empty values. It
holds no secret, only where secrets are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args
from urllib.parse import urlsplit

import attrs
import msgspec

from cdds.cli.spans import parse_span
from cdds.crypto.content import CipherName
from cdds.crypto.envelope import Format
from cdds.crypto.recipients import KeyTransport
from cdds.datasets import BUILTIN
from cdds.errors import JobError
from cdds.location import is_usable, local_path
from cdds.plugins import addressed
from cdds.secret import holds_password

T = TypeVar("T", bound=msgspec.Struct)

KINDS = ("json-lines", "json-array")
"""What the files of a source may be."""

TENANT = "{tenant}"
"""What stands for the tenant whose records are read."""

_SECRET = re.compile(
    r".*key|sas.*|.*(secret|token|passw|passphrase|credential|connection_?string).*", re.IGNORECASE
)
_DATA_FILES = tuple(file.name for dataset in BUILTIN for file in dataset.files)
_SHORTEST_LEASE = "10s"  # a third of it is how long a busy database is waited for
_LARGEST = 1024 * 1024
_ADVICE = "secrets come from a file or the environment"


class Span(timedelta):
    """A span of time that was written as ``30s``, ``5m``, ``12h`` or ``30d``."""


Hours = Annotated[int, msgspec.Meta(ge=1, le=24)]


class CatalogSection(msgspec.Struct, frozen=True, kw_only=True):
    """The database, and where its secrets are."""

    url: str
    password_file: str | None = None
    password_env: str | None = None
    audit_key_file: str | None = None
    audit_key_env: str | None = None


class SinkSection(msgspec.Struct, frozen=True, kw_only=True):
    """Where artifacts go."""

    url: str
    block_size: str | None = None
    options: dict[str, Any] = {}


class SourceSection(msgspec.Struct, frozen=True, kw_only=True):
    """A source: files of a kind, by the name of the data file, or what a plugin opens by a URL.

    ``{tenant}`` stands for the tenant in a location, the URL, and the texts of the options.
    """

    kind: str | None = None
    url: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    options: dict[str, Any] = {}
    tenants: tuple[str, ...] | None = None
    interaction: str | None = None
    document: str | None = None
    contact: str | None = None
    contactattribute: str | None = None

    @property
    def plugin(self) -> str | None:
        """The name of the plugin that opens it, where one does."""
        found = addressed(self.url) if self.url is not None else None
        return found[0] if found is not None else None

    @property
    def inputs(self) -> dict[str, str]:
        """The locations that are given, by the name of the data file."""
        given = {name: getattr(self, name) for name in _DATA_FILES}
        return {name: location for name, location in given.items() if location is not None}


class ChangesSection(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed in the records of a dataset, in the words of `cdds export`."""

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()


class RecordsSection(msgspec.Struct, frozen=True, kw_only=True):
    """How records are read, and what is changed in them, in all runs; and where the key is."""

    ignore_case: bool = False
    pseudonym_key_file: str | None = None
    pseudonym_key_env: str | None = None
    interaction: ChangesSection = ChangesSection()
    contact: ChangesSection = ChangesSection()

    @property
    def changes(self) -> dict[str, ChangesSection]:
        """The changes by the names of datasets, as jobs have them."""
        return {dataset.name: getattr(self, dataset.name.casefold()) for dataset in BUILTIN}


class SchedulerSection(msgspec.Struct, frozen=True, kw_only=True):
    """How a scheduler works."""

    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    stop_timeout: Span = Span(seconds=30)
    poll_interval: Span = Span(seconds=5)
    lease: Span = Span(minutes=1)
    retry_pause: Span = Span(minutes=1)


class RetentionSection(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept, and how often they are looked at."""

    artifacts: Span = Span(days=30)
    history: Span | None = None
    sweep_every_hours: Hours = 1
    reconcile_every_hours: Hours = 24
    remind_every_hours: Hours = 24


class SigningSection(msgspec.Struct, frozen=True, kw_only=True):
    """What signs the files of digests."""

    key_file: str
    certificate_file: str
    password_file: str | None = None


class SealingSection(msgspec.Struct, frozen=True, kw_only=True):
    """How artifacts are sealed, in the words of `cdds export`."""

    cipher: str = "aes-256-cbc"
    key_transport: str = "pkcs1v15"
    format: str = "smime"


@attrs.frozen(kw_only=True)
class Configuration:
    """All that a file says.

    Attributes:
        path: the file; relative paths in it are relative to its folder.
        catalog: the database.
        sink: where artifacts go.
        sources: where records come from, by the names that jobs choose.
        records: how they are read, and what is changed in them.
        scheduler: how a scheduler works.
        retention: how long things are kept.
        sealing: how artifacts are sealed.
        signing: what signs them, if anything does.
    """

    path: Path
    catalog: CatalogSection
    sink: SinkSection
    sources: Mapping[str, SourceSection]
    records: RecordsSection = attrs.field(factory=RecordsSection)
    scheduler: SchedulerSection = attrs.field(factory=SchedulerSection)
    retention: RetentionSection = attrs.field(factory=RetentionSection)
    sealing: SealingSection = attrs.field(factory=SealingSection)
    signing: SigningSection | None = None

    def path_of(self, written: str) -> Path:
        """Return the path that stands in the file for a local file or folder."""
        return self.path.absolute().parent / (local_path(written) or written)

    def location_of(self, written: str) -> str:
        """Return the location that stands in the file: a URL, or a path."""
        return str(self.path_of(written)) if is_path(written) else written


_SECTIONS: dict[str, Any] = {
    "catalog": CatalogSection,
    "sink": SinkSection,
    "records": RecordsSection,
    "scheduler": SchedulerSection,
    "retention": RetentionSection,
    "sealing": SealingSection,
    "signing": SigningSection,
}
_KNOWN = (*_SECTIONS, "sources")
_REQUIRED = ("catalog", "sink", "sources")


def read_configuration(path: Path) -> Configuration:
    """Return what a file says.

    Raises:
        JobError: it is no configuration; the message names the file, the key and what to do.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise JobError(f"{path} is too large for a configuration")
    try:
        return _configuration(path, _tables(content))
    except _Refused as refused:
        raise JobError(f"{path}: {refused}") from None


def is_path(written: str) -> bool:
    """Tell whether a location is a local path, and no URL of another file system."""
    return local_path(written) is not None


def _tables(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise _Refused("it is no TOML, for it is not UTF-8") from None
    except RecursionError:
        raise _Refused("it is no TOML that can be read, for it is too deep") from None
    except ValueError as error:  # a number of too many digits is not tomllib's own error
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long"
        raise _Refused(f"it is no TOML: {reason}") from None


class _Refused(Exception):
    """Something in the file makes no sense; the message names it without the file."""


def _configuration(path: Path, tables: dict[str, Any]) -> Configuration:
    _check_names("the file", "section", tables, _KNOWN, _REQUIRED)
    sections = {
        name: _section(f"[{name}]", tables[name], kind)
        for name, kind in _SECTIONS.items()
        if name in tables
    }
    configuration = Configuration(path=path, sources=_sources(tables["sources"]), **sections)
    _check_catalog(configuration.catalog)
    _check_sink(configuration.sink)
    _check_records(tables.get("records", {}), configuration.records)
    _check_sealing(configuration.sealing)
    _check_spans(configuration.scheduler, configuration.retention)
    return configuration


def _sources(tables: object) -> dict[str, SourceSection]:
    if not isinstance(tables, dict) or not tables:
        raise _Refused('[sources] is empty; write a table such as [sources."Contact History"]')
    sources = {}
    for name, table in tables.items():
        where = f'[sources."{name}"]'
        if not name.strip() or len(name) > 200 or not name.isprintable():
            raise _Refused(f"{where} is no name for a source")
        sources[name] = _section(where, table, SourceSection)
        _check_source(where, sources[name])
    return sources


def _section(where: str, table: object, kind: type[T]) -> T:
    if not isinstance(table, dict):
        raise _Refused(f"{where} is no table")
    fields = msgspec.structs.fields(kind)
    known = [field.name for field in fields]
    required = [field.name for field in fields if field.required]
    _check_names(where, "key", table, known, required)
    for key, value in table.items():
        _check_text(f"{where} {key}", value)
    try:
        return msgspec.convert(table, kind, dec_hook=_span)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise _Refused(f"{where} {place.rstrip('`')}: {reason}") from None


def _check_names(where: str, what: str, table: dict[str, Any], known: Any, required: Any) -> None:
    """Refuse a table with keys that are unknown, or without one that it needs."""
    for name in table:
        if name not in known:
            advice = f"; {_ADVICE}" if _SECRET.fullmatch(name) else ""
            raise _Refused(
                f"{where} has the unknown {what} {name}{advice}; known are {', '.join(known)}"
            )
    for name in required:
        if name not in table:
            raise _Refused(f"{where} has no {what} {name}, which is needed")


def _check_text(where: str, value: object) -> None:
    """Refuse texts, at any depth, that are empty or hold what no path or name has."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_text(f"{where}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(where, inner)
    elif isinstance(value, str):
        if not value.strip():
            raise _Refused(f"{where} is empty; give a value or leave the key out")
        if not is_usable(value) or not value.isprintable():
            raise _Refused(f"{where} is too long, or holds characters that cannot be printed")


def _span(kind: type, value: object) -> Any:
    if kind is not Span:
        raise NotImplementedError
    return Span(seconds=parse_span(value).total_seconds())


def _check_catalog(section: CatalogSection) -> None:
    if holds_password(section.url):
        raise _Refused(f"[catalog] url holds a password; {_ADVICE}: use password_file")
    _one_of_both("[catalog] password", section.password_file, section.password_env)
    _one_of_both("[catalog] audit_key", section.audit_key_file, section.audit_key_env)
    if section.audit_key_file is None and section.audit_key_env is None:
        raise _Refused("[catalog] has no audit key; give audit_key_file or audit_key_env")
    if section.url.startswith("sqlite:"):
        raise _Refused("[catalog] url: for SQLite write the path of the file alone")
    has_password = section.password_file is not None or section.password_env is not None
    if is_path(section.url) and has_password:
        raise _Refused("[catalog] a file of SQLite has no password")


def _check_spans(scheduler: SchedulerSection, retention: RetentionSection) -> None:
    for where, span, most in (
        ("[scheduler] stop_timeout", scheduler.stop_timeout, "1d"),
        ("[scheduler] poll_interval", scheduler.poll_interval, "5m"),
        ("[scheduler] lease", scheduler.lease, "1h"),
        ("[scheduler] retry_pause", scheduler.retry_pause, "1d"),
        ("[retention] artifacts", retention.artifacts, "30d"),
        ("[retention] history", retention.history, "36500d"),
    ):
        if span is not None and span > parse_span(most):
            raise _Refused(f"{where} is at most {most}")
    if scheduler.lease < parse_span(_SHORTEST_LEASE):
        raise _Refused(f"[scheduler] lease is at least {_SHORTEST_LEASE}")


def _one_of_both(where: str, file: str | None, environment: str | None) -> None:
    if file is not None and environment is not None:
        raise _Refused(
            f"{where}_file and {where.rpartition(' ')[2]}_env are both given; choose one"
        )


def _check_sink(section: SinkSection) -> None:
    _refuse_password("[sink] url", section.url)
    _refuse_secrets("[sink.options]", section.options)
    if is_path(section.url) and (section.options or section.block_size):
        raise _Refused("[sink] a folder takes no options and no block_size; only a URL does")


def _check_records(table: dict[str, Any], section: RecordsSection) -> None:
    for dataset in BUILTIN:
        name = dataset.name.casefold()
        _section(f"[records.{name}]", table.get(name, {}), ChangesSection)
    _one_of_both("[records] pseudonym_key", section.pseudonym_key_file, section.pseudonym_key_env)
    has_key = section.pseudonym_key_file is not None or section.pseudonym_key_env is not None
    if has_key != any(changes.pseudonymise for changes in section.changes.values()):
        raise _Refused(
            "[records] pseudonymise goes with a key, and a key with that; give the key as "
            "pseudonym_key_file or pseudonym_key_env"
        )


def _refuse_secrets(where: str, options: object) -> None:
    if isinstance(options, dict):
        for key, value in options.items():
            if _SECRET.fullmatch(key):
                raise _Refused(f"{where} {key} would be a secret; {_ADVICE} (such as AWS_PROFILE)")
            _refuse_secrets(where, value)
    elif isinstance(options, list):
        for value in options:
            _refuse_secrets(where, value)


def _refuse_password(where: str, location: str) -> None:
    if is_path(location):
        return
    try:
        inside = urlsplit(location).password is not None
    except ValueError:
        raise _Refused(f"{where} is no URL") from None
    if inside:
        raise _Refused(f"{where} holds a password; {_ADVICE}, as its kind of storage has it")


def _check_source(where: str, section: SourceSection) -> None:
    if section.tenants is not None and not section.tenants:
        raise _Refused(f"{where} tenants is empty, so it would be for nobody")
    if (section.kind is None) == (section.url is None):
        raise _Refused(f"{where} has no key kind or url, or has both; exactly one is needed")
    if section.url is None:
        _check_files(where, section)
    else:
        _check_plugged(where, section, section.url)


def _check_files(where: str, section: SourceSection) -> None:
    if section.kind not in KINDS:
        raise _Refused(f"{where} kind is one of {', '.join(KINDS)}")
    if section.options or section.password_file is not None or section.password_env is not None:
        raise _Refused(f"{where} is of files, which take no options and no password")
    if not section.inputs:
        raise _Refused(f"{where} names no file; give at least one of {', '.join(_DATA_FILES)}")
    for name, location in section.inputs.items():
        _refuse_password(f"{where} {name}", location)
        if TENANT not in location and not section.tenants:
            raise _for_every_tenant(f"{where} {name}")


def _check_plugged(where: str, section: SourceSection, url: str) -> None:
    if section.inputs:
        raise _Refused(f"{where} has a url, so it names no files: {', '.join(section.inputs)}")
    if section.plugin is None:
        raise _Refused(f"{where} url does not begin with the name of a plugin, as crm://host does")
    if holds_password(url):
        raise _Refused(f"{where} url holds a password; {_ADVICE}: use password_file")
    _refuse_secrets(f"{where} options", section.options)
    _one_of_both(f"{where} password", section.password_file, section.password_env)
    texts = [url, *(value for value in section.options.values() if isinstance(value, str))]
    if not section.tenants and not any(TENANT in text for text in texts):
        raise _for_every_tenant(f"{where} url")


def _for_every_tenant(where: str) -> _Refused:
    return _Refused(
        f"{where} is the same for every tenant; write {TENANT} in it, or name those whose records "
        'it holds: tenants = ["acme"]'
    )


def _check_sealing(section: SealingSection) -> None:
    for name, literal in (
        ("cipher", CipherName),
        ("key_transport", KeyTransport),
        ("format", Format),
    ):
        known = get_args(literal)
        if getattr(section, name) not in known:
            raise _Refused(f"[sealing] {name} is one of {', '.join(known)}")
