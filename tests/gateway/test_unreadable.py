"""What can't be read must not end what goes on for ever."""

import asyncio

import msgspec
from aiokafka import TopicPartition

from gateway import leases, loader
from gateway.leases import Leases
from gateway.metrics import Metrics
from gateway.routes import Routes
from gateway.settings import Settings
from gateway.tail import Tail
from streams.topics import topics
from tests.gateway.conftest import House
from tests.gateway.fakes import until
from tests.gateway.test_races import add
from tests.tables.logs import LogRecord


async def test_a_record_whose_key_is_no_text_is_passed(house: House, group: str):
    rows, taken = house.gateway._rows, []

    def take(partition, key, value, headers):
        rows.take_mailbox(partition, key, value, headers)
        taken.append(key)

    place = TopicPartition("log", 0)
    tail = Tail(Settings().pipeline, {place: take}, rows.failed, lambda: None, Metrics())
    tail._take(place, [LogRecord(0, b"\xff\xfe/m/1", b"{}"), LogRecord(1, b"group:x/m/1", b"{}")])
    assert taken == [b"group:x/m/1"]
    assert tail._positions[place] == 2


def unreadable_once(monkeypatch, name):
    """The next answer of a kind can't be read; returns what is true once it was tried."""
    monkeypatch.setattr(loader, "RETRY_SECONDS", 0.01)
    decode, left = getattr(loader, name), [1]

    def decode_next(raw):
        if left:
            left.pop()
            raise msgspec.ValidationError("something that this release doesn't know")
        return decode(raw)

    monkeypatch.setattr(loader, name, decode_next)
    return lambda: not left


async def test_a_mailbox_is_read_anew_though_an_answer_cannot_be_read(
    house: House, group: str, monkeypatch
):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    tried = unreadable_once(monkeypatch, "decode_facts")
    with house.pipeline.losing():
        house.pipeline.post(group)
    house.pipeline.post(group)
    await until(tried)
    await asyncio.sleep(0.2)
    house.pipeline.post(group)
    await bob.message(group, 3)


async def test_what_a_user_has_is_read_anew_though_an_answer_cannot_be_read(
    house: House, group: str, monkeypatch
):
    house.pipeline.make(group, "alice")
    bob = await house.synced("bob")
    tried = unreadable_once(monkeypatch, "decode_cursors")
    with house.pipeline.losing():
        add(house.pipeline, group, "bob")
    house.gateway._lost()
    await until(tried)
    await bob.expect("joined", mailbox=group)


class Answering:
    """Requests of which each is answered by what the test says."""

    def __init__(self):
        self.asked = 0
        self.answer = b'{"partition":0,"since":1}'

    def address(self):
        return None

    async def ask(self, command, quota=None, partition=None):
        self.asked += 1
        future = asyncio.get_running_loop().create_future()
        future.set_result(msgspec.Raw(self.answer))
        return future


async def test_leases_are_renewed_though_an_answer_cannot_be_read(monkeypatch):
    monkeypatch.setattr(leases, "TICK_SECONDS", 0.01)
    settings = Settings(lease_seconds=30)
    names, requests = topics(settings.pipeline), Answering()
    routes = Routes(None, names, "here", settings.pipeline.partitions, 1.0)

    async def follow(partition):
        pass

    made = Leases(requests, routes, names, "here", settings, follow, lambda: None)
    made._seconds = 0.03
    task = asyncio.create_task(made.run())
    try:
        await asyncio.wait_for(made.held.wait(), 5)
        requests.answer = b'{"partition":0}'
        asked = requests.asked
        await until(lambda: requests.asked > asked)
        await asyncio.sleep(0.05)
        requests.answer = b'{"partition":0,"since":1}'
        asked = requests.asked
        await until(lambda: requests.asked > asked)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
