"""CPU time that a message adds at a gateway that hosts 1 % of the groups: forwarded to, against reading all rows.

Both gateways run at the same time and have one client each, in the same group, and the worker decides a backlog as
fast as it can. What the processes use while nothing happens is measured first, and is not a message's: it is taken off.
Then each client watches all groups.
What that adds tells what a forwarded message costs its gateway and the worker, and so how many gateways it takes
until forwarding costs less in all.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from rich.progress import Progress

from bench.backlog import UNLIMITED, body, command, group, send
from bench.broker import Broker, broker
from bench.chat import Client, Event
from bench.figures import Figure
from bench.processes import Process, cpu_seconds
from bench.readcast import make_topics, ready_gateway, ready_worker

GROUPS = 100
ROUNDS, ROUND = 4, 50_000
MICROSECONDS = 1_000_000
LIMIT_SECONDS = 60
SETTLE_SECONDS = 2
IDLE_SECONDS = 10


class Watcher(Client):
    """A client that counts its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def received(self, event: Event) -> None:
        self.count += 1

    async def watch(self, mailboxes: list[str]) -> None:
        for mailbox in mailboxes:
            await self.ask("watching", "watch", mailbox=mailbox, mode="live")

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.count < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class Clock:
    """CPU seconds of a process from here on, without the share of a core that it uses anyway."""

    def __init__(self, process: Process, idle: float) -> None:
        self._pid = process.pid
        self._idle = idle
        self._begin, self._before = time.monotonic(), cpu_seconds(process.pid)

    def used(self) -> float:
        passed = time.monotonic() - self._begin
        return cpu_seconds(self._pid) - self._before - self._idle * passed


class Costs(NamedTuple):
    """CPU microseconds per message."""

    tail: float
    routed: float
    worker: float


def measure(progress: Progress) -> Figure:
    task = progress.add_task("messages", total=2 * ROUNDS)
    with broker() as fresh:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, chain.from_iterable(map(opening, range(GROUPS)))))
        with (
            ready_worker(fresh) as worker,
            ready_gateway(fresh, READCAST_GATEWAY_DELIVERY="tail") as (tail, tail_port),
            ready_gateway(fresh, READCAST_GATEWAY_DELIVERY="routed") as (routed, routed_port),
        ):
            idle, few, all_of_them = asyncio.run(
                compare(
                    fresh,
                    [tail, routed, worker],
                    [tail_port, routed_port],
                    lambda: progress.advance(task),
                )
            )
    to_clients = all_of_them.tail - few.tail
    forwarded = (all_of_them.routed - few.routed - to_clients) / (1 - 1 / GROUPS)
    forwarding = (all_of_them.worker - few.worker) / (1 - 1 / GROUPS)
    return Figure(
        few.routed,
        "us",
        few.tail,
        {
            "peer_name": "tail",
            "forwarded_message_us": round(forwarded, 1),
            "worker_per_forwarded_us": round(forwarding, 1),
            "worker_us": round(few.worker, 1),
            "idle_cores": {"tail": round(idle[0], 4), "routed": round(idle[1], 4)},
            "break_even_gateways": round((forwarded + forwarding) / few.tail, 1),
        },
    )


def opening(number: int) -> list[dict]:
    """The commands that make a group of one."""
    return [command("create", group(number), "u0", policy=UNLIMITED)]


async def compare(
    fresh: Broker, processes: list[Process], ports: list[int], advance: Callable[[], None]
) -> tuple[list[float], Costs, Costs]:
    """Cores that the idle processes use; what messages cost while the clients watch one group, and all."""
    clients = [Watcher() for _ in ports]
    for client, port in zip(clients, ports, strict=True):
        await client.enter(port, "u0")
        await client.watch([group(0)])
    idle = await idling(processes)
    few = await cost(fresh, processes, idle, clients, ROUND // GROUPS, advance)
    for client in clients:
        await client.watch([group(number) for number in range(1, GROUPS)])
    return idle, few, await cost(fresh, processes, idle, clients, ROUND, advance)


async def idling(processes: list[Process]) -> list[float]:
    """Cores that processes use while nothing happens."""
    await asyncio.sleep(SETTLE_SECONDS)
    clocks = [Clock(process, 0.0) for process in processes]
    await asyncio.sleep(IDLE_SECONDS)
    return [clock.used() / IDLE_SECONDS for clock in clocks]


async def cost(
    fresh: Broker,
    processes: list[Process],
    idle: list[float],
    clients: list[Watcher],
    seen: int,
    advance: Callable[[], None],
) -> Costs:
    """Let a backlog be decided in each round, which every client has seen; `seen`: messages of it that it gets."""
    worker = processes[-1].pid
    used = [0.0] * len(processes)
    for _ in range(ROUNDS):
        goals = [client.count + seen for client in clients]
        os.kill(worker, signal.SIGSTOP)
        await send(fresh.bootstrap, islice(messages(), ROUND))
        clocks = [Clock(process, share) for process, share in zip(processes, idle, strict=True)]
        os.kill(worker, signal.SIGCONT)
        for client, goal in zip(clients, goals, strict=True):
            await client.reach(goal)
        used = [seconds + clock.used() for seconds, clock in zip(used, clocks, strict=True)]
        advance()
    return Costs(*(seconds / (ROUNDS * ROUND) * MICROSECONDS for seconds in used))


def messages() -> Iterator[dict]:
    """Messages to the groups in turn."""
    number = 0
    while True:
        yield command("send", group(number % GROUPS), "u0", body=body(number))
        number += 1
