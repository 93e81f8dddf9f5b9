"""One client of a run: sends, listens, and counts what it was promised."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import jwt

from load.plan import Plan
from load.tally import Tally, add, count
from readcast import Client, ReadcastError
from readcast.websocket import Take, WebSocket, dial

TOKEN_SECONDS = 12 * 3_600
CONNECT_SECONDS = 30
JOINED_AT_ONCE = 1_000
UNLIMITED = {"mailbox_rate": [1_000_000, 1_000_000], "member_rate": [1_000_000, 1_000_000]}
SLOW_PAUSE, SLOW_READ = 1.0, 0.02
"""Seconds that a slow client does not read, and does."""


class Member:
    """`tally` gives the counts of the present second."""

    def __init__(self, plan: Plan, number: int, tally: Callable[[], Tally]) -> None:
        self._plan = plan
        self._number = number
        self._tally = tally
        self._socket: WebSocket
        self._welcomed = False
        self._reason = "no answer"
        self._begin: int | None = None
        self._seq = 0
        self._missing: set[int] = set()
        self._ids: set[str] = set()
        self._receipts: dict[str, int] = {}
        self._own: dict[int, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._filler = "." * max(0, plan.body_bytes - 60)
        self.number = number
        self.group = plan.group(plan.group_of(number))
        self.is_owner = plan.members(plan.group_of(number))[0] == number
        self.client = Client(
            plan.url,
            self._token,
            watch=(),
            listener=self._take,
            request_seconds=plan.send_seconds,
            dial=self._dial,
        )

    async def connect(self) -> None:
        """Come in, and do what a slow or a restless one does; ConnectionError if that takes too long."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.client.__aenter__()
        except TimeoutError:
            wanted = f"no connection to {self._plan.url} within {CONNECT_SECONDS} s"
            raise ConnectionError(f"{wanted}: {self._reason}") from None
        if self._plan.is_slow(self._number):
            self._tasks.append(asyncio.create_task(self._dawdle()))
        if self._plan.is_restless(self._number):
            self._tasks.append(asyncio.create_task(self._fidget()))

    async def found(self) -> None:
        """Make the group, if this is its owner."""
        if not self.is_owner:
            return
        names = [self._plan.user(one) for one in self._plan.members(self._group_number)][1:]
        await self.client.create(self.group, **UNLIMITED)
        for first in range(0, len(names), JOINED_AT_ONCE):
            await self.client.join(self.group, *names[first : first + JOINED_AT_ONCE])

    async def watch(self) -> None:
        """Listen to the group; every message from its present head on counts."""
        answer = await self.client.request("watch", mailbox=self.group, mode="live")
        if self._begin is None:
            self._begin = self._seq = answer["head"]
        elif self._begin != answer["head"]:
            self._missing.update(range(answer["head"] + 1, self._begin + 1))

    async def speak(self, due: int) -> None:
        """Send a message that was due at a time (ns of the monotonic clock), until there is a receipt."""
        self._tally().sent += 1
        body = {"at": due, "text": self._filler}
        try:
            receipt = await self.client.send(self.group, body)
        except ReadcastError as error:
            count(self._tally().failed, error.code)
        else:
            tally = self._tally()
            tally.acknowledged += 1
            self._receipts[receipt.id] = receipt.seq
            tally.receipts.add(micros_since(due))

    async def head(self) -> int:
        """The last seq of the group."""
        return int((await self.client.history(self.group, before=1, limit=1))["head"])

    def has(self, head: int) -> bool:
        """Whether everything up to a head has come."""
        return self._seq >= head and not self._missing

    def conclude(self, head: int) -> None:
        """Count what has not come, and what the client had to mend."""
        tally = self._tally()
        tally.lost += len(self._missing) + max(0, head - self._seq)
        tally.unstored += sum(
            self._own.get(seq) != message
            for message, seq in self._receipts.items()
            if seq > head or (seq <= self._seq and seq not in self._missing)
        )
        if self.is_owner:
            tally.stored += head - (self._begin or 0)
        counts = self.client.counts
        tally.dropped += counts["doubled"]
        tally.pulled += counts["pulled"]
        tally.recovered += counts["recovered"]
        tally.unrecovered += counts["unrecovered"]
        add(tally.refused, dict(self.client.refusals))

    async def leave(self) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()
        await self.client.close()

    @property
    def _group_number(self) -> int:
        return self._plan.group_of(self._number)

    def _token(self) -> str:
        claims = {"sub": self._plan.user(self._number), "exp": int(time.time()) + TOKEN_SECONDS}
        return jwt.encode(claims, self._plan.secret, "HS256")

    async def _dial(self, url: str, take: Take) -> WebSocket:
        self._socket = await dial(url, take, source=self._plan.source(self._number))
        return self._socket

    async def _dawdle(self) -> None:
        while True:
            self._socket.pause()
            await asyncio.sleep(SLOW_PAUSE)
            self._socket.resume()
            await asyncio.sleep(SLOW_READ)

    async def _fidget(self) -> None:
        while True:
            await asyncio.sleep(random.expovariate(1 / self._plan.restless_seconds))
            self.client.drop()

    def _take(self, event: dict[str, Any]) -> None:
        op = event["op"]
        if op == "message":
            self._message(event)
        elif op == "welcome":
            self._tally().reconnects += self._welcomed
            self._welcomed = True
        elif op == "resumed":
            count(self._tally().back, time.monotonic_ns() // 100_000_000)
        elif op == "disconnected":
            self._reason = event["reason"]
            count(self._tally().disconnected, str(event["code"]))
        elif op == "reset":
            self._tally().reset += 1

    def _message(self, event: dict[str, Any]) -> None:
        tally, seq = self._tally(), event["seq"]
        tally.delivered += 1
        tally.deliveries.add(micros_since(event["body"]["at"]))
        if self._begin is None:
            self._begin = self._seq = seq - 1
        if seq > self._seq:
            self._missing.update(range(self._seq + 1, seq))
            self._seq = seq
        elif seq in self._missing:
            self._missing.discard(seq)
            tally.disordered += 1
        else:
            tally.doubled += 1
        if event.get("from") == self._plan.user(self._number):
            self._own[seq] = event["id"]
        if self.is_owner:
            tally.twice += event["id"] in self._ids
            self._ids.add(event["id"])


def micros_since(due: int) -> int:
    """Microseconds since a time in ns of the monotonic clock, which all processes here share."""
    return (time.monotonic_ns() - due) // 1_000
