"""kB that a gateway's process grows by for each idle connection: authenticated, watching one group, JSON, no deflate.

15,000 users in 150 groups. The peer is the aim of 16 kB.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import chain

from rich.progress import Progress

from bench.backlog import group, opening, send
from bench.broker import broker
from bench.figures import Figure
from bench.processes import resident_kb
from bench.readcast import make_topics, ready_gateway, ready_worker
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
        with ready_worker(fresh), ready_gateway(fresh) as (gateway, port):
            before = resident_kb(gateway.pid)
            with readers(port, openings(range(GROUPS)), fresh.folder) as clients:
                clients.wait_open()
                time.sleep(SETTLE_SECONDS)
                grown = resident_kb(gateway.pid) - before
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
