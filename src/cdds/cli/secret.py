"""Reads secrets, which come from files or the environment, and never from arguments.

Place: below what opens a service. No message of it holds a secret.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cdds.cli.telling import warn
from cdds.errors import JobError

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
            warn(f"{path} holds a secret, and everybody can read it; chmod o= would change that")
        secret = file.read(_LARGEST + 1)
    if not 0 < len(secret) <= _LARGEST:
        raise JobError(f"{path} should hold a secret, and is empty or larger than any secret")
    return secret


def secret_of_environment(name: str) -> str:
    """Return the value of an environment variable.

    Raises:
        JobError: it is not set, or empty.
    """
    secret = os.environ.get(name, "")
    if not secret:
        raise JobError(f"the environment variable {name} should hold a secret, and is not set")
    return secret


def first_line(secret: bytes, where: object) -> bytes:
    """Return the first line of a file that holds a password, without its end.

    Raises:
        JobError: it is empty.
    """
    line = secret.splitlines()[0]
    if not line:
        raise JobError(f"the first line of {where} should be a password, and is empty")
    return line
