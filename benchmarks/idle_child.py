"""A process that has nothing to do until it is killed: it says when it is ready.

idle_child.py sleep
idle_child.py cdds URL       a scheduler on a catalog in which nothing is due
idle_child.py peer COUNT     APScheduler with so many jobs in memory, none of them due
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from typing import Any


def main(kind: str, argument: str = "") -> None:
    """Be idle."""
    if kind == "cdds":
        _schedule(argument)
    elif kind == "peer":
        import peer_apscheduler

        peer_apscheduler.idle(int(argument))
    threading.Thread(target=sys.stdin.read, daemon=True).start()
    print("ready", flush=True)
    time.sleep(24 * 60 * 60)


def _schedule(url: str) -> None:
    import cdds
    from cdds.scheduler import Scheduler

    service = cdds.DownloadService(
        catalog=cdds.Catalog(url, audit_key=b"k" * 32),
        sink=tempfile.mkdtemp(),
        sources={"Contact History": _nothing},
    )
    Scheduler(service).start()


def _nothing(tenant: str) -> Any:
    raise AssertionError(tenant)


if __name__ == "__main__":
    main(*sys.argv[1:])
