"""References per second that one worker process puts into inboxes, against messages per second sequenced.

100 authors, whose 1,000 followers each are among 10,000 readers, post three times each. The time runs from before
the first post is sent to a worker that waits to the last reference stored, so it has all that
a post causes. Then all rows are read: a missing or doubled reference fails the run.
"""

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
from rich.progress import Progress

from bench.backlog import Backlog, send
from bench.broker import Broker, broker
from bench.contenders import READCAST
from bench.feeds import follows, posts, users
from bench.figures import Figure
from bench.processes import Process
from bench.readcast import make_topics, ready_worker
from bench.records import reached, settle
from bench.sequencing import LIMIT_SECONDS, POLL_SECONDS, ROUNDS, RowsError, race
from bench.topics import USER_CHANGELOG

AUTHORS, FOLLOWERS, READERS, POSTS = 100, 1_000, 10_000, 3
FOLLOWS = AUTHORS * FOLLOWERS
REFERENCES = FOLLOWS * POSTS
REFERENCE_KEY = re.compile(rb"(u[0-9]+)/i/[0-9]{4}")


class Reference(msgspec.Struct):
    """The part of a reference row that is checked."""

    post: tuple[int, int, str]


decode_reference = msgspec.json.Decoder(Reference).decode


def measure(progress: Progress) -> Figure:
    backlog = Backlog()
    runs: dict[str, list[float]] = {"push": [], "sequencing": []}
    for number in range(ROUNDS):
        for kind in reversed(runs) if number % 2 else list(runs):
            if kind == "push":
                runs[kind].append(push(progress))
            else:
                runs[kind] += race([READCAST], backlog, progress, rounds=1)[READCAST.name]
    return Figure(
        statistics.median(runs["push"]),
        "references/s",
        statistics.median(runs["sequencing"]),
        {"peer_name": "sequencing", "references": REFERENCES, "runs": runs},
    )


def push(progress: Progress) -> float:
    """References per second on a fresh broker, after a look at all of them."""
    with broker() as fresh:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, all_follows()))
        with ready_worker(fresh) as worker:
            follow(fresh, worker, progress)
            seconds = drain(fresh, worker, progress)
        check(fresh)
    return round(REFERENCES / seconds, 1)


def all_follows() -> Iterator[dict]:
    """Each reader follows every tenth author, and each author has an even share of the readers."""
    for number in range(AUTHORS):
        first = number * FOLLOWERS % READERS
        yield from follows(author(number), users(FOLLOWERS, first))


def all_posts() -> Iterator[dict]:
    """By the authors in turn."""
    for some in zip(*(posts(author(number), POSTS) for number in range(AUTHORS)), strict=True):
        yield from some


def author(number: int) -> str:
    return f"a{number}"


def follow(fresh: Broker, worker: Process, progress: Progress) -> None:
    task = progress.add_task("follows", total=FOLLOWS)

    def following() -> int:
        return fresh.topics.count(USER_CHANGELOG)

    settle(fresh, worker, reached(FOLLOWS, following, progress, task))


def drain(fresh: Broker, worker: Process, progress: Progress) -> float:
    """Seconds from sending the posts to the last reference."""
    task = progress.add_task("push", total=REFERENCES)
    before, begin = fresh.topics.count(USER_CHANGELOG), time.monotonic()
    asyncio.run(send(fresh.bootstrap, all_posts()))
    stored = 0
    while stored < REFERENCES:
        time.sleep(POLL_SECONDS)
        worker.check()
        look = time.monotonic()
        stored = fresh.topics.count(USER_CHANGELOG) - before
        progress.update(task, completed=stored)
        if look > begin + LIMIT_SECONDS:
            raise worker.failure(f"gave {stored} of {REFERENCES} references in {LIMIT_SECONDS} s")
    return look - begin


def check(fresh: Broker) -> None:
    """Each follower must have each post, once."""
    found = Counter(
        (key_found[1], decode_reference(value).post)
        for key, value in fresh.topics.read(USER_CHANGELOG)
        if (key_found := REFERENCE_KEY.fullmatch(key))
    )
    if len(found) != REFERENCES or found.total() != REFERENCES:
        raise RowsError(f"{found.total()} references, {len(found)} of them different")
