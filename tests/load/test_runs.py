"""Small runs against a real gateway, which is restarted under its clients."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from load import member as members
from load import report as reports
from load import storm as storms
from load.chat import chat
from load.plan import Plan
from load.report import Report, html, plots
from load.storm import storm
from load.tally import Tally
from tests.processes import HOST, ROOT, Gateway, System, ports

CLIENTS = 60
LIMIT_SECONDS = 240


def plan(stack: System, url: str, **fields) -> Plan:
    run = f"l{uuid.uuid4().hex[:8]}"
    return Plan(url, stack.secret, run, (CLIENTS // 3,) * 3, **{"rate": 30.0, **fields})


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True)


class OneGateway:
    """What a storm needs of a system."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def start_gateway(self) -> None:
        self._gateway.start()

    def wait_until_ready(self) -> None:
        self._gateway.wait_ready()

    def end_gateway(self, number: signal.Signals) -> None:
        self._gateway._signal(number)
        self._gateway.wait(30)

    def rss(self) -> dict[str, float]:
        return {}


async def test_clients_that_are_slow_or_lose_their_connection_miss_nothing(stack: System):
    ours = plan(stack, stack.ws, slow=0.1, restless=0.2, restless_seconds=2.0)
    async with asyncio.timeout(LIMIT_SECONDS):
        done = await chat(ours, 6, screen())
    assert done.is_good, done.total.faults
    assert done.total.acknowledged == done.total.sent == done.total.stored > 0
    assert done.total.delivered == done.total.stored * CLIENTS // 3
    assert done.total.reconnects > 0
    assert done.total.receipts.total == done.total.acknowledged


async def test_clients_may_think_before_they_send(stack: System):
    async with asyncio.timeout(LIMIT_SECONDS):
        done = await chat(plan(stack, stack.ws, think=1.0, rate=0.0), 4, screen())
    assert done.is_good, done.total.faults
    assert done.total.sent > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_all_come_back_to_a_gateway_that_is_restarted_and_miss_nothing(
    stack: System, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storms, "BEFORE_SECONDS", 2)
    monkeypatch.setattr(storms, "AFTER_SECONDS", 2)
    with stack.gateway() as gateway:
        gateway.wait_ready()
        ours = plan(stack, gateway.ws)
        async with asyncio.timeout(LIMIT_SECONDS):
            done = await storm(ours, number, screen(), OneGateway(gateway))  # type: ignore[arg-type]
    assert done.is_good, done.total.faults
    assert sum(done.total.back.values()) >= CLIENTS
    assert done.total.unrecovered == done.total.reset == done.total.pulled == 0
    assert done.total.acknowledged == done.total.sent
    closed = "4002" if number is signal.SIGTERM else "1006"
    assert done.total.disconnected[closed] >= CLIENTS


async def test_a_report_is_complete_in_itself(stack: System, monkeypatch, tmp_path):
    monkeypatch.setattr(reports, "FOLDER", tmp_path)
    async with asyncio.timeout(LIMIT_SECONDS):
        done = await chat(plan(stack, stack.ws), 3, screen())
    page = done.save()
    assert html(done) == page.read_text()
    for text in plots(done).values():
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "src=" not in page.read_text()
    kept = msgspec.json.decode(page.with_suffix(".json").read_bytes(), type=Report)
    assert kept.total == done.total
    assert stack.secret not in page.with_suffix(".json").read_text()


async def test_a_gateway_that_is_not_there_is_given_up(
    stack: System, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(members, "CONNECT_SECONDS", 1)
    nobody = f"ws://{HOST}:{ports.take()}/ws"
    member = members.Member(plan(stack, nobody), 0, Tally)
    with pytest.raises(ConnectionError, match=f"no connection to {nobody} within 1 s: .*Errno"):
        await member.connect()


def test_without_a_secret_or_with_a_wrong_one_it_says_so(stack: System):
    def run(secret: str) -> str:
        command = [sys.executable, "-m", "load", "chat", "--url", stack.ws, "--groups", "1x2"]
        env = {**os.environ, "READCAST_AUTH_SECRET": secret}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        assert done.returncode == 2
        return done.stderr.splitlines()[-1]

    assert "--url needs READCAST_AUTH_SECRET" in run("")
    assert run("another secret of thirty-two bytes").startswith("bad_token: ")
