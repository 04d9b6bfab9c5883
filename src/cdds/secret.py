"""Reads secrets, which come from files or the environment, and never from arguments.

Place: near the ground, for all commands. No message of it holds a secret.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

from cdds.errors import JobError
from cdds.location import printable

_log = logging.getLogger(__name__)
_LARGEST = 64 * 1024

# The first as SQLAlchemy reads URLs: all up to an @ is the password, whatever it holds.
_PASSWORD = re.compile(r"[^:/]+://[^:/]*:[^@]*@|.*[?&][^=&]*password=", re.IGNORECASE | re.DOTALL)


def holds_password(url: str) -> bool:
    """Tell whether the URL of a database, or of what is like one, holds a password."""
    return _PASSWORD.match(url) is not None


def secret_of_file(path: Path) -> bytes:
    """Return all bytes of a file, and warn where everybody can read them.

    Raises:
        JobError: it holds nothing, or more than any secret.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IROTH | stat.S_IWOTH):
            _log.warning(
                "%s holds a secret, and everybody can read it; chmod o= would change that",
                printable(str(path)),  # it may reach a terminal with nobody in between
            )
        secret = file.read(_LARGEST + 1)
    if not 0 < len(secret) <= _LARGEST:
        raise JobError(f"{path} should hold a secret, and is empty or larger than any secret")
    return secret


def password_of_file(path: Path) -> bytes:
    """Return the first line of a file, without its end, and warn where everybody can read it.

    Raises:
        JobError: it is empty, or the file is larger than any secret.
        OSError: it cannot be read.
    """
    password = secret_of_file(path).splitlines()[0]
    if not password:
        raise JobError(f"the first line of {path} should be a password, and is empty")
    return password


def secret_of_environment(name: str) -> str:
    """Return the value of an environment variable.

    Raises:
        JobError: it is not set, or empty.
    """
    secret = os.environ.get(name, "")
    if not secret:
        raise JobError(f"the environment variable {name} should hold a secret, and is not set")
    return secret
