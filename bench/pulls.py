"""Asks a gateway for pongs and for pages of notices, as fast as it answers.

`python -m bench.pulls --port N --process N --notices N` prints the answers per second of each round, and
the gateway's share of a core meanwhile. The driver is a process of its own with ready frames.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice

import orjson
import uvloop

from bench.processes import cpu_seconds
from bench.raw_socket import RawSocket, connect, text_frame
from bench.readcast import token

ROUNDS = 20
SECONDS = 0.5
CONNECTIONS = 16
IN_FLIGHT = 8
PAGE = 10
PULL = text_frame("notices", mailbox="public:news", limit=PAGE)
PULL_OTHERWISE = text_frame("notices", mailbox="public:news", limit=PAGE, before=2**52)
NOTICE = b'"publish":'


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests, asked in turn, and what is in each answer: a part of its text, and notices."""

    requests: tuple[bytes, ...]
    answer: bytes
    notices: int = 0


KINDS = {
    "ping": Kind((text_frame("ping"),), b'"op":"pong"'),
    "pull": Kind((PULL,), b'"op":"notices"', PAGE),
    # A gateway keeps each user's last page, so another question each time makes it look anew.
    "pull_anew": Kind((PULL, PULL_OTHERWISE), b'"op":"notices"', PAGE),
}


class AnswersError(Exception):
    """The answers are not what was asked for, so the rate means nothing."""


@dataclass(frozen=True, slots=True)
class Round:
    """One kind of request for SECONDS: answers per second, and the gateway's share of a core."""

    rate: float
    busy: float


class Driver:
    """Keeps IN_FLIGHT requests on their way on each connection, and counts the answers."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._sockets: list[RawSocket] = []
        self._answer = b""
        self._next: Iterator[bytes] = iter(())
        self._is_over = False
        self._waiting = 0
        self._settled = asyncio.Event()
        self._answers = self._notices = 0

    async def connect(self, port: int, notices: int) -> None:
        """Connect, and wait until each user was shown all notices."""
        for number in range(CONNECTIONS):
            shown = asyncio.Event()
            self._sockets.append(await self._join(port, f"reader{number}", notices, shown))
            await asyncio.wait_for(shown.wait(), 30)

    async def _join(self, port: int, user: str, notices: int, shown: asyncio.Event) -> RawSocket:
        missing = notices

        def take(payload: bytes) -> None:
            nonlocal missing
            if shown.is_set():
                self._count(raw, payload)
                return
            missing -= payload.count(b'"op":"notice"')
            if missing <= 0:
                shown.set()

        raw = await connect(port, take)
        raw.send(text_frame("hello", token=token(user)) + text_frame("sync"))
        return raw

    async def run(self, kind: Kind) -> Round:
        self._answer, self._next = kind.answer, cycle(kind.requests)
        self._answers = self._notices = 0
        self._is_over = False
        begin, cpu = time.perf_counter(), cpu_seconds(self._process)
        for raw in self._sockets:
            self._ask(raw, IN_FLIGHT)
        self._waiting = IN_FLIGHT * CONNECTIONS
        await asyncio.sleep(SECONDS)
        counted = self._answers
        seconds, cpu = time.perf_counter() - begin, cpu_seconds(self._process) - cpu
        self._is_over = True
        self._settled.clear()
        await asyncio.wait_for(self._settled.wait(), 10)
        if self._notices != kind.notices * self._answers:
            raise AnswersError(f"{self._notices} notices in {self._answers} answers")
        return Round(round(counted / seconds, 1), round(cpu / seconds, 3))

    def _count(self, raw: RawSocket, payload: bytes) -> None:
        found = payload.count(self._answer)
        self._answers += found
        self._notices += payload.count(NOTICE)
        if not self._is_over:
            self._ask(raw, found)
            return
        self._waiting -= found
        if not self._waiting:
            self._settled.set()

    def _ask(self, raw: RawSocket, count: int) -> None:
        raw.send(b"".join(islice(self._next, count)))


async def drive(port: int, process: int, notices: int) -> dict[str, list[Round]]:
    """ROUNDS of each kind, in turn, every other time the other way round (ABBA)."""
    driver = Driver(process)
    await driver.connect(port, notices)
    rounds: dict[str, list[Round]] = {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in reversed(KINDS) if number % 2 else KINDS:
            rounds[kind].append(await driver.run(KINDS[kind]))
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pulls", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--process", type=int, required=True, help="The gateway's process id.")
    parser.add_argument("--notices", type=int, required=True, help="That each user is shown.")
    arguments = parser.parse_args()
    rounds = uvloop.run(drive(arguments.port, arguments.process, arguments.notices))
    print(
        orjson.dumps(
            {kind: [asdict(one) for one in some] for kind, some in rounds.items()}
        ).decode()
    )


if __name__ == "__main__":
    main()
