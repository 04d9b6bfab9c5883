"""What all pages of a service share.

Place: the ground of the service; made once, by `DownloadService`.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

import attrs

from cdds.access import Access, Action, Principal
from cdds.catalog import Catalog
from cdds.crypto import Envelope, Signer
from cdds.crypto.certificates import Recipient
from cdds.errors import NotFound
from cdds.model import Dataset, Transform
from cdds.protocols import Clock, Sink, Source, Storage
from cdds.service.events import Event, Listener

SourceOfTenant: TypeAlias = Callable[[str], Source]
"""Given a tenant, returns the source of that tenant's records alone."""
Seal: TypeAlias = Callable[[Sequence[Recipient]], Envelope]
"""Returns the envelope for some recipients; `Envelope` is one."""

_ARTIFACT_NAME = re.compile(r"export-[0-9a-f-]{36}\.[A-Za-z0-9.]{1,40}")

_log = logging.getLogger(__name__)


class StoringSink(Sink, Storage, Protocol):
    """A sink that can also give back, list and remove what it holds."""


@attrs.frozen(kw_only=True)
class Context:
    """What a host has wired together: the arguments of `DownloadService`, checked."""

    catalog: Catalog
    sink: StoringSink
    sources: Mapping[str, SourceOfTenant]
    datasets: Mapping[str, Dataset]
    transforms: Mapping[str, Mapping[str, Sequence[Transform]]]
    match_case: bool
    access: Access
    clock: Clock
    seal: Seal
    signer: Signer | None
    lifetime: timedelta
    history_lifetime: timedelta | None
    lease: timedelta
    notice: timedelta
    retry_pause: timedelta
    listeners: tuple[Listener, ...]
    threads: int | None

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return self.clock.now()

    def tell(self, *events: Event) -> None:
        """Tell the listeners; what they raise harms nothing."""
        for event in events:
            for listener in self.listeners:
                try:
                    listener(event)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:  # noqa: BLE001  # it is the host's
                    name = type(event).__name__
                    _log.warning("a listener of %s failed with %s", name, type(error).__name__)

    def visible_owners(self, principal: Principal) -> frozenset[str] | None:
        """Return whose things a principal sees; None for all of its tenant.

        Raises:
            AccessDenied: it sees nothing.
        """
        return self.access.owners(principal, Action.SEE)


def identifier(value: object, what: str) -> str:
    """Return the id of a job or a run in its one spelling.

    Raises:
        NotFound: it is no id, so there is no such thing.
    """
    try:
        return str(uuid.UUID(value))  # type: ignore[arg-type]  # whatever it raises is told below
    except (ValueError, TypeError, AttributeError):
        raise NotFound(f"there is no such {what}; an id is a UUID") from None


def artifact_name(value: object) -> str:
    """Return the name of an artifact.

    Raises:
        NotFound: no artifact is called that.
    """
    if not isinstance(value, str) or not _ARTIFACT_NAME.fullmatch(value):
        raise NotFound("there is no such artifact")
    return value
