"""Clients by the thousand against a gateway, and a report of what they saw."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.processes import stop_on_sigterm
from load.chat import chat
from load.crew import CrewError
from load.plan import Plan, sizes
from load.report import Report
from load.soak import TooBusy, soak
from load.storm import storm
from load.system import System, running

SECRET = "READCAST_AUTH_SECRET"
SIGNALS = {"term": signal.SIGTERM, "kill": signal.SIGKILL}
GROUPS = {"chat": "100x10", "storm": "100x100", "soak": "100x10"}
RATES = {"chat": 100.0, "storm": 50.0, "soak": 0.0}


def main() -> int:
    """Exit code 1 if a promise was broken: a message lost, doubled or out of order; 2 without a result."""
    given = parse()
    stop_on_sigterm()
    console = Console()
    try:
        with started(given) as system:
            plan = make_plan(given, system)
            done = asyncio.run(carry_out(given, plan, console, system))
    except (CrewError, TooBusy) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    page = done.save()
    if given.docs:
        done.draw(given.docs)
    console.print(done.table())
    console.print(f"{page} and .json")
    return 0 if done.is_good else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m load", description=__doc__)
    ways = parser.add_subparsers(dest="way", required=True)
    for way, says in (
        ("chat", "let clients chat for some seconds"),
        ("storm", "restart the gateway under its clients: they must come back and miss nothing"),
        ("soak", "half of the highest rate for long: memory and latency over time"),
    ):
        add_options(ways.add_parser(way, help=says, description=says), way)
    parser.set_defaults(secret=os.environ.get(SECRET, ""))
    given = parser.parse_args()
    if getattr(given, "url", None) and not given.secret:
        parser.error(f"--url needs {SECRET}, the secret of that gateway")
    return given


def add_options(parser: argparse.ArgumentParser, way: str) -> None:
    option = parser.add_argument
    option(
        "--groups",
        type=sizes,
        default=GROUPS[way],
        metavar="NxSIZE,...",
        help="how many groups of which size; each client is in one (default: %(default)s)",
    )
    option(
        "--rate",
        type=float,
        default=RATES[way],
        help="messages/s in all"
        + ("; 0: half of the highest" if way == "soak" else "")
        + " (default: %(default)s)",
    )
    option("--body", type=int, default=200, help="bytes of a message (default: %(default)s)")
    option("--slow", type=float, default=0.0, help="share of clients that read once a second")
    option(
        "--restless",
        type=float,
        default=0.0,
        help="share of clients that lose their connection every 20 s",
    )
    option("--docs", type=Path, metavar="FOLDER", help="keep the curves there as files, too")
    option("--processes", type=int, default=2, help="of clients (default: %(default)s)")
    if way == "chat":
        option("--seconds", type=float, default=30.0, help="(default: %(default)s)")
        option(
            "--think",
            type=float,
            default=0.0,
            help="seconds that each client thinks before it sends, instead of a rate",
        )
        option(
            "--url",
            help=f"ws://host:port/ws of a gateway; its secret is {SECRET} "
            "(default: a broker, a worker and a gateway of our own)",
        )
    elif way == "storm":
        option(
            "--signal",
            choices=SIGNALS,
            default="term",
            help="term: the gateway sends its clients away first (default: %(default)s)",
        )
    else:
        option("--minutes", type=float, default=30.0, help="(default: %(default)s)")


@contextlib.contextmanager
def started(given: argparse.Namespace) -> Iterator[System | None]:
    """A system of our own, unless there is a URL."""
    if getattr(given, "url", None):
        yield None
    else:
        with running() as system:
            yield system


def make_plan(given: argparse.Namespace, system: System | None) -> Plan:
    return Plan(
        url=system.url if system else given.url,
        secret=system.secret if system else given.secret,
        run=f"l{uuid.uuid4().hex[:8]}",
        sizes=given.groups,
        rate=given.rate,
        think=getattr(given, "think", 0.0),
        body_bytes=given.body,
        slow=given.slow,
        restless=given.restless,
        processes=given.processes,
    )


async def carry_out(
    given: argparse.Namespace, plan: Plan, console: Console, system: System | None
) -> Report:
    """The run that was asked for."""
    if given.way == "chat" or system is None:
        return await chat(plan, given.seconds, console, system)
    if given.way == "storm":
        return await storm(plan, SIGNALS[given.signal], console, system)
    return await soak(plan, given.minutes * 60, console, system)


if __name__ == "__main__":
    sys.exit(main())
