"""The command line: making exports and opening them, a scheduler, the guide's pages in a terminal.

Place: at the very top, over the public API; also run as `python -m cdds`. It turns words into
arguments and results into lines, and has no logic of exporting. What a command needs is loaded once
its words make sense, and nothing else.

Its names, output and exit codes are a contract:

    stdout   what was asked for: names, a table, or one JSON object; nothing else
    stderr   warnings, progress bars, the log of a scheduler and errors, each error in one line
    0        done, also when nothing was selected, and when a scheduler was asked to end
    1        the work was refused or failed, and nothing is left of it; only where standard output
             cannot be written it is done all the same, as the message says;
             and what `cat` and `decrypt --raw -` have printed before remains printed
    2        wrong usage: an unknown or missing option, or a value that cannot be read as its kind
    3        from `cdds verify` alone: the export is not sound
    130      stopped by Ctrl-C (143 by SIGTERM, 129 by SIGHUP), and nothing is left of it

Whether a value makes sense (a split size within its limits, a certificate that suits) is judged by
the library below, so it ends with 1, not with 2. A signal that comes while artifacts are made
final may come too late: then the export is all there and ends with 0. No traceback ever reaches a
user, and no secret stands in any message.
"""

from cdds.cli.entry import main

__all__ = ["main"]
