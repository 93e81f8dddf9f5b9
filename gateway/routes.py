"""Tells the agents whose rows to forward to this process."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from functools import partial

import structlog
from aiokafka import TopicPartition

from gateway.errors import unavailable
from gateway.interest import Interest
from gateway.producer import Producer
from gateway.requests import encode
from streams.ids import SYSTEM, is_mailbox
from streams.partitioning import partition_of
from streams.routes.commands import MAX_ROUTES, Announce, AnnounceUsers
from streams.topics import Topics

log = structlog.get_logger()


class Routes(Interest):
    """Announces what has changed ahead of the next command to the same partition.

    So whatever is asked about a mailbox or user is answered once rows are forwarded, and nothing falls
    between. Until there are leases nothing is announced, and who asks must wait.

    lost: partitions in which Kafka may not have stored an announcement, so that rows may be missing.
    """

    def __init__(
        self,
        producer: Producer,
        topics: Topics,
        instance: str,
        partitions: int,
        seconds: float,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._instance = instance
        self._partitions = partitions
        self._seconds = seconds
        self._wanted: Counter[str] = Counter()
        self._announced: set[str] = set()
        # What the agents may have been told of or not: what nobody follows any more has to be taken back, too.
        self._unsure: set[str] = set()
        self._due: defaultdict[TopicPartition, dict[str, None]] = defaultdict(dict)
        self._leased = asyncio.Event()
        self.lost: set[TopicPartition] = set()

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, owner: str) -> None:
        self._wanted[owner] += 1
        self._due[self._place(owner)][owner] = None

    def release(self, owner: str) -> None:
        self._wanted[owner] -= 1
        if not self._wanted[owner]:
            del self._wanted[owner]
            self._due[self._place(owner)][owner] = None

    async def announce(self, topic: str, partition: int) -> None:
        place = TopicPartition(topic, partition)
        if self._due.get(place):
            await self._wait_for_leases()
            self._send(place)

    async def announce_all(self) -> None:
        """Announce all that has changed; for what is followed no more, no command may come."""
        for place in list(self._due):
            await self.announce(*place)

    def leased(self) -> None:
        """There is a lease in every partition."""
        self._leased.set()

    def start_over(self) -> None:
        """What was announced may not be known: announce all of it again."""
        self.lost.clear()
        self._unsure.update(self._announced, self._wanted)
        for owner in self._unsure:
            self._due[self._place(owner)][owner] = None

    async def _wait_for_leases(self) -> None:
        try:
            await asyncio.wait_for(self._leased.wait(), self._seconds)
        except TimeoutError:
            raise unavailable("the gateway has no leases yet; try again") from None

    def _send(self, place: TopicPartition) -> None:
        changed = [name for name in self._due.pop(place, {}) if self._is_changed(name)]
        self._unsure.difference_update(changed)
        for wanted in (True, False):
            names = [name for name in changed if (name in self._wanted) is wanted]
            for start in range(0, len(names), MAX_ROUTES):
                self._store(place, tuple(names[start : start + MAX_ROUTES]), wanted=wanted)
            if wanted:
                self._announced.update(names)
            else:
                self._announced.difference_update(names)

    def _is_changed(self, owner: str) -> bool:
        return owner in self._unsure or (owner in self._wanted) != (owner in self._announced)

    def _store(self, place: TopicPartition, names: tuple[str, ...], *, wanted: bool) -> None:
        value = encode(self._command(place, names, wanted=wanted))
        stored = self._producer.send(place.topic, value, names[0].encode(), place.partition)
        stored.add_done_callback(partial(self._check, place))

    def _command(
        self, place: TopicPartition, names: tuple[str, ...], *, wanted: bool
    ) -> Announce | AnnounceUsers:
        if place.topic == self._topics.mailbox_commands:
            return Announce(
                mailbox=names[0],
                by=SYSTEM,
                gateway=self._instance,
                mailboxes=names,
                wanted=wanted,
            )
        return AnnounceUsers(
            user=names[0], by=SYSTEM, gateway=self._instance, users=names, wanted=wanted
        )

    def _check(self, place: TopicPartition, stored: asyncio.Future[int]) -> None:
        if (error := stored.exception()) is not None:
            log.warning("routes not stored", error=repr(error), topic=place.topic)
            self.lost.add(place)

    def _place(self, owner: str) -> TopicPartition:
        topics = self._topics
        topic = topics.mailbox_commands if is_mailbox(owner) else topics.user_commands
        return TopicPartition(topic, partition_of(owner, self._partitions))
