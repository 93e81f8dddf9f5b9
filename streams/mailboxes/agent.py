"""The mailbox agent: decodes commands and applies the rules to a partition's rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.commands import AnyMailboxCommand, Query, Send, decode_mailbox_command
from streams.decisions import Moment, Outcome
from streams.mailboxes import queries, rules
from streams.mailboxes.layout import decode_seq, id_key
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import View
from tables.overlay import Overlay
from tables.partition import Partition


class MailboxAgent:
    """Who may send what, and which seq it gets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def decode(self, key: bytes | None, value: bytes | None) -> AnyMailboxCommand:
        """Decode and validate a record; raises `Malformed`."""
        return decode_mailbox_command(key, value)

    def prefetch(self, rows: Overlay, commands: Iterable[Any]) -> None:
        """Look up all message ids at once: nearly always a miss, answered by the filter."""
        rows.prefetch([id_key(c.mailbox, c.id) for c in commands if type(c) is Send], decode_seq)

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) is Query

    def decide(self, rows: Overlay, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        return rules.decide(View(rows), command, moment, self._limits)

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The answer to a query; raises `Refused`."""
        return queries.answer(partition, query)
