import json

import msgspec

from gateway.answers import Fact
from gateway.channel import MAX_EARLY, MAX_EARLY_BYTES, Channel, Outcome
from tables.rows import Position, State
from tests.gateway.fakes import EPOCH, channel, message, ring


def opened(made: Channel, head: int, as_of: int) -> bool:
    return made.open(Fact(made.mailbox, EPOCH, head), Position(as_of, 0), made.generation)


def test_rows_wait_for_the_facts_and_follow_them_without_a_hole():
    made = Channel("group:42", ring())
    made.holds = 1
    for seq in range(3, 8):
        assert made.take_message(message(seq)) is Outcome.HELD
    assert opened(made, head=5, as_of=5)
    outcomes = [made.take_message(row) for row in made.take_early()]
    assert outcomes == [Outcome.STALE] * 3 + [Outcome.MESSAGE] * 2
    assert (made.head, len(made.ring)) == (7, 2)


def test_facts_asked_for_before_a_reopening_do_not_open():
    made = channel(head=3)
    before = made.generation
    made.reopen()
    assert not made.open(Fact("group:42", EPOCH, 4), Position(9, 0), before)
    assert opened(made, head=5, as_of=9)
    assert made.head == 5


def test_too_many_early_rows_ask_for_newer_facts():
    made = Channel("group:42", ring())
    outcomes = {made.take_message(message(seq)) for seq in range(1, MAX_EARLY + 1)}
    assert outcomes == {Outcome.HELD}
    assert made.take_message(message(MAX_EARLY + 1)) is Outcome.HOLE


def test_too_large_early_rows_ask_for_newer_facts_too():
    made = Channel("group:42", ring())
    body = msgspec.Raw(b'"%b"' % (b"x" * 1_000_000))
    outcomes = [made.take_message(message(seq, body=body)) for seq in range(1, 20)]
    assert outcomes.index(Outcome.HOLE) == MAX_EARLY_BYTES // 1_000_000 + 1


def test_a_late_writer_is_ignored():
    made = channel()
    assert made.take_message(message(1, at=10)) is Outcome.MESSAGE
    assert made.take_message(message(1, at=10)) is Outcome.STALE
    assert made.take_message(message(2, at=9)) is Outcome.STALE


def test_a_missing_row_is_a_hole():
    made = channel(head=3)
    assert made.take_message(message(5)) is Outcome.HOLE
    assert made.head == 3


def test_nothing_is_encoded_for_a_mailbox_that_nobody_reads_live():
    made = channel()
    assert made.take_message(message(1)) is Outcome.MESSAGE
    assert (made.head, len(made.ring)) == (1, 0)


def test_a_recall_is_an_event_and_changes_the_last_message():
    made = channel()
    made.holds = 1
    made.take_message(message(1))
    recall = message(1, at=5, recalled=1, recalled_by="alice")
    assert made.take_message(recall) is Outcome.RECALL
    assert made.last is recall
    message_event, recalled_event = map(json.loads, made.ring.rest(made.ring.first))
    assert message_event["recalled"] is True
    assert "body" not in message_event
    assert (recalled_event["op"], recalled_event["by"]) == ("recalled", "alice")


def test_a_mailbox_made_anew_is_noticed():
    made = channel()
    assert made.take_state(State(at=Position(3, 0), epoch=EPOCH, members=5))
    assert made.members == 5
    assert not made.take_state(State(at=Position(4, 0), epoch="another"))


async def test_somebody_can_wait_for_a_head():
    made = channel()
    future = made.reaches(2)
    made.take_message(message(1))
    assert not future.done()
    made.take_message(message(2))
    assert future.done()
    assert made.reaches(1).done()
