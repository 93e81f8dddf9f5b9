"""A process of clients: `python -m load.driver PROCESS`, a number.

It takes the plan and then orders as lines on stdin, since there is a secret in the plan, and writes
notes as lines of JSON on stdout: one when an order is done, and the counts of each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import msgspec
import uvloop

from load.member import Member
from load.plan import Plan
from load.tally import Tally
from readcast import ReadcastError

AT_ONCE = 50
"""Clients that connect, found or watch at the same time."""

PLAN_BYTES = 16 << 20
"""A plan may name many groups."""

SETTLE_SECONDS = 90
"""How long the last messages may take to come to all."""

Order = Literal["connect", "found", "watch", "go", "stop", "settle", "leave"]


class Note(msgspec.Struct):
    """done: the order that is carried out. tally: what was counted since the last note.

    failed: why the order that was given can't be carried out; the process ends.
    """

    done: str = ""
    failed: str = ""
    online: int = 0
    tally: Tally = msgspec.field(default_factory=Tally)


class Driver:
    """Carries out the orders, one at a time."""

    def __init__(self, plan: Plan, process: int) -> None:
        self._plan = plan
        self._tally = Tally()
        self._members = [
            Member(plan, number, lambda: self._tally) for number in plan.clients_of(process)
        ]
        self._talk: list[asyncio.Task[None]] = []
        self._sends: set[asyncio.Task[None]] = set()

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Until there are no more orders."""
        reporting = asyncio.create_task(self._report())
        while order := (await orders.readline()).decode().strip():
            try:
                await self._carry_out(order)
            except (ReadcastError, ConnectionError) as error:
                self._note(failed=str(error))
                break
            self._note(order)
        reporting.cancel()

    async def _carry_out(self, order: str) -> None:
        if order in ("connect", "found", "watch", "leave"):
            await self._each(lambda member: getattr(member, order)())
        elif order == "go":
            self._go()
        elif order == "stop":
            await self._stop()
        elif order == "settle":
            await self._settle()

    async def _each(self, do: Callable[[Member], Awaitable[None]]) -> None:
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(member: Member) -> None:
            async with at_once:
                await do(member)

        await asyncio.gather(*map(one, self._members))

    def _go(self) -> None:
        if self._plan.think:
            self._talk = [asyncio.create_task(self._converse(one)) for one in self._members]
        elif self._plan.rate:
            self._talk = [asyncio.create_task(self._send_at_rate())]

    async def _send_at_rate(self) -> None:
        """Messages are due at random times whatever became of the last ones."""
        rate = self._plan.rate * len(self._members) / self._plan.clients
        due = time.monotonic_ns()
        while True:
            due += int(random.expovariate(rate) * 1e9)
            await asyncio.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            self._start(random.choice(self._members).speak(due))

    async def _converse(self, member: Member) -> None:
        """Think, send, wait for the receipt."""
        while True:
            await asyncio.sleep(random.expovariate(1 / self._plan.think))
            await asyncio.shield(self._start(member.speak(time.monotonic_ns())))

    def _start(self, send: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(send)
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)
        return task

    async def _stop(self) -> None:
        """Send no more, and wait for all receipts."""
        for task in self._talk:
            task.cancel()
        await asyncio.gather(*self._sends, return_exceptions=True)

    async def _settle(self) -> None:
        """Wait until all have everything, then count what they have not."""
        first = {member.group: member for member in reversed(self._members)}
        heads = {group: await member.head() for group, member in first.items()}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not all(one.has(heads[one.group]) for one in self._members):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        for member in self._members:
            member.conclude(heads[member.group])

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1 - time.time() % 1)  # the same seconds in all processes
            self._note()

    def _note(self, done: str = "", failed: str = "") -> None:
        tally, self._tally = self._tally, Tally()
        online = sum(member.client.connected for member in self._members)
        sys.stdout.buffer.write(msgspec.json.encode(Note(done, failed, online, tally)) + b"\n")
        sys.stdout.buffer.flush()


async def drive(process: int) -> None:
    """Take the plan and orders from stdin."""
    orders = asyncio.StreamReader(PLAN_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    plan = msgspec.json.decode(await orders.readline(), type=Plan)
    await Driver(plan, process).run(orders)


if __name__ == "__main__":
    # Thousands of clients lose their connections on purpose.
    logging.getLogger("readcast").setLevel(logging.ERROR)
    uvloop.run(drive(int(sys.argv[1])))
