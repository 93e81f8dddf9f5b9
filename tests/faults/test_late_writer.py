"""A worker that sleeps through the loss of its partitions and writes on when it wakes."""

import asyncio
from pathlib import Path

from tests.faults import rebuilt
from tests.faults.chaos import decides
from tests.faults.scenario import Chat
from tests.processes import System, Worker, running
from tests.records import Kafka
from tests.waiting import eventually

SEED = 12
RATE = 150


def test_a_worker_that_wakes_up_late_changes_nothing(broker: str, tmp_path: Path):
    with running(broker, tmp_path, workers=2, gateways=2) as system:
        load = Chat(system, SEED, RATE)
        report = asyncio.run(freeze_under_load(load, system))
        report.findings.append(rebuilt.compare(system))
    assert report.clean, f"{report}\n{dict(load.evidence.counts)}"


async def freeze_under_load(load: Chat, system: System):
    async with load.running():
        for sleeper in system.workers:
            await asyncio.to_thread(freeze, sleeper, system.kafka)
    return await load.check()


def freeze(sleeper: Worker, kafka: Kafka) -> None:
    """Stop a worker in the middle of its work until the other one decides everything."""
    eventually(lambda: decides(kafka, sleeper), "the worker has partitions")
    sleeper.freeze()
    eventually(lambda: has_lost(kafka, sleeper), "its partitions have moved", 60)
    kafka.wait_decides(60)
    sleeper.thaw()
    eventually(lambda: decides(kafka, sleeper), "the worker is back", 60)


def has_lost(kafka: Kafka, worker: Worker) -> bool:
    assignment = kafka.assignment()
    return bool(assignment) and worker.client_id not in assignment
