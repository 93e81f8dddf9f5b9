"""A worker that sleeps through the loss of its partitions and writes on when it wakes."""

import asyncio
from pathlib import Path

import pytest

from tests.faults import kill, rebuilt
from tests.faults.chaos import decides
from tests.faults.load import Load
from tests.processes import System, Worker, running
from tests.records import Kafka
from tests.waiting import eventually

pytestmark = pytest.mark.alone

SEED = 12


@pytest.mark.parametrize("name", ["chat", "feeds"])
def test_a_worker_that_wakes_up_late_changes_nothing(broker: str, tmp_path: Path, name: str):
    scenario = kill.SCENARIOS[name]
    with running(broker, tmp_path, workers=2, **scenario.settings) as system:
        system.gateway(READCAST_GATEWAY_DELIVERY="routed").wait_ready()
        load = scenario.load(system, SEED, scenario.short.rate)
        report = asyncio.run(freeze_under_load(load, system))
        report.findings.append(rebuilt.compare(system, load.answers))
    assert report.clean, f"{report}\n{dict(load.evidence.counts)}"


async def freeze_under_load(load: Load, system: System):
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
