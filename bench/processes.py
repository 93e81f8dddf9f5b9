"""Start and stop the processes under measurement."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.paths import ROOT

STOP_SECONDS = 30
LOG_LINES_SHOWN = 20
NICENESS = 10
NANOSECONDS = 1_000_000_000


class ProcessError(Exception):
    """A process ended or did not get ready; the message has the end of its log."""


class Process:
    """A child process with a log file; as a context manager it is stopped at the end."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.name = log.stem
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def check(self) -> None:
        """Raise ProcessError if it has ended."""
        code = self._child.poll()
        if code is not None:
            raise self.failure(f"ended with code {code}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready` holds; raise ProcessError if it ends or `seconds` pass before."""
        until = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > until:
                raise self.failure(f"not ready after {seconds} s")
            time.sleep(0.05)

    def failure(self, what: str) -> ProcessError:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return ProcessError("\n".join([f"{self.name} {what}; the end of its log:", *lines]))

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._child.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left of its process group after STOP_SECONDS."""
        if self._child.poll() is None:
            os.killpg(self._child.pid, signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def run(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command to its end; raise ProcessError if it fails."""
    with Process(command, log, env) as process:
        code = process.wait()
        if code:
            raise process.failure(f"ended with code {code}")


def stop_on_sigterm() -> None:
    """Let SIGTERM and SIGINT end this process the way that stops its children too."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def give_way() -> None:
    """Let this process take only what the others leave."""
    os.nice(NICENESS)
    # Linux shares time between sessions first, and each process here has its own.
    session = Path("/proc/self/autogroup")
    if session.exists():
        session.write_text(str(NICENESS))


def cpu_seconds(pid: int) -> float:
    """CPU time that the threads of a process have used (Linux), to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / NANOSECONDS


def resident_kb(pid: int) -> int:
    """kB of memory that a process has in use (Linux); 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = status.partition("VmRSS:")[2].split()
    return int(found[0]) if found else 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
