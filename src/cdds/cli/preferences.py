"""`cdds preferences`: the User preferences of the guide in a terminal.

Place: the commands of one page, over `DownloadService.preferences`. They take certificates alone:
no private key is ever asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds.cli.pages import add_page_options, opened_page, show, show_done
from cdds.cli.telling import warn
from cdds.cli.words import add_command, add_page

if TYPE_CHECKING:
    import argparse

    from cdds.catalog import CertificateEntry

_LARGEST = 1024 * 1024


def add_to(commands: Any) -> None:
    """Add the commands of the page."""
    page = add_page(commands, "preferences", "the certificate that a user's exports are sealed for")
    add_page_options(add_command(page, "show", _show, "show the user's certificate"))
    chosen = add_command(page, "set", _set, "set the user's certificate in place of the current")
    chosen.add_argument("certificate", metavar="CERT", type=Path, help="in PEM or DER")
    add_page_options(chosen)
    add_page_options(add_command(page, "remove", _remove, "remove the user's certificate"))


def _show(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        certificate, warning = service.preferences.certificate(me), service.preferences.warning(me)
    _warn(options, warning)
    show(options, _sheet(certificate), _told(certificate, warning))


def _set(options: argparse.Namespace) -> None:
    with options.certificate.open("rb") as file:
        content = file.read(_LARGEST)
    with opened_page(options) as (service, me):
        certificate = service.preferences.set_certificate(me, content)
        warning = service.preferences.warning(me)
    _warn(options, warning)
    show_done(options, _sheet(certificate), _told(certificate, warning))


def _remove(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        service.preferences.remove_certificate(me)
    show_done(options, "", _told(None, None))


def _warn(options: argparse.Namespace, warning: str | None) -> None:
    if warning is not None and not options.json:
        warn(warning)


def _told(certificate: CertificateEntry | None, warning: str | None) -> dict[str, Any]:
    from cdds.cli import shapes

    return {"certificate": shapes.of_certificate(certificate), "warning": warning}


def _sheet(certificate: CertificateEntry | None) -> str:
    if certificate is None:
        return "there is no certificate"
    from cdds.cli.tables import sheet

    return sheet(
        {
            "SHA-256": certificate.fingerprint,
            "uploaded (UTC)": certificate.uploaded,
            "expires (UTC)": certificate.expires,
        }
    )
