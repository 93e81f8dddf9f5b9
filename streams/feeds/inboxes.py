"""Rows of those who follow, and the keys that are derived from them.

An inbox is a ring of references: a post takes the next slot and displaces the one that was there, so that
an inbox has a bound and costs one record per post, without removals. Derived keys (they
begin with a zero byte) are local and follow from the rows alone:
    order     a reference, by its place in the feed: its slot
    box       of a user: the next number, the floor, when they looked last
    followed  of a user: how many authors they follow
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.feeds.order import place
from tables.keys import split_key
from tables.overlay import Overlay, Row
from tables.rows import Follow, Inbox, PostId, Reference, Snapshot

SNAPSHOTS = 4
"""Snapshots that are kept for a user: a further one displaces the oldest."""

_KEYS = 100_000
_POSTS = 1_000
_END = 10**16 - 1

decode_follow = msgspec.json.Decoder(Follow).decode
decode_reference = msgspec.json.Decoder(Reference).decode
decode_inbox = msgspec.json.Decoder(Inbox).decode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode
decode_number = msgspec.msgpack.Decoder(int).decode


class Box(Struct, frozen=True, array_like=True):
    """An inbox as it stands: the next number, the newest post that it may lack, when the user looked last."""

    number: int = 0
    floor: PostId | None = None
    seen: int = 0


EMPTY = Box()

decode_box = msgspec.msgpack.Decoder(Box).decode


@lru_cache(_KEYS)
def box_key(user: str) -> bytes:
    """Key of an inbox as it stands."""
    return f"\0b/{user}".encode()


def followed_key(user: str) -> bytes:
    """Key of how many authors a user follows."""
    return f"\0f/{user}".encode()


@lru_cache(_KEYS)
def order_prefix(user: str) -> bytes:
    """What all order keys of a user begin with."""
    return f"\0p/{user}/".encode()


@lru_cache(_POSTS)
def _order_suffix(post: PostId) -> bytes:
    ts, seq, author = post
    return f"{_END - ts:016d}/{_END - seq:016d}/{author}".encode()


def order_key(user: str, post: PostId) -> bytes:
    """Key of a reference by its place: keys sort in the order of feeds."""
    return order_prefix(user) + _order_suffix(post)


def post_of(order: bytes) -> PostId:
    """The post of an order key."""
    _, _, ts, seq, author = order.decode().split("/")
    return PostId(_END - int(ts), _END - int(seq), author)


def higher(one: PostId | None, other: PostId | None) -> PostId | None:
    """The floor of two: the newer post."""
    if one is None or other is None:
        return one or other
    return one if place(one) < place(other) else other


def decode(key: bytes, kind: str, value: bytes) -> Follow | Reference | Inbox | Snapshot:
    """The typed row; `ValueError` if it isn't one."""
    match kind:
        case "f":
            return decode_follow(value)
        case "i":
            return decode_reference(value)
        case "b":
            return decode_inbox(value)
        case "n":
            return decode_snapshot(value)
    raise ValueError(f"no row of a user has the key {key!r}")


def derive(rows: Overlay, key: bytes, row: Row | None) -> None:
    """Bring the derived keys in line with a row that is about to be put (None: removed)."""
    user, kind, name = split_key(key)
    if kind == "i":
        _derive_reference(rows, user, key, int(name), row)  # type: ignore[arg-type]
    elif kind == "b" and isinstance(row, Inbox):
        _derive_box(rows, user, Box(row.number, row.floor, row.seen))
    elif kind == "f":
        _derive_followed(rows, user, key, row)  # type: ignore[arg-type]


def _derive_reference(
    rows: Overlay, user: str, key: bytes, slot: int, row: Reference | None
) -> None:
    # In the first round of the ring nothing is displaced.
    before = None if row is not None and row.number == slot else rows.find(key, decode_reference)
    if before is not None:
        rows.put_derived(order_key(user, before.post), None)
    if row is not None:
        rows.put_derived(order_key(user, row.post), slot)
        _derive_box(rows, user, Box(row.number + 1, row.floor))


def _derive_box(rows: Overlay, user: str, found: Box) -> None:
    """Numbers, floors and looks only grow, so the greatest in any row is what holds."""
    before: Box = rows.get(box_key(user), decode_box) or EMPTY
    after = Box(
        max(before.number, found.number),
        higher(before.floor, found.floor),
        max(before.seen, found.seen),
    )
    if after != before:
        rows.put_derived(box_key(user), after)


def _derive_followed(rows: Overlay, user: str, key: bytes, row: Follow | None) -> None:
    before = rows.find(key, decode_follow)
    change = _counts(row) - _counts(before)
    if change:
        number = rows.get(followed_key(user), decode_number) or 0
        # No key for none: a compacted log has nothing left to count from.
        rows.put_derived(followed_key(user), number + change or None)


def _counts(row: Follow | None) -> int:
    return 1 if row is not None and row.following else 0


def with_floor(box: Box, displaced: PostId | None) -> Box:
    """The box once a reference has been displaced."""
    return replace(box, floor=higher(box.floor, displaced))
