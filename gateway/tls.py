"""TLS of the gateway's own, for those who have no proxy for it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from gateway.errors import CannotStart
from gateway.files import FromFiles
from gateway.settings import Settings

NEEDS_BOTH = (
    "READCAST_GATEWAY_TLS_CERTIFICATE and READCAST_GATEWAY_TLS_KEY go together: "
    "set both to PEM files, or neither"
)


class Credentials(NamedTuple):
    """A certificate, and the context of handshakes in which it is shown."""

    certificate: x509.Certificate
    context: ssl.SSLContext


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 and above with the certificate of the settings; None without one.

    Each handshake shows the certificate that is in the files at the moment. `CannotStart` says which file
    is wrong.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CannotStart(NEEDS_BOTH)
    try:
        files = FromFiles(
            "certificate", (certificate, key), lambda: _load(certificate, key), _describe
        )
    except (OSError, ValueError) as error:
        raise CannotStart(f"no TLS with {certificate} and {key}: {error}") from None
    return _renewing(files)


def _renewing(files: FromFiles[Credentials]) -> ssl.SSLContext:
    listening = files.get().context

    # Called in each handshake, also when the client names no server.
    def show(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: object) -> None:
        connection.context = files.get().context

    listening.sni_callback = show
    return listening


def _load(certificate: Path, key: Path) -> Credentials:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The empty password keeps OpenSSL from asking for that of an encrypted key.
    context.load_cert_chain(certificate, key, password="")
    return Credentials(x509.load_pem_x509_certificate(certificate.read_bytes()), context)


def _describe(credentials: Credentials) -> Mapping[str, Any]:
    certificate = credentials.certificate
    return {
        "serial": f"{certificate.serial_number:x}",
        "expires": certificate.not_valid_after_utc.isoformat(),
    }
