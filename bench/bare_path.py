"""The path of a message with nothing on it: socket, Kafka, a copy, Kafka, sockets.

`python -m bench.bare_path copy BOOTSTRAP` copies commands to a log; `python -m bench.bare_path relay BOOTSTRAP PORT`
speaks as much of the gateway's protocol as the clients of `end_to_end_p50_vs_bare` need. No rules, no
tables, no Faust, no resume: what is left of the latency is Kafka's and aiokafka's.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import orjson
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.broker import Broker
from bench.paths import PYTHON
from bench.processes import Process, free_port, listens
from bench.raw_socket import HOST
from bench.topics import PARTITIONS
from gateway.codecs import Json
from gateway.forms import Form

COMMANDS = "bare-path-commands"
LOG = "bare-path-log"
READY_SECONDS = 30
FORM = Form(Json(), window=0)


@contextmanager
def bare_path(fresh: Broker) -> Iterator[int]:
    """Both parts at work, each a process; the port for clients."""
    port = free_port()
    with ExitStack() as parts:
        for topic in (COMMANDS, LOG):
            fresh.topics.create(topic)
        for part in (["copy", fresh.bootstrap], ["relay", fresh.bootstrap, str(port)]):
            command = [PYTHON, "-m", "bench.bare_path", *part]
            process = parts.enter_context(Process(command, fresh.folder / f"bare-{part[0]}.log"))
        process.wait_until(lambda: listens(port), READY_SECONDS)
        yield port


async def copy(bootstrap: str) -> None:
    """Append what is there of each partition at once, as a worker does."""
    async with producing(bootstrap) as producer, reading(bootstrap, COMMANDS) as consumer:
        while True:
            for partition, records in (await consumer.getmany(timeout_ms=1_000)).items():
                batch = producer.create_batch()
                for record in records:
                    batch.append(key=record.key, value=record.value, timestamp=None)
                await producer.send_batch(batch, LOG, partition=partition.partition)


async def relay(bootstrap: str, port: int) -> None:
    """Produce what clients send, and write what the log brings to all who watch."""
    watching: defaultdict[bytes, set[asyncio.Transport]] = defaultdict(set)
    async with producing(bootstrap) as producer, reading(bootstrap, LOG) as consumer:

        async def attend(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(compress=False)
            await socket.prepare(request)
            async for message in socket:
                frame = orjson.loads(message.data)
                if frame["op"] == "send":
                    value = orjson.dumps({"id": frame["id"], "body": frame["body"]})
                    await producer.send(COMMANDS, value, key=frame["mailbox"].encode())
                elif frame["op"] == "watch":
                    if frame.get("mode") != "off":
                        watching[frame["mailbox"].encode()].add(request.transport)
                    await socket.send_str('[{"op":"watching"}]')
                else:
                    await socket.send_str('[{"op":"welcome"}]')
            for transports in watching.values():
                transports.discard(request.transport)
            return socket

        app = web.Application()
        app.router.add_get("/ws", attend)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        async for record in consumer:
            (frame,) = FORM.frames([b'{"op":"message",' + record.value[1:]])
            for transport in watching[record.key]:
                if not transport.is_closing():
                    transport.write(frame)


def producing(bootstrap: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)


def reading(bootstrap: str, topic: str) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    return consumer


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    if part == "copy":
        uvloop.run(copy(*arguments))
    else:
        uvloop.run(relay(arguments[0], int(arguments[1])))
