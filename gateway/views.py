"""What one user's open feed holds in memory."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from enum import Enum, auto
from operator import attrgetter
from typing import NamedTuple

from gateway.outboxes import Post
from streams.feeds.order import Place, place
from tables.rows import PostId

VIEW_POSTS = 200
"""The newest posts that a view holds; where they are ranked, as many as a snapshot holds."""

SPARE = 100
"""Posts beyond that before the oldest are cut off."""

SNAPSHOTS = 4
"""Snapshots remembered of a user: as many as their partition keeps."""

_place_of = attrgetter("place")


class Taken(Enum):
    """What a post is to a view."""

    ADDED = auto()
    KNOWN = auto()
    BEYOND = auto()


class Kept(NamedTuple):
    """A snapshot: the order in which a visit sees its feed. Times are in ms since 1970."""

    id: str
    expires: int
    posts: tuple[PostId, ...]


class View:
    """A user's feed, complete down to the post `reached` (None: to the oldest).

    authors: whom the user follows, once that is known. turned: who was followed or left while it is asked.
    alive: whether the logs keep it current. seen: when the user's look was kept last (ms since 1970).
    heard: what the log has brought while older posts are being asked for.
    """

    __slots__ = (
        "alive",
        "authors",
        "capacity",
        "heard",
        "loading",
        "lock",
        "posts",
        "reached",
        "seen",
        "snapshots",
        "turned",
        "user",
    )

    def __init__(self, user: str) -> None:
        self.user = user
        self.alive = True
        self.authors: frozenset[str] | None = None
        self.turned: dict[str, bool] | None = {}
        self.capacity = VIEW_POSTS
        self.heard: list[Post] | None = []
        self.loading: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        self.posts: list[Post] = []
        self.reached: PostId | None = None
        self.seen = 0
        self.snapshots: dict[str, Kept] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether pages can be read from it."""
        task = self.loading
        return task is not None and task.done() and not task.cancelled() and not task.exception()

    @property
    def top(self) -> Place | None:
        """The place of the newest post."""
        return self.posts[0].place if self.posts else None

    def follow(self, authors: Iterable[str]) -> None:
        """Take it that the user follows these authors, and nobody else; what was heard of others is forgotten."""
        self.authors = frozenset(authors)
        if self.heard is not None:
            self.heard = [post for post in self.heard if post.id.author in self.authors]

    def after(self, last: PostId | None, limit: int) -> list[Post] | None:
        """The posts after a place; None if they go further back than the view."""
        start = 0 if last is None else bisect_right(self.posts, place(last), key=_place_of)
        if start + limit > len(self.posts) and self.reached is not None:
            return None
        return self.posts[start : start + limit]

    def ends_with(self, posts: list[Post]) -> bool:
        """Whether nothing comes after these."""
        return self.reached is None and (not posts or posts[-1:] == self.posts[-1:])

    def newer(self, than: Place | None) -> tuple[int, bool]:
        """How many posts are newer than a place, and whether there may be more of them."""
        if than is None:
            return len(self.posts), self.reached is not None
        count = bisect_left(self.posts, than, key=_place_of)
        return count, count == len(self.posts) and self.reached is not None

    def take(self, post: Post) -> Taken:
        """Take what the log says of a post."""
        if self.heard is not None:
            self.heard.append(post)
        at = bisect_left(self.posts, post.place, key=_place_of)
        is_here = at < len(self.posts) and self.posts[at].place == post.place
        if post.gone:
            if is_here:
                del self.posts[at]
            return Taken.KNOWN if is_here else Taken.BEYOND
        if is_here:
            self.posts[at] = post
            return Taken.KNOWN
        if self.heard is not None and not self.is_loaded:
            return Taken.BEYOND
        if self.reached is not None and post.place > place(self.reached):
            return Taken.BEYOND
        insort(self.posts, post, key=_place_of)
        self._trim()
        return Taken.ADDED

    def extend(self, posts: Iterable[Post], reached: PostId | None) -> None:
        """Take older posts, down to `reached`, and what was heard while they were asked for."""
        found = {post.place: post for post in (*self.posts, *posts, *(self.heard or ()))}
        end = None if reached is None else place(reached)
        self.reached = reached
        self.posts = [
            found[at] for at in sorted(found) if not found[at].gone and (end is None or at <= end)
        ]
        self._trim()

    def remember(self, snapshot: Kept) -> None:
        """Remember a snapshot in place of the oldest."""
        self.snapshots[snapshot.id] = snapshot
        if len(self.snapshots) > SNAPSHOTS:
            del self.snapshots[next(iter(self.snapshots))]

    def _trim(self) -> None:
        if len(self.posts) > self.capacity + SPARE:
            del self.posts[self.capacity :]
            self.reached = self.posts[-1].id
