"""p50 of a send's acknowledgement in a group of 1,000,000 members, 15,000 of them live, against a group of 100.

Both groups and all connections are there all the time. The owner of each sends in turn, once the last message has had
time to reach all who listen.
"""

import asyncio
import statistics
import time
import uuid
from collections.abc import Callable

import uvloop
from rich.progress import Progress

from bench.backlog import body, group, opening, send
from bench.broker import broker
from bench.chat import Client
from bench.figures import Figure
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.records import reached, settle
from bench.sockets import build, readers, watching
from bench.topics import CHANGELOG, USER_CHANGELOG

LARGE, SMALL = group(0), group(1)
MEMBERS = {LARGE: 1_000_000, SMALL: 100}
LISTENERS = {LARGE: 15_000, SMALL: 99}
MESSAGES, WARM_UP = 60, 5
PAUSE_SECONDS = 0.5
MILLISECONDS = 1_000


class Sender(Client):
    """Sends, and waits for the acknowledgement."""

    waits_for_receipts = True

    async def send(self, mailbox: str, number: int) -> float:
        """Seconds until it is acknowledged."""
        begin = time.monotonic()
        await self.ask("sent", "send", mailbox=mailbox, id=str(uuid.uuid4()), body=body(number))
        return time.monotonic() - begin


def measure(progress: Progress) -> Figure:
    build()
    members = progress.add_task("members joined", total=sum(MEMBERS.values()))
    task = progress.add_task("messages", total=MESSAGES)
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh) as worker:
            for mailbox, number in MEMBERS.items():
                asyncio.run(send(fresh.bootstrap, opening(mailbox, number)))

            def joined() -> int:
                return min(map(fresh.topics.count, (CHANGELOG, USER_CHANGELOG)))

            settle(fresh, worker, reached(sum(MEMBERS.values()), joined, progress, members))
            with ready_gateway(fresh) as (_, port):
                # The names of the small group's members are among those of the large one.
                openings = [
                    watching(f"u{number}", mailbox)
                    for mailbox, count in LISTENERS.items()
                    for number in range(1, 1 + count)
                ]
                with readers(port, openings, fresh.folder) as clients:
                    clients.wait_open()
                    seconds = uvloop.run(acknowledge(port, lambda: progress.advance(task)))
    return Figure(
        statistics.median(seconds[LARGE]) * MILLISECONDS,
        "ms",
        statistics.median(seconds[SMALL]) * MILLISECONDS,
        {"peer_name": "group of 100", "listeners": LISTENERS[LARGE]},
    )


async def acknowledge(port: int, advance: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds until each message was acknowledged, by group."""
    sender = Sender()
    await sender.enter(port, "u0")
    seconds: dict[str, list[float]] = {mailbox: [] for mailbox in MEMBERS}
    for number in range(WARM_UP + MESSAGES):
        for mailbox, found in seconds.items():
            found.append(await sender.send(mailbox, number))
            await asyncio.sleep(PAUSE_SECONDS)
        advance()
    return {mailbox: found[WARM_UP:] for mailbox, found in seconds.items()}
