from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.batches import Batch
from streams.errors import Code
from streams.feeds.limits import FeedLimits
from streams.mailboxes.rules import RETAIN_SLACK
from streams.users.agent import UserAgent
from tables.journal import Entry
from tables.rows import Position
from tests.tables.logs import (
    Log,
    Record,
    Writer,
    agent,
    contents,
    open_partition,
    opened,
    records_of,
)

GROUP = "group:g"
REPLY = {"to": "gw", "partition": 3, "ref": 7}


def command(type_, number, by="ann", **fields):
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {"type": type_, "mailbox": GROUP, "by": by, "id": uuid, "reply": REPLY, **fields}


def query(what, by="ann", **fields):
    return {"type": "query", "mailbox": GROUP, "by": by, "what": what, "reply": REPLY, **fields}


def records(*commands, start=0):
    return records_of([(1_000, command) for command in commands], start)


@pytest.fixture
def partition(tmp_path):
    partition = open_partition(tmp_path)
    yield partition
    partition.close()


@pytest.fixture
def writer(partition):
    """A writer that has made a group of ann and bob."""
    writer = Writer(partition, Log())
    writer.decide(records(command("create", 0), command("join", 1, members=["bob"])))
    return writer


def payloads(batch):
    return [reply.payload for reply in batch.answers()]


BAD = [
    (b'{"type":"dance"', None),
    (b'{"type":"dance"}', None),
    (b"\xff\0", None),
    (b"", None),
    (None, None),
    (orjson.dumps({"type": "dance", "reply": REPLY}), 7),
    (orjson.dumps(command("send", 5, body=1) | {"id": "x\n"}), 7),
    (orjson.dumps(command("send", 5, body=1) | {"reply": {"to": ""}}), None),
]


@pytest.mark.parametrize(("value", "ref"), BAD)
def test_what_is_no_command_is_buried_and_the_rest_goes_on(writer, value, ref):
    good = records(command("send", 2, body=1), command("send", 3, body=2), start=2)
    bad = Record(3, 1_000, GROUP.encode(), value)
    batch = writer.decide([good[0], bad, good[1]._replace(offset=4)])
    assert [letter.record for letter in batch.dead_letters] == [bad]
    assert batch.dead_letters[0].error.code is Code.BAD_REQUEST
    assert [entry.at for entry in batch.entries] == [Position(2, 0), Position(4, 0)]
    assert [reply.to.ref for reply in batch.replies] == ([] if ref is None else [ref])
    assert all(reply.payload["error"]["code"] == "bad_request" for reply in batch.replies)
    assert batch.outcomes == {"done": 2, "dead_letter": 1}


def test_a_command_under_a_wrong_key_is_buried_and_answered(writer):
    batch = writer.decide([records(command("close", 2), start=2)[0]._replace(key=b"group:h")])
    assert len(batch.dead_letters) == 1
    assert not batch.entries
    assert batch.replies[0].payload["error"]["message"] == "the record's key must be the mailbox id"


class Failing:
    """An agent whose rule fails on one command."""

    def __init__(self, inner, offset):
        self._inner = inner
        self._offset = offset

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def decide_run(self, view, commands):
        raise ZeroDivisionError("defect")

    def decide(self, view, command, moment):
        if moment.offset == self._offset:
            raise ZeroDivisionError("defect")
        return self._inner.decide(view, command, moment)


def test_a_command_on_which_a_rule_fails_is_buried_and_the_rest_goes_on(writer):
    sends = [command("send", number, body=number) for number in (2, 3, 4)]
    batch = Batch(Failing(agent(), 3), writer.partition)
    batch.decide(records(*sends, start=2))
    assert [letter.record.offset for letter in batch.dead_letters] == [3]
    assert [orjson.loads(entry.value)["seq"] for entry in batch.entries] == [1, 2]
    (answer,) = payloads(batch)
    assert answer["error"]["code"] == "unavailable"
    assert answer["error"]["retriable"]


def test_refusals_are_answered_and_write_nothing(writer):
    batch = writer.decide(records(command("close", 2, "bob"), start=2))
    assert (logged(batch), batch.effects, batch.dead_letters) == ([], [], [])
    (answer,) = payloads(batch)
    assert (answer["error"]["code"], answer["error"]["retriable"]) == ("forbidden", False)
    assert "retry_after" not in answer["error"]
    assert batch.outcomes == {"forbidden": 1}


def test_a_first_send_is_answered_by_its_row_only_and_a_second_by_a_receipt(writer):
    send = command("send", 2, body=1)
    batch = writer.decide(records(send, send, start=2))
    assert [entry.key for entry in batch.entries] == [b"group:g/m/0000000000000001"]
    (answer,) = payloads(batch)
    assert answer["result"]["duplicate"]
    assert answer["result"]["seq"] == 1


def test_the_rows_of_a_command_stay_together_and_are_numbered(writer):
    joined = command("join", 2, members=["cid", "dan"])
    batch = writer.decide(records(joined, command("send", 3, body=1), start=2))
    assert batch.entries.positions == [
        Position(2, 0),
        Position(2, 1),
        Position(2, 2),
        Position(3, 0),
    ]
    assert batch.entries.ends == [3, 4]
    for entry in batch.entries:
        assert isinstance(entry, Entry)
        assert Position(*orjson.loads(entry.value)["at"]) == entry.at
    assert [effect.key for effect in batch.effects] == ["cid", "dan"]
    assert batch.at == Position(3, 0)


def test_commands_that_were_decided_write_no_rows_and_send_no_effects(writer):
    commands = [
        command("join", 2, members=["cid"]),
        command("send", 3, body=1),
        command("leave", 4, "cid"),
        command("mute", 5, until=9_000),
    ]
    writer.decide(records(*commands, start=2))
    before = contents(writer.partition)
    batch = writer.decide(records(*commands, start=2))
    assert (logged(batch), batch.effects) == ([], [])
    assert contents(writer.partition) == before
    lost, left, muted = payloads(batch)
    # cid has left since, so joining would write rows: what became of it can't be told any more.
    assert (lost["error"]["code"], lost["error"]["retriable"]) == ("unavailable", True)
    assert left["result"]["members"] == ("cid",)
    assert muted["result"] == {"mailbox": GROUP}


def test_queries_see_the_whole_batch(writer):
    batch = writer.decide(
        records(query("history"), command("send", 2, body=1), query("history"), start=2)
    )
    first, second = payloads(batch)
    assert first["result"]["head"] == second["result"]["head"] == 1


def test_a_refused_query_is_answered(writer):
    batch = writer.decide(records(query("history", "dan"), start=2))
    assert payloads(batch)[0]["error"]["code"] == "not_member"
    assert not batch.entries


def test_without_an_address_nothing_is_answered(writer):
    sends = [command("close", 2, "bob"), command("mute", 3, until=5)]
    silent = [{name: c[name] for name in c if name != "reply"} for c in sends]
    batch = writer.decide(records(*silent, start=2))
    assert list(batch.answers()) == []
    assert batch.outcomes == {"forbidden": 1, "done": 1}


def test_a_batch_ends_before_it_holds_up_the_worker_and_the_next_goes_on(partition):
    names = [f"user{number:05d}" for number in range(20_000)]
    thousands = [names[first : first + 1_000] for first in range(0, 20_000, 1_000)]
    joins = [command("join", 1 + n, members=some) for n, some in enumerate(thousands)]
    left = records(command("create", 0), *joins)
    rows, log = [], Log()
    while left:
        batch = Batch(agent(), partition)
        done = batch.decide(left)
        assert 0 < done <= len(left)
        assert len(batch.entries) < 10_000
        rows.append(len(batch.entries))
        log.append(batch.entries)
        partition.keep(batch.overlay, batch.at, log.next_offset)
        left = left[done:]
    assert len(rows) > 2
    members = [key for key in contents(partition) if key.startswith(b"group:g/u/")]
    assert members == [f"group:g/u/{name}".encode() for name in ["ann", *names]]


LEASE = {
    "type": "lease", "mailbox": "gateway:gw", "by": "system", "seconds": 30, "partition": 0, "reply": REPLY,
}  # fmt: skip
MAILBOXES = (GROUP, GROUP, "group:h", "direct:ann~bob")

_send = st.tuples(
    st.sampled_from(("send", "send", "tell")),
    st.sampled_from(("ann", "bob")),
    st.integers(10, 25),
    st.sampled_from(range(len(MAILBOXES))),
)
_steps = st.one_of(
    *[_send] * 9,
    st.tuples(st.just("tell"), st.just("system"), st.integers(10, 25), st.sampled_from((0, 2))),
    st.tuples(st.just("again"), st.sampled_from(("bob", "eve")), st.just(10), st.integers(0, 1)),
    st.tuples(st.just("mute"), st.just("ann"), st.integers(100, 140), st.sampled_from((0, 5_000))),
    st.tuples(st.just("leave"), st.just("bob"), st.integers(200, 240), st.just(0)),
    st.tuples(st.just("join"), st.just("bob"), st.integers(300, 340), st.just(0)),
    st.tuples(st.just("policy"), st.just("ann"), st.integers(400, 440), st.integers(1, 30)),
    st.tuples(st.just("admins"), st.just("ann"), st.integers(500, 540), st.booleans()),
    st.tuples(
        st.sampled_from(("close", "create")), st.just("ann"), st.integers(600, 640), st.just(0)
    ),
    st.tuples(st.just("recall"), st.just("ann"), st.integers(700, 740), st.integers(1, 9)),
    st.tuples(st.sampled_from(("lease", "ask", "broken")), st.just("ann"), st.just(0), st.just(0)),
)


def _step(kind, by, number, other):
    match kind:
        case "lease":
            # A gateway without routes: it is told of its sends by receipts.
            return LEASE
        case "ask":
            return query("facts")
        case "broken":
            return command("send", number, by, body=0) | {"id": "x"}
    name, fields = _FIELDS[kind](other) if kind in _FIELDS else (kind, {})
    return command(name, number, by, **fields)


_FIELDS = {
    "send": lambda to: ("send", {"mailbox": MAILBOXES[to], "body": 0}),
    "tell": lambda to: ("send", {"mailbox": MAILBOXES[to], "reply": None, "body": {"to": to}}),
    "again": lambda body: ("send", {"body": body}),
    "mute": lambda until: ("mute", {"member": "bob", "until": until}),
    "policy": lambda burst: ("policy", {"policy": {"member_rate": [1.0, float(burst)]}}),
    "admins": lambda on: ("policy", {"policy": {"post": "admins" if on else "members"}}),
    "recall": lambda seq: ("recall", {"seq": seq}),
}


GROUPS = [
    command(kind, number, mailbox=mailbox, **fields)
    for mailbox in (GROUP, "group:h")
    for kind, number, fields in (("create", 900, {}), ("join", 901, {"members": ["bob"]}))
]


@given(
    st.lists(_steps, min_size=15, max_size=60),
    st.lists(_steps, min_size=5, max_size=20),
    st.integers(0, 3),
)
def test_sends_decided_in_a_run_are_decided_as_one_by_one(steps, later, pace):
    with TemporaryDirectory() as folder, opened(Path(folder)) as partition:
        timed = timeline([*GROUPS, *(_step(*step) for step in (*steps, *later))], pace)
        now = len(timed) - len(later)
        decided_alike(partition, timed[:now])
        decided_alike(partition, timed[now:])


def test_a_run_ends_before_a_message_that_trims(partition):
    sends = [command("send", number, body=number) for number in range(3, 3 + 2 * RETAIN_SLACK)]
    commands = [*GROUPS, command("policy", 2, policy={"retain": 5}), *sends]
    batch = decided_alike(partition, timeline(commands, 100))
    removed = [key for key, value, _ in batch.entries if value is None]
    assert removed == [b"group:g/m/%016d" % seq for seq in range(1, RETAIN_SLACK + 2)]
    assert len(batch.entries.ends) < 20


_of_users = st.builds(
    lambda kind, user, mailbox, number, by, reply: {
        "type": kind, "user": user, "by": by or user, "mailbox": mailbox,
        "seq" if kind in ("read", "unread") else "src": number,
    } | ({"reply": REPLY} if reply else {}),
    st.sampled_from((*["subscribed"] * 12, "unsubscribed", "read", "unread")),
    st.sampled_from([f"u{number}" for number in range(12)]),
    st.sampled_from(("group:g", "group:h", "direct:u1~u2", "public:news", "author:ann")),
    st.integers(-1, 9),
    st.sampled_from((*["system"] * 12, "")),
    st.sampled_from((*[False] * 12, True)),
)  # fmt: skip


@given(st.lists(_of_users, min_size=1, max_size=40), st.lists(_of_users, max_size=20))
def test_subscriptions_decided_in_a_run_are_decided_as_one_by_one(commands, later):
    users = UserAgent(FeedLimits())
    with TemporaryDirectory() as folder, opened(Path(folder)) as partition:
        timed = timeline([*commands, *later], 1)
        decided_alike(partition, timed[: len(commands)], users)
        decided_alike(partition, timed[len(commands) :], users)


def test_subscriptions_are_decided_in_one_run(partition):
    commands = [
        {"type": "subscribed", "user": f"u{n}", "by": "system", "mailbox": "group:g", "src": n}
        for n in range(300)
    ]
    batch = decided_alike(partition, timeline(commands, 1), UserAgent(FeedLimits()))
    assert (len(batch.entries), len(batch.entries.ends)) == (300, 2)


def timeline(commands, pace):
    """The records of commands, one each `pace` milliseconds."""
    return records_of([(1_000 + pace * n, each) for n, each in enumerate(commands)], 0)


def decided_alike(partition, timed, by=None):
    """The batch of some records, which is the same without runs; it is kept."""
    by = by or agent()
    batch, alone = Batch(by, partition), Batch(OneByOne(by), partition)
    batch.decide(timed)
    alone.decide(timed)
    assert logged(batch) == logged(alone)
    assert answered(batch) == answered(alone)
    assert [one.record for one in batch.dead_letters] == [one.record for one in alone.dead_letters]
    assert batch.effects == alone.effects
    assert (batch.outcomes, batch.at) == (alone.outcomes, alone.at)
    assert batch.overlay.rows == alone.overlay.rows
    assert batch.overlay.derived == alone.overlay.derived
    partition.keep(batch.overlay, batch.at, partition.progress.next_offset + len(batch.entries))
    return batch


def answered(batch):
    return [(reply.to, orjson.dumps(reply.payload)) for reply in batch.answers()]


def logged(batch):
    return list(batch.entries)


class OneByOne:
    """An agent that decodes and decides nothing in a run."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    runs_of = None

    def decode_run(self, records):
        return None
