"""The mailbox agent: decodes commands and applies the rules to a partition's rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import orjson

from streams.commands import (
    AnyMailboxCommand,
    Publish,
    Query,
    Release,
    Send,
    decode_mailbox_command,
)
from streams.decisions import Moment, Outcome
from streams.errors import Code, Malformed
from streams.mailboxes import queries, rules
from streams.mailboxes.layout import decode_seq, id_key
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import View
from streams.public import checks
from tables.overlay import Overlay
from tables.partition import Partition

_WithBody = TypeVar("_WithBody", Send, Publish)


class MailboxAgent:
    """Who may send what, and which seq it gets."""

    def __init__(self, limits: Limits, max_body: int = 1 << 20) -> None:
        self._limits = limits
        self._max_body = max_body

    def decode(self, key: bytes | None, value: bytes | None) -> AnyMailboxCommand:
        """Decode and validate a record; raises `Malformed`."""
        command = decode_mailbox_command(key, value)
        if type(command) is Send:
            return self._with_readable_body(command)
        if isinstance(command, Publish | Release):
            checks.check(command)
        return self._with_readable_body(command) if isinstance(command, Publish) else command

    def _with_readable_body(self, command: _WithBody) -> _WithBody:
        """Bodies go to every reader as they are: within the size, on one line, and read by all parsers."""
        body = bytes(command.body)
        if len(body) > self._max_body:
            raise Malformed(
                Code.TOO_LARGE, f"a body may have {self._max_body} bytes, this has {len(body)}"
            )
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(Code.BAD_REQUEST, f"body: {error}") from None
        if b"\n" in body or b"\r" in body:
            one_line = msgspec.Raw(msgspec.json.format(body, indent=-1))
            return msgspec.structs.replace(command, body=one_line)
        return command

    def keys(self, command: Any) -> tuple[str, ...]:
        """The mailboxes that a command is about; none where a whole partition is asked."""
        if type(command) is Query:
            if command.what == "boards":
                return ()
            return (command.mailbox, *command.mailboxes)
        return (command.mailbox,)

    def view(self, rows: Overlay) -> View:
        """The mailboxes as a batch sees them."""
        return View(rows)

    def prefetch(self, rows: Overlay, commands: Iterable[Any]) -> None:
        """Look up all message ids at once: nearly always a miss, answered by the filter."""
        rows.prefetch([id_key(c.mailbox, c.id) for c in commands if type(c) is Send], decode_seq)

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) is Query

    def decide(self, view: View, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        return rules.decide(view, command, moment, self._limits)

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The answer to a query; raises `Refused`."""
        return queries.answer(partition, query)
