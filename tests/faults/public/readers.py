"""Users: they are told of publishes, open some, and some come and go."""

import asyncio
import time
from typing import Any

from tests.faults.clients import BACKOFF, Event, Session
from tests.faults.public.evidence import Connection, Place, PublicEvidence, Told

SYNC = "sync"
OPENS = 0.4
OPENS_TWICE = 0.1
STAYS = (1.0, 5.0)
AWAY = (0.2, 4.0)
AGAIN_SECONDS = 0.3


class Reader(Session):
    """One device of a user: notes what it is told, and opens some of it.

    travels: it leaves and comes back, sometimes without a word, until `come_home` is called.
    """

    evidence: PublicEvidence

    def __init__(self, *session: Any, travels: bool = False) -> None:
        super().__init__(*session)
        self._travels = travels
        self._connection: Connection | None = None
        self._to_open: list[Place] = []
        self._opening: dict[str, Place] = {}
        self._waiting = asyncio.Event()

    def come_home(self) -> None:
        """Travel no more."""
        self._travels = False

    @property
    def connection(self) -> Connection | None:
        """What is open and has synced."""
        return self._connection if self._connection and self._connection.synced else None

    @property
    def done(self) -> bool:
        """Whether it is there, and all that it wanted to open is opened."""
        return self.connection is not None and not self._to_open and not self._opening

    def on_connect(self) -> None:
        self._connection = Connection(self.user, self.url, time.time() * 1_000)
        self.evidence.connections.append(self._connection)

    def on_drop(self) -> None:
        if self._connection is not None:
            self._connection.ended = time.time() * 1_000
        self._connection = None
        for place in self._opening.values():
            self._want_open(place)
        self._opening.clear()

    async def pause(self) -> None:
        await asyncio.sleep(self.rng.uniform(*(AWAY if self._travels else BACKOFF)))

    async def work(self) -> None:
        await self.put("sync", ref=SYNC)
        leaving = asyncio.create_task(self._leave())
        try:
            await self._open_all()
        finally:
            leaving.cancel()

    async def _leave(self) -> None:
        await asyncio.sleep(self.rng.uniform(*STAYS))
        if self._travels:
            self.evidence.counts["departures"] += 1
            await self.leave(politely=self.rng.random() < 0.5)

    async def _open_all(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._to_open:
                place = self._to_open.pop()
                ref = "/".join(map(str, place))
                self._opening[ref] = place
                await self.put("open", ref=ref, mailbox=place[0], publish=place[1])
            await asyncio.sleep(AGAIN_SECONDS)

    async def on_event(self, event: Event) -> None:
        match event["op"]:
            case "notice":
                self._on_notice(event)
            case "withdrawn":
                self._tell(Told("withdrawn", event["mailbox"], event["publish"]))
            case "sync":
                assert self._connection is not None
                self._connection.synced = time.time() * 1_000
            case "opened":
                self._on_opened(event)
            case "error":
                await self._on_error(event)

    def _on_notice(self, event: Event) -> None:
        told = Told("notice", event["mailbox"], event["publish"], event["entry"], event["again"])
        self._tell(told)
        self.evidence.counts["notices again" if told.again else "notices"] += 1
        if (self.user, told.place) not in self.evidence.opened and self.rng.random() < OPENS:
            self._want_open(told.place)

    def _tell(self, told: Told) -> None:
        assert self._connection is not None
        self._connection.told.append(told)

    def _want_open(self, place: Place) -> None:
        if place not in self._to_open:
            self._to_open.append(place)
        self._waiting.set()

    def _on_opened(self, event: Event) -> None:
        if "ref" not in event:
            return  # told of another connection's
        place = self._opening.pop(event["ref"])
        self.evidence.opened.add((self.user, place))
        if self.rng.random() < OPENS_TWICE:
            self.evidence.counts["opened twice"] += 1
            self._want_open(place)

    async def _on_error(self, event: Event) -> None:
        self.evidence.counts[f"error {event['code']}"] += 1
        place = self._opening.pop(event["ref"], None)
        if event["ref"] == SYNC and event["retriable"]:
            await asyncio.sleep(AGAIN_SECONDS)
            await self.put("sync", ref=SYNC)
        elif place is not None and event["retriable"]:
            self._want_open(place)
        elif place is None or event["code"] != "not_found":
            # What is over by now can't be opened any more.
            self.problem(f"refused: {event}")
