"""Lanes: one per command partition, each deciding its records in order, in batches that grow under load."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, cast

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP, Message

from streams import metrics
from streams.batches import Batch, value_bytes
from streams.decisions import Agent, Effect
from streams.partitioning import Home
from streams.routes.commands import SWEEPER, RenewLease, RenewUserLease
from streams.routes.forwarding import Audience, deliveries
from streams.routes.rules import Routes
from streams.sender import Sender
from tables.journal import CutOff, Displaced, Entry, append
from tables.keys import parse_key
from tables.partition import Partition, header_position
from tables.reader import read_range
from tables.rows import ORIGIN
from tables.table import JournaledTable
from tables.tasks import end

log = structlog.get_logger(__name__)

_BATCH_RECORDS = 2_000

_LONG = 256
"""A batch of more records waits for its lane's turn; for less, a look at the sockets would cost more than it gives."""

_WAITING_HIGH = 32 << 20
_WAITING_LOW = 8 << 20
_RECORD_OVERHEAD = 200
_RETRY_SECONDS = 0.2
_STALL_SECONDS = 60.0
_IDLE_SECONDS = 5.0
_EXIT_SOFTWARE = 70

_CLOCK_MS = 5_000
"""How far the times of records may go back: another broker that takes over has another clock."""

_SWEEP_MS = 10_000

_ANSWERS = 32
"""Answers that are made at once, each of up to 4 MB; between them other tasks have their turn."""


class Line(NamedTuple):
    """What a lane works for: the commands of one topic, decided by an agent over a table.

    audience: which of the rows gateways are forwarded. sweep: the command that ends leases which have run out.
    """

    topic: str
    agent: Agent
    table: JournaledTable
    audience: Audience
    sweep: RenewLease | RenewUserLease


class Lane:
    """One partition of one command topic.

    It starts where the group's commit stands and takes what follows, without a hole: older
    records are cut off, missing ones read directly. It dies with its generation; whatever it has sent by
    then is what its successor decides too.
    """

    def __init__(self, app: Any, line: Line, partition: int, turn: asyncio.Lock) -> None:
        self._app = app
        self._line = line
        self._turn = turn
        self._number = partition
        self._tp = TP(line.topic, partition)
        self._home = Home(partition, app.settings.partitions)
        self._waiting: deque[tuple[Sequence[Any], int]] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._paused = False
        self._in_hand = False
        self._next = -1
        self._forwarded = 0
        self._swept = 0
        self._metrics = metrics.LaneMetrics(line.topic, partition)
        self.restored = False
        self.active_at = time.monotonic()
        self._task = asyncio.create_task(self._run(), name=f"lane {line.topic}/{partition}")
        self._task.add_done_callback(self._check_end)

    @property
    def _partition(self) -> Partition:
        return self._line.table.partition(self._number)

    async def stop(self) -> None:
        """End at once; nothing is lost by that."""
        await end(self._task)
        self._metrics.remove()

    @property
    def stalled(self) -> bool:
        """Whether records wait, or are being decided, and none was done for a minute."""
        return self._has_work and time.monotonic() - self.active_at > _STALL_SECONDS

    @property
    def _has_work(self) -> bool:
        return self._in_hand or bool(self._waiting)

    def offer(self, records: Sequence[Any]) -> None:
        """Hand over the records of one poll."""
        weight = _weight(records)
        if not self._has_work:
            self.active_at = time.monotonic()
        self._waiting.append((records, weight))
        self._waiting_bytes += weight
        self._arrived.set()
        if self._waiting_bytes > _WAITING_HIGH and not self._paused:
            self._paused = True
            self._app.consumer.on_buffer_full(self._tp)

    def _check_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            # A lane that can't go on must not leave its partition standing still unseen.
            log.critical(
                "a lane failed, the worker ends", lane=str(self._tp), exc_info=task.exception()
            )
            os._exit(_EXIT_SOFTWARE)

    async def _run(self) -> None:
        started = time.monotonic()
        await self._until_done(self._restore)
        self.restored = True
        rows = self._partition.progress.next_offset
        seconds = round(time.monotonic() - started, 3)
        log.info("lane ready", lane=str(self._tp), start=self._next, rows=rows, seconds=seconds)
        while True:
            if self._partition.progress.displaced:
                await self._until_done(self._process, [])
            if not await self._wait_for_records():
                await self._until_done(self._look_around)
            async for records in self._take():
                await self._finish(records)

    async def _finish(self, records: Sequence[Any]) -> None:
        self._in_hand, self.active_at = True, time.monotonic()
        while records:
            done = await self._until_done(self._process, records)
            self._next = records[done - 1].offset + 1
            self._app.consumer.mark_done(self._tp, self._next)
            self.active_at = time.monotonic()
            records = records[done:]
        self._in_hand = False

    async def _look_around(self) -> None:
        """While nothing comes: rows of a late writer, and records that Faust has passed over."""
        await self._line.table.catch_up(self._number)
        stop = await self._app.bounds.end(*self._tp)
        if not self._waiting:
            async for records in self._read_missing(self._next, stop):
                await self._finish(records)
            if self._next < stop:
                # No records are left there, only the marks of transactions.
                self._next = stop
                self._app.consumer.mark_done(self._tp, stop)
                self._metrics.stands_at(stop)

    async def _until_done(self, step: Any, *args: Any) -> Any:
        """Repeat a step until Kafka has taken all of it, reading the log anew before each repetition."""
        delay = _RETRY_SECONDS
        while True:
            try:
                return await step(*args)
            except CutOff as cut_off:
                # With these rows the log may be as long as before, so its length tells nothing.
                log.error("the log has lost its tail, rebuilding", reason=str(cut_off))
                self._partition.wipe()
                self._forwarded = min(self._forwarded, cut_off.landed)
            except Displaced as displaced:
                log.warning("rows of another writer in the log", reason=str(displaced))
            except (KafkaError, TimeoutError) as error:
                log.warning("Kafka failed, trying again", lane=str(self._tp), reason=repr(error))
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)
            await self._read_log()

    async def _restore(self) -> None:
        await self._line.table.catch_up(self._number)
        committed = await self._app.consumer.committed(self._tp)
        first = await self._app.bounds.first(*self._tp)
        self._next = first if committed is None else max(committed, first)
        await self._check_commands()
        self._forwarded = await self._first_unforwarded()
        self._metrics.stands_at(self._next)

    async def _check_commands(self) -> None:
        """Tell where the commands that the log has rows of are gone: those that come are taken for them."""
        decided, end = self._partition.progress.at.offset, await self._app.bounds.end(*self._tp)
        if decided >= end:
            log.error(
                "commands are missing that are decided already: new ones do nothing up to there",
                lane=str(self._tp),
                end=end,
                decided=decided,
            )

    async def _first_unforwarded(self) -> int:
        """Where in the log the rows of commands may begin that weren't reported as done, so perhaps not forwarded."""
        kept = self._partition.progress.next_offset
        start = self._next
        if not Routes(self._partition).leases():
            return kept
        # The first of them may lie behind marks of transactions, which are no records.
        async for records in self._read_missing(start, await self._app.bounds.end(*self._tp)):
            # Rows carry the time of a command of their batch: none is older than its own command.
            oldest = records[0].timestamp - _CLOCK_MS
            found = await self._app.bounds.since(self._line.table.log_topic, self._number, oldest)
            return kept if found is None else min(found, kept)
        return kept

    async def _read_log(self) -> None:
        try:
            await self._line.table.catch_up(self._number)
        except (KafkaError, TimeoutError) as error:
            log.warning("the log can't be read yet", lane=str(self._tp), reason=repr(error))
            await asyncio.sleep(_RETRY_SECONDS)
            # What was not read lies at the next offset: the append that follows finds it displaced.

    async def _wait_for_records(self) -> bool:
        """False when nothing has come for a while."""
        if not self._waiting:
            self._arrived.clear()
            # Half of what `asyncio.timeout` costs.
            timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                timer.cancel()
        return bool(self._waiting)

    async def _take(self) -> AsyncIterator[Sequence[Any]]:
        """Yield the records that wait as few batches, without a hole."""
        records: list[Any] = []
        while self._waiting and len(records) < _BATCH_RECORDS:
            arrived, weight = self._waiting.popleft()
            self._waiting_bytes -= weight
            expected = records[-1].offset + 1 if records else self._next
            if arrived[0].offset > expected:
                if records:
                    yield records
                async for missing in self._read_missing(expected, arrived[0].offset):
                    yield missing
                records = []
                expected = arrived[0].offset
            records += (
                arrived
                if arrived[0].offset == expected
                else [r for r in arrived if r.offset >= expected]
            )
        self._resume_fetching()
        for start in range(0, len(records), _BATCH_RECORDS):
            yield records[start : start + _BATCH_RECORDS]

    async def _read_missing(self, start: int, stop: int) -> AsyncIterator[Sequence[Any]]:
        if start >= stop:
            return
        log.info(
            "reading records that were not delivered", lane=str(self._tp), start=start, stop=stop
        )
        while start < stop:
            try:
                servers = self._app.settings.bootstrap_servers
                async for records in read_range(
                    servers, self._line.topic, self._number, start, stop
                ):
                    start = records[-1].offset + 1
                    yield records
                return
            except KafkaError as error:
                log.warning("Kafka failed, trying again", lane=str(self._tp), reason=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _resume_fetching(self) -> None:
        if self._paused and self._waiting_bytes < _WAITING_LOW:
            self._paused = False
            self._app.consumer.on_buffer_drop(self._tp)

    async def _process(self, records: Sequence[Any]) -> int:
        """Decide as many records as make a batch, log, then keep, then forward; returns how many."""
        partition = self._partition
        await self._forward_log()
        if len(records) > _LONG:
            await self._take_turn()
        sender: Sender = self._app.sender
        batch = Batch(self._line.agent, partition, self._home)
        done = batch.decide(records)
        records = records[:done]
        if batch.effects:
            await sender.effects(batch.effects)
        if batch.dead_letters:
            await sender.dead_letters(self._line.topic, self._number, batch.dead_letters)
        if batch.entries:
            next_offset = await append(
                self._app.producer,
                self._line.table.log_topic,
                self._number,
                partition.progress.next_offset,
                batch.entries,
                records[-1].timestamp if records else time.time_ns() // 1_000_000,
            )
            partition.keep(batch.overlay, batch.at, next_offset)
            await self._forward(batch.entries, next_offset)
            await self._sweep(records[-1].timestamp if records else 0)
        answers = batch.answers()
        while some := list(islice(answers, _ANSWERS)):
            await sender.replies(some)
        self._metrics.observe(records, batch)
        return done

    async def _take_turn(self) -> None:
        """Wait until what other lanes have logged is on its way, so that Kafka works while this one decides."""
        async with self._turn:
            await asyncio.sleep(0)

    async def _forward(self, entries: Iterable[Entry], next_offset: int) -> None:
        """Forward rows of the log up to `next_offset` to the gateways that want them."""
        table, routes = self._line.table, Routes(self._partition)
        found = deliveries(routes, table.name, self._number, self._line.audience, entries)
        if found:
            await self._app.sender.deliveries(found)
        self._forwarded = next_offset

    async def _sweep(self, now: int) -> None:
        """Have leases ended that have run out: there may be no gateway left whose renewals do."""
        if now - self._swept < _SWEEP_MS:
            return
        self._swept = now
        leases = Routes(self._partition).leases().values()
        if any(lease.until < now for lease in leases):
            await self._app.sender.effects([Effect(SWEEPER, self._line.sweep, self._number)])

    async def _forward_log(self) -> None:
        """Forward what the log has and a failure kept from being forwarded; again, if in doubt."""
        start, stop = self._forwarded, self._partition.progress.next_offset
        if start < stop and Routes(self._partition).leases():
            servers = self._app.settings.bootstrap_servers
            log_topic = self._line.table.log_topic
            log.info("forwarding rows of the log", lane=str(self._tp), start=start, stop=stop)
            async for records in read_range(servers, log_topic, self._number, start, stop):
                await self._forward(_entries(records), records[-1].offset + 1)
        self._forwarded = stop


def _entries(records: Iterable[Any]) -> Iterator[Entry]:
    """Records of the log as the rows that they were; what is no row is left out."""
    for record in records:
        with suppress(ValueError):
            parse_key(record.key or b"")
            at = ORIGIN if record.value is not None else header_position(record.headers)
            yield Entry(record.key, record.value, at)


def _weight(records: Sequence[Any]) -> int:
    return value_bytes(records) + _RECORD_OVERHEAD * len(records)


class Lanes:
    """The lanes of a worker."""

    def __init__(self, app: Any, lines: Sequence[Line]) -> None:
        self._app = app
        self._lines = {line.topic: line for line in lines}
        self._lanes: dict[TP, Lane] = {}
        self._turn = asyncio.Lock()
        self._may_start = False

    def __len__(self) -> int:
        return len(self._lanes)

    def allow(self) -> None:
        """Lanes may start from now on: what is assigned is assigned in the present generation."""
        self._may_start = True

    def start_lanes(self, table: JournaledTable, partitions: set[int]) -> None:
        """Start a lane for each partition of a table that this worker decides now.

        None in a rebalance: Faust's recovery of the last one may end while the next one is on its way.
        """
        if not self._may_start:
            return
        line = next(line for line in self._lines.values() if line.table is table)
        for number in sorted(partitions):
            tp = TP(line.topic, number)
            if tp not in self._lanes:
                self._lanes[tp] = Lane(self._app, line, number, self._turn)

    async def stop_all(self) -> None:
        """End all lanes: the generation is over."""
        self._may_start = False
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.stop() for lane in lanes.values()))

    def offer(self, message: Message) -> None:
        """Hand a batch to its lane. Without one it is dropped: the next lane starts at the commit."""
        lane = self._lanes.get(message.tp)
        if lane is not None:
            lane.offer(cast("Any", message.value))

    @property
    def ready(self) -> bool:
        """Whether every lane has its table and decides."""
        return all(lane.restored for lane in self._lanes.values())

    @property
    def stalled(self) -> list[str]:
        """Lanes in which nothing moves."""
        return [str(tp) for tp, lane in self._lanes.items() if lane.stalled]
