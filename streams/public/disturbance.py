"""When a user may be disturbed: quiet hours, a daily cap, and priorities. Pure: the caller brings the time.

Urgent publishes are shown at any time, and don't use up the cap. The others wait while it is
quiet for the user or the day's cap is used up; those that may be shown come in the order of priority, then of
the entries that reach the user. What is expired or withdrawn is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from streams.commands import MAX_DEFERRED, MAX_TOUCHES
from tables.rows import Priority

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
MAX_OFFSET = 14 * 60
"""Minutes between UTC and the farthest local times."""

_RANK: dict[Priority, int] = {"urgent": 0, "normal": 1, "low": 2}
_QUIET = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


class Quiet(Struct, frozen=True):
    """Quiet hours, in minutes of the user's day; `end` is the first minute that isn't quiet."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is quiet; hours that begin before midnight may end after it."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


NEVER = Quiet(0, 0)


class Calm(Struct, frozen=True):
    """How far users may be disturbed: not in quiet hours, and `cap` times a day (None: any number)."""

    quiet: Quiet = NEVER
    cap: int | None = None


class Candidate(Struct, frozen=True):
    """A publish that reaches the user at `entry`, and whether it is over by now (expired or withdrawn)."""

    publish: int
    entry: int
    priority: Priority = "normal"
    over: bool = False


class Plan(Struct, frozen=True):
    """What a look at a public mailbox comes to; the fields of a touch.

    upto: how far it has been looked at. deferred: entries beyond the cursor that wait from now on.
    dropped: entries that waited and are over.
    """

    upto: int
    touched: tuple[tuple[int, int, Priority], ...] = ()
    deferred: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


def parse_quiet(text: str) -> Quiet:
    """Quiet hours as `22:00-08:00`; empty or with equal ends: none. Raises `ValueError`."""
    if not text:
        return NEVER
    found = _QUIET.match(text)
    if found is None:
        raise ValueError(f"quiet hours look like 22:00-08:00, not {text!r}")
    hour, minute, end_hour, end_minute = map(int, found.groups())
    return Quiet(hour * 60 + minute, end_hour * 60 + end_minute)


def local_time(now: int, utc_offset: object) -> int:
    """The user's time in ms: `now` (ms since 1970) moved by the claim `utc_offset` (minutes), UTC if it is none."""
    if type(utc_offset) is not int or abs(utc_offset) > MAX_OFFSET:
        return now
    return now + utc_offset * MINUTE


def day_of(local: int) -> int:
    """The user's day, in days since 1970."""
    return local // DAY


def is_quiet(local: int, quiet: Quiet) -> bool:
    """Whether it is quiet for the user."""
    return quiet.holds(local % DAY // MINUTE)


def look_again_in(local: int, quiet: Quiet) -> int:
    """Ms until what waits may have its turn: the end of the quiet hours, or else of the user's day."""
    of_day = local % DAY
    if is_quiet(local, quiet):
        return (quiet.end * MINUTE - of_day) % DAY
    return DAY - of_day


def plan(
    waiting: Sequence[Candidate],
    coming: Sequence[Candidate],
    head: int,
    local: int,
    calm: Calm,
    today: int,
) -> Plan:
    """Whom to touch now.

    waiting: what was deferred. coming: what reaches the user beyond their cursor, in the order of entries.
    head: the last entry that was looked at for `coming`. local: the user's time in ms.
    today: how many have touched the user on this day already, over all public mailboxes.
    """
    looked, upto = _looked_at(waiting, coming, head)
    show, keep = _shared_out((*waiting, *looked), local, calm, today)
    reached = {candidate.entry for candidate in looked}
    return Plan(
        upto,
        tuple((one.publish, one.entry, one.priority) for one in show),
        tuple(sorted(one.entry for one in keep if one.entry in reached)),
        tuple(one.entry for one in waiting if one.over),
    )


def _looked_at(
    waiting: Sequence[Candidate], coming: Sequence[Candidate], head: int
) -> tuple[list[Candidate], int]:
    """As much of what comes as can wait if it must, and the last entry before the rest."""
    live = [one for one in coming if not one.over]
    room = MAX_DEFERRED - sum(not one.over for one in waiting)
    rest = live[room:]
    return live[:room], rest[0].entry - 1 if rest else head


def _shared_out(
    candidates: Iterable[Candidate], local: int, calm: Calm, today: int
) -> tuple[list[Candidate], list[Candidate]]:
    """Those to be shown, and those to wait."""
    allowed = _allowed(local, calm, today)
    show: list[Candidate] = []
    keep: list[Candidate] = []
    live = (one for one in candidates if not one.over)
    for one in sorted(live, key=lambda one: (_RANK[one.priority], one.entry)):
        urgent = one.priority == "urgent"
        if len(show) < MAX_TOUCHES and (urgent or allowed > 0):
            show.append(one)
            allowed -= not urgent
        else:
            keep.append(one)
    return show, keep


def _allowed(local: int, calm: Calm, today: int) -> int:
    if is_quiet(local, calm.quiet):
        return 0
    return MAX_TOUCHES if calm.cap is None else calm.cap - today
