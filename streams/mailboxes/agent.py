"""The mailbox agent: decodes commands and applies the rules to a partition's rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streams import bodies
from streams.commands import (
    AnyMailboxCommand,
    Publish,
    Query,
    Release,
    Send,
    decode_mailbox_command,
)
from streams.decisions import Moment, Outcome
from streams.feeds.commands import Edit, OutboxQuery, Post
from streams.feeds.queries import answer_outbox, outboxes_of
from streams.mailboxes import queries, rules
from streams.mailboxes.layout import decode_seq, id_key
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import View
from streams.public import checks
from tables.overlay import Overlay
from tables.partition import Partition


class MailboxAgent:
    """Who may send what, and which seq it gets."""

    def __init__(self, limits: Limits, max_body: int = 1 << 20) -> None:
        self._limits = limits
        self._max_body = max_body

    def decode(self, key: bytes | None, value: bytes | None) -> AnyMailboxCommand:
        """Decode and validate a record; raises `Malformed`."""
        command = decode_mailbox_command(key, value)
        if type(command) is not Send and isinstance(command, Publish | Release):
            checks.check(command)
        if type(command) is Send or isinstance(command, Publish | Post | Edit):
            body = bodies.readable(command.body, self._max_body)
            if body is not command.body:
                return msgspec.structs.replace(command, body=body)
        return command

    def keys(self, command: Any) -> tuple[str, ...]:
        """The mailboxes that a command is about; none where a whole partition is asked."""
        if type(command) is Query:
            if command.what == "boards":
                return ()
            return (command.mailbox, *command.mailboxes)
        if type(command) is OutboxQuery:
            return (command.mailbox, *outboxes_of(command))
        return (command.mailbox,)

    def view(self, rows: Overlay) -> View:
        """The mailboxes as a batch sees them."""
        return View(rows)

    def prefetch(self, rows: Overlay, commands: Iterable[Any]) -> None:
        """Look up all message ids at once: nearly always a miss, answered by the filter."""
        with_id = (c for c in commands if type(c) is Send or type(c) is Post)
        rows.prefetch([id_key(c.mailbox, c.id) for c in with_id], decode_seq)

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) is Query or type(command) is OutboxQuery

    def decide(self, view: View, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        return rules.decide(view, command, moment, self._limits)

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The answer to a query; raises `Refused`."""
        if type(query) is OutboxQuery:
            return answer_outbox(partition, query)
        return queries.answer(partition, query)
