"""permessage-deflate: what is agreed on, what is compressed, and what a hostile client gets."""

import asyncio
import gc
import os
import tracemalloc
import zlib

import pytest
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
)

from gateway.deflate import InflatingReader
from tests.e2e.client import Client
from tests.gateway.conftest import House, Open

ENDING = b"\0\0\xff\xff"
NO_MASK = bytes(4)


async def deflating(house: House, **offer: int | bool) -> Client:
    """A session with permessage-deflate; `offer` is what the client asks for."""
    factory = ClientPerMessageDeflateFactory(**offer)
    client = await house.dial("alice", extensions=[factory])
    await client.hello(house.token("alice"))
    return client


def agreed(client: Client) -> PerMessageDeflate | None:
    extensions = client._connection.protocol.extensions
    assert all(isinstance(one, PerMessageDeflate) for one in extensions)
    return extensions[0] if extensions else None


async def put(client: Client, *parts: bytes, deflated: bool = True) -> None:
    """Send a text message as fragments with these very bytes."""
    for number, part in enumerate(parts):
        first = (0x80 if part is parts[-1] else 0) | (0 if number else 0x41 if deflated else 0x01)
        length = bytes((0x80 | 127, *len(part).to_bytes(8)))
        client._connection.transport.write(bytes((first,)) + length + NO_MASK + part)


def packed(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(ENDING)


@pytest.mark.parametrize(
    ("offer", "window"),
    [
        ({}, 15),
        ({"server_max_window_bits": 15}, 15),
        ({"server_max_window_bits": 12}, 12),
        ({"server_max_window_bits": 14}, 12),
    ],
)
async def test_neither_side_keeps_its_context(house: House, offer: dict[str, int], window: int):
    deflate = agreed(await deflating(house, **offer))
    assert deflate is not None
    assert deflate.remote_no_context_takeover
    assert deflate.local_no_context_takeover
    assert deflate.remote_max_window_bits == window


async def test_a_window_too_small_is_not_compressed_for(house: House):
    client = await deflating(house, server_max_window_bits=9)
    assert agreed(client) is None
    assert (await client.request("ping"))["op"] == "pong"


async def test_it_can_be_switched_off(house_of: Open):
    house = await house_of(deflate=False)
    client = await deflating(house)
    assert agreed(client) is None
    await put(client, packed(b'{"op":"ping"}'))
    assert await client.closed() == 4503


async def test_who_does_not_offer_it_gets_none(house: House):
    client = await house.connect("alice")
    assert agreed(client) is None
    assert (await client.request("ping"))["op"] == "pong"


async def test_both_sides_compress_any_number_of_messages(house: House, group: str):
    client = await deflating(house)
    await client.sync()
    await client.request("create", mailbox=group)
    for seq, text in enumerate(("long " * 2_000, "short", os.urandom(3_000).hex()), 1):
        await client.send(group, text)
        assert (await client.message(group, seq))["body"] == text


async def test_a_message_may_come_in_fragments(house: House):
    client = await deflating(house)
    data = packed(b'{"op":"ping","ref":"fragments"}')
    await put(client, data[:3], data[3:4], data[4:])
    await put(client, b'{"op":"ping",', b'"ref":"plain"}', deflated=False)
    assert (await client.answer("fragments"))["op"] == "pong"
    assert (await client.answer("plain"))["op"] == "pong"


@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_bomb_ends_only_its_own_session(house: House, fragments: int):
    other = await house.connect("bob")
    client = await deflating(house)
    bomb = packed(b" " * (8 << 20))
    step = len(bomb) // fragments + 1
    await put(client, *(bomb[start : start + step] for start in range(0, len(bomb), step)))
    assert await client.closed() == 4504
    assert (await other.request("ping"))["op"] == "pong"


async def test_no_more_than_the_limit_is_ever_inflated():
    reader = InflatingReader(
        WebSocketDataQueue(None, 1_000, loop=asyncio.get_running_loop()), 1_000
    )
    bomb = packed(b" " * (8 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(WebSocketError, match="too much"):
            reader._inflate(bomb, True)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


async def test_the_limit_is_that_of_frames(house_of: Open):
    house = await house_of(frame_bytes=1024)
    client = await deflating(house)
    ping = b'{"op":"ping","ref":1}'
    await put(client, packed(ping.ljust(1024)))
    assert (await client.answer(1))["op"] == "pong"
    await put(client, packed(ping.ljust(1025)))
    assert await client.closed() == 4504


@pytest.mark.parametrize("data", [b"hello", packed(b"x" * 400)[:-3]])
async def test_what_is_not_deflated_ends_the_session(house: House, data: bytes):
    client = await deflating(house)
    await put(client, data)
    assert await client.closed() == 4503


async def test_an_idle_connection_holds_nothing_of_zlib(house: House):
    client = await deflating(house)
    await put(client, packed(b'{"op":"ping","ref":1}'))
    await client.answer(1)
    (session,) = house.gateway._pulse.sessions
    reader = session._socket._reader
    assert isinstance(reader, InflatingReader)
    assert reader._inflater is None
    assert not [one for one in gc.get_referents(reader) if type(one).__module__.endswith("zlib")]
