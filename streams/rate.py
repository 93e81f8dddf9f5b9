"""Rate limits as a single number: the generic cell rate algorithm (ITU-T I.371).

A limit's state is its theoretical arrival time: when it would be unused again. It is
carried in the rows, so that whoever replays them agrees.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, NoReturn

from streams.errors import Code, Refused
from tables.rows import Rate

_MICROSECONDS = 1_000_000


class Pace(NamedTuple):
    """A rate in microseconds: from one message to the next, and how far ahead of that a burst may be."""

    interval: int
    tolerance: int


@lru_cache
def pace_of(rate: Rate) -> Pace:
    """The pace of so many messages per second."""
    per_second, burst = rate
    interval = _MICROSECONDS / per_second
    return Pace(int(interval), int(burst * interval))


def advance(arrival: int, pace: Pace, now: int) -> tuple[int, int]:
    """One more message at `now`: the arrival time after it, and how long it should wait (0: it fits).

    All in microseconds. An arrival time further ahead than this pace ever leaves it is of a slower
    one, or of a clock that was ahead: it counts as a burst that is used up. A message
    that is let through too early leaves the same.
    """
    interval, tolerance = pace
    # Twice for each message, and `max` takes as long as all the rest.
    after = (now if now > arrival else arrival) + interval  # noqa: FURB136
    early = after - now - tolerance
    if early <= 0:
        return after, 0
    return now + tolerance, early if early <= interval else 0


def refuse(early: int) -> NoReturn:
    """Refuse what comes `early` microseconds too early."""
    seconds = math.ceil(early / 1_000) / 1_000
    raise Refused(Code.RATE_LIMITED, f"too many messages; send again in {seconds} s", seconds)
