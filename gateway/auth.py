"""Who a client is: tokens and origins."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt

from gateway.errors import CloseCode, Disconnect
from streams.ids import SYSTEM, is_name
from streams.tokens import ALGORITHM, make_token

OPERATOR = "operator"
"""The claim `role` of whoever may publish in public mailboxes."""

_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


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
    """Checks and makes the tokens of one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def verify(self, token: str) -> Identity:
        """The identity in a token, or `Disconnect` with 4501 or 4502."""
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], options={"require": ["sub", "exp"]}
            )
        except jwt.ExpiredSignatureError:
            raise Disconnect(CloseCode.EXPIRED, "the token has expired") from None
        except jwt.PyJWTError as error:
            raise Disconnect(CloseCode.BAD_TOKEN, f"bad token: {error}") from None
        user = claims["sub"]
        if not is_name(user) or user == SYSTEM:
            raise Disconnect(CloseCode.BAD_TOKEN, "bad token: `sub` is not a user id")
        return Identity(user, float(claims["exp"]), claims)

    def issue(self, user: str, seconds: float, role: str | None = None) -> str:
        """A token for `user` that is valid for that long."""
        return make_token(self._secret, user, int(seconds), role)


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
