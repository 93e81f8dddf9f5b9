"""What a post costs by the number of followers, and a page by the number of authors who are followed.

`python -m bench.feed_costs` measures both in each mode of delivery into bench/feed_costs.json. Modes are chosen
author by author, so that one worker and one gateway serve all of them.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop
from rich.progress import Progress, TaskID

from bench.backlog import send
from bench.broker import Broker, broker
from bench.feed_pages import UNLIMITED, Feeds, Reader
from bench.feeds import command, follows, posts, send_apart, users
from bench.paths import BENCH
from bench.processes import Process, cpu_seconds, stop_on_sigterm
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.records import everything, settle
from bench.topics import CHANGELOG, USER_CHANGELOG

RESULT = BENCH / "feed_costs.json"
MODES = {"pull": "pull", "push": "push", "hybrid": "auto"}
FOLLOWERS = (10, 100, 1_000, 10_000, 100_000)
POSTS, REFERENCES, THRESHOLD = 1_000, 200_000, 1_000
FOLLOWEES = (10, 100, 1_000)
LARGE = 10
READERS = 20
POSTS_PER_AUTHOR = 2
PAGES = 100
IDLE_SECONDS = 10


def measure(progress: Progress) -> dict:
    return {"posts": post_costs(progress), "pages": page_costs(progress)}


def post_costs(progress: Progress) -> list[dict]:
    """Records, bytes, time of a core and seconds per post, in each mode, by followers."""
    task = progress.add_task("posts", total=len(FOLLOWERS) * len(MODES))
    found = []
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh) as worker:
            idle = idle_share(worker)
            for followers in FOLLOWERS:
                for mode in MODES:
                    author = f"{mode}{followers}"
                    asyncio.run(send(fresh.bootstrap, followed(author, mode, users(followers))))
                    rest(fresh, worker)
                    found.append(
                        {"mode": mode, "followers": followers}
                        | cost(fresh, worker, author, followers, idle)
                    )
                    progress.advance(task)
    return found


def followed(author: str, mode: str, names: Sequence[str]) -> Iterator[dict]:
    yield from follows(author, names[:1])
    yield command("mode", author, mode=MODES[mode])
    yield from follows(author, names[1:])


def rest(fresh: Broker, worker: Process) -> None:
    """Wait until nothing is written any more."""
    settle(fresh, worker)


def idle_share(worker: Process) -> float:
    """The share of a core that a worker uses without any work."""
    cpu = cpu_seconds(worker.pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(worker.pid) - cpu) / IDLE_SECONDS


def cost(fresh: Broker, worker: Process, author: str, followers: int, idle: float) -> dict:
    """Of one post, from as many as make some seconds of work."""
    is_pulled = author.startswith("pull") or (author.startswith("hybrid") and followers > THRESHOLD)
    count = POSTS if is_pulled else max(2, min(POSTS, REFERENCES // followers))
    records, rows = everything(fresh), fresh.topics.count(USER_CHANGELOG)
    size, cpu, begin = stored_bytes(fresh), cpu_seconds(worker.pid), time.monotonic()
    asyncio.run(send(fresh.bootstrap, posts(author, count)))
    rest(fresh, worker)
    busy = cpu_seconds(worker.pid) - cpu - idle * (time.monotonic() - begin)
    references = (fresh.topics.count(USER_CHANGELOG) - rows) / count
    return {
        "records": round((everything(fresh) - records) / count, 2),
        "copies": round(1 + references, 2),
        "bytes": round((stored_bytes(fresh) - size) / count),
        "core_ms": round(1000 * busy / count, 3),
    }


def stored_bytes(fresh: Broker) -> int:
    """Bytes of the two logs in which posts and references stay."""
    return sum(
        segment.stat().st_size
        for topic in (CHANGELOG, USER_CHANGELOG)
        for segment in Path(fresh.folder / "kafka").rglob(f"{topic}-*/*.log")
    )


def page_costs(progress: Progress) -> list[dict]:
    """p50, questions and time of a core per page, in each mode, by authors who are followed."""
    task = progress.add_task("pages", total=len(FOLLOWEES) * len(MODES))
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh) as worker:
            asyncio.run(send(fresh.bootstrap, all_follows()))
            rest(fresh, worker)
            asyncio.run(send_apart(fresh.bootstrap, all_posts()))
            rest(fresh, worker)
            # With one feed in memory at a time, the next reader's page is always asked of the agents.
            only_one = {"READCAST_GATEWAY_FEED_VIEWS": "1"}
            with ready_gateway(fresh, **UNLIMITED, **only_one) as (gateway, port):
                served = Feeds(fresh, port)
                return uvloop.run(all_pages(served, (worker, gateway), progress, task))


def authors(mode: str, count: int) -> list[str]:
    """Authors by mode; in the hybrid every tenth has so many followers that it is pulled."""
    if mode != "hybrid":
        return [f"{mode}{number}" for number in range(count)]
    return [f"{'push' if number % LARGE else 'pull'}{number}" for number in range(count)]


def crowd(mode: str, followees: int) -> list[str]:
    return [f"{mode}-{followees}-{number}" for number in range(READERS)]


def all_follows() -> Iterator[dict]:
    followers: dict[str, list[str]] = {}
    for mode in MODES:
        for count in FOLLOWEES:
            for author in authors(mode, count):
                followers.setdefault(author, []).extend(crowd(mode, count))
    for author, names in followers.items():
        yield from followed(author, "pull" if author.startswith("pull") else "push", names)


def all_posts() -> Iterator[dict]:
    every = sorted({author for mode in MODES for author in authors(mode, max(FOLLOWEES))})
    for some in zip(*(posts(author, POSTS_PER_AUTHOR) for author in every), strict=True):
        yield from some


async def all_pages(
    served: Feeds, processes: tuple[Process, Process], progress: Progress, task: TaskID
) -> list[dict]:
    found = []
    for followees in FOLLOWEES:
        for mode in MODES:
            readers = [Reader() for _ in range(READERS)]
            for reader, user in zip(readers, crowd(mode, followees), strict=True):
                await reader.connect(served.port, user)
            cold = await some_pages(served, readers, processes)
            await readers[0].page()
            warm = await some_pages(served, readers[:1], processes)
            found.append(
                {"mode": mode, "followees": followees}
                | {f"cold_{name}": value for name, value in cold.items()}
                | {f"warm_{name}": value for name, value in warm.items()}
            )
            for reader in readers:
                reader.close()
            progress.advance(task)
    return found


async def some_pages(
    served: Feeds, readers: list[Reader], processes: tuple[Process, Process]
) -> dict:
    """PAGES pages, each by the next reader."""
    queries = served.queries()
    cpu = sum(cpu_seconds(process.pid) for process in processes)
    seconds = [(await readers[number % len(readers)].page())[0] for number in range(PAGES)]
    return {
        "p50_ms": round(1000 * statistics.median(seconds), 3),
        "queries": round((served.queries() - queries) / PAGES, 2),
        "core_ms": round(1000 * (sum(cpu_seconds(p.pid) for p in processes) - cpu) / PAGES, 3),
    }


def main() -> None:
    from bench.__main__ import progress_bars

    stop_on_sigterm()
    with progress_bars() as progress:
        found = measure(progress)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
