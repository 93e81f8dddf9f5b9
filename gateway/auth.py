"""Who a client is: tokens and origins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt

from gateway.errors import CloseCode, Disconnect
from gateway.key_file import KeyFile
from streams.ids import SYSTEM, is_name
from streams.jwks import Key, secret_key
from streams.tokens import make_token

OPERATOR = "operator"
"""The claim `role` of whoever may publish in public mailboxes."""

_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


TOKEN_LENGTH = 8_192
"""Characters of a token, as many as a line of an HTTP head may have."""


CLOCK_SECONDS = 60
"""How far the clock of whoever signs may be ahead of ours: `iat` and `nbf` are its present."""


HEADS = 64
"""Heads of tokens that are kept with the key that they name: one for each issuer and key."""


class Identity(NamedTuple):
    """A user, until when (seconds since 1970) the token says so, and all that it says."""

    user: str
    expires: float
    claims: Mapping[str, Any] = _NO_CLAIMS

    @property
    def is_operator(self) -> bool:
        """Whether the user may publish in public mailboxes."""
        return self.claims.get("role") == OPERATOR


class Tokens:
    """Checks tokens: those that name a key by that, all others by the secret, where there is one."""

    def __init__(self, secret: str, keys: KeyFile | None = None) -> None:
        self._secret = secret_key(secret) if secret else None
        self._keys: KeyFile | dict[str, Key] = keys or {}

    def verify(self, token: str) -> Identity:
        """The identity in a token, or `Disconnect` with 4501 or 4502."""
        if len(token) > TOKEN_LENGTH:
            raise _bad(f"longer than {TOKEN_LENGTH} characters")
        try:
            key = self._key_of(token)
            claims = jwt.decode(
                token,
                key.checking,
                algorithms=[key.algorithm],
                options={"require": ["sub", "exp"], "verify_aud": False},
                leeway=CLOCK_SECONDS,
            )
            expires = float(claims["exp"])
            if expires <= time.time():
                raise jwt.ExpiredSignatureError
        except jwt.ExpiredSignatureError:
            raise Disconnect(CloseCode.EXPIRED, "the token has expired") from None
        except jwt.PyJWTError as error:
            raise _bad(str(error)) from None
        except OverflowError:
            raise _bad("`exp` is too large") from None
        user = claims["sub"]
        if not is_name(user) or user == SYSTEM:
            raise _bad("`sub` is not a user id")
        return Identity(user, expires, claims)

    def issue(self, user: str, seconds: float, role: str | None = None) -> str:
        """A token for `user`, signed with the secret, that is valid for that long."""
        if self._secret is None:
            raise ValueError("there is no secret to sign with")
        return make_token(self._secret, user, int(seconds), role)

    def _key_of(self, token: str) -> Key:
        kid = _kid_of(token.partition(".")[0])
        key = self._secret if kid is None else self._keys.get(kid)
        if key is None:
            raise _bad("it names no key of ours")
        return key


@lru_cache(HEADS)
def _kid_of(head: str) -> str | None:
    """The name of a key in the first part of a token: one issuer's tokens have it in common."""
    kid: str | None = jwt.get_unverified_header(f"{head}..").get("kid")
    return kid


def _bad(why: str) -> Disconnect:
    return Disconnect(CloseCode.BAD_TOKEN, f"bad token: {why}")


def bearer(header: str | None) -> str | None:
    """The token in an `Authorization` header, if there is one."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def origin_allowed(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may connect: our own, a listed one, or no page at all.

    Browsers always send Origin with a WebSocket handshake, and no page can forge it.
    """
    if origin is None or origin in allowed:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc == host
