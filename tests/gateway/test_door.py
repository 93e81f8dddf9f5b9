"""Who is let in, for how long, and what every answer says to browsers."""

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.door import Door
from gateway.headers import SECURITY
from readcast.frames import TEXT, encode
from tests.e2e.client import slow_socket
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.keys import rs256, rsa_jwk, write_set

PATIENCE_SECONDS = 10
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"


class Raw:
    """A TCP connection that says what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = REQUEST) -> bytes:
        """The head of the answer to a request."""
        self.writer.write(request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def drip(self, data: bytes, pause: float) -> None:
        """Send byte by byte until the other side has closed."""
        for byte in data:
            if self.writer.is_closing() or self.reader.at_eof():
                return
            self.writer.write(bytes([byte]))
            await asyncio.sleep(pause)

    async def rest(self) -> bytes:
        """What still comes, until the other side closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@pytest.fixture
async def raw() -> AsyncIterator:
    """raw(house): a TCP connection to its gateway."""
    opened: list[Raw] = []

    async def connect(house: House) -> Raw:
        port = int(house.http.rpartition(":")[2])
        opened.append(Raw(*await asyncio.open_connection("127.0.0.1", port)))
        return opened[-1]

    yield connect
    for one in opened:
        await one.close()


# Time to ask


async def test_who_says_nothing_is_cut_off(house_of: Open, raw):
    house = await house_of(handshake_seconds=0.2)
    assert await (await raw(house)).rest() == b""


async def test_who_sends_a_head_byte_by_byte_is_cut_off(house_of: Open, raw):
    house = await house_of(handshake_seconds=0.2)
    slow = await raw(house)
    dripping = asyncio.create_task(slow.drip(REQUEST * 1_000, 0.02))
    assert b"200" not in await slow.rest()
    await dripping


async def test_who_asks_nothing_more_is_cut_off(house_of: Open, raw):
    house = await house_of(handshake_seconds=0.2)
    one = await raw(house)
    assert b"200 OK" in await one.ask()
    assert await one.rest() == b"ok\n"


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
async def test_who_does_not_read_what_they_asked_for_is_cut_off(house_of: Open, path: str):
    house = await house_of(handshake_seconds=0.2, slow_seconds=0.3, connections_per_address=1)
    ask = f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
    with await slow_socket(house.url) as socket:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                while True:
                    await asyncio.get_running_loop().sock_sendall(socket, ask)
        await until(lambda: house.gateway.connections.arrive("127.0.0.1"))


async def test_a_socket_outlives_the_time_to_ask(house_of: Open, raw):
    house = await house_of(handshake_seconds=0.2)
    client = await house.connect("alice")
    slow = await house.dial()
    assert await (await raw(house)).rest() == b""
    assert (await client.request("ping"))["op"] == "pong"
    assert await slow.hello(house.token("alice"))


# How many


async def test_sockets_of_an_address_are_limited_and_given_back(house_of: Open, raw):
    house = await house_of(connections_per_address=2)
    first = await house.connect("alice")
    second = await raw(house)
    third = await raw(house)
    assert (await third.rest()).startswith(b"HTTP/1.1 429 ")
    with pytest.raises(InvalidStatus) as refused:
        await house.dial()
    assert refused.value.response.status_code == 429
    await second.close()
    await until(lambda: house.gateway.connections.arrive("127.0.0.1"))
    house.gateway.connections.depart("127.0.0.1")
    assert (await house.connect("bob")).user == "bob"
    assert (await first.request("ping"))["op"] == "pong"


async def test_who_is_turned_away_is_not_counted(house_of: Open, raw):
    house = await house_of(connections_per_address=1)
    kept = await raw(house)
    for _ in range(3):
        assert (await (await raw(house)).rest()).startswith(b"HTTP/1.1 429 ")
    await kept.close()
    await until(lambda: house.gateway.connections.arrive("127.0.0.1"))
    assert not house.gateway.connections.arrive("127.0.0.1")


async def forwarded(house: House, *clients: str) -> int:
    """The status of a handshake that a proxy has forwarded; 101 when it was accepted."""
    headers = [("X-Forwarded-For", client) for client in clients]
    try:
        await house.dial(headers=headers)
    except InvalidStatus as refused:
        return refused.response.status_code
    return 101


async def test_sockets_of_a_proxy_are_counted_for_their_clients(house_of: Open):
    house = await house_of(connections_per_address=1, trusted_proxies="127.0.0.0/8, ::1")
    assert await forwarded(house, "192.0.2.7") == 101
    assert await forwarded(house, "192.0.2.8") == 101
    assert await forwarded(house, "192.0.2.7") == 429
    # What a client has written itself stands at the left.
    assert await forwarded(house, "203.0.113.1, 192.0.2.7") == 429
    assert await forwarded(house, "203.0.113.2", "192.0.2.7") == 429
    await house.clients[0].close()
    await until(lambda: house.gateway.connections.total == 1)
    assert await forwarded(house, "192.0.2.7") == 101


async def test_nobody_may_name_their_own_address(house_of: Open):
    house = await house_of(connections_per_address=1)
    assert await forwarded(house, "192.0.2.7") == 101
    assert await forwarded(house, "192.0.2.8") == 429


async def test_a_flood_of_pings_closes_only_its_own_socket(house_of: Open):
    house = await house_of(frame_rate=10, frame_burst=10)
    flood, other = await house.connect("mallory"), await house.connect("alice")
    connection = flood._connection
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.ping()
    assert await flood.closed() == 4503
    assert (await other.request("ping"))["op"] == "pong"


async def test_who_is_turned_away_is_counted(house_of: Open, raw):
    house = await house_of(connections_per_address=1, trusted_proxies="127.0.0.1")
    assert await forwarded(house, "192.0.2.7") == 101
    assert await forwarded(house, "192.0.2.7") == 429
    for headers in ({"Origin": "https://evil.example"}, {"Authorization": "Bearer x"}):
        with pytest.raises(InvalidStatus):
            await house.dial(headers=headers)
    house.gateway.draining = True
    assert await forwarded(house, "192.0.2.8") == 503
    exposed = house.gateway.metrics.exposition().decode()
    for reason in ("address", "origin", "token", "not ready"):
        assert f'readcast_gateway_turned_away_total{{reason="{reason}"}} 1.0' in exposed


# Tokens during a session


async def test_a_session_ends_if_its_renewal_has_expired(house: House):
    client = await house.connect("alice")
    await client.put({"op": "hello", "token": house.token("alice", -1)})
    assert await client.closed() == 4502


async def test_a_renewal_for_another_user_is_told_and_changes_nothing(house: House):
    client = await house.connect("alice", 2)
    refusal = await client.post("hello", token=house.token("bob", 60, role="operator"))
    error = await client.wait(lambda event: event.get("ref") == refusal, "the refusal")
    assert (error["code"], error["retriable"]) == ("forbidden", False)
    assert "connect anew" in error["message"]
    assert await client.refusal("board") == "forbidden"
    assert await client.closed() == 4502


async def test_a_renewal_without_a_token_gains_no_time(house: House):
    client = await house.connect("alice", 2)
    await client.hello()
    assert await client.closed() == 4502


async def test_a_renewal_gives_and_takes_the_role(house: House):
    client = await house.connect("alice")
    assert await client.refusal("board") == "forbidden"
    await client.hello(house.token("alice", 60, role="operator"))
    assert (await client.request("board"))["op"] == "board"
    await client.hello(house.token("alice", 60))
    assert await client.refusal("board") == "forbidden"


async def test_a_renewal_with_a_key_given_up_ends_the_session(house_of: Open, tmp_path):
    keys = write_set(tmp_path, rsa_jwk("old", private=False), rsa_jwk("new", private=False))
    house = await house_of(keys=keys)
    kept, lost = await house.dial(), await house.dial()
    for client in (kept, lost):
        await client.hello(rs256("old"))
    write_set(tmp_path, rsa_jwk("new", private=False))
    await kept.hello(rs256("new"))
    await lost.put({"op": "hello", "token": rs256("old")})
    assert await lost.closed() == 4501
    assert (await kept.request("ping"))["op"] == "pong"


# Headers

STATUSES = {
    "the page": (200, "GET", "/", {}),
    "the console": (200, "GET", "/console", {}),
    "a script": (200, "GET", "/app.js", {}),
    "metrics": (200, "GET", "/metrics", {}),
    "a token": (200, "POST", "/demo/token", {}),
    "bad JSON": (400, "POST", "/demo/token", {"Content-Type": "text/html"}),
    "no handshake": (400, "GET", "/ws", {}),
    "a bad token": (401, "GET", "/ws", {"Authorization": "Bearer x"}),
    "a foreign origin": (403, "GET", "/ws", {"Origin": "https://evil.example"}),
    "no such page": (404, "GET", "/<script>alert(1)</script>", {}),
    "outside the folder": (404, "GET", "/%2e%2e/settings.py", {}),
    "a path that is no file name": (404, "GET", "/" + "x" * 5_000, {}),
    "no such method": (405, "DELETE", "/", {}),
    "too large": (413, "POST", "/demo/token", {"X-Size": "100000"}),
}


@pytest.mark.parametrize("name", STATUSES)
async def test_every_answer_has_the_headers(house: House, name: str):
    status, method, path, headers = STATUSES[name]
    body = json.dumps({"user": "alice"}) if status == 200 else "x" * int(headers.get("X-Size", 9))
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, house.http + path, headers=headers, data=body) as answer,
    ):
        assert answer.status == status
        assert {header: answer.headers.get(header) for header in SECURITY} == SECURITY
        assert "Strict-Transport-Security" not in answer.headers
        if status != 200:
            assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer\x00 s3cret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\nCookie: " + b"s3cret" * 2_000 + b"\r\n\r\n",
        b"GET /" + b"s3cret" * 2_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: s3cret\r\n\r\n",
    ],
    ids=["TLS", "NUL in a header", "long header", "long line", "bad length"],
)
async def test_what_is_no_http_is_refused_and_not_logged(house: House, raw, caplog, request_):
    head = await (await raw(house)).ask(request_)
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert SECURITY["Content-Security-Policy"].encode() in head
    assert caplog.records == []


async def test_too_many_headers_are_refused(house: House, raw):
    lines = b"".join(b"X-%d: 1\r\n" % number for number in range(1_000))
    head = await (await raw(house)).ask(b"GET / HTTP/1.1\r\nHost: here\r\n" + lines + b"\r\n")
    assert b" 400 " in head.splitlines()[0]


async def test_a_token_is_kept_by_no_cache(house: House):
    async with (
        aiohttp.ClientSession() as http,
        http.post(house.http + "/demo/token", json={"user": "alice"}) as answer,
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert house.tokens.verify((await answer.json())["token"]).expires > time.time()


# What is left of the handshake


async def test_of_a_handshake_nothing_is_kept(house: House):
    client = await house.connect("alice")
    await asyncio.sleep(0)
    gc.collect()
    assert [one for one in gc.get_objects() if isinstance(one, Door | web.Request)] == []
    assert (await client.request("ping"))["op"] == "pong"


async def test_what_comes_with_the_handshake_is_read(house: House, raw):
    one = await raw(house)
    await one.ask(
        b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        + encode(TEXT, json.dumps({"op": "hello", "token": house.token("alice")}).encode())
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b"welcome" in await one.reader.readuntil(b"welcome")
