"""The User preferences: the certificate, checked on upload, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hosts import Host

import cdds
from cdds.errors import AccessDenied, CertificateError, NoCertificate

Issue = Callable[..., x509.Certificate]


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def test_pem_der_and_text_are_taken(host: Host, issue: Issue) -> None:
    certificate = issue("Alice")
    der = certificate.public_bytes(serialization.Encoding.DER)
    for uploaded in (pem(certificate), der, pem(certificate).decode()):
        entry = host.service.preferences.set_certificate(host.alice, uploaded)
        assert host.service.preferences.certificate(host.alice) == entry
        assert entry.certificate.encode() == pem(certificate)
        assert entry.expires == certificate.not_valid_after_utc
        assert entry.uploaded == host.clock.moment


def test_uploading_replaces_the_current_one_and_runs_name_theirs(host: Host, issue: Issue) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    before = host.service.jobs.run_now(host.alice, job.id)
    entry = host.service.preferences.set_certificate(host.alice, pem(issue("Alice again")))
    after = host.service.jobs.run_now(host.alice, job.id)
    assert before.fingerprints != after.fingerprints == (entry.fingerprint,)
    by_run = {item.run_id: item for item in host.service.artifacts.list(host.alice).items}
    assert by_run[before.id].fingerprints == before.fingerprints
    assert by_run[after.id].fingerprints == after.fingerprints


@pytest.mark.parametrize(
    "uploaded", [b"", b"nonsense", "nonsense", "/etc/passwd", "\ud800", b"\0" * 9]
)
def test_what_is_no_certificate_is_refused_and_the_current_one_stays(
    host: Host, uploaded: Any
) -> None:
    current = host.service.preferences.certificate(host.alice)
    with pytest.raises(CertificateError):
        host.service.preferences.set_certificate(host.alice, uploaded)
    assert host.service.preferences.certificate(host.alice) == current


def test_a_refusal_says_why(host: Host, issue: Issue) -> None:
    now = host.clock.moment
    small = rsa.generate_private_key(65537, 1024)  # it is refused
    elliptic = ec.generate_private_key(ec.SECP256R1())
    for certificate, reason in (
        (issue("x", start=now - timedelta(9), end=now - timedelta(1)), "expired at"),
        (issue("x", start=now + timedelta(1)), "is not valid before"),
        (issue("x", key=small), "1024 bits; at least 2048"),
        (issue("x", key=elliptic), "no RSA key"),
    ):
        with pytest.raises(CertificateError, match=reason):
            host.service.preferences.set_certificate(host.alice, pem(certificate))


def test_a_warning_comes_before_it_expires(host: Host, issue: Issue) -> None:
    now = host.clock.moment
    end = now + timedelta(days=100)
    host.service.preferences.set_certificate(host.alice, pem(issue("Alice", end=end)))
    assert host.service.preferences.warning(host.alice) is None
    host.clock.advance(days=80)
    warning = host.service.preferences.warning(host.alice)
    assert warning is not None
    assert "expires at" in warning
    host.clock.advance(days=30)
    expired = host.service.preferences.warning(host.alice)
    assert expired is not None
    assert "expired at" in expired


def test_without_a_certificate_nothing_is_exported(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    host.service.preferences.remove_certificate(host.alice)
    host.service.preferences.remove_certificate(host.alice)
    assert host.service.preferences.certificate(host.alice) is None
    with pytest.raises(NoCertificate):
        host.service.jobs.run_now(host.alice, job.id)
    assert host.service.history.list(host.alice).items == ()
    warning = host.service.preferences.warning(host.alice)
    assert warning is not None
    assert "no certificate" in warning


def test_certificates_are_their_users_own(host: Host) -> None:
    assert host.service.preferences.certificate(host.mallory) is None
    stranger = cdds.Principal("alice", "other")
    assert host.service.preferences.certificate(stranger) is None
    with pytest.raises(AccessDenied):
        host.service.preferences.certificate(cdds.Principal("alice", "acme", []))
