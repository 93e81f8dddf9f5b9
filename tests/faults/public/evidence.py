"""What operators and users of a run did and saw, for the checker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.evidence import Run

Place = tuple[str, int]
"""A publish: its mailbox and its seq."""

Counts = dict[Place, tuple[int, int]]
"""How many a publish has touched, and how many have opened it; those with none are left out."""


@dataclass
class Order:
    """An operator's command; `fields` are those of the frame.

    is_stale: it expects an entry that isn't the last one. receipts: the seqs its sender was told.
    answered: the gateway that accepted it first, and when (ms).
    """

    kind: str
    id: str
    by: str
    fields: dict[str, Any]
    is_stale: bool = False
    receipts: set[int] = field(default_factory=set)
    answered: tuple[str, float] | None = None


class Told(NamedTuple):
    """A `notice` or `withdrawn` event; `entry` and `again` are those of a notice."""

    op: str
    mailbox: str
    publish: int
    entry: int = 0
    again: bool = False

    @property
    def place(self) -> Place:
        return self.mailbox, self.publish

    @property
    def is_new(self) -> bool:
        """Whether it shows a publish as new."""
        return self.op == "notice" and not self.again


@dataclass
class Connection:
    """One connection of a user and what it was told, in order; times in ms, None: not yet."""

    user: str
    url: str
    opened: float
    synced: float | None = None
    ended: float | None = None
    told: list[Told] = field(default_factory=list)

    def shows(self, place: Place) -> bool:
        """Whether it was shown a publish."""
        return any(one.place == place and one.op == "notice" for one in self.told)


class Found(NamedTuple):
    """A publish as `notices` lists it."""

    entry: int
    opened: bool


@dataclass
class PublicEvidence(Run):
    """Everything a run leaves behind besides the logs themselves.

    claims: of each user's tokens. opened: what users were told they have opened. last: a connection of each
    user after all was settled; found, unread: what `notices` and `sync` said there. asked: when that was
    (ms). counts: by who told them.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    claims: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)
    opened: set[tuple[str, Place]] = field(default_factory=set)
    last: list[Connection] = field(default_factory=list)
    found: dict[str, dict[Place, Found]] = field(default_factory=dict)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    asked: int = 0
    counts_told: dict[str, Counts] = field(default_factory=dict)
