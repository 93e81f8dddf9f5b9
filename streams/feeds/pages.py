"""Pages of a feed: inbox and outboxes merged, newest first.

A page goes on after any place in the order of feeds, so it is the same whatever came in above it. Each source
says how far it is complete; a page takes nothing beyond what all of them cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from streams.feeds.order import place, post_id
from tables.rows import Message, PostId


class Following(NamedTuple):
    """A user's following of an author: whether posts are pulled, and the last one that never was pushed."""

    author: str
    pulled: bool
    upto: tuple[int, int] = (0, 0)

    @property
    def lacks(self) -> PostId | None:
        """The newest post that the inbox may lack because it came before the follow."""
        ts, seq = self.upto
        return PostId(ts, seq, self.author) if seq else None


class References(NamedTuple):
    """References of an inbox, complete down to `reached` (None: to its end), but only above `floor`."""

    posts: Sequence[PostId]
    reached: PostId | None
    floor: PostId | None


class Timeline(NamedTuple):
    """Posts of some outboxes, complete down to `reached` (None: to the oldest)."""

    posts: Sequence[Message]
    reached: PostId | None


class Sources(Protocol):
    """Where pages come from."""

    async def inbox(self, user: str, last: PostId | None, limit: int) -> References:
        """The newest references of a user after `last`."""

    async def timelines(
        self, authors: Iterable[str], last: PostId | None, limit: int
    ) -> Iterable[Timeline]:
        """The newest posts of authors after `last`, in as many parts as there are partitions."""

    async def posts(self, posts: Sequence[PostId]) -> Mapping[PostId, Message]:
        """Those of the posts that stand."""


class Page(NamedTuple):
    """Posts, newest first. The next page goes on after `last`; None: this was the oldest."""

    posts: list[Message]
    last: PostId | None


class _Part(NamedTuple):
    """The next posts of a feed, those that are gone included, and the place that is reached by that."""

    posts: list[PostId]
    bodies: dict[PostId, Message]
    reached: PostId | None


async def read_page(
    sources: Sources, user: str, follows: Iterable[Following], last: PostId | None, limit: int
) -> Page:
    """The `limit` newest posts after `last` of those whom a user follows."""
    followed = {follow.author: follow for follow in follows}
    shown: list[Message] = []
    while True:
        part = await _read_part(sources, user, followed, last, limit - len(shown))
        missing = [post for post in part.posts if post not in part.bodies]
        bodies = {**part.bodies, **(await sources.posts(missing) if missing else {})}
        shown += [bodies[post] for post in part.posts if post in bodies]
        last = part.reached
        if last is None or len(shown) == limit:
            return Page(shown, last)


async def _read_part(
    sources: Sources,
    user: str,
    follows: Mapping[str, Following],
    last: PostId | None,
    limit: int,
) -> _Part:
    inbox = await sources.inbox(user, last, limit)
    below = _is_below(inbox)
    authors = [name for name, one in follows.items() if below or _is_pulled(one, inbox.reached)]
    timelines = await sources.timelines(authors, last, limit) if authors else ()
    # Where everybody is pulled, the inbox has nothing to add.
    references = () if below else (post for post in inbox.posts if post.author in follows)
    bodies = {post_id(row): row for timeline in timelines for row in timeline.posts}
    ends = [inbox.reached, *(timeline.reached for timeline in timelines)]
    reached = min((end for end in ends if end is not None), key=place, default=None)
    found = sorted({*references, *bodies}, key=place)
    covered = [post for post in found if reached is None or place(post) <= place(reached)]
    if len(covered) > limit:
        reached = covered[limit - 1]
    return _Part(covered[:limit], bodies, reached)


def _is_below(inbox: References) -> bool:
    """Whether the references go to where the inbox isn't complete any more."""
    if inbox.floor is None:
        return False
    return inbox.reached is None or place(inbox.reached) >= place(inbox.floor)


def _is_pulled(follow: Following, reached: PostId | None) -> bool:
    """Whether an outbox may have posts down to `reached` that were never pushed."""
    lacks = follow.lacks
    return follow.pulled or (
        lacks is not None and (reached is None or place(lacks) <= place(reached))
    )
