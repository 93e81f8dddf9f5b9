"""A run in the terminal, as it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from load.crew import Crew
from load.tally import Tally

RECENT_SECONDS = 5


@contextlib.asynccontextmanager
async def shown(crew: Crew, console: Console) -> AsyncIterator[None]:
    """Show a crew's run until the end of the block."""
    with Live(console=console, refresh_per_second=2, transient=not console.is_terminal) as live:

        async def refresh() -> None:
            while True:
                live.update(view(crew))
                await asyncio.sleep(0.5)

        refreshing = asyncio.create_task(refresh())
        try:
            yield
        finally:
            refreshing.cancel()
            live.update(view(crew))


def view(crew: Crew) -> Group:
    """The present state."""
    recent = crew.since(max(0, crew.second - RECENT_SECONDS))
    head = Text(f"{crew.phase}  {crew.second} s  ", style="bold")
    head.append(f"{crew.online:,} of {crew.plan.clients:,} connected", style="green")
    table = Table("", "per second", "p50 ms", "p99 ms", "in all")
    for name, number, histogram, total in (
        ("sent and acknowledged", recent.acknowledged, recent.receipts, crew.total.acknowledged),
        ("delivered", recent.delivered, recent.deliveries, crew.total.delivered),
    ):
        rate = f"{number / RECENT_SECONDS:,.0f}"
        low, high = (milliseconds(histogram.percentile(percent)) for percent in (50, 99))
        table.add_row(name, rate, low, high, f"{total:,}")
    return Group(head, table, Text(troubles(crew.total), style="yellow"))


def troubles(tally: Tally) -> str:
    """What went wrong so far, in a line."""
    parts = [f"{tally.reconnects:,} reconnects"] if tally.reconnects else []
    for name, counts in (("failed", tally.failed), ("disconnected", tally.disconnected)):
        parts += [f"{name} {code}: {count:,}" for code, count in sorted(counts.items())]
    parts += [f"{name}: {count:,}" for name, count in broken(tally).items()]
    return "  ".join(parts)


def broken(tally: Tally) -> dict[str, int]:
    """Broken promises that are known before the end."""
    return {
        name: count
        for name, count in tally.faults.items()
        if count and name not in ("acknowledged, not stored", "lost")
    }


def milliseconds(value: float | None) -> str:
    """For people."""
    return "" if value is None else f"{value:,.1f}"
