"""What is left of a partition whose process was killed: less, but never a mixture."""

import itertools
import multiprocessing
import random
import time
from pathlib import Path

import pytest

from streams.mailboxes.layout import decode_last, head_key
from tables.keys import message_key
from tests.tables.logs import LogRecord, contents, open_partition
from tests.waiting import eventually

GROUP = "group:g"
BODY = "x" * 20_000
"""So that memtables are full after some hundred rows."""


def record(offset: int) -> LogRecord:
    seq = offset + 1
    value = f'{{"at":[{offset},0],"seq":{seq},"id":"{seq}","from":"ann","ts":1,"body":"{BODY}"}}'
    return LogRecord(offset, message_key(GROUP, seq), value.encode())


def keep_on(folder: Path) -> None:
    partition = open_partition(folder, "one")
    for start in itertools.count(0, 7):
        partition.apply([record(offset) for offset in range(start, start + 7)])


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_partition_is_an_earlier_one_and_goes_on_from_there(tmp_path, seed):
    keeper = multiprocessing.get_context("spawn").Process(target=keep_on, args=(tmp_path,))
    keeper.start()
    eventually(lambda: any(tmp_path.rglob("*.sst")), "a memtable is full")
    time.sleep(random.Random(seed).random() / 2)
    keeper.kill()
    keeper.join()
    partition = open_partition(tmp_path, "one")
    count = partition.progress.next_offset
    assert count > 0
    assert partition.progress.at.offset == count - 1
    assert messages(partition) == [*range(1, count + 1)]
    assert partition.get(head_key(GROUP), decode_last).seq == count
    partition.apply([record(offset) for offset in range(count, count + 3)])
    assert messages(partition) == [*range(1, count + 4)]
    partition.close()


def messages(partition):
    """The seqs of the messages that are kept, in order."""
    return [int(key[-16:]) for key in contents(partition) if b"/m/" in key]
