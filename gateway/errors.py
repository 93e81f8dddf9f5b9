"""How the gateway ends a connection, or refuses to start."""

from __future__ import annotations

from enum import IntEnum

from streams.errors import Code, Refused


class CloseCode(IntEnum):
    """WebSocket close codes. Clients reconnect with jittered backoff after 4000-4499, else not."""

    SLOW = 4001
    DRAINING = 4002
    IDLE = 4003
    CROWDED = 4004
    BAD_TOKEN = 4501
    EXPIRED = 4502
    PROTOCOL = 4503
    TOO_LARGE = 4504


class Disconnect(Exception):
    """This session ends, with a close code and a reason that the client may show."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


CANNOT_START = 2
"""The exit code of a gateway that can't start as it is configured."""


class CannotStart(Exception):
    """The gateway can't start as it is configured; the message says what to set."""


def unavailable(message: str = "no answer in time; the same request again is safe") -> Refused:
    """What a request gets when the pipeline doesn't answer."""
    return Refused(Code.UNAVAILABLE, message, retry_after=1.0)
