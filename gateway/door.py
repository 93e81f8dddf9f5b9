"""The door: listens, counts sockets by where they come from, and turns away those who don't ask."""

from __future__ import annotations

import asyncio
from functools import partial
from ssl import SSLContext
from typing import Any, cast

from aiohttp import web

from gateway.addresses import place
from gateway.app import Gateway
from gateway.headers import SECURITY
from gateway.socket import Socket

BACKLOG = 4_096
"""Sockets that may wait to be accepted: all clients of another gateway come back at once."""

NO_LOG: dict[str, Any] = {"access_log": None}
"""Requests are not logged: they may carry tokens."""

HTTP_BAD_REQUEST = 400

FULL = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nConnection: close\r\n"
    b"Content-Length: 36\r\n\r\ntoo many connections of this address"
)
"""The answer to a socket too many, which is not asked what it wants."""


class Door(web.RequestHandler):
    """One accepted socket. Those of a proxy are counted by what it says, in the handshake."""

    __slots__ = ("_gateway", "_place", "_watchdog")

    def __init__(
        self, server: web.Server, gateway: Gateway, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        # aiohttp's keep-alive begins when the socket is accepted, and bytes don't prolong it.
        super().__init__(
            server,
            loop=loop,
            **NO_LOG,
            keepalive_timeout=gateway.settings.handshake_seconds,
        )
        self._gateway = gateway
        self._place: str | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the socket in, or turn it away at once."""
        peer = peer_of(transport)
        if not self._gateway.proxies.trusts(peer) and not self.arrive(place(peer)):
            self._turn_away(transport)
            return
        super().connection_made(transport)
        self._watch(cast("asyncio.Transport", transport), 0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The socket is gone."""
        self.depart()
        self._watch_no_more()
        super().connection_lost(exc)

    def arrive(self, place: str) -> bool:
        """Count the socket at a place, if that may have one more."""
        if not self._gateway.connections.arrive(place):
            return False
        self._place = place
        return True

    def depart(self) -> None:
        """Count the socket no more."""
        if self._place is not None:
            self._gateway.connections.depart(self._place)
            self._place = None

    def hand_over(self, socket: Socket) -> str | None:
        """End HTTP, and let a WebSocket go on with the connection; returns where it is counted."""
        transport, tail, place = self.transport, self._message_tail, self._place
        if transport is None:
            raise ConnectionResetError
        self.transport = self._place = None
        self._watch_no_more()
        super().connection_lost(None)
        socket.transport = transport
        transport.set_protocol(socket)
        if self._buffer_paused:
            transport.resume_reading()
        if tail:
            socket.data_received(tail)
        return place

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP without a word in the log: it may have a token in it."""
        if status == HTTP_BAD_REQUEST:
            response: web.StreamResponse = web.Response(status=status, text="bad request\n")
            response.force_close()
        else:
            response = super().handle_error(request, status, exc, message)
        response.headers.update(SECURITY)
        return response

    def _watch(self, transport: asyncio.Transport, before: int) -> None:
        """Cut the socket off if as much of an answer waits as `before`: aiohttp waits for its reader for ever."""
        waiting = transport.get_write_buffer_size()
        if waiting and waiting == before:
            transport.abort()
            return
        seconds = self._gateway.settings.slow_seconds
        self._watchdog = self._loop.call_later(seconds, self._watch, transport, waiting)

    def _watch_no_more(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()

    def _turn_away(self, transport: asyncio.BaseTransport) -> None:
        self._gateway.metrics.turned_away.labels("address").inc()
        self.close()
        socket = cast("asyncio.Transport", transport)
        socket.write(FULL)
        socket.close()


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address at the other end; empty if it has gone already."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


async def listen(
    runner: web.AppRunner, gateway: Gateway, tls: SSLContext | None = None, **options: Any
) -> asyncio.Server:
    """Accept sockets at the address of the settings; `options` are those of `create_server`.

    Who completes no TLS handshake, or no head of a request, is cut off after `handshake_seconds`.
    """
    loop, settings = asyncio.get_running_loop(), gateway.settings
    server = runner.server
    if server is None:
        raise RuntimeError("set the runner up before it listens")

    if tls is not None:
        options |= {"ssl": tls, "ssl_handshake_timeout": settings.handshake_seconds}
    door = partial(Door, server, gateway, loop=loop)
    return await loop.create_server(door, settings.host, settings.port, backlog=BACKLOG, **options)
