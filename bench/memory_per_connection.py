"""kB that a gateway's process grows by for each idle connection: authenticated, watching one group, JSON, no deflate.

15,000 users in 150 groups. The peer is the aim of 16 kB.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from rich.progress import Progress

from bench.backlog import group, opening, send
from bench.broker import broker
from bench.figures import Figure
from bench.processes import free_port
from bench.readcast import make_topics, start_gateway, start_worker, wait_until_ready
from bench.sockets import build, readers, watching

GROUPS, MEMBERS = 150, 100
AIM = 16.0
SETTLE_SECONDS = 5


def measure(progress: Progress) -> Figure:
    build()
    task = progress.add_task("connections", total=1)
    with broker() as fresh:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, chain.from_iterable(map(members, range(GROUPS)))))
        health_port, port = free_port(), free_port()
        with start_worker(fresh, health_port) as worker:
            wait_until_ready(worker, health_port)
            with start_gateway(fresh, port) as gateway:
                wait_until_ready(gateway, port)
                before = resident(gateway.pid)
                with readers(port, openings(range(GROUPS)), fresh.folder) as clients:
                    clients.wait_open()
                    time.sleep(SETTLE_SECONDS)
                    grown = resident(gateway.pid) - before
    progress.advance(task)
    return Figure(
        grown / (GROUPS * MEMBERS),
        "kB",
        AIM,
        {"peer_name": "aim", "connections": GROUPS * MEMBERS, "process_kb": before + grown},
    )


def members(number: int) -> Iterator[dict]:
    yield from opening(group(number), MEMBERS, prefix(number))


def openings(groups: Iterable[int]) -> Iterator[bytes]:
    for number in groups:
        for member in range(MEMBERS):
            yield watching(f"{prefix(number)}{member}", group(number))


def prefix(number: int) -> str:
    return f"g{number}u"


def resident(pid: int) -> int:
    """kB of memory that a process has in use (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
