"""Answers to queries, from what is kept."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from heapq import merge
from typing import Any

import msgspec
import orjson

from streams.commands import Place, Query
from streams.errors import Code, Refused
from streams.ids import PUBLIC, SYSTEM
from streams.mailboxes import layout
from streams.mailboxes.rules import may_read
from streams.mailboxes.view import View
from streams.topics import MAX_ANSWER
from tables.keys import member_key, message_key, parse_key
from tables.partition import Partition
from tables.rows import LAST_BODY_BYTES, ORIGIN, State, without_large_body

_encode = msgspec.json.Encoder().encode


class _Timed(msgspec.Struct, frozen=True):
    ts: int


_decode_time = msgspec.json.Decoder(_Timed).decode


def answer(partition: Partition, query: Query) -> dict[str, Any]:
    """The answer to a query; raises `Refused`."""
    match query.what:
        case "facts":
            return _facts(partition, query)
        case "history":
            return _history(partition, query)
        case "timeline":
            return _timeline(partition, query)
        case "members":
            return _members(partition, query)
        case "boards":
            return _boards(partition, query)


def _facts(partition: Partition, query: Query) -> dict[str, Any]:
    view = View(partition)
    mailboxes = query.mailboxes or (query.mailbox,)
    return {
        "as_of": msgspec.structs.astuple(partition.progress.at),
        "facts": [_fact(partition, view, mailbox, query.by) for mailbox in mailboxes],
    }


def _fact(partition: Partition, view: View, mailbox: str, user: str) -> dict[str, Any]:
    state = view.state(mailbox)
    if state is None:
        return {"mailbox": mailbox, "epoch": "", "head": 0}
    head = view.head(mailbox).seq
    member = view.member(mailbox, user)
    if member is not None and member.generation != state.generation:
        member = None
    readable = may_read(view, mailbox, user) and head > _lowest(view, state, mailbox, user)
    last = partition.raw(message_key(mailbox, head)) if readable else None
    return {
        "mailbox": mailbox,
        "epoch": state.epoch,
        "head": head,
        "floor": state.floor,
        "members": state.members,
        "closed": state.closed,
        "policy": orjson.Fragment(_encode(state.policy)),
        "member": None if member is None else orjson.Fragment(_encode(member)),
        "own": view.own(mailbox, user).seq,
        "last": None if last is None else orjson.Fragment(_as_last(mailbox, last)),
    }


def _as_last(mailbox: str, row: bytes) -> bytes:
    if len(row) <= LAST_BODY_BYTES or mailbox.startswith(PUBLIC):
        return row
    return _encode(without_large_body(layout.decode_message(row)))


def _boards(partition: Partition, query: Query) -> dict[str, Any]:
    if query.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only `system` lists public mailboxes")
    start = layout.head_key("")
    found = partition.scan(layout.head_key(PUBLIC))
    boards = [
        {"mailbox": key[len(start) :].decode(), "head": layout.decode_last(value).seq}
        for key, value in found
    ]
    return {"boards": boards}


def _lowest(view: View, state: State, mailbox: str, user: str) -> int:
    """The seq after which a user may read."""
    if state.policy.history or user == SYSTEM:
        return state.floor
    member = view.member(mailbox, user)
    return max(state.floor, member.joined if member else 0)


def _readable_state(view: View, query: Query) -> State:
    state = view.state(query.mailbox)
    if not may_read(view, query.mailbox, query.by):
        if state is None and query.mailbox.startswith("group:"):
            raise Refused(Code.NOT_FOUND, "there is no such mailbox")
        raise Refused(Code.NOT_MEMBER, "you are not in this mailbox")
    return state or State(at=ORIGIN, epoch="")


def _history(partition: Partition, query: Query) -> dict[str, Any]:
    view = View(partition)
    state = _readable_state(view, query)
    head = view.head(query.mailbox).seq
    lowest = _lowest(view, state, query.mailbox, query.by)
    if query.after is not None:
        first = max(query.after, lowest) + 1
        seqs = range(first, min(head, first + query.limit - 1) + 1)
    else:
        last = head if query.before is None else min(head, query.before - 1)
        seqs = range(last, max(lowest, last - query.limit), -1)
    rows = partition.raw_within([message_key(query.mailbox, seq) for seq in seqs], MAX_ANSWER)
    reached = seqs[len(rows) - 1] if rows else None
    more = reached is not None and (
        reached < head if query.after is not None else reached > lowest + 1
    )
    if query.after is None:
        rows.reverse()
    return {
        "mailbox": query.mailbox,
        "epoch": state.epoch,
        "head": head,
        "messages": [orjson.Fragment(row) for row in rows if row is not None],
        "recalled": []
        if query.after is None
        else _recalled_since(partition, query.mailbox, query.after),
        "more": more,
    }


def _recalled_since(partition: Partition, mailbox: str, seq: int) -> list[int]:
    """Messages up to `seq` that were recalled when the head was there or beyond."""
    start = layout.recall_key(mailbox, seq, 0)
    recalled = (
        int(key[-16:]) for key, _ in partition.scan(layout.recall_prefix(mailbox), after=start)
    )
    return [found for found in recalled if found <= seq]


def _timeline(partition: Partition, query: Query) -> dict[str, Any]:
    view = View(partition)
    mailboxes = query.mailboxes or (query.mailbox,)
    newest = merge(
        *(_backwards(partition, view, mailbox, query) for mailbox in dict.fromkeys(mailboxes)),
        reverse=True,
    )
    messages: list[tuple[str, orjson.Fragment]] = []
    size = 0
    for _, mailbox, seq in newest:
        row = partition.raw(message_key(mailbox, seq)) or b""
        size += len(row)
        if len(messages) == query.limit or (messages and size > MAX_ANSWER):
            return {"messages": messages, "more": True}
        messages.append((mailbox, orjson.Fragment(row)))
    return {"messages": messages, "more": False}


def _backwards(partition: Partition, view: View, mailbox: str, query: Query) -> Iterator[Place]:
    """What the user may read of a mailbox from the query's place back to its first message.

    Places alone: many mailboxes are merged, and each has its next message waiting.
    """
    state = view.state(mailbox)
    if state is None or not may_read(view, mailbox, query.by):
        return

    def place(seq: int) -> Place:
        return (_time_of(partition, mailbox, seq) or 0, mailbox, seq)

    head, lowest = view.head(mailbox).seq, _lowest(view, state, mailbox, query.by)
    if query.place is not None and head > lowest and place(head) >= query.place:
        # Times grow with seqs: see `rules._next_message`.
        head = lowest + bisect_left(range(lowest + 1, head + 1), query.place, key=place)
    for seq in range(head, lowest, -1):
        time = _time_of(partition, mailbox, seq)
        if time is not None:
            yield time, mailbox, seq


def _time_of(partition: Partition, mailbox: str, seq: int) -> int | None:
    row = partition.raw(message_key(mailbox, seq))
    return None if row is None else _decode_time(row).ts


def _members(partition: Partition, query: Query) -> dict[str, Any]:
    view = View(partition)
    state = _readable_state(view, query)
    if not query.mailbox.startswith("group:"):
        raise Refused(Code.BAD_REQUEST, "only groups have a list of members")
    members: list[dict[str, Any]] = []
    prefix = member_key(query.mailbox, "")
    for key, value in partition.scan(prefix, after=member_key(query.mailbox, query.after_member)):
        member = layout.decode_member(value)
        if member.generation != state.generation:
            continue
        if len(members) == query.limit:
            return {"mailbox": query.mailbox, "members": members, "more": True}
        members.append({"user": parse_key(key).name, "role": member.role, "joined": member.joined})
    return {"mailbox": query.mailbox, "members": members, "more": False}
