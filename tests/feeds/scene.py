"""A world in the words of those who use it: one command, or one step, at a time."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import orjson

from streams.feeds.limits import FeedLimits
from streams.feeds.order import post_id
from streams.ids import AUTHOR, SYSTEM
from streams.mailboxes.view import View
from streams.partitioning import partition_of
from tables.keys import follow_key, parse_key
from tables.rows import Member, Message, PostId, State
from tests.feeds.world import MAILBOXES, PARTITIONS, REPLY, USERS, World
from tests.rules.commands import uuid_of

_WITHOUT_ID = ("push", "switch", "idle", "awake")


class Scene:
    """Authors' commands are decided when they are made, or wait in the lane; effects always wait."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.world = World(folder, FeedLimits(**{"partitions": PARTITIONS, **limits}))
        self._ids = itertools.count(1)

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.world.__exit__(*exc_info)

    # Authors

    def queue(self, type_: str, author: str, by: str = "", **fields: Any) -> None:
        """Let a command wait in its author's lane."""
        command = {"type": type_, "mailbox": AUTHOR + author, "by": by or author, "reply": REPLY}
        if type_ not in _WITHOUT_ID:
            command["id"] = uuid_of(next(self._ids))
        self.world.send({**command, **fields})

    def decide(self, author: str, count: int | None = None) -> list[dict[str, Any]]:
        """Decide what waits in an author's lane, or the first few of it; the answers."""
        line = self.world.line(MAILBOXES, AUTHOR + author)
        replies = self.world.work(line, len(line.waiting) if count is None else count)
        return [orjson.loads(orjson.dumps(reply.payload)) for reply in replies]

    def do(self, type_: str, author: str, by: str = "", **fields: Any) -> Any:
        """The result of a command."""
        self.queue(type_, author, by, **fields)
        return self.decide(author)[-1]["result"]

    def refusal(self, type_: str, author: str, by: str = "", **fields: Any) -> dict[str, Any]:
        """Why a command is refused; it may neither write nor send anything."""
        line, effects = self.world.line(MAILBOXES, AUTHOR + author), len(self.world.effects)
        before = len(line.log.records)
        self.queue(type_, author, by, **fields)
        error: dict[str, Any] = self.decide(author)[-1]["error"]
        assert (len(line.log.records), len(self.world.effects)) == (before, effects)
        return error

    def post(self, author: str, **fields: Any) -> int:
        """The seq of a post."""
        return int(self.do("post", author, **{"body": 1, **fields})["seq"])

    def follow(self, author: str, *users: str) -> None:
        """Let users follow; they have heard of it."""
        self.do("follow", author, SYSTEM, members=users)
        self.world.drain(MAILBOXES, USERS)

    def state(self, author: str) -> State | None:
        return self._view(author).state(AUTHOR + author)

    def member(self, author: str, user: str) -> Member | None:
        return self._view(author).member(AUTHOR + author, user)

    def row(self, author: str, seq: int) -> Message:
        row = self._view(author).message(AUTHOR + author, seq)
        assert row is not None
        return row

    def _view(self, author: str) -> View:
        return View(self.world.line(MAILBOXES, AUTHOR + author).partition)

    def outbox(self, author: str, what: str, **fields: Any) -> Any:
        """The answer to a question about outboxes in an author's partition."""
        query = {"type": "outbox", "mailbox": AUTHOR + author, "what": what, **fields}
        return self.world.ask(MAILBOXES, partition_of(AUTHOR + author, PARTITIONS), query)

    # Readers

    def look(self, user: str) -> None:
        """A user looks at the feed."""
        self.world.send({"type": "seen", "user": user, "by": user})
        self.world.drain(USERS)

    def feed(self, user: str, limit: int = 50) -> list[tuple[str, int]]:
        """The posts on all pages of a user's feed."""
        return [(row.sender, row.seq) for row in asyncio.run(self._read(user, limit))]

    async def _read(self, user: str, limit: int) -> list[Message]:
        rows, last = [], None
        while True:
            page = await self.world.page(user, last, limit)
            rows += page.posts
            if page.last is None:
                return rows
            last = page.last

    def send_to_followers(self, user: str, command: dict[str, Any]) -> None:
        """Write an effect on followers to the partition of a user."""
        line = self.world.line(USERS, user)
        line.append(self.world.now, command["mailbox"], orjson.dumps(command))

    def ask(self, user: str, what: str, **fields: Any) -> Any:
        """The answer to a question about a user's feed."""
        query = {"type": "feed", "user": user, "what": what, **fields}
        return self.world.ask(USERS, partition_of(user, PARTITIONS), query)

    def inbox(self, user: str) -> list[tuple[str, int]]:
        """The references in an inbox, newest first."""
        return [(author, seq) for _, seq, author in self.ask(user, "inbox")["posts"]]

    def follow_rows(self, user: str) -> dict[str, Any]:
        """A user's Follow rows by author, as JSON has them."""
        found = self.world.line(USERS, user).partition.scan(follow_key(user, ""))
        return {parse_key(key).name: orjson.loads(value) for key, value in found}

    # Effects

    def sent(self, type_: str) -> list[Any]:
        """The effects of a type so far."""
        commands = (orjson.loads(value) for _, _, value in self.world.effects)
        return [command for command in commands if command["type"] == type_]

    def repeat(self, type_: str, number: int = 0) -> None:
        """Store an effect of a type again, the first one unless told."""
        found = [
            place
            for place, (_, _, value) in enumerate(self.world.effects)
            if orjson.loads(value)["type"] == type_
        ]
        self.world.repeat(found[number])

    def id_of(self, author: str, seq: int) -> PostId:
        return post_id(self.row(author, seq))
