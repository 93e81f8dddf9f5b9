"""The mailbox agent: decodes commands and applies the rules to a partition's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from streams import bodies
from streams.commands import (
    AnyMailboxCommand,
    Publish,
    Query,
    Release,
    Send,
    decode_mailbox_command,
    decode_sends,
)
from streams.decisions import Moment, Outcome, Run
from streams.feeds.commands import Edit, OutboxQuery, Post
from streams.feeds.queries import answer_outbox, outboxes_of
from streams.mailboxes import queries, rules
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import BatchView
from streams.public import checks
from streams.routes import rules as routes
from streams.routes.commands import Announce, RenewLease
from tables.fetching import Record
from tables.overlay import Overlay
from tables.partition import Partition

_WithBody = TypeVar("_WithBody", bound=Send | Publish | Post | Edit)

# Looked up by type: `isinstance` of structs costs a send several times as much.
_ROUTING = frozenset((RenewLease, Announce))
_QUERIES = frozenset((Query, OutboxQuery))


class MailboxAgent:
    """Who may send what, and which seq it gets."""

    runs_of = Send

    def __init__(
        self, limits: Limits, max_body: int = 1 << 20, delivery_partitions: int = 1
    ) -> None:
        self._limits = limits
        self._delivery_partitions = delivery_partitions
        self._max_body = max_body

    def decode_run(self, records: Sequence[Record]) -> list[Send] | None:
        """Decode and validate records at once, if all are sends with bodies that are handed on as they are."""
        sends = decode_sends([r.key for r in records], [r.value for r in records])
        if sends is None or not bodies.are_readable([c.body for c in sends], self._max_body):
            return None
        return sends

    def decode(self, key: bytes | None, value: bytes | None) -> AnyMailboxCommand:
        """Decode and validate a record; raises `Malformed`."""
        command = decode_mailbox_command(key, value)
        if type(command) is Send:
            return self._readable(command)
        if isinstance(command, Publish | Release):
            checks.check(command)
        return self._readable(command) if isinstance(command, Publish | Post | Edit) else command

    def _readable(self, command: _WithBody) -> _WithBody:
        body = bodies.readable(command.body, self._max_body)
        return command if body is command.body else replace(command, body=body)

    def keys(self, command: Any) -> tuple[str, ...]:
        """The mailboxes that a command is about; none where it is about the whole partition."""
        kind = type(command)
        if kind is Send:
            return (command.mailbox,)
        if kind is RenewLease or (kind is Query and command.what == "boards"):
            return ()
        if kind is Announce or kind is Query:
            return (command.mailbox, *command.mailboxes)
        if kind is OutboxQuery:
            return (command.mailbox, *outboxes_of(command))
        return (command.mailbox,)

    def view(self, rows: Overlay) -> BatchView:
        """The mailboxes as a batch sees them."""
        return BatchView(rows)

    def prefetch(self, view: BatchView, commands: Sequence[Any]) -> None:
        """Look up all message ids at once."""
        view.look_up_ids([c for c in commands if type(c) is Send or type(c) is Post])

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) in _QUERIES

    def decide_run(self, view: BatchView, commands: Iterable[tuple[Record, Any]]) -> Run:
        """The rows of the messages with which the commands begin."""
        return rules.send_run(view, commands)

    def decide(self, view: BatchView, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        view.rooms.clear()
        if type(command) in _ROUTING:
            return routes.decide(view.routes, command, moment, self._delivery_partitions)
        if type(command) is Send:
            view.fresh.discard(command.id)
        outcome = rules.decide(view, command, moment, self._limits)
        if type(command) is Send and command.reply is not None and outcome.result is None:
            return _answered(view, command, outcome)
        return outcome

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The answer to a query; raises `Refused`."""
        if type(query) is OutboxQuery:
            return answer_outbox(partition, query)
        return queries.answer(partition, query)


def _answered(view: BatchView, c: Send, outcome: Outcome) -> Outcome:
    """The outcome of a send with a receipt for a gateway that its row isn't forwarded to."""
    if c.reply is None or not view.routes.passes_by(c.reply.to, c.mailbox):
        return outcome
    row: Any = (
        outcome.changes[0].row
        if outcome.changes
        else view.message(c.mailbox, view.seq_of(c.mailbox, c.id) or 0)
    )
    receipt = {"mailbox": c.mailbox, "id": c.id, "seq": row.seq, "ts": row.ts}
    return replace(outcome, result=receipt)
