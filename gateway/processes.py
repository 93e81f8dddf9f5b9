"""Several gateway processes on one port: the kernel shares the connections out among them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from gateway.errors import CANNOT_START, CannotStart
from gateway.settings import Settings

log = structlog.get_logger()

LIFELINE = "READCAST_GATEWAY_LIFELINE"
"""Names the file descriptor that a process reads to learn of its parent's end."""

POLL_SECONDS = 0.2
RESTART_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_CANNOT_LISTEN = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL, socket.EAI_NONAME)


def supervise(settings: Settings, count: int) -> int:
    """Run `count` gateways on one port until SIGTERM or SIGINT; one that dies is started again.

    Returns 0 after a drain of all, or the code of a gateway that can't start.
    """
    with reserved(settings.host, settings.port) as port, lifeline() as descriptor:
        base = settings.metrics_port
        shared = {
            "READCAST_GATEWAY_PORT": str(port),
            # In the demo the secret is made at start: all must have the same.
            "READCAST_AUTH_SECRET": settings.secret(),
            LIFELINE: str(descriptor),
        }
        members = [
            Member(
                {**shared, "READCAST_GATEWAY_METRICS_PORT": str(base + n if base else 0)},
                descriptor,
            )
            for n in range(count)
        ]
        return _run(members)


class Member:
    """One gateway process, started again when it ends."""

    def __init__(self, env: Mapping[str, str], descriptor: int) -> None:
        self._env = {**os.environ, **env}
        self._descriptor = descriptor
        self._child: subprocess.Popen[bytes]
        self._start_at = 0.0
        self.start()

    def start(self) -> None:
        """Start it."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env=self._env,
            pass_fds=[self._descriptor],
            start_new_session=True,
        )
        self._start_at = time.monotonic() + RESTART_SECONDS

    def keep(self) -> int | None:
        """Start it again if it has died; its code if it can't start at all."""
        code = self._child.poll()
        if code == CANNOT_START:
            return code
        if code is not None and time.monotonic() >= self._start_at:
            log.error("a gateway process died, another one starts", code=code)
            self.start()
        return None

    def stop(self) -> None:
        """Let it drain."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def wait(self) -> int:
        """Its exit code, once it has left."""
        return self._child.wait()


def _run(members: list[Member]) -> int:
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    failed = None
    while failed is None and not stopping.wait(POLL_SECONDS):
        failed = next((code for member in members if (code := member.keep())), None)
    for member in members:
        member.stop()
    codes = [member.wait() for member in members]
    return failed or max(codes, key=abs)


def is_member() -> bool:
    """Whether this process is one of several on its port."""
    return LIFELINE in os.environ


def watch_lifeline(stopping: asyncio.Event) -> None:
    """Leave when the parent is gone, however it ended."""
    if is_member():
        loop, descriptor = asyncio.get_running_loop(), int(os.environ[LIFELINE])

        def leave() -> None:
            # It reads as ended from here on: looked at still, it would keep the loop from all rest.
            loop.remove_reader(descriptor)
            stopping.set()

        loop.add_reader(descriptor, leave)


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold a port for processes that share it; 0: any free one. `CannotStart` where it is taken.

    The socket is bound and never listens, so it gets no connection.
    """
    try:
        family = socket.getaddrinfo(host, port)[0][0]
        if port:
            # Another service that shares its port, too, would go unnoticed.
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        with socket.socket(family) as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((host, port))
            yield holder.getsockname()[1]
    except OSError as error:
        if error.errno not in _CANNOT_LISTEN:
            raise
        raise cannot_listen("READCAST_GATEWAY", host, port, error) from None


def cannot_listen(prefix: str, host: str, port: int, error: OSError) -> CannotStart:
    """Names the address and the variables it is from, which begin with `prefix`."""
    known = error.errno is not None and error.errno > 0
    # What an event loop says about a number of the system's is longer than what that says itself.
    reason = os.strerror(error.errno or 0) if known else error.strerror
    return CannotStart(f"can't listen on {host}:{port} ({prefix}_HOST, {prefix}_PORT): {reason}")


@contextmanager
def lifeline() -> Iterator[int]:
    """A descriptor that reads as ended once this process is gone, however it ends."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)
