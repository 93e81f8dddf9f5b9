"""5,000 listeners of one group at one gateway process, and as many sockets of a C loop of `send`.

Both have the same reader, a C program. They take turns, so that both have the same machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import orjson
from kafka import KafkaProducer

from bench.backlog import BODY_BYTES, command, group, opening, send
from bench.broker import broker
from bench.processes import free_port
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.sockets import MARK, Sockets, Span, build, floor, readers, watching
from bench.topics import COMMANDS

LISTENERS = 5_000
FRAME_BYTES = 360
"""Bytes of a frame with one message, about."""

MAILBOX = group(0)


class Fanout:
    """Messages to all listeners, through Readcast or by the floor."""

    def __init__(self, bootstrap: str, listeners: Sockets, sender: Sockets, peers: Sockets) -> None:
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=0)
        self._listeners = listeners
        self._sender = sender
        self._peers = peers

    def publish(self, messages: int) -> list[Span]:
        """Send to the group as fast as Kafka takes it; when each message had arrived, from first to last."""
        for _ in range(messages):
            self._producer.send(COMMANDS, orjson.dumps(_message()), MAILBOX.encode())
        return [self._listeners.span() for _ in range(messages)]

    def publish_alone(self) -> tuple[Span, Span]:
        """Send one message; from before it is sent to its last arrival, and from its first arrival to the last."""
        begin = time.monotonic()
        arrived = self.publish(1)[0]
        return Span(begin, arrived.end), arrived

    def loop(self, messages: int) -> list[Span]:
        """The same by the floor; each from its first arrival to its last."""
        self._sender.write(str(messages))
        spans = [self._peers.span() for _ in range(messages)]
        self._sender.span()
        return spans


@contextmanager
def fanout() -> Iterator[Fanout]:
    """Everything that it takes, all listeners connected."""
    build()
    with broker() as fresh, ExitStack() as stack:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, opening(MAILBOX, 1 + LISTENERS)))
        stack.enter_context(ready_worker(fresh))
        _, port = stack.enter_context(ready_gateway(fresh))
        floor_port = free_port()
        openings = (watching(f"u{number}", MAILBOX) for number in range(1, 1 + LISTENERS))
        listeners = stack.enter_context(readers(port, openings, fresh.folder))
        listeners.wait_open()
        sender = stack.enter_context(floor(floor_port, LISTENERS, FRAME_BYTES))
        time.sleep(0.5)
        peers = stack.enter_context(readers(floor_port, [b"hello"] * LISTENERS, fresh.folder))
        peers.wait_open()
        sender.wait_open()
        yield Fanout(fresh.bootstrap, listeners, sender, peers)


def _message() -> dict:
    return command("send", MAILBOX, "u0", body={"text": MARK.ljust(BODY_BYTES, ".")})
