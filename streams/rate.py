"""Rate limits as a single number: the generic cell rate algorithm (ITU-T I.371).

A limit's state is its theoretical arrival time: when it would be unused again. It is
carried in the rows, so that whoever replays them agrees.
"""

from __future__ import annotations

from tables.rows import Rate

_MICROSECONDS = 1_000_000


def advance(arrival: int, rate: Rate, now: int) -> int:
    """The theoretical arrival time after one more message at `now` (both microseconds)."""
    return max(arrival, now) + round(_MICROSECONDS / rate[0])


def wait(arrival: int, rate: Rate, now: int) -> int:
    """Microseconds until one more message fits, 0 if it fits now."""
    per_second, burst = rate
    return max(0, advance(arrival, rate, now) - now - round(burst * _MICROSECONDS / per_second))
