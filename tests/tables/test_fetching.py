"""Fetched records on a real broker."""

import uuid

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from kafka import KafkaAdminClient

from tables.fetching import fetch_fast
from tables.reader import open_reader


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_records_are_handed_on_with_all_they_carry_and_not_copied(
    broker, monkeypatch, compression
):
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    fetch_fast()
    place = TopicPartition(f"fetched-{uuid.uuid4().hex[:8]}", 0)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics({place.topic: {}})
    admin.close()
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
