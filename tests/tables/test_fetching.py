"""Fetched records on a real broker."""

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.consumer import consumer as consumers
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import GroupAuthorizationFailedError, OffsetOutOfRangeError
from hypothesis import given, settings
from hypothesis import strategies as st

from tables import fetching
from tables.fetching import fetch_fast, fetcher_of
from tables.reader import open_reader
from tests.records import make_topic, unique

SECONDS = 10.0


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Consumers of these tests fetch fast, those of others as before."""
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    for name in ("Fetcher", "AIOKafkaClient"):
        monkeypatch.setattr(consumers, name, getattr(consumers, name))
    fetch_fast()


@asynccontextmanager
async def two_partitions(broker):
    """send(partition, *values), and a started consumer of both from their beginning, with its fetcher."""
    topic = unique("fetching")
    places = make_topic(broker, topic, 2)
    async with (
        AIOKafkaProducer(bootstrap_servers=broker) as producer,
        open_reader(broker) as consumer,
        asyncio.timeout(30),
    ):

        async def send(place, *values):
            for value in values:
                await producer.send_and_wait(topic, value, partition=place.partition)

        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        yield send, places, consumer, fetcher_of(consumer)


def values_of(taken):
    return {place: [record.value for record in records] for place, records in taken.items()}


async def take_all(source, wanted, most=1_000, partitions=None):
    found = {}
    while sum(map(len, found.values())) < wanted:
        if not (taken := values_of(source.take(most, partitions))):
            await source.wait(SECONDS)
        assert sum(map(len, taken.values())) <= most
        for place, values in taken.items():
            found.setdefault(place, []).extend(values)
    return found


async def forever(source):
    while True:
        await source.wait(SECONDS)


async def test_no_more_is_taken_than_is_asked_for_and_the_rest_later(broker):
    async with two_partitions(broker) as (send, (one, two), _, source):
        await send(one, b"1", b"2", b"3")
        await send(two, b"4", b"5")
        expected = {one: [b"1", b"2", b"3"], two: [b"4", b"5"]}
        assert await take_all(source, 5, most=2) == expected


async def test_only_what_is_wanted_is_taken_and_the_rest_is_kept(broker):
    async with two_partitions(broker) as (send, (one, two), _, source):
        await send(one, b"1")
        await send(two, b"2")
        assert await take_all(source, 1, partitions={two}) == {two: [b"2"]}
        assert await take_all(source, 1, partitions={one}) == {one: [b"1"]}


async def test_who_waits_is_woken(broker):
    async with two_partitions(broker) as (_, _, _, source):
        waiting = asyncio.create_task(source.wait(3_600))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        source.wake()
        await waiting
        await source.wait(0.1)


async def test_who_waits_is_told_what_the_group_can_not_go_on_after(broker):
    async with two_partitions(broker) as (_, _, consumer, source):
        waiting = asyncio.create_task(source.wait(3_600))
        await asyncio.sleep(0.1)
        consumer._subscription.abort_waiters(GroupAuthorizationFailedError("g"))
        with pytest.raises(GroupAuthorizationFailedError):
            await waiting


async def test_a_place_that_is_gone_is_told_where_records_are_asked_for(broker):
    async with two_partitions(broker) as (send, (one, two), consumer, source):
        await send(two, b"2")
        source._default_reset_strategy = fetcher.OffsetResetStrategy.NONE
        consumer.seek(one, 1_000)
        with pytest.raises(OffsetOutOfRangeError):
            await take_all(source, 2)
        consumer.seek(one, 0)
        await send(one, b"1")
        assert await take_all(source, 1, partitions={one}) == {one: [b"1"]}


async def test_what_is_raised_on_arrival_is_told_and_fetching_goes_on(broker):
    async with two_partitions(broker) as (send, (one, _), _, source):

        def fail():
            raise ValueError("on arrival")

        source.on_arrival = fail
        await send(one, b"1")
        with pytest.raises(ValueError, match="on arrival"):
            await forever(source)
        source.on_arrival = None
        await send(one, b"2")
        assert await take_all(source, 2) == {one: [b"1", b"2"]}


@asynccontextmanager
async def taking_on_arrival(source):
    """has(expected): wait until that is what has been taken in the step in which it came."""
    found = {}

    def take():
        for place, values in values_of(source.take(1_000)).items():
            found.setdefault(place, []).extend(values)

    async def has(expected):
        while found != expected:
            await source.wait(0.01)

    source.on_arrival = take
    yield has
    source.on_arrival = None


async def test_what_is_taken_on_arrival_is_fetched_again_without_a_look_at_all(broker, monkeypatch):
    monkeypatch.setattr(fetching, "_SAME_SECONDS", 3_600)
    async with (
        two_partitions(broker) as (send, (one, two), _, source),
        taking_on_arrival(source) as has,
    ):
        looks = []
        look = source._get_actions_per_node
        monkeypatch.setattr(source, "_get_actions_per_node", lambda a: looks.append(a) or look(a))
        values = [b"%d" % number for number in range(50)]
        for value in values:
            await send(one, value)
        await send(two, b"other")
        await has({one: values, two: [b"other"]})
        # A fetch that brings nothing is followed by one.
        assert len(looks) < len(values) / 2


async def test_others_are_looked_at_while_one_is_never_quiet(broker):
    async with (
        two_partitions(broker) as (send, (one, two), consumer, source),
        taking_on_arrival(source) as has,
    ):
        sent = []

        async def send_for_ever():
            while True:
                sent.append(b"%d" % len(sent))
                await send(one, sent[-1])

        consumer.pause(two)
        await send(two, b"late")
        busy = asyncio.create_task(send_for_ever())
        while len(sent) < 50:
            await asyncio.sleep(0.01)
        consumer.resume(two)
        while source._subscriptions.subscription.assignment.state_value(two).position == 0:
            await asyncio.sleep(0.01)
        busy.cancel()
        await asyncio.wait([busy])
        await has({one: sent, two: [b"late"]})


class TwoBrokers:
    """Stands for brokers that answer when they are told to: number 0 leads partition 0, number 1 partition 1."""

    _metadata_max_age_ms = 1_000

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda place: place.partition, broker_metadata=lambda _: True
        )
        self.asked = defaultdict(list)

    def restart_sessions(self):
        pass

    async def send(self, broker, _request):
        answered = self._loop.create_future()
        self.asked[broker].append(answered)
        await answered
        self.asked[broker].remove(answered)
        return SimpleNamespace(topics=[], API_VERSION=11)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), max_size=30))
@settings(deadline=None)
async def test_each_broker_has_one_fetch_under_way_whatever_comes_when(answers):
    brokers, subscriptions = TwoBrokers(), SubscriptionState()
    places = [TopicPartition("t", number) for number in range(2)]
    subscriptions.assign_from_user(places)
    source = fetching.Fetcher(brokers, subscriptions)
    for place in places:
        subscriptions.seek(place, 0)

    def under_way():
        return {broker: len(asked) for broker, asked in brokers.asked.items()}

    async def turns(number):
        for _ in range(number):
            await asyncio.sleep(0)
            assert max(under_way().values(), default=0) <= 1

    for broker, number in answers:
        await turns(number)
        for asked in brokers.asked[broker]:
            if not asked.done():
                asked.set_result(None)
    await turns(20)
    assert under_way() == {0: 1, 1: 1}
    await source.close()


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_records_are_handed_on_with_all_they_carry_and_not_copied(broker, compression):
    (place,) = make_topic(broker, unique("fetched"), 1)
    async with AIOKafkaProducer(bootstrap_servers=broker, compression_type=compression) as producer:
        sent = [
            await producer.send(place.topic, b"one", b"k", place.partition, timestamp_ms=7),
            await producer.send(place.topic, None, b"l", place.partition, 8, [("h", b"x")]),
        ]
        for stored in sent:
            await stored
    async with open_reader(broker) as reader:
        reader.assign([place])
        records = (await reader.getmany(place, timeout_ms=10_000))[place]
    read = [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in records]
    assert read == [(0, 7, b"k", b"one", []), (1, 8, b"l", None, [("h", b"x")])]
    assert not any(isinstance(record, ConsumerRecord) for record in records)
