"""One user's connection to Readcast that mends itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from readcast import tokens
from readcast.backoff import Backoff
from readcast.connection import Connection, Dial, Lost
from readcast.errors import Closed, ReadcastError, Refused, Unanswered
from readcast.inflow import Event, Inflow
from readcast.websocket import BROKEN, Ending, HandshakeRefused, dial

log = logging.getLogger(__name__)

DRAINING, EXPIRED = 4002, 4502
FINAL_CLOSES = range(4500, 5000)
FINAL_ENDINGS = {
    400: "bad_request",
    401: "bad_token",
    403: "forbidden",
    404: "not_found",
    4501: "bad_token",
    4502: "expired",
    4503: "protocol",
    4504: "too_large",
}

RECONNECT = Backoff()
"""The pauses between connections."""

REPEAT = Backoff(base=0.5, cap=10.0)
"""The pauses between attempts of a request."""

STABLE_SECONDS = 10.0
"""A connection that lasted this long was a good one: the backoff starts anew."""

STATES = ("cursor", "head")
"""Events that say how a mailbox stands: of those that wait, only the latest of each counts."""

PAGE = 200
"""Messages pulled at a time."""

IDENTIFIED = ("create", "send", "post", "publish", "release", "withdraw")
"""Requests that are another one under another id."""

RESUME = 500
"""Mailboxes that one `hello` names: it has to fit into a frame."""


class Receipt(NamedTuple):
    """A message that was taken. ts: ms since 1970. duplicate: an earlier attempt had been taken."""

    mailbox: str
    id: str
    seq: int
    ts: int
    duplicate: bool


class Client:
    """Connects on `async with`, stays connected, and gives the events of its user.

    The messages of a mailbox come in the order of their seqs, each once, however often the
    connection is lost. A request without an answer is asked again, under the same id. Iterate for
    the events of docs/protocol.md, section 9; there is a `welcome` for each connection, and two are
    the client's own: `disconnected` (code, reason) and `reset` (mailbox, epoch, head: the mailbox was
    made anew, what lies between is not delivered).
    """

    def __init__(
        self,
        url: str,
        token: tokens.Token,
        *,
        watch: Sequence[str] | None = None,
        since: Mapping[str, tuple[str, int]] | None = None,
        backoff: Backoff = RECONNECT,
        request_seconds: float = 60.0,
        queue: int = 10_000,
        listener: Callable[[Event], None] | None = None,
        dial: Dial = dial,
    ) -> None:
        """Connect to nothing yet.

        url: `ws://host:port/ws`. token: one, or a function that gets a fresh one, which may be a
        coroutine; it is asked before each connection and before a token ends, and asked again
        later if it raises OSError. watch: the mailboxes to watch live; None: all of the user's, by
        `sync`. since: (epoch, seq) by mailbox, to go on after an earlier client's `places`.
        request_seconds: how long a request may take, all its attempts together. queue: events that
        may wait for whoever iterates; messages beyond are pulled once there is room. listener: is
        given each event at once, and nothing is queued. dial: opens the WebSocket, for instance
        `functools.partial(readcast.websocket.dial, source="127.0.0.2")`.
        """
        self._url = url
        self._token = token
        self._watch = watch
        self._backoff = backoff
        self._request_seconds = request_seconds
        self._limit = queue
        self._listener = listener
        self._dial = dial
        self._queue: deque[Event] = deque()
        self._states: dict[tuple[str, str], Event] = {}
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._connected = asyncio.Event()
        self._entered = asyncio.Event()
        self._connection: Connection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._attempt = 0
        self._expired = 0
        self._reconnect_after: float | None = None
        self._resuming: set[str] = set()
        self._resumed: asyncio.Future[None] | None = None
        self._pulling: set[str] = set()
        self.places: dict[str, tuple[str, int]] = dict(since or {})
        """(epoch, seq) of the last message that the iterator has given, by mailbox, or after which it began."""
        self.refusals: Counter[str] = Counter()
        """Refused requests by code, each attempt counted."""
        self._inflow = Inflow(
            self._deliver, self._start_pull, self._rewatch, self._has_room, self.places, watch
        )

    async def __aenter__(self) -> Self:
        """Wait until the client is in, through any number of attempts.

        Raises Closed or Refused if it never will be, and what the token's function raises.
        """
        self._runner = asyncio.create_task(self._run())
        self._runner.add_done_callback(self._fail)
        try:
            await self._entered.wait()
        except BaseException:
            await self.close()
            raise
        if self._error is not None:
            await self.close()
            raise self._error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event; the end after `close`, and Closed if the gateway sent the client away for good."""
        while not self._queue:
            if isinstance(self._error, Closed) and self._error.close_code is None:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            self._news.clear()
            await self._news.wait()
        event = self._queue.popleft()
        self._room.set()
        if event["op"] in STATES:
            del self._states[event["op"], event["mailbox"]]
        elif event["op"] == "message":
            mailbox = event["mailbox"]
            self.places[mailbox] = (self._inflow.epoch(mailbox), event["seq"])
        return event

    @property
    def connected(self) -> bool:
        """Whether requests go out at once."""
        return self._connection is not None and self._connected.is_set()

    @property
    def counts(self) -> Counter[str]:
        """`doubled` and `pulled` messages, `holes`, and resumes `recovered` and `unrecovered`.

        doubled: dropped, since they had been delivered. holes: found, and filled by pulling.
        """
        return self._inflow.counts

    async def close(self) -> None:
        """Disconnect; requests without an answer raise Closed."""
        self._finish(Closed("closed", "the client is closed"))
        if self._connection is not None:
            await self._connection.close()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    def drop(self) -> None:
        """Cut the connection without a word, as a network would; the client comes back by itself."""
        if self._connection is not None:
            self._connection.abort()

    async def request(self, op: str, /, *, within: float | None = None, **fields: Any) -> Event:
        """Ask, and ask again while it fails for a passing reason; returns the answer.

        within: seconds, instead of `request_seconds`. Raises Refused, Unanswered or Closed.
        """
        failures: list[ReadcastError] = [Unanswered(op)]  # the last is what the time limit raises
        if op in IDENTIFIED:
            fields = {"id": str(uuid.uuid4()), **fields}
        try:
            async with asyncio.timeout(within or self._request_seconds):
                return await self._insist(op, fields, failures)
        except TimeoutError:
            raise failures[-1] from None

    async def send(
        self,
        mailbox: str,
        body: Any,
        *,
        id: str | None = None,  # noqa: A002
        within: float | None = None,
    ) -> Receipt:
        """Send a message; `body` is any JSON. The same `id` (a UUID) again is the same message.

        Sends that are awaited one after the other keep their order.
        """
        message = id or str(uuid.uuid4())
        sent = await self.request("send", within=within, mailbox=mailbox, id=message, body=body)
        return Receipt(mailbox, message, sent["seq"], sent["ts"], sent["duplicate"])

    async def create(self, mailbox: str, **policy: Any) -> Event:
        """Make a group; the fields of a policy are in docs/protocol.md, section 3."""
        return await self.request("create", mailbox=mailbox, policy=policy)

    async def join(self, mailbox: str, *members: str) -> Event:
        """Add members to a group, or oneself."""
        return await self.request("join", mailbox=mailbox, members=members or None)

    async def leave(self, mailbox: str, *members: str) -> Event:
        """Remove members from a group, or oneself."""
        return await self.request("leave", mailbox=mailbox, members=members or None)

    async def history(self, mailbox: str, **place: int) -> Event:
        """A page of messages: `after` or `before` a seq, at most `limit`."""
        return await self.request("history", mailbox=mailbox, **place)

    async def read(self, mailbox: str, seq: int) -> Event:
        """Move the user's cursor forward."""
        return await self.request("read", mailbox=mailbox, seq=seq)

    async def _insist(
        self, op: str, fields: Mapping[str, Any], failures: list[ReadcastError]
    ) -> Event:
        for attempt in itertools.count():
            await self._connected.wait()
            if self._error is not None:
                raise self._error
            if self._connection is None:
                continue
            failures.append(Unanswered(op))
            try:
                return await self._connection.ask(op, fields)
            except Refused as refusal:
                self.refusals[refusal.code] += 1
                if not refusal.retriable:
                    raise
                failures.append(refusal)
                await asyncio.sleep(refusal.retry_after + REPEAT.delay(attempt))
            except (Lost, Unanswered):
                await asyncio.sleep(0)  # the end of the connection is told to all first
        raise AssertionError("there is always another attempt")

    async def _run(self) -> None:
        while True:
            ending = await self._connect()
            if self._error is not None:
                return
            self._deliver({"op": "disconnected", "code": ending.code, "reason": ending.reason})
            if self._is_final(ending):
                code = FINAL_ENDINGS.get(ending.code, "refused")
                self._finish(Closed(code, ending.reason, ending.code))
                return
            pause = self._pause(ending)
            log.warning(
                "no connection to %s (%s %s), trying again in %.1f s",
                *(self._url, ending.code, ending.reason, pause),
            )
            await asyncio.sleep(pause)
            self._attempt += 1

    def _is_final(self, ending: Ending) -> bool:
        """Whether connecting again would not help. A fresh token may, unless it is expired, too."""
        if ending.code == EXPIRED and callable(self._token) and not self._expired:
            self._expired += 1
            return False
        return ending.code in FINAL_ENDINGS or ending.code in FINAL_CLOSES

    def _pause(self, ending: Ending) -> float:
        """Seconds until the next connection."""
        after, self._reconnect_after = self._reconnect_after, None
        if ending.code == DRAINING and after is not None:
            return after
        return ending.retry_after + self._backoff.delay(self._attempt)

    async def _connect(self) -> Ending:
        """Be connected once, to the end."""
        try:
            token = await tokens.fetch(self._token)
            connection = await Connection.open(self._dial, self._url, self._take)
        except HandshakeRefused as refused:
            return refused.ending
        except OSError as error:
            return Ending(BROKEN, str(error) or "no connection in time")
        self._connection = connection
        try:
            return await self._serve(connection, token)
        finally:
            connection.abort()
            self._connection = None
            if self._error is None:
                self._connected.clear()
            await self._stop_tasks()

    async def _serve(self, connection: Connection, token: str) -> Ending:
        try:
            await self._enter(connection, token)
            began = time.monotonic()
            ending = await connection.ended
            if time.monotonic() - began > STABLE_SECONDS:
                self._attempt = 0
            return ending
        except Lost:
            return await connection.ended
        except Unanswered as unanswered:
            return Ending(BROKEN, unanswered.message)
        except Refused as refusal:
            if not refusal.retriable:
                raise
            return Ending(BROKEN, refusal.message, refusal.retry_after)

    async def _enter(self, connection: Connection, token: str) -> None:
        """Say hello, get what was missed, then watch what is not watched yet."""
        since = self._inflow.resume()
        self._resuming = set(since)
        self._resumed = connection.promise()
        places = list(since.items())
        first, *others = [
            dict(places[start : start + RESUME]) for start in range(0, len(places) or 1, RESUME)
        ]
        hello = {"token": token, "since": first, "chunks": True}
        connection.welcomed(await connection.ask("hello", hello))
        self._connected.set()
        for more in others:
            await connection.ask("hello", {"since": more})
        self._expired = 0
        if callable(self._token):
            self._spawn(self._renew(connection, token))
        if since:
            await self._resumed
        if self._watch is None:
            await connection.ask("sync", {})
        for mailbox in self._watch or ():
            if mailbox not in self._inflow:
                await self._watch_live(connection, mailbox)
        self._entered.set()

    async def _watch_live(self, connection: Connection, mailbox: str) -> None:
        """A refusal is raised at the first time, and an event when it comes later."""
        try:
            await connection.ask("watch", {"mailbox": mailbox, "mode": "live"})
        except Refused as refusal:
            if refusal.retriable or not self._entered.is_set():
                raise
            self._deliver({**refusal.event, "mailbox": mailbox})

    async def _renew(self, connection: Connection, token: str) -> None:
        """Fetch the next token before one ends. Where that fails the gateway will ask for it."""
        with contextlib.suppress(ReadcastError, Lost, OSError):
            while True:
                await asyncio.sleep(tokens.seconds_until_renewal(token))
                token = await tokens.fetch(self._token)
                await connection.ask("hello", {"token": token})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with something as long as the connection lasts."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, error: BaseException) -> None:
        """End for good, and tell all who wait."""
        self._error = self._error or error
        for event in (self._connected, self._entered, self._news, self._room):
            event.set()

    def _fail(self, runner: asyncio.Task[None]) -> None:
        if not runner.cancelled() and (error := runner.exception()) is not None:
            self._finish(error)

    def _take(self, event: Event, *, answers: bool) -> None:
        op = event["op"]
        if op == "welcome":
            self._inflow.user = event["user"]
            answers = self._connected.is_set()  # a renewed token is nobody's news
        elif op == "reconnect":
            self._reconnect_after = event["after_ms"] / 1_000
        self._inflow.take(event, answers=answers)
        if op in ("resumed", "error"):
            self._resuming.discard(event.get("mailbox", ""))
        if self._resumed and not self._resuming and not self._resumed.done():
            self._resumed.set_result(None)

    def _deliver(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)
            return
        if event["op"] in STATES:
            key = (event["op"], event["mailbox"])
            if (waiting := self._states.get(key)) is not None:
                waiting.update(event)
                return
            self._states[key] = event
        self._queue.append(event)
        self._news.set()

    def _has_room(self) -> bool:
        return len(self._queue) < self._limit

    def _start_pull(self, mailbox: str) -> None:
        if mailbox not in self._pulling:
            self._pulling.add(mailbox)
            self._spawn(self._pull(mailbox))

    async def _pull(self, mailbox: str) -> None:
        """Get what a mailbox lacks, page by page, as there is room."""
        try:
            while (after := self._inflow.lacks(mailbox)) is not None:
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                try:
                    page = await self.history(mailbox, after=after, limit=PAGE)
                except Unanswered:
                    continue
                except Refused as refusal:
                    if not refusal.retriable:
                        self._inflow.give_up(mailbox)
                else:
                    self._inflow.page(mailbox, page)
        finally:
            self._pulling.discard(mailbox)

    def _rewatch(self, mailbox: str) -> None:
        self._spawn(self._watch_again(mailbox))

    async def _watch_again(self, mailbox: str) -> None:
        """Make a resume good that failed for a passing reason: what was missed is pulled."""
        try:
            await self.request("watch", mailbox=mailbox, mode="live")
        except Refused as refusal:
            self._deliver({**refusal.event, "mailbox": mailbox})
        except Unanswered:
            self.drop()
