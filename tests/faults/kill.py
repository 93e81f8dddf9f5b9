"""The kill test: every part, several times, at random moments, under load."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import rebuilt
from tests.faults.chaos import Chaos, Fault, plan
from tests.faults.checker import Finding, Report
from tests.faults.evidence import Run
from tests.faults.feeds import scenario as feeds
from tests.faults.load import Load
from tests.faults.public.scenario import Public
from tests.faults.scenario import GATEWAY_SETTINGS, Chat
from tests.processes import Broker, System

STILL_SECONDS = 90

Progress = Callable[[str, float], None]
"""Told what is going on, and which part of the run is done."""


@dataclass(frozen=True)
class Size:
    """How long a run is. amount: how much the load does at least, at `rate` a second; kills: of each kind;
    pause: seconds between two kills.
    """

    amount: int
    rate: float
    kills: Mapping[str, int]
    pause: tuple[float, float]


@dataclass(frozen=True)
class Scenario:
    """A kind of load. unit: what it does; wanted: what must have happened how often at least.

    short: what every run of the test suite does; long: what `make faults` does.
    """

    load: Callable[[System, int, float], Load]
    unit: str
    wanted: Mapping[str, int]
    short: Size
    long: Size
    own_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """Partitions are flushed often: a killed worker goes on from the middle of its log."""
        return {"READCAST_ROCKSDB_FLUSH_SECONDS": "2", **self.own_settings}


MANY_KILLS = {"worker": 8, "gateway": 8, "broker": 5}

SCENARIOS = {
    "chat": Scenario(
        Chat,
        "messages",
        {"deliberate retries": 10, "duplicate receipts": 1, "resumed, recovered True": 10},
        Size(3_000, 120, {"worker": 2, "gateway": 2, "broker": 2}, pause=(1.5, 4.0)),
        Size(20_000, 150, MANY_KILLS, pause=(3.0, 12.0)),
        GATEWAY_SETTINGS,
    ),
    "public": Scenario(
        Public,
        "orders",
        {
            "publish entries": 10,
            "release entries": 10,
            "withdraw entries": 1,
            "duplicate receipts": 1,
            "stale orders refused": 1,
            "notices": 300,
            "notices again": 1,
            "departures": 5,
            "opened twice": 1,
        },
        Size(80, 4, {"worker": 2, "gateway": 2, "broker": 1}, pause=(1.0, 3.0)),
        Size(400, 4, MANY_KILLS, pause=(3.0, 12.0)),
    ),
    "feeds": Scenario(
        feeds.Feeds,
        "posts",
        {
            "posts pushed": 20,
            "posts pulled": 10,
            "posts in chunks": 1,
            "posts while switching": 1,
            "switches": 5,
            "switches in chunks": 1,
            "visits": 15,
            "visits that waited": 15,
            "visits interrupted": 1,
            "duplicate receipts": 1,
            "edit answered": 2,
            "delete answered": 1,
            "unfollow answered": 5,
        },
        Size(160, 6, {"worker": 2, "gateway": 2, "broker": 1}, pause=(1.0, 3.0)),
        Size(1_500, 6, MANY_KILLS, pause=(3.0, 12.0)),
        feeds.SETTINGS,
    ),
}


def run(
    scenario: Scenario, size: Size, seed: int, folder: Path, progress: Progress
) -> tuple[Report, Run]:
    """Carry out one run in a folder of its own, with a broker of its own."""
    with Broker(folder) as broker:
        progress("broker", 0)
        broker.start()
        with System(broker.bootstrap, folder, **scenario.settings) as system:
            progress("workers and gateways", 0)
            system.create_topics()
            for delivery in ("tail", "routed"):
                system.worker()
                system.gateway(READCAST_GATEWAY_DELIVERY=delivery)
            system.wait_ready()
            load = scenario.load(system, seed, size.rate)
            chaos = Chaos(broker, system, load.evidence)
            faults = plan(random.Random(seed), size.kills, size.pause)
            report = asyncio.run(kill_under_load(load, chaos, faults, size.amount, progress))
            load.evidence.counts[scenario.unit] = load.count
            progress("rebuilding", 1)
            report.findings += [
                rebuilt.compare(system, load.answers),
                hardship(scenario, size, load.evidence),
            ]
            return report, load.evidence


def hardship(scenario: Scenario, size: Size, evidence: Run) -> Finding:
    """The run was as hard as it was meant to be."""
    wanted = {
        **{f"kills of a {kind}": count for kind, count in size.kills.items()},
        **scenario.wanted,
    }
    counts = evidence.counts
    missing = [f"{what}: {counts[what]}" for what, least in wanted.items() if counts[what] < least]
    kills = sum(size.kills.values())
    return Finding("the run was as hard as meant", f"{kills} kills", missing)


async def kill_under_load(
    load: Load, chaos: Chaos, faults: Sequence[Fault], amount: int, progress: Progress
) -> Report:
    supervisor = asyncio.create_task(chaos.supervise())
    async with load.running():
        for number, fault in enumerate(faults):
            progress(f"{load.count:,} done, next a {fault.kind}", number / len(faults))
            await chaos.carry_out(fault)
        await chaos.settle()
        await until_done(load, amount, progress)
        progress("settling", 1)
    supervisor.cancel()
    progress("checking", 1)
    return await load.check()


async def until_done(load: Load, amount: int, progress: Progress) -> None:
    """Let the load go on until it has done that much, or stands still."""
    count, since = load.count, time.monotonic()
    while load.count < amount:
        progress(f"{load.count:,} done", load.count / amount)
        await asyncio.sleep(0.2)
        if load.count > count:
            count, since = load.count, time.monotonic()
        elif time.monotonic() - since > STILL_SECONDS:
            load.evidence.problems.append(f"nothing was done for {STILL_SECONDS} s")
            return
