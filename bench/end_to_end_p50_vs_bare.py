"""p50 from a WebSocket client's send to each other client's receipt, against Kafka alone.

500 messages/s over 50 groups of 10 listeners and one sender each, through gateway and worker; the
peer is an aiokafka producer (linger 0) and a consumer on the same broker, at the same rate. Beside them
the same clients take the same path with nothing on it (`bare_path`): how near to the peer it can come.
"""

import asyncio
import statistics
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.progress import Progress

from bench.backlog import body, group, opening, send
from bench.bare_path import bare_path
from bench.broker import Broker, broker
from bench.chat import Client, Listener
from bench.figures import Figure
from bench.latencies import Latencies
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.topics import PARTITIONS

GROUPS = 50
LISTENERS = 10
ROUNDS = 3
PEER_TOPIC = "bare-latency"


def measure(progress: Progress) -> Figure:
    task = progress.add_task("end to end, bare", total=3 * (1 + ROUNDS))
    through, path, bare = [], [], []
    with broker() as fresh:
        make_topics(fresh)
        fresh.topics.create(PEER_TOPIC)
        asyncio.run(send(fresh.bootstrap, openings()))
        with (
            ready_worker(fresh),
            ready_gateway(fresh) as (_, port),
            bare_path(fresh) as path_port,
        ):
            for _ in range(1 + ROUNDS):
                for runs, measured in (
                    (through, end_to_end(port)),
                    (path, end_to_end(path_port)),
                    (bare, produce_and_consume(fresh)),
                ):
                    runs.append(uvloop.run(measured))
                    progress.advance(task)
    # The first ones are the broker's: it compiles what it runs, which takes half a core meanwhile.
    return figure(through[1:], path[1:], bare[1:])


def figure(through: list[Latencies], path: list[Latencies], bare: list[Latencies]) -> Figure:
    def median(runs: list[Latencies], percent: int) -> float:
        return statistics.median(run.percentile(percent) for run in runs)

    return Figure(
        median(through, 50),
        "ms",
        median(bare, 50),
        {
            "peer_name": "bare aiokafka",
            "p99": median(through, 99),
            "peer_p99": median(bare, 99),
            "bare_path": median(path, 50),
        },
    )


def openings() -> Iterator[dict]:
    """Each group has users of its own: number 0 sends, the others listen."""
    for number in range(GROUPS):
        yield from opening(group(number), 1 + LISTENERS, prefix(number))


def prefix(number: int) -> str:
    return f"g{number}u"


async def end_to_end(port: int) -> Latencies:
    """All clients in this process: they share its clock."""
    latencies = Latencies(receivers=LISTENERS)
    async with clients(port, latencies) as senders:

        async def send_next(number: int) -> None:
            message, mailbox = str(uuid.uuid4()), group(number % GROUPS)
            latencies.sending(message)
            senders[number % GROUPS].post("send", mailbox=mailbox, id=message, body=body(number))

        await latencies.measure(send_next)
    return latencies


@asynccontextmanager
async def clients(port: int, latencies: Latencies) -> AsyncIterator[list[Client]]:
    """The groups' senders, in order, while all listeners watch their groups."""
    senders = [Client() for _ in range(GROUPS)]
    listeners = [Listener(latencies.received) for _ in range(GROUPS * LISTENERS)]
    for number, sender in enumerate(senders):
        await sender.enter(port, f"{prefix(number)}0")
        await sender.ask("watching", "watch", mailbox=group(number), mode="off")
    for place, listener in enumerate(listeners):
        number, member = divmod(place, LISTENERS)
        await listener.enter(port, f"{prefix(number)}{member + 1}")
        await listener.ask("watching", "watch", mailbox=group(number))
    yield senders
    for client in (*senders, *listeners):
        client.leave()


async def produce_and_consume(fresh: Broker) -> Latencies:
    latencies = Latencies(receivers=1)
    producer = AIOKafkaProducer(bootstrap_servers=fresh.bootstrap, acks="all", linger_ms=0)
    consumer = AIOKafkaConsumer(bootstrap_servers=fresh.bootstrap)
    async with producer, consumer, asyncio.TaskGroup() as tasks:
        consumer.assign([TopicPartition(PEER_TOPIC, number) for number in range(PARTITIONS)])
        await consumer.seek_to_end()
        reader = tasks.create_task(consume(consumer, latencies))

        async def send_next(number: int) -> None:
            message = str(uuid.uuid4())
            value = orjson.dumps({"id": message, "body": body(number)})
            latencies.sending(message)
            await producer.send(PEER_TOPIC, value, key=group(number % GROUPS).encode())

        await latencies.measure(send_next)
        reader.cancel()
    return latencies


async def consume(consumer: AIOKafkaConsumer, latencies: Latencies) -> None:
    async for record in consumer:
        latencies.received(orjson.loads(record.value)["id"])
