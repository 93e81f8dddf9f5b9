"""Records over all topics but the broker's own: how many commands cause, and whether more are coming."""

import asyncio
import time
from collections.abc import Callable, Iterator

from rich.progress import Progress, TaskID

from bench.backlog import send
from bench.broker import Broker
from bench.processes import Process
from bench.topics import CHANGELOG

QUIET_SECONDS = 5
LIMIT_SECONDS = 900


def records_per_row(
    fresh: Broker,
    worker: Process,
    commands: Iterator[dict],
    rows: int,
    progress: Progress,
    task: TaskID,
) -> float:
    """Records over all topics that mailbox commands cause, for each of the `rows` they give."""
    before, first = everything(fresh), fresh.topics.count(CHANGELOG)
    asyncio.run(send(fresh.bootstrap, commands))

    def stored() -> int:
        return fresh.topics.count(CHANGELOG) - first

    settle(fresh, worker, reached(rows, stored, progress, task))
    return (everything(fresh) - before) / rows


def settle(fresh: Broker, worker: Process, done: Callable[[], bool] = lambda: True) -> None:
    """Wait until `done` holds and no topic has grown for QUIET_SECONDS."""
    limit = time.monotonic() + LIMIT_SECONDS
    count, grew = everything(fresh), time.monotonic()
    while not done() or time.monotonic() < grew + QUIET_SECONDS:
        time.sleep(0.2)
        worker.check()
        if (now := everything(fresh)) != count:
            count, grew = now, time.monotonic()
        if time.monotonic() > limit:
            raise worker.failure(f"not done after {LIMIT_SECONDS} s")


def reached(
    goal: int, count: Callable[[], int], progress: Progress, task: TaskID
) -> Callable[[], bool]:
    """Whether a count has reached its goal; how far it is becomes the task's progress."""

    def look() -> bool:
        now = count()
        progress.update(task, completed=min(now, goal))
        return now >= goal

    return look


def everything(fresh: Broker) -> int:
    return fresh.topics.count(*fresh.topics.names())
