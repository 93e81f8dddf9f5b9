"""WebSocket clients that come back after every drop: senders and listeners."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.e2e.client import slow_socket
from tests.faults.evidence import Heard, Run, Sent, Shown
from tests.records import new_id

Event = dict[str, Any]

CONNECT_SECONDS = 5
BACKOFF = (0.05, 0.5)
WINDOW = 16
PULL = 200
HELLO = "hello"


class Session:
    """One user's connection, made again at one of the gateways whenever it is lost."""

    def __init__(
        self,
        user: str,
        token: Callable[[str], str],
        urls: Sequence[str],
        evidence: Run,
        rng: random.Random,
    ) -> None:
        self.user = user
        self.evidence = evidence
        self.rng = rng
        self.small_buffers = False
        self.stopped = False
        self.url = ""
        self._token = token
        self._urls = urls
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        while not self.stopped:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                await self._once()
            self.on_drop()
            self.evidence.counts["connections"] += 1
            await self.pause()

    async def stop(self) -> None:
        self.stopped = True
        if self._socket is not None:
            await self._socket.close()

    async def leave(self, *, politely: bool) -> None:
        """End the present connection, with a close frame or without a word."""
        if self._socket is not None and politely:
            await self._socket.close()
        elif self._socket is not None:
            self._socket.transport.abort()

    async def _once(self) -> None:
        self.url = self.rng.choice(self._urls)
        options = {"sock": await slow_socket(self.url)} if self.small_buffers else {}
        async with connect(
            self.url,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1,
            max_size=None,
            compression=None,
            ping_interval=None,
            proxy=None,
            **options,
        ) as socket:
            self._socket = socket
            self.on_connect()
            work = asyncio.create_task(self._work())
            try:
                async for frame in socket:
                    await self.before_frame()
                    for event in orjson.loads(frame):
                        await self.on_event(event)
            finally:
                self._socket = None
                work.cancel()
                await asyncio.wait([work])
                work.cancelled() or work.result()

    async def _work(self) -> None:
        with contextlib.suppress(OSError, WebSocketException):
            await self.put("hello", ref=HELLO, token=self._token(self.user), **self.hello())
            await self.work()

    async def put(self, op: str, **fields: Any) -> None:
        if self._socket is None:
            raise ConnectionError("not connected")
        await self._socket.send(orjson.dumps({"op": op, **fields}).decode())

    def problem(self, what: str) -> None:
        self.evidence.problems.append(f"{self.user}: {what}")

    # What the kinds of sessions do

    def hello(self) -> dict[str, Any]:
        return {}

    def on_connect(self) -> None:
        """Called when a connection is there."""

    async def work(self) -> None:
        """Runs while connected."""

    async def before_frame(self) -> None:
        """Called before the events of a frame are looked at."""

    async def on_event(self, event: Event) -> None:
        """Called for each event."""

    def on_drop(self) -> None:
        """Called when the connection is gone."""

    async def pause(self) -> None:
        """Wait until the next connection."""
        await asyncio.sleep(self.rng.uniform(*BACKOFF))


class Sender(Session):
    """Sends new messages at a steady rate; sends everything unanswered again, under the same id."""

    def __init__(self, *session: Any, groups: Sequence[str], rate: float) -> None:
        super().__init__(*session)
        self._groups = groups
        self._interval = 1 / rate
        self._refs = itertools.count(1)
        self._again: deque[Sent] = deque()
        self._waiting: dict[int, Sent] = {}
        self._numbers = itertools.count(1)
        self._ended = False

    def end(self) -> None:
        """Send nothing new."""
        self._ended = True

    @property
    def done(self) -> bool:
        """Nothing more to send, and all that was sent is answered."""
        return self._ended and not self._again and not self._waiting

    def on_drop(self) -> None:
        self._again.extend(self._waiting.values())
        self._waiting.clear()

    async def work(self) -> None:
        while not self.stopped:
            if len(self._waiting) < WINDOW:
                if self._again:
                    await self._send(self._again.popleft())
                elif not self._ended:
                    await self._send(self._new())
            await asyncio.sleep(self._interval * self.rng.uniform(0.5, 1.5))

    def _new(self) -> Sent:
        padding = "x" * self.rng.randrange(100)
        body = {"n": next(self._numbers), "padding": padding}
        sent = Sent(self.rng.choice(self._groups), new_id(), self.user, body)
        self.evidence.sent[sent.id] = sent
        return sent

    async def _send(self, sent: Sent) -> None:
        ref = next(self._refs)
        self._waiting[ref] = sent
        await self.put("send", ref=ref, mailbox=sent.mailbox, id=sent.id, body=sent.body)

    async def on_event(self, event: Event) -> None:
        sent = self._waiting.pop(event.get("ref"), None)
        if event["op"] == "sent" and sent is not None:
            self._on_receipt(sent, event)
        elif event["op"] == "error":
            self._on_error(sent, event)

    def _on_receipt(self, sent: Sent, event: Event) -> None:
        if sent.acknowledged and not event["duplicate"]:
            self.problem(f"{sent.id} was stored before, its receipt says it is new: {event}")
        sent.acknowledged = True
        sent.receipts.add(event["seq"])
        self.evidence.counts["duplicate receipts"] += bool(event["duplicate"])
        if self.rng.random() < 0.03:
            self.evidence.counts["deliberate retries"] += 1
            self._again.append(sent)

    def _on_error(self, sent: Sent | None, event: Event) -> None:
        self.evidence.counts[f"error {event['code']}"] += 1
        if sent is not None and event["retriable"]:
            self._again.append(sent)
        else:
            self.problem(f"refused {sent}: {event}")


class Listener(Session):
    """Shows every message of its mailboxes once, in order; pulls what it is told it missed.

    slow: its socket holds little, and it stops reading now and then until `hurry` is called.
    """

    def __init__(
        self, *session: Any, epochs: dict[str, str], reads: bool = False, slow: bool = False
    ) -> None:
        super().__init__(*session)
        self.small_buffers = slow
        self.heard = Heard(self.user, {mailbox: [] for mailbox in epochs})
        self._epochs = epochs
        self._reads = reads
        self._slow = slow
        self._heard_at = time.monotonic()
        self._waiting: dict[str, deque[Event]] = {}
        self._pulling: dict[str, tuple[int, int]] = {}

    def shown(self, mailbox: str) -> int:
        """The last seq shown."""
        messages = self.heard.shown[mailbox]
        return messages[-1].seq if messages else 0

    def hurry(self) -> None:
        """Stop for nothing any more."""
        self._slow = False

    def state(self) -> str:
        """What it is doing, for a report."""
        waiting = {name: len(events) for name, events in self._waiting.items() if events}
        place = "connected" if self._socket else "not connected"
        silent = time.monotonic() - self._heard_at
        return (
            f"{self.user}: {place}, silent for {silent:.0f} s, "
            f"pulling {self._pulling}, waiting {waiting}"
        )

    def hello(self) -> dict[str, Any]:
        return {"since": {name: [self._epochs[name], self.shown(name)] for name in self._epochs}}

    def on_drop(self) -> None:
        self._waiting.clear()
        self._pulling.clear()

    async def before_frame(self) -> None:
        self._heard_at = time.monotonic()
        if self._slow and self.rng.random() < 0.02:
            await asyncio.sleep(self.rng.uniform(0.5, 4.0))

    async def work(self) -> None:
        while self._reads:
            await asyncio.sleep(self.rng.uniform(0.2, 0.8))
            mailbox = self.rng.choice(list(self._epochs))
            if self.shown(mailbox):
                await self.put("read", mailbox=mailbox, seq=self.shown(mailbox))

    async def on_event(self, event: Event) -> None:
        match event["op"]:
            case "message" | "gap":
                self._waiting.setdefault(event["mailbox"], deque()).append(event)
                await self._advance(event["mailbox"])
            case "resumed":
                await self._on_resumed(event)
            case "history":
                await self._on_history(event)
            case "error":
                await self._on_error(event)
            case "cursor" if event["unread"] < 0:
                self.problem(f"negative count: {event}")

    async def _on_resumed(self, event: Event) -> None:
        mailbox = event["mailbox"]
        if event["epoch"] != self._epochs[mailbox]:
            self.problem(f"another epoch: {event}")
        self.evidence.counts[f"resumed, recovered {event['recovered']}"] += 1
        if event["recovered"] and self.shown(mailbox) < event["head"]:
            self.problem(f"shown up to {self.shown(mailbox)}, yet {event}")
        elif not event["recovered"] and event["head"] > self.shown(mailbox):
            gap = {"op": "gap", "from": self.shown(mailbox) + 1, "to": event["head"]}
            self._waiting.setdefault(mailbox, deque()).append(gap)
            await self._advance(mailbox)

    async def _advance(self, mailbox: str) -> None:
        """Show what waits, up to the next thing that has to be pulled."""
        waiting = self._waiting[mailbox]
        while waiting and mailbox not in self._pulling:
            event = waiting.popleft()
            if event["op"] == "message":
                self._show(mailbox, event)
            else:
                self.evidence.counts["gaps pulled"] += 1
                self._pulling[mailbox] = (event["from"], event["to"])
                await self._pull(mailbox)

    async def _pull(self, mailbox: str) -> None:
        first, last = self._pulling[mailbox]
        limit = min(PULL, last - first + 1)
        await self.put("history", ref=mailbox, mailbox=mailbox, after=first - 1, limit=limit)

    async def _on_history(self, event: Event) -> None:
        mailbox = event["mailbox"]
        _, last = self._pulling[mailbox]
        for message in event["messages"]:
            self._show(mailbox, message)
        pulled = event["messages"][-1]["seq"] if event["messages"] else last
        if pulled < last:
            self._pulling[mailbox] = (pulled + 1, last)
            await self._pull(mailbox)
        else:
            del self._pulling[mailbox]
            await self._advance(mailbox)

    async def _on_error(self, event: Event) -> None:
        self.evidence.counts[f"error {event['code']}"] += 1
        if not event["retriable"]:
            self.problem(f"refused: {event}")
        elif event.get("ref") in self._pulling:
            await asyncio.sleep(min(1.0, event.get("retry_after", 0.2)))
            await self._pull(event["ref"])
        elif event.get("ref") == HELLO and self._socket is not None:
            # A mailbox can't be resumed yet: drop the connection and come back.
            await self._socket.close()

    def _show(self, mailbox: str, message: Event) -> None:
        shown = Shown(message["seq"], message["id"], message["from"], message.get("body"))
        self.heard.shown[mailbox].append(shown)
