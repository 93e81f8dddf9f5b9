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

    def __init__(self, has_room: bool = True, watch: list[str] | None = None) -> None:
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
            watch,
        )
        self.inflow.user = "bob"

    def take(self, op: str, *, answers: bool = False, **fields: Any) -> None:
        self.inflow.take({"op": op, "mailbox": GROUP, **fields}, answers=answers)

    def message(self, seq: int) -> None:
        self.take("message", seq=seq)

    def sync(self, head: int, mode: str) -> None:
        """A `sync` that lists it."""
        entry = {"mailbox": GROUP, "epoch": EPOCH, "head": head, "mode": mode}
        self.inflow.take({"op": "sync", "mailboxes": [entry]}, answers=True)

    def left(self) -> None:
        self.take("left", members=["bob"], epoch=EPOCH, head=0)

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
    mailbox.left()
    assert mailbox.inflow.resume() == {}


def test_a_group_that_may_be_too_large_is_not_made_live_by_a_reconnect():
    mailbox = Mailbox()
    mailbox.left()
    mailbox.take("joined", members=["bob"], epoch=EPOCH, head=5)
    assert mailbox.inflow.resume() == {}
    mailbox.sync(head=9, mode="notify")
    assert GROUP not in mailbox.inflow


def test_a_group_in_which_nothing_came_before_a_reconnect_is_delivered_from_its_beginning():
    mailbox = Mailbox()
    mailbox.left()
    mailbox.take("joined", members=["bob"], epoch=EPOCH, head=5)
    assert mailbox.inflow.resume() == {}
    mailbox.sync(head=9, mode="live")
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(9)
    assert mailbox.seqs == [6, 7, 8, 9]
    assert mailbox.inflow.resume() == {GROUP: (EPOCH, 9)}


def test_a_group_of_which_a_message_came_is_resumed():
    mailbox = Mailbox()
    mailbox.left()
    mailbox.take("joined", members=["bob"], epoch=EPOCH, head=5)
    mailbox.message(6)
    assert mailbox.inflow.resume() == {GROUP: (EPOCH, 6)}


def test_a_watched_group_is_watched_again_once_one_is_back_in_it():
    mailbox = Mailbox(watch=[GROUP])
    mailbox.left()
    mailbox.take("joined", members=["bob"], epoch=EPOCH, head=5)
    assert mailbox.rewatched == [GROUP]
    assert mailbox.inflow.resume() == {GROUP: (EPOCH, 5)}


def test_a_chat_that_is_begun_during_an_absence_is_delivered_from_its_first_message():
    mailbox = Mailbox()
    mailbox.left()
    mailbox.take("watching", answers=True, epoch="", head=0, mode="live")
    assert mailbox.inflow.resume() == {GROUP: ("", 0)}
    mailbox.take("resumed", epoch=EPOCH, head=3, recovered=False)
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(3)
    assert mailbox.ops == ["left", "resumed", "message", "message", "message"]


def test_a_chat_that_is_begun_while_it_is_watched_loses_nothing_that_is_on_its_way():
    mailbox = Mailbox()
    mailbox.left()
    mailbox.take("watching", answers=True, epoch="", head=0, mode="live")
    mailbox.message(1)
    mailbox.take("joined", members=["bob"], epoch=EPOCH, head=2)
    mailbox.message(2)
    assert mailbox.seqs == [1, 2]
    assert mailbox.inflow.resume() == {GROUP: (EPOCH, 2)}


def test_a_resume_that_failed_for_a_passing_reason_is_made_good_by_watching():
    mailbox = Mailbox()
    mailbox.take("error", code="unavailable", retriable=True)
    assert mailbox.rewatched == [GROUP]
    mailbox.take("watching", answers=True, epoch=EPOCH, head=5, mode="live")
    while mailbox.inflow.lacks(GROUP) is not None:
        mailbox.answer(5)
    assert mailbox.seqs == [1, 2, 3, 4, 5]
