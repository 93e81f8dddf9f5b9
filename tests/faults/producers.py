"""Producers that write straight to Kafka, in threads of their own."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import orjson
from kafka.errors import KafkaError

from tests.faults.evidence import Evidence, Sent
from tests.records import Kafka, new_id

FLUSH_SECONDS = 120
SEND_AGAIN = 0.05
CHURN = 0.05


class Producer(threading.Thread):
    """Sends messages at a steady rate, some twice; has visitors join and leave meanwhile."""

    def __init__(
        self,
        kafka: Kafka,
        user: str,
        groups: Sequence[str],
        visitors: Sequence[str],
        rate: float,
        evidence: Evidence,
        rng: random.Random,
    ) -> None:
        super().__init__(name=user, daemon=True)
        self.user = user
        self._groups = groups
        self._visitors = visitors
        self._interval = 1 / rate
        self._evidence = evidence
        self._rng = rng
        self._kafka = kafka
        self._topic = kafka.topic("mailbox-commands")
        self._ended = threading.Event()
        self._pending: list[tuple[Sent | None, dict[str, Any], Any]] = []

    def end(self) -> None:
        """Send nothing new; the thread ends once Kafka has everything."""
        self._ended.set()

    def run(self) -> None:
        with contextlib.closing(self._kafka.new_producer()) as self._producer:
            for number in itertools.count(1):
                if self._ended.wait(self._interval * self._rng.uniform(0.5, 1.5)):
                    break
                self._send_new(number)
                if self._rng.random() < CHURN:
                    self._churn()
            self._settle()

    def _send_new(self, number: int) -> None:
        sent = Sent(self._rng.choice(self._groups), new_id(), self.user, {"n": number})
        self._evidence.sent[sent.id] = sent
        command = {
            "type": "send",
            "mailbox": sent.mailbox,
            "by": sent.sender,
            "id": sent.id,
            "body": sent.body,
        }
        self._write(sent, command)
        if self._rng.random() < SEND_AGAIN:
            self._evidence.counts["deliberate retries"] += 1
            self._write(sent, command)

    def _churn(self) -> None:
        command = {
            "type": self._rng.choice(["join", "leave"]),
            "mailbox": self._rng.choice(self._groups),
            "by": "system",
            "id": new_id(),
            "members": self._rng.sample(self._visitors, 2),
        }
        self._write(None, command)

    def _write(self, sent: Sent | None, command: dict[str, Any]) -> None:
        key, value = command["mailbox"].encode(), orjson.dumps(command)
        self._pending.append(
            (sent, command, self._producer.send(self._topic, key=key, value=value))
        )

    def _settle(self) -> None:
        """Wait for all acks; what failed goes again under the same id."""
        until = time.monotonic() + FLUSH_SECONDS
        while self._pending and time.monotonic() < until:
            pending, self._pending = self._pending, []
            for sent, command, future in pending:
                try:
                    future.get(timeout=max(1.0, until - time.monotonic()))
                except KafkaError:
                    self._write(sent, command)
                else:
                    if sent is not None:
                        sent.acknowledged = True
        if self._pending:
            self._evidence.problems.append(f"{self.user}: {len(self._pending)} never stored")
