"""Totals of touched and opened, added up over the partitions of the user log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from streams.users.layout import NO_TOTAL, Total


def summed(parts: Iterable[Mapping[int, Total]]) -> dict[int, Total]:
    """The totals of all partitions, by the seqs that they are about."""
    totals: defaultdict[int, Total] = defaultdict(lambda: NO_TOTAL)
    for part in parts:
        for seq, (touched, opened) in part.items():
            before = totals[seq]
            totals[seq] = before[0] + touched, before[1] + opened
    return dict(totals)
