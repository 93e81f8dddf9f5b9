"""The gateway of thousands of clients is restarted under them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from rich.console import Console

from load.crew import Crew
from load.plan import Plan
from load.report import Report, report
from load.screen import shown
from load.system import System

BEFORE_SECONDS = 10
AFTER_SECONDS = 10
BACK_SECONDS = 120
"""How long is waited for the last client."""

SHARES = (0.5, 0.95, 0.99, 1.0)


async def storm(plan: Plan, number: signal.Signals, console: Console, system: System) -> Report:
    """Connect all, end the gateway with a signal while they chat, start it again at once, and wait for all."""
    load = os.getloadavg()[0]
    async with Crew(plan, system.rss) as crew, shown(crew, console):
        await crew.order("connect", "found", "watch", "go")
        await crew.run_for(BEFORE_SECONDS)
        struck = time.monotonic()
        crew.phase = f"after {number.name}"
        await asyncio.to_thread(system.end_gateway, number)
        system.start_gateway()
        await asyncio.to_thread(system.wait_until_ready)
        ready = time.monotonic()
        await all_back(crew)
        await crew.run_for(AFTER_SECONDS)
        sent_for = time.monotonic() - struck + BEFORE_SECONDS
        await crew.order("stop", "settle", "leave")
        facts = {"seconds until the gateway was ready": round(ready - struck, 1)}
        facts |= returned(crew.total.back, plan.clients, struck)
        return report(f"storm-{number.name.lower()}", crew, load, sent_for, facts)


async def all_back(crew: Crew) -> None:
    """Wait until every client has resumed; TimeoutError after BACK_SECONDS."""
    async with asyncio.timeout(BACK_SECONDS):
        while sum(crew.total.back.values()) < crew.plan.clients:
            await crew.run_for(0.5)


def returned(back: dict[int, int], clients: int, struck: float) -> dict[str, Any]:
    """Seconds from a moment (of the monotonic clock) until shares of the clients had resumed."""
    facts: dict[str, Any] = {}
    for share in SHARES:
        left = share * clients
        for tenth in sorted(back):
            left -= back[tenth]
            if left <= 0:
                facts[f"seconds until {share:.0%} were back"] = round(tenth / 10 - struck, 1)
                break
    seconds: dict[int, int] = {}
    for tenth, count in back.items():
        seconds[tenth // 10] = seconds.get(tenth // 10, 0) + count
    return facts | {"most in one second": max(seconds.values(), default=0)}
