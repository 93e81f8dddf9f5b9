"""What a command comes to: rows, effects, and an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from streams.errors import Refused
from streams.schemas import ReplyTo
from tables.fetching import Record
from tables.overlay import Overlay, Row
from tables.partition import Partition
from tables.rows import Position


class Change(Struct, frozen=True, gc=False):
    """A row to be written under a key; None removes it."""

    key: bytes
    row: Row | None


class Run(NamedTuple):
    """The rows of commands that come to one row each, in columns."""

    keys: list[bytes]
    rows: list[Row]


class Moment(Struct, frozen=True, gc=False):
    """When a command is decided: its offset, and its record's time in ms since 1970."""

    offset: int
    now: int


class Changes(list[Change]):
    """The rows of one command; each gets the next position."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._offset = moment.offset

    def put(self, key: bytes, row: Any) -> None:
        """Write a row, whatever position it carries."""
        at = Position(self._offset, len(self))
        self.append(Change(key, replace(row, at=at)))

    def drop(self, key: bytes) -> None:
        """Remove a row."""
        self.append(Change(key, None))


class Effect(Struct, frozen=True):
    """A command that follows from this one, under its key; in the partition of the key unless one is named."""

    key: str
    command: Any
    partition: int | None = None

    @property
    def users(self) -> int:
        """How many users it is for."""
        return len(getattr(self.command, "users", ())) or 1


class Outcome(Struct, frozen=True):
    """What a command does. `result` None: the first row says it all, no answer is due."""

    changes: list[Change]
    effects: list[Effect]
    result: dict[str, Any] | None


class Command(Protocol):
    """A decoded command."""

    @property
    def reply(self) -> ReplyTo | None: ...


class Agent(Protocol):
    """The rules of one kind of command. Nothing in here waits, reads a clock or keeps state."""

    @property
    def runs_of(self) -> type | None:
        """The commands of which many are decided at once, where they follow each other."""

    def decode_run(self, records: Sequence[Record]) -> Sequence[Command] | None:
        """Decode and validate records at once, each of which is about nothing but its key.

        None if one of them is not, or has a fault: then all are looked at one by one.
        """

    def decode(self, key: bytes | None, value: bytes | None) -> Command:
        """Decode and validate a record; raises `Malformed`."""

    def keys(self, command: Any) -> Iterable[str]:
        """The keys that a command is about: all must belong to its partition."""

    def prefetch(self, view: Any, commands: Sequence[Any]) -> None:
        """Read in bulk what the commands will ask for; what is no command is among them."""

    def is_query(self, command: Command) -> bool:
        """Whether a command only asks: it is answered once its batch is kept."""

    def view(self, rows: Overlay) -> Any:
        """A batch's rows in the form that `decide` reads."""

    def decide_run(self, view: Any, commands: Iterable[tuple[Record, Any]]) -> Run:
        """The rows of the first commands, one each, as far as `decide` would give each just one row and no more."""

    def decide(self, view: Any, command: Command, moment: Moment) -> Outcome:
        """What the command does, given the rows so far; raises `Refused`."""

    def answer(self, partition: Partition, query: Command) -> dict[str, Any]:
        """The answer to a query, from what is kept; raises `Refused`."""


def error_reply(error: Refused) -> dict[str, Any]:
    """A refusal, in the form of replies and of the wire."""
    reply = {"code": error.code, "message": error.message, "retriable": error.code.retriable}
    if error.retry_after is not None:
        reply["retry_after"] = error.retry_after
    return reply
