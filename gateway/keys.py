"""The keys that tokens may name, as they stand in a file at the moment."""

from __future__ import annotations

from pathlib import Path

import structlog

from gateway.errors import CannotStart
from streams.keys import BadKeys, Key, read_keys

log = structlog.get_logger()

Stamp = tuple[int, int, int]


class KeyFile:
    """A JWK Set that is read again when its file has changed.

    A file that can't be read or used changes nothing, apart from a line in the log: a slip must not
    shut everybody out. An empty set does.
    """

    def __init__(self, path: Path) -> None:
        """`CannotStart` if there are no keys to begin with."""
        self._path = path
        try:
            self._stamp: Stamp | None = _stamp_of(path)
            self._keys = read_keys(path)
        except (OSError, BadKeys) as error:
            raise CannotStart(f"no keys from READCAST_AUTH_KEYS={path}: {error}") from None

    def get(self, kid: str) -> Key | None:
        """The key of that name, if it is in the file."""
        self._refresh()
        return self._keys.get(kid)

    def _refresh(self) -> None:
        try:
            stamp: Stamp | None = _stamp_of(self._path)
        except OSError:
            stamp = None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except (OSError, BadKeys) as error:
            log.error("the keys stay as they were", file=str(self._path), error=str(error))
        else:
            log.info("keys read", file=str(self._path), kids=sorted(self._keys))


def _stamp_of(path: Path) -> Stamp:
    """What changes when a file is written or another one put in its place."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
