"""Commands that are meant to stop a worker."""

import orjson
import pytest

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
    wait = refused.answers()[0].payload["error"]["retry_after"]
    offset = writer.partition.progress.at.offset + 1
    later = Record(offset, 1_000 + round(wait * 1_000), GROUP.encode(), raw("send", 3, body="1"))
    assert writer.decide([later]).outcomes == {"done": 1}
