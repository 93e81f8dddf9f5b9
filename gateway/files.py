"""What stands in files at the moment, while these are replaced under a gateway that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

Stamp = tuple[int, int, int]


class FromFiles(Generic[T]):
    """A value made of files, and made again when one of them has changed: a stat for each look.

    Files that can't be read or used change nothing, apart from a line in the log: a slip must not
    shut everybody out.
    """

    def __init__(
        self,
        what: str,
        paths: tuple[Path, ...],
        read: Callable[[], T],
        describe: Callable[[T], Mapping[str, Any]],
    ) -> None:
        """what: its name in the log; `read` makes it, or raises OSError or ValueError.

        `describe` gives what the log says of it. A first `read` that fails is the caller's to tell.
        """
        self._what = what
        self._paths = paths
        self._read = read
        self._describe = describe
        self._told = self._stamps = self._look()
        self._value = read()

    def get(self) -> T:
        """The value by the files as they are, or by the last ones that could be used."""
        stamps = self._look()
        if stamps != self._stamps:
            self._renew(stamps)
        return self._value

    def _renew(self, stamps: list[Stamp | None]) -> None:
        about = log.bind(what=self._what, files=[str(path) for path in self._paths])
        try:
            self._value = self._read()
        except (OSError, ValueError) as error:
            # Looked at again next time: what is wrong, such as rights, may be mended without a change of the files.
            if stamps != self._told:
                about.error("changed files can't be used, all stays as it was", error=str(error))
            self._told = stamps
        else:
            self._told = self._stamps = stamps
            about.info("changed files are in use", **self._describe(self._value))

    def _look(self) -> list[Stamp | None]:
        return [_stamp_of(path) for path in self._paths]


def _stamp_of(path: Path) -> Stamp | None:
    """What changes when a file is written or another one put in its place; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
