"""A worker's health and metrics over HTTP."""

from __future__ import annotations

import sys
from typing import Any

import structlog
from aiohttp import web
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams import metrics
from streams.settings import Settings

log = structlog.get_logger(__name__)


class StatusServer(Service):
    """`/healthz`: things move. `/readyz`: every assigned partition is decided, if any is. `/metrics`: Prometheus."""

    def __init__(self, settings: Settings, app: Any) -> None:
        super().__init__()
        self._settings = settings
        self._app = app
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        server = web.Application()
        server.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(server, access_log=None)
        await self._runner.setup()
        host, port = self._settings.worker_metrics_host, self._settings.worker_metrics_port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            variables = "READCAST_WORKER_METRICS_HOST, READCAST_WORKER_METRICS_PORT"
            sys.exit(
                f"can't serve health and metrics on {host}:{port} ({variables}): {error.strerror}"
            )
        log.info("health and metrics", at="http://{}:{}".format(*self._runner.addresses[0][:2]))

    async def on_stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        stalled = self._app.lanes.stalled
        return web.json_response({"stalled": stalled}, status=503 if stalled else 200)

    async def _ready(self, request: web.Request) -> web.Response:
        ready = self._app.lanes.ready and self._app.tables.actives_ready
        answer = {"ready": ready, "lanes": len(self._app.lanes)}
        return web.json_response(answer, status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
