"""What a user of public mailboxes costs: `python -m bench.public_costs` measures it into bench/public_costs.json.

Three steps with one worker and one gateway: touches of users who are not online, loaded at once, which the worker
decides in large batches and the gateway only passes; then users connect; then a release reaches them, and each pulls
a page. CPU is that of the processes, so a busy machine lengthens it less than the time on the clock.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import orjson
import uvloop

from bench.backlog import body, send
from bench.broker import Broker, broker
from bench.chat import Client
from bench.crowd import connected, spread_of, start_crowd
from bench.paths import BENCH
from bench.processes import Process, cpu_seconds, resident_kb
from bench.public import MAILBOX, entry
from bench.public_release_15k import UNPACED, wire
from bench.readcast import make_topics, ready_gateway, ready_worker
from bench.topics import USER_CHANGELOG, USER_COMMANDS

FILE = BENCH / "public_costs.json"
REPLIES = "readcast-replies"
OFFLINE = 200_000
ONLINE = 5_000
LIMIT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU in seconds, sizes in bytes of keys and values.

    worker_touch: of a touch in a large batch. worker_online_touch: in the small batches of a paced release.
    row_passed: of a gateway, for a row of a user who is not there. gateway_session, worker_session: of a user who
    connects and syncs. gateway_touch: of one who is touched, shown the notice and pulls a page.
    """

    worker_touch: float
    worker_online_touch: float
    worker_session: float
    row_passed: float
    gateway_session: float
    gateway_touch: float
    gateway_connection_bytes: int
    touch_command_bytes: int
    touch_row_bytes: int
    touch_reply_bytes: int


class Meter:
    """CPU of worker and gateway since the last look."""

    def __init__(self, worker: Process, gateway: Process) -> None:
        self._pids = worker.pid, gateway.pid
        self._before = self._read()

    def take(self) -> tuple[float, float]:
        before, self._before = self._before, self._read()
        worker, gateway = (now - then for now, then in zip(self._before, before, strict=True))
        return worker, gateway

    def _read(self) -> tuple[float, float]:
        worker, gateway = map(cpu_seconds, self._pids)
        return worker, gateway


def costs() -> Costs:
    """The costs measured last."""
    return Costs(**orjson.loads(FILE.read_bytes()))


def measure() -> Costs:
    with broker() as fresh, ExitStack() as stack:
        make_topics(fresh)
        asyncio.run(send(fresh.bootstrap, iter([entry("publish", 0, title="First", body=body(0))])))
        worker = stack.enter_context(ready_worker(fresh))
        gateway, port = stack.enter_context(ready_gateway(fresh, **UNPACED))
        meter = Meter(worker, gateway)
        touch_offline(fresh, worker)
        offline = meter.take()
        memory = resident_kb(gateway.pid)
        crowd = stack.enter_context(start_crowd(fresh, port, 0, ONLINE))
        crowd.wait_until(lambda: connected(crowd), LIMIT_SECONDS)
        sessions = meter.take()
        memory = (resident_kb(gateway.pid) - memory) * 1_024
        uvloop.run(release(port, crowd))
        online = meter.take()
        return Costs(
            worker_touch=offline[0] / OFFLINE,
            row_passed=offline[1] / OFFLINE,
            worker_session=sessions[0] / ONLINE,
            gateway_session=sessions[1] / ONLINE,
            worker_online_touch=online[0] / ONLINE,
            gateway_touch=online[1] / ONLINE,
            gateway_connection_bytes=memory // ONLINE,
            touch_command_bytes=last_record(fresh, USER_COMMANDS, b'"touch"'),
            touch_row_bytes=last_record(fresh, USER_CHANGELOG, b'"touched"'),
            touch_reply_bytes=last_record(fresh, REPLIES, b'"touched"'),
        )


def touch_offline(fresh: Broker, worker: Process) -> None:
    before = fresh.topics.count(USER_CHANGELOG)
    asyncio.run(send(fresh.bootstrap, offline_touches(), USER_COMMANDS, "user"))
    wait(worker, lambda: fresh.topics.count(USER_CHANGELOG) - before >= OFFLINE)


def offline_touches() -> Iterator[dict]:
    for number in range(OFFLINE):
        user = f"offline{number}"
        fields = {"mailbox": MAILBOX, "user": user, "by": user, "upto": 1}
        yield {"type": "touch", **fields, "touched": [[1, 1, "normal"]]}


async def release(port: int, crowd: Process) -> None:
    """Publish to everybody, and wait until all have pulled."""
    operator = Client()
    await operator.enter(port, "olga", role="operator")
    notice = entry("publish", 100, title="Second", body=body(1))
    published = await operator.ask("published", "publish", **wire(notice))
    async with asyncio.timeout(LIMIT_SECONDS):
        while spread_of(crowd, published.publish) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def wait(worker: Process, done: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not done():
        worker.check()
        time.sleep(0.1)
        if time.monotonic() > limit:
            raise worker.failure(f"not done after {LIMIT_SECONDS} s")


def last_record(fresh: Broker, topic: str, part: bytes) -> int:
    """Bytes of the last record with this in its value."""
    found = (
        len(key) + len(value) for key, value in fresh.topics.read(topic) if part in (value or b"")
    )
    return max(found)


def main() -> None:
    measured = {
        name: round(value, 9) if isinstance(value, float) else value
        for name, value in asdict(measure()).items()
    }
    FILE.write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2) + b"\n")
    print(FILE.read_text())


if __name__ == "__main__":
    main()
