"""Both agents over real tables in memory, for a gateway: logs that come when the test says."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from gateway.clock import now_ms
from gateway.rows import Rows
from streams.batches import Reply
from streams.feeds.limits import FeedLimits
from streams.ids import SYSTEM
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.layout import MailboxLayout
from streams.mailboxes.rules import Limits
from streams.partitioning import Home, partition_of
from streams.schemas import MailboxCommand
from streams.users.agent import UserAgent
from streams.users.layout import UserLayout
from tables.journal import Entry
from tables.rows import position_header
from tests.feeds.world import Line
from tests.rules.commands import uuid_of

PARTITIONS = 2
QUERIES = ("query", "feed", "outbox")


class FeedPipeline:
    """Producer, agents and logs in one; `asked` counts queries by what they ask.

    slow: what is asked, and whose key it has, to be answered by `answer_late` only.
    """

    def __init__(self, folder: Path, limits: FeedLimits | None = None) -> None:
        limits = limits or FeedLimits(partitions=PARTITIONS)
        homes = [Home(number, PARTITIONS) for number in range(PARTITIONS)]
        mailboxes, users = MailboxAgent(Limits(feeds=limits)), UserAgent(limits)
        self._mailboxes = [Line(folder, mailboxes, MailboxLayout(), home) for home in homes]
        self._users = [Line(folder, users, UserLayout(), home) for home in homes]
        self._held: list[Callable[[], None]] = []
        self._numbers = itertools.count(1)
        self.rows: Rows
        self.asked: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.logs_stand_still = False
        self.is_losing = False
        self.answers_stand_still = False
        self._unanswered: list[Reply] = []
        self.slow: tuple[str, str] | None = None
        self._slow_refs: set[int] = set()
        self._late: list[Reply] = []
        self.decided: Callable[[Any], None] = lambda _record: None

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def close(self) -> None:
        for line in (*self._mailboxes, *self._users):
            line.partition.close()

    def send(self, topic: str, value: bytes, key: bytes, partition: int) -> asyncio.Future:
        lines = self._mailboxes if "mailbox" in topic else self._users
        command = orjson.loads(value)
        if command["type"] in QUERIES:
            what = command.get("what", "cursors")
            self.asked[what] += 1
            if self.slow == (what, key.decode()):
                self._slow_refs.add(command["reply"]["ref"])
        else:
            self.written[command["type"]] += 1
        lines[partition].append(now_ms(), key.decode(), value)
        loop = asyncio.get_running_loop()
        loop.call_soon(self.work)
        stored: asyncio.Future[None] = loop.create_future()
        stored.set_result(None)
        return stored

    def put(self, command: dict[str, Any]) -> None:
        """A command from elsewhere, decided at once."""
        of_user = "user" in command
        key = command["user" if of_user else "mailbox"]
        line = (self._users if of_user else self._mailboxes)[partition_of(key, PARTITIONS)]
        line.append(now_ms(), key, orjson.dumps(command))
        self.work()

    def act(self, kind: str, author: str, by: str = "", **fields: Any) -> None:
        """A command to an outbox from elsewhere."""
        common = {"mailbox": f"author:{author}", "by": by or author}
        self.put({"type": kind, "id": uuid_of(next(self._numbers)), **common, **fields})

    def post(self, author: str, count: int = 1, **fields: Any) -> None:
        """Posts from elsewhere, at any rate."""
        for _ in range(count):
            self.act("post", author, by=SYSTEM, body={"n": next(self._numbers)}, **fields)

    def work(self) -> None:
        """Decide all that waits, and what follows from it."""
        lines = (*self._mailboxes, *self._users)
        while any(line.waiting for line in lines):
            for line in lines:
                if line.waiting:
                    self._decide(line)

    def go_on(self, count: int = 1 << 30) -> None:
        """Bring some of what the logs have held back."""
        held, self._held = self._held[:count], self._held[count:]
        for bring in held:
            bring()

    @property
    def has_answers(self) -> bool:
        """Whether answers are held back."""
        return bool(self._unanswered)

    def answer(self) -> None:
        """Bring the answers that were held back."""
        self.answers_stand_still = False
        replies, self._unanswered = self._unanswered, []
        for reply in replies:
            if reply.to.ref in self._slow_refs:
                self._late.append(reply)
            else:
                self._reply(reply)

    @property
    def has_late_answers(self) -> bool:
        """Whether what is slow has been decided."""
        return bool(self._late)

    def answer_late(self) -> None:
        """Bring the answers to what was slow; nothing is slow from here on."""
        self.slow = None
        replies, self._late = self._late, []
        for reply in replies:
            self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        payload = orjson.dumps({"ref": reply.to.ref, **reply.payload})
        self.rows.take_reply(reply.to.partition, reply.to.to.encode(), payload, ())

    def _decide(self, line: Line) -> None:
        records, batch = line.decide(len(line.waiting))
        assert not batch.dead_letters, batch.dead_letters[0].error
        for effect in batch.effects:
            lines = self._mailboxes if isinstance(effect.command, MailboxCommand) else self._users
            number = effect.partition
            if number is None:
                number = partition_of(effect.key, PARTITIONS)
            lines[number].append(now_ms(), effect.key, msgspec.json.encode(effect.command))
        for record in records:
            self.decided(record)
        take = self.rows.take_mailbox if line in self._mailboxes else self.rows.take_user
        number = (self._mailboxes if line in self._mailboxes else self._users).index(line)
        for entry in batch.entries:
            self._bring(take, number, entry)
        self._unanswered += batch.answers()
        if not self.answers_stand_still:
            self.answer()

    def _bring(self, take: Any, number: int, entry: Entry) -> None:
        if self.is_losing:
            return
        headers = (position_header(entry.at),) if entry.value is None else ()
        if self.logs_stand_still or self._held:
            self._held.append(lambda: take(number, entry.key, entry.value, headers))
        else:
            take(number, entry.key, entry.value, headers)
