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


TRIES = 2


class TooBusy(Exception):
    """The machine has too much else to do for this measurement."""


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
    """The last of the rates 100, 200, 400 ... messages/s that is kept; TooBusy if none is."""
    kept, rate = 0.0, FIRST_RATE
    while await is_kept(rate, plan, console, system):
        kept, rate = rate, 2 * rate
    if not kept:
        raise TooBusy(
            f"not even {FIRST_RATE:,.0f} messages/s are kept: free the machine, or give a rate"
        )
    return kept


async def is_kept(rate: float, plan: Plan, console: Console, system: System) -> bool:
    """Whether one of TRIES at a rate is a good one."""
    for attempt in range(TRIES):
        run = f"{plan.run}r{rate:.0f}.{attempt}"
        step = msgspec.structs.replace(plan, run=run, rate=rate)
        tried = await chat(step, STEP_SECONDS, console, system, "step")
        p99 = tried.total.receipts.percentile(99)
        console.print(f"{rate:,.0f} messages/s: p99 {p99} ms")
        all_sent = tried.total.sent >= KEPT_SHARE * rate * STEP_SECONDS
        if p99 is not None and p99 <= KEPT_MS and all_sent:
            return True
    return False
