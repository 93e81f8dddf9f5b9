"""The rows of the two logs: JSON objects under readable keys.

Mailbox log (`<app>-mailbox-changelog`), partitioned by the mailbox id:
    group:42/s                    State
    group:42/u/bob                Member      (no value: bob has left)
    group:42/m/0000000000000017   Message     (no value: trimmed)
    public:news/m/0000000000000017   Published, Released or Withdrawn
    author:ann/p/0000000000000017 Pushing     (no value: pushed to all)
    group:42/r                    Route       (no value: no gateway asks for it)
    gateway:<instance>/l          Lease       (no value: it has ended)
User log (`<app>-user-changelog`), partitioned by the user id:
    alice/c/group:42              Cursor
    alice/f/ann                   Follow
    alice/i/0042                  Reference   (no value: its author is no longer followed)
    alice/b                       Inbox
    alice/n/0                     Snapshot
    alice/r                       Route
    gateway:<instance>/l          Lease

An author's outbox is a mailbox: its posts are messages, its followers members.

Each row has its position `at` = (offset of its command, number within that command), which
only grows within a partition: a reader skips a row that isn't beyond the last one it took.
A record without a value carries it in the header `at`, as `907,0`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

AT_HEADER = "at"


class Position(Struct, frozen=True, order=True, array_like=True, gc=False):
    """Where a row stands in its partition's order of decisions."""

    offset: int
    number: int


ORIGIN = Position(-1, 0)


def position_header(at: Position) -> tuple[str, bytes]:
    """The header that carries the position of a record without a value."""
    return AT_HEADER, b"%d,%d" % (at.offset, at.number)


def position_in(headers: Iterable[tuple[str, bytes]]) -> Position | None:
    """The position that headers carry, if they do; `ValueError` if it can't be read."""
    for name, value in headers:
        if name == AT_HEADER:
            offset, number = value.split(b",")
            return Position(int(offset), int(number))
    return None


Rate = tuple[
    Annotated[float, Meta(ge=0.001, le=1_000_000)], Annotated[float, Meta(ge=1, le=1_000_000)]
]
"""Messages per second, and how many may come at once."""


class Policy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules of one mailbox; every field has a default.

    post: who may send. join: whether users may add themselves ("open") or must be added.
    history: whether newcomers may read what was sent before they joined.
    member_rate, mailbox_rate: (messages per second, burst) of one member and of all.
    retain: messages kept, 0 = all.
    """

    post: Literal["members", "admins"] = "members"
    join: Literal["open", "invite"] = "open"
    history: bool = True
    member_rate: Rate = (20.0, 100.0)
    mailbox_rate: Rate = (1_000.0, 2_000.0)
    retain: Annotated[int, Meta(ge=0)] = 0


Mode = Literal["auto", "pull", "push"]
"""How an author's posts get to followers: by the setting, or always in one way."""


class Delivery(Struct, frozen=True, omit_defaults=True):
    """How an author's posts get to followers now.

    mode: what was chosen for this author. pushes: whether posts are pushed.
    switching: what it is on its way to, while followers are being told; `told` is the last of them who was.
    """

    mode: Mode = "auto"
    pushes: bool = True
    switching: Literal["", "pull", "push"] = ""
    told: str = ""


class State(Struct, frozen=True, omit_defaults=True):
    """A mailbox. `muted` and `ts` are ms since 1970; `floor` is the last seq trimmed away.

    In an author's outbox `members` counts the followers.
    """

    at: Position
    epoch: str
    owner: str = ""
    policy: Policy = Policy()
    members: int = 0
    generation: int = 1
    floor: int = 0
    muted: int = 0
    closed: bool = False
    delivery: Delivery | None = None


class Member(Struct, frozen=True, omit_defaults=True, gc=False):
    """A member. `joined` is the head when they joined; `muted` a time in ms.

    Of followers: `follow` is the offset of the command since which posts are pushed to them; idle:
    they have not looked for long, and get none; blocked: they are kept from following.
    """

    at: Position
    joined: int
    role: Literal["owner", "admin", "member"] = "member"
    muted: int = 0
    generation: int = 1
    follow: int = -1
    idle: bool = False
    blocked: bool = False


NO_BODY = msgspec.Raw()
"""The one object that stands for no body: a default is left out of the JSON only if it is this very object."""

LAST_BODY_BYTES = 2_048
"""Bytes of a body up to which it is told with the mailbox: the last messages of 1,000 of them fit into a record."""


class Message(Struct, frozen=True, omit_defaults=True, gc=False, rename={"sender": "from"}):
    """A message; one that was recalled has no body.

    rate: the theoretical arrival times (microseconds) of the mailbox's and the sender's rate
    limits after this message. recalled: the head when it was recalled.

    Of posts: `state` as the author has set it, `edited` when (ms since 1970); pushing: it is still on
    its way to the inboxes, and not to be shown yet.
    """

    at: Position
    seq: int
    id: str
    sender: str
    ts: int
    body: msgspec.Raw = NO_BODY
    rate: tuple[int, int] = (0, 0)
    recalled: int = 0
    recalled_by: str = ""
    state: str = ""
    edited: int = 0
    pushing: bool = False


def without_large_body(row: Message) -> Message:
    """A message as the last one of a mailbox, of which many are told at once: a long body is left out."""
    return replace(row, body=NO_BODY) if len(row.body) > LAST_BODY_BYTES else row


class Pushing(Struct, frozen=True):
    """A post on its way to more followers than one command reaches; `after` is the last one who has it."""

    at: Position
    after: str


class PostId(NamedTuple):
    """A post, by what feeds are sorted by: its time (ms since 1970), seq and author."""

    ts: int
    seq: int
    author: str


class Follow(Struct, frozen=True, omit_defaults=True):
    """A user's following of an author.

    src: offset of the author's command that made it what it is; follow: as in the author's row.
    since: when it began (ms since 1970). pulled: posts are not pushed to this user.
    upto: (ts, seq) of the last post that was not pushed, because it came before that.
    idle: the user has not looked for long, and the author knows or is about to.
    """

    at: Position
    src: int
    follow: int = -1
    since: int = 0
    following: bool = True
    pulled: bool = False
    idle: bool = False
    upto: tuple[int, int] = (0, 0)


class Reference(Struct, frozen=True, omit_defaults=True):
    """A post in a user's inbox, which is a ring: number `number` displaces the one that was there.

    floor: the newest post that was displaced; an inbox is complete only above it.
    """

    at: Position
    number: int
    post: PostId
    floor: PostId | None = None


class Inbox(Struct, frozen=True, omit_defaults=True):
    """What outlives the references: the next number, the floor, and when the user looked last (ms since 1970)."""

    at: Position
    number: int = 0
    floor: PostId | None = None
    seen: int = 0


class Snapshot(Struct, frozen=True):
    """The order in which a visit sees its feed. `made` is in ms since 1970."""

    at: Position
    id: str
    made: int
    posts: tuple[PostId, ...]


class Lease(Struct, frozen=True):
    """A gateway that rows of this partition are forwarded to, on a partition of the deliveries that is its own.

    since: offset of the command that began it: from there on the gateway misses nothing that it has routes for.
    until: when it may be ended (ms since 1970), unless it is renewed.
    """

    at: Position
    partition: int
    since: int
    until: int


class Route(Struct, frozen=True):
    """The gateways that rows of a mailbox or user are forwarded to, as long as they have a lease."""

    at: Position
    gateways: tuple[str, ...]


Priority = Literal["low", "normal", "urgent"]


class Reach(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a stage of a publish reaches: `percent` of all users in steps of 0.01, and `users` by name."""

    percent: Annotated[float, Meta(ge=0, le=100)] = 0.0
    users: Annotated[tuple[str, ...], Meta(max_length=1_000)] = ()


class PublicEntry(Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """What all entries of a public mailbox share; `by` is the operator."""

    at: Position
    seq: int
    id: str
    by: str
    ts: int


class Published(PublicEntry, frozen=True, omit_defaults=True, tag="publish"):
    """A publish and its first stage. `expires` is in ms since 1970, 0 = never."""

    title: str
    body: msgspec.Raw
    release: Reach
    expires: int = 0
    priority: Priority = "normal"
    audience: dict[str, Any] | None = None


class Released(PublicEntry, frozen=True, omit_defaults=True, tag="release"):
    """A further stage of a publish; `release.users` are those who are added. `expect` is as in the command."""

    publish: int
    release: Reach
    expect: int


class Withdrawn(PublicEntry, frozen=True, omit_defaults=True, tag="withdraw"):
    """The end of a publish."""

    publish: int
    expect: int


AnyEntry = Published | Released | Withdrawn


class Cursor(Struct, frozen=True, omit_defaults=True):
    """How far a user has read a mailbox, and whether they are in it.

    src: offset of the mailbox command that made `member` what it is.

    In a public mailbox `read` is the last entry that was looked at for the user, and there are
    deferred: entries up to `read` that reach the user but have not been shown yet.
    day, today: a day of the user (days since 1970), and how many touched them on it, the urgent not counted.
    touched: the publishes that the command of this very row touched the user with.
    opened: the publishes that the user has opened.
    counts: publish -> (touched, opened), running totals over the users of the partition.
    stages: the same of those whom a further stage has reached, by its entry.
    """

    at: Position
    read: int = 0
    member: bool = False
    src: int = -1
    deferred: tuple[int, ...] = ()
    day: int = 0
    today: int = 0
    touched: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()
    counts: dict[int, tuple[int, int]] = {}
    stages: dict[int, tuple[int, int]] = {}
