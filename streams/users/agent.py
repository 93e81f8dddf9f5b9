"""The user agent: cursors, and which mailboxes a user is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import orjson
from msgspec.structs import replace

from streams.commands import (
    AnyUserCommand,
    Open,
    Read,
    Subscribed,
    Touch,
    Unread,
    Unsubscribed,
    UserQuery,
    decode_subscriptions,
    decode_user_command,
)
from streams.decisions import Change, Moment, Outcome, Run
from streams.errors import Code, Refused
from streams.feeds import followers
from streams.feeds.commands import FeedQuery, FollowersCommand, KeepSnapshot, Pushed, Seen
from streams.feeds.limits import FeedLimits
from streams.feeds.queries import answer_feed
from streams.ids import SYSTEM
from streams.routes import rules as routes
from streams.routes.commands import AnnounceUsers, RenewUserLease
from streams.routes.rules import Routes
from streams.topics import MAX_ANSWER
from streams.users import rules, touches
from streams.users.layout import (
    Total,
    Totals,
    decode_cursor,
    decode_total,
    stage_prefix,
    total_prefix,
)
from tables.fetching import Record
from tables.keys import cursor_key, parse_key
from tables.overlay import Overlay, Row
from tables.partition import Partition
from tables.rows import ORIGIN, Cursor, Position

# Looked up by type: `isinstance` of structs costs several times as much.
_TOUCHES = frozenset((Touch, Open))
_MOVES = _TOUCHES | {Read, Unread, Subscribed, Unsubscribed}
_ROUTING = frozenset((RenewUserLease, AnnounceUsers))
_NEW = Cursor(ORIGIN)


class UserAgent:
    """How far each user has read, what has touched them, and whom they follow."""

    runs_of = Subscribed

    def __init__(self, limits: FeedLimits, delivery_partitions: int = 1) -> None:
        self._limits = limits
        self._delivery_partitions = delivery_partitions

    def decode_run(self, records: Sequence[Record]) -> list[Subscribed] | None:
        """Decode and validate records at once, if all are subscriptions."""
        return decode_subscriptions([r.key for r in records], [r.value for r in records])

    def decode(self, key: bytes | None, value: bytes | None) -> AnyUserCommand:
        """Decode and validate a record; raises `Malformed`."""
        return decode_user_command(key, value)

    def prefetch(self, rows: Overlay, commands: Sequence[Any]) -> None:
        """Look up all cursors, and whom pushes are for, at once."""
        moves = (c for c in commands if type(c) in _MOVES)
        rows.prefetch({cursor_key(c.user, c.mailbox): None for c in moves}, decode_cursor)
        followers.prefetch(rows, [c for c in commands if type(c) is Pushed])

    def keys(self, command: Any) -> tuple[str, ...]:
        """The users; none where it is about the whole partition."""
        if isinstance(command, FollowersCommand):
            return command.users
        if type(command) is AnnounceUsers:
            return (command.user, *command.users)
        if type(command) is RenewUserLease:
            return ()
        if type(command) is UserQuery and command.what == "counts":
            return ()
        return (command.user,)

    def view(self, rows: Overlay) -> Overlay:
        """The rows as a batch sees them."""
        return rows

    def is_query(self, command: Any) -> bool:
        """Whether a command only asks."""
        return type(command) is UserQuery or type(command) is FeedQuery

    def decide_run(self, rows: Overlay, commands: Iterable[tuple[Record, Any]]) -> Run:
        """The cursors of the first commands, as far as each only makes its user a member of one more mailbox."""
        cursors: dict[bytes, Row] = {}
        with suppress(Refused):
            for record, c in commands:
                if type(c) is not Subscribed or c.reply is not None:
                    break
                key = cursor_key(c.user, c.mailbox)
                before = rows.find(key, decode_cursor) or _NEW
                after = rules.decide(before, c)
                if after is before or key in cursors:
                    break
                cursors[key] = replace(after, at=Position(record.offset, 0))
        return Run(list(cursors), list(cursors.values()))

    def decide(self, rows: Overlay, command: Any, moment: Moment) -> Outcome:
        """What a command does; raises `Refused`."""
        if type(command) in _ROUTING:
            return routes.decide(Routes(rows), command, moment, self._delivery_partitions)
        if isinstance(command, FollowersCommand | Seen | KeepSnapshot):
            return followers.decide(rows, command, moment, self._limits)
        key = cursor_key(command.user, command.mailbox)
        before = rows.find(key, decode_cursor) or _NEW
        if type(command) in _TOUCHES:
            after = touches.decide(before, command, moment.now, Totals(rows))
        else:
            after = rules.decide(before, command)
        row = before if after == before else replace(after, at=Position(moment.offset, 0))
        changes = [] if row is before else [Change(key, row)]
        return Outcome(changes, [], _result(command, row, moment))

    def answer(self, partition: Partition, query: Any) -> dict[str, Any]:
        """The answer to a query; raises `Refused`."""
        if type(query) is FeedQuery:
            return answer_feed(partition, query)
        return _counts(partition, query) if query.what == "counts" else _cursors(partition, query)


def _result(command: Any, row: Cursor, moment: Moment) -> dict[str, Any]:
    result = {"mailbox": command.mailbox, "read": row.read}
    if isinstance(command, Touch):
        # What this very record has touched, also if it is decided again after a restart.
        result["touched"] = row.touched if row.at.offset == moment.offset else ()
    return result


def _counts(partition: Partition, query: UserQuery) -> dict[str, Any]:
    if query.mailbox is None:
        raise Refused(Code.BAD_REQUEST, "counts are asked of a public mailbox: name it")
    return {
        "mailbox": query.mailbox,
        "counts": _totals(partition, total_prefix(query.mailbox)),
        "stages": _totals(partition, stage_prefix(query.mailbox)),
    }


def _totals(partition: Partition, prefix: bytes) -> dict[str, Total]:
    return {str(int(key[-16:])): decode_total(value) for key, value in partition.scan(prefix)}


def _cursors(partition: Partition, query: UserQuery) -> dict[str, Any]:
    if query.by not in (query.user, SYSTEM):
        raise Refused(Code.FORBIDDEN, "cursors are their user's")
    cursors: list[dict[str, Any]] = []
    size = 0
    for key, value in partition.scan(
        cursor_key(query.user, ""), after=cursor_key(query.user, query.after)
    ):
        size += len(value)
        if len(cursors) == query.limit or (cursors and size > MAX_ANSWER):
            return {"cursors": cursors, "more": True}
        cursors.append({"mailbox": parse_key(key).name, **orjson.loads(value)})
    return {"cursors": cursors, "more": False}
