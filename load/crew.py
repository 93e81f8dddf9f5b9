"""The processes of a run, and what they tell."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Self

import msgspec

from bench.paths import ROOT
from load.driver import Note, Order
from load.plan import Plan
from load.tally import Tally

LINE_BYTES = 16 << 20
decode_note = msgspec.json.Decoder(Note).decode


class Moment(msgspec.Struct):
    """One second of a run; `second` since its begin. rss: MB in memory, by process."""

    second: int
    online: int = 0
    tally: Tally = msgspec.field(default_factory=Tally)
    rss: dict[str, float] = {}


class CrewError(Exception):
    """Clients can't do what they were told to; the message says why, or what they said is above."""


class Crew:
    """`async with` starts the processes; each order is carried out by all before the next."""

    def __init__(self, plan: Plan, rss: Callable[[], dict[str, float]] = dict) -> None:
        self.plan = plan
        self.began = time.monotonic()
        self.phase = "start"
        self.total = Tally()
        self.moments: list[Moment] = []
        self._rss = rss
        self._online = [0] * plan.processes
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._done: dict[str, int] = {}
        self._failed = ""
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        plan = msgspec.json.encode(self.plan) + b"\n"
        for number in range(self.plan.processes):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "load.driver", str(number)),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
            )
            assert process.stdin is not None
            process.stdin.write(plan)
            self._processes.append(process)
            self._readers.append(asyncio.create_task(self._read(number, process)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.cancel()
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def order(self, *orders: Order) -> None:
        """Have orders carried out by all, one after the other; CrewError if a process ends."""
        for order in orders:
            self.phase = order
            self._done[order] = 0
            for process in self._processes:
                assert process.stdin is not None
                process.stdin.write(order.encode() + b"\n")
            async with self._news:
                while self._done[order] < len(self._processes):
                    self._check()
                    await self._news.wait()

    async def run_for(self, seconds: float) -> None:
        """Let it go on for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check()
            await asyncio.sleep(min(1.0, left))

    @property
    def online(self) -> int:
        """Clients that are connected."""
        return sum(self._online)

    def since(self, second: int) -> Tally:
        """The sum of what was counted from a second on."""
        tally = Tally()
        for moment in self.moments[second:]:
            tally.merge(moment.tally)
        return tally

    @property
    def second(self) -> int:
        """The present second of the run."""
        return int(time.monotonic() - self.began)

    def _check(self) -> None:
        if self._failed:
            raise CrewError(self._failed)
        for process in self._processes:
            if process.returncode is not None:
                raise CrewError(f"a process of clients ended with code {process.returncode}")

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            note = decode_note(line)
            self._online[number] = note.online
            self._failed = self._failed or note.failed
            self.total.merge(note.tally)
            moment = self._moment()
            moment.tally.merge(note.tally)
            moment.online = self.online
            if note.done:
                self._done[note.done] += 1
            async with self._news:
                self._news.notify_all()
        await process.wait()
        async with self._news:
            self._news.notify_all()

    def _moment(self) -> Moment:
        """The present second's record."""
        while len(self.moments) <= self.second:
            self.moments.append(Moment(len(self.moments), self.online, rss=self._rss()))
        return self.moments[-1]
