"""A public mailbox in memory: its publishes with their stages, and whom they reach."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter

from streams.public.audience import Audience, Claims, compile_audience
from streams.public.disturbance import Candidate
from streams.public.reach import Stage, reaching_entry
from tables.rows import AnyEntry, Published, Released


class Notice:
    """A publish as it stands."""

    __slots__ = ("audience", "entry", "stages", "withdrawn")

    def __init__(self, entry: Published) -> None:
        self.entry = entry
        self.audience: Audience = compile_audience(entry.audience)
        self.stages = [_stage(entry)]
        self.withdrawn = False

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the order of time."""
        return self.entry.ts, self.entry.seq

    def over(self, now: int) -> bool:
        """Whether it is withdrawn, or expired at `now` (ms since 1970)."""
        return self.withdrawn or 0 < self.entry.expires <= now

    def reaches_at(self, user: str, claims: Claims) -> int | None:
        """The seq of the entry that first reaches a user; None: nothing does yet."""
        if not self.audience(claims):
            return None
        return reaching_entry(self.entry.id, user, self.stages)


class Board:
    """Takes the entries of one public mailbox, in the order of their seqs, and answers from memory."""

    def __init__(self) -> None:
        self.head = 0
        self.notices: dict[int, Notice] = {}
        self._by_time: list[Notice] = []
        self._stages: list[int] = []
        self._publishes: dict[int, int] = {}

    def take(self, entry: AnyEntry) -> None:
        """Take the next entry; one that was taken before changes nothing."""
        if entry.seq <= self.head:
            return
        self.head = entry.seq
        if isinstance(entry, Published):
            notice = self.notices[entry.seq] = Notice(entry)
            insort(self._by_time, notice, key=_place)
            self._add_stage(entry.seq, entry.seq)
        elif entry.publish in self.notices:
            notice = self.notices[entry.publish]
            if isinstance(entry, Released):
                notice.stages.append(_stage(entry))
                self._add_stage(entry.seq, entry.publish)
            else:
                notice.withdrawn = True

    def _add_stage(self, seq: int, publish: int) -> None:
        self._stages.append(seq)
        self._publishes[seq] = publish

    def forget(self, publish: int) -> None:
        """Drop a publish from memory: it reaches nobody any more."""
        notice = self.notices.pop(publish, None)
        if notice is not None:
            self._by_time.remove(notice)
            self._publishes = {
                seq: about for seq, about in self._publishes.items() if about != publish
            }
            self._stages = sorted(self._publishes)

    def newest(self, before: int | None = None) -> Iterator[Notice]:
        """All publishes, or those from before a time (ms since 1970), newest first."""
        end = len(self._by_time)
        if before is not None:
            end = bisect_left(self._by_time, (before, 0), key=_place)
        return islice(reversed(self._by_time), len(self._by_time) - end, None)

    def coming(self, user: str, claims: Claims, after: int, now: int) -> list[Candidate]:
        """What reaches a user beyond entry `after` and still stands, in the order of entries."""
        later = self._stages[bisect_right(self._stages, after) :]
        candidates = []
        for publish in dict.fromkeys(self._publishes[seq] for seq in later):
            notice = self.notices[publish]
            if not notice.over(now):
                entry = notice.reaches_at(user, claims)
                if entry is not None and entry > after:
                    candidates.append(Candidate(publish, entry, notice.entry.priority))
        return sorted(candidates, key=lambda candidate: candidate.entry)

    def waiting(self, deferred: Iterable[int], now: int) -> list[Candidate]:
        """The publishes behind deferred entries; those that are over are marked so.

        Entries beyond the head are left out: another gateway, ahead of this one, has deferred them.
        """
        candidates = []
        for seq in deferred:
            if seq in self._publishes:
                publish = self._publishes[seq]
                notice = self.notices[publish]
                candidates.append(Candidate(publish, seq, notice.entry.priority, notice.over(now)))
        return candidates


_place = attrgetter("place")


def _stage(entry: Published | Released) -> Stage:
    return Stage(entry.seq, entry.release.percent, frozenset(entry.release.users))
