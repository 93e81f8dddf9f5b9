"""One partition of a journaled table: a RocksDB database that is a prefix of the log."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import structlog
from rocksdict import AccessType, Options, Rdict, ReadOptions, WriteBatch

from tables.fetching import Record
from tables.keys import parse_key
from tables.options import write_options
from tables.overlay import Decode, Layout, Overlay, Row
from tables.rows import ORIGIN, Position, position_in

log = structlog.get_logger(__name__)

PROGRESS_KEY = b"\x00at"
_CACHED_ROWS = 200_000
_READ_AT_ONCE = 10

_encode_derived = msgspec.msgpack.Encoder().encode


class Progress(NamedTuple):
    """How far a partition has kept its log: the next offset to read, the last position, when (s since 1970).

    displaced: keys whose row has to be written again, see `Partition.apply`.
    """

    next_offset: int = 0
    at: Position = ORIGIN
    kept: float = 0.0
    displaced: tuple[bytes, ...] = ()


_decode_progress = msgspec.msgpack.Decoder(Progress).decode


class Partition:
    """Rows, what is derived from them and the log's offset, always written together."""

    def __init__(self, path: Path, layout: Layout, options: Options) -> None:
        self._path = path
        self._layout = layout
        self._options = options
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Options reach a database that exists only by its column family.
        self._db = Rdict(
            str(self._path),
            options=self._options,
            column_families={"default": self._options},
            access_type=AccessType.read_write(),
        )
        self._db.set_write_options(write_options())
        self._cache: dict[bytes, Any] = {}
        stored = self._db.get(PROGRESS_KEY)
        self._progress = Progress() if stored is None else _decode_progress(stored)
        self._flushed = self._progress

    def close(self) -> None:
        """Release the folder's lock; an iterator that is still in memory holds it until it is collected."""
        self._db.close()
        self._cache.clear()

    def wipe(self) -> None:
        """Forget everything; the log has it all."""
        self.close()
        gc.collect()
        shutil.rmtree(self._path)
        self._open()

    @property
    def progress(self) -> Progress:
        """How far the log has been kept."""
        return self._progress

    def get(self, key: bytes, decode: Decode) -> Any:
        """A decoded value, remembered in memory."""
        cache = self._cache
        if key in cache:
            return cache[key]
        if len(cache) >= _CACHED_ROWS:
            cache.clear()
        found = cache[key] = self.find(key, decode)
        return found

    def find(self, key: bytes, decode: Decode) -> Any:
        """A decoded value, or None."""
        value = self._db.get(key)
        return None if value is None else decode(value)

    def raw(self, key: bytes) -> bytes | None:
        """The bytes under a key."""
        value: bytes | None = self._db.get(key)
        return value

    def raw_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The bytes under many keys, read at once."""
        values: list[bytes | None] = cast("Any", self._db).get(keys) if keys else []
        return values

    def raw_within(self, keys: list[bytes], most: int) -> list[bytes | None]:
        """The bytes under the first keys, as many as are `most` bytes together; one at least.

        A few are read at a time: each may have a megabyte.
        """
        values: list[bytes | None] = []
        size = 0
        for start in range(0, len(keys), _READ_AT_ONCE):
            for value in self.raw_many(keys[start : start + _READ_AT_ONCE]):
                size += len(value or b"")
                if size > most and values:
                    return values
                values.append(value)
        return values

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys with a prefix, in order, from the first beyond `after`. Don't keep it over an await."""
        read = ReadOptions()
        read.set_iterate_upper_bound(prefix[:-1] + bytes([prefix[-1] + 1]))
        for key, value in cast("Any", self._db).items(from_key=max(prefix, after), read_opt=read):
            if key != after:
                yield key, value

    def overlay(self) -> Overlay:
        """A place for a batch's rows."""
        return Overlay(self, self._layout)

    def keep(
        self, overlay: Overlay, at: Position, next_offset: int, displaced: Iterable[bytes] = ()
    ) -> None:
        """Write an overlay's rows, all that is derived from them, and the progress, in one batch.

        In the order of keys: a memtable finds the place of the next one from that of the last.
        """
        progress = Progress(next_offset, at, time.time(), tuple(displaced))
        batch = WriteBatch(raw_mode=True)
        batch.put(PROGRESS_KEY, _encode_derived(progress))
        derived, rows = overlay.derived, overlay.rows
        for key in sorted(derived):
            value = derived[key]
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, _encode_derived(value))
        for key in sorted(rows):
            row = rows[key]
            if row is None:
                batch.delete(key)
            else:
                batch.put(key, row)
        self._db.write(batch)
        self._progress = progress
        self._remember(overlay)

    def flush(self) -> None:
        """Have on disk what is kept, soon: what isn't there is lost with the process."""
        if self._flushed is not self._progress:
            self._flushed = self._progress
            self._db.flush(wait=False)

    def _remember(self, overlay: Overlay) -> None:
        changed = overlay.changed()
        for key in self._cache.keys() & changed.keys():
            self._cache[key] = changed[key]

    def apply(self, records: Sequence[Record]) -> None:
        """Take records of the log, by the position rule.

        The key of a skipped record is displaced: once the log is compacted only that record would be left,
        and skipped by all who read it then, so the owner has to write the row again.
        """
        overlay = self.overlay()
        at = self._progress.at
        displaced = set(self._progress.displaced)
        taken: list[tuple[bytes, Row | None, bytes | None]] = []
        for record in records:
            if record.offset < self._progress.next_offset:
                continue
            key, value = record.key or b"", record.value
            row, position = self._read(record, key, value)
            if position > at:
                taken.append((key, row, value))
                displaced.discard(key)
                at = position
                continue
            _put(overlay, taken)
            if position != ORIGIN or overlay.raw(key) is not None:
                displaced.add(key)
        _put(overlay, taken)
        if records:
            next_offset = max(records[-1].offset + 1, self._progress.next_offset)
            self.keep(overlay, at, next_offset, sorted(displaced))

    def _read(self, record: Record, key: bytes, value: bytes | None) -> tuple[Row | None, Position]:
        try:
            if value is None:
                parse_key(key)
                return None, header_position(record.headers)
            row = self._layout.decode(key, value)
        except ValueError as error:
            log.warning(
                "a record of the log is no row, skipped", offset=record.offset, reason=str(error)
            )
            return None, ORIGIN
        return row, row.at

    def current(self, key: bytes) -> Row | None:
        """The row that holds under a key."""
        value = self.raw(key)
        return None if value is None else self._layout.decode(key, value)


def _put(overlay: Overlay, taken: list[tuple[bytes, Row | None, bytes | None]]) -> None:
    """Put what was taken, and begin anew."""
    if taken:
        overlay.put(*zip(*taken, strict=True))
        taken.clear()


def header_position(headers: Iterable[tuple[str, bytes]]) -> Position:
    """The position of a record without a value, from its header; `ValueError` if it has none."""
    at = position_in(headers)
    if at is None:
        raise ValueError("a record without a value needs the header 'at'")
    return at
