"""Each message once and in order, whatever of it arrives how often."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from readcast import inflow
from readcast.inflow import Inflow

GROUP = "group:g"
EPOCH = "e1"
HEAD = 30


class Mailbox:
    """A naive gateway: any seqs may arrive, history has all."""

    def __init__(self, has_room: bool = True) -> None:
        self.delivered: list[dict[str, Any]] = []
        self.wanted: list[str] = []
        self.rewatched: list[str] = []
        self.has_room = has_room
        self.inflow = Inflow(
            self.delivered.append,
            self.wanted.append,
            self.rewatched.append,
            lambda: self.has_room,
            {GROUP: (EPOCH, 0)},
        )
        self.inflow.user = "bob"

    def take(self, op: str, *, answers: bool = False, **fields: Any) -> None:
        self.inflow.take({"op": op, "mailbox": GROUP, **fields}, answers=answers)

    def message(self, seq: int) -> None:
        self.take("message", seq=seq)

    def answer(self, upto: int, limit: int = 4) -> None:
        """One page of history, if it is wanted."""
        after = self.inflow.lacks(GROUP)
        if after is not None:
            last = min(upto, after + limit)
            page = [{"seq": seq} for seq in range(after + 1, last + 1)]
            self.inflow.page(
                GROUP, {"epoch": EPOCH, "head": upto, "messages": page, "more": last < upto}
            )

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.delivered if event["op"] == "message"]

    @property
    def ops(self) -> list[str]:
        return [event["op"] for event in self.delivered]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("message"), st.integers(1, HEAD)),
        st.tuples(st.just("gap"), st.integers(1, HEAD)),
        st.tuples(st.just("history"), st.integers(1, HEAD)),
        st.tuples(st.just("room"), st.booleans()),
        st.tuples(st.just("reconnect"), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_arrives_is_delivered_in_order_once_and_in_the_end_all(steps):
    mailbox = Mailbox()
    head = 0
    for kind, value in steps:
        if kind == "message":
            head = max(head, value)
            mailbox.message(value)
        elif kind == "gap":
            head = max(head, value)
            mailbox.take("gap", **{"from": 1, "to": value})
        elif kind == "history":
            mailbox.answer(head)
        elif kind == "room":
            mailbox.has_room = value
        else:
            epoch, seq = mailbox.inflow.resume()[GROUP]
            assert (epoch, seq) == (EPOCH, len(mailbox.seqs))
            for missed in range(seq + 1, head + 1):
                mailbox.message(missed)
            mailbox.take("resumed", epoch=EPOCH, head=head, recovered=True)
        assert mailbox.seqs == list(range(1, len(mailbox.seqs) + 1))
    mailbox.has_room = True
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(head)
    assert mailbox.seqs == list(range(1, head + 1))


def test_a_long_wait_for_history_holds_a_bounded_number_of_events(monkeypatch):
    monkeypatch.setattr(inflow, "HELD_EVENTS", 3)
    mailbox = Mailbox()
    for seq in range(2, 20):
        mailbox.message(seq)
    assert len(mailbox.inflow._places[GROUP].held) <= 3
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(19)
    assert mailbox.seqs == list(range(1, 20))


def test_a_recall_behind_a_hole_waits_for_its_message():
    mailbox = Mailbox()
    mailbox.message(2)
    mailbox.take("recalled", seq=2, by="alice")
    assert mailbox.ops == []
    mailbox.answer(1)
    assert mailbox.ops == ["message", "message", "recalled"]


def test_another_epoch_is_told_and_goes_on_from_its_head():
    mailbox = Mailbox()
    mailbox.take("resumed", epoch="e2", head=7, recovered=False)
    mailbox.message(8)
    assert mailbox.ops == ["resumed", "reset", "message"]
    assert mailbox.inflow.resume() == {GROUP: ("e2", 8)}


def test_too_much_missed_in_the_same_epoch_is_pulled():
    mailbox = Mailbox()
    mailbox.take("resumed", epoch=EPOCH, head=9, recovered=False)
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(9)
    assert mailbox.seqs == list(range(1, 10))
    assert "reset" not in mailbox.ops


def test_history_that_is_refused_is_told_as_a_gap():
    mailbox = Mailbox()
    mailbox.message(4)
    mailbox.inflow.give_up(GROUP)
    assert mailbox.delivered[0] == {"op": "gap", "mailbox": GROUP, "from": 1, "to": 3}
    assert mailbox.seqs == [4]


def test_trimmed_messages_are_passed_over():
    mailbox = Mailbox()
    mailbox.message(9)
    mailbox.inflow.page(
        GROUP, {"epoch": EPOCH, "head": 9, "messages": [{"seq": 6}, {"seq": 9}], "more": False}
    )
    assert mailbox.seqs == [6, 9]


def test_a_mailbox_that_one_has_left_is_not_resumed():
    mailbox = Mailbox()
    mailbox.take("left", members=["alice"], epoch=EPOCH, head=0)
    assert GROUP in mailbox.inflow
    mailbox.take("left", members=["bob"], epoch=EPOCH, head=0)
    assert mailbox.inflow.resume() == {}


def test_a_resume_that_failed_for_a_passing_reason_is_made_good_by_watching():
    mailbox = Mailbox()
    mailbox.take("error", code="unavailable", retriable=True)
    assert mailbox.rewatched == [GROUP]
    mailbox.take("watching", answers=True, epoch=EPOCH, head=5, mode="live")
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(5)
    assert mailbox.seqs == [1, 2, 3, 4, 5]
