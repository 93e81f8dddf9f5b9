"""Visitors: they read a feed from the top to the oldest, page by page, whatever happens meanwhile."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from tests.faults.clients import Event, Session
from tests.faults.feeds.doers import ERROR_SECONDS, now_ms
from tests.faults.feeds.evidence import FeedEvidence, Shown, Visit
from tests.records import new_id

LIMITS = (3, 10, 20, 40, 100)
OF_AN_AUTHOR = 0.15
WAITS = 0.7
PAUSE = (0.3, 2.0)
TURN = (0.0, 0.1)
SHOWN_SECONDS = 10
MOVED = "moved"


class Visitor(Session):
    """Makes one visit after another; one that is interrupted goes on after the last post it has.

    A gateway's memory follows the logs, so some visits first wait until the gateway has read what there is: until it
    has shown what this user has written to every partition after all that was answered before. marks: the user's
    direct mailboxes, one in each partition.
    """

    evidence: FeedEvidence

    def __init__(self, *session: Any, authors: Sequence[str], marks: Sequence[str]) -> None:
        super().__init__(*session)
        self._authors = authors
        self._marks = marks
        self._visit: Visit | None = None
        self._last: str | None = None
        self._refs = itertools.count(1)
        self._waiting: dict[Any, asyncio.Future[Event]] = {}
        self._ended = False
        self._is_current = False

    def end(self) -> None:
        """Begin no further visit."""
        self._ended = True

    @property
    def done(self) -> bool:
        """Whether every visit has reached the oldest post."""
        return self._ended and self._visit is None

    def on_connect(self) -> None:
        self.evidence.counts["visits interrupted"] += self._visit is not None

    def on_drop(self) -> None:
        self._waiting.clear()

    async def on_event(self, event: Event) -> None:
        ref = event.get("ref", MOVED if event["op"] == "cursor" else None)
        waiting = self._waiting.get(ref)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def work(self) -> None:
        # The next gateway may be another one.
        self._is_current = False
        while self._visit is not None or not self._ended:
            if self._visit is None:
                self._begin()
            assert self._visit is not None
            if await self._turn(self._visit):
                self._visit = None
                await asyncio.sleep(self.rng.uniform(*PAUSE))
            await asyncio.sleep(self.rng.uniform(*TURN))

    def _begin(self) -> None:
        author = self.rng.choice(self._authors) if self.rng.random() < OF_AN_AUTHOR else None
        waits = author is None and self.rng.random() < WAITS
        self._visit, self._last = Visit(self.user, author, now_ms(), waits), None
        self._is_current = False
        self.evidence.visits.append(self._visit)

    async def _turn(self, visit: Visit) -> bool:
        """Read the next page; whether it was the last."""
        if visit.waits and not self._is_current:
            self._is_current = await self._has_read_all()
            return False
        limit = self.rng.choice(LIMITS)
        fields = {"author": visit.author} if visit.author else {}
        page = await self._ask("feed", last_id=self._last, limit=limit, **fields)
        if page["op"] == "error":
            return not await self._after_error(page)
        if len(page["posts"]) > limit:
            self.problem(f"{len(page['posts'])} posts on a page of {limit}")
        visit.shown += shown(page)
        self._last = page["last_id"]
        self.evidence.counts["pages"] += 1
        if self._last is None:
            visit.ended = now_ms()
            self.evidence.counts["visits that waited" if visit.waits else "visits"] += 1
        return self._last is None

    async def _has_read_all(self) -> bool:
        """Whether the gateway has read all that there was in the logs.

        A message to a mailbox that is watched is answered by its row. A cursor that has moved is told to all sessions
        by its row, without a ref.
        """
        for mark in self._marks:
            answer = await self._ask("watch", mailbox=mark, mode="live")
            if answer["op"] == "error":
                await self._after_error(answer)
                return False
        sends = (self._ask("send", mailbox=one, id=new_id(), body=None) for one in self._marks)
        for answer in await asyncio.gather(*sends):
            if answer["op"] == "error":
                await self._after_error(answer)
                return False
            if answer["duplicate"]:
                return False
            seq = answer["seq"]
        moved = self._waiting[MOVED] = asyncio.get_running_loop().create_future()
        answer = await self._ask("read", mailbox=self._marks[-1], seq=seq)
        if answer["op"] == "error":
            await self._after_error(answer)
            return False
        done, _ = await asyncio.wait([moved], timeout=SHOWN_SECONDS)
        return bool(done) and moved.result()["read"] >= seq

    async def _ask(self, op: str, **fields: Any) -> Event:
        ref = next(self._refs)
        answer = self._waiting[ref] = asyncio.get_running_loop().create_future()
        await self.put(op, ref=ref, **fields)
        event = await answer
        self._waiting.pop(ref, None)
        return event

    async def _after_error(self, event: Event) -> bool:
        """Whether it may be tried again, once it has waited."""
        self.evidence.counts[f"error {event['code']}"] += 1
        if not event["retriable"]:
            self.problem(f"refused: {event}")
        await asyncio.sleep(ERROR_SECONDS)
        return bool(event["retriable"])


def shown(page: Event) -> list[Shown]:
    """The posts of a page."""
    return [
        Shown(one["post"], one["author"], one["seq"], one["ts"], one["body"], one.get("state"))
        for one in page["posts"]
    ]
