"""One session's cursor in one mailbox."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.boxes import Box

if TYPE_CHECKING:
    from gateway.outlet import Outlet


class Mode(StrEnum):
    """How a mailbox is delivered."""

    LIVE = "live"
    NOTIFY = "notify"
    OFF = "off"


class Watch:
    """Where a session stands: the place of its next event in the ring, and the last seq it has.

    `ack_due` is when (loop time) an acknowledgement is missed, 0 while none is awaited.
    """

    __slots__ = ("ack_due", "acked", "behind", "box", "mode", "outlet", "place", "resent", "seq")

    def __init__(self, outlet: Outlet, box: Box, mode: Mode, place: int, seq: int) -> None:
        self.outlet = outlet
        self.box = box
        self.mode = mode
        self.place = place
        self.seq = self.acked = seq
        self.behind = False
        self.ack_due = 0.0
        self.resent = False

    def ack(self, seq: int, due: float) -> None:
        """Take an acknowledgement; what is still out is due at `due`."""
        if seq <= self.acked:
            return
        self.acked = min(seq, self.seq)
        self.resent = False
        self.ack_due = due if self.acked < self.seq else 0.0

    def rewind(self) -> None:
        """Go back to the first message that wasn't acknowledged."""
        ring = self.box.channel.ring
        covered = ring.base <= self.acked <= ring.head
        self.place = ring.place_after(self.acked) if covered else ring.first - 1
        self.seq = self.acked
        self.resent = True
