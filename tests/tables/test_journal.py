import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.journal import BATCH_BYTES, CutOff, Displaced, Entries, append
from tables.rows import Position


class Producer:
    """Stores record batches from `next_offset` on, after what others put between."""

    def __init__(self, next_offset=0, between=()):
        self.next_offset = next_offset
        self.between = list(between)
        self.batches = []

    def create_batch(self):
        return Stored()

    async def send_batch(self, batch, topic, partition):
        self.next_offset += self.between.pop(0) if self.between else 0
        landed = self.next_offset
        self.batches.append(batch.records)
        self.next_offset += len(batch.records)
        return landed


class Stored:
    def __init__(self):
        self.records = []

    def extend(self, timestamp, keys, values, headers):
        self.records += [(timestamp, *one) for one in zip(keys, values, headers, strict=True)]


def command(number, sizes):
    return (
        [b"k%d" % number for _ in sizes],
        [b"x" * size for size in sizes],
        [Position(number, index) for index in range(len(sizes))],
    )


def entries_of(*commands):
    entries = Entries()
    for columns in commands:
        entries.add(*columns)
    return entries


sizes = st.lists(st.integers(0, 300_000), min_size=1, max_size=5)


@given(st.lists(sizes, max_size=20))
async def test_the_rows_of_a_command_share_a_record_batch(all_sizes):
    producer = Producer(5)
    commands = [command(number, sizes) for number, sizes in enumerate(all_sizes)]
    end = await append(producer, "log", 0, 5, entries_of(*commands), 1_000)
    written = [key for batch in producer.batches for _, key, _, _ in batch]
    assert written == [key for keys, _, _ in commands for key in keys]
    assert end == producer.next_offset == 5 + len(written)
    for number in range(len(commands)):
        key = b"k%d" % number
        assert sum(any(row[1] == key for row in batch) for batch in producer.batches) == 1
    for batch in producer.batches:
        size = sum(len(value) for _, _, value, _ in batch)
        assert size <= BATCH_BYTES or len({key for _, key, _, _ in batch}) == 1


async def test_rows_of_another_writer_before_ours_are_noticed():
    with pytest.raises(Displaced, match="expected offset 3, landed at 5"):
        await append(Producer(3, [2]), "log", 0, 3, entries_of(command(0, [1])), 1_000)


async def test_a_log_that_has_lost_its_tail_is_noticed():
    with pytest.raises(CutOff, match="expected offset 3, landed at 2") as cut_off:
        await append(Producer(2), "log", 0, 3, entries_of(command(0, [1])), 1_000)
    assert cut_off.value.landed == 2


async def test_rows_of_another_writer_between_two_record_batches_are_noticed():
    producer = Producer(0, [0, 1])
    entries = entries_of(*(command(n, [600_000]) for n in range(3)))
    with pytest.raises(Displaced):
        await append(producer, "log", 0, 0, entries, 1_000)
    assert len(producer.batches) == 2


async def test_only_a_removal_carries_its_position_in_a_header():
    producer = Producer()
    entries = entries_of(([b"a", b"b"], [b"1", None], [Position(907, 0), Position(907, 1)]))
    await append(producer, "log", 0, 0, entries, 1_234)
    assert producer.batches == [[(1_234, b"a", b"1", []), (1_234, b"b", None, [("at", b"907,1")])]]


async def test_nothing_to_append_sends_nothing():
    producer = Producer(4)
    assert await append(producer, "log", 0, 4, Entries(), 1_000) == 4
    assert producer.batches == []
