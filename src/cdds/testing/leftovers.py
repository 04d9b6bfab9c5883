"""What some work has left behind: open files and connections, threads, temporary files.

Place: below the contracts. Where the system does not tell which files are open, the others are
still looked for.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_OPEN_FILES = Path("/proc/self/fd")
_PATIENCE = 5
"""How many seconds a thread that was told to end may take."""


@contextmanager
def nothing_left(folder: Path, *, connections: bool = True) -> Iterator[None]:
    """Fail when what is done within the context leaves something behind.

    It should have been done once before, so that what is opened once for good is open.

    Args:
        folder: an empty folder, where temporary files are made meanwhile.
        connections: whether a connection that stays open counts, or may be one of a pool.
    """
    gc.collect()
    files, threads = _open_files(), set(threading.enumerate())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(folder))
        for name in ("TMPDIR", "TEMP", "TMP"):
            patched.setenv(name, str(folder))
        yield
    gc.collect()
    for thread in set(threading.enumerate()) - threads:
        thread.join(_PATIENCE)
        if thread.is_alive():
            pytest.fail(f"the thread {thread.name} still runs")
    left = [
        target
        for number, target in _open_files().items()
        if files.get(number) != target and (connections or target.startswith("/"))
    ]
    if left:
        pytest.fail(f"still open: {', '.join(left)}")
    if temporary := [path.name for path in folder.iterdir()]:
        pytest.fail(f"temporary files are left: {', '.join(temporary)}")


def _open_files() -> dict[str, str]:
    """Return what the descriptors of this process stand for; nothing where that is not told."""
    found = {}
    for name in os.listdir(_OPEN_FILES) if _OPEN_FILES.exists() else ():  # noqa: PTH208
        try:
            found[name] = os.readlink(_OPEN_FILES / name)  # noqa: PTH115  # text, as it stands
        except FileNotFoundError:  # the one that listed them
            continue
    return found


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python had allocated at once while it worked."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
