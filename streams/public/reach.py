"""Whom a publish reaches, and at which entry.

A user's bucket for a publish is stable and can be computed by anybody: the first 8 bytes of
BLAKE2b (RFC 7693, unkeyed, digest size 8) over the UTF-8 text `<id of the publish>/<user>`, as a
big-endian number, modulo 10,000. A stage of `percent` reaches the buckets below `percent * 100`,
so that each further stage holds all earlier ones, and buckets of two publishes are independent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from hashlib import blake2b

from msgspec import Struct

BUCKETS = 10_000


class Stage(Struct, frozen=True):
    """How far a publish reaches from the entry `seq` on; `users` are those it adds."""

    seq: int
    percent: float
    users: Collection[str] = frozenset()


def bucket(publish_id: str, user: str) -> int:
    """The user's bucket for a publish, 0 to 9,999."""
    digest = blake2b(f"{publish_id}/{user}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


@cache
def share(percent: float) -> int:
    """The number of buckets that a percentage comes to."""
    return round(percent * BUCKETS / 100)


def reached(publish_id: str, user: str, percent: float, users: Collection[str]) -> bool:
    """Whether a user is listed, or their bucket is within the percentage."""
    return user in users or bucket(publish_id, user) < share(percent)


def reaching_entry(publish_id: str, user: str, stages: Iterable[Stage]) -> int | None:
    """The seq of the first stage that reaches the user; `stages` are in order of their seqs."""
    place = bucket(publish_id, user)
    for stage in stages:
        if place < share(stage.percent) or user in stage.users:
            return stage.seq
    return None
