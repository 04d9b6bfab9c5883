"""What a scheduler does for its host beside the runs of jobs.

Place: a value that joins the service's own work with how often it is done.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from cdds.schedule import Recurrence
from cdds.service import DownloadService


@attrs.frozen
class Chore:
    """A piece of the host's own work: how often, and what it is."""

    recurrence: Recurrence
    work: Callable[[], object]


def chores_of(
    service: DownloadService,
    *,
    sweep: Recurrence | None,
    reconcile: Recurrence | None,
    remind: Recurrence | None,
) -> dict[str, Chore]:
    """Return the chores of a service by their names, without those that have no recurrence."""
    works = (
        ("sweep", sweep, service.retention.sweep),
        ("reconcile", reconcile, service.reconcile),
        ("remind", remind, service.retention.remind),
    )
    return {
        name: Chore(recurrence, work) for name, recurrence, work in works if recurrence is not None
    }
