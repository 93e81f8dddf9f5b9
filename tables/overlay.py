"""The overlay: a batch's own rows over what its partition has kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tables.rows import Position

if TYPE_CHECKING:
    from tables.partition import Partition

Decode: TypeAlias = Callable[[bytes], Any]


class Row(Protocol):
    """A row of a log."""

    @property
    def at(self) -> Position: ...


class Layout(Protocol):
    """What a table's rows mean: how to decode one, and which local keys follow from it.

    bulk: types of rows of which many are derived from at once; others have all rows before them put.
    """

    bulk: frozenset[type]

    def decode(self, key: bytes, value: bytes) -> Row:
        """The typed row; `ValueError` (msgspec's errors are) if it isn't one."""

    def derive(self, rows: Overlay, keys: Sequence[bytes], put: Sequence[Row | None]) -> None:
        """Bring the derived keys in line with a row, or many of one type in `bulk`, about to be put.

        keys: of the rows. A row None removes its key.
        """


_ABSENT = object()


class Overlay:
    """Reads see the batch's rows first; nothing is written until the partition keeps it."""

    __slots__ = ("_layout", "_now", "_partition", "derived", "rows")

    def __init__(self, partition: Partition, layout: Layout) -> None:
        self._partition = partition
        self._layout = layout
        self._now: dict[bytes, Any] = {}
        self.rows: dict[bytes, bytes | None] = {}
        self.derived: dict[bytes, Any] = {}

    def get(self, key: bytes, decode: Decode) -> Any:
        """The value of a key that is asked for often: kept decoded in memory."""
        found = self._now.get(key, _ABSENT)
        if found is _ABSENT:
            found = self._now[key] = self._partition.get(key, decode)
        return found

    def find(self, key: bytes, decode: Decode) -> Any:
        """The value of a key that is asked for once."""
        found = self._now.get(key, _ABSENT)
        if found is _ABSENT:
            found = self.derived.get(key, _ABSENT)
        return self._partition.find(key, decode) if found is _ABSENT else found

    def raw(self, key: bytes) -> bytes | None:
        """A row as it stands in the log."""
        return self.rows[key] if key in self.rows else self._partition.raw(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows whose keys have a prefix, in order, from the first beyond `after`."""
        own = {key: self.rows[key] for key in self.rows if key.startswith(prefix) and key > after}
        kept = self._partition.scan(prefix, after)
        if not own:
            yield from kept
            return
        others = ((key, value) for key, value in kept if key not in own)
        for key, value in merge(sorted(own.items()), others):
            if value is not None:
                yield key, value

    def holds(self, keys: Collection[bytes]) -> list[bool]:
        """Whether each key has a value; asked for once, and all at once."""
        if self._now.keys().isdisjoint(keys) and self.derived.keys().isdisjoint(keys):
            return [value is not None for value in self._partition.raw_many(list(keys))]
        return [self.find(key, bytes) is not None for key in keys]

    def prefetch(self, keys: Collection[bytes], decode: Decode) -> None:
        """Read many keys at once that will be asked for."""
        now = self._now
        wanted = [key for key in keys if key not in now]
        values = self._partition.raw_many(wanted)
        now.update(zip(wanted, [None if v is None else decode(v) for v in values], strict=True))

    def put(
        self, keys: Sequence[bytes], rows: Sequence[Row | None], values: Sequence[bytes | None]
    ) -> None:
        """Add logged rows, with all that is derived from them; None removes a key."""
        if len(keys) == 1:
            self._put_one(keys[0], rows[0], values[0])
            return
        start = 0
        for kind, alike in groupby(map(type, rows)):
            stop = start + len(list(alike))
            if kind in self._layout.bulk:
                some = slice(start, stop)
                self._layout.derive(self, keys[some], rows[some])
                self._now.update(zip(keys[some], rows[some], strict=True))
                self.rows.update(zip(keys[some], values[some], strict=True))
            else:
                for number in range(start, stop):
                    self._put_one(keys[number], rows[number], values[number])
            start = stop

    def _put_one(self, key: bytes, row: Row | None, value: bytes | None) -> None:
        self._layout.derive(self, (key,), (row,))
        self._now[key], self.rows[key] = row, value

    def put_derived(self, key: bytes, value: Any) -> None:
        """Set a derived key (None removes it)."""
        self._now[key] = value
        self.derived[key] = value

    def put_all_derived(self, values: dict[bytes, Any]) -> None:
        """Set many derived keys, of which few will be asked for."""
        self.derived.update(values)
        for key in self._now.keys() & values.keys():
            self._now[key] = values[key]

    def changed(self) -> dict[bytes, Any]:
        """Every key read for keeping or put, with its value now."""
        return self._now
