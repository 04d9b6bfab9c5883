"""The User preferences of the guide: the certificate that a user's exports are sealed for.

Place: one page of the service.
"""

from __future__ import annotations

from cdds.access import Action, Principal
from cdds.catalog import CertificateEntry
from cdds.crypto.certificates import load_recipients
from cdds.errors import CertificateError
from cdds.service.context import Context


class Preferences:
    """The certificate of the principal's own user.

    Every call raises `CatalogError` where the catalog fails.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def set_certificate(self, principal: Principal, certificate: bytes | str) -> CertificateEntry:
        """Check an uploaded certificate, and put it in place of the current one.

        Earlier exports stay sealed for the certificate of their time: runs and artifacts name it by
        its fingerprint.

        Args:
            principal: on whose behalf.
            certificate: what was uploaded: PEM or DER, alone or with its chain. It is never taken
                for a path.

        Raises:
            AccessDenied: the principal may not use the service.
            CertificateError: it is refused; the message says why, and the current one stays.
        """
        self._context.access.require(principal, Action.SET_CERTIFICATE)
        if isinstance(certificate, str):
            certificate = certificate.encode("utf-8", "replace")
        if not isinstance(certificate, bytes):
            raise CertificateError("a certificate is uploaded as PEM or DER")
        (recipient,) = load_recipients(certificate)
        now = self._context.now()
        recipient.check_validity(now)
        entry = CertificateEntry(
            tenant=principal.tenant,
            user=principal.user,
            certificate=recipient.pem,
            fingerprint=recipient.fingerprint,
            uploaded=now,
            expires=recipient.expires,
        )
        with self._context.catalog.write() as transaction:
            before = transaction.preferences.find(principal.tenant, principal.user)
            transaction.preferences.replace(entry)
            transaction.audit.append(
                principal.tenant,
                "certificate set",
                "certificate",
                entry.fingerprint,
                at=now,
                actor=principal.user,
                replaces=None if before is None else before.fingerprint,
            )
        return entry

    def certificate(self, principal: Principal) -> CertificateEntry | None:
        """Return the certificate of the principal's user, or None.

        Raises:
            AccessDenied: the principal may not use the service.
        """
        self._context.access.require(principal, Action.SET_CERTIFICATE)
        with self._context.catalog.read() as transaction:
            return transaction.preferences.find(principal.tenant, principal.user)

    def warning(self, principal: Principal) -> str | None:
        """Return a sentence for the user where their certificate expires soon, or has expired.

        Raises:
            AccessDenied: the principal may not use the service.
        """
        entry = self.certificate(principal)
        if entry is None:
            return "there is no certificate in your preferences, so nothing can be exported"
        (recipient,) = load_recipients(entry.certificate.encode())
        try:
            return recipient.check_validity(self._context.now())
        except CertificateError as error:
            return str(error)

    def remove_certificate(self, principal: Principal) -> None:
        """Remove the certificate; nothing is exported for the user until there is another.

        Raises:
            AccessDenied: the principal may not use the service.
        """
        self._context.access.require(principal, Action.SET_CERTIFICATE)
        with self._context.catalog.write() as transaction:
            entry = transaction.preferences.find(principal.tenant, principal.user)
            if entry is None:
                return
            transaction.preferences.delete(principal.tenant, principal.user)
            transaction.audit.append(
                principal.tenant,
                "certificate removed",
                "certificate",
                entry.fingerprint,
                at=self._context.now(),
                actor=principal.user,
            )
