"""The host's own work that recurs: of all hosts on one catalog, one at a time does it.

Place: the host's own work over all tenants; a scheduler says what it is and how often. A lease of
the catalog holds a chore while it is done. Chores can bear to be done twice, so one whose host was
too slow to keep its lease harms nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection
from functools import partial

from cdds.schedule import Recurrence
from cdds.service.context import Context
from cdds.service.reasons import in_words
from cdds.service.repeating import repeating

_SIGNS = 4
"""How often in the time of a lease it is renewed."""

_log = logging.getLogger(__name__)


class Chores:
    """Does what recurs, when it is due and no other host is at it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def due(self, names: Collection[str]) -> list[str]:
        """Return those of some chores that are due and nobody is at; one that was never done is.

        Raises:
            CatalogError: the catalog failed.
        """
        if not names:
            return []
        with self._context.catalog.read() as transaction:
            return transaction.chores.due(names, transaction.now())

    def do(self, name: str, recurrence: Recurrence, work: Callable[[], object]) -> bool:
        """Do a chore on this thread if it is due; tell whether it was done.

        What it fails with is logged, and it is due again after the pause between retries.

        Raises:
            CatalogError: the catalog failed before or after the work.
        """
        holder = str(uuid.uuid4())
        with self._context.catalog.write() as transaction:
            now = transaction.now()
            if not transaction.chores.claim(name, holder, now, now + self._context.lease):
                return False
        seconds = self._context.lease.total_seconds() / _SIGNS
        with repeating(partial(self._renew, name, holder), seconds, f"cdds-{name}"):
            is_done = _is_done(name, work)
        with self._context.catalog.write() as transaction:
            now = transaction.now()
            following = recurrence.next_after(now)
            soon = now + self._context.retry_pause
            if following is None or not (is_done or following < soon):
                following = soon
            transaction.chores.finish(name, holder, following)
        return is_done

    def _renew(self, name: str, holder: str) -> None:
        try:
            with self._context.catalog.write() as transaction:
                transaction.chores.renew(name, holder, transaction.now() + self._context.lease)
        except Exception as error:  # noqa: BLE001  # a host's clock, too; the next one may succeed
            _log.warning("%s: its lease could not be renewed: %s", name, in_words(error))


def _is_done(name: str, work: Callable[[], object]) -> bool:
    try:
        work()
    except Exception as error:  # noqa: BLE001  # a host's storage has errors of its own
        _log.warning("%s failed, and is done again: %s", name, in_words(error))
        return False
    return True
