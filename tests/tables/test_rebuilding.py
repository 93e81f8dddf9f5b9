"""A table that is rebuilt from its log equals the one that wrote it."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streams.users import layout, touches
from tables.partition import PROGRESS_KEY
from tests.rules import commands
from tests.rules.public import commands as public
from tests.tables.logs import (
    AnyAgent,
    Log,
    Writer,
    contents,
    opened,
    pieces,
    rebuild,
    records_of,
)

some = settings(
    max_examples=20,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
sequences = st.one_of(commands.sequences, public.sequences)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=10)


def write(partition, steps, sizes):
    writer = Writer(partition, Log(), AnyAgent())
    for records in pieces(records_of(steps), sizes):
        writer.decide(records)
    return writer


@some
@given(sequences, cuts, cuts)
def test_from_the_whole_log(tmp_path, steps, batches, reads):
    with opened(tmp_path) as partition:
        log = write(partition, steps, batches).log
        assert rebuild(tmp_path, log.records, reads) == (contents(partition), set())


@some
@given(sequences, cuts)
def test_batches_of_any_size_make_the_same_log(tmp_path, steps, batches):
    with opened(tmp_path) as one, opened(tmp_path) as other:
        assert write(one, steps, [1]).log.records == write(other, steps, batches).log.records
        assert contents(one) == contents(other)
        assert one.progress.at == other.progress.at


@some
@given(sequences, cuts, st.booleans())
def test_from_a_compacted_log(tmp_path, steps, reads, tombstones):
    with opened(tmp_path) as partition:
        log = write(partition, steps, [20]).log
        compacted = log.compacted(tombstones=tombstones)
        assert rebuild(tmp_path, compacted, reads) == (contents(partition), set())


@some
@given(public.sequences, cuts, st.booleans())
def test_totals_that_are_no_longer_kept_do_not_come_back(tmp_path, steps, reads, tombstones):
    with pytest.MonkeyPatch.context() as patch, opened(tmp_path) as partition:
        patch.setattr(layout, "COUNTED", 4)
        patch.setattr(touches, "COUNTED", 4)
        log = write(partition, steps, [20]).log
        compacted = log.compacted(tombstones=tombstones)
        assert rebuild(tmp_path, compacted, reads) == (contents(partition), set())


@some
@given(sequences, cuts, st.data())
def test_rows_of_a_late_writer_change_no_reader(tmp_path, steps, reads, data):
    with opened(tmp_path) as partition:
        log = write(partition, steps, [20]).log
        if not log.records:
            return
        late = Log()
        for record in log.records:
            late.repeat([record])
            if data.draw(st.integers(0, 9)) == 0:
                start = data.draw(st.integers(0, len(late.records) - 1))
                late.repeat(late.records[start : start + 4])
        assert rebuild(tmp_path, late.records, reads)[0] == contents(partition)


@some
@given(sequences, st.integers(0, 200), st.integers(1, 6), st.booleans())
def test_a_writer_repairs_what_late_rows_displace(tmp_path, steps, start, count, tombstones):
    with opened(tmp_path) as partition:
        writer = write(partition, steps, [20])
        if not writer.log.records:
            return
        start %= len(writer.log.records)
        writer.log.repeat(writer.log.records[start : start + count])
        writer.catch_up()
        writer.decide([])
        compacted = writer.log.compacted(tombstones=tombstones)
        assert rebuild(tmp_path, compacted)[0] == contents(partition)


@pytest.mark.parametrize("tombstones", [True, False])
@some
@given(sequences, st.randoms(use_true_random=False))
def test_late_rows_between_batches_are_repaired_with_the_next(tmp_path, tombstones, steps, random):
    with opened(tmp_path) as partition:
        writer = Writer(partition, Log(), AnyAgent())
        for records in pieces(records_of(steps), [9]):
            if writer.log.records and random.random() < 0.4:
                start = random.randrange(len(writer.log.records))
                writer.log.repeat(writer.log.records[start : start + 5])
                writer.catch_up()
            writer.decide(records)
        writer.decide([])
        rebuilt, _ = rebuild(tmp_path, writer.log.records)
        assert rebuilt == contents(partition)
        compacted = writer.log.compacted(tombstones=tombstones)
        assert rebuild(tmp_path, compacted)[0] == contents(partition)


@some
@given(sequences, st.integers(0, 150))
def test_deciding_again_after_a_crash_writes_nothing_twice(tmp_path, steps, back):
    with opened(tmp_path) as partition:
        writer = write(partition, steps, [20])
        before, rows = contents(partition), len(writer.log.records)
        again = [r for r in records_of(steps) if r.offset <= partition.progress.at.offset][-back:]
        batch = writer.decide(again)
        assert (len(batch.entries), batch.effects, len(writer.log.records)) == (0, [], rows)
        assert contents(partition) == before
        assert partition.raw(PROGRESS_KEY) is not None or not rows
