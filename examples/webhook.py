"""A listener that posts what happens to a service to a URL of the customer's.

Listeners are called on the thread that does the work, so the posting is done by a thread of its
own, behind a queue of bounded length: a slow receiver slows no export, and what does not fit into
the queue is dropped and counted. Nothing of a record is sent, only identifiers and numbers.

    webhook = Webhook("https://customer.example/hook")
    service = cdds.DownloadService(..., listeners=[webhook])
    ...
    webhook.close()
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import urllib.request
from typing import Any

from cdds.service import events

_log = logging.getLogger(__name__)


def body_of(event: events.Event) -> dict[str, Any]:
    """Return what is told of an event."""
    body: dict[str, Any] = {"event": type(event).__name__, "at": event.at.isoformat()}
    match event:
        case events.RunProgressed(run=run, progress=progress):
            body |= {"run": run.id, "job": run.job_id, "records": progress.records}
        case (
            events.RunStarted(run=run)
            | events.RunFinished(run=run)
            | events.RunFailed(run=run)
            | events.RunCancelled(run=run)
            | events.RunMissed(run=run)
        ):
            body |= {"run": run.id, "job": run.job_id, "status": run.status, "error": run.error}
        case events.CertificateExpiring(certificate=certificate):
            body |= {
                "fingerprint": certificate.fingerprint,
                "expires": certificate.expires.isoformat(),
            }
        case _:
            artifact = event.artifact
            body |= {"artifact": artifact.name, "run": artifact.run_id, "size": artifact.size}
    return body


class Webhook:
    """Posts events as JSON.

    Args:
        url: where to.
        timeout: the most seconds for one post.
        length: how many events may wait.

    Attributes:
        dropped: how many did not fit.
    """

    def __init__(self, url: str, *, timeout: float = 10, length: int = 1000) -> None:
        self.dropped = 0
        self._url = url
        self._timeout = timeout
        self._waiting: queue.Queue[events.Event | None] = queue.Queue(length)
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def __call__(self, event: events.Event) -> None:
        """Take an event, without waiting for anything."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Post what still waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._post(event)
            except OSError as error:
                _log.warning("a webhook could not be posted: %s", type(error).__name__)

    def _post(self, event: events.Event) -> None:
        request = urllib.request.Request(  # noqa: S310  # the URL is the host's own
            self._url,
            data=json.dumps(body_of(event)).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
            answer.read()
