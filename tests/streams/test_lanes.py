"""What a lane says of itself, and what it holds in memory while it answers."""

import asyncio
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace

import msgspec
import orjson
import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from streams import lanes, metrics
from streams.lanes import Lane, Line
from streams.routes.commands import SWEEP
from tables.keys import lease_key
from tables.rows import ORIGIN, Lease, Position
from tests.tables.logs import (
    Log,
    LogRecord,
    Record,
    Writer,
    agent,
    contents,
    open_partition,
    opened,
    rebuild,
    records_of,
)

GROUP = "group:g"
ID = "00000000-0000-4000-8000-00000000000"
COMMITTED = 5_000_000


class Sender:
    """Takes answers, and remembers how many bytes came at once."""

    def __init__(self):
        self.sizes = []
        self.sent = []

    async def effects(self, effects):
        self.sent += effects

    async def deliveries(self, deliveries):
        """None: nobody has a lease."""

    async def replies(self, replies):
        self.sizes.append(sum(len(orjson.dumps(one.payload)) for one in replies))
        await asyncio.sleep(0)


class App:
    """A worker whose group has committed all there is."""

    settings = SimpleNamespace(partitions=8, bootstrap_servers="")

    def __init__(self):
        self.sender = Sender()
        self.consumer = self.bounds = self

    async def committed(self, tp):
        return COMMITTED

    async def first(self, *tp):
        return 0

    async def end(self, *tp):
        return COMMITTED


class Table:
    """A table of one partition that is restored at once, or never."""

    name, log_topic = "mailbox", "log"

    def __init__(self, partition=None, *, restored=False, at=ORIGIN):
        progress = SimpleNamespace(next_offset=0, displaced=(), at=at)
        self._partition = partition or SimpleNamespace(progress=progress, scan=lambda *_: ())
        self._restored = restored

    def partition(self, number):
        return self._partition

    async def catch_up(self, number):
        if not self._restored:
            await asyncio.Event().wait()


def lane_of(app, table, number, turn=None):
    line = Line("commands", agent(), table, lambda key: None, SWEEP)
    return Lane(app, line, number, turn or asyncio.Lock())


async def test_a_lane_that_has_nothing_to_do_says_where_it_stands():
    lane = lane_of(App(), Table(restored=True), 3)
    try:
        async with asyncio.timeout(5):
            while not lane.restored:
                await asyncio.sleep(0.01)
        labels = {"topic": "commands", "partition": "3"}
        done = metrics.REGISTRY.get_sample_value("readcast_lane_done_offset", labels)
        assert done == COMMITTED
    finally:
        await lane.stop()


@pytest.mark.parametrize(("decided", "told"), [(COMMITTED - 1, False), (COMMITTED, True)])
async def test_commands_that_are_gone_while_their_rows_are_there_are_told(decided, told):
    with capture_logs() as logs:
        lane = lane_of(App(), Table(restored=True, at=Position(decided, 0)), 3)
        try:
            async with asyncio.timeout(5):
                while not lane.restored:
                    await asyncio.sleep(0.01)
        finally:
            await lane.stop()
    assert ("error" in {line["log_level"] for line in logs}) is told


async def test_a_lane_that_was_idle_is_not_stalled_by_its_next_record():
    lane = lane_of(App(), Table(), 3)
    lane.active_at = time.monotonic() - 3_600
    lane.offer([Record(COMMITTED, 0, b"group:g", b"{}")])
    try:
        assert not lane.stalled
    finally:
        await lane.stop()


async def test_leases_that_have_run_out_are_ended_though_no_gateway_is_left(tmp_path):
    partition = open_partition(tmp_path)
    lease = {"type": "lease", "mailbox": "gateway:dead", "by": "system", "seconds": 30}
    Writer(partition, Log()).decide(records_of([(0, lease)]))
    app = App()
    lane = lane_of(app, Table(partition), 3)
    try:
        await lane._sweep(20_000)
        assert app.sender.sent == []
        for now in (31_000, 31_001):
            await lane._sweep(now)
        (sweep,) = app.sender.sent
        assert (sweep.command, sweep.partition) == (SWEEP, 3)
    finally:
        await lane.stop()
        partition.close()


async def test_answers_of_a_batch_are_not_in_memory_all_at_once(tmp_path):
    partition = open_partition(tmp_path)
    send = {"type": "send", "mailbox": GROUP, "by": "ann", "id": ID + "1", "body": "x" * 1_000_000}
    create = {"type": "create", "mailbox": GROUP, "by": "ann", "id": ID + "0"}
    Writer(partition, Log()).decide(records_of([(0, create), (0, send)]))
    app = App()
    lane = lane_of(app, Table(partition), 0)
    lane._home = None
    lane._forwarded = partition.progress.next_offset
    question = {
        "type": "query", "mailbox": GROUP, "by": "ann", "what": "history", "limit": 1,
        "reply": {"to": "gw", "partition": 0, "ref": 1},
    }  # fmt: skip
    records = records_of([(0, question)] * 200, 2)
    try:
        while records:
            records = records[await lane._process(records) :]
        assert len(app.sender.sizes) > 1
        assert max(app.sender.sizes) < 64 << 20
    finally:
        await lane.stop()
        partition.close()


async def test_a_lane_whose_only_batch_is_not_done_for_a_minute_is_stalled(monkeypatch):
    async def refused(self, records):
        raise TopicAuthorizationFailedError("log")

    monkeypatch.setattr(Lane, "_process", refused)
    lane = lane_of(App(), Table(restored=True), 3)
    try:
        async with asyncio.timeout(5):
            while not lane.restored:
                await asyncio.sleep(0.01)
        lane.offer([Record(COMMITTED, 0, b"group:g", b"{}")])
        await asyncio.sleep(0.1)
        lane.active_at -= 61
        assert lane.stalled
    finally:
        await lane.stop()


class LogTable(Table):
    """A table that reads a log in memory, into which its lane's rows go, too."""

    def __init__(self, partition, log):
        super().__init__(partition, restored=True)
        self.log = log

    async def catch_up(self, number):
        start = self._partition.progress.next_offset
        self._partition.apply([one for one in self.log.records if one.offset >= start])

    def create_batch(self):
        return self

    def extend(self, timestamp, keys, values, headers):
        self._rows = list(zip(keys, values, headers, strict=True))

    async def send_batch(self, batch, topic, partition):
        landed = self.log.next_offset
        self.log.repeat([LogRecord(0, *row) for row in self._rows])
        return landed


async def test_a_table_whose_log_has_lost_its_tail_is_rebuilt_though_new_rows_make_up_for_it(
    tmp_path,
):
    create = {"type": "create", "mailbox": GROUP, "by": "ann", "id": ID + "0"}
    sends = [
        {"type": "send", "mailbox": GROUP, "by": "ann", "id": f"{ID[:-1]}{number:02}", "body": 1}
        for number in range(10, 20)
    ]
    with opened(tmp_path) as partition:
        log = Log()
        writer = Writer(partition, log)
        writer.decide(records_of([(0, create), *((0, send) for send in sends[:3])]))
        log.cut(2)
        app = App()
        app.producer = table = LogTable(partition, log)
        lane = lane_of(app, table, 0)
        lane._home = None
        try:
            await lane._until_done(lane._process, records_of([(0, send) for send in sends[3:]], 4))
        finally:
            await lane.stop()
        assert rebuild(tmp_path, log.records)[0] == contents(partition)


async def test_what_one_lane_has_logged_goes_out_before_another_decides_a_long_batch(tmp_path):
    happened = []

    class Logged(LogTable):
        async def send_batch(self, batch, topic, partition):
            happened.append("logged")
            asyncio.get_running_loop().call_soon(happened.append, "out")
            return await super().send_batch(batch, topic, partition)

    create = {"type": "create", "mailbox": GROUP, "by": "ann", "id": ID + "0"}
    turn = asyncio.Lock()
    async with AsyncExitStack() as used:
        for number in range(2):
            app = App()
            app.mark_done = lambda *_: None
            app.producer = Logged(used.enter_context(opened(tmp_path / str(number))), Log())
            lane = lane_of(app, app.producer, number, turn)
            used.push_async_callback(lane.stop)
            lane._home = None
            lane.offer(records_of([(0, create)] * 1_000, COMMITTED))
        async with asyncio.timeout(10):
            while len(happened) < 4:
                await asyncio.sleep(0)
    assert happened == ["logged", "out"] * 2


async def test_the_mark_of_a_transaction_is_looked_at_once(monkeypatch):
    ranges, done = [], []

    async def read_range(servers, topic, partition, start, stop):
        ranges.append((start, stop))
        for _ in ():
            yield []

    monkeypatch.setattr(lanes, "read_range", read_range)
    monkeypatch.setattr(lanes, "_IDLE_SECONDS", 0.01)
    app = App()
    app.end = lambda *_: asyncio.sleep(0, COMMITTED + 1)
    app.mark_done = lambda tp, offset: done.append(offset)
    lane = lane_of(app, Table(restored=True), 3)
    try:
        await asyncio.sleep(0.2)
        assert ranges == [(COMMITTED, COMMITTED + 1)]
        assert done == [COMMITTED + 1]
    finally:
        await lane.stop()


async def test_what_is_to_be_forwarded_is_found_behind_the_mark_of_a_transaction(monkeypatch):
    async def read_range(servers, topic, partition, start, stop):
        if stop > COMMITTED + 1:
            yield [Record(COMMITTED + 1, 60_000, b"group:g", b"{}")]

    async def since(topic, partition, time):
        return 7

    lease = msgspec.json.encode(Lease(ORIGIN, 0, 0, 0))
    partition = SimpleNamespace(
        progress=SimpleNamespace(next_offset=10, displaced=()),
        scan=lambda *_: [(lease_key("gw"), lease)],
    )
    monkeypatch.setattr(lanes, "read_range", read_range)
    app = App()
    app.end = lambda *_: asyncio.sleep(0, COMMITTED + 2)
    app.since = since
    lane = lane_of(app, Table(partition), 3)
    lane._next = COMMITTED
    try:
        assert await lane._first_unforwarded() == 7
    finally:
        await lane.stop()
