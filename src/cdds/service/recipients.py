"""For whom an export is sealed: the owner of the job, and whoever its settings name beside.

Place: between the preferences, which hold certificates as text, and the envelope.
"""

from __future__ import annotations

from datetime import datetime

from cdds.catalog import CertificateEntry, JobSettings
from cdds.crypto.certificates import Recipient, load_recipients
from cdds.errors import NoCertificate


def recipients_of(
    certificate: CertificateEntry | None, settings: JobSettings, now: datetime
) -> tuple[Recipient, ...]:
    """Return the recipients of a job's exports, the owner first, all valid at `now`.

    Raises:
        NoCertificate: there is no certificate in the owner's preferences.
        CertificateError: one of them cannot be used, or is not valid at `now`.
    """
    if certificate is None:
        raise NoCertificate(
            "there is no certificate in the preferences of the job's owner; upload one first"
        )
    recipients = load_recipients(
        [text.encode() for text in (certificate.certificate, *settings.recipients)]
    )
    for recipient in recipients:
        recipient.check_validity(now)
    return recipients
