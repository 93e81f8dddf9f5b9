"""A small group that chats at a steady rate, and how long its messages take at which time."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from bench.backlog import body, opening
from bench.raw_socket import RawSocket, connect, text_frame
from bench.readcast import token

GROUP = "group:chat"
PREFIX = "chat"
LISTENERS = 10
RATE = 100
SETTLE_SECONDS = 30


class Event(msgspec.Struct):
    """What is looked at in a server's event; the rest is skipped."""

    op: str
    id: str = ""
    entry: int = 0
    publish: int = 0
    message: str = ""


class Receipt(NamedTuple):
    """One listener's receipt of a message: when it was sent (monotonic), and seconds since."""

    sent: float
    seconds: float


class RefusedError(Exception):
    """The gateway answered a request with an error."""


decode_events = msgspec.json.Decoder(list[Event]).decode


def openings() -> Iterator[dict]:
    """The commands that make the group."""
    yield from opening(GROUP, 1 + LISTENERS, PREFIX)


class Client:
    """A session that waits for its answers; for receipts (`sent`) only where it says so."""

    waits_for_receipts = False

    def __init__(self) -> None:
        self._answers: asyncio.Queue[Event] = asyncio.Queue()
        self._raw: RawSocket

    async def enter(self, port: int, user: str, **claims: object) -> None:
        """Connect and say hello."""
        self._raw = await connect(port, self._take)
        await self.ask("welcome", "hello", token=token(user, **claims))

    def leave(self) -> None:
        """Disconnect."""
        self._raw.close()

    async def ask(self, answer: str, op: str, **fields: object) -> Event:
        """Send a request and wait for its answer."""
        self.post(op, **fields)
        async with asyncio.timeout(30):
            while True:
                event = await self._answers.get()
                if event.op == "error":
                    raise RefusedError(f"{op}: {event.message}")
                if event.op == answer:
                    return event

    def post(self, op: str, **fields: object) -> None:
        """Send a request, and wait for nothing."""
        self._raw.send(text_frame(op, **fields))

    def received(self, event: Event) -> None:
        """A message has come."""

    def _take(self, payload: bytes) -> None:
        for event in decode_events(payload):
            if event.op == "message":
                self.received(event)
            elif event.op != "sent" or self.waits_for_receipts:
                self._answers.put_nowait(event)


class Listener(Client):
    """A member who tells which messages have come, by their ids."""

    def __init__(self, received: Callable[[str], None]) -> None:
        super().__init__()
        self._received = received

    def received(self, event: Event) -> None:
        self._received(event.id)


class Chat:
    """One member sends RATE messages a second to the others."""

    def __init__(self) -> None:
        self._sender = Client()
        self._sent: dict[str, float] = {}
        self._receipts: list[Receipt] = []

    async def enter(self, port: int) -> None:
        """Connect all."""
        await self._sender.enter(port, f"{PREFIX}0")
        for number in range(1, 1 + LISTENERS):
            listener = Listener(self.received)
            await listener.enter(port, f"{PREFIX}{number}")
            await listener.ask("watching", "watch", mailbox=GROUP)

    async def run(self) -> None:
        """Send for ever."""
        begin = time.monotonic()
        for number in range(1_000_000):
            await asyncio.sleep(begin + number / RATE - time.monotonic())
            message = str(uuid.uuid4())
            self._sent[message] = time.monotonic()
            self._sender.post("send", mailbox=GROUP, id=message, body=body(number))

    def received(self, message: str) -> None:
        sent = self._sent[message]
        self._receipts.append(Receipt(sent, time.monotonic() - sent))

    async def settled(self, end: float) -> None:
        """Wait until all messages sent before a time have come everywhere."""
        sent = sum(at < end for at in self._sent.values())
        async with asyncio.timeout(SETTLE_SECONDS):
            while sum(one.sent < end for one in self._receipts) < sent * LISTENERS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def p99(self, begin: float, end: float) -> float:
        """Of the messages sent between two times, in milliseconds."""
        seconds = [one.seconds for one in self._receipts if begin <= one.sent < end]
        return round(1_000 * statistics.quantiles(seconds, n=100)[98], 2)
