"""p50 of a page of 20 through the gateway under the hybrid, against the same page where all is pushed.

Readers follow 200 authors, 20 of them above the threshold. A first page of a reader, whose feed the gateway
doesn't hold in memory, is asked of the agents; the next ones come from memory. Both gateways run
beside each other and are asked in turn, one page at a time.
"""

import statistics
from collections.abc import Sequence

import uvloop
from rich.progress import Progress

from bench.feed_pages import READERS, Feeds, Reader, feeds, readers
from bench.figures import Figure

ROUNDS = 10
MODES = ("hybrid", "push")


def measure(progress: Progress) -> Figure:
    with feeds("hybrid", progress) as hybrid, feeds("push", progress) as push:
        task = progress.add_task("pages", total=(1 + ROUNDS) * READERS)
        served = (hybrid, push)
        found = uvloop.run(all_pages(served, progress, task))
    return figure(*found)


class Pages:
    """Times of pages by mode, and the questions to agents that they took."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
        self.queries: dict[str, float] = {}

    def p50(self, mode: str) -> float:
        """In milliseconds."""
        return round(1000 * statistics.median(self.seconds[mode]), 3)

    def p99(self, mode: str) -> float:
        return round(1000 * statistics.quantiles(self.seconds[mode], n=100)[98], 3)

    @property
    def paired_ratio(self) -> float:
        """The median of the ratios of pages close in time, which share what else the machine did."""
        pairs = zip(*self.seconds.values(), strict=True)
        return round(statistics.median(hybrid / push for hybrid, push in pairs), 3)


async def all_pages(served: Sequence[Feeds], progress: Progress, task) -> tuple[Pages, Pages]:
    """The first pages of all readers, and the next ones."""
    crowds = [await readers(one.port) for one in served]
    cold = await some_pages(served, crowds, 1)
    progress.advance(task, READERS)
    warm = await some_pages(served, crowds, ROUNDS)
    progress.advance(task, READERS * ROUNDS)
    for reader in (reader for crowd in crowds for reader in crowd):
        reader.close()
    return cold, warm


async def some_pages(
    served: Sequence[Feeds], crowds: Sequence[Sequence[Reader]], rounds: int
) -> Pages:
    """Pages of each reader, from one gateway and then the other, every other time the other way round."""
    pages = Pages()
    before = [one.queries() for one in served]
    for number in range(rounds * READERS):
        pairs = [(mode, crowd[number % READERS]) for mode, crowd in zip(MODES, crowds, strict=True)]
        for mode, reader in reversed(pairs) if number % 2 else pairs:
            seconds, _ = await reader.page()
            pages.seconds[mode].append(seconds)
    for mode, one, asked in zip(MODES, served, before, strict=True):
        pages.queries[mode] = round((one.queries() - asked) / (rounds * READERS), 2)
    return pages


def figure(cold: Pages, warm: Pages) -> Figure:
    return Figure(
        warm.p50("hybrid"),
        "ms",
        warm.p50("push"),
        {
            "peer_name": "push only",
            "paired_ratio": warm.paired_ratio,
            "p99": warm.p99("hybrid"),
            "peer_p99": warm.p99("push"),
            "queries_per_page": warm.queries["hybrid"],
            "cold_p50": cold.p50("hybrid"),
            "cold_peer_p50": cold.p50("push"),
            "cold_paired_ratio": cold.paired_ratio,
            "cold_queries_per_page": cold.queries["hybrid"],
            "cold_peer_queries_per_page": cold.queries["push"],
        },
    )
