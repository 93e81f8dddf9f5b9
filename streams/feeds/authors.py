"""The rules of outboxes: posts, followers, and how the ones get to the others.

A post is pushed (a reference for each follower's inbox) or left in the outbox for them to pull.
What keeps feeds complete at every moment is the order in which things become durable: effects are
stored before the rows of the same command. So references lie in the inboxes' command log before
the post is visible to anybody, and followers have been told to pull before a post is no longer pushed.

What is about more followers than one command handles goes on by a command to the outbox itself.
A post is marked `pushing` until the last of them has it; a switch of the delivery pushes until the
last of them is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams import bodies
from streams.decisions import Changes, Effect, Moment, Outcome
from streams.errors import Code, Refused
from streams.feeds.commands import (
    BACKFILL,
    AuthorCommand,
    Awake,
    Block,
    Delete,
    Edit,
    Follow,
    Followed,
    FollowersChange,
    Idle,
    Post,
    Pushed,
    PushOn,
    SetMode,
    SetState,
    SwitchOn,
    Unblock,
    Unfollow,
    Unfollowed,
)
from streams.feeds.limits import FeedLimits
from streams.ids import SYSTEM, author_of
from streams.mailboxes.view import View
from streams.partitioning import partition_of
from streams.rate import advance, pace_of, refuse
from tables.keys import member_key, message_key, pushing_key, state_key
from tables.rows import (
    NO_BODY,
    ORIGIN,
    Delivery,
    Member,
    Message,
    Policy,
    Pushing,
    State,
)

HYSTERESIS = 0.8
"""An author who is pulled is pushed again with fewer followers than this share of the threshold."""

_TOLD_AT_ONCE = 100
"""Users whom one command gives a follow with posts: each gets up to `BACKFILL` rows more."""

_ENDED_AT_ONCE = 10
"""Users whom one command tells that a follow has ended: each may have an inbox full of the author's posts to clear."""


def decide(view: View, c: Any, moment: Moment, limits: FeedLimits) -> Outcome:
    """What a command does; raises `Refused`."""
    rule = _RULES.get(type(c))
    if rule is None:
        raise Refused(
            Code.BAD_REQUEST, "an outbox takes post, edit, delete, state, follow, unfollow, block"
        )
    return rule(_Outbox(view, c, moment, limits), c)


class _Chunk(NamedTuple):
    """Followers who get posts pushed, and the last one looked at; "" if nobody comes after."""

    names: list[str]
    last: str


class _Outbox:
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

    def chunk(self, after: str) -> _Chunk:
        """The followers after `after`, as many as one command handles."""
        size = self._limits.chunk
        rows = list(islice(self.view.members(self.mailbox, after), size + 1))
        last = rows[size - 1][0] if len(rows) > size else ""
        return _Chunk([name for name, row in rows[:size] if not (row.idle or row.blocked)], last)

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


def post(outbox: _Outbox, c: Post) -> Outcome:
    """Give a post the next seq, and push it to the first followers if that is how they get it."""
    _require_author(outbox, c)
    seq = outbox.view.seq_of(c.mailbox, c.id)
    if seq is not None:
        return _posted_before(outbox, c, seq)
    head = outbox.view.head(c.mailbox)
    pace = pace_of(outbox.state.policy.member_rate)
    arrival, early = advance(head.arrival, pace, outbox.now * 1_000)
    if early and c.by != SYSTEM:
        refuse(early)
    # Pages find their place by time: it never goes back, whatever a broker's clock does.
    last = outbox.view.message(c.mailbox, head.seq)
    row = Message(
        ORIGIN,
        head.seq + 1,
        c.id,
        outbox.author,
        outbox.now if last is None else max(outbox.now, last.ts),
        c.body,
        (arrival, 0),
        state=c.state or "",
    )
    outbox.settle()
    if outbox.delivery.pushes:
        chunk = outbox.chunk("")
        outbox.push(chunk.names, row)
        if chunk.last:
            row = replace(row, pushing=True)
            _push_on(outbox, row.seq, chunk.last)
    outbox.put_post(row)
    return outbox.outcome(**_receipt(row))


def _posted_before(outbox: _Outbox, c: Post, seq: int) -> Outcome:
    row = outbox.view.message(c.mailbox, seq)
    if row is None or not (row.recalled or row.edited or bodies.same(row.body, c.body)):
        raise Refused(Code.CONFLICT, "this id was used with another body; use a new UUID")
    # The very same record, decided again after a restart, is no duplicate.
    duplicate = {} if row.at.offset == outbox.offset else {"duplicate": True}
    return outbox.outcome(**_receipt(row), **duplicate)


def _receipt(row: Message) -> dict[str, Any]:
    return {"id": row.id, "seq": row.seq, "ts": row.ts}


def push_on(outbox: _Outbox, c: PushOn) -> Outcome:
    """Push a post to the next followers; the last ones make it visible."""
    _require_system(c)
    pushing = outbox.view.pushing(c.mailbox, c.seq)
    row = outbox.view.message(c.mailbox, c.seq)
    if pushing is None or row is None or pushing.after != c.after:
        return outbox.outcome()
    chunk = _Chunk([], "") if row.recalled else outbox.chunk(c.after)
    outbox.push(chunk.names, row)
    if chunk.last:
        _push_on(outbox, c.seq, chunk.last)
    else:
        outbox.changes.drop(pushing_key(c.mailbox, c.seq))
        outbox.put_post(replace(row, pushing=False))
    return outbox.outcome()


def _push_on(outbox: _Outbox, seq: int, after: str) -> None:
    outbox.changes.put(pushing_key(outbox.mailbox, seq), Pushing(ORIGIN, after))
    outbox.go_on(PushOn(mailbox=outbox.mailbox, by=SYSTEM, seq=seq, after=after))


def switch_on(outbox: _Outbox, c: SwitchOn) -> Outcome:
    """Tell the next followers how they get posts from here on."""
    _require_system(c)
    if outbox.delivery.switching and outbox.delivery.told == c.after:
        # Another switch waits for the next post or follower: of two tellings with one `src` the first counts.
        outbox.switch()
    return outbox.outcome()


def edit(outbox: _Outbox, c: Edit) -> Outcome:
    """Give a post another body."""
    _require_author(outbox, c)
    row = outbox.post(c.seq)
    if bodies.same(row.body, c.body):
        return outbox.outcome(seq=c.seq)
    outbox.put_post(replace(row, body=c.body, edited=outbox.now))
    return outbox.outcome(seq=c.seq, offset=outbox.offset)


def delete(outbox: _Outbox, c: Delete) -> Outcome:
    """Take a post's body away; its seq and id stay."""
    _require_author(outbox, c)
    row = outbox.view.message(c.mailbox, c.seq)
    if row is None:
        raise Refused(Code.NOT_FOUND, f"{outbox.author} has no post {c.seq}")
    if row.recalled:
        return outbox.outcome(seq=c.seq)
    head = outbox.view.head(c.mailbox).seq
    outbox.put_post(replace(row, body=NO_BODY, state="", recalled=head, recalled_by=c.by))
    return outbox.outcome(seq=c.seq, offset=outbox.offset)


def set_state(outbox: _Outbox, c: SetState) -> Outcome:
    """Set what a post is now."""
    _require_author(outbox, c)
    row = outbox.post(c.seq)
    if row.state == (c.state or ""):
        return outbox.outcome(seq=c.seq, state=c.state)
    outbox.put_post(replace(row, state=c.state or ""))
    return outbox.outcome(seq=c.seq, state=c.state, offset=outbox.offset)


def follow(outbox: _Outbox, c: Follow) -> Outcome:
    """Add followers; those who follow already stay as they are."""
    names = _themselves(c)
    rows = {name: outbox.view.member(c.mailbox, name) for name in names}
    for name, row in rows.items():
        if row is not None and row.blocked:
            raise Refused(Code.FORBIDDEN, f"{outbox.author} has blocked {name}")
    added = [name for name, row in rows.items() if row is None]
    if added:
        joined = outbox.view.head(c.mailbox).seq
        for name in added:
            outbox.put_member(name, Member(ORIGIN, joined, follow=outbox.offset))
        outbox.counted(len(added))
        outbox.settle()
        outbox.tell(added, follow=outbox.offset)
    return outbox.outcome(followers=outbox.state.members)


def unfollow(outbox: _Outbox, c: Unfollow) -> Outcome:
    """Remove followers."""
    _remove(outbox, _followers_among(outbox, _themselves(c)))
    return outbox.outcome(followers=outbox.state.members)


def block(outbox: _Outbox, c: Block) -> Outcome:
    """Keep users from following; those who do are removed."""
    names = _named(outbox, c)
    if outbox.author in names:
        raise Refused(Code.BAD_REQUEST, "authors don't block themselves")
    rows = {name: outbox.view.member(c.mailbox, name) for name in names}
    fresh = [name for name, row in rows.items() if row is None or not row.blocked]
    joined = outbox.view.head(c.mailbox).seq
    for name in fresh:
        outbox.put_member(name, Member(ORIGIN, joined, blocked=True))
    _ended(outbox, [name for name in fresh if rows[name] is not None])
    return outbox.outcome(followers=outbox.state.members)


def unblock(outbox: _Outbox, c: Unblock) -> Outcome:
    """Let users follow again."""
    for name in _named(outbox, c):
        row = outbox.view.member(c.mailbox, name)
        if row is not None and row.blocked:
            outbox.drop_member(name)
    return outbox.outcome(followers=outbox.state.members)


def set_mode(outbox: _Outbox, c: SetMode) -> Outcome:
    """Choose how this author's posts get to followers."""
    _require_system(c)
    if outbox.delivery.mode != c.mode:
        outbox.choose(c.mode)
        outbox.settle()
    return outbox.outcome(mode=c.mode)


def idle(outbox: _Outbox, c: Idle) -> Outcome:
    """Push nothing more to a follower who has not looked for long, and who knows to pull."""
    _require_system(c)
    row = outbox.view.member(c.mailbox, c.member)
    if row is not None and row.follow == c.follow and not row.idle:
        outbox.put_member(c.member, replace(row, idle=True))
    return outbox.outcome()


def awake(outbox: _Outbox, c: Awake) -> Outcome:
    """Push again to a follower who is back."""
    _require_system(c)
    row = outbox.view.member(c.mailbox, c.member)
    if row is not None and row.follow == c.follow and row.idle:
        outbox.put_member(c.member, replace(row, idle=False, follow=outbox.offset))
        outbox.tell([c.member], follow=outbox.offset)
    return outbox.outcome()


_RULES: dict[type, Callable[[_Outbox, Any], Outcome]] = {
    Post: post,
    Edit: edit,
    Delete: delete,
    SetState: set_state,
    Follow: follow,
    Unfollow: unfollow,
    Block: block,
    Unblock: unblock,
    SetMode: set_mode,
    PushOn: push_on,
    SwitchOn: switch_on,
    Idle: idle,
    Awake: awake,
}


def _new(author: str, epoch: str) -> State:
    """An outbox exists with its first row."""
    return State(ORIGIN, epoch, author, Policy(), delivery=Delivery())


def _wants_push(delivery: Delivery, followers: int, limits: FeedLimits) -> bool:
    mode = limits.mode if delivery.mode == "auto" else delivery.mode
    if mode != "hybrid":
        return mode == "push"
    return followers <= limits.threshold * (1.0 if delivery.pushes else HYSTERESIS)


def _require_author(outbox: _Outbox, c: AuthorCommand) -> None:
    if c.by not in (outbox.author, SYSTEM):
        raise Refused(Code.FORBIDDEN, "an outbox is its author's")


def _require_system(c: AuthorCommand) -> None:
    if c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only `system` may do that")


def _themselves(c: FollowersChange) -> tuple[str, ...]:
    """Who is to follow or to follow no more: the sender, or whomever `system` names."""
    names = tuple(dict.fromkeys(c.members or (c.by,)))
    if names != (c.by,) and c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "users follow for themselves: leave `members` out")
    if SYSTEM in names:
        raise Refused(Code.BAD_REQUEST, "'system' follows nobody: name the followers in `members`")
    return names


def _named(outbox: _Outbox, c: FollowersChange) -> tuple[str, ...]:
    _require_author(outbox, c)
    if c.members is None:
        raise Refused(Code.BAD_REQUEST, "`members` names the users")
    return tuple(dict.fromkeys(c.members))


def _followers_among(outbox: _Outbox, names: Iterable[str]) -> list[str]:
    rows = {name: outbox.view.member(outbox.mailbox, name) for name in names}
    return [name for name, row in rows.items() if row is not None and not row.blocked]


def _remove(outbox: _Outbox, names: list[str]) -> None:
    for name in names:
        outbox.drop_member(name)
    _ended(outbox, names)


def _ended(outbox: _Outbox, names: list[str]) -> None:
    """What follows from it that followers are followers no more."""
    if names:
        # Told before a switch tells all who still have a row here: of two with one `src` the first counts.
        outbox.tell_end(names)
        outbox.counted(-len(names))
        outbox.settle()


def _slices(names: list[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), size):
        yield tuple(names[start : start + size])
