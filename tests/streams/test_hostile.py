"""Commands that are meant to stop a worker."""

import gc
import tracemalloc
from contextlib import contextmanager

import orjson
import pytest

from streams.batches import Batch
from streams.errors import Code, Malformed
from tests.tables.logs import Log, Record, Writer, agent, open_partition

GROUP = "group:g"
ID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"


def raw(type_, number=1, **fields):
    command = {"type": type_, "mailbox": GROUP, "by": "ann", "id": f"{ID[:-1]}{number}"}
    parts = {name: f'"{value}"' for name, value in command.items()} | fields
    return ("{" + ",".join(f'"{name}":{json}' for name, json in parts.items()) + "}").encode()


@pytest.fixture
def writer(tmp_path):
    partition = open_partition(tmp_path)
    yield Writer(partition, Log())
    partition.close()


def decide(writer, *values):
    start = writer.partition.progress.at.offset + 1
    return writer.decide(
        [Record(start + n, 1_000, GROUP.encode(), value) for n, value in enumerate(values)]
    )


@pytest.mark.parametrize("where", ["body", "unknown"])
def test_deep_json_is_buried(writer, where):
    deep = "[" * 100_000 + "]" * 100_000
    batch = decide(writer, raw("create"), raw("send", 2, **{"body": "1", where: deep}))
    assert [letter.error.code for letter in batch.dead_letters] == [Code.BAD_REQUEST]


@pytest.mark.parametrize(
    "policy",
    [
        '{"member_rate":[1e-300,1]}',
        '{"member_rate":[1e-320,1]}',
        '{"mailbox_rate":[1e-300,1]}',
        '{"member_rate":[1,1e308]}',
        '{"mailbox_rate":[1e-9,1e300]}',
    ],
)
def test_a_rate_that_no_clock_can_hold_is_refused_or_does_no_harm(writer, policy):
    batch = decide(writer, raw("create", policy=policy), raw("send", 2, body="1"))
    assert not [one for one in batch.dead_letters if one.error.code is Code.UNAVAILABLE]


@pytest.mark.parametrize("text", [b'"\xff"', b'{"a":"\xc3"}', b'"\xed\xa0\x80"'])
def test_a_body_that_is_not_utf8_is_refused(text):
    value = raw("send", body="1").replace(b'"body":1', b'"body":' + text)
    with pytest.raises(Malformed):
        agent().decode(GROUP.encode(), value)


@pytest.mark.parametrize("ref", [2**63, 2**64, 10**30])
def test_a_ref_that_no_answer_can_carry_is_refused(ref):
    value = raw("close", reply=f'{{"to":"gw","partition":0,"ref":{ref}}}')
    try:
        command = agent().decode(GROUP.encode(), value)
    except Malformed:
        return
    orjson.dumps(command.reply.ref)


def test_waiting_as_long_as_told_is_enough(writer):
    decide(writer, raw("create", policy='{"member_rate":[3,1]}'), raw("send", 2, body="1"))
    refused = decide(writer, raw("send", 3, body="1", reply='{"to":"gw","partition":0,"ref":1}'))
    wait = next(refused.answers()).payload["error"]["retry_after"]
    offset = writer.partition.progress.at.offset + 1
    later = Record(offset, 1_000 + round(wait * 1_000), GROUP.encode(), raw("send", 3, body="1"))
    assert writer.decide([later]).outcomes == {"done": 1}


@contextmanager
def remembers_less_than(limit):
    """All that is still in memory of what the block made has fewer bytes."""
    tracemalloc.start()
    try:
        yield
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < limit
    finally:
        tracemalloc.stop()


def test_long_names_of_bad_records_are_not_remembered(writer):
    with remembers_less_than(1 << 20):
        for number in range(100):
            name = f"{number}" + "x" * 100_000
            command = {"type": "send", "mailbox": GROUP, "by": name, "id": ID, "body": 1}
            assert decide(writer, orjson.dumps(command)).dead_letters


def test_long_places_in_a_list_of_members_are_not_remembered(writer):
    decide(writer, raw("create"))
    with remembers_less_than(1 << 20):
        for number in range(100):
            question = {
                "type": "query", "mailbox": GROUP, "by": "ann", "what": "members",
                "after_member": f"{number}" + "x" * 100_000,
                "reply": {"to": "gw", "partition": 0, "ref": 1},
            }  # fmt: skip
            list(decide(writer, orjson.dumps(question)).answers())


def test_commands_that_change_nothing_fill_a_batch_as_well(writer):
    members = "[" + ",".join(f'"user{number}"' for number in range(1_000)) + "]"
    decide(writer, raw("create"), raw("join", 2, members=members))
    start = writer.partition.progress.at.offset + 1
    joins = [
        Record(start + n, 1_000, GROUP.encode(), raw("join", 2, members=members))
        for n in range(100)
    ]
    assert Batch(agent(), writer.partition).decide(joins) < 10
