"""A run of feeds: workers, gateways, authors, a crowd, and readers who follow, unfollow and read all they find."""

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator
from typing import Any

from tests.e2e.client import Client
from tests.faults import checker
from tests.faults.feeds import checker as feed_checker
from tests.faults.feeds.crowd import THRESHOLD, Crowd
from tests.faults.feeds.doers import Author, Doer, Follower, Operator
from tests.faults.feeds.evidence import FeedEvidence
from tests.faults.feeds.order import AUTHOR
from tests.faults.feeds.visitors import Visitor, shown
from tests.faults.load import Load
from tests.processes import System

STAR = "star"
AUTHORS = [f"author{number}" for number in range(11)]
READERS = [f"follower{number}" for number in range(10)]
FIRST = 6
FOLLOWS = 0.3
MODES = 0.5
CROWD = 0.6
PAGE = 50
SETTINGS = {"READCAST_FEED_THRESHOLD": str(THRESHOLD)}


class Feeds(Load):
    """Authors, readers and a crowd."""

    evidence: FeedEvidence

    def __init__(self, system: System, seed: int, rate: float) -> None:
        super().__init__(system, FeedEvidence())
        self._rng = random.Random(seed)
        authors = [*AUTHORS, STAR]
        self.authors = [
            Author(*self._session(author), rate=rate / len(authors)) for author in authors
        ]
        self.followers = [
            Follower(*self._session(reader), rate=FOLLOWS, authors=authors, first=FIRST)
            for reader in READERS
        ]
        operator = self._session("operator", role="operator")
        self.operator = Operator(*operator, rate=MODES, authors=AUTHORS)
        self.visitors = [
            Visitor(*self._session(reader), authors=authors, marks=self._marks(reader))
            for reader in READERS
        ]
        rng = random.Random(self._rng.random())
        self.crowd = Crowd(system.kafka, STAR, AUTHORS, CROWD, self.evidence, rng)

    @property
    def count(self) -> int:
        return sum(act.kind == "post" for act in self.evidence.acts)

    @property
    def doers(self) -> list[Doer]:
        return [*self.authors, *self.followers, self.operator]

    def _session(self, user: str, **claims: str) -> tuple[Any, ...]:
        token = functools.partial(self.system.token, **claims)
        return user, token, self.urls, self.evidence, random.Random(self._rng.random())

    def _marks(self, reader: str) -> list[str]:
        """A direct mailbox of a reader in each partition."""
        kafka = self.system.kafka
        prefix = f"direct:{reader}~"
        partitions = range(kafka.partitions("mailbox-commands"))
        return [prefix + kafka.name_in(number, prefix) for number in partitions]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.connected([*self.doers, *self.visitors]):
            self.crowd.start()
            try:
                await self.noted(
                    lambda: all(one.is_ready for one in self.followers), "readers follow somebody"
                )
                yield
                await self._settle()
            finally:
                self.crowd.end()

    async def _settle(self) -> None:
        for part in (self.crowd, *self.doers, *self.visitors):
            part.end()
        await asyncio.to_thread(self.crowd.join)
        await self.noted(lambda: all(one.done for one in self.doers), "all is answered")
        await self.noted(lambda: all(one.done for one in self.visitors), "all visits are ended")
        await self._all_decided()

    async def _all_decided(self) -> None:
        """Wait until all is decided, and all that follows from it."""
        kafka = self.system.kafka
        await self.noted(lambda: kafka.lag(kafka.command_ends()) == 0, "nothing waits any more")

    async def check(self) -> checker.Report:
        for number, reader in enumerate(READERS):
            await self._read_again(reader, self.urls[number % len(self.urls)])
        await self._all_decided()
        return await asyncio.to_thread(self._check)

    async def _read_again(self, reader: str, url: str) -> None:
        """What a reader finds in the end, and what they are told of an author."""
        client = await Client.open(url, reader)
        await client.hello(self.system.token(reader))
        page = await client.request("feed", limit=PAGE)
        found = shown(page)
        while page["last_id"] is not None:
            page = await client.request("feed", limit=PAGE, last_id=page["last_id"])
            found += shown(page)
        self.evidence.final[reader] = found
        for author in self.authors:
            self.evidence.facts[author.user] = await client.request("author", author=author.user)
        await client.close()

    def _check(self) -> checker.Report:
        self.note_offsets()
        return feed_checker.check(self.read_raw(), self.evidence)

    def answers(self) -> list[Any]:
        """What the workers say of every feed and every author."""
        common = {"by": "system"}
        of_readers = [
            {"type": "feed", "user": reader, **common, "what": what, "limit": 1_000}
            for reader in READERS
            for what in ("follows", "inbox")
        ]
        of_authors = [
            {"type": "outbox", "mailbox": AUTHOR + author.user, **common, **what}
            for author in self.authors
            for what in (
                {"what": "author"},
                {"what": "timeline", "authors": [author.user], "limit": 100},
            )
        ]
        return self.system.kafka.ask_all([*of_readers, *of_authors])
