"""The user agent: cursors, and which mailboxes a user is in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from streams.commands import AnyUserCommand, UserQuery, decode_user_command
from streams.decisions import Change, Moment, Outcome
from streams.users.rules import decide
from tables.keys import cursor_key, parse_key
from tables.overlay import Overlay, Row
from tables.partition import Partition
from tables.rows import Cursor, Position

decode_cursor = msgspec.json.Decoder(Cursor).decode
_encode = msgspec.json.Encoder().encode


class UserLayout:
    """How user rows are read; nothing is derived from them."""

    def decode(self, key: bytes, value: bytes) -> Cursor:
        """The typed row."""
        if parse_key(key).kind != "c":
            raise ValueError(f"no row of a user has the key {key!r}")
        return decode_cursor(value)

    def derive(self, rows: Overlay, key: bytes, row: Row | None) -> None:
        """Nothing."""


class UserAgent:
    """How far each user has read."""

    def decode(self, key: bytes | None, value: bytes | None) -> AnyUserCommand:
        """Decode and validate a record; raises `Malformed`."""
        return decode_user_command(key, value)

    def prefetch(self, rows: Overlay, commands: Iterable[Any]) -> None:
        """Look up all cursors at once."""
        rows.prefetch(
            dict.fromkeys(
                cursor_key(c.user, c.mailbox) for c in commands if type(c) is not UserQuery
            ),
            decode_cursor,
        )

    def keys(self, command: Any) -> tuple[str]:
        """The user."""
        return (command.user,)

    def view(self, rows: Overlay) -> Overlay:
        """The cursors as a batch sees them."""
        return rows

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) is UserQuery

    def decide(self, rows: Overlay, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        key = cursor_key(command.user, command.mailbox)
        before = rows.find(key, decode_cursor) or Cursor(Position(0, 0))
        after = decide(before, command)
        result = {"mailbox": command.mailbox, "read": after.read}
        if after == before:
            return Outcome([], [], result)
        row = msgspec.structs.replace(after, at=Position(moment.offset, 0))
        return Outcome([Change(key, row)], [], result)

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The user's cursors, a page of them."""
        cursors: list[dict[str, Any]] = []
        for key, value in partition.scan(
            cursor_key(query.user, ""), after=cursor_key(query.user, query.after)
        ):
            if len(cursors) == query.limit:
                return {"cursors": cursors, "more": True}
            cursors.append({"mailbox": parse_key(key).name, **orjson.loads(value)})
        return {"cursors": cursors, "more": False}
