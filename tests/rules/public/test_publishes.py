"""What operators may do to a public mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import Refused
from streams.public.layout import UNKNOWN, Standing, with_entry
from tables.rows import Published, Released, State, Withdrawn
from tests.rules.commands import uuid_of
from tests.rules.rules import Rules

NEWS = "public:news"


def command(type_, number, by="olga", **fields):
    return {"type": type_, "mailbox": NEWS, "by": by, "id": uuid_of(number), **fields}


def publish(number, percent=0, users=(), **fields):
    reach = {"percent": percent, "users": list(users)}
    return command("publish", number, title="A title", body={"text": "hi"}, release=reach) | fields


def release(number, of, expect, percent, users=(), **fields):
    reach = {"percent": percent, "users": list(users)}
    return command("release", number, publish=of, release=reach, expect=expect) | fields


def withdraw(number, of, expect):
    return command("withdraw", number, publish=of, expect=expect)


@pytest.fixture
def rules():
    rules = Rules()
    rules.do(publish(1, percent=1, users=["ann"], expires=9_000), 1_000)
    return rules


def test_the_first_publish_makes_the_mailbox():
    rules = Rules()
    first, state = rules.outcome(publish(1), 1_000).changes
    assert (first.key, state.key) == (b"public:news/m/0000000000000001", b"public:news/s")
    assert isinstance(state.row, State)
    assert state.row.epoch == uuid_of(1)
    assert len(rules.outcome(publish(2), 1_000).changes) == 1


def test_each_command_is_one_entry_with_all_that_it_said(rules):
    rules.do(release(2, 1, 1, 2.5, ["bob"]), 2_000)
    rules.do(withdraw(3, 1, 2), 3_000)
    kinds = [type(rules.view.entry(NEWS, seq)) for seq in (1, 2, 3)]
    assert kinds == [Published, Released, Withdrawn]
    first, second, third = (rules.view.entry(NEWS, seq) for seq in (1, 2, 3))
    assert (first.by, first.title, first.expires, first.priority) == (
        "olga",
        "A title",
        9_000,
        "normal",
    )
    assert (second.publish, second.release.percent, second.release.users) == (1, 2.5, ("bob",))
    assert (third.publish, third.expect, third.ts) == (1, 2, 3_000)
    assert rules.view.standing(NEWS, 1) == Standing(3, 2.5, 9_000, True)


@pytest.mark.parametrize(
    "again",
    [
        publish(1, percent=1, users=["ann"], expires=9_000),
        publish(1, percent=1.0, users=["ann"], expires=9_000, audience=None, priority="normal"),
    ],
)
def test_the_same_again_gets_the_first_receipt(rules, again):
    receipt = {"mailbox": NEWS, "id": uuid_of(1), "seq": 1, "ts": 1_000, "duplicate": True}
    assert rules.do(again, 5_000) == receipt


@pytest.mark.parametrize(
    "other",
    [
        publish(1, percent=2, users=["ann"], expires=9_000),
        publish(1, percent=1, users=["ann"]),
        publish(1, percent=1, users=["ann"], expires=9_000, by="otto"),
        publish(1, percent=1, users=["ann"], expires=9_000, title="Another"),
        publish(1, percent=1, users=["ann"], expires=9_000, body=1),
        publish(1, percent=1, users=["ann"], expires=9_000, audience={"claim": "a", "in": [1]}),
        release(1, 1, 1, 5),
        withdraw(1, 1, 1),
    ],
)
def test_an_id_is_one_command(rules, other):
    assert rules.code(other, 5_000) == "conflict"


@pytest.mark.parametrize(
    ("late", "now", "code", "words"),
    [
        (release(9, 1, 1, 5), 2_000, "conflict", "is 2, not 1"),
        (release(9, 1, 3, 5), 2_000, "conflict", "is 2, not 3"),
        (withdraw(9, 1, 1), 2_000, "conflict", "is 2, not 1"),
        (release(9, 1, 2, 1.99), 2_000, "bad_request", "at 2 %"),
        (release(9, 1, 2, 5), 9_000, "conflict", "expired"),
        (release(9, 2, 2, 5), 2_000, "not_found", "no publish 2"),
        (withdraw(9, 7, 7), 2_000, "not_found", "no publish 7"),
        (publish(9, expires=2_000), 2_000, "bad_request", "expires"),
    ],
)
def test_two_operators_do_not_overwrite_each_other(rules, late, now, code, words):
    rules.do(release(2, 1, 1, 2), 1_500)
    with pytest.raises(Refused, match=words) as refused:
        rules.do(late, now)
    assert str(refused.value.code) == code


def test_a_release_may_add_users_only(rules):
    assert rules.code(release(2, 1, 1, 1, ["bob"]), 8_999) == "ok"


def test_an_expired_publish_can_be_withdrawn_and_a_withdrawn_one_not_released(rules):
    assert rules.code(withdraw(2, 1, 1), 9_000) == "ok"
    assert rules.code(release(3, 1, 2, 50), 2_000) == "conflict"
    assert rules.code(withdraw(4, 1, 2), 2_000) == "conflict"


@pytest.mark.parametrize(
    "other",
    [
        command("send", 5, body=1),
        command("send", 1, body=1),
        command("create", 5, policy={}),
        command("join", 5),
        command("leave", 5),
        command("role", 5, member="bob", role="admin"),
        command("mute", 5, until=1),
        command("recall", 5, seq=1),
        command("policy", 5, policy={}),
        command("close", 5),
        command("trim", 5, upto=1),
    ],
    ids=lambda one: one["type"],
)
@pytest.mark.parametrize("by", ["ann", "system"])
def test_nothing_else_is_done_to_a_public_mailbox(rules, other, by):
    assert rules.code(other | {"by": by}, 2_000) == "forbidden"


@given(st.permutations([1, 2, 3, 4, 1, 2, 3, 4]))
def test_a_publish_stands_the_same_in_whatever_order_its_rows_are_read(order):
    rules = Rules()
    rules.do(publish(1, percent=1, expires=9_000), 1_000)
    rules.do(release(2, 1, 1, 2.5), 1_000)
    rules.do(release(3, 1, 2, 7), 1_000)
    rules.do(withdraw(4, 1, 3), 1_000)
    standing = UNKNOWN
    for seq in order:
        standing = with_entry(standing, rules.view.entry(NEWS, seq))
    assert standing == rules.view.standing(NEWS, 1) == Standing(4, 7, 9_000, True)
