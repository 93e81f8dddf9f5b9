"""The commands of a run, loaded as fast as the broker takes them.

`python -m bench.backlog --help`: groups are made and joined first, then messages go to the groups
in turn, and at the end each group's first message is sent again, which no reader may see twice.
"""

import argparse
import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from bench.broker import Broker
from bench.paths import PYTHON
from bench.processes import run
from bench.topics import COMMANDS, PARTITIONS

BATCH_BYTES = 64 * 1024
BODY_BYTES = 200
UNLIMITED = {"mailbox_rate": [1_000_000, 1_000_000], "member_rate": [1_000_000, 1_000_000]}
JOINED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What to load."""

    messages: int = 300_000
    groups: int = 100
    members: int = 10

    @property
    def resent(self) -> int:
        return min(self.groups, self.messages)


def load(broker: Broker, backlog: Backlog) -> None:
    """Load it from a process of its own, and wait for its end."""
    counts = {
        "--messages": backlog.messages,
        "--groups": backlog.groups,
        "--members": backlog.members,
    }
    arguments = [str(part) for pair in counts.items() for part in pair]
    run(
        [PYTHON, "-m", "bench.backlog", "--bootstrap", broker.bootstrap, *arguments],
        broker.folder / "backlog.log",
    )


def group(number: int) -> str:
    return f"group:{number}"


def opening(mailbox: str, members: int, prefix: str = "u") -> Iterator[dict]:
    """Create a group of u0 and let u1... join, up to `members` in all, under the prefix."""
    owner = f"{prefix}0"
    yield command("create", mailbox, owner, policy=UNLIMITED)
    for first in range(1, members, JOINED_AT_ONCE):
        names = [f"{prefix}{n}" for n in range(first, min(first + JOINED_AT_ONCE, members))]
        yield command("join", mailbox, owner, members=names)


def command(kind: str, mailbox: str, by: str, **fields: object) -> dict:
    return {"type": kind, "mailbox": mailbox, "by": by, "id": str(uuid.uuid4()), **fields}


def messages(backlog: Backlog) -> Iterator[dict]:
    """The messages and, after them, those that are sent again."""
    first = []
    for number in range(backlog.messages):
        mailbox, by = (
            group(number % backlog.groups),
            f"u{number // backlog.groups % backlog.members}",
        )
        message = command("send", mailbox, by, body=body(number))
        if number < backlog.groups:
            first.append(message)
        yield message
    yield from first


def body(number: int) -> dict:
    """A body of BODY_BYTES as JSON."""
    empty = len(orjson.dumps({"text": ""}))
    return {"text": f"message {number} ".ljust(BODY_BYTES - empty, ".")}


def commands(backlog: Backlog) -> Iterator[dict]:
    for number in range(backlog.groups):
        yield from opening(group(number), backlog.members)
    yield from messages(backlog)


def partition_of(mailbox: str) -> int:
    """Kafka's default partitioner."""
    return (murmur2(mailbox.encode()) & 0x7FFFFFFF) % PARTITIONS


async def send(
    bootstrap: str, records: Iterator[dict], topic: str = COMMANDS, key: str = "mailbox"
) -> None:
    """Append commands to their topic, in order within each partition; `key` names the field that is the key."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES
    ) as producer:
        open_batches = {number: producer.create_batch() for number in range(PARTITIONS)}
        for record in records:
            number = partition_of(record[key])
            entry = {
                "key": record[key].encode(),
                "value": orjson.dumps(record),
                "timestamp": None,
            }
            if open_batches[number].append(**entry) is None:
                await producer.send_batch(open_batches[number], topic, partition=number)
                open_batches[number] = producer.create_batch()
                open_batches[number].append(**entry)
        for number, batch in open_batches.items():
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=number)
        await producer.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.backlog", description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--messages", type=int, default=Backlog().messages)
    parser.add_argument("--groups", type=int, default=Backlog().groups)
    parser.add_argument("--members", type=int, default=Backlog().members)
    arguments = parser.parse_args()
    backlog = Backlog(arguments.messages, arguments.groups, arguments.members)
    asyncio.run(send(arguments.bootstrap, commands(backlog)))


if __name__ == "__main__":
    main()
