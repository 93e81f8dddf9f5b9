"""Processes that run together: started one by one, stopped in the opposite order."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from honcho.process import Popen

POLL_SECONDS = 0.05
STOP_SECONDS = 10
SAME_SIGNAL_SECONDS = 1
LOG_LINES_SHOWN = 25


class StartError(Exception):
    """Readcast can't run; the message tells the user why."""


class StopSignals:
    """Counts requests to stop; raising from the handler could lose a process that just started."""

    def __init__(self) -> None:
        self.count = 0
        self._last = float("-inf")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, *_: object) -> None:
        # Under make one Ctrl-C may arrive twice: from the terminal and from make.
        now = time.monotonic()
        if now - self._last > SAME_SIGNAL_SECONDS:
            self.count += 1
            self._last = now


class Parts:
    """The running processes and their logs; leaving the context stops them.

    Waiting raises StartError when a process ends by itself, KeyboardInterrupt when asked to stop.
    A second request to stop kills what is left.
    """

    def __init__(self, folder: Path, env: dict[str, str], logs: Path) -> None:
        self.env = env
        self.logs = logs
        self._folder = folder
        self._signals = StopSignals()
        self._running: dict[str, Popen] = {}

    def start(self, name: str, command: str) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            self._start(name, command, stdin=subprocess.DEVNULL, stdout=log)

    def run(self, name: str, command: str) -> None:
        """Start a command and wait for its end, which must be a good one."""
        self.start(name, command)
        if self._ended(name):
            raise self._failure(name, "failed")

    def show(self, name: str, command: str) -> None:
        """Like `run`, for a command that shows its progress in the terminal."""
        self._start(name, command, stdout=None, stderr=None)
        if self._ended(name):
            raise StartError(f"The {name} failed.")

    def wait(self, ready: Callable[[], bool], seconds: float = float("inf")) -> None:
        until = time.monotonic() + seconds
        while not ready():
            self._check()
            if time.monotonic() > until:
                raise self._failure(list(self._running)[-1], f"was not ready after {seconds} s")
            self._pause()

    def _start(self, name: str, command: str, **streams: object) -> None:
        self._running[name] = Popen(command, env=self.env, cwd=self._folder, **streams)

    def _ended(self, name: str) -> int:
        while (code := self._running[name].poll()) is None:
            self._pause()
        del self._running[name]
        return int(code)

    def _pause(self) -> None:
        if self._signals.count:
            raise KeyboardInterrupt
        time.sleep(POLL_SECONDS)

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self._failure(name, f"ended with code {process.returncode}")

    def _failure(self, name: str, what: str) -> StartError:
        log = self._log(name)
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return StartError("\n".join([f"The {name} {what}; the end of {log}:", *lines]))

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _stop(self, process: Popen) -> None:
        _signal(process, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while process.poll() is None and self._signals.count < 2 and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        _signal(process, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in reversed(self._running.values()):
            self._stop(process)


def _signal(process: Popen, number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
