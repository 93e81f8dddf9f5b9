"""Check a run from the raw logs alone.

Written from docs/protocol.md, with nothing of the code under test: if this and the system
agree, it is not because they share a mistake.
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from tests.faults.evidence import Evidence, Run, Shown

BACK_SECONDS = 30.0
SHOWN_OFFENDERS = 10

Position = tuple[int, int]


class Record(NamedTuple):
    """A record of a topic; ts: its time in ms."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    ts: int = 0


class Raw(NamedTuple):
    """The four topics, each partition's records in order."""

    mailbox_commands: list[Record]
    mailbox_log: list[Record]
    user_commands: list[Record]
    user_log: list[Record]


@dataclass(frozen=True)
class Finding:
    """One property: how much was looked at, and what offends it."""

    name: str
    counted: str
    offenders: list[str]

    @property
    def holds(self) -> bool:
        return not self.offenders


class Report:
    """All findings of a run."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)

    @property
    def clean(self) -> bool:
        return all(finding.holds for finding in self.findings)

    def show(self, console: Console) -> None:
        table = Table("", "property", "looked at", show_edge=False)
        for finding in self.findings:
            sign = "[green]✓[/]" if finding.holds else "[bold red]✗[/]"
            table.add_row(sign, finding.name, finding.counted)
        console.print(table)
        for finding in self.findings:
            if not finding.holds:
                self._show_offenders(console, finding)

    def _show_offenders(self, console: Console, finding: Finding) -> None:
        console.print(f"\n[bold red]{finding.name}[/]: {len(finding.offenders)} offend")
        for offender in finding.offenders[:SHOWN_OFFENDERS]:
            console.print(f"  {offender}", markup=False, soft_wrap=True)

    def __str__(self) -> str:
        lines = [
            f"{finding.name}: {offender}"
            for finding in self.findings
            for offender in finding.offenders[:SHOWN_OFFENDERS]
        ]
        return "\n".join(lines) or "clean"


# Reading the logs

ROUTING = "rl"
"""Kinds of rows that say which gateways are forwarded to."""


def read_raw(bootstrap: str, app_id: str) -> Raw:
    names = ("mailbox-commands", "mailbox-changelog", "user-commands", "user-changelog")
    return Raw(*(read_topic(bootstrap, f"{app_id}-{name}") for name in names))


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    with contextlib.closing(consumer):
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning()
        records = []
        while any(consumer.position(place) < ends[place] for place in places):
            for batch in consumer.poll(timeout_ms=1_000, max_records=5_000).values():
                records += [
                    Record(
                        one.partition, one.offset, one.key, one.value, one.headers, one.timestamp
                    )
                    for one in batch
                ]
    return records


def position_of(record: Record) -> Position:
    if record.value is None:
        offset, index = dict(record.headers)["at"].decode().split(",")
    else:
        offset, index = json.loads(record.value)["at"]
    return int(offset), int(index)


class Log:
    """A log by the position rule: rows that aren't beyond the last position are skipped.

    A row that repeats what stands under its key is a repair: written again so that compaction
    keeps it and not a late one. It changes nothing. Rows about forwarding stand apart.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.rows: list[tuple[int, Position, str, Any]] = []
        self.routing: list[tuple[int, Position, str, Any]] = []
        self.skipped = self.repaired = 0
        last: dict[int, Position] = {}
        current: dict[bytes | None, Any] = {}
        for record in records:
            at = position_of(record)
            if at <= last.get(record.partition, (-1, 0)):
                self.skipped += 1
                continue
            last[record.partition] = at
            value = None if record.value is None else json.loads(record.value)
            content = value and {**value, "at": None}
            if record.key in current and current[record.key] == content:
                self.repaired += 1
                continue
            current[record.key] = content
            assert record.key is not None
            key = record.key.decode()
            rows = self.routing if key.split("/")[1] in ROUTING else self.rows
            rows.append((record.partition, at, key, value))


@dataclass
class Mailbox:
    """A mailbox as its rows tell it."""

    epoch: str = ""
    floor: int = 0
    messages: dict[int, Any] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)
    partitions: set[int] = field(default_factory=set)

    @property
    def head(self) -> int:
        return max(self.messages, default=0)

    def own(self, user: str) -> int:
        return max((seq for seq, row in self.messages.items() if row["from"] == user), default=0)


def mailboxes_of(log: Log) -> dict[str, Mailbox]:
    mailboxes: dict[str, Mailbox] = defaultdict(Mailbox)
    for partition, _, key, row in log.rows:
        name, kind, what = [*key.split("/", 2), ""][:3]
        mailbox = mailboxes[name]
        mailbox.partitions.add(partition)
        if kind == "s":
            mailbox.epoch, mailbox.floor = row["epoch"], row.get("floor", 0)
        elif kind == "u" and row is None:
            mailbox.members.pop(what, None)
        elif kind == "u":
            mailbox.members[what] = row
        elif kind == "m":
            mailbox.messages[int(what)] = row
            mailbox.order.append(int(what))
    return mailboxes


def cursors_of(log: Log) -> dict[tuple[str, str], Any]:
    cursors = {}
    for _, _, key, row in log.rows:
        user, _, mailbox = key.split("/", 2)
        cursors[user, mailbox] = row
    return {place: row for place, row in cursors.items() if row is not None}


# What the commands should have come to


@dataclass
class Expected:
    """A mailbox as the commands alone make it, decided one by one."""

    members: set[str] = field(default_factory=set)
    messages: list[Shown] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)


def decide(records: Iterable[Record]) -> dict[str, Expected]:
    """Decide create, join, leave and send in the order of the topic."""
    mailboxes: dict[str, Expected] = {}
    for record in records:
        command = json.loads(record.value or b"null")
        kind, name = command["type"], command["mailbox"]
        if kind == "create":
            mailboxes.setdefault(name, Expected(members={command["by"]}))
        elif name in mailboxes:
            apply(mailboxes[name], kind, command)
    return mailboxes


def apply(mailbox: Expected, kind: str, command: Any) -> None:
    named = command.get("members") or [command["by"]]
    if kind == "join":
        mailbox.members.update(named)
    elif kind == "leave":
        mailbox.members.difference_update(named)
    elif kind == "send" and command["by"] in mailbox.members and command["id"] not in mailbox.ids:
        mailbox.ids.add(command["id"])
        seq = len(mailbox.messages) + 1
        mailbox.messages.append(Shown(seq, command["id"], command["by"], command["body"]))


def highest_reads(records: Iterable[Record]) -> dict[tuple[str, str], int]:
    reads: dict[tuple[str, str], int] = defaultdict(int)
    for record in records:
        command = json.loads(record.value or b"null")
        if command["type"] == "read":
            place = command["user"], command["mailbox"]
            reads[place] = max(reads[place], command["seq"])
    return reads


# The properties


def check(raw: Raw, evidence: Evidence) -> Report:
    log, user_log = Log(raw.mailbox_log), Log(raw.user_log)
    mailboxes, cursors = mailboxes_of(log), cursors_of(user_log)
    expected = decide(raw.mailbox_commands)
    return Report(
        [
            positions(raw, log, user_log),
            dense(mailboxes),
            acknowledged(mailboxes, evidence),
            as_decided(mailboxes, expected),
            heard(mailboxes, evidence),
            cursors_as_read(cursors, mailboxes, raw),
            synced(mailboxes, cursors, evidence),
            committed(evidence),
            back(evidence),
            Finding("nothing else went wrong", "", evidence.problems),
        ]
    )


def positions(raw: Raw, log: Log, user_log: Log) -> Finding:
    """Every row stands at the position of a command that is there, in its own partition."""
    offenders = []
    for commands, rows in ((raw.mailbox_commands, log.rows), (raw.user_commands, user_log.rows)):
        keys = {(one.partition, one.offset): (one.key or b"").decode() for one in commands}
        offenders += [
            f"row {key} at {at} of partition {partition}, command {keys.get((partition, at[0]))}"
            for partition, at, key, _ in rows
            if keys.get((partition, at[0])) != key.split("/", 1)[0]
        ]
    total = len(log.rows) + len(user_log.rows)
    skipped, repaired = log.skipped + user_log.skipped, log.repaired + user_log.repaired
    counted = f"{total:,} rows, {skipped:,} late ones skipped, {repaired:,} repaired"
    return Finding("rows follow commands", counted, offenders)


def dense(mailboxes: dict[str, Mailbox]) -> Finding:
    offenders = []
    for name, mailbox in mailboxes.items():
        if mailbox.order != list(range(1, len(mailbox.order) + 1)):
            broken = next(seq for seq, found in enumerate(mailbox.order, 1) if seq != found)
            offenders.append(f"{name}: at place {broken} stands {mailbox.order[broken - 1]}")
        if len(mailbox.partitions) > 1:
            offenders.append(f"{name}: rows in partitions {sorted(mailbox.partitions)}")
        offenders += [
            f"{name}/{seq}: the row says seq {row['seq']}"
            for seq, row in mailbox.messages.items()
            if row is not None and row["seq"] != seq
        ]
    return Finding("seqs are dense from 1", f"{len(mailboxes):,} mailboxes", offenders)


def acknowledged(mailboxes: dict[str, Mailbox], evidence: Evidence) -> Finding:
    """What was acknowledged is there once, as sent; what was not is there at most once."""
    places: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for name, mailbox in mailboxes.items():
        for row in mailbox.messages.values():
            places[row["id"]].append((name, row))
    offenders = [f"{one}: in the log, but nobody sent it" for one in places.keys() - evidence.sent]
    for sent in evidence.sent.values():
        offenders += offences(sent, places[sent.id])
    told = sum(sent.acknowledged for sent in evidence.sent.values())
    return Finding("acknowledged is stored, once", f"{told:,} of {len(evidence.sent):,}", offenders)


def offences(sent: Any, places: list[tuple[str, Any]]) -> Iterator[str]:
    label = f"{sent.mailbox} {sent.id} of {sent.sender}"
    if sent.acknowledged and not places:
        yield f"{label}: acknowledged with {sorted(sent.receipts)} and lost"
    if len(places) > 1:
        yield f"{label}: stored {len(places)} times, {[row['seq'] for _, row in places]}"
    for name, row in places[:1]:
        if (name, row["from"], row.get("body")) != (sent.mailbox, sent.sender, sent.body):
            yield f"{label}: stored otherwise, in {name} as {row}"
        if sent.receipts - {row["seq"]}:
            yield f"{label}: stored as {row['seq']}, receipts say {sorted(sent.receipts)}"


def as_decided(mailboxes: dict[str, Mailbox], expected: dict[str, Expected]) -> Finding:
    """The log is what the commands come to when they are decided one by one."""
    offenders = []
    for name in mailboxes.keys() | expected.keys():
        found, wanted = mailboxes.get(name, Mailbox()), expected.get(name, Expected())
        shown = [shown_of(found.messages[seq]) for seq in sorted(found.messages)]
        if shown != wanted.messages:
            offenders.append(f"{name}: {first_difference(shown, wanted.messages)}")
        if found.members.keys() != wanted.members:
            offenders.append(f"{name}: members {found.members.keys() ^ wanted.members} differ")
    total = sum(len(one.messages) for one in expected.values())
    return Finding("the log is what the commands say", f"{total:,} messages", offenders)


def heard(mailboxes: dict[str, Mailbox], evidence: Evidence) -> Finding:
    """Each listener showed every message of its mailboxes in order, none twice, none missing."""
    offenders = []
    for one in evidence.heard:
        for name, shown in one.shown.items():
            messages = mailboxes[name].messages
            stored = [shown_of(messages[seq]) for seq in sorted(messages)]
            if shown != stored:
                offenders.append(f"{one.user} in {name}: {first_difference(shown, stored)}")
    total = sum(len(shown) for one in evidence.heard for shown in one.shown.values())
    counted = f"{total:,} deliveries to {len(evidence.heard)} listeners"
    return Finding("every listener saw everything in order", counted, offenders)


def cursors_as_read(
    cursors: dict[tuple[str, str], Any], mailboxes: dict[str, Mailbox], raw: Raw
) -> Finding:
    """A cursor is the highest seq that was read; membership is what the mailbox says."""
    reads = highest_reads(raw.user_commands)
    members = {(user, name) for name, mailbox in mailboxes.items() for user in mailbox.members}
    offenders = [
        f"{user} in {name}: cursor {row.get('read', 0)}, read up to {reads.get((user, name), 0)}"
        for (user, name), row in cursors.items()
        if row.get("read", 0) != reads.get((user, name), 0)
    ]
    offenders += [f"{place}: read, but no cursor" for place in reads.keys() - cursors.keys()]
    believed = {place for place, row in cursors.items() if row.get("member", False)}
    offenders += [
        f"{user} in {name}: {'no ' if (user, name) in members else ''}member by the mailbox, "
        "the user's own row says otherwise"
        for user, name in believed ^ members
    ]
    return Finding("cursors are what was read", f"{len(cursors):,} cursors", offenders)


def synced(
    mailboxes: dict[str, Mailbox], cursors: dict[tuple[str, str], Any], evidence: Evidence
) -> Finding:
    """`sync` says what the logs say."""
    offenders = []
    for user, entries in evidence.syncs.items():
        mine = {name for name, mailbox in mailboxes.items() if user in mailbox.members}
        offenders += [f"{user}: {name} differs in sync" for name in entries.keys() ^ mine]
        for name in entries.keys() & mine:
            wanted = counts_of(mailboxes[name], user, cursors.get((user, name), {}))
            found = {field: entries[name][field] for field in wanted}
            if found != wanted:
                offenders.append(f"{user} in {name}: sync says {found}, the logs {wanted}")
    total = sum(len(entries) for entries in evidence.syncs.values())
    counted = f"{total:,} counts of {len(evidence.syncs)} users"
    return Finding("sync says what the logs say", counted, offenders)


def counts_of(mailbox: Mailbox, user: str, cursor: Any) -> dict[str, Any]:
    read, joined = cursor.get("read", 0), mailbox.members[user]["joined"]
    seen = max(joined, read, mailbox.own(user), mailbox.floor)
    unread = max(0, mailbox.head - seen)
    return {"epoch": mailbox.epoch, "head": mailbox.head, "read": read, "unread": unread}


def committed(evidence: Run) -> Finding:
    offenders = [
        f"{topic}/{partition}: committed {evidence.committed.get((topic, partition))} of {end}"
        for (topic, partition), end in evidence.ends.items()
        if evidence.committed.get((topic, partition), 0) < end
    ]
    counted = f"{len(evidence.ends)} partitions"
    return Finding("all commands are committed", counted, offenders)


def back(evidence: Run) -> Finding:
    slow = [f"{seconds:.1f} s" for seconds in evidence.back_seconds if seconds > BACK_SECONDS]
    longest = max(evidence.back_seconds, default=0.0)
    counted = f"{len(evidence.back_seconds)} restarts, the longest took {longest:.1f} s"
    return Finding(f"a restarted worker decides within {BACK_SECONDS:g} s", counted, slow)


def shown_of(row: Any) -> Shown:
    return Shown(row["seq"], row["id"], row["from"], row.get("body"))


def first_difference(found: Sequence[Shown], wanted: Sequence[Shown]) -> str:
    for place, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            return f"place {place + 1} of {len(wanted)} is {one}, not {other}"
    return f"{len(found)} messages, not {len(wanted)}"
