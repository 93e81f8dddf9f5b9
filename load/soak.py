"""Half of what the machine can do, for long: do memory and latency stay flat?"""

from __future__ import annotations

import msgspec
from rich.console import Console

from load.chat import chat
from load.plan import Plan
from load.report import Report
from load.system import System

STEP_SECONDS = 10.0
FIRST_RATE = 100.0
KEPT_SHARE = 0.95
KEPT_MS = 1_000.0
"""A rate is kept if nearly all its messages have their receipts within the step, and p99 of them is below this."""


async def soak(plan: Plan, seconds: float, console: Console, system: System) -> Report:
    """Chat at the plan's rate or, if it has none, at half of the highest."""
    if plan.rate:
        return await chat(plan, seconds, console, system, "soak")
    highest = await highest_rate(plan, console, system)
    half = msgspec.structs.replace(plan, run=f"{plan.run}s", rate=highest / 2)
    done = await chat(half, seconds, console, system, "soak")
    done.facts["highest rate that was kept, messages/s"] = f"{highest:,.0f}"
    return done


async def highest_rate(plan: Plan, console: Console, system: System) -> float:
    """The last of the rates 100, 200, 400 ... messages/s that is kept for STEP_SECONDS."""
    kept, rate = FIRST_RATE, FIRST_RATE
    while True:
        step = msgspec.structs.replace(plan, run=f"{plan.run}r{rate:.0f}", rate=rate)
        tried = await chat(step, STEP_SECONDS, console, system, "step")
        p99 = tried.total.receipts.percentile(99)
        console.print(f"{rate:,.0f} messages/s: p99 {p99} ms")
        if p99 is None or p99 > KEPT_MS or tried.total.sent < KEPT_SHARE * rate * STEP_SECONDS:
            return kept
        kept, rate = rate, 2 * rate
