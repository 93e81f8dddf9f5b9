"""A Faust transport whose unit is a batch: one event per partition and poll.

Registered for `readcast://` URLs. It differs from Faust's aiokafka transport in seven things:

- An event's value is the list of records of one poll; its offset is that of the last one.
- What is done is told by the lanes (`mark_done`), and only that is committed. Faust's own
  acknowledgements count an event that a stream skipped in a rebalance as done, and would lose it.
- Changelogs are never fetched here, nor known to the consumer: the tables read them.
- A fetch for which there is nothing is over soon: what it leaves out is not fetched before.
- Its consumer runs on the worker's own loop, not in a thread, and hands on what comes in the step in which it comes.
- Its conductor puts that into the agents' channels as it is: nothing is decoded, and lanes bound what waits.
- Its producer sends whole record batches, past aiokafka's queues.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import filterfalse
from typing import Any, cast

import aiokafka
import structlog
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError
from faust.events import Event
from faust.transport import conductor, drivers
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.futures import maybe_async

from tables.dispatch import BatchBuilder, Dispatch
from tables.fetching import Fetcher, Record, fetch_fast, fetcher_of
from tables.table import lanes_of

_COMMIT_SECONDS = 5.0
_POLL_SECONDS = 1.0
_POLL_RECORDS = 4_000

_FETCH_MS = 100
"""How long the broker keeps a fetch for which it has nothing, a fifteenth of what Faust says.

There is one at a time. One that is made while the records of some partitions wait here leaves those out, and
until it, or one that follows it, is back nothing of them is fetched.
"""

_CREATE_TIME = 0

log = structlog.get_logger(__name__)

SCHEME = "readcast"


class _Subscription(SubscriptionState):  # type: ignore[misc]
    """Knows of an assignment only what is fetched: aiokafka looks at all of it several times a fetch.

    Faust would only pause changelogs, by not asking for what of them has been fetched.
    """

    def __init__(self, is_changelog: Callable[[TP], bool]) -> None:
        super().__init__()
        self._is_changelog = is_changelog

    def assign_from_subscribed(self, assignment: Iterable[aiokafka.TopicPartition]) -> None:
        super().assign_from_subscribed(set(filterfalse(self._is_changelog, assignment)))


class InlineConsumer(driver.AIOKafkaConsumerThread):
    """Faust's consumer on the worker's own loop, instead of a thread that each poll must be handed to.

    Two threads share one interpreter lock: the hand-over and the way back cost more than a short
    batch. Adds what a lane asks of the group, too: where it stands.
    """

    def __init__(
        self, consumer: Consumer, *, loop: asyncio.AbstractEventLoop, **kwargs: Any
    ) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, **kwargs)

    async def maybe_start(self) -> bool:
        if self._thread_started.is_set():
            return False
        await self.start()
        return True

    async def start(self) -> None:
        self._thread_started.set()
        await self._default_start()

    async def on_stop(self) -> None:
        await self.on_thread_stop()
        self.set_shutdown()

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        consumer._subscription = _Subscription(self.consumer._is_changelog_tp)
        consumer._fetch_max_wait_ms = _FETCH_MS
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        assignor = self.app.assignor
        whole = assignor.assigned_actives() | assignor.assigned_standbys()
        await super().on_partitions_assigned(whole, generation_id)

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset, if it has one."""
        partition = aiokafka.TopicPartition(tp.topic, tp.partition)
        committed: int | None = await self._ensure_consumer().committed(partition)
        return committed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await consumer.commit(
                    {aiokafka.TopicPartition(*tp): offset for tp, offset in offsets.items()}
                )
        except (KafkaError, TimeoutError) as error:
            # Harmless: what isn't committed is decided again, to the same rows.
            log.warning("commit failed, the next one covers it", reason=repr(error))
            return False
        now = time.monotonic()
        self.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        return True


class Conductor(conductor.Conductor):
    """Puts batches into the agents' channels as they are: nothing is to be decoded, and lanes bound what waits."""

    def deliver(self, message: ConsumerMessage) -> None:
        """Have the agents of its topic get a batch; without one it is dropped."""
        channels = self._tp_index[message.tp]
        message.incref(len(channels))
        event = Event(self.app, None, message.value, None, message)
        for channel in channels:
            cast("Any", channel).queue.force_put_nowait(event)


class Consumer(driver.Consumer):
    """Fetches batches; commits what the lanes have done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[TP, int] = {}

    def _new_consumer_thread(self) -> InlineConsumer:
        return InlineConsumer(self, loop=self.loop, beacon=self.beacon)

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset, if it has one."""
        return await cast("InlineConsumer", self._thread).committed(tp)

    def mark_done(self, tp: TP, next_offset: int) -> None:
        """All records before `next_offset` are decided and kept."""
        self._done[tp] = next_offset

    def _message(self, tp: TP, records: Sequence[Record]) -> ConsumerMessage:
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            _CREATE_TIME,
            last.headers,
            None,
            cast("Any", records),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on what comes, as Faust does, but in the step in which it comes and without six tasks for each event.

        What a rebalance overtakes is skipped, or comes with the next generation: lanes see to what is missing or
        comes twice.
        """
        source = self._source
        source.on_arrival = self._hand_on
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait(cast("Any", self.can_resume_flow))
                await self.app.flow_control.acquire()
                if self._hand_on():
                    await asyncio.sleep(0)
                else:
                    await source.wait(_POLL_SECONDS)
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        finally:
            source.on_arrival = None

    def _hand_on(self) -> bool:
        """Give batches that have come to the agents; whether there are any, and they may have them now."""
        if not (self.flow_active and self.app.flow_control.is_active()):
            return False
        found = self._source.take(_POLL_RECORDS, self._get_active_partitions())
        for tp, records in found.items():
            cast("Conductor", self.app.topics).deliver(self._message(TP(*tp), records))
        return bool(found)

    @property
    def _source(self) -> Fetcher:
        return fetcher_of(cast("InlineConsumer", self._thread)._ensure_consumer())

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions({tp for tp in ensure_TPset(tps) if not self._is_changelog_tp(tp)})
        self._source.wake()

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._source.wake()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # Stop deciding first, then commit what was decided, then let go.
        await lanes_of(self.app).stop_all()
        await self.commit()
        self._done.clear()
        await super().on_partitions_revoked(revoked)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        if not self._done:
            return False
        assigned = self.assignment()
        ahead = {
            tp: n
            for tp, n in self._done.items()
            if tp in assigned and self._committed_offset[tp] != n
        }
        if not ahead or not await self._commit(ahead):
            return False
        self._committed_offset.update(ahead)
        self.app.monitor.on_tp_commit(ahead)
        return True


class Producer(driver.Producer):
    """Sends whole record batches besides what Faust sends."""

    async def on_start(self) -> None:
        await super().on_start()
        client = self._ensure_producer().client
        self._dispatch = Dispatch(client, self.app.conf.producer_request_timeout)

    def create_batch(self) -> BatchBuilder:
        """An empty record batch."""
        return BatchBuilder()

    async def send_batch(self, batch: BatchBuilder, topic: str, partition: int) -> int:
        """Store a batch; returns the offset of its first record, once all in-sync replicas have it."""
        return await self._dispatch.send(batch, topic, partition)


class Transport(driver.Transport):
    """The transport behind `readcast://host:port`."""

    Conductor = Conductor
    Consumer = Consumer
    Producer = Producer


def register() -> None:
    """Make `readcast://` known to Faust."""
    fetch_fast()
    drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
