"""Pages of feeds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from gateway.answers import Author, Snapshot
from gateway.feed_sources import FeedSources
from gateway.requests import Requests, result_of
from gateway.settings import Settings
from gateway.wire import post_json
from streams.errors import Code, Refused
from streams.feeds.commands import MAX_PAGE, MAX_SNAPSHOT, KeepSnapshot
from streams.feeds.order import place, post_id
from streams.feeds.pages import read_page
from tables.rows import Message, PostId

PAGE_BYTES = 1_000_000
"""Bytes of posts in one page, unless the first alone is larger."""


class Page(NamedTuple):
    """Posts as JSON, the place after which the next page goes on (None: there is none), and its snapshot."""

    posts: list[bytes]
    last: PostId | None
    new: int = 0
    snapshot: str | None = None
    expires: int = 0


class Feeds:
    """Reads pages."""

    def __init__(self, requests: Requests, sources: FeedSources, settings: Settings) -> None:
        self._requests = requests
        self._sources = sources
        self._settings = settings
        self._ranks = {state: rank for rank, state in enumerate(settings.feed_states)}

    async def author(self, author: str, user: str) -> Author:
        """An author; refuses those whom they have blocked."""
        found = await self._sources.author(author, user)
        if found.blocked:
            raise Refused(Code.FORBIDDEN, f"{author} has blocked you")
        return found

    async def author_page(self, author: str, user: str, last: PostId | None, limit: int) -> Page:
        """A page of one author's posts."""
        await self.author(author, user)
        rows: list[Message] = []
        while True:
            (timeline,) = await self._sources.timelines([author], last, limit - len(rows))
            rows += timeline.posts
            last = timeline.reached
            if last is None or len(rows) == limit:
                return _cut(rows, last)

    async def page(self, user: str, last: PostId | None, limit: int) -> Page:
        """A page of a user's feed."""
        follows = await self._sources.follows(user)
        found = await read_page(self._sources, user, follows, last, limit)
        return _cut(found.posts, found.last)

    async def ranked(self, user: str, refresh: str | None, limit: int) -> Page:
        """The first page in the order of states; its order is kept."""
        follows = await self._sources.follows(user)
        rows: list[Message] = []
        last: PostId | None = None
        while len(rows) < MAX_SNAPSHOT:
            found = await read_page(self._sources, user, follows, last, MAX_PAGE)
            rows += found.posts
            last = found.last
            if last is None:
                break
        ranked = sorted(rows, key=self._rank)
        snapshot = Snapshot(str(uuid.uuid4()), now_ms(), tuple(map(post_id, ranked)))
        await self._keep(user, snapshot)
        return await self._snapshot_page(snapshot, None, limit)

    async def snapshot_page(
        self, user: str, snapshot: str, last: PostId | None, limit: int
    ) -> Page:
        """A page in the order that a visit began with."""
        try:
            kept = await self._sources.snapshot(user, snapshot)
        except Refused as error:
            if error.code is Code.NOT_FOUND:
                raise _expired() from None
            raise
        if self._expires(kept) <= now_ms():
            raise _expired()
        return await self._snapshot_page(kept, last, limit)

    async def _snapshot_page(self, snapshot: Snapshot, last: PostId | None, limit: int) -> Page:
        start = 0
        if last is not None:
            if last not in snapshot.posts:
                raise Refused(Code.BAD_REQUEST, "`last_id` is not in this snapshot")
            start = snapshot.posts.index(last) + 1
        rows: list[Message] = []
        while len(rows) < limit and start < len(snapshot.posts):
            some = snapshot.posts[start : start + limit - len(rows)]
            start += len(some)
            found = await self._sources.posts(some)
            rows += [found[post] for post in some if post in found]
        end = snapshot.posts[start - 1] if start < len(snapshot.posts) else None
        page = _cut(rows, end)
        return page._replace(snapshot=snapshot.id, expires=self._expires(snapshot))

    def _rank(self, row: Message) -> tuple[int, tuple[int, int, str]]:
        if not row.state:
            return len(self._ranks) + 1, place(post_id(row))
        return self._ranks.get(row.state, len(self._ranks)), place(post_id(row))

    def _expires(self, snapshot: Snapshot) -> int:
        return snapshot.made + int(self._settings.feed_snapshot_seconds * 1_000)

    async def _keep(self, user: str, snapshot: Snapshot) -> None:
        command = KeepSnapshot(
            user=user,
            by=user,
            reply=self._requests.address(),
            id=snapshot.id,
            posts=snapshot.posts,
        )
        await result_of(await self._requests.ask(command))


def now_ms() -> int:
    """The time in ms since 1970."""
    return int(time.time() * 1_000)


def _cut(rows: Sequence[Message], last: PostId | None) -> Page:
    """A page of these posts, or of as many of them as it holds."""
    posts: list[bytes] = []
    size = 0
    for row in rows:
        json = post_json(row)
        size += len(json)
        if posts and size > PAGE_BYTES:
            return Page(posts, post_id(rows[len(posts) - 1]))
        posts.append(json)
    return Page(posts, last)


def _expired() -> Refused:
    return Refused(Code.EXPIRED, "this order is kept no more: ask for the first page anew")
