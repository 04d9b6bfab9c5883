"""A service for the command line: from a configuration to an open `DownloadService`.

Place: between the configuration and the commands. All that can be refused is refused before the
catalog is opened, so nothing is made by a configuration that makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec

from cdds import plugins
from cdds.catalog import Catalog
from cdds.cli.configuration import (
    TENANT,
    CatalogSection,
    Configuration,
    SourceSection,
    read_configuration,
)
from cdds.cli.transforms import made_of
from cdds.crypto import Envelope, Signer
from cdds.datasets import BUILTIN
from cdds.errors import JobError
from cdds.model import Job, Transform
from cdds.protocols import Sink, Source
from cdds.secret import password_of_file, secret_of_environment, secret_of_file
from cdds.service import DownloadService
from cdds.service.events import Listener
from cdds.sinks import open_sink
from cdds.sources import JsonArray, JsonLines, open_source

OpenSource: TypeAlias = Callable[[str], Source]
"""Opens the source of a tenant."""

_UNSAFE = frozenset("/\\:?#%*[]{}\0")
_UNSAFE_IN_URL = _UNSAFE | frozenset("@&=;+, '\"<>|^`")  # it may also stand in a host or a query
_PATIENCE = timedelta(seconds=30)
"""How long a catalog that others hold locked is waited for, where leases are long."""

_SOURCES: dict[str, Callable[..., Source]] = {"json-lines": JsonLines, "json-array": JsonArray}


@contextmanager
def hosted(
    configuration: Configuration, listeners: Iterable[Listener] = ()
) -> Iterator[DownloadService]:
    """Open the service of a configuration, and close its catalog at the end.

    Raises:
        CddsError: it cannot be opened.
        OSError: a secret cannot be read.
    """
    retention = configuration.retention
    parts: dict[str, Any] = {
        "sink": _sink(configuration),
        "sources": {
            name: _source(configuration, name, section)
            for name, section in configuration.sources.items()
        },
        "transforms": _transforms(configuration),
        "match_case": not configuration.records.ignore_case,
        "seal": _seal(configuration),
        "signer": _signer(configuration),
        "lifetime": retention.artifacts,
        "history_lifetime": retention.history,
        "lease": configuration.scheduler.lease,
        "retry_pause": configuration.scheduler.retry_pause,
        "listeners": listeners,
    }
    with _catalog(configuration) as catalog:
        yield DownloadService(catalog=catalog, **parts)


@contextmanager
def hosted_by_file(
    path: Path, listeners: Iterable[Listener] = ()
) -> Iterator[tuple[DownloadService, Configuration]]:
    """Open the service of a configuration file."""
    configuration = read_configuration(path)
    with hosted(configuration, listeners) as service:
        yield service, configuration


def _catalog(configuration: Configuration) -> Catalog:
    section = configuration.catalog
    # A sign of life that waits for a busy database must come, or be tried again, within the lease.
    patience = min(_PATIENCE, configuration.scheduler.lease / 3)
    return Catalog(
        configuration.location_of(section.url),
        audit_key=_audit_key(configuration),
        password=_password(configuration, section),
        timeout=patience.total_seconds(),
    )


def _audit_key(configuration: Configuration) -> bytes:
    section = configuration.catalog
    return _key(configuration, section.audit_key_file, section.audit_key_env)


def _key(configuration: Configuration, file: str | None, environment: str | None) -> bytes:
    """Return the bytes of the key's file as they stand, or of the variable's text in UTF-8."""
    if file is not None:
        return secret_of_file(configuration.path_of(file))
    return secret_of_environment(environment or "").encode("utf-8", "surrogateescape")


def _password(configuration: Configuration, section: CatalogSection | SourceSection) -> str | None:
    if section.password_env is not None:
        return secret_of_environment(section.password_env)
    password = _password_of(configuration, section.password_file)
    return None if password is None else password.decode("utf-8", "surrogateescape")


def _password_of(configuration: Configuration, file: str | None) -> bytes | None:
    return None if file is None else password_of_file(configuration.path_of(file))


def _signer(configuration: Configuration) -> Signer | None:
    section = configuration.signing
    if section is None:
        return None
    return Signer.load(
        secret_of_file(configuration.path_of(section.key_file)),
        configuration.path_of(section.certificate_file),
        _password_of(configuration, section.password_file),
    )


def _seal(configuration: Configuration) -> Callable[..., Envelope]:
    section = configuration.sealing
    return partial(
        cast("Callable[..., Envelope]", Envelope),
        cipher=section.cipher,
        key_transport=section.key_transport,
        format=section.format,
    )


def _transforms(configuration: Configuration) -> Mapping[str, Mapping[str, Iterable[Transform]]]:
    """Return what is changed in the records of each dataset.

    Raises:
        JobError: a field or the key cannot be used.
        OSError: the key cannot be read.
    """
    section = configuration.records
    made: dict[str, Mapping[str, Iterable[Transform]]] = {}
    for dataset in BUILTIN:
        changes = section.changes[dataset.name]
        key = b""
        if changes.pseudonymise:
            key = _key(configuration, section.pseudonym_key_file, section.pseudonym_key_env)
        try:
            wanted = made_of(dataset, **msgspec.structs.asdict(changes), key=key)
            made[dataset.name] = Job(dataset=dataset, transforms=wanted).transforms
        except JobError as error:
            where = f"{configuration.path}: [records.{dataset.name.casefold()}]"
            raise JobError(f"{where} {error}") from None
    return made


def _sink(configuration: Configuration) -> Sink:
    section = configuration.sink
    options = dict(section.options)
    if section.block_size is not None:
        options["block_size"] = section.block_size
    return open_sink(configuration.location_of(section.url), **options)


def _source(configuration: Configuration, name: str, section: SourceSection) -> OpenSource:
    """Return what opens the source of a tenant's records alone; it knows the password.

    Raises:
        CddsError: there is no such plugin, or no password where one should be.
        OSError: a secret cannot be read.
    """
    if section.plugin is None:
        return partial(_of_files, configuration, name, section)
    plugins.get("source", section.plugin)  # it is loaded when a run needs it
    secret = {"password": password} if (password := _password(configuration, section)) else {}
    return partial(_of_plugin, name, section, secret)


def _of_files(
    configuration: Configuration, name: str, section: SourceSection, tenant: str
) -> Source:
    _check_tenant(name, section, tenant)
    inputs = {
        data_file: configuration.location_of(_filled_in(location, tenant))
        for data_file, location in section.inputs.items()
    }
    return _SOURCES[cast("str", section.kind)](**inputs)


def _of_plugin(name: str, section: SourceSection, secret: Mapping[str, str], tenant: str) -> Source:
    _check_tenant(name, section, tenant)
    options = {
        key: _filled_in(value, tenant, _UNSAFE_IN_URL) if isinstance(value, str) else value
        for key, value in section.options.items()
    }
    url = _filled_in(cast("str", section.url), tenant, _UNSAFE_IN_URL)
    return open_source(url, **options, **secret)


def _check_tenant(name: str, section: SourceSection, tenant: str) -> None:
    """Refuse a tenant whom the source is not for.

    Raises:
        JobError: it is for others alone.
    """
    if section.tenants is not None and tenant not in section.tenants:
        raise JobError(f"the source {name} has no records of this tenant")


def _filled_in(location: str, tenant: str, unsafe: frozenset[str] = _UNSAFE) -> str:
    """Put a tenant into a location, where it must stay one part of the path.

    Raises:
        JobError: its name could lead elsewhere.
    """
    if TENANT not in location:
        return location
    if tenant.startswith(".") or unsafe & set(tenant):
        raise JobError("the name of this tenant cannot stand in a path, so it has no records here")
    return location.replace(TENANT, tenant)
