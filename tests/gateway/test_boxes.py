from hypothesis import given
from hypothesis import strategies as st

from gateway.answers import Fact
from gateway.boxes import User, unread_count
from tables.rows import Cursor, Member, Position
from tests.gateway.fakes import DIRECT, EPOCH, channel, user_in

seqs = st.integers(0, 100)


@given(seqs, seqs, seqs, seqs, seqs)
def test_unread_counts_what_lies_after_everything_seen(head, joined, read, own, floor):
    seen = {seq for limit in (joined, read, own, floor) for seq in range(1, limit + 1)}
    assert unread_count(head, joined, read, own, floor) == len(set(range(1, head + 1)) - seen)


def test_a_newcomer_has_nothing_unread():
    made = channel(head=10)
    assert user_in(made, joined=10).box(made).unread() == 0


def test_an_old_cursor_row_does_not_move_the_cursor():
    made = channel(head=10)
    user = user_in(made)
    assert user.take_cursor("group:42", Cursor(at=Position(5, 0), read=7))
    assert not user.take_cursor("group:42", Cursor(at=Position(4, 0), read=3))
    assert user.box(made).unread() == 3


def test_an_answer_does_not_undo_what_the_log_has_said_since():
    made = channel()
    user = user_in(made)
    box = user.box(made)
    assert box.take_member(None, Position(9, 0))
    member = Member(at=Position(0, 0), joined=0)
    box.take_fact(Fact("group:42", EPOCH, member=member), Position(8, 0))
    assert not box.is_member


def test_an_answer_newer_than_the_log_counts():
    made = channel()
    box = user_in(made).box(made)
    box.take_fact(Fact("group:42", EPOCH), Position(9, 0))
    assert not box.is_member
    assert not box.take_member(Member(at=Position(8, 0), joined=0), Position(8, 0))
    assert not box.is_member


def test_direct_and_user_mailboxes_belong_to_whom_they_name():
    direct, private = channel(mailbox=DIRECT), channel(mailbox="user:bob")
    assert User("bob").box(direct).is_member
    assert not User("carol").box(direct).is_member
    assert User("bob").box(private).is_member
    assert not User("alice").box(private).is_member


def test_a_dropped_box_leaves_its_channel():
    made = channel()
    user = user_in(made)
    assert not made.is_unused
    assert user.drop("group:42") is made
    assert made.is_unused
