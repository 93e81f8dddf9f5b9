"""Real processes for the tests: a broker, workers and gateways.

Each runs in its own process group and writes to its own log, shown when a test fails.
"""

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Self

import jwt
import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.records import Kafka
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
STOP_SECONDS = 30
START_SECONDS = 60
FETCH_SECONDS = 300  # the first start of a broker fetches its jars

STARTED: list["Process"] = []
"""Every process of this run, the ended ones too: their logs are shown when a test fails."""


class ProcessFailed(Exception):
    """A process ended or did not get ready; the end of its log is in the message."""


class Process:
    """A command that can be started, stopped, killed, frozen, and started again."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", **env}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self not in STARTED:
            STARTED.append(self)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """SIGKILL: no warning, nothing flushed."""
        self._signal(signal.SIGKILL)
        self.wait(STOP_SECONDS)

    def stop(self) -> int | None:
        """SIGTERM, SIGKILL if that takes too long; returns the exit code."""
        self.terminate()
        try:
            return self.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait(STOP_SECONDS)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: as a long pause of the machine would do it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def run(self, seconds: float = START_SECONDS) -> None:
        """Start it and wait for its good end."""
        if self.start().wait(seconds):
            raise self.failure("failed")

    def wait(self, seconds: float) -> int | None:
        """Its exit code, once it has ended."""
        return self._child.wait(seconds) if self._child else None

    def check(self) -> bool:
        """True; ProcessFailed if it has ended."""
        if not self.running:
            code = self._child.returncode if self._child else None
            raise self.failure(f"ended with code {code}")
        return True

    def failure(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} {what}; the end of its log:\n{self.tail()}")

    def tail(self, lines: int = 40, after: int = 0) -> str:
        """The last lines of the log, beyond its first `after` bytes."""
        if not self.log.exists():
            return ""
        written = self.log.read_bytes()[after:].decode(errors="replace")
        return "\n".join(written.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            assert self._child is not None
            os.killpg(self._child.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self.stop()


@atexit.register
def kill_all() -> None:
    """Whatever a context manager didn't reach."""
    for process in STARTED:
        process.kill()


class Broker(Process):
    """A real single-node Apache Kafka; a restart keeps its port and its data."""

    def __init__(self, folder: Path) -> None:
        self.port = ports.take()
        self.bootstrap = f"{HOST}:{self.port}"
        given = ["--port", str(self.port), "--controller-port", str(ports.take())]
        script = ROOT / "docker/local/kafka.py"
        command = [sys.executable, script, "run", *given, "--data", folder / "kafka"]
        super().__init__("broker", command, folder / "broker.log", {})

    def start(self) -> Self:
        super().start()
        eventually(lambda: self.check() and self.answers(), "a broker that answers", FETCH_SECONDS)
        return self

    def answers(self) -> bool:
        if not listens(self.port):
            return False
        try:
            KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000).close()
        except KafkaError:
            return False
        return True


class Worker(Process):
    """A Faust worker with a data folder of its own."""

    def __init__(
        self, name: str, folder: Path, env: Mapping[str, str], data: Path | None = None
    ) -> None:
        self.data = data or folder / name
        self.starts = 0
        faust = [sys.executable, "-m", "faust", "-A", "streams", "--loop", "uvloop"]
        command = [*faust, "--datadir", self.data, "worker", "--loglevel", "info"]
        super().__init__(name, command, folder / f"{name}.log", env)

    @property
    def client_id(self) -> str:
        """Its Kafka client id, another one after each start."""
        return f"{self.name}.{self.starts}"

    def start(self) -> Self:
        self.starts += 1
        self.env["BROKER_CLIENT_ID"] = self.client_id
        return super().start()

    def wipe(self) -> None:
        """Lose the data folder, as a new machine would."""
        assert not self.running
        shutil.rmtree(self.data)


class Gateway(Process):
    """A gateway on a port of its own; a restart keeps the port."""

    def __init__(
        self, name: str, folder: Path, env: Mapping[str, str], arguments: Sequence[str] = ()
    ) -> None:
        self.port = ports.take()
        self.http = f"http://{HOST}:{self.port}"
        self.ws = f"ws://{HOST}:{self.port}/ws"
        env = {"READCAST_GATEWAY_PORT": str(self.port), **env}
        super().__init__(
            name, [sys.executable, "-m", "gateway", *arguments], folder / f"{name}.log", env
        )

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.http}/readyz", timeout=2):
                return True
        except OSError:
            return False

    def wait_ready(self) -> Self:
        eventually(lambda: self.check() and self.ready(), f"{self.name} is ready", START_SECONDS)
        return self


class System:
    """One Readcast under an app id of its own: topics, workers and gateways on a given broker."""

    def __init__(self, bootstrap: str, folder: Path, **settings: str) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.app_id = f"t{uuid.uuid4().hex[:8]}"
        self.secret = uuid.uuid4().hex
        self.kafka = Kafka(bootstrap, self.app_id)
        self.workers: list[Worker] = []
        self.gateways: list[Gateway] = []
        self._env = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "READCAST_APP_ID": self.app_id,
            "READCAST_AUTH_SECRET": self.secret,
            "READCAST_WORKER_METRICS_PORT": "0",
            "READCAST_DEMO": "1",
            **settings,
        }

    @property
    def healthy(self) -> bool:
        """Whether every process that was started still runs."""
        return all(process.running for process in (*self.workers, *self.gateways))

    @property
    def http(self) -> str:
        return self.gateways[0].http

    @property
    def ws(self) -> str:
        return self.gateways[0].ws

    def create_topics(self) -> None:
        command = [sys.executable, "-m", "faust", "-A", "streams", "topics"]
        Process("topics", command, self.folder / "topics.log", self._env).run()

    def faust(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line; `settings` are environment variables."""
        command = [sys.executable, "-m", "faust", "-A", "streams", *arguments]
        env = {**os.environ, **self._env, **settings, "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=START_SECONDS
        )

    def worker(self, folder: Path | None = None, **settings: str) -> Worker:
        """Start one more worker, in a folder of its own or that one; `settings` are environment variables."""
        name = f"worker-{len(self.workers) + 1}"
        worker = Worker(name, self.folder, {**self._env, **settings}, folder)
        self.workers.append(worker)
        return worker.start()

    def gateway(self, *arguments: str, **settings: str) -> Gateway:
        """Start one more gateway; not waited for."""
        name = f"gateway-{len(self.gateways) + 1}"
        gateway = Gateway(name, self.folder, {**self._env, **settings}, arguments)
        self.gateways.append(gateway)
        return gateway.start()

    def wait_ready(self) -> None:
        """Every partition decides commands, and every running gateway reads both logs."""
        for worker in self.workers:
            worker.check()
        self.kafka.wait_decides(START_SECONDS)
        for gateway in self.gateways:
            if gateway.running:
                gateway.wait_ready()

    def token(self, user: str, **claims: object) -> str:
        """A token for `user`, good for an hour; `claims` overrides, None leaves a claim out."""
        return self.signed({"sub": user, "exp": int(time.time()) + 3600, **claims})

    def signed(self, claims: Mapping[str, object], secret: str | None = None) -> str:
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, secret or self.secret, "HS256")

    def stop(self) -> None:
        """SIGTERM to all at once, then wait for each."""
        processes = [*self.gateways, *self.workers]
        for process in processes:
            process.thaw()
            process.terminate()
        for process in processes:
            process.stop()

    def close(self) -> None:
        self.stop()
        self.kafka.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def running(
    bootstrap: str, folder: Path, workers: int = 1, gateways: int = 1, **settings: str
) -> Iterator[System]:
    """A system that is ready; stopped at the end, whatever happens."""
    with System(bootstrap, folder, **settings) as system:
        system.create_topics()
        for _ in range(workers):
            system.worker()
        for _ in range(gateways):
            system.gateway()
        system.wait_ready()
        yield system


class Ports:
    """Ports for servers, each given out once, below those from which the kernel takes its own.

    Each process of a parallel run has a range of its own: a port that is free while a gateway is
    down is nobody else's. Browsers open no page on 10080.
    """

    FIRST, COUNT = 10_100, 4_000

    def __init__(self, process: int) -> None:
        self._base = self.FIRST + process * self.COUNT
        self._next = secrets.randbelow(self.COUNT)

    def take(self, count: int = 1) -> int:
        """The first of so many in a row, all of them free."""
        while True:
            first = self._base + self._next % self.COUNT
            self._next += count
            if all(is_free(first + number) for number in range(count)):
                return first


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


ports = Ports(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def start_or_skip(process: Broker) -> None:
    """Start a broker, or do without."""
    try:
        process.start()
    except ProcessFailed as failure:
        do_without(str(failure))


def do_without(what: str) -> NoReturn:
    """Say what a test needs and can't have. A laptop goes on without it; CI fails."""
    if "CI" in os.environ:
        pytest.fail(what)
    pytest.skip(what)
