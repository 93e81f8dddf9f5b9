"""A log in memory, as Kafka would keep it, and the partitions that write and read it."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson
from rocksdict import Rdict

from streams.batches import Batch
from streams.decisions import Agent
from streams.feeds.limits import FeedLimits
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.layout import MailboxLayout
from streams.mailboxes.rules import Limits
from streams.mailboxes.view import BatchView
from streams.users.agent import UserAgent
from streams.users.layout import UserLayout
from tables.journal import Entry
from tables.keys import parse_key
from tables.options import rocksdb_options
from tables.partition import PROGRESS_KEY, Partition
from tables.rows import AT_HEADER
from tests.rules.commands import Command

_numbers = itertools.count()
_KINDS_OF_USERS = "cfibn"


T = TypeVar("T")


class Record(NamedTuple):
    """A command's record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class LogRecord(NamedTuple):
    """A record of the log."""

    offset: int
    key: bytes
    value: bytes | None
    headers: Iterable[tuple[str, bytes]] = ()


def records_of(steps: list[tuple[int, Command]], start: int = 0) -> list[Record]:
    """The records of commands, each a (time in ms, command)."""
    return [
        Record(start + offset, now, key_of(command).encode(), orjson.dumps(command))
        for offset, (now, command) in enumerate(steps)
    ]


def key_of(command: Command) -> str:
    return str(command["user"] if "user" in command else command["mailbox"])


class AnyLayout:
    """Rows of mailboxes and of users side by side, so that one test holds for both tables."""

    bulk = MailboxLayout.bulk | UserLayout.bulk

    def __init__(self) -> None:
        self._users = dict.fromkeys(_KINDS_OF_USERS, UserLayout())
        self._mailboxes = MailboxLayout()

    def _layout(self, key: bytes) -> Any:
        return self._users.get(parse_key(key).kind, self._mailboxes)

    def decode(self, key: bytes, value: bytes) -> Any:
        return self._layout(key).decode(key, value)

    def derive(self, rows: Any, keys: Any, put: Any) -> None:
        self._layout(keys[0]).derive(rows, keys, put)


class AnyAgent(MailboxAgent):
    """Both agents' commands in one order."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self._users = UserAgent(FeedLimits())

    def decode(self, key: bytes | None, value: bytes | None) -> Any:
        agent = self._users if b'"user":' in (value or b"") else super()
        return agent.decode(key, value)

    def decode_run(self, records: Any) -> None:
        """None: there are two kinds."""

    def prefetch(self, view: Any, commands: Any) -> None:
        """Nothing: it changes no outcome."""

    def decide(self, view: Any, command: Any, moment: Any) -> Any:
        if hasattr(command, "user"):
            return self._users.decide(view.rows, command, moment)
        return super().decide(view, command, moment)

    def view(self, rows: Any) -> Any:
        return _AnyView(rows)


class _AnyView(BatchView):
    def __init__(self, rows: Any) -> None:
        super().__init__(rows)
        self.rows = rows


def open_partition(folder: Path, name: str = "") -> Partition:
    """A partition in a new folder, or again in the one that is named."""
    path = folder / (name or f"new-{next(_numbers)}")
    return Partition(path, AnyLayout(), rocksdb_options(4 << 20, 4 << 20))


@contextmanager
def opened(folder: Path) -> Iterator[Partition]:
    """A partition in a new folder, closed in the end."""
    partition = open_partition(folder)
    try:
        yield partition
    finally:
        partition.close()


def agent() -> MailboxAgent:
    return MailboxAgent(Limits())


class Log:
    """Records in offset order. Compaction leaves holes, as in Kafka."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.next_offset = 0

    def append(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            at = b"%d,%d" % (entry.at.offset, entry.at.number)
            headers = [] if entry.value is not None else [(AT_HEADER, at)]
            self.records.append(LogRecord(self.next_offset, entry.key, entry.value, headers))
            self.next_offset += 1

    def repeat(self, records: list[LogRecord]) -> None:
        """What a late writer appends: rows that are in the log already."""
        for record in records:
            self.records.append(record._replace(offset=self.next_offset))
            self.next_offset += 1

    def cut(self, next_offset: int) -> None:
        """Lose the tail, as a broker does whose machine lost power."""
        self.records = [record for record in self.records if record.offset < next_offset]
        self.next_offset = next_offset

    def compacted(self, *, tombstones: bool) -> list[LogRecord]:
        """The latest record of each key; removals stay or are gone as well."""
        latest = {record.key: record for record in self.records}
        kept = sorted(latest.values(), key=lambda record: record.offset)
        return [record for record in kept if tombstones or record.value is not None]


class Writer:
    """Decides commands into a partition and a log, as a lane does."""

    def __init__(self, partition: Partition, log: Log, agent: Agent | None = None) -> None:
        self.partition = partition
        self.log = log
        self._agent = agent or MailboxAgent(Limits())

    def catch_up(self) -> None:
        start = self.partition.progress.next_offset
        self.partition.apply([r for r in self.log.records if r.offset >= start])

    def decide(self, records: list[Record]) -> Batch:
        batch = Batch(self._agent, self.partition)
        batch.decide(records)
        if batch.entries:
            self.log.append(batch.entries)
            self.partition.keep(batch.overlay, batch.at, self.log.next_offset)
        return batch


def contents(partition: Partition) -> dict[bytes, bytes]:
    """All keys but the progress."""
    database: Rdict = partition._db
    return {key: value for key, value in database.items() if key != PROGRESS_KEY}


def pieces(items: Sequence[T], sizes: Sequence[int]) -> Iterator[Sequence[T]]:
    """Items in pieces of these sizes, over and over."""
    start = turn = 0
    while start < len(items):
        size = sizes[turn % len(sizes)]
        yield items[start : start + size]
        start, turn = start + size, turn + 1


def rebuild(
    folder: Path, records: list[LogRecord], sizes: Sequence[int] = (7,)
) -> tuple[dict[bytes, bytes], set[bytes]]:
    """What an empty partition makes of a log, and the keys it found displaced."""
    with opened(folder) as partition:
        for part in pieces(records, sizes):
            partition.apply(list(part))
        return contents(partition), set(partition.progress.displaced)
