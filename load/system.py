"""A Readcast of one's own for a run: broker, worker and gateway, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from bench.broker import Broker, broker
from bench.processes import Process, free_port, resident_kb
from bench.readcast import SECRET, make_topics, ready_worker, start_gateway, wait_until_ready


class System:
    """A broker, a worker and a gateway that can be ended and started again."""

    secret = SECRET

    def __init__(self, fresh: Broker, worker: Process, **settings: str) -> None:
        self._broker = fresh
        self._worker = worker
        self._settings = settings
        self._port = free_port()
        self.url = f"ws://127.0.0.1:{self._port}/ws"
        self.start_gateway()

    def start_gateway(self) -> None:
        """Start the gateway, at the same port each time; it is not ready yet."""
        self.gateway = start_gateway(self._broker, self._port, **self._settings)

    def wait_until_ready(self) -> None:
        """The gateway reads both logs."""
        wait_until_ready(self.gateway, self._port)

    def end_gateway(self, number: signal.Signals) -> None:
        """Send the gateway a signal, and wait for its end."""
        os.killpg(self.gateway.pid, number)
        self.gateway.wait()

    def rss(self) -> dict[str, float]:
        """MB in memory, by process."""
        return {"gateway": megabytes(self.gateway), "worker": megabytes(self._worker)}


@contextlib.contextmanager
def running(**settings: str) -> Iterator[System]:
    """Start all, give it, and stop it; `settings` are the gateway's variables."""
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh) as worker:
            system = System(fresh, worker, **settings)
            try:
                system.wait_until_ready()
                yield system
            finally:
                system.gateway.stop()


def megabytes(process: Process) -> float:
    """Of memory that a process has in use."""
    return resident_kb(process.pid) / 1_024
