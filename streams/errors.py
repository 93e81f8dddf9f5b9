"""What can go wrong with a command, in the terms that clients and producers see."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Error codes, the same in replies, dead letters and on the wire."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_MEMBER = "not_member"
    MUTED = "muted"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"

    @property
    def retriable(self) -> bool:
        """Whether the same request may succeed later without being changed."""
        return self in (Code.RATE_LIMITED, Code.UNAVAILABLE)


class Refused(Exception):
    """A command that the rules refuse.

    `message` tells the sender what to do about it; `retry_after` is in seconds and set
    only where waiting helps.
    """

    def __init__(self, code: Code, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Malformed(Refused):
    """A record that is not a command at all; it goes to the dead letters."""
