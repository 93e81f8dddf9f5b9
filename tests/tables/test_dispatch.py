"""Record batches on their way to a real broker."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest

from tables.dispatch import BatchBuilder, Dispatch
from tests.records import make_topic, stored_records, unique

SECONDS = 10.0
LARGE = 1 << 20
CONFIGS = {"max.message.bytes": str(LARGE)}


class CountingClient(AIOKafkaClient):
    produced = 0

    async def send(self, node_id, request, **kwargs):
        self.produced += isinstance(request, ProduceRequest)
        return await super().send(node_id, request, **kwargs)


@asynccontextmanager
async def dispatching(broker):
    client = CountingClient(bootstrap_servers=broker)
    await client.bootstrap()
    try:
        yield Dispatch(client, SECONDS), client
    finally:
        await client.close()


def batch(*values):
    built = BatchBuilder()
    built.extend(1, [b"k"] * len(values), values, [[]] * len(values))
    return built


async def test_each_batch_is_stored_whole_where_it_is_said_to_be(broker):
    topic = unique("dispatch")
    make_topic(broker, topic, 3, **CONFIGS)
    async with dispatching(broker) as (dispatch, client):
        for number in range(3):
            await dispatch.send(batch(b"first"), topic, number)
        before = client.produced
        values = [[b"%d/%d" % (number, n) for n in range(3)] for number in range(12)]
        offsets = await asyncio.gather(
            *(dispatch.send(batch(*some), topic, n % 3) for n, some in enumerate(values))
        )
        # The first one alone; what waits meanwhile together, but of each partition one at a time.
        assert client.produced - before == 1 + 4
    expected = {(number, 0): (b"k", b"first") for number in range(3)}
    for number, (offset, some) in enumerate(zip(offsets, values, strict=True)):
        expected |= {(number % 3, offset + n): (b"k", value) for n, value in enumerate(some)}
    assert await stored_records(broker, topic, len(expected)) == expected


async def test_a_batch_that_the_broker_refuses_fails_alone(broker):
    topic = unique("dispatch")
    make_topic(broker, topic, 3, **CONFIGS)
    async with dispatching(broker) as (dispatch, _):
        sends = [
            dispatch.send(batch(b"first"), topic, 0),
            dispatch.send(batch(b"x" * LARGE), topic, 1),
            dispatch.send(batch(b"last"), topic, 2),
        ]
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [0, MessageSizeTooLargeError, 0]


async def test_who_gives_up_waiting_stops_nobody_else(broker):
    topic = unique("dispatch")
    make_topic(broker, topic, 3, **CONFIGS)
    async with dispatching(broker) as (dispatch, _), asyncio.timeout(3 * SECONDS):
        await dispatch.send(batch(b"first"), topic, 0)
        for quitter in range(3):
            tasks = [
                asyncio.create_task(dispatch.send(batch(b"%d" % n), topic, n)) for n in range(3)
            ]
            await asyncio.sleep(0)
            tasks.pop(quitter).cancel()
            await asyncio.gather(*tasks)


async def test_a_topic_that_is_made_late_is_waited_for(broker):
    topic = unique("dispatch")
    async with dispatching(broker) as (dispatch, _), asyncio.timeout(SECONDS):
        sending = asyncio.create_task(dispatch.send(batch(b"v"), topic, 2))
        await asyncio.sleep(0.5)
        make_topic(broker, topic, 3, **CONFIGS)
        assert await sending == 0


def test_a_batch_takes_no_more_than_it_holds():
    with pytest.raises(OverflowError):
        batch(b"x" * (2 << 20), b"x" * (2 << 20))


class MovingClient:
    """Stands for a broker that has gone silent, and for the one that leads in its place."""

    def __init__(self):
        self.cluster = self
        self.leader = 1
        self.asked = []

    def leader_for_partition(self, place):
        return self.leader

    def force_metadata_update(self):
        pass

    async def send(self, broker, request):
        ((topic, partitions),) = request._topics
        self.asked.append((broker, [number for number, _ in partitions]))
        if broker == 1:
            await asyncio.sleep(3_600)
        return SimpleNamespace(topics=[(topic, [(number, 0, 7) for number, _ in partitions])])


async def test_what_waits_for_a_silent_broker_goes_to_the_new_leader():
    client = MovingClient()
    dispatch = Dispatch(client, SECONDS)
    stuck = asyncio.create_task(dispatch.send(batch(b"v"), "t", 0))
    async with asyncio.timeout(SECONDS):
        await asyncio.sleep(0)
        waits = asyncio.create_task(dispatch.send(batch(b"v"), "t", 1))
        quits = asyncio.create_task(dispatch.send(batch(b"v"), "t", 2))
        await asyncio.sleep(0)
        client.leader = 2
        quits.cancel()
        assert await waits == 7
    assert client.asked == [(1, [0]), (2, [1])]
    stuck.cancel()
    await asyncio.wait([stuck, quits])
    assert len(client.asked) == 2
