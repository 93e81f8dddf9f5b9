"""The rules of touching: a publish touches a user once, whatever devices, retries and restarts do.

A publish reaches a user at one entry. That entry is touched, deferred, or left out for good when
the cursor passes it; afterwards only a deferred one can still be touched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from streams.commands import MAX_DEFERRED, Open, Touch
from streams.errors import Code, Refused
from streams.ids import SYSTEM
from streams.users.layout import COUNTED, Total, Totals
from tables.rows import Cursor

DAY = 86_400_000


def decide(cursor: Cursor, c: Touch | Open, now: int, totals: Totals) -> Cursor:
    """The cursor after a command (`now` in ms since 1970); raises `Refused`."""
    if c.by not in (c.user, SYSTEM):
        raise Refused(Code.FORBIDDEN, "only the user is touched, and opens")
    return touch(cursor, c, now, totals) if isinstance(c, Touch) else open_(cursor, c, totals)


def touch(cursor: Cursor, c: Touch, now: int, totals: Totals) -> Cursor:
    """Move on to `upto`; count what is touched for the first time, keep what is deferred."""
    day = now // DAY if c.day is None else c.day
    _check(c, day, now)
    waiting = set(cursor.deferred)
    fresh = [one for one in c.touched if one[1] > cursor.read or one[1] in waiting]
    waiting |= {entry for entry in c.deferred if entry > cursor.read}
    waiting -= {entry for _, entry, _ in c.touched}
    waiting -= set(c.dropped)
    if len(waiting) > MAX_DEFERRED:
        raise Refused(Code.CONFLICT, f"only {MAX_DEFERRED} can be deferred: look again")
    after = replace(cursor, read=max(cursor.read, c.upto), deferred=tuple(sorted(waiting)))
    if not fresh:
        return after if after == cursor else replace(after, touched=())
    reached = tuple((publish, entry) for publish, entry, _ in fresh)
    calm = sum(priority != "urgent" for _, _, priority in fresh)
    return replace(
        _counted(after, c.mailbox, totals, reached, (1, 0)),
        touched=tuple(publish for publish, _ in reached),
        day=max(cursor.day, day),
        today=calm if day > cursor.day else cursor.today + calm,
    )


def open_(cursor: Cursor, c: Open, totals: Totals) -> Cursor:
    """Count the first opening of a publish."""
    if c.publish > cursor.read:
        raise Refused(Code.BAD_REQUEST, f"publish {c.publish} has not been looked at for this user")
    entry = c.publish if c.entry is None else c.entry
    if not c.publish <= entry <= cursor.read:
        raise Refused(Code.BAD_REQUEST, "entry: it has not reached this user with the publish")
    if c.publish in cursor.opened or c.publish <= totals.newest(c.mailbox) - COUNTED:
        return cursor
    opened = tuple(sorted((*cursor.opened, c.publish)))
    after = replace(cursor, opened=opened, touched=())
    return _counted(after, c.mailbox, totals, ((c.publish, entry),), (0, 1))


def _check(c: Touch, day: int, now: int) -> None:
    entries = [entry for _, entry, _ in c.touched]
    if any(entry > c.upto for entry in (*entries, *c.deferred)):
        raise Refused(Code.BAD_REQUEST, "touched and deferred entries are not beyond 'upto'")
    if any(publish > entry for publish, entry, _ in c.touched):
        raise Refused(Code.BAD_REQUEST, "touched: a publish is not reached before its own entry")
    if min(len({publish for publish, _, _ in c.touched}), len(set(entries))) < len(entries):
        raise Refused(Code.BAD_REQUEST, "touched: no publish and no entry stands there twice")
    # A user's day is at most one away from the day of UTC; one far ahead would never end.
    if abs(day - now // DAY) > 1:
        raise Refused(Code.BAD_REQUEST, "day: it is the user's present day, in days since 1970")


def _counted(
    cursor: Cursor,
    mailbox: str,
    totals: Totals,
    reached: tuple[tuple[int, int], ...],
    more: Total,
) -> Cursor:
    """The cursor with the totals that it counts, and those of its own that are still the latest.

    reached: publishes with their reaching entries. more: what is added to each.
    """
    first = max(totals.newest(mailbox), *(entry for _, entry in reached)) - COUNTED + 1
    publishes = [publish for publish, _ in reached]
    further = [entry for publish, entry in reached if entry != publish]
    of_publish, of_stage = partial(totals.of, mailbox), partial(totals.stage, mailbox)
    return replace(
        cursor,
        counts=_added(cursor.counts, publishes, more, of_publish, first),
        stages=_added(cursor.stages, further, more, of_stage, first),
        opened=tuple(publish for publish in cursor.opened if publish >= first),
    )


def _added(
    own: dict[int, Total], seqs: list[int], more: Total, latest: Callable[[int], Total], first: int
) -> dict[int, Total]:
    kept = {seq: total for seq, total in own.items() if total == latest(seq)}
    kept |= {seq: _sum(latest(seq), more) for seq in seqs}
    return {seq: kept[seq] for seq in sorted(kept) if seq >= first}


def _sum(one: Total, other: Total) -> Total:
    return one[0] + other[0], one[1] + other[1]
