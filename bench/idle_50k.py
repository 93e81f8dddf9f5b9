"""Share of one core that 50,000 idle connections take, heartbeats answered, at the gateway processes of one host.

Each belongs to a user of its own and watches a group of 100. The peer is the aim of a quarter of a core.
"""

import asyncio
import subprocess
import time
from contextlib import ExitStack
from itertools import chain

from rich.progress import Progress

from bench.backlog import send
from bench.broker import broker
from bench.figures import Figure
from bench.memory_per_connection import members, openings
from bench.processes import Process, cpu_seconds
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.sockets import build, readers

GROUPS, MEMBERS = 500, 100
PROCESSES, READERS = 4, 4
AIM = 0.25
SETTLE_SECONDS, SECONDS = 30, 60


def measure(progress: Progress) -> Figure:
    build()
    task = progress.add_task("idle connections", total=READERS + 1)
    with broker() as fresh, ExitStack() as stack:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, chain.from_iterable(map(members, range(GROUPS)))))
        stack.enter_context(ready_worker(fresh))
        processes = ("--processes", str(PROCESSES))
        gateway, port = stack.enter_context(ready_gateway(fresh, processes))
        share = GROUPS // READERS
        for first in range(0, GROUPS, share):
            some = openings(range(first, first + share))
            clients = stack.enter_context(readers(port, some, fresh.folder, first * MEMBERS))
            clients.wait_open()
            progress.advance(task)
        time.sleep(SETTLE_SECONDS)
        before, begin = used(gateway), time.monotonic()
        time.sleep(SECONDS)
        cores = (used(gateway) - before) / (time.monotonic() - begin)
        progress.advance(task)
    connections = GROUPS * MEMBERS
    return Figure(
        cores,
        "cores",
        AIM,
        {"peer_name": "aim", "connections": connections, "processes": PROCESSES},
    )


def used(gateway: Process) -> float:
    """CPU seconds of the gateway's processes so far."""
    listed = subprocess.run(
        ["pgrep", "-P", str(gateway.pid)], capture_output=True, text=True, check=True
    )
    return sum(cpu_seconds(int(line)) for line in listed.stdout.split())
