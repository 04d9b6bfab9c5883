"""Runs the command line: ``python -m cdds``, and what the command ``cdds`` begins with.

Place: at the very top. An interruption at any time, also while the library is being loaded, ends
with 130 and no traceback.
"""

import signal
import sys


def run() -> int:
    """Run the words of the process, and return the exit code."""
    try:
        from cdds.cli import main

        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # names may hold what the terminal cannot show
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        return main()
    except KeyboardInterrupt:  # before the first command, or a second one while it stops
        return 130
    finally:  # there is nothing left to be interrupted
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(run())
