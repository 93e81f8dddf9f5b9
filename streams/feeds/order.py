"""The order of feeds: newest first; at the same time, higher seqs first, then by author.

A post's id names its place in this order, so that a page can begin after any post, also one that
is no longer there.
"""

from __future__ import annotations

import re

from streams.ids import NAME
from tables.rows import Message, PostId

Place = tuple[int, int, str]
"""What feeds are sorted by, ascending."""

_ID = re.compile(rf"([0-9]{{1,15}})-([0-9]{{1,16}})-({NAME})\Z")


def place(post: PostId) -> Place:
    """The place of a post in the order of feeds."""
    return -post.ts, -post.seq, post.author


def post_id(row: Message) -> PostId:
    """The id of a post."""
    return PostId(row.ts, row.seq, row.sender)


def format_id(post: PostId) -> str:
    """A post's id as clients see it: `1795490985871-17-alice`."""
    return f"{post.ts}-{post.seq}-{post.author}"


def parse_id(text: str) -> PostId:
    """A post from its id; `ValueError` says what is wrong with it."""
    found = _ID.match(text)
    if found is None:
        raise ValueError("a post's id is <ms since 1970>-<seq>-<author>, as it came with the post")
    return PostId(int(found[1]), int(found[2]), found[3])
