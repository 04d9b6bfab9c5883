"""The command ``python -m cdds.sample``: a UCS database to try things on.

Place: over `load`, and nothing above it. What was loaded goes to standard output; an error is one
line on standard error. It takes no password but from a file.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cdds.errors import CddsError, JobError
from cdds.location import printable
from cdds.sample._databases import parsed
from cdds.sample._load import load
from cdds.sample._mix import Mix
from cdds.sample._spelling import SPELLINGS
from cdds.secret import password_of_file

_MIXES = {
    "default": Mix.DEFAULT,
    "email": Mix.EMAIL_HEAVY,
    "chat": Mix.CHAT_HEAVY,
    "voice": Mix.VOICE,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Load a sample as the words say, and return the exit code.

    Raises:
        SystemExit: after ``--help``, and with 2 for wrong usage.
    """
    options = _parser().parse_args(argv)
    try:
        _run(options)
    except KeyboardInterrupt:
        _tell("stopped")
        return 128 + signal.SIGINT
    except CddsError as error:
        _tell(f"error: {error}")
        return 1
    except OSError as error:
        _tell(f"error: {error.filename or 'standard output'}: {error.strerror}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cdds.sample",
        description="Make the tables of a UCS database in an empty database, and fill them.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--url", required=True, help="sqlite:///FILE or postgresql://USER@HOST/NAME")
    add("--interactions", type=int, default=1000, metavar="N", help="how many (1000)")
    add("--contacts", type=int, metavar="N", help="how many (1000)")
    add("--seed", type=int, default=0, metavar="N", help="fixes every value (0)")
    add("--mix", choices=_MIXES, default="default", help="which kinds of interaction prevail")
    add("--names", choices=SPELLINGS, default="upper", help="spelling of tables and columns")
    add("--password-file", type=Path, metavar="F", help="holds the password, in its first line")
    add(
        "--recycle-after",
        type=int,
        metavar="N",
        help="for speed: after so many interactions, use the bodies of the first again",
    )
    return parser


def _run(options: argparse.Namespace) -> None:
    _check_url(options.url)
    with _progress(options.interactions) as on_progress:
        loaded = load(
            options.url,
            options.interactions,
            options.contacts,
            seed=options.seed,
            mix=_MIXES[options.mix],
            names=options.names,
            password=options.password_file and _password(options.password_file),
            recycle_after=options.recycle_after,
            on_progress=on_progress,
        )
    lines = (f"{table:<16} {count:>12,}" for table, count in loaded.rows.items())
    print(*lines, sep="\n", flush=True)


def _check_url(url: str) -> None:
    """Refuse a password where every user of the machine could see it, and a file that is none."""
    known = parsed(url)
    if known.get_backend_name() == "sqlite" and known.query:
        raise JobError("options could keep the sample in memory; give a file alone: sqlite:///FILE")
    if known.password or any("password" in option for option in known.query):
        raise JobError("the URL holds a password, which others could see: use --password-file")


def _password(path: Path) -> str:
    password = password_of_file(path)
    with suppress(UnicodeDecodeError):  # which would hold the password
        return password.decode()
    raise JobError(f"the first line of {path} should be a password, and is no text")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object] | None]:
    """Draw a bar where somebody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" interactions", unit_scale=True, leave=False) as bar:
        yield bar.update


def _tell(text: str) -> None:
    """Print to standard error, in one line that no terminal takes for orders."""
    print(f"cdds.sample: {printable(' '.join(text.split()))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
