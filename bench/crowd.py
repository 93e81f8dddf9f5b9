"""Users by the thousand in one process: whoever is shown a notice pulls a page at once.

`python -m bench.crowd --port N --first N --last N` prints `connected` once all have synced, and then a line of
JSON for each publish that all have been shown: its number, and when the last of them was shown it and had the page.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter

import msgspec
import uvloop

from bench.broker import Broker
from bench.paths import PYTHON
from bench.processes import Process, give_way
from bench.raw_socket import RawSocket, connect, text_frame
from bench.readcast import token

CONNECTED_AT_ONCE = 50
CONNECTED = "connected"
PULL = text_frame("notices", limit=10)


class Event(msgspec.Struct):
    """What is looked at in a server's event; the rest is skipped."""

    op: str = ""
    publish: int = 0
    message: str = ""
    notices: list["Event"] = []


class Spread(msgspec.Struct):
    """A publish that all have been shown; times in seconds of the machine's monotonic clock."""

    publish: int
    shown: float
    pulled: float


class ShownError(Exception):
    """A user was shown something else than each publish once."""


decode_events = msgspec.json.Decoder(list[Event]).decode
decode_spread = msgspec.json.Decoder(Spread).decode


class Crowd:
    """Counts who was shown what, and who has pulled it."""

    def __init__(self, users: int) -> None:
        self._users = users
        self._shown: Counter[int] = Counter()
        self._pulled: Counter[int] = Counter()
        self._shown_at: dict[int, float] = {}

    async def enter(self, port: int, user: str) -> None:
        """Connect, sync, and take part from then on."""
        synced = asyncio.Event()
        latest = 0

        def take(payload: bytes) -> None:
            nonlocal latest
            for event in decode_events(payload):
                if event.op == "sync":
                    synced.set()
                elif event.op == "notice" and event.publish > latest:
                    latest = event.publish
                    self._was_shown(event.publish)
                    raw.send(PULL)
                elif event.op == "notices" and event.notices[0].publish == latest:
                    self._has_pulled(latest)
                elif event.op != "welcome":
                    raise ShownError(f"{user} got {event}")

        raw: RawSocket = await connect(port, take)
        raw.send(text_frame("hello", token=token(user)) + text_frame("sync"))
        await asyncio.wait_for(synced.wait(), 30)

    def _was_shown(self, publish: int) -> None:
        self._shown[publish] += 1
        if self._shown[publish] == self._users:
            self._shown_at[publish] = time.monotonic()

    def _has_pulled(self, publish: int) -> None:
        self._pulled[publish] += 1
        if self._pulled[publish] == self._users:
            spread = Spread(publish, self._shown_at[publish], time.monotonic())
            print(msgspec.json.encode(spread).decode(), flush=True)


def start_crowd(broker: Broker, port: int, first: int, last: int) -> Process:
    """A process of users `first` to `last`; they are not connected yet."""
    counts = {"--port": port, "--first": first, "--last": last}
    arguments = [str(part) for pair in counts.items() for part in pair]
    log = broker.folder / f"crowd-{first}.log"
    return Process([PYTHON, "-m", "bench.crowd", *arguments], log)


def connected(crowd: Process) -> bool:
    """Whether all its users are there."""
    return CONNECTED in crowd.log.read_text()


def spread_of(crowd: Process, publish: int) -> Spread | None:
    """When a publish had reached all its users; None if it has not yet."""
    told = (decode_spread(line) for line in crowd.log.read_text().splitlines() if line[0] == "{")
    return next((spread for spread in told if spread.publish == publish), None)


async def gather(port: int, first: int, last: int) -> None:
    """Connect users `first` to `last`, and stay."""
    asyncio.get_running_loop().set_exception_handler(end)
    crowd = Crowd(last - first)
    at_once = asyncio.Semaphore(CONNECTED_AT_ONCE)

    async def enter(number: int) -> None:
        async with at_once:
            await crowd.enter(port, f"u{number}")

    await asyncio.gather(*map(enter, range(first, last)))
    print(CONNECTED, flush=True)
    await asyncio.Event().wait()


def end(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What goes wrong with one user ends the run."""
    loop.default_exception_handler(context)
    sys.stderr.flush()
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--last", type=int, required=True)
    arguments = parser.parse_args()
    # Users have machines of their own; here they take what gateway, worker and broker leave.
    give_way()
    uvloop.run(gather(arguments.port, arguments.first, arguments.last))


if __name__ == "__main__":
    main()
