"""One client that reads 1 kB/s among 5,000 fast ones: it harms nobody, and has everything in the end."""

import asyncio
import re
import resource
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import orjson
import pytest

from bench.processes import resident_kb
from bench.raw_socket import RawSocket, text_frame
from tests.e2e.client import Client, seqs
from tests.e2e.conftest import Connect
from tests.processes import HOST, Gateway, System
from tests.records import FAST, new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.alone

READERS = 5_000
WAVES, WAVE = 15, 20
MESSAGES = WAVES * WAVE
BODY = "." * 1_000
SECONDS = 60

OPEN_FILES = READERS + 2_000
JOINED_AT_ONCE = 1_000
AT_ONCE = 100

BYTES_PER_SECOND = 1_000
BUFFER = 2_048
SEGMENT = 536
"""The least that TCP knows: on this machine the kernel would else take megabytes for a socket unread."""

RING_EVENTS = 50
LIMITS = {
    "READCAST_GATEWAY_RING_EVENTS": str(RING_EVENTS),
    "READCAST_GATEWAY_WRITE_BYTES": "16384",
    # The slow one is not to be closed, however long this machine takes.
    "READCAST_GATEWAY_SLOW_SECONDS": "600",
    "READCAST_GATEWAY_IDLE_SECONDS": "600",
}

RING_BYTES = RING_EVENTS * 2 * len(BODY)
GROWTH_KB = 12 << 10
"""About 8 bytes for each of the 1,500,000 deliveries: nothing of them may stay."""

SEQ = re.compile(rb'"op":"message","mailbox":"[^"]+","seq":(\d+)')


T = TypeVar("T")
Greet = Callable[[RawSocket, str, str, socket.socket], Awaitable[RawSocket]]


class Fast:
    """Counts what comes: all of it in order, and nothing but messages once it watches."""

    def __init__(self) -> None:
        self.seq = 0
        self.watching = False
        self.odd: list[bytes] = []

    def take(self, payload: bytes) -> None:
        found = SEQ.findall(payload)
        if [int(seq) for seq in found] != [*range(self.seq + 1, self.seq + 1 + len(found))]:
            self.odd.append(payload)
        self.seq += len(found)
        if b'"op":"watching"' in payload:
            self.watching = True
        elif self.watching and not found:
            self.odd.append(payload)


class Slow(RawSocket):
    """Reads so many bytes a second until it is told to hurry."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._hurries = False
        super().__init__(lambda payload: self.events.extend(orjson.loads(payload)))

    def data_received(self, data: bytes) -> None:
        if not self._hurries:
            self._transport.pause_reading()
            seconds = len(data) / BYTES_PER_SECOND
            asyncio.get_running_loop().call_later(seconds, self._transport.resume_reading)
        super().data_received(data)

    def hurry(self) -> None:
        self._hurries = True

    def of(self, op: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["op"] == op]


async def greeted(
    gateway: Gateway, stack: System, raw: RawSocket, name: str, group: str, sock: socket.socket
) -> RawSocket:
    """Connect, say hello and ask to watch."""
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (HOST, gateway.port))
    await loop.create_connection(lambda: raw, sock=sock)
    await raw.opened
    raw.send(text_frame("hello", token=stack.token(name)))
    raw.send(text_frame("watch", mailbox=group, mode="live"))
    return raw


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open sockets as the crowd needs, here and in what is started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def hall(many_files: None, stack: System) -> Iterator[Gateway]:
    """A gateway with a small ring and small buffers."""
    with stack.gateway(**LIMITS) as gateway:
        yield gateway.wait_ready()
    stack.gateways.remove(gateway)


async def founded(sender: Client, names: Sequence[str]) -> str:
    """A group of all these."""
    group = unique("group:g")
    await sender.request("create", mailbox=group, policy=FAST)
    for first in range(0, len(names), JOINED_AT_ONCE):
        members = names[first : first + JOINED_AT_ONCE]
        await sender.request("join", mailbox=group, members=members)
    return group


@asynccontextmanager
async def crowd_of(names: Sequence[str], group: str, greet: Greet) -> AsyncIterator[list[Fast]]:
    """A fast client for each name; all of them watch the group."""
    crowd = [Fast() for _ in names]
    turns = asyncio.Semaphore(AT_ONCE)

    async def enter(one: Fast, name: str) -> RawSocket:
        async with turns:
            raw = await greet(RawSocket(one.take), name, group, socket.socket())
            await soon_true(lambda: one.watching, f"{name} watches")
            return raw

    sockets = await asyncio.gather(*map(enter, crowd, names))
    try:
        yield crowd
    finally:
        for raw in sockets:
            raw.close()


@asynccontextmanager
async def slow_one(name: str, group: str, greet: Greet) -> AsyncIterator[Slow]:
    """The slow client; it watches the group."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    small.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    slow = Slow()
    await greet(slow, name, group, small)
    await soon_true(lambda: slow.of("watching"), "the slow one watches")
    try:
        yield slow
    finally:
        slow.close()


async def everything(slow: Slow, group: str) -> None:
    """What was delivered and, by history, all that it was told it has missed: each message once."""

    def told() -> int:
        ends = [gap["to"] for gap in slow.of("gap")] + [one["seq"] for one in slow.of("message")]
        return max(ends, default=0)

    await soon_true(lambda: told() == MESSAGES, "the slow one knows of all", SECONDS)
    delivered = [one["seq"] for one in slow.of("message")]
    pulled: list[int] = []
    for gap in slow.of("gap"):
        pulled += await pull(slow, group, gap["from"], gap["to"])
    assert delivered == sorted(delivered)
    assert sorted(delivered + pulled) == [*range(1, MESSAGES + 1)]


async def pull(slow: Slow, group: str, first: int, last: int) -> list[int]:
    """The seqs of a stretch, page by page."""
    pulled: list[int] = []
    while len(pulled) < last + 1 - first:
        after = first - 1 + len(pulled)
        slow.send(text_frame("history", mailbox=group, after=after, limit=last - after, ref=after))
        page = await soon_true(lambda: answer(slow, after), "a page")  # noqa: B023
        assert page["messages"], page
        pulled += seqs(page)
    return pulled


def answer(slow: Slow, ref: int) -> dict[str, Any] | None:
    return next((event for event in slow.events if event.get("ref") == ref), None)


def metric(gateway: Gateway, name: str) -> float:
    with urllib.request.urlopen(f"{gateway.http}/metrics", timeout=10) as page:
        found = re.search(rf"^readcast_gateway_{name} (\S+)", page.read().decode(), re.MULTILINE)
    assert found, name
    return float(found[1])


async def soon_true(check: Callable[[], T], what: str, within: float = SECONDS) -> T:
    async def found() -> T:
        return check()

    return await soon(found, what, within)


async def test_a_reader_of_1_kb_a_second_among_5000_harms_nobody_and_misses_nothing(
    hall: Gateway, stack: System, connect: Connect
):
    sender = await connect(unique("sender"))
    *names, last = [f"{sender.user}-{number}" for number in range(READERS + 1)]
    group = await founded(sender, [*names, last])
    greet = partial(greeted, hall, stack)
    async with crowd_of(names, group, greet) as crowd, slow_one(last, group, greet) as slow:
        before = resident_kb(hall.pid)
        for wave in range(1, WAVES + 1):
            for number in range(WAVE):
                await sender.post("send", mailbox=group, id=new_id(), body=[number, BODY])
            await soon_true(lambda: all(one.seq >= wave * WAVE for one in crowd), "all have it")  # noqa: B023
            assert metric(hall, "ring_bytes") <= RING_BYTES
            assert resident_kb(hall.pid) - before <= GROWTH_KB
        assert len(slow.of("message")) < MESSAGES / 2, "it was not slow"

        slow.hurry()
        await everything(slow, group)
        assert metric(hall, "gaps_total") == len(slow.of("gap")) >= 1
        assert metric(hall, "connections") == READERS + 1
        assert [(one.seq, one.odd) for one in crowd] == [(MESSAGES, [])] * READERS
