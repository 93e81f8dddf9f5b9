"""The feeds in memory: loaded with a user's first page, and kept current from the logs.

Interest is registered before a question is sent, so that whatever the answers don't include still
comes from the log: first whom the user follows, then the authors' posts, and only then, in one breath, whom the user
follows since and what there is in the inbox.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

from gateway import wire
from gateway.feed_sources import FeedSources
from gateway.interest import EVERYTHING, Interest
from gateway.outboxes import Outboxes, Post
from gateway.settings import Settings
from gateway.views import Taken, View
from gateway.visits import Visits
from streams.errors import Refused
from streams.feeds.commands import MAX_PAGE
from streams.feeds.order import format_id, post_id
from streams.feeds.pages import Following, Page, read_page
from tables.rows import ORIGIN, Message, Position, PostId

log = structlog.get_logger()

AT_ONCE = 100
"""Feeds that are asked for at the same time: each takes up to two questions to each partition."""

CHANCES = 100
"""Feeds in use that are passed over, at most, in search of one to leave memory."""

RETRY_SECONDS = 1.0
"""Pause before the feed of somebody who looks is asked for again."""


class Feeds:
    """Which feeds are in memory, and what the logs do to them."""

    def __init__(
        self, sources: FeedSources, settings: Settings, interest: Interest = EVERYTHING
    ) -> None:
        self._sources = sources
        self._interest = interest
        self._limit = settings.feed_views
        self._views: OrderedDict[str, View] = OrderedDict()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.outboxes = Outboxes(settings.feed_bytes, interest)
        self.visits = Visits(settings.head_seconds, self._views.get)

    def __len__(self) -> int:
        return len(self._views)

    def ready(self, user: str) -> View | None:
        """A user's feed, if it is in memory."""
        view = self._views.get(user)
        if view is None or not view.is_loaded:
            return None
        self._views.move_to_end(user)
        return view

    async def view(self, user: str) -> View:
        """A user's feed, asked for where it isn't in memory; raises `Refused`."""
        view = self._views.get(user)
        if view is None:
            view = self._open(user)
        if view.loading is not None:
            await asyncio.shield(view.loading)
        return view

    async def extend(self, view: View, count: int) -> bool:
        """Have `count` posts in a view, or all there are; False if the view has been dropped meanwhile."""
        async with view.lock:
            while view.alive and view.reached is not None and len(view.posts) < count:
                view.heard = []
                try:
                    await self._extend(view)
                finally:
                    view.heard = None
        return view.alive

    async def read(self, user: str, last: PostId | None, limit: int) -> tuple[Page, frozenset[str]]:
        """A page as the agents know it, and whom the user follows."""
        async with self._at_once:
            sources = self._sources.apart()
            follows = await sources.follows_and_inbox(user, last, limit)
            page = await read_page(sources, user, follows, last, limit)
            return page, frozenset(follow.author for follow in follows)

    def drop(self, user: str) -> None:
        """What is known of a user's feed holds no more; for one who looks it is asked for at once.

        They hear from the old one what becomes of posts until there is another.
        """
        view = self._views.pop(user, None)
        if view is not None and view.is_loaded and self.visits.has(user):
            view.alive = False
            self._spawn(self._replace(view))
        else:
            self._close(view)
            self.keep(user)

    def keep(self, user: str) -> None:
        """Have the feed of somebody who looks in memory, so that they hear what is new."""
        if user not in self._views and self.visits.has(user):
            self._spawn(self._reopen(user))

    def drop_author(self, author: str) -> None:
        """A record of an author's log is missing: drop all feeds that show it."""
        outbox = self.outboxes.get(author)
        for view in list(outbox.views) if outbox else ():
            self.drop(view.user)

    def drop_all(self) -> None:
        """The logs have lost records."""
        for user in list(self._views):
            self.drop(user)

    def shows(self, author: str) -> bool:
        """Whether a feed shows an author's posts."""
        return self.outboxes.get(author) is not None

    def has(self, user: str) -> bool:
        """Whether a user's feed is in memory, or on its way."""
        return user in self._views

    def take_post(self, row: Message) -> None:
        """Take a row of the log of an author whom a feed shows."""
        outbox = self.outboxes.get(row.sender)
        if outbox is None:
            return
        is_older = row.seq <= outbox.head
        before = outbox.posts.get(row.seq)
        changed = before is not None and ORIGIN < before.at < row.at
        is_change = changed or bool(row.edited or row.recalled)
        if not outbox.passes(row.seq, is_change=is_change):
            log.warning("hole in an outbox", author=row.sender, seq=row.seq)
            self.drop_author(row.sender)
        elif not row.pushing:
            post = self.outboxes.take(row)
            self._show(outbox.views, post, row, is_change=is_older or is_change)

    def take_follow(self, user: str, author: str, *, following: bool) -> None:
        """Take what the log says of whom a user follows."""
        view = self._views.get(user)
        if view is None:
            return
        if view.turned is not None:
            view.turned[author] = following
        elif (author in (view.authors or ())) != following:
            self.drop(user)

    def posted(self, row: Message) -> None:
        """A user has posted here: their own feed shows it at once, should they follow themselves."""
        view = self._views.get(row.sender)
        if view is None:
            return
        if view.authors is None:
            self.drop(row.sender)
        elif row.sender in view.authors and self.outboxes.find(post_id(row)) is None:
            view.take(self.outboxes.take(row))
            self.visits.added(row.sender)

    def changed(self, post: PostId, at: Position | None, *, gone: bool = False) -> None:
        """A user has changed a post here: what is known of it is older."""
        known = self.outboxes.answered(post, at, gone=gone)
        outbox = self.outboxes.get(post.author)
        if known is not None and outbox is not None and gone:
            for view in outbox.views:
                view.take(known)

    def stop(self) -> None:
        """Give up what is still being asked."""
        for task in list(self._tasks):
            task.cancel()

    def _open(self, user: str) -> View:
        if len(self._views) >= self._limit:
            self._make_room()
        view = self._views[user] = View(user)
        self._interest.want(user)
        view.loading = self._spawn(self._load(view))
        return view

    def _make_room(self) -> None:
        """Let the feed go that was read longest ago; one in use only where no other is found."""
        for _ in range(CHANCES):
            user, view = next(iter(self._views.items()))
            if view.is_loaded and not self.visits.has(user):
                break
            self._views.move_to_end(user)
        self._close(self._views.popitem(last=False)[1])

    def _close(self, view: View | None) -> None:
        if view is not None:
            view.alive = False
            self._interest.release(view.user)
            for author in view.authors or ():
                self.outboxes.remove(author, view)

    async def _load(self, view: View) -> None:
        try:
            async with self._at_once:
                await self._ask(view)
        except BaseException:
            if self._views.get(view.user) is view:
                self._close(self._views.pop(view.user))
            raise
        # Those who look already have not heard of what came while it was not in memory.
        self.visits.added(view.user)

    async def _ask(self, view: View) -> None:
        sources = self._sources.apart()
        follows = await self._follows(view, sources)
        found = await read_page(sources, view.user, follows, None, MAX_PAGE)
        view.seen = sources.seen
        view.extend(map(self.outboxes.take, found.posts), found.last)
        view.heard = None

    async def _follows(self, view: View, sources: FeedSources) -> list[Following]:
        """Whom a user follows, as it stands since the authors' logs are followed here.

        The first answer says whom to listen to. A post may have come before that, and after its author stopped
        pushing; so it is asked again, with the inbox, until nothing says otherwise.
        """
        await self._listen(view, sources, await sources.follows(view.user))
        while True:
            view.turned = {}
            follows = await sources.follows_and_inbox(view.user, None, MAX_PAGE)
            authors = frozenset(follow.author for follow in follows)
            turned = view.turned.items()
            if authors == view.authors and all((name in authors) == now for name, now in turned):
                view.turned = None
                return follows
            await self._listen(view, sources, follows)

    async def _listen(self, view: View, sources: FeedSources, follows: Iterable[Following]) -> None:
        """Follow the logs of these authors for a view, and no others."""
        before = view.authors or frozenset()
        authors = frozenset(follow.author for follow in follows)
        if view.alive:
            for author in authors - before:
                self.outboxes.add(author, view)
            for author in before - authors:
                self.outboxes.remove(author, view)
        view.follow(authors)
        await sources.heard(authors - before)

    async def _extend(self, view: View) -> None:
        last = view.reached
        found, authors = await self.read(view.user, last, MAX_PAGE)
        if not view.alive:
            return
        if authors != view.authors:
            self.drop(view.user)
        elif view.reached == last:
            view.extend(map(self.outboxes.take, found.posts), found.last)

    async def _replace(self, view: View) -> None:
        try:
            await self._reopen(view.user)
        finally:
            self._close(view)

    async def _reopen(self, user: str) -> None:
        while self.visits.has(user):
            try:
                await self.view(user)
            except Refused as error:
                log.warning("feed not loaded anew", user=user, error=error.message)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _show(self, views: Iterable[View], post: Post, row: Message, *, is_change: bool) -> None:
        name, event = format_id(post.id), b""
        for view in views:
            taken = view.take(post)
            if taken is Taken.ADDED or (post.gone and taken is Taken.KNOWN):
                self.visits.added(view.user)
            if is_change and taken is not Taken.ADDED and self.visits.has(view.user):
                event = event or wire.post_changed_event(row)
                self.visits.changed(view.user, name, event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # Whoever waits gets a refusal; with nobody waiting it is nobody's.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Refused):
            log.error("a feed could not be loaded", error=repr(error))
