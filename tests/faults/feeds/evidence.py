"""What authors, followers and visitors of a run did and saw, for the checker. Times are in ms."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.evidence import Run


class Shown(NamedTuple):
    """A post as a page shows it."""

    post: str
    author: str
    seq: int
    ts: int
    body: Any
    state: str | None


class Receipt(NamedTuple):
    """What an author is told of a post."""

    post: str
    seq: int
    ts: int


@dataclass
class Act:
    """Something that somebody wants done to an outbox; `fields` are those of its command.

    sent: when it was asked for first; done: when that was answered, None: never. receipts: of a post.
    """

    kind: str
    mailbox: str
    fields: dict[str, Any]
    sent: float
    done: float | None = None
    receipts: set[Receipt] = field(default_factory=set)


@dataclass
class Visit:
    """All pages of a feed, or of one author, from the top to the oldest.

    waits: it began by waiting until the gateway had read the logs, and did so again after each interruption.
    """

    user: str
    author: str | None
    began: float
    waits: bool = False
    ended: float | None = None
    shown: list[Shown] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Whether it must show all that was answered before it began. An author's pages are never from memory."""
        return self.waits or self.author is not None


@dataclass
class FeedEvidence(Run):
    """Everything a run leaves behind besides the logs themselves.

    final: what each reader finds when all is quiet. facts: what is told of each author then.
    """

    acts: list[Act] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    final: dict[str, list[Shown]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
