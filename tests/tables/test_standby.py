"""A standby whose folder was left for long, or can't be opened."""

import asyncio
import time
from contextlib import asynccontextmanager

from faust.types import TP

from streams.pipeline import app
from tables import standby, table
from tables.options import rocksdb_options
from tests.tables.logs import (
    AnyLayout,
    Log,
    Writer,
    contents,
    open_partition,
    opened,
    rebuild,
    records_of,
)

GROUP = "group:g"
ID = "00000000-0000-4000-8000-00000000000"
DAYS = 86_400


class Reader:
    """A consumer of one partition whose log is `records`."""

    def __init__(self, records):
        self._records = records
        self._position = 0

    def assign(self, partitions):
        (self._tp,) = partitions

    def seek(self, tp, offset):
        self._position = offset

    async def getmany(self, timeout_ms):
        await asyncio.sleep(0)
        found = [record for record in self._records if record.offset >= self._position]
        if not found:
            await asyncio.sleep(timeout_ms / 1_000)
            return {}
        self._position = found[-1].offset + 1
        return {self._tp: found}


class CutReader(Reader):
    """A consumer that begins anew where its place is beyond the end, as `auto_offset_reset` says."""

    async def getmany(self, timeout_ms):
        if self._records and self._position > self._records[-1].offset + 1:
            self._position = 0
        return await super().getmany(10)


class Bounds:
    def __init__(self, end):
        self._end = end

    async def end(self, topic, partition):
        return self._end


def command(number, type_, **fields):
    common = {"type": type_, "mailbox": GROUP, "by": "ann", "id": f"{ID}{number}"}
    return 1_000, {**common, **fields}


def table_of(bounds):
    return table.JournaledTable(
        app, name="old", layout=AnyLayout(), partitions=1, bootstrap_servers="",
        bounds=bounds, options=rocksdb_options(4 << 20, 4 << 20), flush_seconds=600,
    )  # fmt: skip


async def test_a_standby_whose_log_has_lost_its_tail_is_built_anew(tmp_path, monkeypatch):
    log = Log()
    steps = [command(0, "create"), *(command(number, "send", body=1) for number in range(1, 4))]
    with opened(tmp_path) as partition, opened(tmp_path) as owner:
        Writer(partition, log).decide(records_of(steps))
        records = log.records

        @asynccontextmanager
        async def open_reader(servers):
            yield CutReader(records)

        async def catch_up(number):
            start = partition.progress.next_offset
            partition.apply([one for one in records if one.offset >= start])

        monkeypatch.setattr(standby, "open_reader", open_reader)
        follower = standby.Standby("", "log", lambda _: partition, catch_up)
        follower.follow({0})
        await asyncio.sleep(0.05)
        # Two messages are lost, and another one is sent by whoever has the partition.
        log.cut(3)
        writer = Writer(owner, log)
        writer.catch_up()
        writer.decide(records_of([command(5, "send", body=2)], 5))
        records[:] = log.records
        async with asyncio.timeout(5):
            while partition.progress.next_offset != log.next_offset:
                await asyncio.sleep(0.01)
        await follower.stop()
        assert contents(partition) == contents(owner)


async def test_a_standby_whose_folder_is_too_old_is_built_anew(tmp_path, monkeypatch):
    steps = [command(0, "create"), command(1, "join", members=["bob"])]
    old = open_partition(tmp_path, "old")
    log = Log()
    Writer(old, log).decide(records_of(steps))
    # Eight days ago this worker was stopped. Since then bob has left, and compaction has forgotten that.
    old._progress = old._progress._replace(kept=time.time() - 8 * DAYS)
    owner = open_partition(tmp_path, "owner")
    writer = Writer(owner, log)
    writer.catch_up()
    writer.decide(records_of([command(2, "leave", members=["bob"]), command(3, "send", body=1)], 2))
    records = log.compacted(tombstones=False)

    @asynccontextmanager
    async def open_reader(servers):
        yield Reader(records)

    async def read_range(servers, topic, partition, start, stop):
        yield [record for record in records if start <= record.offset < stop]

    monkeypatch.setattr(standby, "open_reader", open_reader)
    monkeypatch.setattr(table, "read_range", read_range)
    followed = table_of(Bounds(log.next_offset))
    followed._open[0] = old
    followed._standby.follow({0})
    async with asyncio.timeout(5):
        while old.progress.next_offset < log.next_offset:
            await asyncio.sleep(0.01)
    await followed._standby.stop()
    # The partition is taken over.
    await followed.catch_up(0)
    try:
        assert contents(old) == rebuild(tmp_path, records)[0]
    finally:
        old.close()
        owner.close()


async def test_a_standby_that_cannot_be_opened_is_tried_again_and_holds_up_no_lane(monkeypatch):
    def damaged(number):
        tried.append(number)
        raise RuntimeError("Corruption: no CURRENT file")

    started, tried = [], []
    followed = table_of(Bounds(0))
    monkeypatch.setattr(standby, "_FAILED_SECONDS", 0.01)
    monkeypatch.setattr(followed, "partition", damaged)
    monkeypatch.setattr(followed._standby, "_open", damaged)
    monkeypatch.setattr(app.lanes, "start_lanes", lambda _, numbers: started.append(numbers))
    decided, warm = (TP(followed.log_topic, number) for number in (0, 1))
    await followed.on_recovery_completed({decided}, {warm})
    assert started == [{0}]
    async with asyncio.timeout(5):
        while len(tried) < 2:
            await asyncio.sleep(0.01)
    await followed._standby.stop()
    assert set(tried) == {1}
