"""`python -m gateway`: serve until SIGTERM or SIGINT, then send the clients away and leave."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import ssl
import sys

import structlog
import uvloop
from aiohttp import web

from gateway.app import Gateway
from gateway.auth import Tokens
from gateway.door import listen
from gateway.errors import CANNOT_START, CannotStart
from gateway.http import monitor_app, web_app
from gateway.key_file import KeyFile
from gateway.limits import allow_files
from gateway.processes import (
    LIFELINE,
    STOP_SIGNALS,
    cannot_listen,
    is_member,
    supervise,
    watch_lifeline,
)
from gateway.settings import Settings
from gateway.tls import tls_context
from streams.settings import BadSettings, from_environment, unknown_variables
from streams.settings import Settings as Pipeline

log = structlog.get_logger()


def main() -> int:
    """Run the gateways of this host; the exit code is 0 after a drain and 2 if they can't start."""
    processes = arguments().processes
    try:
        settings = from_environment(Settings)
        keys = settings.pipeline.auth_keys
        tokens = Tokens(settings.secret(), KeyFile(keys) if keys else None)
        tls = tls_context(settings)
        set_up_logs(json=settings.log_json)
        warn_of_unknown_variables()
        warn_of_few_files(settings.connections)
        if processes > 1:
            return supervise(settings, processes)
        return uvloop.run(serve(settings, tokens, tls))
    except (CannotStart, BadSettings) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="gateway processes that share the port, for instance one for each core (default: 1)",
    )
    parsed = parser.parse_args()
    if parsed.processes < 1:
        parser.error("--processes is at least 1")
    return parsed


async def serve(settings: Settings, tokens: Tokens, tls: ssl.SSLContext | None) -> int:
    """Listen, run, and drain when told to; `CannotStart` where a port can't be had."""
    stopping = stop_signal()
    gateway = Gateway(settings, tokens)
    runner = web.AppRunner(web_app(gateway), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    monitor = web.AppRunner(monitor_app(gateway), access_log=None)
    try:
        server = await listen_for_clients(runner, gateway, tls)
        await listen_for_monitors(monitor, settings)
    except CannotStart:
        await gateway.stop()
        await monitor.cleanup()
        await runner.cleanup()
        raise
    watch_lifeline(stopping)
    gateway.start()
    host, port = server.sockets[0].getsockname()[:2]
    log.info("listening", host=host, port=port, tls=tls is not None, demo=settings.demo)
    await stopping.wait()
    ignore_stop_signals()
    gateway.draining = True
    server.close()
    await gateway.drain()
    await gateway.stop()
    await runner.cleanup()
    await monitor.cleanup()
    log.info("stopped")
    return 0


async def listen_for_clients(
    runner: web.AppRunner, gateway: Gateway, tls: ssl.SSLContext | None
) -> asyncio.Server:
    """Accept sockets."""
    try:
        return await listen(runner, gateway, tls, reuse_port=is_member() or None)
    except OSError as error:
        settings = gateway.settings
        raise cannot_listen("READCAST_GATEWAY", settings.host, settings.port, error) from None


async def listen_for_monitors(monitor: web.AppRunner, settings: Settings) -> None:
    """Health and metrics on a port of their own, if there is one."""
    host, port = settings.metrics_host, settings.metrics_port
    if port:
        await monitor.setup()
        try:
            await web.TCPSite(monitor, host, port).start()
        except OSError as error:
            raise cannot_listen("READCAST_GATEWAY_METRICS", host, port, error) from None


def warn_of_unknown_variables() -> None:
    """Name what looks like a setting and is none, as one that is spelled wrong."""
    unknown = unknown_variables(Settings, Pipeline, others=(LIFELINE, "READCAST_DATA"))
    if unknown and not is_member():
        log.warning("nothing reads these variables", names=unknown)


def warn_of_few_files(connections: int) -> None:
    """Have open files for all connections; where the system gives fewer, sockets beyond are cut off unseen."""
    enough = allow_files(connections)
    if enough < connections and not is_member():
        log.warning("too few open files (ulimit -n)", connections=connections, enough_for=enough)


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    return stopping


def ignore_stop_signals() -> None:
    """A second signal while we leave must not turn a good end into a bad one.

    The loop's own handlers would end with the loop, and any other function with the interpreter.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def set_up_logs(*, json: bool) -> None:
    """structlog for our own lines; of the libraries' only what needs attention."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # aiokafka formats every record it sends for its debug log; this keeps it from trying.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
