"""Pages of public history that one gateway process answers in a second, against its pongs.

A page is the newest 10 of 100 standing notices, for a user who was shown all of them. Both are asked
for by the same driver over the same connections, in turn; the gateway has a core to itself.
"""

import asyncio
import statistics

import orjson
from rich.progress import Progress

from bench.backlog import body, send
from bench.broker import Broker, broker
from bench.figures import Figure
from bench.paths import PYTHON
from bench.processes import Process, run
from bench.public import entry
from bench.readcast import make_topics, ready_gateway, ready_worker

NOTICES = 100
UNLIMITED = {"READCAST_GATEWAY_FRAME_RATE": "1e9", "READCAST_GATEWAY_FRAME_BURST": "1000000"}


def measure(progress: Progress) -> Figure:
    task = progress.add_task("pulls, pings", total=1)
    with broker() as fresh:
        make_topics(fresh)
        asyncio.run(publish(fresh.bootstrap))
        with ready_worker(fresh), ready_gateway(fresh, **UNLIMITED) as (gateway, port):
            rounds = drive(fresh, gateway, port)
    progress.advance(task)
    return Figure(
        median(rounds["pull"], "rate"),
        "answers/s",
        median(rounds["ping"], "rate"),
        {
            "peer_name": "ping",
            "paired_ratio": round(paired_ratio(rounds, "pull"), 3),
            "anew": median(rounds["pull_anew"], "rate"),
            "paired_ratio_anew": round(paired_ratio(rounds, "pull_anew"), 3),
            "gateway_cores": median(rounds["pull"], "busy"),
            "peer_gateway_cores": median(rounds["ping"], "busy"),
        },
    )


async def publish(bootstrap: str) -> None:
    """Publish the notices to everybody; a page ends only between two times, so each has its own."""
    for number in range(NOTICES):
        notice = entry("publish", 100, title=f"Notice {number}", body=body(number))
        await send(bootstrap, iter([notice]))


def drive(fresh: Broker, gateway: Process, port: int) -> dict[str, list[dict[str, float]]]:
    """The rounds of a driver process."""
    log = fresh.folder / "pulls.log"
    counts = {"--port": port, "--process": gateway.pid, "--notices": NOTICES}
    arguments = [str(part) for pair in counts.items() for part in pair]
    run([PYTHON, "-m", "bench.pulls", *arguments], log)
    return orjson.loads(log.read_text().splitlines()[-1])


def median(rounds: list[dict[str, float]], field: str) -> float:
    return statistics.median(one[field] for one in rounds)


def paired_ratio(rounds: dict[str, list[dict[str, float]]], kind: str) -> float:
    """The median of the ratios of rounds close in time, which share what else the machine did."""
    pairs = zip(rounds[kind], rounds["ping"], strict=True)
    return statistics.median(pull["rate"] / ping["rate"] for pull, ping in pairs)
