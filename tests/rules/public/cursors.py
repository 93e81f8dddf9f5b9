"""The rules of users over rows in memory: some partitions of a user log."""

from typing import Any

import orjson

from streams.decisions import Moment
from streams.feeds.limits import FeedLimits
from streams.partitioning import partition_of
from streams.users.agent import UserAgent
from streams.users.layout import Totals, UserLayout, decode_cursor
from tables.keys import cursor_key
from tables.overlay import Overlay
from tables.rows import Cursor, Position
from tests.rules.commands import Command
from tests.rules.rules import Nothing

_NEW = Cursor(Position(0, 0))


class Cursors:
    """One partition; decides commands one after the other."""

    def __init__(self) -> None:
        self._agent = UserAgent(FeedLimits())
        self._rows = Overlay(Nothing(), UserLayout())  # type: ignore[arg-type]
        self._offset = 0
        self._accepted: list[tuple[int, Command, int]] = []
        self.totals = Totals(self._rows)

    def do(self, command: Command, now: int) -> dict[str, Any]:
        """The result of a command; raises `Refused`."""
        self._offset += 1
        result = self._decide(self._offset, command, now)
        self._accepted.append((self._offset, command, now))
        return result

    def _decide(self, offset: int, command: Command, now: int) -> dict[str, Any]:
        decoded = self._agent.decode(command["user"].encode(), orjson.dumps(command))
        outcome = self._agent.decide(self._rows, decoded, Moment(offset, now))
        for change in outcome.changes:
            assert change.row is not None
            assert change.row.at == Position(offset, 0)
            self._rows.put([change.key], [change.row], [None])
        assert len(outcome.changes) <= 1
        assert outcome.result is not None
        return outcome.result

    def decide_again(self, back: int) -> None:
        """Decide the last records again, as after a restart: nothing may change."""
        before = self._kept()
        for record in self._accepted[-back:]:
            self._decide(*record)
        assert self._kept() == before

    def _kept(self) -> dict[bytes, Any]:
        return {key: value for key, value in self._rows.changed().items() if value is not None}

    def cursor(self, user: str, mailbox: str) -> Cursor:
        found: Cursor | None = self._rows.find(cursor_key(user, mailbox), decode_cursor)
        return found or _NEW


class UserLog:
    """All partitions of the user log."""

    def __init__(self, partitions: int) -> None:
        self.partitions = [Cursors() for _ in range(partitions)]

    def of(self, user: str) -> Cursors:
        return self.partitions[partition_of(user, len(self.partitions))]

    def counts(self, mailbox: str, publish: int) -> tuple[int, int]:
        """The totals of all partitions, summed as who asks for counts does."""
        return _summed([one.totals.of(mailbox, publish) for one in self.partitions])

    def stage(self, mailbox: str, entry: int) -> tuple[int, int]:
        """The same of the stage of an entry."""
        return _summed([one.totals.stage(mailbox, entry) for one in self.partitions])


def _summed(found: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(touched for touched, _ in found), sum(opened for _, opened in found)
