"""The rows of the two logs: JSON objects under readable keys.

Mailbox log (`<app>-mailbox-changelog`), partitioned by the mailbox id:
    group:42/s                    State
    group:42/u/bob                Member      (no value: bob has left)
    group:42/m/0000000000000017   Message     (no value: trimmed)
User log (`<app>-user-changelog`), partitioned by the user id:
    alice/c/group:42              Cursor

Each row has its position `at` = (offset of its command, number within that command), which
only grows within a partition: a reader skips a row that isn't beyond the last one it took.
A record without a value carries it in the header `at`, as `907,0`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

AT_HEADER = "at"


class Position(Struct, frozen=True, order=True, array_like=True, gc=False):
    """Where a row stands in its partition's order of decisions."""

    offset: int
    number: int


ORIGIN = Position(-1, 0)


def position_header(at: Position) -> tuple[str, bytes]:
    """The header that carries the position of a record without a value."""
    return AT_HEADER, b"%d,%d" % (at.offset, at.number)


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


class State(Struct, frozen=True, omit_defaults=True):
    """A mailbox. `muted` and `ts` are ms since 1970; `floor` is the last seq trimmed away."""

    at: Position
    epoch: str
    owner: str = ""
    policy: Policy = Policy()
    members: int = 0
    generation: int = 1
    floor: int = 0
    muted: int = 0
    closed: bool = False


class Member(Struct, frozen=True, omit_defaults=True):
    """A member. `joined` is the head when they joined; `muted` a time in ms."""

    at: Position
    joined: int
    role: Literal["owner", "admin", "member"] = "member"
    muted: int = 0
    generation: int = 1


NO_BODY = msgspec.Raw()
"""The one object that stands for no body: a default is left out of the JSON only if it is this very object."""


class Message(Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}):
    """A message; one that was recalled has no body.

    rate: the theoretical arrival times (microseconds) of the mailbox's and the sender's rate
    limits after this message. recalled: the head when it was recalled.
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


class Cursor(Struct, frozen=True, omit_defaults=True):
    """How far a user has read a mailbox, and whether they are in it.

    src: offset of the mailbox command that made `member` what it is.
    """

    at: Position
    read: int = 0
    member: bool = False
    src: int = -1
