"""Groups that are closed and made anew: what is kept of them, written and rebuilt."""

import msgspec
import orjson
import pytest

from tables.keys import message_prefix
from tests.tables.logs import Log, Writer, contents, opened, rebuild, records_of

GROUP = "group:g"


class Chat:
    """Decides commands, and at once what the agent tells itself."""

    def __init__(self, partition):
        self.partition, self.writer, self._offset = partition, Writer(partition, Log()), 0

    def do(self, type_, by="ann", **fields):
        uuid = f"00000000-0000-4000-8000-{self._offset:012d}"
        self._decide({"type": type_, "mailbox": GROUP, "by": by, "id": uuid, **fields})

    def _decide(self, command):
        batch = self.writer.decide(records_of([(1_000, command)], self._offset))
        self._offset += 1
        for effect in batch.effects:
            if effect.key == GROUP:
                self._decide(orjson.loads(msgspec.json.encode(effect.command)))

    def kept(self):
        return [int(key[-16:]) for key, _ in self.partition.scan(message_prefix(GROUP))]


@pytest.fixture
def chat(tmp_path):
    with opened(tmp_path) as partition:
        yield Chat(partition)


def test_trimming_drops_what_the_remaking_kept(chat):
    chat.do("create")
    for number in range(3):
        chat.do("send", body=number)
    chat.do("close")
    chat.do("create")
    for number in range(3):
        chat.do("send", body=number)
    chat.do("trim", upto=5)
    assert chat.kept() == [6]


def test_a_group_made_anew_again_and_again_keeps_only_its_last_message(chat):
    for _ in range(3):
        chat.do("create")
        for number in range(3):
            chat.do("send", body=number)
        chat.do("close")
    chat.do("create")
    assert chat.kept() == [9]


@pytest.mark.parametrize("tombstones", [True, False])
def test_one_that_is_trimmed_is_rebuilt_as_it_was_written(chat, tmp_path, tombstones):
    chat.do("create")
    chat.do("join", members=["bob"])
    chat.do("send", body=1)
    chat.do("send", by="bob", body=2)
    chat.do("close")
    chat.do("create")
    chat.do("join", members=["bob"])
    chat.do("send", by="bob", body=3)
    chat.do("send", body=4)
    chat.do("trim", upto=3)
    compacted = chat.writer.log.compacted(tombstones=tombstones)
    assert rebuild(tmp_path, compacted) == (contents(chat.partition), set())
