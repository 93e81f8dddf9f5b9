"""What publishes and their stages came to, over all users."""

from __future__ import annotations

import asyncio

from gateway import answers
from gateway.boards import Boards
from gateway.requests import Requests, decoded
from streams.commands import UserQuery
from streams.ids import SYSTEM
from streams.public.counts import Counted, summed

COUNTS_SECONDS = 1.0
"""Least time between two questions for counts, which go to every partition."""


NONE = Counted({}, {})


class Counts:
    """Totals over all partitions, asked at most once a second for all who want them."""

    def __init__(self, requests: Requests, boards: Boards, partitions: int) -> None:
        self._requests = requests
        self._boards = boards
        self._partitions = partitions
        self._loop = asyncio.get_running_loop()
        self._asked = 0.0
        self._task: asyncio.Task[dict[str, Counted]] | None = None

    async def latest(self) -> dict[str, Counted]:
        """Per mailbox; raises `Refused` where a partition doesn't answer."""
        now = self._loop.time()
        if self._task is None or (self._task.done() and now - self._asked >= COUNTS_SECONDS):
            self._asked = now
            self._task = asyncio.create_task(self._ask_all())
        return await asyncio.shield(self._task)

    async def _ask_all(self) -> dict[str, Counted]:
        mailboxes = [board.mailbox for board in self._boards.all()]
        counted = await asyncio.gather(*map(self._of, mailboxes))
        return dict(zip(mailboxes, counted, strict=True))

    async def _of(self, mailbox: str) -> Counted:
        partitions = range(self._partitions)
        parts = await asyncio.gather(*(self._ask(mailbox, number) for number in partitions))
        return Counted(summed(part.counts for part in parts), summed(part.stages for part in parts))

    async def _ask(self, mailbox: str, partition: int) -> answers.Counts:
        query = UserQuery(
            user=SYSTEM,
            by=SYSTEM,
            reply=self._requests.address(),
            what="counts",
            mailbox=mailbox,
        )
        answer = await self._requests.ask(query, partition=partition)
        return await decoded(answer, answers.decode_counts)
