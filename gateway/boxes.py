"""A local user's view of mailboxes: membership, cursor, unread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gateway.answers import Fact
from gateway.channel import Channel
from gateway.interest import EVERYTHING, Interest
from gateway.limits import FrameRate
from streams.ids import parse_mailbox
from tables.rows import ORIGIN, Cursor, Member, Message, Position

if TYPE_CHECKING:
    from gateway.session import Session


ASKED = 1_000
"""Boxes of a user of mailboxes that they are neither in nor watch."""


def unread_count(head: int, *passed: int) -> int:
    """Messages after everything that counts as read: joined, read, own and floor."""
    return max(0, head - max(passed))


class Box:
    """One mailbox of one local user, shared by the user's sessions."""

    __slots__ = ("announced", "channel", "known", "member", "member_at", "own", "user")

    def __init__(self, user: User, channel: Channel) -> None:
        self.user = user
        self.channel = channel
        self.member: Member | None = None
        self.member_at: Position = ORIGIN
        self.own = 0
        self.known = False
        self.announced = False

    @property
    def joined(self) -> int:
        """The head when the user joined."""
        return self.member.joined if self.member else 0

    @property
    def role(self) -> str:
        """The user's role; in mailboxes without roles, `member`."""
        return self.member.role if self.member else "member"

    @property
    def read(self) -> int:
        """The user's cursor."""
        cursor = self.user.cursors.get(self.channel.mailbox)
        return cursor.read if cursor else 0

    @property
    def is_member(self) -> bool:
        """Whether the user may read the mailbox."""
        kind, name = mailbox = parse_mailbox(self.channel.mailbox)
        if kind == "group":
            return self.member is not None
        if kind == "direct":
            return self.user.name in mailbox.pair
        return kind == "user" and name == self.user.name

    @property
    def exists(self) -> bool:
        """Whether the mailbox has been made; only groups must be."""
        return bool(self.channel.epoch) or not self.channel.mailbox.startswith("group:")

    @property
    def is_listed(self) -> bool:
        """Whether it stands among the user's mailboxes."""
        return self.known and self.is_member and self.channel.is_live and bool(self.channel.epoch)

    @property
    def last(self) -> Message | None:
        """The last message, if the user may read it."""
        last = self.channel.last
        if last is not None and not self.channel.history and last.seq <= self.joined:
            return None
        return last

    def unread(self, read: int | None = None) -> int:
        """Unread messages with the cursor where it is, or at `read`."""
        channel = self.channel
        cursor = self.read if read is None else read
        return unread_count(channel.head, self.joined, cursor, self.own, channel.floor)

    def take_fact(self, fact: Fact, as_of: Position) -> None:
        """Take what an answer says, unless the log has said something newer."""
        self.known = True
        self.own = max(self.own, fact.own)
        at = max(as_of, fact.member.at) if fact.member else as_of
        if at > self.member_at:
            self.member, self.member_at = fact.member, at

    def take_member(self, member: Member | None, at: Position) -> bool:
        """Take a member row (None: removed); False if it is an old one."""
        if at <= self.member_at:
            return False
        self.member, self.member_at = member, at
        return True


class NoticesPage(NamedTuple):
    """Notices as they were listed last: for which question and state, until when (ms), and the JSON."""

    asked: tuple[object, ...]
    until: float
    json: bytes


class User:
    """A user with local sessions.

    Publishes of public mailboxes, by mailbox and seq: recorded: a row has named them since the user is
    here. shown: sessions here were shown them.
    rate: of the frames of all sessions, once there are several.
    changes: counts changes of cursors and claims, which say what notices the user finds. page: the last one.
    stale: rows were lost since it was last asked what is known here; `reloading` asks until it is answered.
    losses: how often rows were lost.
    room: how many boxes there may be before those are forgotten that were only asked about.
    """

    __slots__ = (
        "admitting",
        "boxes",
        "changes",
        "cursors",
        "cursors_loading",
        "loading",
        "looking",
        "losses",
        "moved",
        "name",
        "page",
        "passed",
        "rate",
        "recorded",
        "reloading",
        "room",
        "sessions",
        "shown",
        "stale",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: set[Session] = set()
        self.boxes: dict[str, Box] = {}
        self.cursors: dict[str, Cursor] = {}
        self.admitting: dict[str, asyncio.Task[None]] = {}
        self.cursors_loading: asyncio.Task[None] | None = None
        self.loading: asyncio.Task[None] | None = None
        self.looking: asyncio.Task[None] | None = None
        self.reloading: asyncio.Task[None] | None = None
        self.stale = False
        self.moved: asyncio.Event | None = None
        self.passed: dict[str, int] = {}
        self.rate: FrameRate | None = None
        self.page: NoticesPage | None = None
        self.changes = 0
        self.losses = 0
        self.room = ASKED
        self.shown: set[tuple[str, int]] = set()
        self.recorded: set[tuple[str, int]] = set()

    @property
    def synced(self) -> list[Session]:
        """The sessions that have synced: those that are told what is new."""
        return [session for session in self.sessions if session.synced]

    def box(self, channel: Channel) -> Box:
        """The user's box of a mailbox, made where there is none."""
        box = self.boxes.get(channel.mailbox)
        if box is None:
            box = self.boxes[channel.mailbox] = channel.boxes[self.name] = Box(self, channel)
        return box

    def drop(self, mailbox: str) -> Channel | None:
        """Forget a box; returns its channel, which nobody may need any more."""
        box = self.boxes.pop(mailbox, None)
        if box is None:
            return None
        box.channel.boxes.pop(self.name, None)
        return box.channel

    def take_cursor(self, mailbox: str, cursor: Cursor) -> bool:
        """Take a cursor row; False if it is an old one."""
        known = self.cursors.get(mailbox)
        if known is not None and cursor.at <= known.at:
            return False
        self.cursors[mailbox] = cursor
        self.changes += 1
        if self.moved is not None:
            self.moved.set()
        return True

    def claims_changed(self) -> None:
        """What did not reach the user may do so now, and the other way round."""
        self.passed.clear()
        self.changes += 1

    def forget_positions(self) -> None:
        """Whatever is asked or read from here on is newer than what is known."""
        self.cursors = {name: replace(row, at=ORIGIN) for name, row in self.cursors.items()}
        self.claims_changed()
        self.losses += 1
        for box in self.boxes.values():
            box.member_at = ORIGIN

    @property
    def has_cursors(self) -> bool:
        """Whether the cursors are loaded: a mailbox without one is one the user isn't in."""
        task = self.cursors_loading
        return task is not None and task.done() and not task.cancelled() and not task.exception()

    def joined_by(self, mailbox: str) -> int:
        """The offset of the command by which the user is in a mailbox, as their cursors say; -1 if they are not."""
        cursor = self.cursors.get(mailbox)
        return cursor.src if cursor is not None and cursor.member else -1

    @property
    def mailboxes(self) -> list[str]:
        """The mailboxes that the user is in, by the cursors."""
        return [mailbox for mailbox, cursor in self.cursors.items() if cursor.member]


class Users:
    """The users with local sessions."""

    def __init__(self, interest: Interest = EVERYTHING) -> None:
        self._interest = interest
        self._users: dict[str, User] = {}

    def __iter__(self) -> Iterator[User]:
        return iter(self._users.values())

    def get(self, name: str) -> User | None:
        """The user, if they have a session here."""
        return self._users.get(name)

    def enter(self, session: Session, name: str) -> User:
        """Add a session to its user."""
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = User(name)
            self._interest.want(name)
        user.sessions.add(session)
        return user

    def leave(self, session: Session, user: User) -> list[Channel]:
        """Remove a session; returns the channels that may be unused without the user."""
        user.sessions.discard(session)
        user.claims_changed()
        if user.sessions:
            return []
        if self._users.pop(user.name, None) is not None:
            self._interest.release(user.name)
        tasks = (user.loading, user.cursors_loading, user.looking, user.reloading)
        for task in (*tasks, *user.admitting.values()):
            if task is not None:
                task.cancel()
        channels = (user.drop(mailbox) for mailbox in list(user.boxes))
        return [channel for channel in channels if channel is not None]
