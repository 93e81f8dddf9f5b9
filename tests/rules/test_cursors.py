import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.commands import Read, Subscribed, Unread, Unsubscribed
from streams.errors import Code, Refused
from streams.users.rules import decide
from tables.rows import Cursor, Position

AT = Position(0, 0)
seqs = st.integers(0, 50)


def cursor(**fields):
    return Cursor(AT, **fields)


def command(kind, by="ann", **fields):
    return kind(user="ann", by=by, mailbox="group:g", **fields)


def effects(kind):
    return st.builds(lambda src: command(kind, by="system", src=src), st.integers(0, 20))


moves = st.one_of(
    st.builds(lambda seq: command(Read, seq=seq), seqs),
    st.builds(lambda seq: command(Unread, seq=seq), seqs),
)


@given(st.lists(moves))
def test_read_moves_only_forward_and_unread_only_back(commands):
    now = cursor()
    for one in commands:
        before, now = now, decide(now, one)
        if isinstance(one, Read):
            assert now.read == max(before.read, one.seq)
        else:
            assert now.read == min(before.read, one.seq)
        assert (now.member, now.src) == (False, -1)


@given(
    st.lists(st.one_of(effects(Subscribed), effects(Unsubscribed)), unique_by=lambda one: one.src),
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_membership_is_what_the_latest_cause_says_in_whatever_order(effects, random, again):
    arriving = [one for one in effects for _ in range(again + 1)]
    random.shuffle(arriving)
    now = cursor(read=3)
    for one in arriving:
        now = decide(now, one)
    last = max(effects, key=lambda one: one.src, default=None)
    assert now.read == 3
    assert now.member is isinstance(last, Subscribed)
    assert now.src == (-1 if last is None else last.src)


def test_a_late_effect_changes_nothing():
    before = cursor(member=True, src=7)
    assert decide(before, command(Unsubscribed, by="system", src=6)) is before
    assert decide(before, command(Unsubscribed, by="system", src=7)) is before


@pytest.mark.parametrize(
    "one",
    [
        command(Read, by="bob", seq=1),
        command(Unread, by="bob", seq=1),
        command(Subscribed, by="bob", src=1),
        command(Subscribed, by="ann", src=1),
        command(Unsubscribed, by="ann", src=1),
    ],
)
def test_nobody_else_moves_a_cursor_and_only_the_mailbox_a_membership(one):
    with pytest.raises(Refused) as refused:
        decide(cursor(member=True, src=0), one)
    assert refused.value.code is Code.FORBIDDEN


def test_trusted_producers_move_cursors():
    assert decide(cursor(), command(Read, by="system", seq=4)).read == 4
