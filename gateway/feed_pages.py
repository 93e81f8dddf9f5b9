"""Pages of feeds: from memory as far as it goes, and asked of the agents beyond."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from gateway.answers import Author
from gateway.clock import now_ms
from gateway.errors import unavailable
from gateway.feed_sources import FeedSources
from gateway.feeds import Feeds
from gateway.metrics import Metrics
from gateway.outboxes import Post
from gateway.requests import Requests, result_of
from gateway.session import Session
from gateway.settings import Settings
from gateway.views import Kept, View
from gateway.wire import post_json
from streams.errors import Code, Refused
from streams.feeds.commands import MAX_SNAPSHOT, SEEN_MS, KeepSnapshot, Seen
from streams.feeds.order import Place, post_id
from tables.rows import Message, PostId

PAGE_BYTES = 1_000_000
"""Bytes of posts in one page, unless the first alone is larger."""


ATTEMPTS = 3
"""How often a feed that changes under the one who reads it is begun anew."""


class Page(NamedTuple):
    """Posts as JSON, the place after which the next page goes on (None: there is none), and its snapshot.

    new: posts newer than those that the session was shown at the top.
    """

    posts: list[bytes]
    last: PostId | None
    new: int = 0
    snapshot: Kept | None = None


class Pages:
    """Reads pages for sessions; all methods raise `Refused`."""

    def __init__(
        self,
        requests: Requests,
        sources: FeedSources,
        feeds: Feeds,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._requests = requests
        self._sources = sources
        self._feeds = feeds
        self._lifetime = int(settings.feed_snapshot_seconds * 1_000)
        self._ranks = {state: rank for rank, state in enumerate(settings.feed_states)}
        self._from_memory = metrics.feed_pages.labels("memory")
        self._from_agents = metrics.feed_pages.labels("agents")
        self._tasks: set[asyncio.Task[None]] = set()

    def ready(self, session: Session, last: PostId | None, limit: int) -> Page | None:
        """A page of the user's feed, if all of it is in memory."""
        view = self._feeds.ready(session.user.name)
        posts = view.after(last, limit) if view is not None else None
        if view is None or posts is None:
            return None
        jsons = self._in_memory(posts)
        if len(jsons) < len(posts):
            return None
        self._from_memory.inc()
        return self._shown(session, view, view.top, posts, jsons, last)

    async def page(self, session: Session, last: PostId | None, limit: int) -> Page:
        """A page of the user's feed."""
        self._from_agents.inc()
        user = session.user.name
        view = await self._feeds.view(user)
        posts = view.after(last, limit)
        while posts is None and view.alive and len(view.posts) < view.capacity:
            await self._feeds.extend(view, len(view.posts) + 1)
            posts = view.after(last, limit)
        if posts is not None:
            top, known = view.top, {post.id: self._feeds.outboxes.read(post) for post in posts}
            return self._shown(session, view, top, posts, await self._filled(known), last)
        found, _ = await self._feeds.read(user, last, limit)
        return self._deeper(session, _cut(found.posts, found.last))

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

    async def ranked(self, session: Session, refresh: str | None, limit: int) -> Page:
        """The first page in the order of states. Its order is kept, unless it is that of `refresh`."""
        view = await self._whole(session.user.name)
        top = view.top
        posts = tuple(post.id for post in sorted(view.posts[:MAX_SNAPSHOT], key=self._rank))
        kept = view.snapshots.get(refresh) if refresh else None
        if kept is None or kept.posts != posts or kept.expires <= now_ms():
            kept = await self._keep(view, posts)
        self._begin(session, view, top)
        return await self._snapshot_page(session, view, kept, None, limit)

    async def snapshot_page(
        self, session: Session, snapshot: str, last: PostId | None, limit: int
    ) -> Page:
        """A page in the order that a visit began with."""
        view = await self._feeds.view(session.user.name)
        kept = view.snapshots.get(snapshot)
        if kept is None:
            kept = await self._find(view, snapshot)
        if kept.expires <= now_ms():
            raise _expired()
        return await self._snapshot_page(session, view, kept, last, limit)

    def stop(self) -> None:
        """Give up what is still being sent."""
        for task in list(self._tasks):
            task.cancel()

    async def _whole(self, user: str) -> View:
        """A user's feed with as many posts as are ranked."""
        for _ in range(ATTEMPTS):
            view = await self._feeds.view(user)
            view.capacity = MAX_SNAPSHOT
            if await self._feeds.extend(view, MAX_SNAPSHOT):
                return view
        raise unavailable("the feed is being read anew; try again")

    def _shown(
        self,
        session: Session,
        view: View,
        top: Place | None,
        posts: list[Post],
        jsons: Mapping[PostId, bytes],
        last: PostId | None,
    ) -> Page:
        """A page of a view; `top` is the place of its newest post when the posts were looked up."""
        found: list[bytes] = []
        size = 0
        end = None if view.ends_with(posts) else posts[-1].id
        for number, post in enumerate(posts):
            json = jsons.get(post.id)
            if not json or post.gone:
                continue
            size += len(json)
            if found and size > PAGE_BYTES:
                end = posts[number - 1].id
                break
            found.append(json)
        if last is not None:
            return self._deeper(session, Page(found, end))
        self._begin(session, view, top)
        return Page(found, end)

    def _deeper(self, session: Session, page: Page) -> Page:
        return page._replace(new=self._feeds.visits.new(session))

    def _begin(self, session: Session, view: View, top: Place | None) -> None:
        """The session looks at the top, as it was shown it, from here on."""
        self._feeds.visits.begin(session, view, top)
        if not view.alive:
            self._feeds.keep(view.user)
        now = now_ms()
        if view.authors and now - view.seen >= SEEN_MS:
            view.seen = now
            task = asyncio.create_task(self._tell_seen(view.user))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell_seen(self, user: str) -> None:
        with suppress(Refused):
            await self._requests.ask(Seen(user=user, by=user, reply=self._requests.address()))

    def _in_memory(self, posts: Sequence[Post]) -> dict[PostId, bytes]:
        read = self._feeds.outboxes.read
        return {post.id: json for post in posts if (json := read(post)) is not None}

    async def _filled(self, known: Mapping[PostId, bytes | None]) -> dict[PostId, bytes]:
        """The JSON of posts, empty where one doesn't stand: what is missing (None) is asked for.

        Who looks may have been told of what has changed meanwhile, so that counts.
        """
        jsons, find = dict(known), self._feeds.outboxes.find
        while missing := [post for post, json in jsons.items() if json is None]:
            others = [found for post in jsons if post not in missing and (found := find(post))]
            before = [post.at for post in others]
            jsons |= dict.fromkeys(missing, b"") | await self._ask(missing)
            for post, at in zip(others, before, strict=True):
                if post.gone or post.at != at:
                    jsons[post.id] = b"" if post.gone else self._feeds.outboxes.read(post)
        return {post: json or b"" for post, json in jsons.items()}

    async def _ask(self, posts: Sequence[PostId]) -> dict[PostId, bytes]:
        outboxes = self._feeds.outboxes
        found = await self._sources.posts(posts)
        known = {post: (outboxes.take(row), row) for post, row in found.items()}
        return {
            post: b"" if one.gone else one.json or post_json(row)
            for post, (one, row) in known.items()
        }

    async def _snapshot_page(
        self, session: Session, view: View, kept: Kept, last: PostId | None, limit: int
    ) -> Page:
        start = 0
        if last is not None:
            if last not in kept.posts:
                raise Refused(Code.BAD_REQUEST, "`last_id` is not in this snapshot")
            start = kept.posts.index(last) + 1
        found: list[bytes] = []
        size, at = 0, start
        while len(found) < limit and at < len(kept.posts):
            some = kept.posts[at : at + limit - len(found)]
            jsons = await self._standing(view, some)
            for post in some:
                json = jsons.get(post, b"")
                size += len(json)
                if found and size > PAGE_BYTES:
                    return self._deeper(session, Page(found, kept.posts[at - 1], snapshot=kept))
                at += 1
                if json:
                    found.append(json)
        end = kept.posts[at - 1] if at < len(kept.posts) else None
        return self._deeper(session, Page(found, end, snapshot=kept))

    async def _standing(self, view: View, posts: Sequence[PostId]) -> dict[PostId, bytes]:
        """Those of the posts that stand and whose authors the user still follows."""
        known: dict[PostId, bytes | None] = {}
        for post in posts:
            if view.authors is None or post.author not in view.authors:
                continue
            found = self._feeds.outboxes.find(post)
            if found is None or not found.gone:
                known[post] = self._feeds.outboxes.read(found) if found else None
        return {post: json for post, json in (await self._filled(known)).items() if json}

    def _rank(self, post: Post) -> tuple[int, Place]:
        if not post.state:
            return len(self._ranks) + 1, post.place
        return self._ranks.get(post.state, len(self._ranks)), post.place

    async def _keep(self, view: View, posts: tuple[PostId, ...]) -> Kept:
        kept = Kept(str(uuid.uuid4()), now_ms() + self._lifetime, posts)
        command = KeepSnapshot(
            user=view.user, by=view.user, reply=self._requests.address(), id=kept.id, posts=posts
        )
        await result_of(await self._requests.ask(command))
        view.remember(kept)
        return kept

    async def _find(self, view: View, snapshot: str) -> Kept:
        try:
            found = await self._sources.snapshot(view.user, snapshot)
        except Refused as error:
            if error.code is Code.NOT_FOUND:
                raise _expired() from None
            raise
        kept = Kept(found.id, found.made + self._lifetime, found.posts)
        view.remember(kept)
        return kept


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
