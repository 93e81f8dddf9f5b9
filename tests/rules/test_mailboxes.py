import msgspec
import pytest

from streams.commands import Sweep
from streams.errors import Refused
from streams.mailboxes.rules import RETAIN_SLACK
from tests.rules.commands import uuid_of
from tests.rules.rules import Rules

GROUP = "group:g"


@pytest.fixture
def rules():
    rules = Rules()
    rules.do(made(), 1_000)
    rules.do(command("join", 1, members=["bob", "cid"]), 1_000)
    return rules


def command(type_, number, by="ann", mailbox=GROUP, **fields):
    return {"type": type_, "mailbox": mailbox, "by": by, "id": uuid_of(number), **fields}


def made(number=0, **policy):
    return command("create", number, policy=policy)


def send(number, by="ann", mailbox=GROUP, body="hi"):
    return command("send", number, by, mailbox, body=body)


def test_retain_keeps_at_least_so_many_and_never_many_more(rules):
    rules.do(command("policy", 2, policy={"retain": 5}), 1_000)
    for number in range(1, 400):
        rules.do(send(number), 1_000 * number)
        floor, head = rules.view.state(GROUP).floor, rules.view.head(GROUP).seq
        assert head == number
        assert min(number, 5) <= head - floor <= 5 + RETAIN_SLACK
        kept = [seq for seq in range(1, head + 1) if rules.view.message(GROUP, seq)]
        assert kept == list(range(floor + 1, head + 1))


def test_the_last_message_survives_every_trim(rules):
    for number in range(1, 4):
        rules.do(send(number), 1_000)
    trimmed = rules.do(command("trim", 9, upto=2**53), 1_000)
    assert trimmed == {"mailbox": GROUP, "floor": 2, "more": False}
    rules.do(send(4), 1_000)
    assert rules.view.head(GROUP).seq == 4
    assert rules.view.message(GROUP, 3).id == uuid_of(3)


def test_a_trimmed_id_is_free_again(rules):
    rules.do(send(1), 1_000)
    rules.do(send(2), 1_000)
    rules.do(command("trim", 3, upto=1), 1_000)
    assert rules.do(send(1, body="other"), 1_000) is None
    assert rules.view.head(GROUP).seq == 3


def test_a_group_made_anew_goes_on_with_later_seqs_and_without_its_members(rules):
    rules.do(send(1, "bob"), 1_000)
    rules.do(command("close", 2), 1_000)
    assert rules.code(send(3, "bob"), 1_000) == "forbidden"
    assert rules.do(made(7), 1_000)["head"] == 1
    assert rules.code(send(3, "bob"), 1_000) == "not_member"
    assert rules.code(command("recall", 4, "ann", seq=1), 1_000) == "not_found"
    rules.do(send(5), 1_000)
    state = rules.view.state(GROUP)
    assert (state.epoch, state.members, state.floor) == (uuid_of(7), 1, 1)
    assert rules.view.head(GROUP).seq == 2


def test_a_first_message_makes_a_direct_mailbox_and_subscribes_both():
    rules = Rules()
    mailbox = "direct:ann~bob"
    assert rules.code(send(1, "cid", mailbox), 1_000) == "not_member"
    rules.do(send(1, "bob", mailbox), 1_000)
    rules.do(send(2, "ann", mailbox), 1_000)
    state = rules.view.state(mailbox)
    assert (state.epoch, state.members) == (uuid_of(1), 2)
    assert [effect.key for effect in rules.effects] == ["ann", "bob"]


def test_only_trusted_producers_write_to_a_users_mailbox():
    rules = Rules()
    assert rules.code(send(1, "cid", "user:cid"), 1_000) == "forbidden"
    rules.do(send(1, "system", "user:cid"), 1_000)
    assert [effect.key for effect in rules.effects] == ["cid"]


@pytest.mark.parametrize(
    ("by", "later", "code"),
    [
        ("bob", 120_000, "ok"),
        ("bob", 120_001, "forbidden"),
        ("cid", 0, "forbidden"),
        ("ann", 10**9, "ok"),
        ("system", 10**9, "ok"),
        ("dan", 0, "not_member"),
    ],
)
def test_who_may_recall_and_how_long(rules, by, later, code):
    rules.do(send(1, "bob"), 1_000)
    assert rules.code(command("recall", 2, by, seq=1), 1_000 + later) == code


def test_a_recalled_message_keeps_its_id_and_who_recalled_it(rules):
    rules.do(send(1, "bob"), 1_000)
    rules.do(send(2, "bob"), 1_000)
    rules.do(command("recall", 3, seq=1), 1_000)
    message = rules.view.message(GROUP, 1)
    assert (bytes(message.body), message.recalled, message.recalled_by) == (b"", 2, "ann")
    again = rules.do(send(1, "bob", body="whatever"), 2_000)
    assert again == {"mailbox": GROUP, "id": uuid_of(1), "seq": 1, "ts": 1_000, "duplicate": True}


def test_a_body_is_the_same_whatever_its_spaces_and_the_order_of_its_keys(rules):
    rules.do(send(1, body={"a": 1, "b": [2.0]}), 1_000)
    assert rules.do(send(1, body={"b": [2.0], "a": 1}), 1_000)["duplicate"]


def test_a_mute_tells_how_long_it_lasts(rules):
    rules.do(command("mute", 1, member="bob", until=5_000), 1_000)
    with pytest.raises(Refused) as refused:
        rules.do(send(1, "bob"), 2_500)
    assert (str(refused.value.code), refused.value.retry_after) == ("muted", 2.5)
    assert rules.do(send(1, "bob"), 5_000) is None


def test_an_admin_is_silenced_by_the_owner_alone(rules):
    rules.do(command("role", 1, member="bob", role="admin"), 1_000)
    rules.do(command("mute", 2, until=5_000), 1_000)
    assert rules.do(send(1, "bob"), 1_000) is None
    rules.do(command("mute", 3, member="bob", until=5_000), 1_000)
    assert rules.code(send(2, "bob"), 2_000) == "muted"


def test_over_the_rate_tells_when_to_come_back(rules):
    rules.do(command("policy", 1, policy={"member_rate": [2, 1]}), 1_000)
    rules.do(send(1, "bob"), 1_000)
    with pytest.raises(Refused) as refused:
        rules.do(send(2, "bob"), 1_100)
    assert (str(refused.value.code), refused.value.retry_after) == ("rate_limited", 0.4)
    assert rules.code(send(3, "cid"), 1_100) == "ok"
    assert rules.code(send(2, "bob"), 1_500) == "ok"


def test_a_rate_that_was_too_low_ends_with_its_correction(rules):
    rules.do(
        command("policy", 1, policy={"member_rate": [0.001, 1], "mailbox_rate": [0.001, 1]}), 1_000
    )
    rules.do(send(1, "bob"), 1_000)
    assert rules.code(send(2, "bob"), 60_000) == "rate_limited"
    rules.do(command("policy", 2, policy={"member_rate": [2, 1], "mailbox_rate": [20, 10]}), 60_000)
    assert rules.code(send(2, "bob"), 60_000) == "ok"
    assert rules.code(send(3, "bob"), 60_100) == "rate_limited"
    assert rules.code(send(3, "bob"), 60_500) == "ok"


def test_what_trusted_producers_send_leaves_no_debt(rules):
    rules.do(command("policy", 1, policy={"mailbox_rate": [1, 2]}), 1_000)
    for number in range(1, 10):
        rules.do(send(number, "system"), 1_000)
    assert rules.code(send(10, "bob"), 1_999) == "rate_limited"
    assert rules.code(send(10, "bob"), 2_000) == "ok"


def sweep_on(rules):
    """Do what the agent tells itself, until it is done; how many commands that took."""
    done = 0
    while sweeps := [effect.command for effect in rules.effects if type(effect.command) is Sweep]:
        rules.effects.clear()
        for sweep in sweeps:
            rules.do(msgspec.json.decode(msgspec.json.encode(sweep)), 9_000)
            done += 1
    return done


def kept(rules):
    return [seq for seq in range(1, 30) if rules.view.message(GROUP, seq)]


def test_a_group_made_anew_drops_what_it_held(rules, monkeypatch):
    monkeypatch.setattr("streams.mailboxes.rules.TRIM_ROWS", 4)
    for number in range(1, 12):
        rules.do(send(number), 1_000)
    rules.do(command("trim", 20, upto=2), 1_000)
    rules.do(command("close", 21), 1_000)
    assert not sweep_on(rules)
    rules.do(made(22), 2_000)
    rules.do(send(30), 2_000)
    sweeps = [effect for effect in rules.effects if type(effect.command) is Sweep]
    assert sweep_on(rules) == 2
    # The last one carried the head until the next one came.
    assert kept(rules) == [11, 12]
    assert rules.view.head(GROUP).seq == 12
    # An effect that comes twice does nothing more.
    rules.effects += sweeps
    assert sweep_on(rules) == 1
    assert kept(rules) == [11, 12]


def test_a_sweep_reaches_nothing_above_the_floor(rules):
    for number in range(1, 6):
        rules.do(send(number), 1_000)
    sweep = {"type": "sweep", "mailbox": GROUP, "after": 0, "upto": 5}
    assert rules.code(sweep | {"by": "ann"}, 1_000) == "forbidden"
    rules.do(sweep | {"by": "system"}, 1_000)
    assert kept(rules) == [1, 2, 3, 4, 5]
    rules.do(command("close", 20), 1_000)
    rules.do(made(21), 1_000)
    rules.effects.clear()
    rules.do(sweep | {"by": "system"}, 1_000)
    assert kept(rules) == [5]
    for after in (0, 4, 5, 9):
        rules.do(sweep | {"by": "system", "after": after, "upto": 9}, 1_000)
    assert kept(rules) == [5]
    assert not [effect for effect in rules.effects if type(effect.command) is Sweep]


def test_handing_on_the_group_may_be_repeated(rules):
    hand_over = command("role", 1, member="bob", role="owner")
    assert [rules.code(hand_over, 1_000) for _ in range(2)] == ["ok", "ok"]
    assert rules.code(command("role", 2, member="bob", role="member"), 1_000) == "forbidden"
    assert rules.view.state(GROUP).owner == "bob"
