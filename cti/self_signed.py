"""Certificates made here: made, read, and judged. The one place that has the library for it, which takes its time to load."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GOOD_FOR = timedelta(days=397)
"""No browser takes one that is for longer."""
RENEW_BEFORE = timedelta(days=30)
_LONGEST_NAME = 64


def pair(certificate: Path, key_file: Path) -> x509.Certificate | None:
    """The certificate, when it can be read and is of its key, which nobody else may read."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        private = not key_file.stat().st_mode & 0o077
    except (OSError, ValueError, TypeError):
        return None
    return found if private and key.public_key() == found.public_key() else None


def good(found: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Whether it is for all these names, and for a while yet."""
    try:
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    known = {str(name) for name in (*told.get_values_for_type(x509.DNSName), *told.get_values_for_type(x509.IPAddress))}
    return set(names) <= known and found.not_valid_after_utc - now > RENEW_BEFORE and found.not_valid_before_utc <= now


def make(names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """A self-signed certificate for these names and addresses, and its key; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_LONGEST_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + GOOD_FOR)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
