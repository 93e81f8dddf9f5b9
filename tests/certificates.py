"""Certificates for TLS that trust nobody but themselves, as PEM files."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.keys import rsa_key


def self_made(folder: Path, name: str = "tls") -> tuple[Path, Path]:
    """Files of a certificate for 127.0.0.1 and of its key, the RSA key of that name.

    Files that are there are each replaced at once.
    """
    key, title = rsa_key(name), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(title, title, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (
        _replace(folder / "certificate.pem", certificate.public_bytes(Encoding.PEM)),
        _replace(folder / "key.pem", pem),
    )


def serial_of(pem: str | bytes) -> int:
    """The serial number of the certificate in a PEM text."""
    data = pem.encode() if isinstance(pem, str) else pem
    return x509.load_pem_x509_certificate(data).serial_number


def _replace(path: Path, content: bytes) -> Path:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    return part.replace(path)
