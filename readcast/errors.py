"""What a client may have to deal with; callers look at `code` and `retriable`, not at messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ReadcastError(Exception):
    """code: a word for programs. message: one for people. retriable: whether trying later may help."""

    def __init__(self, code: str, message: str, *, retriable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retriable = retriable


class Refused(ReadcastError):
    """The gateway refused a request; `code` is one of docs/protocol.md, section 9.

    event: the `error` as it came. retry_after: seconds to wait before the same request may pass, 0 if it did not say.
    """

    def __init__(self, event: Mapping[str, Any]) -> None:
        super().__init__(event["code"], event["message"], retriable=event["retriable"])
        self.event = dict(event)
        self.retry_after = float(event.get("retry_after", 0))


class Unanswered(ReadcastError):
    """No answer within the request's time limit. It may still be done: repeat it with the same id."""

    def __init__(self, op: str) -> None:
        super().__init__("unanswered", f"no answer to `{op}` in time", retriable=True)


class Closed(ReadcastError):
    """The client is closed, by itself (code `closed`) or by the gateway for good.

    close_code: the WebSocket's close code, or the status of a refused handshake; None where we left.
    """

    def __init__(self, code: str, message: str, close_code: int | None = None) -> None:
        super().__init__(code, message)
        self.close_code = close_code
