"""Tokens: who a client is."""

from __future__ import annotations

import time

import jwt

from streams.ids import SYSTEM, is_name

ALGORITHM = "HS256"
DEFAULT_LIFETIME = 86_400
"""Seconds."""


def make_token(
    secret: str, user: str, lifetime: int = DEFAULT_LIFETIME, role: str | None = None
) -> str:
    """A signed token for a user, good for `lifetime` seconds; `ValueError` if there can be none."""
    if not secret:
        raise ValueError("set READCAST_AUTH_SECRET to the secret that the gateways use")
    if not is_name(user) or user == SYSTEM:
        raise ValueError("a user is 1 to 64 letters, digits, '_', '.' or '-', and not 'system'")
    now = int(time.time())
    claims: dict[str, str | int] = {"sub": user, "iat": now, "exp": now + lifetime}
    if role is not None:
        claims["role"] = role
    return jwt.encode(claims, secret, algorithm=ALGORITHM)
