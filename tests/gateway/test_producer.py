"""Commands on their way to a real broker."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaTimeoutError, LeaderNotAvailableError, MessageSizeTooLargeError

from gateway.producer import Producer
from gateway.settings import Settings
from streams.settings import Settings as PipelineSettings
from tests.records import MAX_RECORD, make_topic, stored_records, unique

SECONDS = 10.0
CONFIGS = {"max.message.bytes": str(MAX_RECORD)}


@asynccontextmanager
async def producing(broker, seconds=SECONDS):
    pipeline = PipelineSettings(KAFKA_BOOTSTRAP_SERVERS=broker)
    producer = Producer(Settings(pipeline=pipeline, request_seconds=seconds))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def send_numbers(producer, topic, numbers, partitions=1):
    """By number, the future of each command."""
    return {n: producer.send(topic, b"%d" % n, b"k%d" % n, n % partitions) for n in numbers}


async def test_commands_are_stored_in_order_where_they_are_said_to_be(broker):
    topic = unique("producer")
    make_topic(broker, topic, 3, **CONFIGS)
    async with producing(broker) as producer:
        sent = {}
        for start in range(0, 300, 30):
            sent |= send_numbers(producer, topic, range(start, start + 30), 3)
            await asyncio.sleep(0.002 * (start % 60 == 0))
        offsets = {n: await stored for n, stored in sent.items()}
    assert offsets == {n: n // 3 for n in range(300)}
    expected = {(n % 3, n // 3): (b"k%d" % n, b"%d" % n) for n in range(300)}
    assert await stored_records(broker, topic, 300) == expected


async def test_what_waits_for_its_topic_is_stored_in_order(broker):
    topic = unique("producer")
    async with producing(broker) as producer:
        sent = send_numbers(producer, topic, range(50))
        await asyncio.sleep(0.3)
        sent |= send_numbers(producer, topic, range(50, 100))
        make_topic(broker, topic, 1, **CONFIGS)
        assert [await stored for stored in sent.values()] == list(range(100))


async def test_large_commands_and_small_ones_keep_their_order(broker):
    topic = unique("producer")
    make_topic(broker, topic, 1, **CONFIGS)
    sizes = [10, 100_000, 100_000, 3_500_000, 10, 1_000_000, 10]
    async with producing(broker) as producer:
        sent = [producer.send(topic, b"x" * size, b"k", 0) for size in sizes]
        assert [await stored for stored in sent] == list(range(len(sizes)))
    found = await stored_records(broker, topic, len(sizes))
    assert [len(value) for _, (_, value) in sorted(found.items())] == sizes


async def test_what_the_broker_refuses_stops_nothing(broker):
    topic = unique("producer")
    make_topic(broker, topic, 1, **CONFIGS)
    async with producing(broker) as producer:
        refused = producer.send(topic, b"x" * MAX_RECORD, b"k", 0)
        taken = producer.send(topic, b"x", b"k", 0)
        with pytest.raises(MessageSizeTooLargeError):
            await refused
        assert await taken == 0


async def test_nothing_waits_longer_than_a_request(broker):
    topic, there = unique("missing"), unique("producer")
    make_topic(broker, there, 1, **CONFIGS)
    async with producing(broker, seconds=0.5) as producer:
        sent = [producer.send(topic, b"x" * 100_000, b"k", 0) for _ in range(20)]
        async with asyncio.timeout(SECONDS):
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
            assert await producer.send(there, b"x", b"k", 0) == 0
    # The first is tried until its time is over; the others have waited for it as long.
    assert [type(outcome) for outcome in outcomes] == [LeaderNotAvailableError] + (
        [KafkaTimeoutError] * 19
    )


async def test_what_is_on_its_way_arrives_before_the_producer_stops(broker):
    topic = unique("producer")
    make_topic(broker, topic, 3, **CONFIGS)
    async with producing(broker) as producer:
        sent = send_numbers(producer, topic, range(90), 3)
    assert [stored.result() for stored in sent.values()] == [n // 3 for n in range(90)]


async def test_a_producer_that_is_told_to_stop_now_waits_for_nothing(broker):
    async with asyncio.timeout(SECONDS), producing(broker, seconds=60) as producer:
        stored = producer.send(unique("missing"), b"x", b"k", 0)
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await producer.stop()
        assert not stored.done()


async def test_a_producer_that_never_reached_kafka_fails_in_time():
    pipeline = PipelineSettings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    producer = Producer(Settings(pipeline=pipeline, request_seconds=0.5))
    sent = [producer.send("topic", b"x", b"k", 0) for _ in range(3)]
    async with asyncio.timeout(SECONDS):
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        await producer.stop()
    assert [type(outcome) for outcome in outcomes] == [LeaderNotAvailableError] * 3


async def test_whatever_is_raised_is_told_to_all_and_stops_nothing(broker, monkeypatch):
    topic = unique("producer")
    make_topic(broker, topic, 1, **CONFIGS)
    async with producing(broker) as producer:
        with monkeypatch.context() as patched:

            async def fail(*_):
                raise NotImplementedError("no common version")

            patched.setattr(producer._dispatch, "send", fail)
            sent = send_numbers(producer, topic, range(3)).values()
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NotImplementedError] * 3
        assert await producer.send(topic, b"x", b"k", 0) == 0
