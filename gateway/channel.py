"""One mailbox with local listeners, as far as the log tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING

from gateway import wire
from gateway.answers import Fact
from gateway.ring import Ring
from tables.rows import ORIGIN, Message, Position, State, without_large_body

if TYPE_CHECKING:
    from gateway.boxes import Box
    from gateway.watch import Watch

MAX_EARLY = 2_000
"""Rows that may wait for the facts of their mailbox; beyond, the facts are asked again."""

MAX_EARLY_BYTES = 16 << 20
"""Bytes of the bodies of these rows, with the same end."""


class Phase(Enum):
    """Whether the head is known."""

    OPENING = auto()
    LIVE = auto()


class Outcome(Enum):
    """What became of a row."""

    STALE = auto()
    HELD = auto()
    MESSAGE = auto()
    RECALL = auto()
    HOLE = auto()


class Channel:
    """The shared part of a mailbox: its ring, its state, and who listens.

    A channel collects rows from the moment it exists; the facts, asked for *after* that, say
    where its ring starts. So nothing lies between the two.
    """

    __slots__ = (
        "at",
        "boxes",
        "closed",
        "early",
        "epoch",
        "floor",
        "generation",
        "history",
        "holds",
        "known_head",
        "last",
        "live",
        "mailbox",
        "members",
        "notice_due",
        "noticed",
        "notify",
        "phase",
        "ring",
        "state_at",
        "waiting",
    )

    def __init__(self, mailbox: str, ring: Ring) -> None:
        self.mailbox = mailbox
        self.ring = ring
        self.phase = Phase.OPENING
        self.generation = 0
        self.at: Position = ORIGIN
        self.state_at: Position = ORIGIN
        self.epoch = ""
        self.floor = 0
        self.members = 0
        self.closed = False
        self.history = True
        self.last: Message | None = None
        self.known_head = 0
        self.early: list[Message] = []
        self.live: dict[Watch, None] = {}
        self.notify: dict[Watch, None] = {}
        self.boxes: dict[str, Box] = {}
        self.holds = 0
        self.noticed = 0.0
        self.notice_due = False
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def head(self) -> int:
        """The last seq that the log has brought."""
        return self.ring.head

    @property
    def is_live(self) -> bool:
        """Whether the head is known and the ring complete from there."""
        return self.phase is Phase.LIVE

    @property
    def is_unused(self) -> bool:
        """Whether nobody would miss this channel."""
        return not (self.live or self.notify or self.boxes or self.holds)

    def reopen(self) -> None:
        """Forget where the log stands: facts asked for from here on will say."""
        self.phase = Phase.OPENING
        self.generation += 1
        self.known_head = 0
        self.early.clear()

    def open(self, fact: Fact, as_of: Position, generation: int) -> bool:
        """Start at the head that the facts tell, with what the log has brought beyond it.

        A ring that ends there stays as it is: no message was missed. Returns False, and changes nothing,
        where the facts were asked for too early or there is nothing to open. The rows in `early` are
        for the caller to take afterwards.
        """
        if self.is_live or generation != self.generation:
            return False
        self.phase = Phase.LIVE
        self.at = as_of
        if (fact.epoch, fact.head) != (self.epoch, self.head):
            self.ring.reset(fact.head)
        self.last = fact.last
        self._describe(fact, as_of)
        self._wake()
        return True

    def hear(self, fact: Fact) -> None:
        """Remember a head that another answer told; the log may still be on its way there."""
        self.known_head = max(self.known_head, fact.head)
        if self.last is None and fact.last is not None:
            self.last = fact.last

    def take_early(self) -> list[Message]:
        """The rows that waited for the facts, to be taken in order."""
        early, self.early = self.early, []
        return early

    def take_message(self, row: Message) -> Outcome:
        """Take a row of the log by the position rule; a `HOLE` is left for the caller to mend."""
        if self.phase is Phase.OPENING:
            return self._hold(row)
        if row.at <= self.at:
            return Outcome.STALE
        self.at = row.at
        if row.seq <= self.head:
            return self._recall(row) if row.recalled else Outcome.STALE
        if row.seq > self.head + 1:
            return Outcome.HOLE
        self.last = without_large_body(row)
        self._keep(row)
        self._wake()
        return Outcome.MESSAGE

    def take_recalls(self, seqs: Iterable[int]) -> None:
        """Tell who listens of messages whose recall may have been missed."""
        for seq in seqs:
            self.ring.append(wire.recalled_event(self.mailbox, seq, None), self.head)

    def take_state(self, row: State) -> bool:
        """Take a state row; False if the mailbox was made anew, so that all else is void."""
        if row.at <= self.state_at:
            return True
        self.state_at = row.at
        anew = bool(self.epoch) and row.epoch != self.epoch
        self.epoch = row.epoch
        self.floor = row.floor
        self.members = row.members
        self.closed = row.closed
        self.history = row.policy.history
        return not anew

    def reaches(self, seq: int) -> asyncio.Future[None]:
        """Done as soon as the log has brought `seq`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((seq, future))
        self._wake()
        return future

    def _hold(self, row: Message) -> Outcome:
        size = sum(len(one.body) for one in self.early)
        if len(self.early) >= MAX_EARLY or size > MAX_EARLY_BYTES:
            self.reopen()
            return Outcome.HOLE
        self.early.append(row)
        return Outcome.HELD

    def _keep(self, row: Message) -> None:
        if self.live or self.holds:
            self.ring.append(wire.message_event(self.mailbox, row), row.seq)
        else:
            self.ring.skip(row.seq)

    def _recall(self, row: Message) -> Outcome:
        if self.last is not None and self.last.seq == row.seq:
            self.last = row
        if self.live or self.holds:
            self.ring.replace(row.seq, wire.message_event(self.mailbox, row))
            event = wire.recalled_event(self.mailbox, row.seq, row.recalled_by)
            self.ring.append(event, self.head)
        else:
            self.ring.skip(self.head)
        return Outcome.RECALL

    def _describe(self, fact: Fact, as_of: Position) -> None:
        self.known_head = max(self.known_head, fact.head)
        if as_of <= self.state_at:
            return
        self.state_at = as_of
        self.epoch = fact.epoch
        self.floor = fact.floor
        self.members = fact.members
        self.closed = fact.closed
        self.history = fact.policy is None or fact.policy.history

    def _wake(self) -> None:
        if not self.waiting or not self.is_live:
            return
        due = [future for seq, future in self.waiting if seq <= self.head]
        self.waiting = [entry for entry in self.waiting if entry[0] > self.head]
        for future in due:
            if not future.done():
                future.set_result(None)
