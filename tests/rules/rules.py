"""The mailbox rules over rows in memory."""

from typing import Any

import orjson

from streams.decisions import Change, Effect, Moment, Outcome
from streams.errors import Refused
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.layout import MailboxLayout
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import BatchView
from tables.overlay import Overlay
from tables.rows import Position
from tests.rules.commands import Command


class Nothing:
    """A partition that has kept nothing."""

    def get(self, key: bytes, decode: Any) -> None:
        return None

    find = get

    def raw(self, key: bytes) -> None:
        return None

    def raw_many(self, keys: list[bytes]) -> list[None]:
        return [None] * len(keys)


class Rules:
    """Decides commands one after the other and remembers their rows and effects."""

    def __init__(self) -> None:
        self._agent = MailboxAgent(Limits())
        self._rows = Overlay(Nothing(), MailboxLayout())
        self._offset = 0
        self.view = BatchView(self._rows)
        self.effects: list[Effect] = []

    def do(self, command: Command, now: int) -> Any:
        """The result of a command; raises `Refused`."""
        return self.outcome(command, now).result

    def outcome(self, command: Command, now: int) -> Outcome:
        self._offset += 1
        decoded = self._agent.decode(command["mailbox"].encode(), orjson.dumps(command))
        outcome = self._agent.decide(self.view, decoded, Moment(self._offset, now))
        for number, change in enumerate(outcome.changes):
            assert change.row is None or change.row.at == Position(self._offset, number)
            self._rows.put([change.key], [change.row], [None])
        self.effects += outcome.effects
        return outcome

    def code(self, command: Command, now: int) -> str:
        """`ok`, or why a command is refused."""
        try:
            self.do(command, now)
        except Refused as error:
            return str(error.code)
        return "ok"

    def rows_of(self, command: Command, now: int) -> list[Change]:
        """The rows that a command writes; none if it is refused."""
        try:
            return self.outcome(command, now).changes
        except Refused:
            return []

    def unread(self, mailbox: str, user: str, read: int) -> int:
        """By the formula of the protocol."""
        state, member = self.view.state(mailbox), self.view.member(mailbox, user)
        joined = member.joined if member and member.generation == state.generation else 0
        own = self.view.own(mailbox, user).seq
        return max(0, self.view.head(mailbox).seq - max(joined, read, own, state.floor))
