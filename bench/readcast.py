"""Readcast's own processes: its topics, a worker, a gateway."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jwt

from bench.broker import Broker
from bench.paths import FAUST, PYTHON
from bench.processes import Process, free_port, run

SECRET = "a secret of the benchmark, long enough for HS256"
READY_SECONDS = 120
TOKEN_SECONDS = 3600


def make_topics(broker: Broker) -> None:
    run([FAUST, "-A", "streams", "topics"], broker.folder / "topics.log", environment(broker))


def table_folder(broker: Broker) -> Path:
    return broker.folder / "readcast"


def start_worker(broker: Broker, health_port: int | None = None, **settings: str) -> Process:
    """A worker with all rules; it is not ready yet. `settings` are variables of its environment."""
    port = str(health_port or free_port())
    return Process(
        [FAUST, "-A", "streams", "--loop", "uvloop", "--datadir", table_folder(broker), "worker"],
        broker.folder / "worker.log",
        environment(broker, READCAST_WORKER_METRICS_PORT=port, **settings),
    )


def start_gateway(
    broker: Broker, port: int, arguments: Sequence[str] = (), **settings: str
) -> Process:
    """A gateway; `settings` are variables of its environment."""
    return Process(
        [PYTHON, "-m", "gateway", *arguments],
        broker.folder / "gateway.log",
        environment(broker, READCAST_GATEWAY_PORT=str(port), **settings),
    )


@contextmanager
def ready_worker(broker: Broker, **settings: str) -> Iterator[Process]:
    """A worker whose lanes decide."""
    port = free_port()
    with start_worker(broker, port, **settings) as worker:
        wait_until_ready(worker, port)
        yield worker


@contextmanager
def ready_gateway(
    broker: Broker, arguments: Sequence[str] = (), **settings: str
) -> Iterator[tuple[Process, int]]:
    """A gateway that clients may come to, and its port."""
    port = free_port()
    with start_gateway(broker, port, arguments, **settings) as gateway:
        wait_until_ready(gateway, port)
        yield gateway, port


def wait_until_ready(process: Process, port: int) -> None:
    process.wait_until(lambda: ready(port), READY_SECONDS)


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


def environment(broker: Broker, **more: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "READCAST_AUTH_SECRET": SECRET,
        **more,
    }


def token(user: str, **claims: object) -> str:
    expires = int(time.time()) + TOKEN_SECONDS
    return jwt.encode({"sub": user, "exp": expires, **claims}, SECRET, "HS256")
