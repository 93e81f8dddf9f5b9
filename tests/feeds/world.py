"""Both agents over real tables, with command logs in memory: whoever is slow may be as slow as a test likes."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams.batches import Batch, Reply
from streams.feeds.limits import FeedLimits
from streams.feeds.order import post_id
from streams.feeds.pages import Following, Page, References, Timeline, read_page
from streams.ids import AUTHOR, SYSTEM
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.layout import MailboxLayout
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import View
from streams.partitioning import Home, partition_of
from streams.schemas import MailboxCommand
from streams.users.agent import UserAgent
from streams.users.layout import UserLayout
from tables.options import rocksdb_options
from tables.partition import Partition
from tables.rows import Message, PostId
from tests.tables.logs import Log, Record

PARTITIONS = 2
MAILBOXES, USERS = "mailboxes", "users"
REPLY = {"to": "test", "partition": 0, "ref": 1}

_numbers = itertools.count()
_decode_message = msgspec.json.Decoder(Message).decode


class Line:
    """One partition of one command topic with the lane that decides it."""

    def __init__(self, folder: Path, agent: Any, layout: Any, home: Home) -> None:
        path = folder / f"line-{next(_numbers)}"
        self.partition = Partition(path, layout, rocksdb_options(4 << 20, 4 << 20))
        self.log = Log()
        self.waiting: deque[Record] = deque()
        self.decided: list[Record] = []
        self.agent = agent
        self._home = home
        self._offsets = itertools.count()

    def append(self, now: int, key: str, value: bytes) -> None:
        self.waiting.append(Record(next(self._offsets), now, key.encode(), value))

    def decide(self, count: int) -> tuple[list[Record], Batch]:
        records = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        batch = Batch(self.agent, self.partition, self._home)
        done = batch.decide(records)
        self.waiting.extendleft(reversed(records[done:]))
        records = records[:done]
        self.decided += records
        if batch.entries:
            self.log.append(batch.entries)
            self.partition.keep(batch.overlay, batch.at, self.log.next_offset)
        return records, batch


class World:
    """A pipeline whose lanes move only when they are told to."""

    def __init__(
        self, folder: Path, limits: FeedLimits, decided: Callable[[Record], None] | None = None
    ) -> None:
        homes = [Home(number, PARTITIONS) for number in range(PARTITIONS)]
        mailboxes = MailboxAgent(Limits(feeds=limits))
        self.lines = {
            MAILBOXES: [Line(folder, mailboxes, MailboxLayout(), home) for home in homes],
            USERS: [Line(folder, UserAgent(limits), UserLayout(), home) for home in homes],
        }
        self.now = 1_700_000_000_000
        self.queries = 0
        self.effects: list[tuple[Line, str, bytes]] = []
        self._decided = decided

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for line in itertools.chain(*self.lines.values()):
            line.partition.close()

    def send(self, command: dict[str, Any]) -> None:
        of_user = "user" in command
        key = command["user" if of_user else "mailbox"]
        line = self.line(USERS if of_user else MAILBOXES, key)
        line.append(self.now, key, orjson.dumps(command))

    def work(self, line: Line, count: int = 1) -> list[Reply]:
        """Decide some of what waits and return the answers: effects are stored, then the rows."""
        records, batch = line.decide(count)
        assert not batch.dead_letters, batch.dead_letters[0].error
        for record in records if self._decided else ():
            self._decided(record)
        for effect in batch.effects:
            kind = MAILBOXES if isinstance(effect.command, MailboxCommand) else USERS
            number = effect.partition
            if number is None:
                number = partition_of(effect.key, PARTITIONS)
            value = msgspec.json.encode(effect.command)
            self.effects.append((self.lines[kind][number], effect.key, value))
            self.lines[kind][number].append(self.now, effect.key, value)
        return batch.replies

    def line(self, kind: str, key: str) -> Line:
        """The lane of a key."""
        return self.lines[kind][partition_of(key, PARTITIONS)]

    def repeat(self, number: int) -> None:
        """Store an effect again, as a worker does that was declared dead and wakes up."""
        line, key, value = self.effects[number]
        line.append(self.now, key, value)

    def is_pushing(self, seq: int, author: str) -> bool:
        """Whether a post is still on its way to inboxes."""
        mailbox = AUTHOR + author
        row = View(self.line(MAILBOXES, mailbox).partition).message(mailbox, seq)
        return row is not None and row.pushing

    def drain(self, *kinds: str) -> None:
        """Decide all that waits in the lanes of these kinds, and what follows from it there."""
        lines = [line for kind in kinds for line in self.lines[kind]]
        while any(line.waiting for line in lines):
            for line in lines:
                self.work(line, 100)

    def ask(self, kind: str, number: int, query: dict[str, Any]) -> Any:
        """An answer in command order: what waits in that lane is decided before."""
        line = self.lines[kind][number]
        self.work(line, len(line.waiting))
        self.queries += 1
        key = query["user" if kind == USERS else "mailbox"]
        value = msgspec.json.encode({"by": SYSTEM, **query, "reply": REPLY})
        command = line.agent.decode(key.encode(), value)
        return orjson.loads(orjson.dumps(line.agent.answer(line.partition, command)))

    async def page(self, user: str, last: PostId | None, limit: int) -> Page:
        return await read_page(_Asking(self), user, self.follows(user), last, limit)

    def follows(self, user: str) -> list[Following]:
        query = {"type": "feed", "user": user, "what": "follows"}
        answer = self.ask(USERS, partition_of(user, PARTITIONS), query)
        assert answer["number"] == len(answer["follows"])
        return [
            Following(author, pulled, tuple(upto)) for author, pulled, upto in answer["follows"]
        ]


class _Asking:
    """The sources of pages, by queries."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def inbox(self, user: str, last: PostId | None, limit: int) -> References:
        query = {"type": "feed", "user": user, "what": "inbox", "last": last, "limit": limit}
        answer = self._world.ask(USERS, partition_of(user, PARTITIONS), query)
        posts = [PostId(*post) for post in answer["posts"]]
        return References(posts, _post(answer["reached"]), _post(answer["floor"]))

    async def timelines(
        self, authors: Iterable[str], last: PostId | None, limit: int
    ) -> list[Timeline]:
        found = []
        for number, names in _by_partition(authors).items():
            query = {
                "type": "outbox",
                "mailbox": AUTHOR + names[0],
                "what": "timeline",
                "authors": names,
                "last": last,
                "limit": limit,
            }
            answer = self._world.ask(MAILBOXES, number, query)
            posts = [_decode_message(orjson.dumps(row)) for row in answer["posts"]]
            found.append(Timeline(posts, _post(answer["reached"])))
        return found

    async def posts(self, posts: Sequence[PostId]) -> Mapping[PostId, Message]:
        found = {}
        for number, names in _by_partition(post.author for post in posts).items():
            wanted = [(post.author, post.seq) for post in posts if post.author in names]
            query = {
                "type": "outbox",
                "mailbox": AUTHOR + names[0],
                "what": "posts",
                "posts": wanted,
            }
            for row in self._world.ask(MAILBOXES, number, query)["posts"]:
                if row is not None:
                    message = _decode_message(orjson.dumps(row))
                    found[post_id(message)] = message
        return found


def _by_partition(authors: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in dict.fromkeys(authors):
        found.setdefault(partition_of(AUTHOR + name, PARTITIONS), []).append(name)
    return found


def _post(found: list[Any] | None) -> PostId | None:
    return None if found is None else PostId(*found)
