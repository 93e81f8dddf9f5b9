"""A whole gateway on a real socket, with the pipeline in memory."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
from aiohttp import web

from gateway import app
from gateway.auth import Tokens
from gateway.door import listen
from gateway.http import web_app
from gateway.key_file import KeyFile
from gateway.settings import Settings
from tests.e2e.client import Client
from tests.gateway.fakes import until
from tests.gateway.pipeline import Pipeline

SECRET = "s" * 32


class FakeTail:
    """Reads nothing: the pipeline brings the rows itself."""

    lag = 0

    def __init__(self, *_: object) -> None:
        self.reached_end = asyncio.Event()
        self.reached_end.set()

    async def run(self) -> None:
        await asyncio.Event().wait()


class House:
    """A running gateway, its pipeline and its clients."""

    def __init__(self, pipeline: Pipeline, gateway: app.Gateway, port: int) -> None:
        self.pipeline = pipeline
        self.gateway = gateway
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.http = f"http://127.0.0.1:{port}"
        self.tokens = Tokens(SECRET)
        self.clients: list[Client] = []

    async def dial(self, user: str = "", **options: Any) -> Client:
        client = await Client.open(self.url, user, **options)
        self.clients.append(client)
        return client

    async def connect(
        self, user: str, seconds: float = 60, claims: dict[str, Any] | None = None, **hello: Any
    ) -> Client:
        client = await self.dial(user)
        await client.hello(self.token(user, seconds, **claims or {}), **hello)
        return client

    def token(self, user: str, seconds: float = 60, **claims: Any) -> str:
        return jwt.encode({"sub": user, "exp": time.time() + seconds, **claims}, SECRET)

    async def synced(self, user: str, **claims: Any) -> Client:
        client = await self.connect(user, claims=claims)
        await client.sync()
        return client

    @property
    def hub(self) -> Any:
        return self.gateway._hub


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def house_of(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """house_of(**settings): a gateway with these settings; `keys` is the file of a JWK Set."""
    monkeypatch.setattr(app, "Tail", FakeTail)
    open_houses: list[tuple[House, asyncio.Server, web.AppRunner]] = []

    async def make(**values: Any) -> House:
        pipeline = values.pop("pipeline", None) or Pipeline()
        keys = values.pop("keys", None)
        monkeypatch.setattr(app, "Producer", lambda _: pipeline)
        settings = Settings(**{"demo": True, "port": 0, **values})
        gateway = app.Gateway(settings, Tokens(SECRET, keys and KeyFile(keys)))
        pipeline.rows = gateway._rows
        runner = web.AppRunner(web_app(gateway), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        server = await listen(runner, gateway)
        gateway.start()
        await until(lambda: gateway.is_ready)
        house = House(pipeline, gateway, server.sockets[0].getsockname()[1])
        open_houses.append((house, server, runner))
        return house

    yield make
    for house, server, runner in open_houses:
        server.close()
        for client in house.clients:
            await client.close()
        await house.gateway.stop()
        await runner.cleanup()


@pytest.fixture
async def house(house_of: Open) -> House:
    """A gateway with the default settings."""
    return await house_of()


@pytest.fixture
def group() -> str:
    return f"group:{uuid.uuid4().hex[:8]}"
