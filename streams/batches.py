"""Deciding a batch: from records to rows, effects and answers, without waiting for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from streams.decisions import (
    Agent,
    Command,
    Effect,
    Moment,
    Outcome,
    error_reply,
)
from streams.errors import Code, Malformed, Refused
from streams.partitioning import Home
from streams.schemas import ReplyTo
from tables.fetching import Record
from tables.journal import MOST_BYTES, Entries, sizes_of
from tables.overlay import Overlay, Row
from tables.partition import Partition
from tables.rows import Position

log = structlog.get_logger(__name__)

_MISPLACED = "this key belongs to another partition: use Kafka's default partitioner (murmur2)"

_ENOUGH = 2_000
"""Rows, and users whom effects are for, after which a batch looks no further ahead.

A command may be about 1,000 users, and while a batch is decided nothing else moves in the worker.
"""

_FULL = 8_000
"""The same, after which it takes no further command, though that has been looked up."""

_FIRST, _FURTHER = (128, 96 << 10), (512, 256 << 10)
"""Records and bytes of commands that are decoded and looked up at once: few at first, which may make a batch.

A run is within one of these, so that its rows fit into a record batch.
"""

_TOO_LARGE = f"its rows are more than {MOST_BYTES} bytes, which can't be stored at once"

_MANY = ("mailboxes", "members", "users", "authors", "posts")
"""Fields of commands that name many."""

_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """An answer and where it goes."""

    to: ReplyTo
    payload: dict[str, Any]


class DeadLetter(NamedTuple):
    """A record that is no command, and why."""

    record: Record
    error: Refused


class Batch:
    """The decisions on some records of one partition, in order."""

    def __init__(self, agent: Agent, partition: Partition, home: Home | None = None) -> None:
        self._home = home
        self._agent = agent
        self._partition = partition
        self.overlay: Overlay = partition.overlay()
        self._view = agent.view(self.overlay)
        self.at = partition.progress.at
        self._decided = self.at.offset
        self.entries = Entries()
        self.effects: list[Effect] = []
        self.replies: list[Reply] = []
        self.dead_letters: list[DeadLetter] = []
        self.queries: list[Command] = []
        self.outcomes: Counter[str] = Counter()
        self._size = 0
        self._runs_of = agent.runs_of
        self._repair()

    def _repair(self) -> None:
        """Write rows again over records that displaced them; see `Partition.apply`."""
        for key in self._partition.progress.displaced:
            row = self._partition.current(key)
            self.at = Position(self.at.offset, self.at.number + 1)
            moved = None if row is None else replace(row, at=self.at)  # type: ignore[type-var]
            self._put([key], [moved], _encoded([moved]), [self.at])

    def decide(self, records: Sequence[Record]) -> int:
        """Decide records until the batch is full, and return how many: at least one, if there is one.

        Refusals become answers, what is no command a dead letter.
        """
        count = 0
        for some in _ahead(records):
            count += self._decide_some(some)
            if self._size >= _ENOUGH:
                break
        return count

    def _decide_some(self, records: Sequence[Record]) -> int:
        commands = self._decode_all(records)
        self._agent.prefetch(self._view, commands)
        count = 0
        while count < len(records) and self._size < _FULL:
            done = 0
            if type(commands[count]) is self._runs_of and records[count].offset > self._decided:
                done = self._decide_run(records[count:], commands[count:])
            count += done or self._decide_one(records[count], commands[count])
        return count

    def _decide_run(
        self, records: Sequence[Record], commands: Sequence[Command | Malformed]
    ) -> int:
        """Decide at once what can be of the first commands; how many that is."""
        try:
            pairs = zip(records, commands, strict=True)
            keys, rows = self._agent.decide_run(self._view, pairs)
        except Exception:
            log.exception("a rule of runs failed, the rest of the batch is decided one by one")
            self._runs_of = None
            return 0
        if rows:
            self._size += len(rows)
            self.outcomes["done"] += len(rows)
            self._put(keys, rows, _encoded(rows), [row.at for row in rows])
        return len(rows)

    def _decide_one(self, record: Record, command: Command | Malformed) -> int:
        before = self._size
        if isinstance(command, Malformed):
            self._bury(record, command)
        elif self._agent.is_query(command):
            self.queries.append(command)
        else:
            self._decide(record, command)
        # What a command names has to be looked up, whatever comes of it.
        self._size = max(self._size, before + _breadth(command))
        return 1

    def _decode_all(self, records: Sequence[Record]) -> Sequence[Command | Malformed]:
        commands = self._agent.decode_run(records)
        if commands is None or not self._holds_all({record.key or b"" for record in records}):
            return list(map(self._decode, records))
        return commands

    def _holds_all(self, keys: Iterable[bytes]) -> bool:
        return self._home is None or all(self._home.holds(key.decode()) for key in keys)

    def _decode(self, record: Record) -> Command | Malformed:
        try:
            command = self._agent.decode(record.key, record.value)
        except Malformed as error:
            return error
        if self._home is not None:
            for key in self._agent.keys(command):
                if not self._home.holds(key):
                    return Malformed(Code.BAD_REQUEST, _MISPLACED)
        return command

    def _decide(self, record: Record, command: Command) -> None:
        try:
            outcome = self._agent.decide(
                self._view, command, Moment(record.offset, record.timestamp)
            )
        except Refused as error:
            self._answer(command, {"error": error_reply(error)}, error.code)
        except Exception as error:
            # A defect in a rule must not stop the partition for all; the command is kept for a human.
            log.exception("a rule failed", offset=record.offset)
            self._bury(record, Malformed(Code.UNAVAILABLE, f"internal error: {error!r}"))
        else:
            self._take(record, command, outcome)

    def _take(self, record: Record, command: Command, outcome: Outcome) -> None:
        self._size += len(outcome.changes)
        for effect in outcome.effects:
            self._size += effect.users
        if record.offset <= self._decided:
            self._take_again(command, outcome)
            return
        if outcome.changes:
            keys = [change.key for change in outcome.changes]
            rows = [change.row for change in outcome.changes]
            values = _encoded(rows)
            if sum(sizes_of(keys, values)) > MOST_BYTES:
                self._bury(record, Malformed(Code.TOO_LARGE, _TOO_LARGE))
                return
            positions = [Position(record.offset, number) for number in range(len(keys))]
            self._put(keys, rows, values, positions)
            self.effects += outcome.effects
        self.outcomes["done"] += 1
        if outcome.result is not None:
            self._answer(command, {"result": outcome.result})

    def _take_again(self, command: Command, outcome: Outcome) -> None:
        # Decided before: its rows, if it had any, are in the log, and its effects went out before them.
        if outcome.changes:
            lost = Refused(
                Code.UNAVAILABLE, "the answer was lost in a restart; send the same command again"
            )
            self._answer(command, {"error": error_reply(lost)}, lost.code)
        elif outcome.result is not None:
            self._answer(command, {"result": outcome.result})

    def _put(
        self,
        keys: Sequence[bytes],
        rows: Sequence[Row | None],
        values: Sequence[bytes | None],
        positions: Sequence[Position],
    ) -> None:
        """Put rows that are stored all or none: those of a command or of a run."""
        self.overlay.put(keys, rows, values)
        self.entries.add(keys, values, positions)
        self.at = positions[-1]

    def _answer(
        self, command: Command, payload: dict[str, Any], outcome: str | None = None
    ) -> None:
        if outcome is not None:
            self.outcomes[outcome] += 1
        if command.reply is not None:
            self.replies.append(Reply(command.reply, payload))

    def _bury(self, record: Record, error: Refused) -> None:
        self.outcomes["dead_letter"] += 1
        self.dead_letters.append(DeadLetter(record, error))
        reply_to = _reply_address(record.value)
        if reply_to is not None:
            self.replies.append(Reply(reply_to, {"error": error_reply(error)}))

    def answers(self) -> Iterator[Reply]:
        """All answers, each made as it is taken; begin once the rows are kept, since queries read what is kept."""
        yield from self.replies
        for query in self.queries:
            if query.reply:
                yield Reply(query.reply, self._query(query))

    def _query(self, query: Command) -> dict[str, Any]:
        try:
            return {"result": self._agent.answer(self._partition, query)}
        except Refused as error:
            self.outcomes[error.code] += 1
            return {"error": error_reply(error)}


def _encoded(rows: Sequence[Row | None]) -> list[bytes | None]:
    return [None if row is None else _encode(row) for row in rows]


def _breadth(command: Any) -> int:
    """How many a command names."""
    return sum(len(getattr(command, field, None) or ()) for field in _MANY)


def _ahead(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in slices that are small enough."""
    few, _ = _FIRST
    yield from _halved(records[:few], *_FIRST)
    yield from _halved(records[few:], *_FURTHER)


def _halved(records: Sequence[Record], most: int, most_bytes: int) -> Iterator[Sequence[Record]]:
    count = len(records)
    if count > most or (count > 1 and value_bytes(records) > most_bytes):
        yield from _halved(records[: count // 2], most, most_bytes)
        yield from _halved(records[count // 2 :], most, most_bytes)
    elif records:
        yield records


def value_bytes(records: Sequence[Record]) -> int:
    """Bytes of the records' values."""
    return sum(map(len, filter(None, map(attrgetter("value"), records))))


class _Asker(msgspec.Struct):
    reply: ReplyTo | None = None


_decode_asker = msgspec.json.Decoder(_Asker).decode


def _reply_address(value: bytes | None) -> ReplyTo | None:
    """Where to answer a record that is no command, if it says so."""
    try:
        return None if value is None else _decode_asker(value).reply
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
