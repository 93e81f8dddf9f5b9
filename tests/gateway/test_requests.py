import asyncio
import json

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from gateway.answers import Reply
from gateway.limits import Quota
from gateway.requests import Requests
from gateway.settings import Settings
from streams.commands import Query, Read, Send
from streams.errors import Code, Refused
from streams.partitioning import partition_of
from streams.topics import topics
from tables.rows import Cursor, Position
from tests.gateway.fakes import message

INSTANCE = "0123456789abcdef0123456789abcdef"


class FakeProducer:
    def __init__(self) -> None:
        self.sent: list[tuple[str, dict, bytes, int]] = []
        self.delivery: asyncio.Future = asyncio.get_running_loop().create_future()

    def send(self, topic, value, key, partition):
        self.sent.append((topic, json.loads(value), key, partition))
        return self.delivery


def make(**values):
    settings = Settings(**values)
    producer = FakeProducer()
    return Requests(producer, topics(settings.pipeline), INSTANCE, settings), producer


def send(requests, seq=1):
    return Send(
        mailbox="group:42", by="alice", reply=requests.address(), id=message(seq).id,
        body=msgspec.Raw(b"1"),
    )  # fmt: skip


def query(requests):
    return Query(mailbox="group:42", by="alice", reply=requests.address(), what="facts")


def test_partitions_are_those_of_kafkas_default_partitioner():
    # From Kafka's own UtilsTest: murmur2("21") = -973932308, murmur2("foobar") = -790332482.
    assert partition_of("21", 1 << 31) == -973932308 & 0x7FFFFFFF
    assert partition_of("foobar", 1 << 31) == -790332482 & 0x7FFFFFFF


async def test_a_command_goes_to_the_partition_of_its_key_with_an_address():
    requests, producer = make()
    await requests.ask(query(requests))
    topic, value, key, partition = producer.sent[0]
    assert (topic, key) == ("readcast-mailbox-commands", b"group:42")
    assert partition == partition_of("group:42", 8)
    assert value["type"] == "query"
    assert value["reply"] == {"to": INSTANCE, "partition": partition_of(INSTANCE, 8), "ref": 1}


async def test_a_query_is_answered_by_its_reply():
    requests, _ = make()
    command = query(requests)
    future = await requests.ask(command)
    requests.take_reply(Reply(ref=99, result=msgspec.Raw(b"0")))
    assert not future.done()
    requests.take_reply(Reply(ref=command.reply.ref, result=msgspec.Raw(b"1")))
    assert bytes(future.result()) == b"1"
    assert len(requests) == 0


async def test_a_send_is_answered_by_its_row_and_no_other():
    requests, _ = make()
    future = await requests.ask(send(requests, seq=5))
    assert requests.awaits("group:42")
    requests.take_message("group:42", message(4))
    requests.take_message("group:42", message(5, sender="bob"))
    requests.take_message("group:43", message(5))
    assert not future.done()
    requests.take_message("group:42", message(5))
    assert future.result().seq == 5
    assert not requests.awaits("group:42")


async def test_the_same_send_twice_is_answered_twice():
    requests, _ = make()
    futures = [await requests.ask(send(requests)) for _ in range(2)]
    requests.take_message("group:42", message(1))
    assert all(future.done() for future in futures)


async def test_a_moved_cursor_is_answered_by_its_row():
    requests, _ = make()
    read = Read(user="alice", by="alice", reply=requests.address(), mailbox="group:42", seq=5)
    future = await requests.ask(read)
    requests.take_cursor("alice", "group:42", Cursor(at=Position(1, 0), read=4))
    assert not future.done()
    requests.take_cursor("alice", "group:42", Cursor(at=Position(2, 0), read=6))
    assert future.result().read == 6


async def test_what_gets_no_answer_is_unavailable_and_safe_to_repeat():
    requests, _ = make(request_seconds=0.02)
    future = await requests.ask(send(requests))
    await asyncio.sleep(0.03)
    requests.expire()
    refusal = future.result()
    assert refusal.code is Code.UNAVAILABLE
    assert refusal.code.retriable
    assert not requests.awaits("group:42")


async def test_a_command_that_kafka_does_not_take_is_unavailable():
    requests, producer = make()
    future = await requests.ask(query(requests))
    producer.delivery.set_exception(KafkaConnectionError())
    await asyncio.sleep(0)
    assert future.result().code is Code.UNAVAILABLE


async def test_pending_requests_are_bounded_per_session_and_in_all():
    requests, _ = make(requests=2)
    quota = Quota(1)
    command = query(requests)
    await requests.ask(command, quota)
    with pytest.raises(Refused) as caught:
        await requests.ask(query(requests), quota)
    assert caught.value.code is Code.RATE_LIMITED
    await requests.ask(query(requests))
    with pytest.raises(Refused) as caught:
        await requests.ask(query(requests))
    assert caught.value.code is Code.UNAVAILABLE
    requests.take_reply(Reply(ref=command.reply.ref, result=msgspec.Raw(b"1")))
    await requests.ask(query(requests), quota)
