"""Pages of feeds through a gateway: a crowd of readers, what they follow, and a client that takes times.

Each reader follows 200 authors, 20 of them with more followers than the threshold. The authors post
in turn; a page holds the newest 20 of their posts.
"""

import asyncio
import contextlib
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from rich.progress import Progress

from bench.backlog import send
from bench.broker import Broker, broker
from bench.feeds import follows, posts, send_apart, users
from bench.processes import Process
from bench.raw_socket import RawSocket, connect, text_frame
from bench.readcast import make_topics, ready_gateway, ready_worker, token
from bench.records import reached, settle
from bench.topics import CHANGELOG

READERS, FOLLOWERS_OF_BIG = 200, 1_100
BIG, SMALL, POSTS = 20, 180, 5
PAGE = 20
REQUEST = text_frame("feed", limit=PAGE)
UNLIMITED = {"READCAST_GATEWAY_FRAME_RATE": "1e9", "READCAST_GATEWAY_FRAME_BURST": "1000000"}
ANSWER_SECONDS = 30


class PageError(Exception):
    """A page is not what it must be, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """A broker whose feeds are filled, and a gateway that serves them."""

    broker: Broker
    port: int

    def queries(self) -> float:
        """Questions about feeds that the gateway has asked the agents."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("readcast_gateway_feed_queries_total"):
                    return float(line.split()[1])
        raise PageError("the gateway doesn't count its questions")


@contextlib.contextmanager
def feeds(mode: str, progress: Progress) -> Iterator[Feeds]:
    """Fill feeds under a mode of delivery, and serve them by a gateway with nothing in memory."""
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh, READCAST_FEED_MODE=mode) as worker:
            fill(fresh, worker, progress)
            with ready_gateway(fresh, **UNLIMITED) as (_, port):
                yield Feeds(fresh, port)


def fill(fresh: Broker, worker: Process, progress: Progress) -> None:
    """Let all follow, then all post."""
    followers = BIG * FOLLOWERS_OF_BIG + SMALL * READERS
    store(fresh, worker, send(fresh.bootstrap, all_follows()), followers, progress, "follows")
    total = (BIG + SMALL) * POSTS
    store(fresh, worker, send_apart(fresh.bootstrap, all_posts()), total, progress, "posts")


def store(
    fresh: Broker,
    worker: Process,
    sending: Coroutine[Any, Any, None],
    rows: int,
    progress: Progress,
    name: str,
) -> None:
    """Send commands, and wait for their rows and for what follows from them."""
    task = progress.add_task(name, total=rows)
    before = fresh.topics.count(CHANGELOG)
    asyncio.run(sending)

    def stored() -> int:
        return fresh.topics.count(CHANGELOG) - before

    settle(fresh, worker, reached(rows, stored, progress, task))


def authors() -> list[str]:
    """Big ones between the small ones, so that each page has some of both."""
    every = (BIG + SMALL) // BIG
    return [f"{'small' if number % every else 'big'}{number}" for number in range(BIG + SMALL)]


def all_follows() -> Iterator[dict]:
    for author in authors():
        count = FOLLOWERS_OF_BIG if author.startswith("big") else READERS
        yield from follows(author, users(count))


def all_posts() -> Iterator[dict]:
    """By the authors in turn."""
    for some in zip(*(posts(author, POSTS) for author in authors()), strict=True):
        yield from some


class Reader:
    """A client that asks for its top page and waits for it."""

    def __init__(self) -> None:
        self._raw: RawSocket
        self._answer: asyncio.Future[bytes]
        self._op = b""

    async def connect(self, port: int, user: str) -> None:
        self._raw = await connect(port, self._take)
        await self._ask(text_frame("hello", token=token(user)), b'"op":"welcome"')

    async def page(self) -> tuple[float, list[dict]]:
        """Seconds to the decoded page, and its posts."""
        begin = time.perf_counter()
        (found,) = orjson.loads(await self._ask(REQUEST, b'"op":"feed"'))
        seconds = time.perf_counter() - begin
        if len(found["posts"]) != PAGE:
            raise PageError(f"{len(found['posts'])} posts in a page of {PAGE}")
        return seconds, found["posts"]

    def close(self) -> None:
        self._raw.close()

    async def _ask(self, frame: bytes, op: bytes) -> bytes:
        self._op = op
        self._answer = asyncio.get_running_loop().create_future()
        self._raw.send(frame)
        return await asyncio.wait_for(self._answer, ANSWER_SECONDS)

    def _take(self, payload: bytes) -> None:
        if self._op in payload and not self._answer.done():
            self._answer.set_result(payload)


async def readers(port: int) -> list[Reader]:
    """All readers, connected."""
    connected = []
    for user in users(READERS):
        reader = Reader()
        await reader.connect(port, user)
        connected.append(reader)
    return connected
