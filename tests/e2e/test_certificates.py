"""Certificates and keys that are renewed while gateways run."""

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.certificates import self_made, serial_of
from tests.e2e.client import Client
from tests.e2e.conftest import Connect
from tests.keys import rs256, rsa_jwk, write_set
from tests.processes import HOST, Gateway, System, ports
from tests.records import unique
from tests.waiting import eventually

SECONDS = 60
HANDSHAKES = 24
"""So many that each of two processes has some of them."""

NOT_USED = "changed files can't be used"

Start = Callable[..., Gateway]


def shown(gateway: Gateway, host: str = HOST) -> int:
    """The serial number of the certificate in a handshake."""
    return serial_of(ssl.get_server_certificate((host, gateway.port), timeout=10))


def serial_in(folder: Path) -> int:
    return serial_of((folder / "certificate.pem").read_bytes())


def trust(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "certificate.pem")


def is_ready(gateway: Gateway, folder: Path) -> bool:
    """Whether it says so again and again, each time over another connection."""
    gateway.check()
    url, context = gateway.http.replace("http:", "https:") + "/readyz", trust(folder)
    try:
        for _ in range(HANDSHAKES):
            urllib.request.urlopen(url, timeout=5, context=context).close()
    except OSError:
        return False
    return True


def is_up(metrics_port: int) -> bool:
    """Whether one process says that it is ready."""
    try:
        urllib.request.urlopen(f"http://{HOST}:{metrics_port}/readyz", timeout=5).close()
    except OSError:
        return False
    return True


def wss(gateway: Gateway) -> str:
    return gateway.ws.replace("ws:", "wss:")


@pytest.fixture
def start(stack: System, tmp_path: Path) -> Iterator[Start]:
    """start(*arguments, **settings): a gateway with a certificate and keys from the folder of the test."""
    with ExitStack() as started:

        def start(*arguments: str, **settings: str) -> Gateway:
            certificate, key = self_made(tmp_path)
            gateway = stack.gateway(
                *arguments,
                READCAST_GATEWAY_TLS_CERTIFICATE=str(certificate),
                READCAST_GATEWAY_TLS_KEY=str(key),
                READCAST_AUTH_KEYS=str(write_set(tmp_path, rsa_jwk("old", private=False))),
                **settings,
            )
            started.callback(stack.gateways.remove, gateway)
            started.enter_context(gateway)
            eventually(lambda: is_ready(gateway, tmp_path), "all processes are ready", SECONDS)
            return gateway

        yield start


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_a_renewed_certificate_is_shown_in_the_next_handshake(
    start: Start, tmp_path: Path, host: str
):
    """Whether or not the client names the server in its handshake: it doesn't name an address."""
    gateway = start()
    before = serial_in(tmp_path)
    assert shown(gateway, host) == before
    self_made(tmp_path, "renewed")
    assert serial_in(tmp_path) != before
    assert shown(gateway, host) == serial_in(tmp_path)


async def test_sessions_outlive_the_certificate_of_their_handshake(
    start: Start, stack: System, tmp_path: Path, dial: Connect
):
    gateway = start()
    user = unique("alice")

    async def connected() -> Client:
        client = await dial(user, url=wss(gateway), ssl=trust(tmp_path))
        await client.hello(stack.token(user))
        return client

    one = await connected()
    self_made(tmp_path, "renewed")
    two = await connected()
    for client in (one, two):
        assert await client.request("ping")


def test_files_that_cannot_be_used_leave_the_certificate_as_it_was(start: Start, tmp_path: Path):
    gateway = start()
    good, key = serial_in(tmp_path), (tmp_path / "key.pem").read_bytes()
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\nno\n")
        assert shown(gateway) == good
        assert NOT_USED in gateway.tail(1)
    (tmp_path / "key.pem").unlink()
    assert shown(gateway) == good

    self_made(tmp_path, "renewed")
    (tmp_path / "key.pem").write_bytes(key)
    assert shown(gateway) == good, "a key of another certificate"
    assert NOT_USED in gateway.tail(1)
    self_made(tmp_path, "renewed")
    assert shown(gateway) == serial_in(tmp_path)
    assert "changed files are in use" in gateway.tail(1)


async def test_all_processes_take_up_what_is_renewed(start: Start, tmp_path: Path, dial: Connect):
    first = ports.take(2)
    gateway = start("--processes", "2", READCAST_GATEWAY_METRICS_PORT=str(first))
    for port in (first, first + 1):
        eventually(lambda port=port: is_up(port), "each of them is ready", SECONDS)
    assert {shown(gateway) for _ in range(HANDSHAKES)} == {serial_in(tmp_path)}
    self_made(tmp_path, "renewed")
    write_set(tmp_path, rsa_jwk("new", private=False))
    assert {shown(gateway) for _ in range(HANDSHAKES)} == {serial_in(tmp_path)}

    for number in range(HANDSHAKES):
        client = await dial(url=wss(gateway), ssl=trust(tmp_path))
        kid = "old" if number % 2 else "new"
        await client.put({"op": "hello", "token": rs256(kid, unique("u"))})
        await client.wait_or_close(lambda event: event["op"] == "welcome")
        assert client.close_code == (4501 if kid == "old" else None)
