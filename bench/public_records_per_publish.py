"""Kafka records written per publish and per release stage with 1,000,000 users, against 1,000.

A user is somebody with a cursor in the public mailbox, written when a first publish touched them.
Counted over all topics but the broker's own, so that nothing a publish causes is left out.
"""

import asyncio
from collections.abc import Iterator

from rich.progress import Progress

from bench.backlog import body, send
from bench.broker import Broker, broker
from bench.figures import Figure
from bench.processes import Process
from bench.public import MAILBOX, entry
from bench.readcast import make_topics, start_worker
from bench.records import reached, records_per_row, settle
from bench.topics import USER_CHANGELOG, USER_COMMANDS

FEW, MANY = 1_000, 1_000_000
PUBLISHES = 100
PERCENTS = (1, 5, 20, 50, 100)


def measure(progress: Progress) -> Figure:
    with broker() as fresh:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, entries(1, percents=())))
        with start_worker(fresh) as worker:
            touch(fresh, worker, 0, FEW, progress)
            few = records(fresh, worker, FEW, 2, progress)
            touch(fresh, worker, FEW, MANY, progress)
            many = records(fresh, worker, MANY, 2 + PUBLISHES * (1 + len(PERCENTS)), progress)
    return Figure(many, "records", few, {"peer_name": "1,000 users", "publishes": PUBLISHES})


def touch(fresh: Broker, worker: Process, first: int, last: int, progress: Progress) -> None:
    """Let the first publish touch users `first` to `last`."""
    task = progress.add_task("users touched", total=last - first)
    before = fresh.topics.count(USER_CHANGELOG)
    asyncio.run(send(fresh.bootstrap, touches(first, last), USER_COMMANDS, "user"))

    def touched() -> int:
        return fresh.topics.count(USER_CHANGELOG) - before

    settle(fresh, worker, reached(last - first, touched, progress, task))


def touches(first: int, last: int) -> Iterator[dict]:
    for number in range(first, last):
        user = f"u{number}"
        yield {
            "type": "touch",
            "mailbox": MAILBOX,
            "user": user,
            "by": user,
            "upto": 1,
            "touched": [[1, 1, "normal"]],
        }


def records(fresh: Broker, worker: Process, users: int, first: int, progress: Progress) -> float:
    """Records per entry over all topics; the mailbox's next entry has the seq `first`."""
    count = PUBLISHES * (1 + len(PERCENTS))
    task = progress.add_task(f"entries for {users:,} users", total=count)
    commands = entries(PUBLISHES, first=first)
    return records_per_row(fresh, worker, commands, count, progress, task)


def entries(publishes: int, first: int = 1, percents: tuple[int, ...] = PERCENTS) -> Iterator[dict]:
    """Publishes to nobody, each released stage by stage; the first entry has the seq `first`."""
    for publish in range(first, first + publishes * (1 + len(percents)), 1 + len(percents)):
        yield entry("publish", 0, title=f"Notice {publish}", body=body(publish))
        for stage, percent in enumerate(percents):
            yield entry("release", percent, publish=publish, expect=publish + stage)
