"""Feeds as one would write them down first: all posts in one list, sorted when somebody looks."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Post:
    ts: int
    seq: int
    author: str
    id: str
    body: Any
    state: str | None
    deleted: bool = False

    @property
    def shown(self) -> tuple[int, int, str, Any, str | None]:
        return self.ts, self.seq, self.author, self.body, self.state


@dataclass
class Model:
    posts: list[Post] = field(default_factory=list)
    follows: set[tuple[str, str]] = field(default_factory=set)
    blocked: set[tuple[str, str]] = field(default_factory=set)

    def take(self, command: dict[str, Any], ts: int) -> None:
        """Take a command that has been decided at a time."""
        author = command["mailbox"].split(":")[1]
        take = getattr(self, "_" + command["type"], None)
        if take is not None:
            take(author, command, ts)

    def feed(self, user: str) -> list[tuple[Any, ...]]:
        """All that a user may see, newest first."""
        mine = [post for post in self.posts if (user, post.author) in self.follows]
        mine.sort(key=lambda post: (-post.ts, -post.seq, post.author))
        return [post.shown for post in mine if not post.deleted]

    def _find(self, author: str, seq: int) -> Post | None:
        found = [p for p in self.posts if p.author == author and p.seq == seq and not p.deleted]
        return found[0] if found else None

    def _post(self, author: str, command: dict[str, Any], ts: int) -> None:
        own = [post for post in self.posts if post.author == author]
        if command["by"] == author and all(post.id != command["id"] for post in own):
            post = Post(
                ts, len(own) + 1, author, command["id"], command["body"], command.get("state")
            )
            self.posts.append(post)

    def _edit(self, author: str, command: dict[str, Any], ts: int) -> None:
        post = self._find(author, command["seq"])
        if post:
            post.body = command["body"]

    def _delete(self, author: str, command: dict[str, Any], ts: int) -> None:
        post = self._find(author, command["seq"])
        if post:
            post.deleted = True

    def _state(self, author: str, command: dict[str, Any], ts: int) -> None:
        post = self._find(author, command["seq"])
        if post:
            post.state = command["state"]

    def _follow(self, author: str, command: dict[str, Any], ts: int) -> None:
        pair = (command["by"], author)
        if pair not in self.blocked:
            self.follows.add(pair)

    def _unfollow(self, author: str, command: dict[str, Any], ts: int) -> None:
        self.follows.discard((command["by"], author))

    def _block(self, author: str, command: dict[str, Any], ts: int) -> None:
        pairs = {(name, author) for name in command["members"]}
        self.blocked |= pairs
        self.follows -= pairs

    def _unblock(self, author: str, command: dict[str, Any], ts: int) -> None:
        self.blocked -= {(name, author) for name in command["members"]}
