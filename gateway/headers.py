"""What every answer tells browsers not to do."""

from __future__ import annotations

from aiohttp.web import BaseRequest, StreamResponse

# Nothing but our own files, and no way for text to become markup, script or style: not even
# through a mistake in the page, since trusted types leave it no way to parse markup.
# 'self' includes the socket: ws: and wss: of the same host and port (CSP level 3, section 6.7.2.8).
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "usb",
    "xr-spatial-tracking",
)
"""Powers of a browser that no page of ours asks for."""

SECURITY = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": ", ".join(f"{power}=()" for power in UNUSED),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "readcast",
}

HSTS = "max-age=31536000"
"""Browsers that came by TLS come by nothing else, for a year."""

SWITCHING_PROTOCOLS = 101


async def secure(request: BaseRequest, response: StreamResponse) -> None:
    """Add the headers to an answer, except to one that opens a socket."""
    if isinstance(response, BaseException):
        # Its traceback holds the request, which holds it: only a full collection would free them.
        response.__traceback__ = response.__context__ = None
    if response.status == SWITCHING_PROTOCOLS:
        return
    response.headers.update(SECURITY)
    if request.secure:
        response.headers["Strict-Transport-Security"] = HSTS
