"""Authors' posts in memory, each once, shared by all feeds that show it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from gateway.interest import EVERYTHING, Interest
from gateway.wire import post_json
from streams.feeds.order import place, post_id
from streams.ids import AUTHOR
from tables.rows import Message, Position, PostId

if TYPE_CHECKING:
    from gateway.views import View

MAX_AHEAD = 1_000
"""Changes of one author whose rows may be on their way."""

MAX_DELETED = 10_000
"""Deletions answered here that are remembered, whoever's feed is in memory: answers no longer name the post."""

POST_BYTES = 400
"""What a post takes besides its JSON."""


class Post:
    """A post as its author's log has brought it last; `json` is None where it has gone for want of room."""

    __slots__ = ("__weakref__", "at", "gone", "id", "json", "place", "state")

    def __init__(self, row: Message) -> None:
        self.id = post_id(row)
        self.place = place(self.id)
        self.json: bytes | None = None
        self.set(row)

    def set(self, row: Message) -> None:
        """Take what a row says, but not its JSON."""
        self.at: Position = row.at
        self.state = row.state
        self.gone = bool(row.recalled)


class Outbox:
    """The posts of an author whom feeds in memory show.

    views: these feeds. head: the last seq that the log has brought since somebody looks.
    ahead: where changes were decided that were answered here, while the log may still be on its way there, by seq.
    """

    __slots__ = ("ahead", "head", "posts", "views")

    def __init__(self) -> None:
        self.views: set[View] = set()
        self.posts: WeakValueDictionary[int, Post] = WeakValueDictionary()
        self.head = 0
        self.ahead: dict[int, Position] = {}

    def passes(self, seq: int, *, is_change: bool) -> bool:
        """Go on to a post that the log brings; False if one before it is missing.

        The change of a post says nothing of where the head is.
        """
        if is_change and not self.head:
            return True
        follows = not self.head or seq <= self.head + 1
        self.head = max(self.head, seq)
        return follows

    def expect(self, seq: int, at: Position) -> None:
        """Take older rows of a post for what they are, until the one decided at `at` has come."""
        self.ahead.pop(seq, None)
        self.ahead[seq] = at
        if len(self.ahead) > MAX_AHEAD:
            del self.ahead[next(iter(self.ahead))]


class Outboxes:
    """The outboxes of followed authors, kept current from the log while a feed shows them.

    A post stays while a feed holds it, its JSON as long as there is room: those read longest ago go.
    """

    def __init__(self, limit: int, interest: Interest = EVERYTHING) -> None:
        self._limit = limit
        self._interest = interest
        self._outboxes: dict[str, Outbox] = {}
        self._ready: OrderedDict[Post, int] = OrderedDict()
        self._deleted: OrderedDict[tuple[str, int], None] = OrderedDict()
        self.bytes = 0

    def get(self, author: str) -> Outbox | None:
        """The outbox of an author, if a feed shows it."""
        return self._outboxes.get(author)

    def add(self, author: str, view: View) -> None:
        """A feed shows an author's posts: from here on the log keeps them current."""
        outbox = self._outboxes.get(author)
        if outbox is None:
            outbox = self._outboxes[author] = Outbox()
            self._interest.want(AUTHOR + author)
        outbox.views.add(view)

    def remove(self, author: str, view: View) -> None:
        """A feed shows them no more. What nobody shows is not kept current, so it goes."""
        outbox = self._outboxes.get(author)
        if outbox is None:
            return
        outbox.views.discard(view)
        if not outbox.views:
            del self._outboxes[author]
            self._interest.release(AUTHOR + author)
            for post in list(outbox.posts.values()):
                self.forget(post)

    def find(self, post: PostId) -> Post | None:
        """A post that is known and current."""
        outbox = self._outboxes.get(post.author)
        return outbox.posts.get(post.seq) if outbox else None

    def take(self, row: Message) -> Post:
        """Take a row of the log or of an answer, unless something newer is known."""
        outbox = self._outboxes.get(row.sender)
        if outbox is None:
            # Nobody keeps it current: good for the page that asked for it.
            post = Post(row)
            post.json = post_json(row)
            return post
        known = outbox.posts.get(row.seq)
        post = known or Post(row)
        if known is None:
            outbox.posts[row.seq] = post
        elif row.at < post.at:
            return post
        elif row.at > post.at:
            self.forget(post)
            post.set(row)
        post.gone = post.gone or (row.sender, row.seq) in self._deleted
        ahead = outbox.ahead.get(row.seq)
        if ahead is not None and row.at < ahead:
            # Older than what was answered: a page that needs it asks for it.
            self.forget(post)
        else:
            outbox.ahead.pop(row.seq, None)
            self._keep(post, row)
        return post

    def answered(self, post: PostId, at: Position | None, *, gone: bool) -> Post | None:
        """A change was answered that was decided at `at` (None: nothing was written): what is older does not hold.

        Returns the post, if what is known of it is older.
        """
        if gone:
            self._deleted[post.author, post.seq] = None
            if len(self._deleted) > MAX_DELETED:
                self._deleted.popitem(last=False)
        outbox = self._outboxes.get(post.author)
        if outbox is None:
            return None
        known = outbox.posts.get(post.seq)
        if at is not None:
            if known is not None and known.at >= at:
                return None
            outbox.expect(post.seq, at)
        if known is not None:
            self.forget(known)
            known.gone = known.gone or gone
        return known

    def read(self, post: Post) -> bytes | None:
        """The JSON of a post that stands, if it is here."""
        if post in self._ready:
            self._ready.move_to_end(post)
        return post.json

    def forget(self, post: Post) -> None:
        """Drop the JSON of a post."""
        post.json = None
        self.bytes -= self._ready.pop(post, 0)

    def _keep(self, post: Post, row: Message) -> None:
        if post.json is None:
            # One that is deleted stays for a while, too: an older answer may still name it.
            post.json = b"" if post.gone else post_json(row)
            size = len(post.json) + POST_BYTES
            self._ready[post] = size
            self.bytes += size
        while self.bytes > self._limit and len(self._ready) > 1:
            self.forget(next(iter(self._ready)))
