"""The C program `sockets.c`: thousands of sockets that cost next to nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from bench.paths import BENCH, BUILD
from bench.raw_socket import HANDSHAKE, HOST, text_frame
from bench.readcast import token

SOURCE = BENCH / "sockets.c"
PROGRAM = BUILD / "sockets"
MARK = "~"
"""The character that a reader counts: one in each message, and none in anything else."""


class SocketsError(Exception):
    """The program could not be built, or has ended."""


class Span(NamedTuple):
    """When something began and when it was done, in seconds of the monotonic clock."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Sockets:
    """The program at work; a context manager."""

    def __init__(self, *arguments: object) -> None:
        self._child = subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_open(self) -> None:
        """Until all sockets are there."""
        self._line()

    def write(self, line: str) -> None:
        assert self._child.stdin
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def span(self) -> Span:
        """The next span that it tells of."""
        *_, begin, end = self._line().split()
        return Span(float(begin), float(end))

    def _line(self) -> str:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise SocketsError(f"{PROGRAM.name} ended with code {self._child.wait()}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()


def build() -> None:
    """Compile it unless that is done."""
    if PROGRAM.exists() and PROGRAM.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["cc", "-O2", "-o", PROGRAM, SOURCE], check=True)
    except FileNotFoundError:
        raise SocketsError("this figure needs a C compiler: no cc on the PATH") from None


def readers(port: int, openings: Iterable[bytes], folder: Path, first: int = 0) -> Sockets:
    """One socket for each opening; each must be answered by a word that has `watching` in it.

    first: how many sockets other readers of the port have; ports of one source address are finite.
    """
    path = folder / f"openings-{port}-{first}"
    lines = [opening.replace(b"\r\n", b"\x01") for opening in openings]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return Sockets("read", HOST, port, len(lines), path, first)


def watching(user: str, mailbox: str) -> bytes:
    """All that a user's client sends to watch a mailbox live."""
    hello = text_frame("hello", token=token(user))
    return HANDSHAKE + hello + text_frame("watch", mailbox=mailbox, mode="live")


def floor(port: int, count: int, size: int) -> Sockets:
    """A loop of `send` over `count` sockets, a message of `size` bytes to each."""
    return Sockets("send", port, count, size)
