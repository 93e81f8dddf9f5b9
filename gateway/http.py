"""The HTTP side: the page, the socket's handshake, health, metrics and the demo's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from aiohttp import web

from gateway.app import Gateway
from gateway.auth import OPERATOR, Identity, bearer, origin_allowed
from gateway.errors import CloseCode, Disconnect
from gateway.headers import secure

if TYPE_CHECKING:
    from gateway.door import Door

STATIC = Path(__file__).with_name("static")

FILES = frozenset(
    path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()
)
"""What the page consists of: nothing else is looked for, whatever a client names."""

DEMO_USERS = ("alice", "bob", "carol", "dave", "erin")

DEMO_OPERATORS = ("olga", "otto")
"""Who publishes at /console in the demo: their tokens have the role."""

DEMO_SECONDS = 12 * 3_600
"""How long a demo token is valid."""

GATEWAY = web.AppKey("gateway", Gateway)

routes = web.RouteTableDef()
monitor_routes = web.RouteTableDef()
demo_routes = web.RouteTableDef()
file_routes = web.RouteTableDef()


class DemoUser(msgspec.Struct):
    """Who somebody wants to be in the demo."""

    user: str


def web_app(gateway: Gateway) -> web.Application:
    """The aiohttp application around a gateway."""
    app = web.Application(client_max_size=64 * 1024)
    app[GATEWAY] = gateway
    app.add_routes(routes)
    app.add_routes(monitor_routes)
    if gateway.settings.demo:
        app.add_routes(demo_routes)
    app.add_routes(file_routes)
    app.on_response_prepare.append(secure)
    return app


def monitor_app(gateway: Gateway) -> web.Application:
    """Health and metrics of this process alone: processes that share a port each have one."""
    app = web.Application()
    app[GATEWAY] = gateway
    app.add_routes(monitor_routes)
    app.on_response_prepare.append(secure)
    return app


@routes.get("/")
async def index(_request: web.Request) -> web.StreamResponse:
    """The page."""
    return _page("index.html")


@routes.get("/console")
async def console(_request: web.Request) -> web.StreamResponse:
    """The operators' page."""
    return _page("console.html")


@monitor_routes.get("/healthz")
async def healthz(_request: web.Request) -> web.Response:
    """The process lives."""
    return web.Response(text="ok\n")


@monitor_routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """Clients may come."""
    if request.app[GATEWAY].is_ready:
        return web.Response(text="ready\n")
    return web.Response(text="not ready\n", status=503)


@monitor_routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """The Prometheus text format."""
    return web.Response(
        body=request.app[GATEWAY].metrics.exposition(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


@routes.get("/ws")
async def websocket(request: web.Request) -> web.StreamResponse:
    """The socket: checks what can be checked before the upgrade."""
    gateway = request.app[GATEWAY]
    origin, host = request.headers.get("Origin"), request.headers.get("Host")
    turned_away = gateway.metrics.turned_away.labels
    if not origin_allowed(origin, host, gateway.settings.origins):
        turned_away("origin").inc()
        raise web.HTTPForbidden(text="this origin may not connect\n")
    if not gateway.is_ready or gateway.connections.is_full:
        turned_away("full" if gateway.is_ready else "not ready").inc()
        raise web.HTTPServiceUnavailable(text="come back later\n", headers={"Retry-After": "5"})
    identity = _identity(request, gateway)
    with _counted(request, gateway):
        return await gateway.serve(request, identity)


@demo_routes.post("/demo/token")
async def demo_token(request: web.Request) -> web.Response:
    """A token for one of the demo's users or operators."""
    try:
        user = msgspec.json.decode(await request.read(), type=DemoUser).user
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None
    known = (*DEMO_USERS, *DEMO_OPERATORS)
    if user not in known:
        raise web.HTTPNotFound(text=f"the demo's users are {', '.join(known)}\n")
    role = OPERATOR if user in DEMO_OPERATORS else None
    token = request.app[GATEWAY].tokens.issue(user, DEMO_SECONDS, role)
    return web.json_response({"token": token}, headers={"Cache-Control": "no-store"})


@demo_routes.get("/demo/users")
async def demo_users(_request: web.Request) -> web.Response:
    """The demo's users and operators."""
    return web.json_response({"users": DEMO_USERS, "operators": DEMO_OPERATORS})


@file_routes.get("/{name:.+}")
async def file(request: web.Request) -> web.StreamResponse:
    """A script, style or picture of the page."""
    return _file(request.match_info["name"])


def _page(name: str) -> web.StreamResponse:
    page = _file(name)
    page.headers["Cache-Control"] = "no-cache"
    return page


def _file(name: str) -> web.StreamResponse:
    if name not in FILES:
        raise web.HTTPNotFound(text="this gateway has no such page; the socket is at /ws\n")
    return web.FileResponse(STATIC / name)


@contextmanager
def _counted(request: web.Request, gateway: Gateway) -> Iterator[None]:
    """Count a socket that comes by a proxy for its client; the door has counted all others.

    One that is handed over stays counted.
    """
    peer = request.remote or ""
    if not gateway.proxies.trusts(peer):
        yield
        return
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    client = gateway.proxies.client(peer, forwarded)
    door = cast("Door", request.protocol)
    if not door.arrive(client):
        gateway.metrics.turned_away.labels("address").inc()
        text = f"too many connections of {client}\n"
        raise web.HTTPTooManyRequests(text=text, headers={"Retry-After": "30"})
    try:
        yield
    finally:
        door.depart()


def _identity(request: web.Request, gateway: Gateway) -> Identity | None:
    token = bearer(request.headers.get("Authorization"))
    if token is None:
        return None
    try:
        return gateway.tokens.verify(token)
    except Disconnect as error:
        gateway.metrics.turned_away.labels("token").inc()
        reason = "expired" if error.code is CloseCode.EXPIRED else "bad"
        raise web.HTTPUnauthorized(text=f"{reason} token\n") from None
