"""What each record of the logs and of the replies means here.

Most rows are about mailboxes and users without listeners in this process: they cost two look-ups
and are not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from gateway.answers import decode_reply
from gateway.boards import Boards
from gateway.boxes import User, Users
from gateway.channel import Channel, Outcome
from gateway.feeds import Feeds
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.requests import Requests
from streams.feeds.inboxes import decode_follow
from streams.ids import AUTHOR, PUBLIC, author_of
from streams.mailboxes.layout import decode_member, decode_message, decode_state
from streams.public.layout import decode_entry
from streams.users.layout import decode_cursor
from tables.keys import split_key
from tables.rows import ORIGIN, Cursor, Follow, Message, Position, State, position_in

if TYPE_CHECKING:
    from gateway.loader import Loader
    from gateway.touching import Touching
    from gateway.watching import Watching

log = structlog.get_logger()

Headers = Sequence[tuple[str, bytes]]

Take = Callable[[int, bytes, bytes | None, Headers], None]
"""Takes a record: the partition that it is of, its key, value and headers."""


class Rows:
    """Takes records in log order and brings channels, boxes and requests up to date."""

    def __init__(
        self,
        hub: Hub,
        boards: Boards,
        feeds: Feeds,
        users: Users,
        requests: Requests,
        metrics: Metrics,
        instance: str,
    ) -> None:
        self._hub = hub
        self._boards = boards
        self._feeds = feeds
        self._users = users
        self._requests = requests
        self._metrics = metrics
        self._instance = instance.encode()
        self._positions: dict[tuple[str, int], Position] = {}
        self.loader: Loader
        self.touching: Touching
        self.watching: Watching

    def take_mailbox(
        self, partition: int, key: bytes, value: bytes | None, headers: Headers
    ) -> None:
        """Take a record of the mailbox log."""
        mailbox, kind, rest = split_key(key)
        if mailbox.startswith(PUBLIC):
            if kind == "m" and value is not None:
                self._take_entry(partition, mailbox, value)
            return
        if mailbox.startswith(AUTHOR):
            if kind == "m" and value is not None and self._feeds.shows(author_of(mailbox)):
                self._take_post(partition, decode_message(value))
            return
        channel = self._hub.channels.get(mailbox)
        if kind == "m":
            if value is not None and (channel is not None or self._requests.awaits(mailbox)):
                self._take_message(partition, mailbox, channel, decode_message(value))
        elif kind == "u":
            user = self._users.get(rest)
            if user is not None:
                self._take_member(partition, user, mailbox, value, headers)
        elif kind == "s" and channel is not None and value is not None:
            self._take_state(partition, channel, decode_state(value))

    def take_user(self, partition: int, key: bytes, value: bytes | None, _headers: Headers) -> None:
        """Take a record of the user log."""
        name, kind, rest = split_key(key)
        if kind == "c" and value is not None:
            user = self._users.get(name)
            if user is not None:
                self._take_cursor(partition, user, rest, decode_cursor(value))
        elif kind == "f" and value is not None and self._feeds.has(name):
            self._take_follow(partition, name, rest, decode_follow(value))

    def take_delivery(
        self, _partition: int, key: bytes, value: bytes | None, headers: Headers
    ) -> None:
        """Take a row that was forwarded to our partition of the deliveries; others may share it."""
        if key != self._instance:
            return
        log_name, number = headers[0]
        row_key = headers[1][1]
        take = self.take_mailbox if log_name == "mailbox" else self.take_user
        try:
            take(int(number), row_key, value, headers)
        except Exception:
            log.exception("row not understood", log=log_name, key=row_key)
            self.failed(row_key)

    def take_reply(
        self, _partition: int, key: bytes, value: bytes | None, _headers: Headers
    ) -> None:
        """Take a record of our partition of the replies; others may share it."""
        if key == self._instance and value is not None:
            self._requests.take_reply(decode_reply(value))

    def opened(self, channel: Channel) -> None:
        """A channel knows its head: take what has come meanwhile, and serve who waits."""
        for row in channel.take_early():
            self._take_row(channel, row)
        self._hub.changed(channel)

    def failed(self, key: bytes) -> None:
        """A record couldn't be taken: treat it as missing. One whose key is no text is nobody's."""
        try:
            mailbox, kind, rest = split_key(key)
        except UnicodeDecodeError:
            return
        if kind in ("u", "c"):
            user = self._users.get(rest if kind == "u" else mailbox)
            if user is not None:
                self.loader.reload(user)
        if mailbox.startswith(PUBLIC):
            self._boards.failed(mailbox)
        elif mailbox.startswith(AUTHOR):
            self._feeds.drop_author(author_of(mailbox))
        elif kind == "f":
            self._feeds.drop(mailbox)
        channel = self._hub.channels.get(mailbox)
        if channel is not None:
            self.loader.resync(channel)

    def lost(self) -> list[User]:
        """The log lost records: nothing known holds. Returns the users to load again."""
        self._positions.clear()
        self._feeds.drop_all()
        for channel in list(self._hub.channels.values()):
            channel.state_at = ORIGIN
            self.loader.resync(channel)
        for user in self._users:
            user.forget_positions()
        return list(self._users)

    def reloaded(self, user: User, before: dict[str, Cursor]) -> None:
        """Tell a user's sessions what has changed while rows were lost; `before`: the cursors until then."""
        for mailbox, row in list(user.cursors.items()):
            self._show_change(user, mailbox, before.get(mailbox), row)
        self.touching.look(user)

    def _show_change(self, user: User, mailbox: str, before: Cursor | None, row: Cursor) -> None:
        """Tell what a newer cursor says: what was touched, how far they have read, and that they are in."""
        if mailbox.startswith(PUBLIC):
            self.touching.told(user, mailbox, before, row)
            return
        if row.read != (before.read if before else 0):
            self._show_cursor(user, mailbox)
        if row.member and user.has_cursors and row.src > (before.src if before else -1):
            self.watching.added(user, mailbox)

    def _take_cursor(self, partition: int, user: User, mailbox: str, row: Cursor) -> None:
        before = user.cursors.get(mailbox)
        if not self._is_new("user", partition, row.at) or not user.take_cursor(mailbox, row):
            return
        self._requests.take_cursor(user.name, mailbox, row)
        self._show_change(user, mailbox, before, row)

    def _take_follow(self, partition: int, user: str, author: str, row: Follow) -> None:
        if self._is_new("user", partition, row.at):
            self._feeds.take_follow(user, author, following=row.following)

    def _take_post(self, partition: int, row: Message) -> None:
        if self._is_new("mailbox", partition, row.at):
            self._feeds.take_post(row)

    def _take_entry(self, partition: int, mailbox: str, value: bytes) -> None:
        entry = decode_entry(value)
        if self._is_new("mailbox", partition, entry.at):
            self._boards.take(mailbox, entry)

    def _take_message(
        self, partition: int, mailbox: str, channel: Channel | None, row: Message
    ) -> None:
        if not self._is_new("mailbox", partition, row.at):
            return
        self._requests.take_message(mailbox, row)
        if channel is not None:
            self._take_row(channel, row)

    def _take_row(self, channel: Channel, row: Message) -> None:
        outcome = channel.take_message(row)
        if outcome is Outcome.HOLE:
            log.warning(
                "hole in a mailbox", mailbox=channel.mailbox, seq=row.seq, head=channel.head
            )
            self.loader.resync(channel)
        elif outcome is Outcome.MESSAGE:
            self._hub.changed(channel)
            self._pass_own(channel, row)
        elif outcome is Outcome.RECALL:
            self._hub.changed(channel)

    def _pass_own(self, channel: Channel, row: Message) -> None:
        box = channel.boxes.get(row.sender)
        if box is not None and row.seq > box.own:
            box.own = row.seq
            self._show_cursor(box.user, channel.mailbox)

    def _take_member(
        self, partition: int, user: User, mailbox: str, value: bytes | None, headers: Headers
    ) -> None:
        member = None if value is None else decode_member(value)
        at = member.at if member is not None else position_in(headers) or ORIGIN
        if not self._is_new("mailbox", partition, at):
            return
        box = user.boxes.get(mailbox)
        changed = box is None or box.take_member(member, at)
        if member is None and changed:
            self.watching.removed(user, mailbox)
        elif box is None and at.offset == user.joined_by(mailbox):
            # Their own log told so before this one told that they had been out.
            self.watching.added(user, mailbox)

    def _take_state(self, partition: int, channel: Channel, row: State) -> None:
        if not self._is_new("mailbox", partition, row.at) or channel.take_state(row):
            return
        # Made anew: its old members are out, without a row for each.
        for box in list(channel.boxes.values()):
            if box.member is not None and box.member.generation != row.generation:
                self.watching.removed(box.user, channel.mailbox)
        channel.ring.reset(0)
        self.loader.resync(channel)

    def _show_cursor(self, user: User, mailbox: str) -> None:
        box = user.boxes.get(mailbox)
        if box is not None and box.known:
            for session in user.sessions:
                self._hub.emit_cursor(session.outlet, box)

    def _is_new(self, log_name: str, partition: int, at: Position) -> bool:
        source = (log_name, partition)
        if at <= self._positions.get(source, ORIGIN):
            return False
        self._positions[source] = at
        self._metrics.rows_taken.inc()
        return True
