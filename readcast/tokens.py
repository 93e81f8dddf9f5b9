"""Where a client's token comes from, and when it has to be renewed."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

import jwt

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that gets a fresh one, which may be a coroutine."""

RENEW_SECONDS = 60.0
"""A token is renewed this long before its end, a short one in its last quarter."""

LEAST_SECONDS = 1.0
"""Between two renewals, whatever the tokens say."""


async def fetch(token: Token) -> str:
    """The token to use from here on."""
    if isinstance(token, str):
        return token
    found = token()
    return await found if inspect.isawaitable(found) else found


def seconds_until_renewal(token: str) -> float:
    """How long a token may be used before the next one is fetched, by this machine's clock."""
    claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    left = float(claims["exp"]) - time.time()
    return max(LEAST_SECONDS, left - min(RENEW_SECONDS, left / 4))
