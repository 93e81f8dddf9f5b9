"""What public mailboxes have for a user: notices as clients see them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from gateway import wire
from gateway.boards import Boards, PublicBoard
from gateway.boxes import NoticesPage, User
from gateway.clock import now_ms
from streams.public.board import Notice
from streams.users.layout import COUNTED
from tables.rows import ORIGIN, Cursor

NO_CURSOR = Cursor(at=ORIGIN)

READY = 1_000
"""Notices that are kept encoded, without their boards: those of the day are sent to everybody."""

Claims = Mapping[str, Any]


class Found(NamedTuple):
    """A publish that has reached a user at `entry`."""

    mailbox: str
    notice: Notice
    entry: int
    opened: bool

    @property
    def place(self) -> tuple[int, str, int]:
        """Its place in the order of time."""
        published = self.notice.entry
        return published.ts, self.mailbox, published.seq

    def fields(self) -> dict[str, object]:
        """As clients see it in a list."""
        return fields(self.mailbox, self.notice, self.entry) | {"opened": self.opened}


def cursor_of(user: User, mailbox: str) -> Cursor:
    """How far a public mailbox was looked at for a user."""
    return user.cursors.get(mailbox, NO_CURSOR)


def claims_of(user: User) -> list[Claims]:
    """The different claims of a user's sessions, the latest last."""
    different: list[Claims] = []
    for session in sorted(user.sessions, key=lambda session: session.renewed):
        if session.claims not in different:
            different.append(session.claims)
    return different


def reaches_at(notice: Notice, user: User) -> int | None:
    """The entry that first reaches a user, by the claims of any of their sessions."""
    return _reaches_at(notice, user.name, claims_of(user))


def _reaches_at(notice: Notice, name: str, claims: list[Claims]) -> int | None:
    if len(claims) == 1:
        return notice.reaches_at(name, claims[0])
    entries = (notice.reaches_at(name, one) for one in claims)
    return min((entry for entry in entries if entry is not None), default=None)


def found(board: PublicBoard, user: User, before: int | None = None) -> Iterator[Found]:
    """What has been shown to the user and still stands, newest first."""
    cursor, now, claims = cursor_of(user, board.mailbox), now_ms(), claims_of(user)
    waiting, opened = set(cursor.deferred), set(cursor.opened)
    # Whether older ones were opened is recorded no more: they are not unread for ever.
    recorded_from = board.head - COUNTED + 1
    for notice in board.newest(before):
        publish = notice.entry.seq
        is_shown = (board.mailbox, publish) in user.shown
        if notice.over(now) or (publish > cursor.read and not is_shown):
            continue
        entry = _reaches_at(notice, user.name, claims)
        if entry is not None and (is_shown or (entry <= cursor.read and entry not in waiting)):
            yield Found(board.mailbox, notice, entry, publish in opened or publish < recorded_from)


def page_json(
    boards: Boards, user: User, mailbox: str | None, before: int | None, limit: int
) -> bytes:
    """The fields `notices` and `more` of a page, as JSON without braces; kept until something changes."""
    # What was shown shrinks only with an entry of the board, so its number tells whether it has changed.
    asked = mailbox, before, limit, boards.changes, user.changes, len(user.shown)
    page = user.page
    if page is None or page.asked != asked or page.until <= now_ms():
        some, more = _page(boards, user, mailbox, before, limit)
        until = min((one.notice.entry.expires or math.inf for one in some), default=math.inf)
        listed = b",".join(map(_json, some))
        json = b'"notices":[%b],"more":%b' % (listed, b"true" if more else b"false")
        page = user.page = NoticesPage(asked, until, json)
    return page.json


def _page(
    boards: Boards, user: User, mailbox: str | None, before: int | None, limit: int
) -> tuple[list[Found], bool]:
    """What a user may find, newest first, and whether there is more. Times are never split between pages."""
    some = boards.all() if mailbox is None else [boards.get(mailbox)]
    by_board = (found(board, user, before) for board in some if board is not None)
    newest = merge(*by_board, key=_place, reverse=True)
    listed = list(islice(newest, limit))
    for one in newest:
        if one.notice.entry.ts != listed[-1].notice.entry.ts:
            return listed, True
        listed.append(one)
    return listed, False


_place = attrgetter("place")


def fields(mailbox: str, notice: Notice, entry: int) -> dict[str, object]:
    """A notice as clients see it."""
    published = notice.entry
    return {
        "mailbox": mailbox,
        "publish": published.seq,
        "entry": entry,
        "title": published.title,
        "body": orjson.Fragment(bytes(published.body)),
        "ts": published.ts,
        "expires": published.expires,
        "priority": published.priority,
    }


@lru_cache(READY)
def notice_event(mailbox: str, notice: Notice, entry: int, *, again: bool) -> bytes:
    """Encode a `notice` event."""
    return wire.event("notice", None, **fields(mailbox, notice, entry), again=again)


def withdrawn_event(mailbox: str, publish: int) -> bytes:
    """Encode a `withdrawn` event."""
    return wire.event("withdrawn", mailbox=mailbox, publish=publish)


def opened_event(mailbox: str, publish: int, ref: wire.Ref = None) -> bytes:
    """Encode an `opened` event."""
    return wire.event("opened", ref, mailbox=mailbox, publish=publish)


@lru_cache(READY)
def _json(one: Found) -> bytes:
    return orjson.dumps(one.fields())


def sync_entries(boards: Boards, user: User) -> Iterator[tuple[tuple[int, str], dict[str, object]]]:
    """The public mailboxes that have something for a user, as `sync` lists them, with their places."""
    for board in boards.all():
        some = list(found(board, user))
        if some:
            last = some[0].notice.entry
            yield (
                (last.ts, board.mailbox),
                {
                    "mailbox": board.mailbox,
                    "epoch": "",
                    "head": board.head,
                    "read": cursor_of(user, board.mailbox).read,
                    "unread": sum(not one.opened for one in some),
                    "last": {"title": last.title, "ts": last.ts, "publish": last.seq},
                    "members": 0,
                    "role": "reader",
                    "mode": "notice",
                    "closed": False,
                },
            )
