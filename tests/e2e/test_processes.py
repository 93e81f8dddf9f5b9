"""Several gateway processes that share one port."""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Connect
from tests.processes import HOST, Gateway, System, ports
from tests.records import unique
from tests.waiting import eventually

PROCESSES, CLIENTS = 3, 24
SECONDS = 60


class Several:
    """A gateway of several processes, each with a port for its metrics."""

    def __init__(self, system: System) -> None:
        self.first_port = ports.take(PROCESSES)
        self.gateway: Gateway = system.gateway(
            "--processes",
            str(PROCESSES),
            READCAST_GATEWAY_METRICS_PORT=str(self.first_port),
        )

    def ready(self) -> bool:
        self.gateway.check()
        return all(self.read(number, "readyz") == "ready\n" for number in range(PROCESSES))

    def wait_ready(self) -> None:
        eventually(self.ready, "every process is ready", SECONDS)

    def connections(self) -> list[int]:
        """Open WebSockets of each process."""
        pages = [self.read(number, "metrics") for number in range(PROCESSES)]
        found = [
            re.search(r"^readcast_gateway_connections (\d+)", page, re.MULTILINE) for page in pages
        ]
        return [int(float(match.group(1))) if match else 0 for match in found]

    def members(self) -> list[int]:
        """The ids of the processes, without the one that looks after them."""
        listed = subprocess.run(
            ["pgrep", "-P", str(self.gateway.pid)], capture_output=True, text=True, check=False
        )
        return [int(line) for line in listed.stdout.split()]

    def read(self, number: int, page: str) -> str:
        try:
            url = f"http://{HOST}:{self.first_port + number}/{page}"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


@pytest.fixture
def several(stack: System) -> Iterator[Several]:
    several = Several(stack)
    several.wait_ready()
    yield several
    several.gateway.stop()
    stack.gateways.remove(several.gateway)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_processes_share_a_port_and_serve_one_group(several: Several, connect: Connect):
    group = unique("group:g")
    clients = [await connect(unique("u"), url=several.gateway.ws) for _ in range(CLIENTS)]
    owner, *others = clients
    await owner.request("create", mailbox=group)
    await owner.request("join", mailbox=group, members=[other.user for other in others])
    for client in clients:
        await client.request("watch", mailbox=group)
    counts = several.connections()
    assert sum(counts) == CLIENTS
    assert min(counts) > 0
    await owner.send(group, "hi")
    for client in clients:
        assert (await client.expect("message", mailbox=group))["body"] == "hi"


async def test_a_process_that_dies_is_started_again(several: Several, connect: Connect):
    victim = several.members()[0]
    os.kill(victim, signal.SIGKILL)
    eventually(
        lambda: victim not in several.members() and len(several.members()) == PROCESSES,
        "another process is there",
        SECONDS,
    )
    several.wait_ready()
    client = await connect(unique("u"), url=several.gateway.ws)
    assert await client.sync() == {}


async def test_all_processes_drain(several: Several, connect: Connect):
    clients = [await connect(unique("u"), url=several.gateway.ws) for _ in range(CLIENTS)]
    several.gateway.terminate()
    for client in clients:
        assert (await client.expect("reconnect"))["after_ms"] >= 0
        assert await client.closed() == 4002
    assert several.gateway.wait(SECONDS) == 0


async def test_no_process_outlives_the_first_one(several: Several):
    members = several.members()
    assert len(members) == PROCESSES
    os.kill(several.gateway.pid, signal.SIGKILL)
    eventually(lambda: all(map(gone, members)), "all processes have left", SECONDS)


def test_a_port_that_is_taken_is_told(stack: System, several: Several):
    second = stack.gateway("--processes", "2", READCAST_GATEWAY_PORT=str(several.gateway.port))
    stack.gateways.remove(second)
    assert second.wait(SECONDS) == 2
    assert f"can't listen on {HOST}:" in second.tail()
