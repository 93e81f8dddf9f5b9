from hypothesis import given, settings
from hypothesis import strategies as st

from streams.commands import Sweep
from streams.errors import Refused
from tests.rules.commands import USERS, sequences
from tests.rules.model import Model, No
from tests.rules.rules import Rules


def verdict(take, command, now):
    try:
        result = take(command, now)
    except (No, Refused) as refused:
        return str(refused.code)
    if result is not None and "members" in result:
        result = result | {"members": list(result["members"])}
    return result


def played(steps):
    """Rules and model after the same commands, with their verdicts held together."""
    model, rules = Model(), Rules()
    for now, command in steps:
        if not model.undefined(command):
            expected = verdict(model.do, command, now)
            assert verdict(rules.do, command, now) == expected, (now, command)
    return model, rules


@settings(max_examples=500)
@given(sequences)
def test_verdicts_and_state_agree_with_the_model(steps):
    model, rules = played(steps)
    for mailbox, box in model.boxes.items():
        state = rules.view.state(mailbox)
        assert (state.epoch, state.owner, state.floor) == (box.epoch, box.owner, box.floor)
        assert (state.closed, state.muted) == (box.closed, box.muted)
        assert rules.view.head(mailbox).seq == box.head
        assert {name: box.policy[name] for name in box.policy} == {
            name: list(value) if isinstance(value := getattr(state.policy, name), tuple) else value
            for name in box.policy
        }
        check_members(rules, state, mailbox, box)
        check_messages(rules, mailbox, box)


def check_members(rules, state, mailbox, box):
    if mailbox.startswith("group:"):
        assert state.members == len(box.people)
    for user in USERS:
        member, person = rules.view.member(mailbox, user), box.people.get(user)
        if member is None or member.generation != state.generation:
            assert person is None
        else:
            found = (member.joined, member.role, member.muted)
            assert found == (person.joined, person.role, person.muted)


def check_messages(rules, mailbox, box):
    assert sorted(box.texts) == list(range(box.floor + 1, box.head + 1))
    for seq in range(box.floor + 1, box.head + 1):
        message, text = rules.view.message(mailbox, seq), box.texts[seq]
        assert (message.seq, message.id, message.sender) == (seq, text.id, text.by)
        assert (message.ts, bool(message.recalled)) == (text.ts, text.recalled)
        assert bool(bytes(message.body)) is not text.recalled


@settings(max_examples=300)
@given(sequences, st.integers(0, 12))
def test_unread_is_what_counting_gives(steps, read):
    model, rules = played(steps)
    for mailbox in model.boxes:
        for user in USERS:
            if model.reads(mailbox, user):
                expected = model.unread(mailbox, user, read)
                assert rules.unread(mailbox, user, read) == expected, (mailbox, user)


@settings(max_examples=100)
@given(sequences)
def test_a_retry_right_away_changes_nothing(steps):
    rules = Rules()
    for now, command in steps:
        if rules.code(command, now) == "ok":
            effects = len(rules.effects)
            again = rules.rows_of(command, now)
            assert again == []
            assert len(rules.effects) == effects


@settings(max_examples=100)
@given(sequences)
def test_effects_tell_users_where_they_are(steps):
    model, rules = played(steps)
    inside = {}
    for effect in rules.effects:
        user, command = effect.key, effect.command
        if isinstance(command, Sweep):
            continue
        assert (command.user, command.by) == (user, "system")
        inside[user, command.mailbox] = type(command).__name__ == "Subscribed"
    for mailbox in model.boxes:
        for user in USERS:
            if model.reads(mailbox, user):
                assert inside[user, mailbox]
