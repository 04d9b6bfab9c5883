"""One export in a process of its own, to which faults are done.

    one_export.py INPUT CERTIFICATE KEY FOLDER

It loads all that it needs, says so, waits for SIGUSR1, and exports. Its exit code is 0 when the
export went through, 3 when it failed with an error of the library, and 4 for any other error.
"""

from __future__ import annotations

import os
import signal
import sys

import cdds


def export(source: str, certificate: str, key: str, target: str) -> cdds.ExportResult:
    """Export into several segments, with a signature."""
    return cdds.export(
        cdds.sources.JsonLines(interaction=source),
        dataset="Interaction",
        to=target,
        recipients=certificate,
        split_size="64 KiB",
        signer=(key, certificate),
    )


def main(source: str, certificate: str, key: str, folder: str) -> int:
    """Wait for the signal, export, and return the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    export(source, certificate, key, "memory://warm")  # loads what is loaded late
    print("ready", flush=True)
    signal.sigwait([signal.SIGUSR1])
    try:
        export(source, certificate, key, folder)
    except cdds.CddsError:
        return 3
    except BaseException:  # noqa: BLE001  # whatever it is, it is not one of the library's
        return 4
    return 0


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))  # what Python does at its end is not part of an export
