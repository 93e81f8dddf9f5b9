"""Both tables of a world of feeds, rebuilt from their logs, equal the ones that wrote them."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streams.feeds import outbox
from streams.feeds.limits import FeedLimits
from tests.feeds.commands import DAY, READERS, Actors
from tests.feeds.world import MAILBOXES, REPLY, USERS, World
from tests.rules.commands import uuid_of
from tests.tables.logs import Log, Writer, contents, opened, pieces, rebuild

LIMITS = FeedLimits(threshold=3, idle_days=2, partitions=2, inbox=4, chunk=2)

some = settings(
    max_examples=10,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=10)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(outbox, "BACKFILL", 3)


@contextmanager
def played(folder, random) -> Iterator[list]:
    """The lines of a world in which authors and readers have done this and that."""
    actors = Actors(random)
    with World(folder, LIMITS) as world:
        for number in range(random.randint(1, 150)):
            world.now += random.choice((0, 1, 1_000, DAY // 2))
            world.send(actors.command())
            if random.random() < 0.1:
                world.send(snapshot(random, number))
            if random.random() < 0.1 and world.effects:
                world.repeat(random.randrange(len(world.effects)))
            if random.random() < 0.5:
                line = random.choice(world.lines[random.choice((MAILBOXES, USERS))])
                world.work(line, random.choice((1, 2, 5)))
        world.drain(MAILBOXES, USERS)
        yield [*world.lines[MAILBOXES], *world.lines[USERS]]


def snapshot(random, number):
    reader = random.choice(READERS)
    posts = [[number, 1, "ann"]] * random.choice((0, 1, 3))
    command = {"type": "snapshot", "user": reader, "by": reader, "id": uuid_of(number)}
    return {**command, "posts": posts, "reply": REPLY}


def some_records(random, log):
    start = random.randrange(len(log.records))
    return log.records[start : start + random.choice((1, 4, 20))]


@some
@given(seeds, cuts)
def test_from_the_whole_log(tmp_path, seed, reads):
    with played(tmp_path, Random(seed)) as lines:
        for line in lines:
            found = rebuild(tmp_path, line.log.records, reads)
            assert found == (contents(line.partition), set())


@some
@given(seeds, cuts, st.booleans())
def test_from_a_compacted_log(tmp_path, seed, reads, tombstones):
    with played(tmp_path, Random(seed)) as lines:
        for line in lines:
            compacted = line.log.compacted(tombstones=tombstones)
            assert rebuild(tmp_path, compacted, reads) == (contents(line.partition), set())


@some
@given(seeds, cuts)
def test_batches_of_any_size_make_the_same_log(tmp_path, seed, sizes):
    with played(tmp_path, Random(seed)) as lines:
        for line in lines:
            with opened(tmp_path) as partition:
                writer = Writer(partition, Log(), line.agent)
                for records in pieces(line.decided, sizes):
                    writer.decide(records)
                assert writer.log.records == line.log.records
                assert contents(partition) == contents(line.partition)


@some
@given(seeds, cuts)
def test_rows_of_a_late_writer_change_no_reader(tmp_path, seed, reads):
    random = Random(seed)
    with played(tmp_path, random) as lines:
        for line in lines:
            late = Log()
            for record in line.log.records:
                late.repeat([record])
                if random.random() < 0.1:
                    late.repeat(some_records(random, late))
            assert rebuild(tmp_path, late.records, reads)[0] == contents(line.partition)


@some
@given(seeds, st.booleans())
def test_late_rows_between_batches_are_repaired_with_the_next(tmp_path, seed, tombstones):
    random = Random(seed)
    with played(tmp_path, random) as lines:
        for line in lines:
            with opened(tmp_path) as partition:
                writer = Writer(partition, Log(), line.agent)
                for records in pieces(line.decided, [9]):
                    if writer.log.records and random.random() < 0.4:
                        writer.log.repeat(some_records(random, writer.log))
                        writer.catch_up()
                    writer.decide(records)
                writer.decide([])
                whole, compacted = writer.log.records, writer.log.compacted(tombstones=tombstones)
                assert rebuild(tmp_path, whole)[0] == contents(partition)
                assert rebuild(tmp_path, compacted)[0] == contents(partition)


@some
@given(seeds, st.integers(0, 150))
def test_deciding_again_after_a_crash_writes_and_sends_nothing_twice(tmp_path, seed, back):
    with played(tmp_path, Random(seed)) as lines:
        for line in lines:
            before, last = contents(line.partition), line.partition.progress.at.offset
            writer = Writer(line.partition, line.log, line.agent)
            again = [record for record in line.decided if record.offset <= last][-back:]
            batch = writer.decide(again)
            assert (len(batch.entries), batch.effects) == (0, [])
            assert contents(line.partition) == before
