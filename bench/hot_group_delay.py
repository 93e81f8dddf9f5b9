"""What a message to 10,000 listeners delays another group's: p99 of a group that chats, while and before.

All are at one gateway process. The peer is the aim of 100 ms at most.
"""

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain

import uvloop
from rich.progress import Progress

from bench import chat
from bench.backlog import body, group, opening, send
from bench.broker import broker
from bench.chat import Chat, Client
from bench.figures import Figure
from bench.processes import NICENESS
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.sockets import MARK, Sockets, build, readers, watching

HOT = group(0)
LISTENERS = 10_000
ROUNDS, MESSAGES = 5, 10
CALM_SECONDS, PAUSE_SECONDS = 5, 0.5
AIM = 100.0


def measure(progress: Progress) -> Figure:
    build()
    task = progress.add_task("hot group", total=ROUNDS)
    with broker() as fresh, ExitStack() as stack:
        make_topics(fresh)
        commands = chain(opening(HOT, 1 + LISTENERS), chat.openings())
        asyncio.run(send(fresh.bootstrap, commands))
        stack.enter_context(ready_worker(fresh))
        _, port = stack.enter_context(ready_gateway(fresh))
        openings = [watching(f"u{number}", HOT) for number in range(1, 1 + LISTENERS)]
        listeners = stack.enter_context(readers(port, openings, fresh.folder))
        listeners.wait_open()
        # Users have machines of their own.
        os.setpriority(os.PRIO_PROCESS, listeners.pid, NICENESS)
        rounds = uvloop.run(play(port, listeners, lambda: progress.advance(task)))
    before, during = map(statistics.median, zip(*rounds, strict=True))
    return Figure(
        statistics.median(one - other for other, one in rounds),
        "ms",
        AIM,
        {"peer_name": "aim", "listeners": LISTENERS, "before": before, "during": during},
    )


async def play(
    port: int, listeners: Sockets, advance: Callable[[], None]
) -> list[tuple[float, float]]:
    """In each round p99 (ms) of the other group before messages to the hot one, and while they come."""
    other, owner = Chat(), Client()
    await other.enter(port)
    await owner.enter(port, "u0")
    rounds = []
    async with asyncio.TaskGroup() as tasks:
        chatting = tasks.create_task(other.run())
        for _ in range(ROUNDS):
            begin = time.monotonic()
            await asyncio.sleep(CALM_SECONDS)
            middle = time.monotonic()
            for number in range(MESSAGES):
                content = body(number) | {"mark": MARK}
                owner.post("send", mailbox=HOT, id=str(uuid.uuid4()), body=content)
                await asyncio.to_thread(listeners.span)
                await asyncio.sleep(PAUSE_SECONDS)
            end = time.monotonic()
            await other.settled(end)
            rounds.append((other.p99(begin, middle), other.p99(middle, end)))
            advance()
        chatting.cancel()
    return rounds
