"""Asks the agents for what a listener needs to know, and keeps what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, NamedTuple

import structlog

from gateway.answers import Fact, Facts, History, decode_cursors, decode_facts, decode_history
from gateway.boxes import ASKED, Box, User
from gateway.channel import Channel
from gateway.errors import unavailable
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.requests import Answer, Requests, decoded
from gateway.rows import Rows
from streams.commands import MAX_MAILBOXES, Query, UserQuery
from streams.errors import Refused
from tables.rows import Position

log = structlog.get_logger()

CURSORS_PAGE = 1_000
"""Cursors asked for at a time."""

RETRY_SECONDS = 1.0
"""Pause before facts are asked for again."""

AT_ONCE = 100
"""Users and mailboxes that are read anew at a time: after a loss it may be all of them."""


class Asked(NamedTuple):
    """One facts query: the user's losses, the channels and their generations when it was sent; its answer to come."""

    losses: int
    channels: dict[str, tuple[Channel, int]]
    answer: asyncio.Future[Answer]


class Opening(NamedTuple):
    """Facts queries of a user that are on their way."""

    user: User
    asked: list[Asked]


class Loader:
    """Facts, cursors and history.

    Interest is registered (channel and box exist) before a question is sent, so that whatever
    the answer doesn't include still comes from the log.
    """

    def __init__(self, requests: Requests, hub: Hub, rows: Rows, metrics: Metrics) -> None:
        self._requests = requests
        self._hub = hub
        self._rows = rows
        self._metrics = metrics
        self._resyncing: dict[Channel, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def open(self, user: User, mailboxes: Iterable[str]) -> Opening:
        """Ask for the facts of mailboxes that aren't known yet.

        Returns when the questions have their place in the order of commands; `finish` waits for
        the answers.
        """
        self._make_room(user)
        unknown = []
        for mailbox in mailboxes:
            box = user.box(self._hub.channel(mailbox))
            if not box.known or not box.channel.is_live:
                unknown.append(mailbox)
        return await self.ask(user, unknown)

    async def ask(self, user: User, mailboxes: Iterable[str]) -> Opening:
        """Ask for the facts of mailboxes, known or not."""
        self._make_room(user)
        names = list(mailboxes)
        for name in names:
            user.box(self._hub.channel(name))
        asked = [
            await self._ask_facts(user, some)
            for some in self._requests.by_partition(names, MAX_MAILBOXES)
        ]
        return Opening(user, asked)

    async def finish(self, opening: Opening) -> None:
        """Wait for the answers and keep them, and for the user's cursors."""
        await self._keep_all(opening)
        await self.cursors(opening.user)

    async def load(self, user: User) -> None:
        """Load all mailboxes of a user; the bulk of it once for all their sessions."""
        if user.loading is None or _failed(user.loading):
            user.loading = _start(self._load(user))
        await asyncio.shield(user.loading)
        await self._load(user)
        boxes = (user.boxes.get(mailbox) for mailbox in user.mailboxes)
        if any(box is not None and not box.channel.is_live for box in boxes):
            raise unavailable("a mailbox is being read anew; try again")

    async def cursors(self, user: User) -> None:
        """Wait for the cursors of a user."""
        await asyncio.shield(self.load_cursors(user))

    def load_cursors(self, user: User) -> asyncio.Task[None]:
        """Start to load the cursors of a user, once for all their sessions."""
        if user.cursors_loading is None or _failed(user.cursors_loading):
            user.cursors_loading = _start(self._load_cursors(user))
        return user.cursors_loading

    async def history(self, user: User, mailbox: str, after: int, limit: int) -> History:
        """One page of messages after a seq."""
        query = Query(
            mailbox=mailbox,
            by=user.name,
            reply=self._requests.address(),
            what="history",
            after=after,
            limit=max(1, min(limit, 1_000)),
        )
        return await decoded(await self._requests.ask(query), decode_history)

    def resync(self, channel: Channel) -> None:
        """The log had a hole: find out where the mailbox stands, and let watchers know what they miss."""
        channel.reopen()
        self._metrics.resyncs.inc()
        task = self._resyncing.get(channel)
        if task is None or task.done():
            task = self._resyncing[channel] = asyncio.create_task(self._resync(channel))
            task.add_done_callback(partial(self._resynced, channel))

    def reload(self, user: User) -> None:
        """The log lost rows: ask again for everything that is known about a user, and tell what has changed."""
        user.stale = True
        if user.reloading is None or user.reloading.done():
            user.reloading = _start(self._reload(user))

    def forget(self, user: User, mailbox: str) -> None:
        """Drop a user's box, and its channel if nobody else needs that."""
        channel = user.drop(mailbox)
        if channel is not None:
            self._hub.release(channel)

    def stop(self) -> None:
        """Give up what is still being asked."""
        for task in list(self._resyncing.values()):
            task.cancel()

    def _make_room(self, user: User) -> None:
        """Forget mailboxes that a user has only asked about, once these are many: any name may be asked about."""
        if len(user.boxes) < user.room or not user.has_cursors:
            return
        watched = {name for session in user.sessions for name in session.watches}
        kept = watched.union(user.mailboxes, user.admitting)
        for mailbox in user.boxes.keys() - kept:
            self.forget(user, mailbox)
        user.room = len(user.boxes) + ASKED

    def _resynced(self, channel: Channel, task: asyncio.Task[None]) -> None:
        # Another hole in the same turn of the loop may have begun it again.
        if self._resyncing.get(channel) is task:
            del self._resyncing[channel]

    async def _reload(self, user: User) -> None:
        before = dict(user.cursors)
        while user.stale:
            user.stale = False
            try:
                async with self._at_once:
                    user.cursors_loading = None
                    await self.cursors(user)
                    await self._keep_all(await self.ask(user, {*user.boxes, *user.mailboxes}))
            except Refused as error:
                log.warning("user not read anew", user=user.name, error=error.message)
                user.stale = True
                await asyncio.sleep(RETRY_SECONDS)
        self._rows.reloaded(user, before)

    async def _keep_all(self, opening: Opening) -> None:
        for asked in opening.asked:
            self._keep(opening.user, asked, await decoded(asked.answer, decode_facts))

    async def _load(self, user: User) -> None:
        await self.cursors(user)
        await self.finish(await self.open(user, user.mailboxes))

    async def _load_cursors(self, user: User) -> None:
        after, more = "", True
        while more:
            query = UserQuery(
                user=user.name,
                by=user.name,
                reply=self._requests.address(),
                after=after,
                limit=CURSORS_PAGE,
            )
            page = await decoded(await self._requests.ask(query), decode_cursors)
            for row in page.cursors:
                user.take_cursor(row.mailbox, row.as_cursor())
                after = row.mailbox
            more = page.more and bool(page.cursors)

    async def _ask_facts(self, user: User, mailboxes: list[str]) -> Asked:
        known = ((name, self._hub.channels.get(name)) for name in mailboxes)
        channels = {name: (channel, channel.generation) for name, channel in known if channel}
        query = Query(
            mailbox=mailboxes[0],
            by=user.name,
            reply=self._requests.address(),
            what="facts",
            mailboxes=tuple(mailboxes),
        )
        return Asked(user.losses, channels, await self._requests.ask(query))

    def _keep(self, user: User, asked: Asked, facts: Facts) -> None:
        for fact in facts.facts:
            channel = self._hub.channels.get(fact.mailbox)
            asked_for, generation = asked.channels.get(fact.mailbox, (None, -1))
            # An answer that has waited for others may be older than the channel that collects now.
            if channel is None or channel is not asked_for:
                continue
            channel.hear(fact)
            box = user.boxes.get(fact.mailbox)
            if box is not None and user.losses == asked.losses:
                self._take_fact(box, fact, facts.as_of)
            if channel.open(fact, facts.as_of, generation):
                self._rows.opened(channel)

    def _take_fact(self, box: Box, fact: Fact, as_of: Position) -> None:
        was_member = box.known and box.is_member
        box.take_fact(fact, as_of)
        if was_member and not box.is_member:
            self._rows.watching.removed(box.user, fact.mailbox)

    async def _resync(self, channel: Channel) -> None:
        head = channel.head
        while (box := next(iter(channel.boxes.values()), None)) is not None:
            try:
                async with self._at_once:
                    if not channel.is_live:
                        # They may have left while others were asked for.
                        if channel.boxes.get(box.user.name) is box:
                            await self._keep_all(await self.ask(box.user, [channel.mailbox]))
                        continue
                    await self._tell_recalls(channel, head)
                # Another hole meanwhile begins it again.
                if channel.is_live:
                    return
            except Refused as error:
                log.warning("mailbox not read anew", mailbox=channel.mailbox, error=error.message)
                await asyncio.sleep(RETRY_SECONDS)

    async def _tell_recalls(self, channel: Channel, head: int) -> None:
        """Tell of the recalls since the mailbox stood at `head`, which no gap speaks of."""
        watch = next(iter(channel.live), None)
        if watch is None:
            # Whoever comes back to what was kept would not hear of them: it is asked for instead.
            channel.ring.reset(channel.head)
            return
        page = await self.history(watch.box.user, channel.mailbox, after=head, limit=1)
        channel.take_recalls(page.recalled)
        self._hub.changed(channel)


def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    # Whoever waits gets the error; with nobody waiting it is nobody's.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
