"""What the tests of the service share: a host with a service on each real database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hosts import RECORDS, Host, MakeHost, SetClock

import cdds
from cdds.catalog import Catalog
from cdds.service import events


@pytest.fixture
def make_host(
    catalog_url: str, tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> Iterator[MakeHost]:
    """Return a maker of hosts on one database; alice and bob have their certificates there."""
    with ExitStack() as stack:

        def make(*, certificates: bool = True, **options: Any) -> Host:
            clock = SetClock(datetime.now(UTC).replace(microsecond=0))
            catalog = stack.enter_context(Catalog(catalog_url, audit_key=b"k" * 32, clock=clock))
            told: list[events.Event] = []
            failing: list[Exception] = []

            def source(_: str) -> cdds.sources.Records:
                if failing:
                    raise failing[0]
                return cdds.sources.Records(interaction=RECORDS)

            arguments: dict[str, Any] = {
                "catalog": catalog,
                "sink": tmp_path / "storage",
                "sources": {"UCS": source},
                "clock": clock,
                "listeners": [told.append],
            }
            service = cdds.DownloadService(**arguments | options)
            host = Host(service, catalog, clock, tmp_path / "storage", told, failing)
            if certificates:
                for user in (host.alice, host.bob, host.admin):
                    service.preferences.set_certificate(
                        user, rsa_key_and_certificate[1].read_bytes()
                    )
            return host

        yield make


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """Return a host with the usual wiring."""
    return make_host()
