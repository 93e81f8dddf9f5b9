"""What came of a run: JSON for programs, and a page with curves that needs no network."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from bench.paths import BUILD
from load.crew import Crew, Moment
from load.histogram import Histogram
from load.plots import Point, curves
from load.tally import Tally

FOLDER = BUILD / "load"
PERCENTS = (50.0, 90.0, 99.0, 99.9, 100.0)
HIDDEN = ("secret", "sizes")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 2px 12px 2px 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } svg { width: 100%; margin: .5em 0 }
.bad { color: #b00020; font-weight: bold } .good { color: #3b8a4e; font-weight: bold }
"""


class Report(msgspec.Struct):
    """One run. load: the machine's load average at its begin and end, beside its cores."""

    name: str
    began: str
    plan: dict[str, Any]
    cores: int
    load: tuple[float, float]
    seconds: float
    total: Tally
    moments: list[Moment]
    facts: dict[str, Any] = {}

    @property
    def is_good(self) -> bool:
        """Whether no promise was broken."""
        return not any(self.total.faults.values())

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Everything worth a line."""
        total, seconds = self.total, max(self.seconds, 1e-9)
        rows = [
            ("clients, groups", f"{self.plan['clients']:,}, {self.plan['groups']:,}"),
            ("seconds of sending", f"{self.seconds:.0f}"),
            ("messages sent, acknowledged", f"{total.sent:,}, {total.acknowledged:,}"),
            ("per second", f"{total.acknowledged / seconds:,.1f}"),
            ("deliveries", f"{total.delivered:,}"),
            ("per second", f"{total.delivered / seconds:,.1f}"),
            ("ms from send to receipt", percentiles(total.receipts)),
            ("ms from send to each listener", percentiles(total.deliveries)),
            ("reconnects", f"{total.reconnects:,}"),
            ("resumes recovered, not", f"{total.recovered:,}, {total.unrecovered:,}"),
            ("messages dropped as known, pulled", f"{total.dropped:,}, {total.pulled:,}"),
            ("sends given up", by_code(total.failed)),
            ("refused attempts", by_code(total.refused)),
            ("disconnected", by_code(total.disconnected)),
            ("load average, cores", f"{self.load[0]:.1f} to {self.load[1]:.1f}, {self.cores}"),
        ]
        return rows + [(name, str(value)) for name, value in self.facts.items()]

    def save(self) -> Path:
        """Write both files into build/load; returns the page."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{self.name}-{self.began.replace(':', '')}"
        file.with_suffix(".json").write_bytes(msgspec.json.encode(self))
        page = file.with_suffix(".html")
        page.write_text(html(self))
        return page

    def draw(self, folder: Path) -> None:
        """Write each of the curves as a file."""
        for name, curve in plots(self).items():
            (folder / f"{self.name}-{name}.svg").write_text(f"{curve}\n")

    def table(self) -> Table:
        """For the terminal."""
        table = Table(self.name, "", show_header=False)
        for row in self.rows:
            table.add_row(*row)
        for name, count in self.total.faults.items():
            table.add_row(name, f"{count:,}", style="red" if count else "green")
        return table


def report(
    name: str, crew: Crew, load: float, seconds: float, facts: dict[str, Any] | None = None
) -> Report:
    """What a crew has to tell; `load` is the load average before it began, `seconds` it sent."""
    plan = {k: v for k, v in msgspec.to_builtins(crew.plan).items() if k not in HIDDEN}
    plan |= {"clients": crew.plan.clients, "groups": len(crew.plan.sizes)}
    return Report(
        name,
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        plan,
        os.cpu_count() or 1,
        (load, os.getloadavg()[0]),
        seconds,
        crew.total,
        crew.moments,
        facts or {},
    )


def html(report: Report) -> str:
    """The page."""
    rows = "\n".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in report.rows)
    faults = "\n".join(
        f'<tr><th>{escape(name)}</th><td class="{"bad" if count else "good"}">{count:,}</td></tr>'
        for name, count in report.total.faults.items()
    )
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{report.name}</title>',
            f"<style>{STYLE}</style><h1>{report.name}</h1><p>{report.began} UTC</p>",
            f"<table>{faults}</table><table>{rows}</table>",
            *plots(report).values(),
            "</html>",
        ]
    )


def plots(report: Report) -> dict[str, str]:
    """All curves for which there is something to draw, by name."""
    moments = report.moments
    sent = {"sent": over(moments, "sent"), "acknowledged": over(moments, "acknowledged")}
    drawn = {
        "messages": curves("messages", "per second", sent),
        "deliveries": curves("deliveries", "per second", {"": over(moments, "delivered")}),
        "receipts-ms": latency_curves("from send to receipt", moments, "receipts"),
        "deliveries-ms": latency_curves("from send to each listener", moments, "deliveries"),
        "percents": curves(
            "by percent of deliveries", "ms", {"": quantiles(report.total.deliveries)}, "%"
        ),
        "connected": curves("connected", "clients", {"": [(m.second, m.online) for m in moments]}),
    }
    if report.total.back:
        back = {"": returns(report.total.back)}
        drawn["back"] = curves("back", "clients per second", back, "s since the first")
    if any(moment.rss for moment in moments):
        drawn["memory"] = memory_curves(moments)
    return drawn


def latency_curves(title: str, moments: Sequence[Moment], name: str) -> str:
    """p50 and p99 of each second."""
    series: dict[str, list[Point]] = {"p50": [], "p99": []}
    for moment in moments:
        histogram: Histogram = getattr(moment.tally, name)
        for label, percent in (("p50", 50), ("p99", 99)):
            if (value := histogram.percentile(percent)) is not None:
                series[label].append((moment.second, value))
    return curves(title, "ms", series)


def memory_curves(moments: Sequence[Moment]) -> str:
    """MB of each process."""
    names = sorted({name for moment in moments for name in moment.rss})
    return curves(
        "memory",
        "MB",
        {name: [(m.second, m.rss[name]) for m in moments if m.rss.get(name)] for name in names},
    )


def over(moments: Sequence[Moment], name: str) -> list[Point]:
    """A count over the seconds."""
    return [(moment.second, getattr(moment.tally, name)) for moment in moments]


def quantiles(histogram: Histogram) -> list[Point]:
    """Milliseconds by percent."""
    points = [(percent, histogram.percentile(percent)) for percent in range(1, 101)]
    return [(percent, value) for percent, value in points if value is not None]


def returns(back: dict[int, int]) -> list[Point]:
    """Resumes per second since the first, from counts by tenths of a second."""
    begin = min(back)
    seconds = (max(back) - begin) // 10 + 2
    counts = [0] * seconds
    for tenth, count in back.items():
        counts[(tenth - begin) // 10] += count
    return list(enumerate(counts))


def percentiles(histogram: Histogram) -> str:
    """For people."""
    found = ((percent, histogram.percentile(percent)) for percent in PERCENTS)
    return ", ".join(f"p{percent:g} {value:,.1f}" for percent, value in found if value is not None)


def by_code(counts: dict[str, int]) -> str:
    """For people."""
    return ", ".join(f"{code}: {count:,}" for code, count in sorted(counts.items())) or "none"
