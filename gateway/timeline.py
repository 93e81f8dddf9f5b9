"""All mailboxes of a user as one list in the order of time.

Each partition of the mailbox log is asked once for the newest messages in its mailboxes; public
mailboxes are in memory. A page costs the same however much lies before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gateway import notices, wire
from gateway.answers import Timeline, decode_timeline
from gateway.boards import Boards
from gateway.boxes import User
from gateway.loader import Loader
from gateway.requests import Requests, decoded
from gateway.session import Session
from streams.commands import MAX_MAILBOXES, Place, Query
from tables.rows import Message

PAGE_BYTES = 1_000_000
"""Bytes of bodies in one page."""

_START: Place = (0, "", 0)


class Item(NamedTuple):
    """A message as clients see it, and how many bytes its body has."""

    place: Place
    fields: dict[str, object]
    size: int


class Page(NamedTuple):
    """Messages in the order of time, and whether there are earlier ones."""

    items: list[Item]
    more: bool


class Timelines:
    """Reads timelines back, page by page."""

    def __init__(self, requests: Requests, loader: Loader, boards: Boards) -> None:
        self._requests = requests
        self._loader = loader
        self._boards = boards

    async def page(self, session: Session, before: Place | None, limit: int) -> Page:
        """The newest messages before a place; raises `Refused`."""
        user = session.user
        await self._loader.load(user)
        active, quiet = _candidates(user, before)
        asked = [
            await self._requests.ask(query, session.quota)
            for query in self._queries(user, [*active, *quiet[:limit]], before, limit)
        ]
        parts = [await decoded(answer, decode_timeline) for answer in asked]
        self._boards.check()
        items = [*self._notices(user, before, limit)]
        for part in parts:
            items += map(_message, part.messages)
        complete = max(map(_ends_at, parts), default=_START)
        kept = _newest(items, complete, limit)
        more = len(kept) < len(items) or complete > _START or len(quiet) > limit
        return Page(kept[::-1], more)

    def _queries(
        self, user: User, mailboxes: list[str], before: Place | None, limit: int
    ) -> Iterator[Query]:
        for names in self._requests.by_partition(mailboxes, MAX_MAILBOXES):
            yield Query(
                mailbox=names[0],
                by=user.name,
                reply=self._requests.address(),
                what="timeline",
                mailboxes=tuple(names),
                place=before,
                limit=limit,
            )

    def _notices(self, user: User, before: Place | None, limit: int) -> Iterator[Item]:
        """What public mailboxes have for the page, and one more of each where there is one."""
        until = None if before is None else before[0] + 1
        for board in self._boards.all():
            found = notices.found(board, user, until)
            earlier = (one for one in found if before is None or one.place < before)
            for one in islice(earlier, limit + 1):
                yield Item(one.place, one.fields(), len(one.notice.entry.body))


def _candidates(user: User, before: Place | None) -> tuple[list[str], list[str]]:
    """The mailboxes that can have something on the page: those with messages beyond it, and the others.

    The last message of the others stands before it. They are in the order of these, so a page needs
    only as many of them as it has room for messages.
    """
    active: list[str] = []
    quiet: list[tuple[int, str]] = []
    for box in user.boxes.values():
        last = box.last
        if not box.is_listed or last is None:
            continue
        if before is not None and (last.ts, box.channel.mailbox, last.seq) >= before:
            active.append(box.channel.mailbox)
        else:
            quiet.append((last.ts, box.channel.mailbox))
    quiet.sort(reverse=True)
    return active, [mailbox for _, mailbox in quiet]


def _message(found: tuple[str, Message]) -> Item:
    mailbox, row = found
    fields = {"mailbox": mailbox, **wire.message_fields(row)}
    return Item((row.ts, mailbox, row.seq), fields, len(row.body))


def _ends_at(part: Timeline) -> Place:
    """The place down to which an answer is complete."""
    if not part.more:
        return _START
    mailbox, row = part.messages[-1]
    return (row.ts, mailbox, row.seq)


def _newest(items: list[Item], complete: Place, limit: int) -> list[Item]:
    """The newest items, as far as a page holds them and nothing is missing between them."""
    size, kept = 0, list[Item]()
    for item in sorted(items, key=lambda item: item.place, reverse=True):
        size += item.size
        if item.place < complete or len(kept) == limit or (kept and size > PAGE_BYTES):
            break
        kept.append(item)
    return kept
