"""The logs of feeds taken apart, and when it was that something was sure to be decided.

Written from docs/protocol.md, with nothing of the code under test: if this and the system
agree, it is not because they share a mistake.
"""

import bisect
import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.checker import Log, Position, Raw, Record
from tests.faults.feeds.evidence import Act, FeedEvidence, Shown
from tests.faults.feeds.order import AUTHOR, PostId

Command = tuple[int, int]
"""A command's partition and offset."""


class Span(NamedTuple):
    """When something began to be so: at the earliest, and when it certainly was (ms)."""

    earliest: float
    certain: float


ALWAYS_LATER = Span(math.inf, math.inf)


class Version(NamedTuple):
    """A row of a post, and when it came to be so."""

    row: Any
    since: Span

    @property
    def is_hidden(self) -> bool:
        return bool(self.row.get("recalled") or self.row.get("pushing"))


class Following(NamedTuple):
    """A time in which a user followed an author."""

    since: Span
    until: Span


@dataclass
class Outbox:
    """An author's outbox as its rows tell it. order: the seqs as they came; on_the_way: `p` rows."""

    state: Any = None
    posts: dict[int, list[Version]] = field(default_factory=lambda: defaultdict(list))
    order: list[int] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)
    followings: dict[str, list[Following]] = field(default_factory=lambda: defaultdict(list))
    on_the_way: set[int] = field(default_factory=set)
    partitions: set[int] = field(default_factory=set)

    def last(self, seq: int) -> Any:
        """The row of a post as it stands in the end."""
        return self.posts[seq][-1].row

    @property
    def standing(self) -> list[Any]:
        """The posts that can be seen in the end."""
        return [versions[-1].row for versions in self.posts.values() if not versions[-1].is_hidden]


@dataclass
class Inbox:
    """A user's feed as the rows of the user tell it.

    slots: reference rows; places: the slot of each post; numbers: those of references in the order of the log.
    """

    follows: dict[str, Any] = field(default_factory=dict)
    slots: dict[int, Any] = field(default_factory=dict)
    places: dict[PostId, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    floor: PostId | None = None
    doubled: list[PostId] = field(default_factory=list)


class FeedRun:
    """The logs taken apart, and the evidence."""

    def __init__(self, raw: Raw, evidence: FeedEvidence) -> None:
        self.raw = raw
        self.evidence = evidence
        self.log = Log(raw.mailbox_log)
        self.user_log = Log(raw.user_log)
        self.commands = {
            (one.partition, one.offset): Given(one.ts, json.loads(one.value or b"null"))
            for one in raw.mailbox_commands
        }

    # When

    @functools.cached_property
    def records_of(self) -> dict[tuple[str, str], list[tuple[Command, "Given"]]]:
        """The records of each kind of command to each outbox, in order."""
        found = defaultdict(list)
        for place, given in self.commands.items():
            found[given.command["mailbox"], given.command["type"]].append((place, given))
        return found

    def record_of(self, act: Act) -> Command | None:
        """The first record that may be an act's: whatever answered it was this one or a later one."""
        for place, given in self.records_of.get((act.mailbox, act.kind), ()):
            if given.ts >= int(act.sent) and given.has(act.fields):
                return place
        return None

    @functools.cached_property
    def _decided(self) -> dict[int, list[tuple[int, float]]]:
        """By partition: offsets, and the earliest answer to that command or a later one."""
        answered: dict[int, dict[int, float]] = defaultdict(dict)
        for act in self.evidence.acts:
            place = self.record_of(act)
            if act.done is not None and place is not None:
                partition, offset = place
                before = answered[partition].get(offset, math.inf)
                answered[partition][offset] = min(before, act.done)
        return {partition: with_later(of_it) for partition, of_it in answered.items()}

    def when(self, partition: int, at: Position) -> Span:
        """When a command took effect: commands of a partition are decided one after the other."""
        known = self._decided.get(partition, [])
        next_one = bisect.bisect_left(known, (at[0], -math.inf))
        certain = known[next_one][1] if next_one < len(known) else math.inf
        return Span(self.commands[partition, at[0]].ts, certain)

    # What

    @functools.cached_property
    def outboxes(self) -> dict[str, Outbox]:
        outboxes: dict[str, Outbox] = defaultdict(Outbox)
        for partition, at, key, row in self.log.rows:
            mailbox, kind, what = [*key.split("/", 2), ""][:3]
            if not mailbox.startswith(AUTHOR) or (partition, at[0]) not in self.commands:
                continue
            outbox = outboxes[mailbox.removeprefix(AUTHOR)]
            outbox.partitions.add(partition)
            self._take(outbox, kind, what, row, self.when(partition, at))
        return dict(outboxes)

    def _take(self, outbox: Outbox, kind: str, what: str, row: Any, when: Span) -> None:
        if kind == "s":
            outbox.state = row
        elif kind == "m":
            if int(what) not in outbox.posts:
                outbox.order.append(int(what))
            outbox.posts[int(what)].append(Version(row, when))
        elif kind == "p":
            (outbox.on_the_way.discard if row is None else outbox.on_the_way.add)(int(what))
        elif kind == "u":
            self._follow(outbox, what, row, when)

    def _follow(self, outbox: Outbox, user: str, row: Any, when: Span) -> None:
        followings = outbox.followings[user]
        if row is None:
            outbox.members.pop(user, None)
            if followings:
                followings[-1] = followings[-1]._replace(until=when)
        else:
            if user not in outbox.members:
                followings.append(Following(when, ALWAYS_LATER))
            outbox.members[user] = row

    @functools.cached_property
    def inboxes(self) -> dict[str, Inbox]:
        inboxes: dict[str, Inbox] = defaultdict(Inbox)
        for _, _, key, row in self.user_log.rows:
            user, kind, what = [*key.split("/", 2), ""][:3]
            inbox = inboxes[user]
            if kind == "f":
                inbox.follows[what] = row
            elif kind == "i":
                refer(inbox, int(what), row)
            if kind in "ib" and row and row.get("floor"):
                inbox.floor = higher(inbox.floor, PostId(*row["floor"]))
        return dict(inboxes)

    def post(self, post: PostId) -> list[Version] | None:
        """The rows of a post, if there is such a one."""
        outbox = self.outboxes.get(post.author)
        versions = outbox.posts.get(post.seq) if outbox else None
        return versions if versions and versions[0].row["ts"] == post.ts else None

    def feed(self, user: str) -> list[Shown]:
        """What a user must find in the end: all posts that stand of all they follow, sorted."""
        rows = [
            row
            for outbox in self.outboxes.values()
            if user in outbox.members
            for row in outbox.standing
        ]
        rows.sort(key=lambda row: id_of(row).place)
        return [shown_of(row) for row in rows]


class Given(NamedTuple):
    """A command, and the time that the broker gave it."""

    ts: int
    command: Any

    def has(self, fields: dict[str, Any]) -> bool:
        return all(self.command.get(name) == value for name, value in fields.items())


def with_later(answered: dict[int, float]) -> list[tuple[int, float]]:
    """Offsets in order, each with the earliest answer to it or to a later one."""
    found, earliest = [], math.inf
    for offset in sorted(answered, reverse=True):
        earliest = min(earliest, answered[offset])
        found.append((offset, earliest))
    return found[::-1]


def refer(inbox: Inbox, slot: int, row: Any) -> None:
    """Take a reference row, or its removal."""
    before = inbox.slots.pop(slot, None)
    if before is not None:
        inbox.places.pop(PostId(*before["post"]), None)
    if row is not None:
        post = PostId(*row["post"])
        if post in inbox.places:
            inbox.doubled.append(post)
        inbox.places[post] = slot
        inbox.slots[slot] = row
        inbox.numbers.append(row["number"])


def higher(one: PostId | None, other: PostId) -> PostId:
    """The newer of two posts."""
    return other if one is None or other.place < one.place else one


def id_of(row: Any) -> PostId:
    return PostId(row["ts"], row["seq"], row["from"])


def shown_of(row: Any) -> Shown:
    """A row as a page shows it."""
    body, state = row.get("body"), row.get("state") or None
    return Shown(id_of(row).text, row["from"], row["seq"], row["ts"], body, state)


def latest(records: Iterable[Record]) -> dict[bytes, Any]:
    """The last record under each key: what compaction leaves."""
    return {one.key or b"": one.value and json.loads(one.value) for one in records}


def standing(log: Log) -> dict[bytes, Any]:
    """The row that holds under each key, by the position rule."""
    return {key.encode(): row for _, _, key, row in [*log.rows, *log.routing]}


def plain(row: Any) -> Any:
    """A row without its position, which a repair changes."""
    return row and {name: value for name, value in row.items() if name != "at"}
