"""Producers that write straight to Kafka, in threads of their own."""

import contextlib
import itertools
import random
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from kafka.errors import KafkaError

from tests.faults.evidence import Evidence, Run, Sent
from tests.records import Kafka, new_id

FLUSH_SECONDS = 120
SEND_AGAIN = 0.05
CHURN = 0.05

OnStored = Callable[[], None]


def nothing() -> None:
    """For commands of which nobody has to know that they are stored."""


class Writer(threading.Thread):
    """Writes mailbox commands at a steady rate, each until Kafka has it."""

    def __init__(
        self, kafka: Kafka, user: str, rate: float, problems: Run, rng: random.Random
    ) -> None:
        super().__init__(name=user, daemon=True)
        self.user = user
        self.rng = rng
        self._interval = 1 / rate
        self._problems = problems
        self._kafka = kafka
        self._topic = kafka.topic("mailbox-commands")
        self._ended = threading.Event()
        self._pending: list[tuple[OnStored, dict[str, Any], Any]] = []

    def end(self) -> None:
        """Send nothing new; the thread ends once Kafka has everything."""
        self._ended.set()

    @abstractmethod
    def step(self, number: int) -> None:
        """Write what comes next."""

    def run(self) -> None:
        with contextlib.closing(self._kafka.new_producer()) as self._producer:
            for number in itertools.count(1):
                if self._ended.wait(self._interval * self.rng.uniform(0.5, 1.5)):
                    break
                self.step(number)
            self._settle()

    def write(self, command: dict[str, Any], on_stored: OnStored = nothing) -> None:
        key, value = command["mailbox"].encode(), orjson.dumps(command)
        sent = self._producer.send(self._topic, key=key, value=value)
        self._pending.append((on_stored, command, sent))

    def _settle(self) -> None:
        """Wait for all acks; what failed goes again under the same id."""
        until = time.monotonic() + FLUSH_SECONDS
        while self._pending and time.monotonic() < until:
            pending, self._pending = self._pending, []
            for on_stored, command, future in pending:
                try:
                    future.get(timeout=max(1.0, until - time.monotonic()))
                except KafkaError:
                    self.write(command, on_stored)
                else:
                    on_stored()
        if self._pending:
            self._problems.problems.append(f"{self.user}: {len(self._pending)} never stored")


class Producer(Writer):
    """Sends messages to groups, some twice; has visitors join and leave meanwhile."""

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
        super().__init__(kafka, user, rate, evidence, rng)
        self._groups = groups
        self._visitors = visitors
        self._evidence = evidence

    def step(self, number: int) -> None:
        self._send_new(number)
        if self.rng.random() < CHURN:
            self._churn()

    def _send_new(self, number: int) -> None:
        sent = Sent(self.rng.choice(self._groups), new_id(), self.user, {"n": number})
        self._evidence.sent[sent.id] = sent
        command = {
            "type": "send",
            "mailbox": sent.mailbox,
            "by": sent.sender,
            "id": sent.id,
            "body": sent.body,
        }

        def on_stored() -> None:
            sent.acknowledged = True

        self.write(command, on_stored)
        if self.rng.random() < SEND_AGAIN:
            self._evidence.counts["deliberate retries"] += 1
            self.write(command, on_stored)

    def _churn(self) -> None:
        self.write(
            {
                "type": self.rng.choice(["join", "leave"]),
                "mailbox": self.rng.choice(self._groups),
                "by": "system",
                "id": new_id(),
                "members": self.rng.sample(self._visitors, 2),
            }
        )
