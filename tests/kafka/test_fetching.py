"""What the worker's consumer is given, and when."""

import asyncio
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaProducer

from streams.pipeline import Pipeline
from streams.settings import Settings
from tables.fetching import fetcher_of
from tests.records import make_topic, unique

PREFETCHED_SECONDS = 0.3


async def test_a_partition_that_was_left_out_of_a_fetch_is_not_read_after_another_has_come(broker):
    busy, quiet = make_topic(broker, unique("two"), 2)
    loop = asyncio.get_running_loop()
    settings = Settings(KAFKA_BOOTSTRAP_SERVERS=broker)
    consumer = Pipeline(settings).consumer._thread._create_consumer(loop)
    async with AsyncExitStack() as started, asyncio.timeout(30):
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        for client in (producer, consumer):
            await client.start()
            started.push_async_callback(client.stop)
        consumer.assign([busy, quiet])
        for tp in (busy, quiet):
            await consumer.seek_to_beginning(tp)

        async def send(tp):
            await producer.send_and_wait(tp.topic, b"", partition=tp.partition)

        async def send_late(tp):
            await asyncio.sleep(3 * PREFETCHED_SECONDS)
            await send(tp)

        async def taken():
            source = fetcher_of(consumer)
            while not (found := source.take(100)):
                await source.wait(1)
            return list(found)

        await send(busy)
        # What has come stays with the client for so long that it goes on with the other partition alone.
        await asyncio.sleep(PREFETCHED_SECONDS)
        assert await taken() == [busy]
        await send(busy)
        later = asyncio.create_task(send_late(quiet))
        assert await taken() == [busy]
        await later
