"""Kills parts at random moments and starts them again."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Mapping
from typing import NamedTuple

from kafka.errors import KafkaError

from tests.faults.evidence import Run
from tests.processes import Broker, Process, System, Worker
from tests.records import Kafka

WATCH_SECONDS = 90


class Fault(NamedTuple):
    """One kill: what, which of its kind, after how long, and how long it stays dead (s)."""

    kind: str
    which: int
    after: float
    down: float


def plan(rng: random.Random, counts: Mapping[str, int], pause: tuple[float, float]) -> list[Fault]:
    """Kills in random order at random moments, each of a kind hitting either of two."""
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    return [
        Fault(kind, rng.randrange(2), rng.uniform(*pause), rng.uniform(0.2, 3.0)) for kind in kinds
    ]


class Chaos:
    """Carries out a plan, and measures how long workers take to come back."""

    def __init__(self, broker: Broker, system: System, evidence: Run) -> None:
        self._broker = broker
        self._system = system
        self._evidence = evidence
        self._disturbed: list[float] = []
        self._watches: list[asyncio.Task[None]] = []
        self._down: set[Process] = set()
        self._starting: dict[Worker, float] = {}
        self._broker_back = 0.0

    async def carry_out(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after)
        victim = self._victim(fault)
        self._down.add(victim)
        if victim is self._broker:
            self._broker_back = math.inf
        await asyncio.to_thread(victim.kill)
        self._evidence.counts[f"kills of a {fault.kind}"] += 1
        self._disturb(fault)
        await asyncio.sleep(fault.down)
        await asyncio.to_thread(victim.start)
        self._down.remove(victim)
        self._disturb(fault)
        if victim is self._broker:
            self._broker_back = time.monotonic()
        if isinstance(victim, Worker):
            self._follow(victim)

    def _victim(self, fault: Fault) -> Process:
        if fault.kind == "broker":
            return self._broker
        pair = self._system.workers if fault.kind == "worker" else self._system.gateways
        return pair[fault.which]

    def _disturb(self, fault: Fault) -> None:
        if fault.kind != "gateway":
            self._disturbed.append(time.monotonic())

    async def settle(self) -> None:
        """Wait until every restarted worker decides again, or has had its time."""
        for watch in self._watches:
            await watch

    async def supervise(self) -> None:
        """Start again what ended by itself, as a supervisor would, and note it."""
        while True:
            for process in (*self._system.workers, *self._system.gateways):
                if not process.running and process not in self._down:
                    self._start_again(process)
            await asyncio.sleep(0.5)

    def _start_again(self, process: Process) -> None:
        # A worker that finds no broker at its start ends; one that was at work does not.
        if self._starting.get(process, math.inf) < self._broker_back:
            self._evidence.counts["starts without a broker"] += 1
        else:
            self._evidence.problems.append(f"{process.name} ended: {process.tail(5)}")
        process.start()
        if isinstance(process, Worker):
            self._follow(process)

    def _follow(self, worker: Worker) -> None:
        """Measure how long it takes until it decides."""
        self._starting[worker] = time.monotonic()
        self._watches.append(asyncio.create_task(self._watch(worker)))

    async def _watch(self, worker: Worker) -> None:
        back = await asyncio.to_thread(self._wait_back, worker)
        if back is not None:
            self._starting.pop(worker, None)
            start = max(at for at in self._disturbed if at <= back)
            self._evidence.back_seconds.append(back - start)

    def _wait_back(self, worker: Worker) -> float | None:
        """When the worker's own partitions decided again; None if it was killed meanwhile."""
        incarnation, until = worker.client_id, time.monotonic() + WATCH_SECONDS
        with contextlib.closing(Kafka(self._system.bootstrap, self._system.app_id)) as kafka:
            while worker.client_id == incarnation and worker.running:
                if time.monotonic() > until:
                    problem = f"{worker.name} did not come back in {WATCH_SECONDS} s"
                    self._evidence.problems.append(problem)
                    return None
                # The broker may be down just now.
                with contextlib.suppress(KafkaError, AssertionError):
                    if decides(kafka, worker):
                        return time.monotonic()
                time.sleep(0.2)
        return None


def decides(kafka: Kafka, worker: Worker) -> bool:
    """Whether a worker has partitions, its dead predecessor has none, and they answer."""
    assignment = kafka.assignment()
    mine = assignment.pop(worker.client_id, None)
    if mine is None or not mine.commands:
        return False
    if any(client_id.startswith(f"{worker.name}.") for client_id in assignment):
        return False
    kafka.asker.probe(sorted(mine.commands), within=5)
    return True
