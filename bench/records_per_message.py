"""Kafka records written per message in a group of 1,000,000 members, against one of 10.

Counted over all topics but the broker's own, so that nothing a message causes is left out.
"""

import asyncio

from rich.progress import Progress

from bench.backlog import body, command, opening, send
from bench.broker import Broker, broker
from bench.figures import Figure
from bench.processes import Process
from bench.readcast import make_topics, start_worker
from bench.records import reached, records_per_row, settle
from bench.topics import CHANGELOG

BIG, SMALL = "group:big", "group:small"
MEMBERS = {BIG: 1_000_000, SMALL: 10}
MESSAGES = 1_000


def measure(progress: Progress) -> Figure:
    with broker() as fresh:
        make_topics(fresh)
        for mailbox, members in MEMBERS.items():
            asyncio.run(send(fresh.bootstrap, opening(mailbox, members)))
        with start_worker(fresh) as worker:
            join(fresh, worker, progress)
            big, small = (records(fresh, worker, mailbox, progress) for mailbox in MEMBERS)
    return Figure(big, "records", small, {"peer_name": "group of 10", "messages": MESSAGES})


def join(fresh: Broker, worker: Process, progress: Progress) -> None:
    """Wait until all members are in and their subscriptions written."""
    members = sum(MEMBERS.values())
    task = progress.add_task("members joined", total=members)

    def joined() -> int:
        return fresh.topics.count(CHANGELOG)

    settle(fresh, worker, reached(members, joined, progress, task))


def records(fresh: Broker, worker: Process, mailbox: str, progress: Progress) -> float:
    """Records per message over all topics, for MESSAGES messages."""
    task = progress.add_task(f"messages to {mailbox}", total=MESSAGES)
    sends = (command("send", mailbox, "u0", body=body(number)) for number in range(MESSAGES))
    return records_per_row(fresh, worker, sends, MESSAGES, progress, task)
