"""A progress bar for terminals and notebooks.

Place: beside the command line, above the exporter; a listener like any other. tqdm draws it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cdds.model import Progress
from cdds.protocols import ProgressListener


@contextmanager
def progress_bar() -> Iterator[ProgressListener]:
    """Show a bar with rate and time remaining on standard error, or as a widget in a notebook."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about widgets that are not installed
        from tqdm.auto import tqdm

    with tqdm(unit="B", unit_scale=True, desc="export", leave=False) as bar:

        def listen(progress: Progress) -> None:
            bar.total = progress.bytes_total
            bar.set_postfix_str(f"{progress.records:,} records", refresh=False)
            bar.update(progress.bytes_read - bar.n)

        yield listen
