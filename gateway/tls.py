"""TLS of the gateway's own, for those who have no proxy for it."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.errors import CannotStart
from gateway.settings import Settings

NEEDS_BOTH = (
    "READCAST_GATEWAY_TLS_CERTIFICATE and READCAST_GATEWAY_TLS_KEY go together: "
    "set both to PEM files, or neither"
)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 and above with the certificate of the settings; None without one.

    `CannotStart` says which file is wrong.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CannotStart(NEEDS_BOTH)
    return _load(certificate, key)


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # The empty password keeps OpenSSL from asking for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise CannotStart(f"no TLS with {certificate} and {key}: {error}") from None
    return context
