"""Feeds the way Stream-Framework keeps them in Redis: https://github.com/tschellenbach/Stream-Framework.

A sorted set per user holds the ids of activities; the activities lie in a hash that is split over
ten keys. A page is ZREVRANGEBYSCORE, then one HGET for each id in a pipeline. The client is a bare socket,
like the one that asks the gateway.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import orjson

from bench.broker import Broker
from bench.processes import Process, listens
from bench.raw_socket import HOST

HASH_KEYS = 10
START_SECONDS = 30
ENTRIES_AT_ONCE = 500
REDIS = "redis-server"

Reply = bytes | int | None | list


class Activity(NamedTuple):
    """A post as it is stored: its id, and its JSON."""

    id: str
    json: bytes


class RedisError(Exception):
    """Redis has refused a command."""


def start_redis(broker: Broker, port: int) -> Process:
    """A server that writes nothing to disk; `redis-server` is Debian's package of that name."""
    options = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    process = Process([REDIS, *options], broker.folder / "redis.log")
    process.wait_until(lambda: listens(port), START_SECONDS)
    return process


class RedisSocket(asyncio.Protocol):
    """One connection; commands go out in pipelines, and all replies of one come back together."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._rest = b""
        self._replies: list[Reply] = []
        self._missing = 0
        self._done: asyncio.Future[list[Reply]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def ask(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies to commands made by `encode`."""
        self._missing, self._replies = len(commands), []
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(commands))
        return await self._done

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        place = 0
        while self._missing and (found := next_reply(data, place)) is not None:
            reply, place = found
            self._replies.append(reply)
            self._missing -= 1
        self._rest = data[place:]
        if not self._missing and not self._done.done():
            self._done.set_result(self._replies)

    def close(self) -> None:
        self._transport.close()


async def connect(port: int) -> RedisSocket:
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(RedisSocket, HOST, port)
    return socket


def encode(*parts: str | bytes) -> bytes:
    """A command in Redis's protocol."""
    words = [part if isinstance(part, bytes) else part.encode() for part in parts]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def next_reply(data: bytes, place: int) -> tuple[Reply, int] | None:
    """The reply that begins at a place and the place after it, once all of it is there."""
    end = data.find(b"\r\n", place)
    if end < 0:
        return None
    kind, head, after = data[place : place + 1], data[place + 1 : end], end + 2
    if kind == b"-":
        raise RedisError(head.decode())
    if kind == b"+":
        return head, after
    if kind == b":":
        return int(head), after
    count = int(head)
    if count < 0:
        return None, after
    if kind == b"$":
        return (
            (data[after : after + count], after + count + 2)
            if len(data) >= after + count + 2
            else None
        )
    return next_array(data, after, count)


def next_array(data: bytes, place: int, count: int) -> tuple[Reply, int] | None:
    replies = []
    for _ in range(count):
        found = next_reply(data, place)
        if found is None:
            return None
        replies.append(found[0])
        place = found[1]
    return replies, place


class RedisReader:
    """A client that reads the top pages of users."""

    def __init__(self, socket: RedisSocket, limit: int) -> None:
        self._socket = socket
        self._limit = str(limit)

    async def page(self, user: str) -> tuple[float, list[dict]]:
        """Seconds to the decoded page, and its posts."""
        begin = time.perf_counter()
        top = encode(
            "ZREVRANGEBYSCORE",
            timeline_key(user),
            "+inf",
            "-inf",
            "WITHSCORES",
            "LIMIT",
            "0",
            self._limit,
        )
        (found,) = await self._socket.ask([top])
        ids = found[::2]
        stored = await self._socket.ask([encode("HGET", activity_key(name), name) for name in ids])
        posts = [orjson.loads(json) for json in stored]
        return time.perf_counter() - begin, posts


def timeline_key(user: str) -> str:
    return f"feed:{user}"


def activity_key(activity: bytes) -> str:
    return f"activity:cache:{int(hashlib.md5(activity).hexdigest(), 16) % HASH_KEYS}"


async def store(socket: RedisSocket, users: Iterable[str], activities: Sequence[Activity]) -> None:
    """Store activities, oldest first, and an id of each in the timeline of each user."""
    await socket.ask(
        [encode("HSET", activity_key(one.id.encode()), one.id, one.json) for one in activities]
    )
    entries = [part for score, one in enumerate(activities) for part in (str(score), one.id)]
    for some in in_slices(list(users), max(1, ENTRIES_AT_ONCE // len(activities))):
        await socket.ask([encode("ZADD", timeline_key(user), *entries) for user in some])


async def entries(socket: RedisSocket, users: Iterable[str]) -> int:
    """Ids in the timelines of users."""
    total = 0
    for some in in_slices(list(users), ENTRIES_AT_ONCE):
        total += sum(await socket.ask([encode("ZCARD", timeline_key(user)) for user in some]))
    return total


def in_slices(names: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(names), size):
        yield names[first : first + size]
