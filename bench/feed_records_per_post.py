"""Kafka records written per post of an author with 1,000,000 followers, against one with 10.

The hybrid pushes the posts of the small author and leaves those of the big one in the outbox. Counted
over all topics but the broker's own; the posts ask for no answer, so there are no replies.
"""

import asyncio

from rich.progress import Progress

from bench.backlog import send
from bench.broker import Broker, broker
from bench.feeds import follows, posts, users
from bench.figures import Figure
from bench.processes import Process
from bench.readcast import make_topics, start_worker
from bench.records import reached, records_per_row, settle
from bench.topics import CHANGELOG

BIG, SMALL = "big", "small"
FOLLOWERS = {BIG: 1_000_000, SMALL: 10}
POSTS = 1_000


def measure(progress: Progress) -> Figure:
    with broker() as fresh:
        make_topics(fresh)
        for author, followers in FOLLOWERS.items():
            asyncio.run(send(fresh.bootstrap, follows(author, users(followers))))
        with start_worker(fresh) as worker:
            follow(fresh, worker, progress)
            big, small = (records(fresh, worker, author, progress) for author in FOLLOWERS)
    return Figure(big, "records", small, {"peer_name": "10 followers", "posts": POSTS})


def follow(fresh: Broker, worker: Process, progress: Progress) -> None:
    """Wait until all follow and know how they get the posts."""
    followers = sum(FOLLOWERS.values())
    task = progress.add_task("followers", total=followers)

    def following() -> int:
        return fresh.topics.count(CHANGELOG)

    settle(fresh, worker, reached(followers, following, progress, task))


def records(fresh: Broker, worker: Process, author: str, progress: Progress) -> float:
    """Records per post over all topics, for POSTS posts."""
    task = progress.add_task(f"posts for {FOLLOWERS[author]:,} followers", total=POSTS)
    return records_per_row(fresh, worker, posts(author, POSTS), POSTS, progress, task)
