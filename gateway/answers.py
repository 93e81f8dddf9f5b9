"""What the agents answer on the replies topic, as the gateway reads it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from streams.errors import Code, Refused
from tables.rows import ORIGIN, AnyEntry, Cursor, Member, Message, Policy, Position, PostId


class Problem(Struct, frozen=True):
    """A refusal, in the words of the rules."""

    code: Code
    message: str
    retry_after: float | None = None

    def as_refused(self) -> Refused:
        """The same, to be raised."""
        return Refused(self.code, self.message, self.retry_after)


class Reply(Struct, frozen=True):
    """One record of the replies topic."""

    ref: int
    result: msgspec.Raw = msgspec.Raw()
    error: Problem | None = None


class Fact(Struct, frozen=True):
    """One mailbox as one user sees it; without an epoch it doesn't exist."""

    mailbox: str
    epoch: str = ""
    head: int = 0
    floor: int = 0
    members: int = 0
    closed: bool = False
    policy: Policy | None = None
    member: Member | None = None
    own: int = 0
    last: Message | None = None


class Facts(Struct, frozen=True):
    """Facts, and the position in the partition's log that they include."""

    facts: list[Fact]
    as_of: Position = ORIGIN


class History(Struct, frozen=True):
    """A page of messages in seq order."""

    mailbox: str
    messages: list[Message]
    epoch: str = ""
    head: int = 0
    recalled: list[int] = []
    more: bool = False


class Timeline(Struct, frozen=True):
    """The newest messages of many mailboxes, newest first."""

    messages: list[tuple[str, Message]]
    more: bool = False


class Listed(Struct, frozen=True):
    """One cursor of a user, with the mailbox that it is in."""

    mailbox: str
    at: Position
    read: int = 0
    member: bool = False
    src: int = -1
    deferred: tuple[int, ...] = ()
    day: int = 0
    today: int = 0
    touched: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()

    def as_cursor(self) -> Cursor:
        """The row itself, without the totals that other users brought."""
        return Cursor(
            at=self.at,
            read=self.read,
            member=self.member,
            src=self.src,
            deferred=self.deferred,
            day=self.day,
            today=self.today,
            touched=self.touched,
            opened=self.opened,
        )


class Cursors(Struct, frozen=True):
    """A page of a user's cursors in the order of mailbox ids."""

    cursors: list[Listed]
    more: bool = False


class Receipt(Struct, frozen=True):
    """The answer to a send that was a duplicate."""

    mailbox: str
    id: str
    seq: int
    ts: int
    duplicate: bool = False


class Change(Struct, frozen=True):
    """The answer to a change of a post: the command that wrote it; None if nothing was written."""

    offset: int | None = None


class Moved(Struct, frozen=True):
    """The answer to `read` and `unread`."""

    mailbox: str
    read: int


class Board(Struct, frozen=True):
    """A public mailbox, and its last entry."""

    mailbox: str
    head: int


class Boards(Struct, frozen=True):
    """The public mailboxes of one partition."""

    boards: list[Board]


class Entries(Struct, frozen=True):
    """A page of entries of a public mailbox in seq order."""

    messages: list[AnyEntry]
    head: int = 0
    more: bool = False


class Touched(Struct, frozen=True):
    """The answer to a touch: how far the user's cursor is, and which publishes to show."""

    mailbox: str
    read: int
    touched: tuple[int, ...] = ()


class Counts(Struct, frozen=True):
    """How often each publish and each further stage was touched and opened, in one partition."""

    mailbox: str
    counts: dict[int, tuple[int, int]]
    stages: dict[int, tuple[int, int]] = {}


class Named(Struct, frozen=True):
    """The answer to `create`, `join` and `leave`."""

    mailbox: str
    epoch: str = ""
    head: int = 0
    members: list[str] = []


class Follows(Struct, frozen=True):
    """The authors whom a user follows, each as `streams.feeds.pages.Following`, and how many there are."""

    follows: list[tuple[str, bool, tuple[int, int]]]
    number: int
    more: bool = False


class Inbox(Struct, frozen=True):
    """References of a user's inbox, how far they go, and when the user looked last (ms since 1970)."""

    posts: list[PostId]
    reached: PostId | None = None
    floor: PostId | None = None
    seen: int = 0


class Outboxes(Struct, frozen=True):
    """The newest posts of the authors of one partition, complete down to `reached`."""

    posts: list[Message]
    reached: PostId | None = None


class Posts(Struct, frozen=True):
    """The first of the posts that were asked for; null: there is none any more."""

    posts: list[Message | None]


class Snapshot(Struct, frozen=True):
    """The order in which a visit sees its feed; `made` is in ms since 1970."""

    id: str
    made: int
    posts: tuple[PostId, ...]


class Author(Struct, frozen=True):
    """An author as one user sees them."""

    author: str
    posts: int
    followers: int
    mode: str
    follows: bool
    blocked: bool


class Followers(Struct, frozen=True):
    """The answer to commands about followers: how many there are."""

    followers: int


decode_reply = msgspec.json.Decoder(Reply).decode
decode_facts = msgspec.json.Decoder(Facts).decode
decode_history = msgspec.json.Decoder(History).decode
decode_timeline = msgspec.json.Decoder(Timeline).decode
decode_cursors = msgspec.json.Decoder(Cursors).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_moved = msgspec.json.Decoder(Moved).decode
decode_named = msgspec.json.Decoder(Named).decode
decode_boards = msgspec.json.Decoder(Boards).decode
decode_entries = msgspec.json.Decoder(Entries).decode
decode_touched = msgspec.json.Decoder(Touched).decode
decode_counts = msgspec.json.Decoder(Counts).decode
decode_follows = msgspec.json.Decoder(Follows).decode
decode_inbox = msgspec.json.Decoder(Inbox).decode
decode_outboxes = msgspec.json.Decoder(Outboxes).decode
decode_posts = msgspec.json.Decoder(Posts).decode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode
decode_author = msgspec.json.Decoder(Author).decode
decode_followers = msgspec.json.Decoder(Followers).decode
decode_change = msgspec.json.Decoder(Change).decode
