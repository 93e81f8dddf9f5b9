"""What the clients of a run did and saw, for the checker."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass
class Sent:
    """A message that somebody wants in a mailbox; `receipts` are the seqs they were told."""

    mailbox: str
    id: str
    sender: str
    body: Any
    receipts: set[int] = field(default_factory=set)
    acknowledged: bool = False


class Shown(NamedTuple):
    """A message as a listener showed it."""

    seq: int
    id: str
    sender: str
    body: Any


@dataclass
class Heard:
    """What one listener showed of each of its mailboxes, in order."""

    user: str
    shown: dict[str, list[Shown]]


@dataclass
class Run:
    """What every run leaves behind besides the logs themselves.

    committed, ends: offsets of the command topics by (topic, partition). back_seconds: from a
    worker's restart until its partitions decided again.
    """

    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    back_seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass
class Evidence(Run):
    """What a run of chat leaves behind. syncs: user -> mailbox -> entry."""

    sent: dict[str, Sent] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    syncs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
