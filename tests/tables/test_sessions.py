"""Fetch sessions: a broker must always know what is wanted, and a real one must say the same."""

import asyncio
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import consumer as consumers
from hypothesis import given
from hypothesis import strategies as st

from tables.sessions import Session, SessionClient
from tests.records import make_topic, unique

PLACES = [("a", 0), ("a", 1), ("b", 0), ("b", 7)]


class Remembering:
    """A broker's side of a session, as KIP-227 has it."""

    def __init__(self):
        self.wanted = {}
        self.next_epoch = 0

    def take(self, epoch, changed, forgotten):
        assert epoch in (0, self.next_epoch)
        self.next_epoch = epoch + 1
        if epoch == 0:
            assert not forgotten
            self.wanted = {}
        self.wanted |= {(topic, p[0]): p[1] for topic, partitions in changed for p in partitions}
        for topic, numbers in forgotten:
            for number in numbers:
                del self.wanted[topic, number]


def by_topic(wanted):
    topics = {topic: [] for topic, _ in wanted}
    for (topic, number), offset in wanted.items():
        topics[topic].append((number, offset, 1_000))
    return list(topics.items())


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(PLACES), st.integers(0, 3), min_size=1),
            st.sampled_from(["answered", "answered", "no room", "lost"]),
        )
    )
)
def test_a_broker_knows_after_each_request_what_is_wanted(steps):
    session, broker = Session(), Remembering()
    for wanted, outcome in steps:
        changed, forgotten = session.ask(by_topic(wanted))
        broker.take(session.epoch, changed, forgotten)
        assert broker.wanted == wanted
        if outcome == "lost":
            session.restart()
        else:
            session.answered(7 if outcome == "answered" else 0)


def test_only_what_has_changed_is_named():
    session = Session()
    session.ask([("a", [(0, 5, 1), (1, 5, 1)]), ("b", [(0, 5, 1)])])
    session.answered(7)
    assert session.ask([("a", [(0, 5, 1), (1, 6, 1)])]) == ([("a", [(1, 6, 1)])], [("b", [0])])


def test_epochs_go_on_at_one_after_the_last():
    session = Session()
    session.epoch = (1 << 31) - 1
    session.answered(7)
    assert session.epoch == 1


@asynccontextmanager
async def three_partitions(broker, monkeypatch):
    """A producer, and a consumer of three partitions whose client has sessions."""
    monkeypatch.setattr(consumers, "AIOKafkaClient", SessionClient)
    places = make_topic(broker, unique("sessions"), 3)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer, consumer:
        consumer.assign(places)
        yield producer, consumer, places


async def send(producer, place, value):
    await producer.send_and_wait(place.topic, value, partition=place.partition)


async def read(consumer, wanted):
    """What comes until there are `wanted` records, by partition."""
    found = {}
    while sum(map(len, found.values())) < wanted:
        for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
            found.setdefault(place, []).extend(record.value for record in records)
    return found


async def test_a_broker_is_told_of_a_partition_when_it_has_changed(broker, monkeypatch):
    named = []
    ask = Session.ask

    def spy(session, wanted):
        changed, forgotten = ask(session, wanted)
        named.append((session.epoch, sum(len(partitions) for _, partitions in changed)))
        return changed, forgotten

    monkeypatch.setattr(Session, "ask", spy)
    async with three_partitions(broker, monkeypatch) as (producer, consumer, places):
        for place in places:
            await send(producer, place, b"first")
        await read(consumer, 3)
        await send(producer, places[0], b"alone")
        before = len(named)
        await read(consumer, 1)
        await asyncio.sleep(1)
    epochs = [epoch for epoch, _ in named[before - 1 :]]
    assert epochs == list(range(epochs[0], epochs[0] + len(epochs)))
    assert epochs[0]
    # Once to go on behind what has come, and not again.
    assert sum(count for _, count in named[before:]) == 1


async def test_partitions_that_pause_and_go_on_lose_and_double_nothing(broker, monkeypatch):
    async with three_partitions(broker, monkeypatch) as (producer, consumer, places):
        first, *others = places
        for number in range(20):
            value = b"%d" % number
            consumer.pause(first)
            for place in places:
                await send(producer, place, value)
            assert await read(consumer, 2) == {place: [value] for place in others}
            consumer.resume(first)
            assert await read(consumer, 1) == {first: [value]}


async def test_a_session_that_the_broker_has_forgotten_is_begun_anew(broker, monkeypatch):
    async with three_partitions(broker, monkeypatch) as (producer, consumer, places):
        for number in range(3):
            value = b"%d" % number
            for place in places:
                await send(producer, place, value)
            assert await read(consumer, 3) == {place: [value] for place in places}
            (session,) = consumer._client._sessions.values()
            assert session.id
            if number:
                session.epoch += 7
            else:
                session.id += 1
