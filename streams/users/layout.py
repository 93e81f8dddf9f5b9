"""The user table: decoding its rows, and the keys that are derived from them.

A touch or an opening is counted in the cursor row that it writes anyway: the row holds the running
totals of what it counted, over all users of the partition. The latest total of a publish is
therefore in the row of the user who was counted last; while it is the latest, each further row of that user
carries it on, so that no compaction loses it. Totals only grow, so the greatest one in any row is
the latest. Derived keys (they begin with a zero byte) hold them ready:
    total    of a publish: how often it was touched and opened
    stage    of an entry that releases a publish further: the same of those whom it reached first
    newest   of a public mailbox: the newest entry that was counted
Both are kept for the `COUNTED` entries up to the newest, which bounds the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.feeds import inboxes
from streams.routes.rules import decode_lease, decode_route
from tables.keys import parse_key
from tables.overlay import Overlay, Row
from tables.rows import Cursor

COUNTED = 1_000
"""Entries, up to the newest that was counted, among which publishes and stages are counted."""

Total = tuple[int, int]
"""How often a publish was touched and opened, by all or by those whom one stage reached."""

NO_TOTAL: Total = (0, 0)

decode_cursor = msgspec.json.Decoder(Cursor).decode
decode_total = msgspec.msgpack.Decoder(Total).decode
decode_newest = msgspec.msgpack.Decoder(int).decode


def total_prefix(mailbox: str) -> bytes:
    """What all keys of totals of a mailbox begin with."""
    return b"\0t/%b/" % mailbox.encode()


def total_key(mailbox: str, publish: int) -> bytes:
    """Key of a publish's total."""
    return b"%b%016d" % (total_prefix(mailbox), publish)


def stage_prefix(mailbox: str) -> bytes:
    """What all keys of the totals of stages begin with."""
    return b"\0g/%b/" % mailbox.encode()


def stage_key(mailbox: str, entry: int) -> bytes:
    """Key of what the stage of an entry came to."""
    return b"%b%016d" % (stage_prefix(mailbox), entry)


def newest_key(mailbox: str) -> bytes:
    """Key of the newest entry that was counted."""
    return b"\0n/%b" % mailbox.encode()


class Totals:
    """Reads the totals of a partition."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Overlay) -> None:
        self._rows = rows

    def of(self, mailbox: str, publish: int) -> Total:
        """The total of a publish."""
        found: Total | None = self._rows.get(total_key(mailbox, publish), decode_total)
        return found or NO_TOTAL

    def stage(self, mailbox: str, entry: int) -> Total:
        """What the stage of an entry came to."""
        found: Total | None = self._rows.get(stage_key(mailbox, entry), decode_total)
        return found or NO_TOTAL

    def newest(self, mailbox: str) -> int:
        """The newest entry that was counted, 0 if none."""
        found: int | None = self._rows.get(newest_key(mailbox), decode_newest)
        return found or 0


class UserLayout:
    """How user rows are read, and what follows from them."""

    bulk: frozenset[type] = frozenset((Cursor,))

    def decode(self, key: bytes, value: bytes) -> Row:
        """The typed row."""
        kind = parse_key(key).kind
        match kind:
            case "c":
                return decode_cursor(value)
            case "r":
                return decode_route(value)
            case "l":
                return decode_lease(value)
        return inboxes.decode(key, kind, value)

    def derive(self, rows: Overlay, keys: Sequence[bytes], put: Sequence[Row | None]) -> None:
        """Bring totals and inboxes in line with rows."""
        for key, row in zip(keys, put, strict=True):
            if not isinstance(row, Cursor):
                inboxes.derive(rows, key, row)
            elif row.counts or row.stages:
                _take_counts(rows, parse_key(key).name, row)


def _take_counts(rows: Overlay, mailbox: str, row: Cursor) -> None:
    totals = Totals(rows)
    before = totals.newest(mailbox)
    newest = max(before, *row.counts, *row.stages)
    for publish, total in row.counts.items():
        if publish > newest - COUNTED and total > totals.of(mailbox, publish):
            rows.put_derived(total_key(mailbox, publish), total)
    for entry, total in row.stages.items():
        if entry > newest - COUNTED and total > totals.stage(mailbox, entry):
            rows.put_derived(stage_key(mailbox, entry), total)
    if newest > before:
        rows.put_derived(newest_key(mailbox), newest)
        _forget(rows, mailbox, max(before - COUNTED, 0), min(newest - COUNTED, before))


def _forget(rows: Overlay, mailbox: str, after: int, upto: int) -> None:
    for seq in range(after + 1, upto + 1):
        for key in (total_key(mailbox, seq), stage_key(mailbox, seq)):
            if rows.get(key, decode_total) is not None:
                rows.put_derived(key, None)
