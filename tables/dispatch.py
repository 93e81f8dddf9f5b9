"""Record batches on their way to the brokers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest, ProduceRequest_v7
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tables.packing import PackedProduce

BATCH_SIZE = 3 << 20
"""Bytes of the largest record batch; below the topics' `max.message.bytes`."""

_REQUEST_SIZE = 32 << 20
"""Bytes of batches that share a request: a broker takes 100 MB."""

_RETRY_SECONDS = 0.1
_LOOK_SECONDS = 1.0
log = structlog.get_logger(__name__)

_MAGIC = 2
_UNCOMPRESSED = 0
_NOBODY = -1
_ALL_IN_SYNC = -1


class BatchBuilder:
    """A record batch to be filled, with many records at a time. count: of records that it has."""

    def __init__(self) -> None:
        self._builder = DefaultRecordBatchBuilder(
            _MAGIC,
            _UNCOMPRESSED,
            is_transactional=0,
            producer_id=_NOBODY,
            producer_epoch=_NOBODY,
            base_sequence=0,
            batch_size=BATCH_SIZE,
        )
        self.count = 0

    def extend(
        self,
        timestamp: int,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        headers: Sequence[Sequence[tuple[str, bytes]]],
    ) -> None:
        """Append records in columns; `OverflowError` if they don't fit. timestamp: ms since 1970."""
        append, first = self._builder.append, self.count
        self.count += len(keys)
        for offset, key, value, some in zip(
            range(first, self.count), keys, values, headers, strict=True
        ):
            if append(offset, timestamp, key, value, some) is None:
                raise OverflowError("more than a record batch holds")

    def size(self) -> int:
        """Bytes of the batch as it is now."""
        size: int = self._builder.size()
        return size

    def build(self) -> bytearray:
        """The batch as a broker takes it; once."""
        built: bytearray = self._builder.build()
        return built


class _Waiting(NamedTuple):
    place: TopicPartition
    batch: bytearray
    landed: asyncio.Future[int]


class _ProduceRequest(ProduceRequest):  # type: ignore[misc]
    """A request outside a transaction that is packed at once."""

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class is not ProduceRequest_v7:
            return super().build(request_struct_class)
        return PackedProduce(None, self._required_acks, self._timeout, self._topics)


class Dispatch:
    """Sends record batches: at once if nothing is on its way to that broker, else together with what waits, too.

    A broker takes one request of a connection at a time and answers it before the next. One for each batch
    would have the last wait for as many rounds of replication as there are batches.
    """

    def __init__(self, client: AIOKafkaClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._busy: set[int] = set()
        self._waiting: defaultdict[int, list[_Waiting]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, batch: BatchBuilder, topic: str, partition: int) -> int:
        """Store a batch; returns the offset of its first record, once all in-sync replicas have it.

        Tries again for `seconds` what may succeed then, so a batch may be stored twice. Raises `KafkaError`.
        """
        place, built = TopicPartition(topic, partition), batch.build()
        deadline, told = time.monotonic() + self._seconds, False
        while True:
            try:
                return await self._send(place, built)
            except KafkaError as error:
                if not error.retriable or time.monotonic() > deadline:
                    raise
                if not told:
                    log.warning("not stored, trying again", to=str(place), reason=repr(error))
                    told = True
                self._client.force_metadata_update()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _send(self, place: TopicPartition, batch: bytearray) -> int:
        broker = await self._leader(place)
        if broker in self._busy:
            return await self._wait_for_turn(broker, place, batch)
        self._busy.add(broker)
        try:
            outcome = (await self._request(broker, {place: batch}))[place]
        finally:
            self._send_waiting(broker)
        if isinstance(outcome, KafkaError):
            raise outcome
        return outcome

    async def _wait_for_turn(self, broker: int, place: TopicPartition, batch: bytearray) -> int:
        """As long as the broker leads the partition: one that is silent keeps its turn until a request times out."""
        landed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(place, batch, landed)
        self._waiting[broker].append(waiting)
        try:
            while not (await asyncio.wait([landed], timeout=_LOOK_SECONDS))[0]:
                if waiting in self._waiting[broker] and await self._leader(place) != broker:
                    raise NotLeaderForPartitionError(str(place))
            return landed.result()
        finally:
            landed.cancel()

    async def _leader(self, place: TopicPartition) -> int:
        cluster = self._client.cluster
        leader: int | None = cluster.leader_for_partition(place)
        if leader is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._client.add_topic(place.topic)
            leader = cluster.leader_for_partition(place)
        if leader is None or leader == _NOBODY:
            raise LeaderNotAvailableError(f"{place.topic}/{place.partition}")
        return leader

    def _send_waiting(self, broker: int) -> None:
        """Send together what has come while a request was on its way, of each partition one batch."""
        together: dict[TopicPartition, _Waiting] = {}
        size, later = 0, []
        for waiting in self._waiting.pop(broker, ()):
            if waiting.landed.done():
                continue
            size += len(waiting.batch)
            if waiting.place in together or (together and size > _REQUEST_SIZE):
                later.append(waiting)
            else:
                together[waiting.place] = waiting
        if not together:
            self._busy.discard(broker)
            return
        if later:
            self._waiting[broker] = later
        task = asyncio.create_task(self._send_together(broker, together))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_together(self, broker: int, together: dict[TopicPartition, _Waiting]) -> None:
        batches = {place: waiting.batch for place, waiting in together.items()}
        outcomes: Mapping[TopicPartition, int | Exception]
        try:
            outcomes = await self._request(broker, batches)
        except Exception as error:  # noqa: BLE001  raised by each that waits
            outcomes = dict.fromkeys(batches, error)
        finally:
            self._send_waiting(broker)
        for place, waiting in together.items():
            _settle(waiting.landed, outcomes[place])

    async def _request(
        self, broker: int, batches: dict[TopicPartition, bytearray]
    ) -> dict[TopicPartition, int | KafkaError]:
        """Where each batch has landed, or why it has not; raises `KafkaError` if that is unknown of all."""
        topics: defaultdict[str, list[tuple[int, bytearray]]] = defaultdict(list)
        for place, batch in batches.items():
            topics[place.topic].append((place.partition, batch))
        request = _ProduceRequest(
            transactional_id=None,
            required_acks=_ALL_IN_SYNC,
            timeout=int(self._seconds * 1_000),
            topics=list(topics.items()),
        )
        response = await self._client.send(broker, request)
        return {
            TopicPartition(topic, partition): for_code(code)() if code else offset
            for topic, partitions in response.topics
            for partition, code, offset, *_ in partitions
        }


def _settle(landed: asyncio.Future[int], outcome: int | Exception) -> None:
    if landed.done():
        return
    if isinstance(outcome, Exception):
        landed.set_exception(outcome)
    else:
        landed.set_result(outcome)
