"""The tail against a real broker: nothing missed, and no error is the end."""

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient

from gateway.metrics import Metrics
from gateway.tail import Tail
from streams.settings import Settings
from tests.gateway.fakes import until
from tests.processes import Broker, start_or_skip


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that a test may stop."""
    with Broker(tmp_path_factory.mktemp("tail")) as process:
        start_or_skip(process)
        yield process


class Log:
    """A topic with two partitions, one of them quiet, its tail, and what the tail has brought."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.partition = TopicPartition(f"log-{uuid.uuid4().hex[:8]}", 0)
        quiet = TopicPartition(self.partition.topic, 1)
        self.taken: list[bytes] = []
        self.failures: list[bytes] = []
        self.lost = 0
        self.tail = Tail(
            Settings(KAFKA_BOOTSTRAP_SERVERS=bootstrap),
            {self.partition: self._take, quiet: self._take},
            self.failures.append,
            self._lose,
            Metrics(),
        )
        self.task: asyncio.Task[None]
        self.producer: AIOKafkaProducer

    def _take(self, _partition: int, _key: bytes, value: bytes | None, _headers: object) -> None:
        if value == b"bad":
            raise ValueError(value)
        self.taken.append(value or b"")

    def _lose(self) -> None:
        self.lost += 1

    async def __aenter__(self) -> "Log":
        topic = {self.partition.topic: {"num_partitions": 2, "replication_factor": 1}}
        with_admin(self.bootstrap, lambda admin: admin.create_topics(topic))
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, retry_backoff_ms=50)
        await self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.producer.stop()

    def start(self) -> None:
        self.task = asyncio.create_task(self.tail.run())

    async def write(self, *values: bytes) -> None:
        for value in values:
            topic, number = self.partition
            await self.producer.send_and_wait(topic, value, b"group:1/m/1", number)


def with_admin(bootstrap: str, work) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        work(admin)
    finally:
        admin.close()


async def test_reading_starts_at_the_end_and_misses_nothing_after(broker: str):
    async with Log(broker) as log:
        await log.write(b"old")
        log.start()
        await asyncio.wait_for(log.tail.reached_end.wait(), 20)
        await log.write(b"1", b"2")
        await until(lambda: len(log.taken) == 2)
        assert log.taken == [b"1", b"2"]
        assert log.tail.lag == 0


async def test_a_record_that_is_not_understood_is_told_and_passed(broker: str):
    async with Log(broker) as log:
        log.start()
        await asyncio.wait_for(log.tail.reached_end.wait(), 20)
        await log.write(b"1", b"bad", b"2")
        await until(lambda: len(log.taken) == 2)
        assert log.taken == [b"1", b"2"]
        assert log.failures == [b"group:1/m/1"]


async def test_a_log_that_no_longer_has_our_place_is_read_from_its_end(broker: str):
    async with Log(broker) as log:
        await log.write(b"1", b"2", b"3")
        with_admin(broker, lambda admin: admin.delete_records({log.partition: 2}))
        log.tail._positions[log.partition] = 0
        log.start()
        await until(lambda: log.lost == 1)
        await asyncio.wait_for(log.tail.reached_end.wait(), 20)
        await log.write(b"4")
        await until(lambda: log.taken == [b"4"])


async def test_reading_goes_on_where_it_stood_after_the_broker_was_away(own_broker: Broker):
    async with Log(own_broker.bootstrap) as log:
        log.start()
        await asyncio.wait_for(log.tail.reached_end.wait(), 20)
        await log.write(b"1")
        await until(lambda: log.taken == [b"1"])
        for stop in (own_broker.stop, own_broker.kill):
            await asyncio.to_thread(stop)
            await asyncio.sleep(1)
            await asyncio.to_thread(own_broker.start)
            await log.write(b"more")
        await until(lambda: len(log.taken) == 3)
        assert log.taken == [b"1", b"more", b"more"]
        assert log.lost == 0
        assert not log.task.done()
