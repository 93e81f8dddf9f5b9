"""The ids of posts and their order, by docs/protocol.md alone: nothing here comes from the code under test."""

from typing import NamedTuple

AUTHOR = "author:"

Place = tuple[int, int, str]
"""What feeds are sorted by, ascending: newest first, then the higher seq, then by author."""


class PostId(NamedTuple):
    """A post's id, which names its place."""

    ts: int
    seq: int
    author: str

    @property
    def place(self) -> Place:
        return -self.ts, -self.seq, self.author

    @property
    def text(self) -> str:
        """The id as clients see it."""
        return f"{self.ts}-{self.seq}-{self.author}"


def parse(text: str) -> PostId:
    ts, seq, author = text.split("-", 2)
    return PostId(int(ts), int(seq), author)
