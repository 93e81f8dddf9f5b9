"""Check a run of public mailboxes from the raw logs and from what clients saw.

Written from docs/protocol.md, with nothing of the code under test: if this and the system
agree, it is not because they share a mistake.
"""

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults.checker import (
    Finding,
    Log,
    Raw,
    Record,
    Report,
    back,
    committed,
    positions,
)
from tests.faults.public.evidence import (
    Connection,
    Counts,
    Found,
    Order,
    Place,
    PublicEvidence,
)
from tests.faults.public.reach import Publish, stage_of

LEFT_MS = 5_000
"""How long a gateway may take to see that somebody has left: it may touch them until then."""

Command = tuple[int, int]
"""A command's partition and offset."""

ENTRY_FIELDS = {
    "publish": ("title", "body", "release", "expires", "priority", "audience"),
    "release": ("publish", "release", "expect"),
    "withdraw": ("publish", "expect"),
}
DEFAULTS = {
    "release": {"percent": 0, "users": []},
    "expires": 0,
    "priority": "normal",
    "audience": None,
}


@dataclass
class Cursor:
    """How far a public mailbox was looked at for a user."""

    read: int = 0
    waiting: set[int] = field(default_factory=set)
    opened: set[int] = field(default_factory=set)


class PublicRun:
    """The logs taken apart, and the evidence."""

    def __init__(self, raw: Raw, evidence: PublicEvidence) -> None:
        self.raw = raw
        self.evidence = evidence
        self.log = Log(raw.mailbox_log)
        self.user_log = Log(raw.user_log)
        self.times = {(one.partition, one.offset): one.ts for one in raw.user_commands}

    @functools.cached_property
    def entries(self) -> dict[str, list[Any]]:
        """The entries of each mailbox, in the order of the log."""
        entries: dict[str, list[Any]] = defaultdict(list)
        for _, _, key, row in self.log.rows:
            mailbox, kind, *_ = key.split("/")
            if kind == "m":
                entries[mailbox].append(row)
        return entries

    @functools.cached_property
    def publishes(self) -> dict[Place, Publish]:
        publishes: dict[Place, Publish] = {}
        for mailbox, rows in self.entries.items():
            for row in rows:
                place = mailbox, row.get("publish", row["seq"])
                if row["kind"] == "publish":
                    publishes[place] = Publish(row)
                if place not in publishes:
                    continue  # Such a log is not what the commands say.
                if row["kind"] == "withdraw":
                    publishes[place].withdrawn = row["seq"]
                else:
                    publishes[place].stages.append(stage_of(row))
        return publishes

    @functools.cached_property
    def standing(self) -> dict[Place, Publish]:
        """The publishes that were not over when it was asked at the end."""
        now = self.evidence.asked
        return {place: one for place, one in self.publishes.items() if not one.over(now)}

    @functools.cached_property
    def touches(self) -> dict[tuple[str, Place], list[Command]]:
        """The commands that touched a user with a publish, by the rows."""
        touches = defaultdict(list)
        for partition, at, key, row in self.user_log.rows:
            user, _, mailbox = key.split("/", 2)
            for publish in row.get("touched", ()):
                touches[user, (mailbox, publish)].append((partition, at[0]))
        return touches

    @functools.cached_property
    def cursors(self) -> dict[tuple[str, str], Cursor]:
        """The last row of each cursor."""
        cursors = {}
        for _, _, key, row in self.user_log.rows:
            user, _, mailbox = key.split("/", 2)
            read, waiting, opened = (row.get(name) for name in ("read", "deferred", "opened"))
            cursors[user, mailbox] = Cursor(read or 0, set(waiting or ()), set(opened or ()))
        return cursors

    def reaches(self, user: str, place: Place) -> int | None:
        """The entry at which a publish reaches a user; None: it doesn't."""
        publish = self.publishes.get(place)
        return publish and publish.reaching_entry(user, self.evidence.claims[user])


def check(raw: Raw, evidence: PublicEvidence) -> Report:
    run = PublicRun(raw, evidence)
    return Report(
        [
            positions(raw, run.log, run.user_log),
            dense(run),
            as_ordered(run),
            orders(run),
            as_touched(run),
            touched_once(run),
            touched_by_reach(run),
            missed(run),
            new_once(run),
            shown_to_those_reached(run),
            told_all(run),
            withdrawn(run),
            found(run),
            counted(run),
            committed(evidence),
            back(evidence),
            Finding("nothing else went wrong", "", evidence.problems),
        ]
    )


# The log of entries


def dense(run: PublicRun) -> Finding:
    offenders = [
        f"{mailbox}: the seqs are {[row['seq'] for row in rows]}"
        for mailbox, rows in run.entries.items()
        if [row["seq"] for row in rows] != list(range(1, len(rows) + 1))
    ]
    epochs = {
        key.split("/")[0]: row["epoch"]
        for _, _, key, row in run.log.rows
        if key.split("/")[1] == "s"
    }
    offenders += [
        f"{mailbox}: its epoch is {epochs.get(mailbox)}, its first entry {rows[0]}"
        for mailbox, rows in run.entries.items()
        if epochs.get(mailbox) != rows[0]["id"]
    ]
    total = sum(map(len, run.entries.values()))
    return Finding("entries are dense from 1", f"{total:,} entries", offenders)


def as_ordered(run: PublicRun) -> Finding:
    """The entries are what the commands come to when they are decided one by one."""
    wanted = decide(run.raw.mailbox_commands)
    offenders = []
    for mailbox in wanted.keys() | run.entries.keys():
        rows = [plain(row) for row in run.entries.get(mailbox, [])]
        expected = wanted.get(mailbox, [])
        offenders += [
            f"{mailbox}: {one} instead of {other}"
            for one, other in zip(rows, expected, strict=False)
            if one != other
        ]
        if len(rows) != len(expected):
            offenders.append(f"{mailbox}: {len(rows)} entries instead of {len(expected)}")
    commands = sum(
        json.loads(one.value or b"{}").get("type") in ENTRY_FIELDS
        for one in run.raw.mailbox_commands
    )
    counted = f"{commands:,} publishes, releases and withdrawals"
    return Finding("the entries are what the commands say", counted, offenders)


def decide(records: Iterable[Record]) -> dict[str, list[Any]]:
    """The entries that the commands come to, mailbox by mailbox."""
    mailboxes: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        command = json.loads(record.value or b"null")
        kind = command["type"]
        if kind not in ENTRY_FIELDS:
            continue
        entries = mailboxes[command["mailbox"]]
        if accepts(entries, kind, command, record.ts):
            entry = {"kind": kind, "seq": len(entries) + 1, "ts": record.ts}
            entries.append(plain({**command, **entry}))
    return {mailbox: entries for mailbox, entries in mailboxes.items() if entries}


def accepts(entries: list[Any], kind: str, command: Any, now: int) -> bool:
    """Whether a command becomes an entry, after those there are."""
    if any(entry["id"] == command["id"] for entry in entries):
        return False
    if kind == "publish":
        return not 0 < command.get("expires", 0) <= now
    about = [entry for entry in entries if entry.get("publish", entry["seq"]) == command["publish"]]
    if not about or about[-1]["seq"] != command["expect"] or about[-1]["kind"] == "withdraw":
        return False
    if kind == "withdraw":
        return True
    is_over = 0 < about[0]["expires"] <= now
    return not is_over and command["release"]["percent"] >= about[-1]["release"]["percent"]


def plain(entry: Any) -> dict[str, Any]:
    """What an entry says, with its defaults."""
    names = ENTRY_FIELDS[entry["kind"]]
    fields = {name: entry.get(name, DEFAULTS.get(name)) for name in names}
    if "release" in fields:
        fields["release"] = DEFAULTS["release"] | fields["release"]
    return {name: entry[name] for name in ("kind", "seq", "id", "by", "ts")} | fields


def orders(run: PublicRun) -> Finding:
    """What operators were told was accepted is there once; what they were not is at most once."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for mailbox, entries in run.entries.items():
        for row in entries:
            rows[row["id"]].append((mailbox, row))
    offenders = [f"{one}: nobody ordered it" for one in rows.keys() - run.evidence.orders]
    for order in run.evidence.orders.values():
        offenders += order_offences(order, rows[order.id])
    told = sum(bool(order.receipts) for order in run.evidence.orders.values())
    counted = f"{told:,} of {len(run.evidence.orders):,} accepted"
    return Finding("an accepted order is one entry", counted, offenders)


def order_offences(order: Order, rows: list[Any]) -> Iterator[str]:
    if order.receipts and not rows:
        yield f"{order}: accepted and lost"
    if len(rows) > 1:
        yield f"{order}: carried out {len(rows)} times"
    for mailbox, row in rows[:1]:
        if order.receipts - {row["seq"]}:
            yield f"{order}: the entry is {row['seq']}"
        stored = mailbox, row["by"], row["kind"], row.get("publish")
        if stored != (order.fields["mailbox"], order.by, order.kind, order.fields.get("publish")):
            yield f"{order}: stored otherwise, in {mailbox} as {row}"
        if order.is_stale:
            yield f"{order}: accepted, though it expects what isn't the last entry"


# What touched users, by the log


def as_touched(run: PublicRun) -> Finding:
    """Rows and cursors are what touches and openings come to when they are decided one by one."""
    wanted, cursors = touch_all(run.raw.user_commands)
    rows = {
        (partition, at[0]): tuple(row["touched"])
        for partition, at, _, row in run.user_log.rows
        if row.get("touched")
    }
    offenders = [
        f"command {place}: touched {rows.get(place)}, not {wanted.get(place)}"
        for place in wanted.keys() | rows.keys()
        if rows.get(place) != wanted.get(place)
    ]
    offenders += [
        f"{place}: the cursor is {run.cursors.get(place)}, not {cursors.get(place)}"
        for place in cursors.keys() | run.cursors.keys()
        if run.cursors.get(place, Cursor()) != cursors.get(place, Cursor())
    ]
    counted = f"{len(wanted):,} touches, {len(cursors):,} cursors"
    return Finding("cursors are what the commands say", counted, offenders)


def touch_all(
    records: Iterable[Record],
) -> tuple[dict[Command, tuple[int, ...]], dict[tuple[str, str], Cursor]]:
    """Which publishes each touch counts, and the cursors after all of them."""
    cursors: dict[tuple[str, str], Cursor] = defaultdict(Cursor)
    touched = {}
    for record in records:
        command = json.loads(record.value or b"null")
        kind, place = command["type"], (command["user"], command.get("mailbox"))
        if kind == "touch":
            fresh = touch(cursors[place], command)
            if fresh:
                touched[record.partition, record.offset] = fresh
        elif kind == "open" and command["publish"] <= cursors[place].read:
            cursors[place].opened.add(command["publish"])
    return touched, cursors


def touch(cursor: Cursor, command: Any) -> tuple[int, ...]:
    """Move a cursor; returns what counts: entries beyond it, and those that waited."""
    some = command.get("touched", ())
    fresh = tuple(one for one, entry, _ in some if entry > cursor.read or entry in cursor.waiting)
    cursor.waiting |= {entry for entry in command.get("deferred", ()) if entry > cursor.read}
    cursor.waiting -= {entry for _, entry, _ in some} | set(command.get("dropped", ()))
    cursor.read = max(cursor.read, command["upto"])
    return fresh


def touched_once(run: PublicRun) -> Finding:
    offenders = [
        f"{user}: touched by {place} in {commands}"
        for (user, place), commands in run.touches.items()
        if len(commands) > 1
    ]
    counted = f"{len(run.touches):,} users and publishes"
    return Finding("nobody is touched twice", counted, offenders)


def touched_by_reach(run: PublicRun) -> Finding:
    """A touch is of a user whom the publish reaches, at that entry, which was there before."""
    offenders = [
        f"{user}: touched by {place}, which doesn't reach them"
        for user, place in run.touches
        if run.reaches(user, place) is None
    ]
    since = {
        (mailbox, row["seq"]): row["ts"] for mailbox, rows in run.entries.items() for row in rows
    }
    count = 0
    for record in run.raw.user_commands:
        command = json.loads(record.value or b"null")
        for publish, entry, _ in command.get("touched", ()):
            count += 1
            user, mailbox = command["user"], command["mailbox"]
            if run.reaches(user, (mailbox, publish)) != entry:
                offenders.append(f"{user}: to be touched by {mailbox}/{publish} at {entry}")
            elif since[mailbox, entry] > record.ts:
                offenders.append(f"{user}: touched by {mailbox}/{publish} before it was there")
    return Finding("only those reached are touched", f"{count:,} touches sent", offenders)


def missed(run: PublicRun) -> Finding:
    offenders = [
        f"{user}: never touched by {place}"
        for user in run.evidence.claims
        for place in run.standing
        if run.reaches(user, place) is not None and (user, place) not in run.touches
    ]
    total = len(run.standing) * len(run.evidence.claims)
    counted = f"{len(run.standing):,} publishes that stand, {total:,} users and publishes"
    return Finding("everybody reached is touched", counted, offenders)


# What clients saw


def new_once(run: PublicRun) -> Finding:
    """Shown as new once, and only if recorded: to one connection, or to several at one gateway."""
    shown: dict[tuple[str, Place], list[Connection]] = defaultdict(list)
    for connection in (*run.evidence.connections, *run.evidence.last):
        for told in connection.told:
            if told.is_new:
                shown[connection.user, told.place].append(connection)
    offenders = []
    for (user, place), connections in shown.items():
        places = [(one.url, one.opened) for one in connections]
        if (user, place) not in run.touches:
            offenders.append(f"{user}: shown {place}, which is not recorded")
        if len({one.url for one in connections}) > 1 or not all_at_once(connections):
            offenders.append(f"{user}: shown {place} as new more than once, at {places}")
    counted = f"{len(shown):,} users and publishes"
    return Finding("nothing is shown as new twice", counted, offenders)


def all_at_once(connections: list[Connection]) -> bool:
    """Whether connections are different ones that were open at the same time."""
    latest = max(one.opened for one in connections)
    are_open = all(one.ended is None or one.ended >= latest for one in connections)
    return are_open and len({id(one) for one in connections}) == len(connections)


def shown_to_those_reached(run: PublicRun) -> Finding:
    """Whatever a client got is of a publish that reaches its user, at the entry where it does."""
    seen = [
        (connection.user, told.place, told.entry)
        for connection in (*run.evidence.connections, *run.evidence.last)
        for told in connection.told
        if told.op == "notice"
    ]
    seen += [
        (user, place, one.entry)
        for user, some in run.evidence.found.items()
        for place, one in some.items()
    ]
    offenders = [
        f"{user}: was shown {place} at {entry}, it reaches them at {run.reaches(user, place)}"
        for user, place, entry in seen
        if run.reaches(user, place) != entry
    ]
    offenders += [
        f"{connection.user}: was told that {told.place} is withdrawn, which didn't reach them"
        for connection in run.evidence.connections
        for told in connection.told
        if told.op == "withdrawn" and run.reaches(connection.user, told.place) is None
    ]
    counted = f"{len(seen):,} notices"
    return Finding("nobody else sees anything", counted, offenders)


def told_all(run: PublicRun) -> Finding:
    """Who was there and stayed was shown it, by one gateway at least to all their connections."""
    by_user = defaultdict(list)
    for connection in run.evidence.connections:
        by_user[connection.user].append(connection)
    offenders, stayed, later = [], 0, 0
    for (user, place), commands in run.touches.items():
        if place not in run.standing:
            continue
        at = run.times[commands[0]]
        there = [one for one in by_user[user] if was_there(one, at)]
        if there and all(one.ended is None and (one.synced or at) < at for one in there):
            stayed += 1
            urls = {one.url for one in there if one.shows(place)}
            if not urls or any(one.url in urls and not one.shows(place) for one in there):
                offenders.append(f"{user}: touched by {place} at {at}, stayed, was not shown it")
        elif not any(one.shows(place) for one in by_user[user]):
            later += 1
    counted = f"{stayed:,} shown to who stayed; {later:,} of the others only found it later"
    return Finding("who stays is shown what touches them", counted, offenders)


def was_there(connection: Connection, at: float) -> bool:
    """Whether a gateway may have thought at a time that a connection is open."""
    return connection.opened <= at and (connection.ended is None or at < connection.ended + LEFT_MS)


def withdrawn(run: PublicRun) -> Finding:
    """Nothing withdrawn is shown once that is known, and who was shown it is told."""
    offenders, looked_at = [], 0
    for connection in run.evidence.connections:
        shown, over = set(), set()
        for told in connection.told:
            if told.op == "withdrawn":
                over.add(told.place)
            elif told.place in over:
                offenders.append(f"{connection.user}: shown {told.place} after its withdrawal")
            else:
                shown.add(told.place)
        looked_at += len(over)
        if connection.ended is None:
            offenders += [
                f"{connection.user}: shows {place}, was not told of its withdrawal"
                for place in shown - over
                if place in run.publishes and run.publishes[place].withdrawn
            ]
    for place, (url, at) in withdrawals(run.evidence):
        offenders += [
            f"{connection.user}: came to {url} after the withdrawal of {place}, was shown it"
            for connection in run.evidence.connections
            if connection.url == url and connection.opened > at and connection.shows(place)
        ]
    offenders += [
        f"{connection.user}: shown {told.place} at the end, which is over"
        for connection in run.evidence.last
        for told in connection.told
        if told.place not in run.standing
    ]
    return Finding("what is withdrawn is not shown", f"{looked_at:,} told of it", offenders)


def withdrawals(evidence: PublicEvidence) -> Iterator[tuple[Place, tuple[str, float]]]:
    """Which gateway told an operator when that a publish is withdrawn."""
    for order in evidence.orders.values():
        if order.kind == "withdraw" and order.answered is not None:
            yield (order.fields["mailbox"], order.fields["publish"]), order.answered


def found(run: PublicRun) -> Finding:
    """`notices` and `sync` say what has touched the user and stands, and what they have opened."""
    wanted: dict[str, dict[Place, Found]] = {user: {} for user in run.evidence.claims}
    for user, place in run.touches:
        entry = run.reaches(user, place)
        if place in run.standing and entry is not None:
            is_open = place[1] in run.cursors[user, place[0]].opened
            wanted[user][place] = Found(entry, is_open)
    offenders = [
        f"{user}: finds {run.evidence.found.get(user)}, not {wanted[user]}"
        for user in wanted
        if run.evidence.found.get(user) != wanted[user]
    ]
    for user, places in wanted.items():
        unread = Counter({mailbox: 0 for mailbox, _ in places})
        unread.update(mailbox for (mailbox, _), one in places.items() if not one.opened)
        if run.evidence.unread.get(user) != unread:
            offenders.append(f"{user}: sync says {run.evidence.unread.get(user)}, not {unread}")
    total = sum(map(len, wanted.values()))
    return Finding("what was shown is found again", f"{total:,} found", offenders)


# Counts


def counted(run: PublicRun) -> Finding:
    """What is told of touched and opened is what the rows of the users come to."""
    touched = Counter(place for _, place in run.touches)
    opened = Counter(
        (mailbox, publish)
        for (_, mailbox), cursor in run.cursors.items()
        for publish in cursor.opened
    )
    wanted = {place: (touched[place], opened[place]) for place in touched | opened}
    told = {**run.evidence.counts_told, "the rows": counts_in_rows(run.user_log)}
    offenders = [
        f"{place}: {who} told {counts.get(place)}, it is {wanted.get(place)}"
        for who, counts in told.items()
        for place in wanted.keys() | counts.keys()
        if counts.get(place) != wanted.get(place)
    ]
    offenders += [
        f"{user}: was told that {place} is opened, it is not"
        for user, place in run.evidence.opened
        if place[1] not in run.cursors.get((user, place[0]), Cursor()).opened
    ]
    total = f"{touched.total():,} touched, {opened.total():,} opened, told by {', '.join(told)}"
    return Finding("counts are right", total, offenders)


def counts_in_rows(user_log: Log) -> Counts:
    """The greatest totals in any row of each partition, added up."""
    latest: dict[tuple[int, Place], tuple[int, int]] = {}
    for partition, _, key, row in user_log.rows:
        mailbox = key.split("/", 2)[2]
        for publish, total in row.get("counts", {}).items():
            place = partition, (mailbox, int(publish))
            latest[place] = max(latest.get(place, (0, 0)), tuple(total))
    counts: Counts = {}
    for (_, place), (touched, opened) in latest.items():
        before = counts.get(place, (0, 0))
        counts[place] = before[0] + touched, before[1] + opened
    return counts
