"""The rules of those who follow: what comes into an inbox, and what must be pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from streams.decisions import Changes, Effect, Moment, Outcome
from streams.errors import Code, Refused
from streams.feeds import inboxes
from streams.feeds.commands import (
    SEEN_MS,
    Awake,
    Followed,
    FollowersCommand,
    Idle,
    KeepSnapshot,
    Pushed,
    Seen,
    Unfollowed,
)
from streams.feeds.inboxes import (
    EMPTY,
    SNAPSHOTS,
    Box,
    box_key,
    decode_box,
    decode_follow,
    decode_number,
    decode_reference,
    decode_snapshot,
    order_key,
)
from streams.feeds.limits import FeedLimits
from streams.feeds.order import place
from streams.ids import AUTHOR, SYSTEM, author_of
from tables.keys import follow_key, inbox_key, parse_key, reference_key, snapshot_key
from tables.overlay import Overlay
from tables.rows import ORIGIN, Follow, Inbox, PostId, Reference, Snapshot

_DAY = 86_400_000


def prefetch(rows: Overlay, pushes: Iterable[Pushed]) -> None:
    """Read in bulk what pushes will ask for."""
    pairs = [(user, PostId(c.ts, c.seq, author_of(c.mailbox))) for c in pushes for user in c.users]
    rows.prefetch({follow_key(user, post.author): None for user, post in pairs}, decode_follow)
    rows.prefetch({order_key(user, post): None for user, post in pairs}, decode_number)
    rows.prefetch({box_key(user): None for user, _ in pairs}, decode_box)


def decide(rows: Overlay, c: Any, moment: Moment, limits: FeedLimits) -> Outcome:
    """What a command does; raises `Refused`."""
    return _RULES[type(c)](rows, c, moment, limits)


def followed(rows: Overlay, c: Followed, moment: Moment, limits: FeedLimits) -> Outcome:
    """Users follow, or hear how they get the posts from here on."""
    _require_system(c)
    changes, author = Changes(moment), author_of(c.mailbox)
    for user in dict.fromkeys(c.users):
        key = follow_key(user, author)
        before: Follow | None = rows.find(key, decode_follow)
        if before is not None and c.src <= before.src:
            continue
        row = _followed(before, c, moment.now)
        if row is None:
            continue
        changes.put(key, row)
        if not row.pulled:
            _fill(rows, changes, user, [PostId(ts, seq, author) for ts, seq in c.posts], limits)
    return Outcome(changes, [], None)


def _followed(before: Follow | None, c: Followed, now: int) -> Follow | None:
    if c.follow is not None:
        return Follow(ORIGIN, c.src, c.follow, now, pulled=c.pulled, upto=c.upto)
    if before is None or not before.following:
        return None
    if before.idle:
        # Whoever is away pulls whatever the author does; what they get when they are back is said then.
        return replace(before, src=c.src)
    return replace(before, src=c.src, pulled=c.pulled, upto=c.upto)


def unfollowed(rows: Overlay, c: Unfollowed, moment: Moment, limits: FeedLimits) -> Outcome:
    """Users follow no more; the author's posts leave their inboxes."""
    _require_system(c)
    changes, author = Changes(moment), author_of(c.mailbox)
    for user in dict.fromkeys(c.users):
        key = follow_key(user, author)
        before: Follow | None = rows.find(key, decode_follow)
        if before is not None and c.src > before.src:
            changes.put(key, Follow(ORIGIN, c.src, following=False))
            _clear(rows, changes, user, author)
    return Outcome(changes, [], None)


def _clear(rows: Overlay, changes: Changes, user: str, author: str) -> None:
    kept = rows.scan(reference_key(user, 0)[:-4])
    gone = [key for key, value in kept if decode_reference(value).post.author == author]
    if not gone:
        return
    for key in gone:
        changes.drop(key)
    # What the references alone said of the inbox goes with them, so it is said here.
    box = _box(rows, user)
    changes.put(inbox_key(user), Inbox(ORIGIN, box.number, box.floor, box.seen))


def pushed(rows: Overlay, c: Pushed, moment: Moment, limits: FeedLimits) -> Outcome:
    """A post comes into inboxes: of those who follow, haven't got it, and look now and then."""
    _require_system(c)
    changes, effects = Changes(moment), []
    post = PostId(c.ts, c.seq, author_of(c.mailbox))
    away = moment.now - limits.idle_days * _DAY
    for user in dict.fromkeys(c.users):
        key = follow_key(user, post.author)
        follow: Follow | None = rows.find(key, decode_follow)
        if follow is None or not follow.following or follow.pulled or c.seq <= follow.upto[1]:
            continue
        if max(follow.since, _box(rows, user).seen) < away:
            changes.put(key, replace(follow, pulled=True, idle=True))
            command = Idle(mailbox=c.mailbox, by=SYSTEM, member=user, follow=follow.follow)
            effects.append(Effect(c.mailbox, command))
        else:
            _fill(rows, changes, user, [post], limits)
    return Outcome(changes, effects, None)


def _fill(
    rows: Overlay, changes: Changes, user: str, posts: list[PostId], limits: FeedLimits
) -> None:
    """Put posts into an inbox that are not in it, and not among what it has displaced."""
    box = _box(rows, user)
    for post in posts:
        if box.floor is not None and place(post) >= place(box.floor):
            continue
        if rows.find(order_key(user, post), decode_number) is not None:
            continue
        slot = box.number % limits.inbox
        key = reference_key(user, slot)
        displaced = None if slot == box.number else rows.find(key, decode_reference)
        if displaced is not None:
            box = inboxes.with_floor(box, displaced.post)
        changes.put(key, Reference(ORIGIN, box.number, post, box.floor))
        box = replace(box, number=box.number + 1)


def seen(rows: Overlay, c: Seen, moment: Moment, limits: FeedLimits) -> Outcome:
    """The user looks: authors who had stopped pushing hear of it."""
    _require_self(c)
    box = _box(rows, c.user)
    changes, effects = Changes(moment), []
    if moment.now - box.seen >= SEEN_MS:
        changes.put(inbox_key(c.user), Inbox(ORIGIN, box.number, box.floor, moment.now))
        for key, value in rows.scan(follow_key(c.user, "")):
            follow = decode_follow(value)
            if follow.following and follow.idle:
                mailbox = AUTHOR + parse_key(key).name
                command = Awake(mailbox=mailbox, by=SYSTEM, member=c.user, follow=follow.follow)
                effects.append(Effect(mailbox, command))
    return Outcome(changes, effects, {"user": c.user})


def keep_snapshot(rows: Overlay, c: KeepSnapshot, moment: Moment, limits: FeedLimits) -> Outcome:
    """Keep a snapshot in place of the oldest."""
    _require_self(c)
    keys = [snapshot_key(c.user, slot) for slot in range(SNAPSHOTS)]
    kept: list[Snapshot | None] = [rows.find(key, decode_snapshot) for key in keys]
    changes = Changes(moment)
    if not any(one is not None and one.id == c.id for one in kept):
        oldest = min(range(SNAPSHOTS), key=lambda slot: _made(kept[slot]))
        changes.put(keys[oldest], Snapshot(ORIGIN, c.id, moment.now, c.posts))
    return Outcome(changes, [], {"user": c.user, "id": c.id})


_RULES: dict[type, Callable[[Overlay, Any, Moment, FeedLimits], Outcome]] = {
    Followed: followed,
    Unfollowed: unfollowed,
    Pushed: pushed,
    Seen: seen,
    KeepSnapshot: keep_snapshot,
}


def _made(snapshot: Snapshot | None) -> int:
    return -1 if snapshot is None else snapshot.made


def _box(rows: Overlay, user: str) -> Box:
    return rows.get(box_key(user), decode_box) or EMPTY


def _require_system(c: FollowersCommand) -> None:
    if c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "following is a command to the author's outbox")


def _require_self(c: Seen | KeepSnapshot) -> None:
    if c.by not in (c.user, SYSTEM):
        raise Refused(Code.FORBIDDEN, "a feed is its user's")
