"""What connections leave behind: nothing large that only a full collection would free."""

import asyncio
import gc

import pytest
from aiohttp._websocket.reader import WebSocketDataQueue

from gateway.door import Door
from gateway.garbage import YOUNG_SECONDS
from tests.gateway.conftest import House

MANY = 20
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
LARGE = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 8_000) for number in range(100))
PART_OF_A_FRAME = bytes((0x81, 0x80 | 127)) + (131_000).to_bytes(8) + bytes(4) + b"x" * 130_999

REQUESTS = {
    "good": b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n",
    "no such page": b"GET /nothing HTTP/1.1\r\nHost: here\r\n" + LARGE + b"\r\n",
    "no upgrade": b"GET /ws HTTP/1.1\r\nHost: here\r\n\r\n",
    "a bad token": UPGRADE + b"Authorization: Bearer x.y.z\r\n\r\n",
    "a foreign page": UPGRADE + b"Origin: https://evil.example\r\n\r\n",
}


def doors() -> int:
    return sum(isinstance(one, Door) for one in gc.get_objects())


async def ask(house: House, request: bytes) -> None:
    port = int(house.http.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(2.5 * YOUNG_SECONDS)  # the young have been looked at, and it stays
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_connection_that_becomes_no_session_leaves_nothing_behind(
    house: House, request_: bytes
):
    gc.collect()
    before = doors()
    await asyncio.gather(*(ask(house, request_) for _ in range(MANY)))
    await asyncio.sleep(2.5 * YOUNG_SECONDS)
    assert doors() == before


async def send_part(house: House) -> None:
    port = int(house.http.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(PART_OF_A_FRAME)
    await asyncio.sleep(2.5 * YOUNG_SECONDS)
    writer.close()


async def test_what_was_read_of_an_unfinished_frame_is_not_kept(house: House):
    gc.collect()
    await asyncio.gather(*(send_part(house) for _ in range(MANY)))
    await asyncio.sleep(2.5 * YOUNG_SECONDS)
    assert house.gateway.connections.total == 0
    assert sum(isinstance(one, WebSocketDataQueue) for one in gc.get_objects()) == 0
