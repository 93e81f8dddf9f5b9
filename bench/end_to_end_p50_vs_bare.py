"""p50 from a WebSocket client's send to each other client's receipt, against Kafka alone.

500 messages/s over 50 groups of 10 listeners and one sender each, through gateway and worker; the
peer is an aiokafka producer (linger 0) and a consumer on the same broker, at the same rate.
"""

import asyncio
import statistics
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgspec
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.progress import Progress

from bench.backlog import body, group, opening, send
from bench.broker import Broker, broker
from bench.figures import Figure
from bench.latencies import Latencies
from bench.readcast import make_topics, ready_gateway, ready_worker, token
from bench.topics import PARTITIONS

GROUPS = 50
LISTENERS = 10
ROUNDS = 2
CONNECTED_AT_ONCE = 20
PEER_TOPIC = "bare-latency"


class Event(msgspec.Struct):
    """What is looked at in a server's event; the rest is skipped."""

    op: str
    id: str = ""
    code: str = ""
    message: str = ""


decode_events = msgspec.json.Decoder(list[Event]).decode


class RefusedError(Exception):
    """The gateway answered a request with an error."""


def measure(progress: Progress) -> Figure:
    task = progress.add_task("end to end, bare", total=2 * ROUNDS)
    through, bare = [], []
    with broker() as fresh:
        make_topics(fresh)
        fresh.topics.create(PEER_TOPIC)
        asyncio.run(send(fresh.bootstrap, openings()))
        with ready_worker(fresh), ready_gateway(fresh) as (_, port):
            for _ in range(ROUNDS):
                through.append(uvloop.run(end_to_end(port)))
                progress.advance(task)
                bare.append(uvloop.run(produce_and_consume(fresh)))
                progress.advance(task)
    return figure(through, bare)


def figure(through: list[Latencies], bare: list[Latencies]) -> Figure:
    def median(runs: list[Latencies], percent: int) -> float:
        return statistics.median(run.percentile(percent) for run in runs)

    return Figure(
        median(through, 50),
        "ms",
        median(bare, 50),
        {"peer_name": "bare aiokafka", "p99": median(through, 99), "peer_p99": median(bare, 99)},
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
    async with clients(port) as (senders, listeners), asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(listen(socket, latencies)) for socket in listeners]
        readers += [tasks.create_task(drain(socket)) for socket in senders]

        async def send_next(number: int) -> None:
            message = str(uuid.uuid4())
            frame = request("send", number % GROUPS, id=message, body=body(number))
            latencies.sending(message)
            await senders[number % GROUPS].send_str(frame)

        await latencies.measure(send_next)
        for reader in readers:
            reader.cancel()
    return latencies


@asynccontextmanager
async def clients(port: int) -> AsyncIterator[tuple[list, list]]:
    """The groups' senders, in order, and all listeners, each watching its group."""
    at_once = asyncio.Semaphore(CONNECTED_AT_ONCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, AsyncExitStack() as stack:

        async def connect(number: int, member: int) -> aiohttp.ClientWebSocketResponse:
            async with at_once:
                socket = await session.ws_connect(f"ws://127.0.0.1:{port}/ws")
                stack.push_async_callback(socket.close)
                hello = orjson.dumps({"op": "hello", "token": token(f"{prefix(number)}{member}")})
                await ask(socket, hello.decode(), "welcome")
                mode = "live" if member else "off"
                await ask(socket, request("watch", number, mode=mode), "watching")
                return socket

        senders = await asyncio.gather(*(connect(number, 0) for number in range(GROUPS)))
        listeners = await asyncio.gather(
            *(connect(n, member) for n in range(GROUPS) for member in range(1, LISTENERS + 1))
        )
        yield senders, listeners


def request(op: str, number: int, **fields: object) -> str:
    return orjson.dumps({"op": op, "mailbox": group(number), **fields}).decode()


async def ask(socket: aiohttp.ClientWebSocketResponse, frame: str, answer: str) -> None:
    """Send a request and wait for its answer."""
    await socket.send_str(frame)
    async with asyncio.timeout(10):
        while True:
            for event in decode_events(await socket.receive_str()):
                if event.op == "error":
                    raise RefusedError(f"{frame}: {event.code}: {event.message}")
                if event.op == answer:
                    return


async def listen(socket: aiohttp.ClientWebSocketResponse, latencies: Latencies) -> None:
    async for frame in socket:
        for event in decode_events(frame.data):
            if event.op == "message":
                latencies.received(event.id)


async def drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Read receipts; a refusal ends the run."""
    async for frame in socket:
        for event in decode_events(frame.data):
            if event.op == "error":
                raise RefusedError(f"{event.code}: {event.message}")


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
