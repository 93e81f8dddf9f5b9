"""The kill test: every part, several times, at random moments, under load."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import rebuilt
from tests.faults.chaos import Chaos, plan
from tests.faults.checker import Finding, Report
from tests.faults.evidence import Evidence
from tests.faults.scenario import GATEWAY_SETTINGS, Load, until_sent
from tests.processes import Broker, System

Progress = Callable[[str, float], None]
"""Told what is going on, and which part of the run is done."""


@dataclass(frozen=True)
class Options:
    """A run. rate: messages per second; kills: of each kind; pause: seconds between two kills."""

    seed: int
    messages: int
    rate: float
    kills: Mapping[str, int]
    pause: tuple[float, float]


def short(seed: int) -> Options:
    """What every run of the test suite does."""
    kills = {"worker": 2, "gateway": 2, "broker": 2}
    return Options(seed, messages=3_000, rate=120, kills=kills, pause=(1.5, 4.0))


def long(seed: int) -> Options:
    """What `make faults` does."""
    kills = {"worker": 8, "gateway": 8, "broker": 5}
    return Options(seed, messages=20_000, rate=150, kills=kills, pause=(3.0, 12.0))


def run(options: Options, folder: Path, progress: Progress) -> tuple[Report, Evidence]:
    """Carry out one run in a folder of its own, with a broker of its own."""
    with Broker(folder) as broker:
        progress("broker", 0)
        broker.start()
        with System(broker.bootstrap, folder, **GATEWAY_SETTINGS) as system:
            progress("workers and gateways", 0)
            system.create_topics()
            for _ in range(2):
                system.worker()
                system.gateway()
            system.wait_ready()
            load = Load(system, options.seed, options.rate)
            report = asyncio.run(kill_under_load(load, broker, options, progress))
            progress("rebuilding", 1)
            report.findings += [rebuilt.compare(system), hardship(options, load.evidence)]
            return report, load.evidence


def hardship(options: Options, evidence: Evidence) -> Finding:
    """The run was as hard as it was meant to be."""
    wanted = {
        **{f"kills of a {kind}": count for kind, count in options.kills.items()},
        "deliberate retries": 10,
        "duplicate receipts": 1,
        "resumed, recovered True": 10,
    }
    counts = evidence.counts
    missing = [f"{what}: {counts[what]}" for what, least in wanted.items() if counts[what] < least]
    kills = sum(options.kills.values())
    return Finding("the run was as hard as meant", f"{kills} kills", missing)


async def kill_under_load(
    load: Load, broker: Broker, options: Options, progress: Progress
) -> Report:
    faults = plan(random.Random(options.seed), options.kills, options.pause)
    chaos = Chaos(broker, load.system, load.evidence)
    supervisor = asyncio.create_task(chaos.supervise())
    async with load.running():
        for number, fault in enumerate(faults):
            progress(f"{load.count:,} messages, next a {fault.kind}", number / len(faults))
            await chaos.carry_out(fault)
        await chaos.settle()
        await until_sent(
            load,
            options.messages,
            lambda count: progress(f"{count:,} messages", count / options.messages),
        )
        progress("settling", 1)
    supervisor.cancel()
    progress("checking", 1)
    return await load.check()
