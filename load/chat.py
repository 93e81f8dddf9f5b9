"""Clients that chat for a while."""

from __future__ import annotations

import os

from rich.console import Console

from load.crew import Crew
from load.plan import Plan
from load.report import Report, report
from load.screen import shown
from load.system import System


async def chat(
    plan: Plan, seconds: float, console: Console, system: System | None = None, name: str = "chat"
) -> Report:
    """Connect all, let them chat for so many seconds, wait for the last messages, and count."""
    load = os.getloadavg()[0]
    rss = system.rss if system else dict
    async with Crew(plan, rss) as crew, shown(crew, console):
        await crew.order("connect", "found", "watch", "go")
        await crew.run_for(seconds)
        await crew.order("stop", "settle", "leave")
        return report(name, crew, load, seconds)
