"""p99 of chat while a notice is released to 15,000 users who are online at one gateway, against before it.

The release is not paced. Each user is shown the notice, once their touch is in the log, and pulls a page. A small
group chats all the time through the same gateway and worker.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import uvloop
from rich.progress import Progress

from bench.backlog import body, send
from bench.broker import Broker, broker
from bench.chat import Chat, Client, openings
from bench.crowd import Spread, connected, spread_of, start_crowd
from bench.figures import Figure
from bench.processes import Process, cpu_seconds
from bench.public import entry
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.topics import USER_CHANGELOG

USERS = 15_000
CROWDS = 2
ROUNDS = 5
CALM_SECONDS = 10
CONNECT_SECONDS = 180
RELEASE_SECONDS = 120
LOOK_SECONDS = 0.1
UNPACED = {"READCAST_GATEWAY_PUBLIC_RATE": "1e9", "READCAST_GATEWAY_FRAME_RATE": "1e6"}


@dataclass(frozen=True, slots=True)
class Round:
    """One release: p99 of chat in ms, users a second until the last was shown the notice, and cores of the gateway."""

    before: float
    during: float
    users_per_second: float
    seconds_to_last_pull: float
    gateway_cores: float
    worker_cores: float


class TouchedError(Exception):
    """The log has more or fewer touches than there are users."""


def measure(progress: Progress) -> Figure:
    task = progress.add_task(f"releases to {USERS:,}", total=ROUNDS)
    with broker() as fresh, ExitStack() as stack:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, openings()))
        worker = stack.enter_context(ready_worker(fresh))
        gateway, port = stack.enter_context(ready_gateway(fresh, **UNPACED))
        share = USERS // CROWDS
        crowds = [
            stack.enter_context(start_crowd(fresh, port, first, first + share))
            for first in range(0, USERS, share)
        ]
        for crowd in crowds:
            crowd.wait_until(lambda crowd=crowd: connected(crowd), CONNECT_SECONDS)
        stage = Stage(fresh, worker, gateway, crowds)
        rounds = uvloop.run(stage.play(port, lambda: progress.advance(task)))
    return Figure(
        statistics.median(one.during for one in rounds),
        "ms",
        statistics.median(one.before for one in rounds),
        {
            "peer_name": "before the release",
            "users_per_second": statistics.median(one.users_per_second for one in rounds),
            "rounds": [asdict(one) for one in rounds],
        },
    )


class Stage:
    """The processes of a run."""

    def __init__(
        self, fresh: Broker, worker: Process, gateway: Process, crowds: list[Process]
    ) -> None:
        self._fresh = fresh
        self._worker = worker
        self._gateway = gateway
        self._crowds = crowds

    async def play(self, port: int, done: Callable[[], None]) -> list[Round]:
        chat, operator = Chat(), Client()
        await chat.enter(port)
        await operator.enter(port, "olga", role="operator")
        rounds = []
        async with asyncio.TaskGroup() as tasks:
            chatting = tasks.create_task(chat.run())
            for number in range(ROUNDS):
                rounds.append(await self._release(chat, operator, number))
                done()
            chatting.cancel()
        return rounds

    async def _release(self, chat: Chat, operator: Client, number: int) -> Round:
        notice = entry("publish", 0, title=f"Notice {number}", body=body(number))
        published = await operator.ask("published", "publish", **wire(notice))
        touched = self._fresh.topics.count(USER_CHANGELOG)
        await asyncio.sleep(CALM_SECONDS)
        gateway, worker = cpu_seconds(self._gateway.pid), cpu_seconds(self._worker.pid)
        begin = time.monotonic()
        release = entry("release", 100, publish=published.publish, expect=published.entry)
        await operator.ask("released", "release", **wire(release))
        spreads = [await self._spread(crowd, published.publish) for crowd in self._crowds]
        gateway, worker = (
            cpu_seconds(self._gateway.pid) - gateway,
            cpu_seconds(self._worker.pid) - worker,
        )
        shown, pulled = (
            max(times) for times in zip(*((s.shown, s.pulled) for s in spreads), strict=True)
        )
        await chat.settled(shown)
        touched = self._fresh.topics.count(USER_CHANGELOG) - touched
        if touched != USERS:
            raise TouchedError(f"{touched} touches for {USERS} users")
        return Round(
            chat.p99(begin - CALM_SECONDS + 1, begin),
            chat.p99(begin, shown),
            round(USERS / (shown - begin), 1),
            round(pulled - begin, 2),
            round(gateway / (pulled - begin), 2),
            round(worker / (pulled - begin), 2),
        )

    async def _spread(self, crowd: Process, publish: int) -> Spread:
        async with asyncio.timeout(RELEASE_SECONDS):
            while (spread := spread_of(crowd, publish)) is None:
                crowd.check()
                await asyncio.sleep(LOOK_SECONDS)
        return spread


def wire(record: dict) -> dict:
    """A command as the fields of a client's request."""
    return {name: value for name, value in record.items() if name not in ("type", "by")}
