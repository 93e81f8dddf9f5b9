"""Keeps this process among those that the agents forward rows to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiokafka import TopicPartition

from gateway.requests import Requests, decoded
from gateway.routes import Routes
from gateway.settings import Settings
from streams.errors import Refused
from streams.ids import SYSTEM
from streams.routes.commands import RenewLease, RenewUserLease
from streams.topics import Topics
from tables.keys import GATEWAY

log = structlog.get_logger()

RETRY_SECONDS = 0.5
"""Pause before a lease is asked for again."""

TICK_SECONDS = 1.0
"""How often what is followed no more is announced."""

RENEWALS = 3
"""Renewals in the time of a lease: all but one may get lost."""


class Granted(msgspec.Struct, frozen=True):
    """A lease: the partition of the deliveries, and the offset of the command that began it."""

    partition: int
    since: int


_decode_granted = msgspec.json.Decoder(Granted).decode


class Leases:
    """One lease in each partition of commands, renewed in time.

    The first one says which partition of the deliveries is ours; `follow` begins to read it before
    there are others. A lease that began anew has lapsed in between, and rows may be missing:
    `lapsed` is called once everything has been announced again.
    """

    def __init__(
        self,
        requests: Requests,
        routes: Routes,
        topics: Topics,
        instance: str,
        settings: Settings,
        follow: Callable[[int], Awaitable[None]],
        lapsed: Callable[[], None],
    ) -> None:
        self._requests = requests
        self._routes = routes
        self._owner = f"{GATEWAY}{instance}"
        self._seconds = settings.lease_seconds
        self._follow = follow
        self._lapsed = lapsed
        self._partition: int | None = None
        self._since: dict[TopicPartition, int] = {}
        self._ended = False
        self._places = [
            TopicPartition(topic, number)
            for topic in (topics.mailbox_commands, topics.user_commands)
            for number in range(settings.pipeline.partitions)
        ]
        self._mailboxes = topics.mailbox_commands
        self._loop = asyncio.get_running_loop()
        self.held = asyncio.Event()

    async def run(self) -> None:
        """Have leases for ever."""
        # The first of them may end while others can't be had: counted from here, that shows in time.
        due = self._loop.time() + self._seconds / RENEWALS
        while not self.held.is_set():
            await self._begin()
        self._routes.leased()
        log.info("forwarded to", partition=self._partition, leases=len(self._since))
        while True:
            await asyncio.sleep(min(TICK_SECONDS, self._seconds / RENEWALS))
            if self._ended or self._routes.lost or self._loop.time() >= due:
                due = self._loop.time() + self._seconds / RENEWALS
                await self._renew()
            await self._announce()

    def end(self) -> None:
        """Have nothing forwarded any more."""
        if self._partition is not None:
            for place in self._places:
                self._requests.tell(self._command(place, 0), place.partition)

    async def _begin(self) -> None:
        """Ask for the leases that are missing: first for one, which says where to read."""
        try:
            if self._partition is None:
                self._partition = (await self._granted(self._places[0])).partition
                await self._follow(self._partition)
            await asyncio.gather(
                *(self._hold(place) for place in self._places if place not in self._since)
            )
            self.held.set()
        except Refused as error:
            log.warning("no lease yet", error=error.message)
            await asyncio.sleep(RETRY_SECONDS)

    async def _hold(self, place: TopicPartition) -> None:
        self._since[place] = (await self._granted(place)).since

    async def _renew(self) -> None:
        """Renew all leases. What was lost is asked for anew once every one of them holds again."""
        renewed = await asyncio.gather(*(self._is_renewed(place) for place in self._places))
        lost = len(self._routes.lost)
        if all(renewed) and (self._ended or lost):
            log.warning("rows may be missing; everything is asked for anew", lost=lost)
            self._ended = False
            self._routes.start_over()
            self._lapsed()

    async def _is_renewed(self, place: TopicPartition) -> bool:
        """Renew one lease, and see whether it had ended."""
        before = self._since[place]
        try:
            await self._hold(place)
        except Refused as error:
            log.warning("lease not renewed", error=error.message, partition=place.partition)
            return False
        self._ended |= self._since[place] != before
        return True

    async def _granted(self, place: TopicPartition) -> Granted:
        command = self._command(place, self._seconds)
        answer = await self._requests.ask(command, partition=place.partition)
        return await decoded(answer, _decode_granted)

    async def _announce(self) -> None:
        try:
            await self._routes.announce_all()
        except Refused as error:
            log.warning("routes not announced", error=error.message)

    def _command(self, place: TopicPartition, seconds: int) -> RenewLease | RenewUserLease:
        reply = self._requests.address() if seconds else None
        partition = self._partition
        if place.topic == self._mailboxes:
            return RenewLease(
                mailbox=self._owner, by=SYSTEM, reply=reply, seconds=seconds, partition=partition
            )
        return RenewUserLease(
            user=self._owner, by=SYSTEM, reply=reply, seconds=seconds, partition=partition or 0
        )
