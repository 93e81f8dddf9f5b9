"""The sources of pages, asked through Kafka by a plain client."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from streams.client import PipelineClient
from streams.errors import Code, Refused
from streams.feeds.commands import MAX_SNAPSHOT
from streams.feeds.order import post_id
from streams.feeds.pages import Following, References, Timeline
from streams.ids import AUTHOR, SYSTEM
from streams.mailboxes.layout import decode_message
from streams.partitioning import partition_of
from tables.rows import Message, PostId


class ClientSources:
    """Asks the agents as `system`; `TimeoutError` if no answer comes, `Refused` if it is a refusal."""

    def __init__(self, client: PipelineClient, partitions: int) -> None:
        self._client = client
        self._partitions = partitions

    async def follows(self, user: str) -> list[Following]:
        """Whom a user follows."""
        found: list[Following] = []
        more = True
        while more:
            after = found[-1].author if found else ""
            answer = await self._ask_feed(user, "follows", after=after)
            found += [
                Following(author, pulled, tuple(upto)) for author, pulled, upto in answer["follows"]
            ]
            more = answer["more"]
        return found

    async def inbox(self, user: str, last: PostId | None, limit: int) -> References:
        """The newest references of a user after `last`."""
        answer = await self._ask_feed(user, "inbox", last=_plain(last), limit=limit)
        posts = [PostId(*post) for post in answer["posts"]]
        return References(posts, _post(answer["reached"]), _post(answer["floor"]))

    async def timelines(
        self, authors: Iterable[str], last: PostId | None, limit: int
    ) -> list[Timeline]:
        """The newest posts of authors after `last`, one timeline for each partition."""
        place = _plain(last)
        asked = [
            self._ask_outbox(names[0], "timeline", authors=names, last=place, limit=limit)
            for names in self._by_partition(authors).values()
        ]
        return [
            Timeline(_messages(answer["posts"]), _post(answer["reached"]))
            for answer in await asyncio.gather(*asked)
        ]

    async def posts(self, posts: Sequence[PostId]) -> Mapping[PostId, Message]:
        """Those of the posts that stand."""
        by_partition = self._by_partition(post.author for post in posts)
        asked = [
            self._posts_of([post for post in posts if post.author in names])
            for names in by_partition.values()
        ]
        rows = [row for found in await asyncio.gather(*asked) for row in found]
        return {post_id(row): row for row in rows}

    async def _posts_of(self, posts: list[PostId]) -> list[Message]:
        """Posts of one partition: an answer may hold only the first of them."""
        rows: list[Message] = []
        while posts:
            wanted = [(post.author, post.seq) for post in posts[:MAX_SNAPSHOT]]
            found = (await self._ask_outbox(posts[0].author, "posts", posts=wanted))["posts"]
            rows += _messages(row for row in found if row is not None)
            posts = posts[len(found) :]
        return rows

    async def _ask_feed(self, user: str, what: str, **fields: Any) -> dict[str, Any]:
        query = {"type": "feed", "user": user, "by": SYSTEM, "what": what}
        return _result_of(await self._client.ask({**query, **fields}))

    async def _ask_outbox(self, author: str, what: str, **fields: Any) -> dict[str, Any]:
        query = {"type": "outbox", "mailbox": AUTHOR + author, "by": SYSTEM, "what": what}
        return _result_of(await self._client.ask({**query, **fields}))

    def _by_partition(self, authors: Iterable[str]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for name in dict.fromkeys(authors):
            found[partition_of(AUTHOR + name, self._partitions)].append(name)
        return found


def _result_of(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise Refused(Code(answer["error"]["code"]), answer["error"]["message"])
    result: dict[str, Any] = answer["result"]
    return result


def _messages(rows: Iterable[Any]) -> list[Message]:
    return [decode_message(orjson.dumps(row)) for row in rows]


def _post(found: Sequence[Any] | None) -> PostId | None:
    return None if found is None else PostId(*found)


def _plain(post: PostId | None) -> tuple[Any, ...] | None:
    """A post as orjson takes it."""
    return None if post is None else tuple(post)
