"""What opens an export, given as words: its files, the keys, their password and certificates.

Place: between the commands of a recipient and what opens or verifies an export.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cdds  # its names are loaded when they are used
from cdds.cli.words import Once
from cdds.secret import password_of_file

if TYPE_CHECKING:
    import argparse

    from cdds.recipient import Export


def add_opening_options(parser: argparse.ArgumentParser) -> Any:
    """Add the files, what opens and what proves them; return the group of the latter."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="any file of the export, a path or URL; the others are found beside it",
    )
    group = parser.add_argument_group("what opens it")
    group.add_argument(
        "--key",
        metavar="KEY",
        dest="keys",
        action="append",
        default=[],
        help="private key of a sealed export: PKCS#1, PKCS#8 or PKCS#12, in PEM or DER; may be "
        "repeated, as after a rotation",
    )
    group.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        action=Once,
        help="its first line is the password of the keys",
    )
    group.add_argument(
        "--cert",
        metavar="CERT",
        dest="certificates",
        action="append",
        default=[],
        help="the key's certificate: only the recipient that it names is tried; may be repeated",
    )
    proofs = parser.add_argument_group("what proves it")
    proofs.add_argument(
        "--signer",
        metavar="CERT",
        action=Once,
        help="certificate of who must have signed the digests of the files",
    )
    return proofs


def add_demand(proofs: Any) -> None:
    """Add what can be demanded of an export before anything of it is given out.

    Args:
        proofs: what `add_opening_options` returned.
    """
    proofs.add_argument(
        "--require-authenticated",
        action="store_true",
        help="refuse an export that is not sealed, or in AES-CBC, which may have been changed "
        "unnoticed, unless it is signed by the --signer",
    )


def opened_export(options: argparse.Namespace) -> Export:
    """Return the export that the words mean, open.

    Raises:
        CddsError: it cannot be opened, or a key or the password cannot be read.
        OSError: the file with the password cannot be read.
    """
    return cdds.open_export(
        options.files,
        **keys_of(options),
        signer=options.signer,
        require_authenticated=options.require_authenticated,
    )


def keys_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what opens messages, as arguments of whatever takes `keys`.

    Raises:
        JobError: the file with the password holds none.
        OSError: it cannot be read.
        SystemExit: there is a password or a certificate, and no key: wrong usage.
    """
    path = options.password_file
    if not options.keys and (path is not None or options.certificates):
        options.usage_error("--password-file and --cert go with --key")
    return {
        "keys": options.keys,
        "password": None if path is None else password_of_file(path),
        "certificates": options.certificates,
    }
