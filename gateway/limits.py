"""Limits on what one connection, one user and the process may take."""

from __future__ import annotations

import resource
from collections import Counter

from gateway.addresses import is_loopback

PER_ADDRESS = 1_000
"""Sockets of one address, unless a limit is set. Those of this machine itself are not counted then."""


SPARE_FILES = 200
"""Open files of a process besides its clients' sockets: those to brokers, and what waits to be turned away."""


def allow_files(connections: int) -> int:
    """Let this process open as many files as so many connections take, and return for how many that is enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        except (OSError, ValueError):
            # Systems may have a further limit, which no process is told.
            allowed = soft
    return max(0, min(connections, allowed - SPARE_FILES))


class TokenBucket:
    """`rate` per second, `burst` at once. Times are seconds of any clock that only grows."""

    __slots__ = ("_burst", "_full_at", "_interval")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1 / rate
        self._burst = (burst - 1) / rate
        self._full_at = 0.0

    def is_full(self, now: float) -> bool:
        """Whether nothing was taken lately."""
        return self._full_at <= now

    def take(self, now: float) -> float:
        """Take one: 0, or the seconds after which the next one is free (and nothing is taken)."""
        full_at = max(self._full_at, now)
        wait = full_at - now - self._burst
        if wait > 1e-9:
            return wait
        self._full_at = full_at + self._interval
        return 0.0


class FrameRate:
    """The frames of one connection: allowed, refused, or too many refusals to go on."""

    __slots__ = ("_bucket", "_refused", "_tolerated")

    def __init__(self, rate: float, burst: int) -> None:
        self._bucket = TokenBucket(rate, burst)
        self._tolerated = 5 * burst
        self._refused = 0

    def take(self, now: float) -> float:
        """0 for a frame that may pass, else the seconds to wait."""
        if self._bucket.is_full(now):
            self._refused = 0
        wait = self._bucket.take(now)
        self._refused += wait > 0
        return wait

    @property
    def abused(self) -> bool:
        """Whether the client has ignored its refusals for long."""
        return self._refused > self._tolerated


class Quota:
    """How many of something one session may have at a time."""

    __slots__ = ("_left",)

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self) -> bool:
        """Take one, if one is left."""
        if not self._left:
            return False
        self._left -= 1
        return True

    def give(self) -> None:
        """Give one back."""
        self._left += 1


class Tally:
    """How many of something each owner has, at most `limit`."""

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()

    def take(self, owner: str) -> bool:
        """Count one more, if the owner may have it."""
        if self._counts[owner] >= self._limit:
            return False
        self._counts[owner] += 1
        return True

    def give(self, owner: str) -> None:
        """One less; an owner of none is forgotten."""
        self._counts[owner] -= 1
        if self._counts[owner] <= 0:
            del self._counts[owner]


class Connections:
    """Counts the connections of the process, of each address and of each user."""

    def __init__(self, total: int, per_address: int | None, per_user: int) -> None:
        self._limit = total
        self._addresses = Tally(per_address or PER_ADDRESS)
        self._counts_loopback = per_address is not None
        self._users = Tally(per_user)
        self.total = 0

    @property
    def is_full(self) -> bool:
        """Whether no more sockets are taken."""
        return self.total >= self._limit

    def open(self) -> bool:
        """Count one more socket, if there is room."""
        if self.is_full:
            return False
        self.total += 1
        return True

    def close(self) -> None:
        """One socket less."""
        self.total -= 1

    def arrive(self, place: str) -> bool:
        """Count one more socket from an address, if it may have it."""
        return not self._is_counted(place) or self._addresses.take(place)

    def depart(self, place: str) -> None:
        """One socket from an address less."""
        if self._is_counted(place):
            self._addresses.give(place)

    def enter(self, user: str) -> bool:
        """Count one more session of a user, if they may have it."""
        return self._users.take(user)

    def leave(self, user: str) -> None:
        """One session of a user less."""
        self._users.give(user)

    def _is_counted(self, place: str) -> bool:
        return self._counts_loopback or not is_loopback(place)
