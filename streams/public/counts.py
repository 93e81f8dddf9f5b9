"""What publishes and their stages came to: touched and opened, added up over the partitions of the user log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.users.layout import COUNTED, NO_TOTAL, Total


def summed(parts: Iterable[Mapping[int, Total]]) -> dict[int, Total]:
    """The totals of all partitions, by the seqs that they are about."""
    totals: defaultdict[int, Total] = defaultdict(lambda: NO_TOTAL)
    for part in parts:
        for seq, (touched, opened) in part.items():
            before = totals[seq]
            totals[seq] = before[0] + touched, before[1] + opened
    return dict(totals)


class PublishTotals(NamedTuple):
    """Of one publish and of each of its stages; None where nothing is counted any more."""

    touched: int | None
    opened: int | None
    stages: list[tuple[int | None, int | None]]


class Counted(NamedTuple):
    """Of one public mailbox: totals by publish, and by the entry of each further stage."""

    publishes: Mapping[int, Total]
    stages: Mapping[int, Total]

    def of(self, publish: int, stages: list[int], head: int) -> PublishTotals:
        """The totals of a publish with these stages, where `head` is the last entry of the mailbox."""
        if publish <= head - COUNTED:
            return PublishTotals(None, None, [(None, None) for _ in stages])
        touched, opened = self.publishes.get(publish, NO_TOTAL)
        further = [self.stages.get(entry, NO_TOTAL) for entry in stages[1:]]
        first = touched - sum(one[0] for one in further), opened - sum(one[1] for one in further)
        return PublishTotals(touched, opened, [first, *further])
