"""What agents know of feeds: the sources of pages, and facts of authors and followers.

What is asked of several partitions is asked at once, one question for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway import answers
from gateway.answers import Author, Snapshot
from gateway.metrics import Metrics
from gateway.requests import Requests, result_of
from streams.feeds.commands import MAX_SNAPSHOT, FeedQuery, OutboxQuery
from streams.feeds.order import post_id
from streams.feeds.pages import Following, References, Timeline
from streams.ids import AUTHOR, SYSTEM
from streams.schemas import MailboxCommand, UserCommand
from tables.rows import Message, PostId

MAX_FOLLOWS = 5_000
"""Authors whom a user may follow: as many as one question names."""


class FeedSources:
    """Asks the agents.

    seen: when the user of the last inbox has looked last (ms since 1970).
    """

    def __init__(self, requests: Requests, metrics: Metrics) -> None:
        self._requests = requests
        self._metrics = metrics
        self._ahead: References | None = None
        self.seen = 0

    def apart(self) -> FeedSources:
        """The same for one page, whose inbox nobody else asks for."""
        return FeedSources(self._requests, self._metrics)

    async def heard(self, authors: Iterable[str]) -> None:
        """Return once posts of these authors are sure to come here; to be called as soon as they are wanted.

        An answer from the partition of an author comes after the announcement there. What was posted before it is
        on its way to the inboxes by then, and what is asked there later comes behind it.
        """
        if self._requests.reads_all:
            return
        places = self._by_partition(authors).values()
        await self._answers([self._outbox_query(names[0], "posts") for names in places])

    async def follows(self, user: str) -> list[Following]:
        """Whom a user follows."""
        query = self._follows_query(user, "", MAX_FOLLOWS)
        return await self._all_follows(user, await self._answers([query]))

    async def follows_and_inbox(
        self, user: str, last: PostId | None, limit: int
    ) -> list[Following]:
        """Whom a user follows; the inbox is asked in the same breath, and is what `inbox` gives next."""
        queries = [
            self._follows_query(user, "", MAX_FOLLOWS),
            self._feed_query(user, "inbox", last=last, limit=limit),
        ]
        follows, inbox = await self._answers(queries)
        self._ahead = self._references(inbox)
        return await self._all_follows(user, [follows])

    async def following(self, user: str) -> int:
        """How many authors a user follows."""
        (raw,) = await self._answers([self._follows_query(user, "", 1)])
        return answers.decode_follows(raw).number

    async def inbox(self, user: str, last: PostId | None, limit: int) -> References:
        """The newest references of a user after `last`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        query = self._feed_query(user, "inbox", last=last, limit=limit)
        (raw,) = await self._answers([query])
        return self._references(raw)

    async def timelines(
        self, authors: Iterable[str], last: PostId | None, limit: int
    ) -> list[Timeline]:
        """The newest posts of authors after `last`, one timeline for each partition."""
        queries = [
            self._outbox_query(some[0], "timeline", authors=tuple(some), last=last, limit=limit)
            for names in self._by_partition(authors).values()
            for some in _slices(names, MAX_FOLLOWS)
        ]
        found = [answers.decode_outboxes(raw) for raw in await self._answers(queries)]
        return [Timeline(one.posts, one.reached) for one in found]

    async def posts(self, posts: Sequence[PostId]) -> Mapping[PostId, Message]:
        """Those of the posts that stand."""
        waiting: dict[int, list[PostId]] = defaultdict(list)
        for post in posts:
            waiting[self._partition_of(post.author)].append(post)
        found: dict[PostId, Message] = {}
        while waiting:
            asked = list(waiting.items())
            queries = [self._posts_query(some[:MAX_SNAPSHOT]) for _, some in asked]
            for (number, some), raw in zip(asked, await self._answers(queries), strict=True):
                rows = answers.decode_posts(raw).posts
                found.update((post_id(row), row) for row in rows if row is not None)
                # One answer holds at least the first: the rest is asked for again.
                waiting[number] = some[max(1, len(rows)) :]
                if not waiting[number]:
                    del waiting[number]
        return found

    async def author(self, author: str, user: str) -> Author:
        """An author as a user sees them."""
        (raw,) = await self._answers([self._outbox_query(author, "author", by=user)])
        return answers.decode_author(raw)

    async def snapshot(self, user: str, snapshot: str) -> Snapshot:
        """A snapshot that is kept; `Refused` if it isn't any more."""
        (raw,) = await self._answers([self._feed_query(user, "snapshot", id=snapshot)])
        return answers.decode_snapshot(raw)

    async def _all_follows(self, user: str, raws: list[bytes]) -> list[Following]:
        found: list[Following] = []
        while True:
            answer = answers.decode_follows(raws[0])
            found += [Following(*follow) for follow in answer.follows]
            if not answer.more:
                return found
            query = self._follows_query(user, found[-1].author, MAX_FOLLOWS)
            raws = await self._answers([query])

    def _references(self, raw: bytes) -> References:
        found = answers.decode_inbox(raw)
        self.seen = found.seen
        return References(found.posts, found.reached, found.floor)

    def _follows_query(self, user: str, after: str, limit: int) -> FeedQuery:
        return self._feed_query(user, "follows", after=after, limit=limit)

    def _feed_query(self, user: str, what: str, **fields: object) -> FeedQuery:
        reply = self._requests.address()
        return FeedQuery(user=user, by=SYSTEM, reply=reply, what=what, **fields)  # type: ignore[arg-type]

    def _outbox_query(
        self, author: str, what: str, by: str = SYSTEM, **fields: object
    ) -> OutboxQuery:
        reply = self._requests.address()
        return OutboxQuery(mailbox=AUTHOR + author, by=by, reply=reply, what=what, **fields)  # type: ignore[arg-type]

    def _posts_query(self, posts: Sequence[PostId]) -> OutboxQuery:
        wanted = tuple((post.author, post.seq) for post in posts)
        return self._outbox_query(posts[0].author, "posts", posts=wanted)

    async def _answers(self, queries: Iterable[MailboxCommand | UserCommand]) -> list[bytes]:
        asked = [await self._requests.ask(query) for query in queries]
        self._metrics.feed_queries.inc(len(asked))
        return [bytes(await result_of(answer)) for answer in asked]

    def _by_partition(self, authors: Iterable[str]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for name in dict.fromkeys(authors):
            found[self._partition_of(name)].append(name)
        return found

    def _partition_of(self, author: str) -> int:
        return self._requests.partition_of(AUTHOR + author)


def _slices(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
