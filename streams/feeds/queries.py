"""Answers to queries about outboxes and feeds, from what is kept.

Each answer about a range says how far it is complete, so that whoever merges several knows
what they can rely on.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from streams.errors import Code, Refused
from streams.feeds import inboxes
from streams.feeds.commands import FeedQuery, OutboxQuery
from streams.feeds.order import Place, place, post_id
from streams.ids import AUTHOR, SYSTEM, author_of
from streams.mailboxes.layout import decode_message
from streams.mailboxes.view import View
from streams.topics import MAX_ANSWER
from tables.keys import follow_key, message_key, parse_key, snapshot_key
from tables.partition import Partition
from tables.rows import Delivery, Message, PostId

_MAX_EXAMINED = 2_000


def outboxes_of(query: OutboxQuery) -> list[str]:
    """The outboxes that a query is about, besides its own."""
    return [AUTHOR + name for name in (*query.authors, *(author for author, _ in query.posts))]


def answer_outbox(partition: Partition, query: OutboxQuery) -> dict[str, Any]:
    """The answer to a query about outboxes; raises `Refused`."""
    if query.what == "author":
        return _author(View(partition), query)
    if query.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only `system` reads outboxes: ask for the author's facts")
    return _timeline(partition, query) if query.what == "timeline" else _posts(partition, query)


def _author(view: View, query: OutboxQuery) -> dict[str, Any]:
    state = view.state(query.mailbox)
    row = view.member(query.mailbox, query.by)
    delivery = (state.delivery if state else None) or Delivery()
    return {
        "mailbox": query.mailbox,
        "author": author_of(query.mailbox),
        "posts": view.head(query.mailbox).seq,
        "followers": state.members if state else 0,
        "mode": delivery.mode,
        "pushes": delivery.pushes,
        "follows": row is not None and not row.blocked,
        "blocked": row is not None and row.blocked,
    }


class _Next(NamedTuple):
    """The next post of one outbox, without its body: there may be one of each of many authors."""

    place: Place
    post: PostId
    hidden: bool


def _timeline(partition: Partition, query: OutboxQuery) -> dict[str, Any]:
    outboxes = [_from(partition, name, query.last) for name in dict.fromkeys(query.authors)]
    posts: list[orjson.Fragment] = []
    reached: PostId | None = None
    size = 0
    for examined, (_, post, hidden) in enumerate(heapq.merge(*outboxes, key=_place_of)):
        raw = b"" if hidden else partition.raw(message_key(AUTHOR + post.author, post.seq)) or b""
        size += len(raw)
        full = len(posts) == query.limit or examined == _MAX_EXAMINED
        if full or (posts and size > MAX_ANSWER):
            return {"posts": posts, "reached": _plain(reached)}
        reached = post
        if raw:
            posts.append(orjson.Fragment(raw))
    return {"posts": posts, "reached": None}


_place_of = attrgetter("place")


def _from(partition: Partition, author: str, last: PostId | None) -> Iterator[_Next]:
    """The posts of an author after a place, newest first."""
    mailbox = AUTHOR + author
    view = View(partition)
    newest = view.head(mailbox).seq
    if last is not None:
        newest = _last_before(view, mailbox, newest, place(last))
    for seq in range(newest, 0, -1):
        found = _next(partition.raw(message_key(mailbox, seq)))
        if found is not None:
            yield found


def _next(raw: bytes | None) -> _Next | None:
    if raw is None:
        return None
    row = decode_message(raw)
    post = post_id(row)
    return _Next(place(post), post, _is_hidden(row))


def _last_before(view: View, mailbox: str, head: int, after: Place) -> int:
    """The highest seq whose place comes after `after`: an author's times only grow."""

    def is_passed(seq: int) -> bool:
        row = view.message(mailbox, seq)
        return row is not None and place(post_id(row)) <= after

    return bisect_left(range(1, head + 1), True, key=is_passed)


def _posts(partition: Partition, query: OutboxQuery) -> dict[str, Any]:
    keys = [message_key(AUTHOR + author, seq) for author, seq in query.posts]
    found = partition.raw_within(keys, MAX_ANSWER)
    return {"posts": [_shown(raw) for raw in found]}


def _shown(raw: bytes | None) -> orjson.Fragment | None:
    return None if raw is None or _is_hidden(decode_message(raw)) else orjson.Fragment(raw)


def _is_hidden(row: Message) -> bool:
    return bool(row.recalled) or row.pushing


def answer_feed(partition: Partition, query: FeedQuery) -> dict[str, Any]:
    """The answer to a query about a user's feed; raises `Refused`."""
    if query.by not in (query.user, SYSTEM):
        raise Refused(Code.FORBIDDEN, "a feed is its user's")
    match query.what:
        case "follows":
            return _follows(partition, query)
        case "inbox":
            return _inbox(partition, query)
        case "snapshot":
            return _snapshot(partition, query)


def _follows(partition: Partition, query: FeedQuery) -> dict[str, Any]:
    follows: list[tuple[str, bool, tuple[int, int]]] = []
    prefix = follow_key(query.user, "")
    number = partition.get(inboxes.followed_key(query.user), inboxes.decode_number) or 0
    for key, value in partition.scan(prefix, after=follow_key(query.user, query.after)):
        row = inboxes.decode_follow(value)
        if not row.following:
            continue
        if len(follows) == query.limit:
            return {"follows": follows, "number": number, "more": True}
        follows.append((parse_key(key).name, row.pulled, row.upto))
    return {"follows": follows, "number": number, "more": False}


def _inbox(partition: Partition, query: FeedQuery) -> dict[str, Any]:
    box = partition.get(inboxes.box_key(query.user), inboxes.decode_box) or inboxes.EMPTY
    after = b"" if query.last is None else inboxes.order_key(query.user, query.last)
    posts: list[tuple[Any, ...]] = []
    reached = None
    for key, _ in partition.scan(inboxes.order_prefix(query.user), after=after):
        if len(posts) == query.limit:
            reached = posts[-1]
            break
        posts.append(tuple(inboxes.post_of(key)))
    return {"posts": posts, "reached": reached, "floor": _plain(box.floor), "seen": box.seen}


def _snapshot(partition: Partition, query: FeedQuery) -> dict[str, Any]:
    for slot in range(inboxes.SNAPSHOTS):
        row = partition.find(snapshot_key(query.user, slot), inboxes.decode_snapshot)
        if row is not None and row.id == query.id:
            return {"id": row.id, "made": row.made, "posts": [tuple(post) for post in row.posts]}
    raise Refused(Code.NOT_FOUND, "there is no such snapshot any more: ask for the first page anew")


def _plain(post: PostId | None) -> tuple[Any, ...] | None:
    """A post as orjson takes it."""
    return None if post is None else tuple(post)
