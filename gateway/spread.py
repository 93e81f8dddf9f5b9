"""Spreads a release over the users who are online, at a bounded rate and in random order.

The newest state wins: a spread holds only names, and what a user is shown is decided when their turn
comes. A further stage joins a running spread, a withdrawal leaves it nothing to show.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from itertools import chain

from gateway import wire
from gateway.boards import PublicBoard
from gateway.boxes import User, Users
from gateway.requests import Requests
from gateway.session import Session
from gateway.touching import Touching
from streams.public.layout import publish_of
from tables.rows import AnyEntry, Withdrawn

SLICE_SECONDS = 0.003
"""Longest stretch of looking at users before the loop has its turn."""

RUN = 16
"""Users of one partition who have their turns in a row: their touches are decided as one batch."""

PROGRESS_SECONDS = 0.5
"""Least time between two `progress` events."""


class Spread:
    """One public mailbox on its way to the users online."""

    def __init__(self, board: PublicBoard) -> None:
        self.board = board
        self.publish = 0
        self.entry = 0
        self.names: list[str] = []
        self.planned = 0
        self.done = 0
        self.told = (-1, -1, -1)
        self.is_stale = False
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> tuple[int, int, int]:
        """What operators are told of it."""
        return self.entry, self.planned, self.done


class Spreads:
    """The spreads of this gateway, and the operators who watch them."""

    def __init__(
        self,
        users: Users,
        touching: Touching,
        requests: Requests,
    ) -> None:
        self._users = users
        self._touching = touching
        self._partition_of = requests.partition_of
        self._loop = asyncio.get_running_loop()
        self._spreads: dict[str, Spread] = {}
        self._withdrawing: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()
        self.watchers: set[Session] = set()

    @property
    def left(self) -> int:
        """Users whose turn is still to come."""
        return sum(len(spread.names) for spread in self._spreads.values())

    def changed(self, board: PublicBoard, entry: AnyEntry) -> None:
        """A live entry: spread a stage, or tell who was shown what is over."""
        if isinstance(entry, Withdrawn):
            self.withdraw(board, entry.publish)
            return
        spread = self.start(board)
        spread.publish, spread.entry = publish_of(entry), entry.seq

    def withdraw(self, board: PublicBoard, publish: int) -> None:
        """Tell who was shown a publish that it is over."""
        task = asyncio.create_task(self._withdraw(board, publish))
        self._withdrawing.add(task)
        task.add_done_callback(self._withdrawing.discard)

    def start(self, board: PublicBoard) -> Spread:
        """Show all who are online what a mailbox has for them; what is under way takes it up."""
        spread = self._spreads.get(board.mailbox)
        if spread is None or spread.board is not board:
            if spread is not None and spread.task is not None:
                spread.task.cancel()
            spread = self._spreads[board.mailbox] = Spread(board)
        spread.is_stale = True
        if spread.task is None or spread.task.done():
            spread.planned = spread.done = 0
            spread.task = asyncio.create_task(self._run(spread))
        return spread

    def stop(self) -> None:
        """Give up what is on its way."""
        for spread in self._spreads.values():
            if spread.task is not None:
                spread.task.cancel()
        for task in self._withdrawing:
            task.cancel()

    async def report(self) -> None:
        """Tell the operators who watch how far the spreads are, for ever."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            self._tell_news()
            await asyncio.sleep(PROGRESS_SECONDS)

    def _tell_news(self) -> None:
        for spread in self._spreads.values():
            if spread.state != spread.told:
                spread.told = spread.state
                self._tell(spread)

    def _tell(self, spread: Spread) -> None:
        event = wire.event(
            "progress",
            mailbox=spread.board.mailbox,
            publish=spread.publish,
            entry=spread.entry,
            planned=spread.planned,
            done=spread.done,
        )
        for session in self.watchers:
            session.emit(event)

    async def _run(self, spread: Spread) -> None:
        while spread.is_stale or spread.names:
            if spread.is_stale:
                spread.is_stale = False
                await self._collect(spread)
                continue
            await self._touching.look_in_turn(spread.names.pop())
            spread.done += 1
            self._moved.set()

    async def _collect(self, spread: Spread) -> None:
        """Plan whom the mailbox has something for: all who are online, in random order."""
        by_partition: defaultdict[int, list[str]] = defaultdict(list)
        async for user in self._online():
            if self._touching.has_news(user, spread.board):
                by_partition[self._partition_of(user.name)].append(user.name)
        spread.names = _in_runs(by_partition.values())
        spread.planned = spread.done + len(spread.names)
        self._moved.set()

    async def _withdraw(self, board: PublicBoard, publish: int) -> None:
        async for user in self._online():
            self._touching.withdrawn(user, board, publish)
            self._touching.show_recorded(user)

    async def _online(self) -> AsyncIterator[User]:
        """Users who are online now, in slices between which the loop has its turn."""
        started = self._loop.time()
        for name in [user.name for user in self._users]:
            user = self._users.get(name)
            if user is not None:
                yield user
            if self._loop.time() - started > SLICE_SECONDS:
                await asyncio.sleep(0)
                started = self._loop.time()


def _in_runs(groups: Iterable[list[str]]) -> list[str]:
    """All names in random order, but in runs of one group."""
    runs = []
    for names in groups:
        random.shuffle(names)
        runs += [names[start : start + RUN] for start in range(0, len(names), RUN)]
    random.shuffle(runs)
    return list(chain.from_iterable(runs))
