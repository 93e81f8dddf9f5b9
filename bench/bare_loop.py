"""The floor: consume, decode, encode, produce, commit, with no state at all.

`python -m bench.bare_loop BOOTSTRAP INPUT OUTPUT`: it takes what is there of each partition at once
and appends it as one batch; the next fetch is decoded while the last appends are on their way.
"""

import asyncio
import sys
from typing import Any

import msgspec
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

BATCH_BYTES = 1024 * 1024 - 1024
RECORDS_AT_ONCE = 4_000
ROUNDS_IN_FLIGHT = 2


class Send(msgspec.Struct, tag="send", tag_field="type"):
    mailbox: str
    by: str
    id: str
    body: msgspec.Raw


class Other(msgspec.Struct, tag_field="type"):
    """A command that is no message; it gives no row."""


class Create(Other, tag="create"):
    pass


class Join(Other, tag="join"):
    pass


decode = msgspec.json.Decoder(Send | Create | Join).decode


def row(record: ConsumerRecord) -> tuple[bytes, bytes] | None:
    """The row of a message, its offset in place of a seq."""
    command = decode(record.value)
    if isinstance(command, Other):
        return None
    return f"{command.mailbox}/m/{record.offset:016x}".encode(), orjson.dumps(
        {
            "at": [record.offset, 0],
            "seq": record.offset,
            "id": command.id,
            "from": command.by,
            "ts": record.timestamp,
            "body": orjson.Fragment(bytes(command.body)),
        }
    )


async def append(
    producer: AIOKafkaProducer, output: str, partition: int, records: list[ConsumerRecord]
) -> list[asyncio.Future[Any]]:
    """Send the records' rows; a new batch is begun where one is full."""
    sent = []
    batch = producer.create_batch()
    for key, value in filter(None, map(row, records)):
        if batch.append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, output, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, output, partition=partition))
    return sent


async def loop(bootstrap: str, source: str, output: str) -> None:
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id="bare-loop",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES)
    async with consumer, producer:
        rounds: list[tuple[list[asyncio.Future[Any]], dict[TopicPartition, int]]] = []
        while True:
            fetched = await consumer.getmany(timeout_ms=100, max_records=RECORDS_AT_ONCE)
            sent, offsets = [], {}
            for partition, records in fetched.items():
                sent += await append(producer, output, partition.partition, records)
                offsets[partition] = records[-1].offset + 1
            rounds.append((sent, offsets))
            if len(rounds) >= ROUNDS_IN_FLIGHT or not fetched:
                sent, offsets = rounds.pop(0)
                await asyncio.gather(*sent)
                if offsets:
                    await consumer.commit(offsets)


if __name__ == "__main__":
    uvloop.run(loop(*sys.argv[1:4]))
