"""What the rules of an outbox work on: its posts, its followers, and what is sent to their inboxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams.decisions import Changes, Effect, Moment, Outcome
from streams.errors import Code, Refused
from streams.feeds.commands import BACKFILL, AuthorCommand, Followed, Pushed, SwitchOn, Unfollowed
from streams.feeds.limits import FeedLimits
from streams.ids import SYSTEM, author_of
from streams.mailboxes.view import View
from streams.partitioning import partition_of
from tables.keys import member_key, message_key, state_key
from tables.rows import ORIGIN, Delivery, Member, Message, Policy, State

HYSTERESIS = 0.8
"""An author who is pulled is pushed again with fewer followers than this share of the threshold."""

_TOLD_AT_ONCE = 100
"""Users whom one command gives a follow with posts: each gets up to `BACKFILL` rows more."""

_ENDED_AT_ONCE = 10
"""Users whom one command tells that a follow has ended: each may have an inbox full of the author's posts to clear."""


class Chunk(NamedTuple):
    """Followers who get posts pushed, and the last one looked at; "" if nobody comes after."""

    names: list[str]
    last: str


class Outbox:
    """An outbox, and what one command does to it."""

    def __init__(self, view: View, c: AuthorCommand, moment: Moment, limits: FeedLimits) -> None:
        self.view = view
        self.mailbox = c.mailbox
        self.author = author_of(c.mailbox)
        self.now = moment.now
        self.offset = moment.offset
        self.changes = Changes(moment)
        self._effects: list[Effect] = []
        self._limits = limits
        before = view.state(c.mailbox)
        self._is_new = before is None
        self._before = before or _new(self.author, getattr(c, "id", ""))
        self.state = self._before

    @property
    def delivery(self) -> Delivery:
        """How posts get to followers."""
        return self.state.delivery or Delivery()

    def post(self, seq: int) -> Message:
        """A post that stands; refuses what is none."""
        post = self.view.message(self.mailbox, seq)
        if post is None or post.recalled:
            raise Refused(Code.NOT_FOUND, f"{self.author} has no post {seq}")
        return post

    def put_post(self, post: Message) -> None:
        """Write a post."""
        self.changes.put(message_key(self.mailbox, post.seq), post)

    def put_member(self, name: str, member: Member) -> None:
        """Write a follower, or somebody who is blocked."""
        self.changes.put(member_key(self.mailbox, name), member)

    def drop_member(self, name: str) -> None:
        """Remove a follower, or a block."""
        self.changes.drop(member_key(self.mailbox, name))

    def counted(self, change: int) -> None:
        """Count followers."""
        self.state = replace(self.state, members=self.state.members + change)

    def chunk(self, after: str) -> Chunk:
        """The followers after `after`, as many as one command handles."""
        size = self._limits.chunk
        rows = list(islice(self.view.members(self.mailbox, after), size + 1))
        last = rows[size - 1][0] if len(rows) > size else ""
        return Chunk([name for name, row in rows[:size] if not (row.idle or row.blocked)], last)

    def push(self, names: Iterable[str], post: Message) -> None:
        """Send a reference to followers' inboxes."""
        for partition, users in self._by_partition(names):
            command = Pushed(
                mailbox=self.mailbox, by=SYSTEM, users=tuple(users), seq=post.seq, ts=post.ts
            )
            self._effects.append(Effect(self.mailbox, command, partition))

    def tell(self, names: Iterable[str], follow: int | None = None) -> None:
        """Tell followers how they get the posts from here on; `follow` if they begin with that."""
        pulled = self.delivery.switching == "pull" or not self.delivery.pushes
        upto, posts = ((0, 0), ()) if pulled else self._last_posts()
        for partition, users in self._by_partition(names):
            for some in _slices(users, _TOLD_AT_ONCE):
                command = Followed(
                    mailbox=self.mailbox,
                    by=SYSTEM,
                    users=some,
                    src=self.offset,
                    follow=follow,
                    pulled=pulled,
                    upto=upto,
                    posts=posts,
                )
                self._effects.append(Effect(self.mailbox, command, partition))

    def tell_end(self, names: Iterable[str]) -> None:
        """Tell users that they don't follow any more."""
        for partition, users in self._by_partition(names):
            for some in _slices(users, _ENDED_AT_ONCE):
                command = Unfollowed(mailbox=self.mailbox, by=SYSTEM, users=some, src=self.offset)
                self._effects.append(Effect(self.mailbox, command, partition))

    def go_on(self, command: AuthorCommand) -> None:
        """Continue with a command of one's own."""
        self._effects.append(Effect(self.mailbox, command))

    def settle(self) -> None:
        """Begin to switch the delivery where the number of followers or the mode asks for it."""
        delivery = self.delivery
        wanted = _wants_push(delivery, self.state.members, self._limits)
        if not delivery.switching and wanted != delivery.pushes:
            self._deliver(
                replace(delivery, pushes=True, switching="push" if wanted else "pull", told="")
            )
            self.switch()

    def switch(self) -> None:
        """Tell the next followers of the delivery that is switched to."""
        delivery = self.delivery
        chunk = self.chunk(delivery.told)
        self.tell(chunk.names)
        if chunk.last:
            self._deliver(replace(delivery, told=chunk.last))
            self.go_on(SwitchOn(mailbox=self.mailbox, by=SYSTEM, after=chunk.last))
        else:
            pushes = delivery.switching == "push"
            self._deliver(replace(delivery, pushes=pushes, switching="", told=""))

    def choose(self, mode: str) -> None:
        """Take the mode that was chosen for this author."""
        self._deliver(replace(self.delivery, mode=mode))

    def outcome(self, **result: Any) -> Outcome:
        """All that the command does; the state is written where it has changed."""
        if self.state != self._before or (self._is_new and self.changes):
            self.changes.put(state_key(self.mailbox), self.state)
        return Outcome(self.changes, self._effects, {"mailbox": self.mailbox, **result})

    def _deliver(self, delivery: Delivery) -> None:
        self.state = replace(self.state, delivery=delivery)

    def _last_posts(self) -> tuple[tuple[int, int], tuple[tuple[int, int], ...]]:
        """(ts, seq) of the last post that followers' inboxes get not, and of those that they get."""
        head = self.view.head(self.mailbox).seq
        first = max(0, head - BACKFILL)
        rows = [self.view.message(self.mailbox, seq) for seq in range(first + 1, head + 1)]
        posts = tuple((row.ts, row.seq) for row in rows if row is not None and not row.recalled)
        before = self.view.message(self.mailbox, first) if first else None
        return (before.ts, first) if before else (0, 0), posts

    def _by_partition(self, names: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        users = defaultdict(list)
        for name in names:
            users[partition_of(name, self._limits.partitions)].append(name)
        yield from users.items()


def _new(author: str, epoch: str) -> State:
    """An outbox exists with its first row."""
    return State(ORIGIN, epoch, author, Policy(), delivery=Delivery())


def _wants_push(delivery: Delivery, followers: int, limits: FeedLimits) -> bool:
    mode = limits.mode if delivery.mode == "auto" else delivery.mode
    if mode != "hybrid":
        return mode == "push"
    return followers <= limits.threshold * (1.0 if delivery.pushes else HYSTERESIS)


def _slices(names: list[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), size):
        yield tuple(names[start : start + size])
