"""Tokens: who a client is."""

from __future__ import annotations

import time

import jwt

from streams.ids import SYSTEM, is_name
from streams.jwks import Key, read_keys, secret_key
from streams.settings import Settings

DEFAULT_LIFETIME = 86_400
"""Seconds."""


def signing_key(settings: Settings, kid: str | None = None) -> Key:
    """The secret, or the key of that name; `ValueError` or `OSError` if it can't be had."""
    if kid is None:
        secret = settings.auth_secret.get_secret_value()
        if not secret and settings.auth_keys is not None:
            raise ValueError(f"say with --kid which key of {settings.auth_keys} is to sign")
        if not secret:
            raise ValueError("set READCAST_AUTH_SECRET to the secret that the gateways use")
        return secret_key(secret)
    if settings.auth_keys is None:
        raise ValueError("set READCAST_AUTH_KEYS to a file that has the key")
    key = read_keys(settings.auth_keys).get(kid)
    if key is None:
        raise ValueError(f"{settings.auth_keys} has no key {kid!r}")
    return key


def make_token(
    key: Key, user: str, lifetime: int = DEFAULT_LIFETIME, role: str | None = None
) -> str:
    """A signed token for a user, good for `lifetime` seconds; `ValueError` if there can be none."""
    if key.signing is None:
        raise ValueError(f"only the public half of the key {key.kid!r} is there: it can't sign")
    if not is_name(user) or user == SYSTEM:
        raise ValueError("a user is 1 to 64 letters, digits, '_', '.' or '-', and not 'system'")
    now = int(time.time())
    claims: dict[str, str | int] = {"sub": user, "iat": now, "exp": now + lifetime}
    if role is not None:
        claims["role"] = role
    headers = {"kid": key.kid} if key.kid is not None else None
    return jwt.encode(claims, key.signing, algorithm=key.algorithm, headers=headers)
