"""Outboxes: posts, followers, and how the ones get to the others."""

import pytest

from streams.feeds import outbox
from streams.ids import SYSTEM
from streams.partitioning import partition_of
from tests.feeds.commands import DAY
from tests.feeds.scene import Scene
from tests.feeds.world import MAILBOXES, PARTITIONS, USERS
from tests.rules.commands import uuid_of

READERS = ("eva", "fay", "gil")
MANY = tuple(f"u{number}" for number in range(8))


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path, threshold=10, chunk=1, inbox=6, idle_days=2) as scene:
        yield scene


def seen_by(scene, author, seq, readers=READERS):
    return [(author, seq) in scene.feed(reader) for reader in readers]


def seen_in_turn(scene, author, seq):
    """Whether the first and the last of many followers see a post, in turn while it is on its way.

    What waits is decided; what follows from that goes on by one step with each question.
    """
    scene.decide(author)
    shown = seen_by(scene, author, seq, (MANY[0], MANY[-1]) * len(MANY))
    scene.world.drain(MAILBOXES, USERS)
    return shown + seen_by(scene, author, seq, MANY)


def is_shown_to_all_or_nobody(shown):
    """What one has seen all others see from then on; before that, nobody did."""
    return shown == sorted(shown) and {False, True} == set(shown)


# Posts


def test_posts_get_the_next_seq_and_their_record_s_time(scene):
    scene.world.now = 5_000
    receipt = scene.do("post", "ann", id=uuid_of(900), body={"text": "hi"}, state="live")
    assert receipt == {"mailbox": "author:ann", "id": uuid_of(900), "seq": 1, "ts": 5_000}
    assert scene.post("ann") == 2
    row = scene.row("ann", 1)
    assert (bytes(row.body), row.sender, row.state) == (b'{"text":"hi"}', "ann", "live")


def test_a_post_sent_twice_is_one_post(scene):
    scene.follow("ann", "eva")
    first = scene.do("post", "ann", id=uuid_of(900), body={"a": 1, "b": 2})
    again = scene.do("post", "ann", id=uuid_of(900), body={"b": 2, "a": 1})
    assert again == {**first, "duplicate": True}
    assert len(scene.sent("pushed")) == 1
    assert scene.feed("eva") == [("ann", 1)]


def test_an_id_is_refused_with_another_body_unless_the_post_has_changed(scene):
    seq = scene.post("ann", id=uuid_of(900), body="one")
    error = scene.refusal("post", "ann", id=uuid_of(900), body="other")
    assert error["code"] == "conflict"
    assert "use a new UUID" in error["message"]
    scene.do("edit", "ann", seq=seq, body="two")
    assert scene.do("post", "ann", id=uuid_of(900), body="one")["duplicate"]


def test_posts_are_refused_above_the_rate_but_not_those_of_trusted_producers(scene):
    for _ in range(100):
        scene.post("ann")
    error = scene.refusal("post", "ann", body=1)
    assert (error["code"], error["retriable"]) == ("rate_limited", True)
    assert scene.do("post", "ann", SYSTEM, body=1)["seq"] == 101
    scene.world.now += 1_000
    assert scene.post("ann") == 102


def test_an_outbox_is_its_author_s(scene):
    seq = scene.post("ann")
    commands = {
        "post": {"body": 1},
        "edit": {"seq": seq, "body": 2},
        "delete": {"seq": seq},
        "state": {"seq": seq, "state": "live"},
        "block": {"members": ["eva"]},
        "unblock": {"members": ["eva"]},
    }
    for type_, fields in commands.items():
        error = scene.refusal(type_, "ann", "bob", **fields)
        assert (error["code"], error["message"]) == ("forbidden", "an outbox is its author's")


def test_what_is_changed_is_what_all_feeds_show_from_then_on(scene):
    scene.follow("ann", "eva")
    seq = scene.post("ann", body="one", state="live")
    scene.world.now += 1
    answer = scene.do("edit", "ann", seq=seq, body="two")
    offset = scene.row("ann", seq).at.offset
    assert answer == {"mailbox": "author:ann", "seq": seq, "offset": offset}
    assert scene.do("state", "ann", seq=seq, state="ended")["state"] == "ended"
    row = scene.row("ann", seq)
    assert (bytes(row.body), row.state, row.edited) == (b'"two"', "ended", scene.world.now)
    scene.do("state", "ann", seq=seq, state=None)
    assert scene.row("ann", seq).state == ""
    scene.do("delete", "ann", seq=seq)
    row = scene.row("ann", seq)
    assert (bytes(row.body), row.recalled, row.recalled_by) == (b"", 1, "ann")
    assert scene.feed("eva") == []


def test_what_changes_nothing_writes_nothing(scene):
    seq = scene.post("ann", body={"a": 1}, state="live")
    scene.follow("ann", "eva")
    before = len(scene.world.line(MAILBOXES, "author:ann").log.records)
    assert "offset" not in scene.do("edit", "ann", seq=seq, body={"a": 1})
    assert "offset" not in scene.do("state", "ann", seq=seq, state="live")
    scene.do("mode", "ann", SYSTEM, mode="auto")
    scene.do("follow", "ann", "eva")
    scene.do("unfollow", "ann", "fay")
    scene.do("unblock", "ann", members=["fay"])
    scene.do("unfollow", "nobody", "fay")
    assert len(scene.world.line(MAILBOXES, "author:ann").log.records) == before


@pytest.mark.parametrize("type_", ["edit", "delete", "state"])
def test_only_posts_that_are_there_can_be_changed(scene, type_):
    fields = {"edit": {"body": 1}, "delete": {}, "state": {"state": "live"}}[type_]
    error = scene.refusal(type_, "ann", seq=1, **fields)
    assert (error["code"], error["message"]) == ("not_found", "ann has no post 1")


def test_a_deleted_post_can_only_be_deleted_again(scene):
    seq = scene.post("ann")
    scene.do("delete", "ann", seq=seq)
    assert scene.refusal("edit", "ann", seq=seq, body=2)["code"] == "not_found"
    assert scene.refusal("state", "ann", seq=seq, state="live")["code"] == "not_found"
    assert scene.do("delete", "ann", seq=seq)["seq"] == seq


@pytest.mark.parametrize(
    "command",
    [
        {"type": "send", "body": 1},
        {"type": "join"},
        {"type": "create"},
        {"type": "recall", "seq": 1},
        {"type": "trim", "upto": 1},
    ],
)
def test_an_outbox_takes_no_commands_of_chats(scene, command):
    error = scene.refusal(command.pop("type"), "ann", **command)
    assert error["code"] == "bad_request"
    assert "post, edit, delete" in error["message"]


# Followers


def test_followers_are_counted_once(scene):
    assert scene.do("follow", "ann", "eva")["followers"] == 1
    assert scene.do("follow", "ann", "eva")["followers"] == 1
    assert scene.do("follow", "ann", SYSTEM, members=["eva", "fay", "fay"])["followers"] == 2
    assert scene.do("unfollow", "ann", "eva")["followers"] == 1
    assert scene.do("unfollow", "ann", "eva")["followers"] == 1


def test_users_follow_for_themselves(scene):
    for type_ in ("follow", "unfollow"):
        error = scene.refusal(type_, "ann", "eva", members=["fay"])
        assert error["code"] == "forbidden"
        assert "leave `members` out" in error["message"]
        error = scene.refusal(type_, "ann", SYSTEM)
        assert error["code"] == "bad_request"
        assert "name the followers" in error["message"]
    assert scene.do("follow", "ann", "eva", members=["eva"])["followers"] == 1


def test_a_block_ends_a_follow_and_keeps_from_another(scene):
    scene.follow("ann", *READERS)
    seq = scene.post("ann")
    scene.do("block", "ann", members=["eva", "hal"])
    scene.world.drain(MAILBOXES, USERS)
    assert seen_by(scene, "ann", seq) == [False, True, True]
    error = scene.refusal("follow", "ann", "eva")
    assert (error["code"], error["message"]) == ("forbidden", "ann has blocked eva")
    assert scene.outbox("ann", "author", by="eva")["blocked"]
    assert not scene.outbox("ann", "author", by="eva")["follows"]
    assert scene.state("ann").members == 2

    assert scene.do("block", "ann", members=["eva"])["followers"] == 2
    assert scene.do("unfollow", "ann", "eva")["followers"] == 2
    assert scene.outbox("ann", "author", by="eva")["blocked"]
    scene.do("unblock", "ann", members=["eva", "fay"])
    scene.follow("ann", "eva")
    assert seen_by(scene, "ann", seq) == [True, True, True]


def test_nothing_is_pushed_to_those_who_are_blocked(scene):
    scene.follow("ann", *READERS)
    scene.do("block", "ann", members=["fay"])
    scene.post("ann")
    scene.world.drain(MAILBOXES)
    assert [user for command in scene.sent("pushed") for user in command["users"]] == ["eva", "gil"]


def test_whom_a_block_concerns_must_be_named_and_is_not_the_author(scene):
    assert scene.refusal("block", "ann")["message"] == "`members` names the users"
    assert scene.refusal("unblock", "ann")["message"] == "`members` names the users"
    assert scene.refusal("block", "ann", members=["ann"])["code"] == "bad_request"


def test_a_thousand_users_follow_at_once(tmp_path):
    names = [f"u{number:03d}" for number in range(1_000)]
    with Scene(tmp_path) as scene:
        for _ in range(3):
            scene.post("ann")
        assert scene.do("follow", "ann", SYSTEM, members=names)["followers"] == 1_000
        told = scene.sent("followed")
        assert sorted(user for command in told for user in command["users"]) == names
        for command in told:
            assert len({partition_of(user, PARTITIONS) for user in command["users"]}) == 1
            assert len(command["users"]) <= 100
        scene.world.drain(USERS)
        scene.post("ann")
        scene.world.drain(MAILBOXES, USERS)
        assert len(scene.sent("pushed")) == PARTITIONS
        for name in names:
            assert scene.inbox(name) == [("ann", seq) for seq in (4, 3, 2, 1)]


def test_facts_of_an_author_are_told_to_anybody(scene):
    scene.follow("ann", "eva")
    scene.post("ann")
    facts = {
        "mailbox": "author:ann",
        "author": "ann",
        "posts": 1,
        "followers": 1,
        "mode": "auto",
        "pushes": True,
        "follows": True,
        "blocked": False,
    }
    assert scene.outbox("ann", "author", by="eva") == facts
    assert scene.outbox("ann", "author", by="fay") == {**facts, "follows": False}
    unknown = scene.outbox("bob", "author", by="eva")
    assert (unknown["posts"], unknown["followers"], unknown["follows"]) == (0, 0, False)


# Pushing


def test_a_post_is_shown_to_nobody_until_the_last_follower_has_it(scene):
    scene.follow("ann", *MANY)
    scene.queue("post", "ann", body=1)
    assert is_shown_to_all_or_nobody(seen_in_turn(scene, "ann", 1))


def test_a_follower_who_comes_while_a_post_is_pushed_gets_it_once(scene):
    scene.follow("ann", *READERS)
    scene.post("ann")
    scene.do("follow", "ann", "abe")
    scene.do("follow", "ann", "zoe")
    scene.world.drain(MAILBOXES, USERS)
    assert scene.inbox("abe") == scene.inbox("zoe") == [("ann", 1)]
    assert seen_by(scene, "ann", 1, (*READERS, "abe", "zoe")) == [True] * 5


def test_a_push_that_is_repeated_pushes_to_nobody_twice(scene):
    readers = [*READERS, "hal", "ida"]
    scene.follow("ann", *readers)
    scene.post("ann")
    scene.repeat("push")
    scene.repeat("push")
    scene.world.drain(MAILBOXES)
    scene.repeat("push", 1)
    scene.world.drain(MAILBOXES, USERS)
    pushed = [user for command in scene.sent("pushed") for user in command["users"]]
    assert pushed == readers
    assert seen_by(scene, "ann", 1, readers) == [True] * 5


def test_a_change_while_a_post_is_pushed_does_not_show_it_early(scene):
    scene.follow("ann", *MANY)
    scene.queue("post", "ann", body="one")
    scene.queue("edit", "ann", seq=1, body="two")
    scene.queue("state", "ann", seq=1, state="live")
    assert is_shown_to_all_or_nobody(seen_in_turn(scene, "ann", 1))
    assert (bytes(scene.row("ann", 1).body), scene.row("ann", 1).state) == (b'"two"', "live")


def test_a_post_that_is_deleted_while_it_is_pushed_goes_no_further(scene):
    scene.follow("ann", *MANY)
    scene.queue("post", "ann", body=1)
    scene.queue("delete", "ann", seq=1)
    assert not any(seen_in_turn(scene, "ann", 1))
    assert [command["users"] for command in scene.sent("pushed")] == [[MANY[0]]]
    assert not scene.row("ann", 1).pushing
    assert scene.post("ann") == 2
    scene.world.drain(MAILBOXES)
    assert scene.feed(MANY[-1]) == [("ann", 2)]


# Switching


def test_a_post_made_while_followers_are_being_told_to_pull_is_shown_to_all_or_nobody(scene):
    scene.follow("ann", *MANY)
    scene.queue("mode", "ann", SYSTEM, mode="pull")
    scene.queue("post", "ann", body=1)
    assert is_shown_to_all_or_nobody(seen_in_turn(scene, "ann", 1))
    assert not scene.state("ann").delivery.pushes


def test_a_post_made_while_followers_are_being_told_of_pushes_is_shown_to_all_or_nobody(scene):
    scene.follow("ann", *MANY)
    scene.do("mode", "ann", SYSTEM, mode="pull")
    scene.world.drain(MAILBOXES, USERS)
    scene.queue("mode", "ann", SYSTEM, mode="push")
    scene.queue("post", "ann", body=1)
    assert is_shown_to_all_or_nobody(seen_in_turn(scene, "ann", 1))
    assert scene.inbox(MANY[-1]) == [("ann", 1)]


def test_who_comes_while_followers_are_being_told_to_pull_hears_of_it(scene):
    scene.follow("ann", *READERS)
    scene.queue("mode", "ann", SYSTEM, mode="pull")
    scene.queue("follow", "ann", "abe")
    scene.world.drain(MAILBOXES, USERS)
    assert not scene.state("ann").delivery.pushes
    scene.post("ann")
    assert seen_by(scene, "ann", 1, ("abe", *READERS)) == [True] * 4


def test_an_author_with_too_many_followers_is_pulled_and_pushed_again_below_that(tmp_path):
    with Scene(tmp_path, threshold=10) as scene:
        names = [f"u{number}" for number in range(11)]
        scene.follow("ann", *names[:10])
        scene.post("ann")
        scene.world.drain(USERS)
        assert scene.inbox("u0") == [("ann", 1)]
        scene.follow("ann", names[10])
        scene.post("ann")
        pushed = len(scene.sent("pushed"))
        assert scene.follow_rows("u0")["ann"]["pulled"]
        assert scene.feed("u0") == scene.feed("u10") == [("ann", 2), ("ann", 1)]

        for name in names[8:]:
            assert not scene.state("ann").delivery.pushes
            scene.do("unfollow", "ann", name)
        assert scene.state("ann").delivery.pushes
        scene.post("ann")
        assert len(scene.sent("pushed")) > pushed
        assert scene.inbox("u0") == scene.feed("u0") == [("ann", 3), ("ann", 2), ("ann", 1)]
        assert scene.feed("u10") == []


def test_a_mode_chosen_before_the_first_post_holds(scene):
    assert scene.do("mode", "ann", SYSTEM, mode="pull")["mode"] == "pull"
    assert scene.outbox("ann", "author")["mode"] == "pull"
    scene.follow("ann", "eva")
    scene.post("ann")
    assert scene.sent("pushed") == []
    assert scene.feed("eva") == [("ann", 1)]


def test_a_switch_back_that_is_asked_for_on_the_way_loses_no_post(scene):
    scene.follow("ann", *READERS)
    scene.do("mode", "ann", SYSTEM, mode="pull")
    scene.world.drain(MAILBOXES, USERS)
    # eva and fay go while they, and not yet gil, have been told of pushes.
    scene.queue("mode", "ann", SYSTEM, mode="push")
    scene.queue("unfollow", "ann", "eva")
    scene.queue("unfollow", "ann", "fay")
    scene.queue("mode", "ann", SYSTEM, mode="pull")
    scene.world.drain(MAILBOXES, USERS)
    for _ in range(2):
        scene.post("ann")
        scene.world.drain(MAILBOXES, USERS)
    assert scene.feed("gil") == [("ann", 2), ("ann", 1)]


@pytest.mark.parametrize("mode", ["pull", "push"])
def test_the_setting_may_say_that_all_are_pulled_or_pushed(tmp_path, mode):
    with Scene(tmp_path, mode=mode, threshold=1) as scene:
        scene.follow("ann", "eva", "fay")
        scene.post("ann")
        assert bool(scene.sent("pushed")) is (mode == "push")
        assert scene.feed("eva") == scene.feed("fay") == [("ann", 1)]
        other = "push" if mode == "pull" else "pull"
        scene.do("mode", "ann", SYSTEM, mode=other)
        before = len(scene.sent("pushed"))
        scene.post("ann")
        assert (len(scene.sent("pushed")) > before) is (other == "push")
        assert scene.feed("eva") == scene.feed("fay") == [("ann", 2), ("ann", 1)]


# Followers who are away


@pytest.fixture
def away(scene):
    """eva has not looked for so long that a post has not been pushed to her."""
    scene.follow("ann", "eva")
    scene.world.now += 3 * DAY
    scene.post("ann")
    scene.world.drain(USERS, MAILBOXES)
    assert scene.member("ann", "eva").idle
    return scene


def test_nothing_is_pushed_to_who_has_not_looked_for_long_yet_it_is_there(away):
    pushed = len(away.sent("pushed"))
    away.post("ann")
    away.world.drain(USERS, MAILBOXES)
    assert len(away.sent("pushed")) == pushed
    assert away.inbox("eva") == []
    assert away.feed("eva") == [("ann", 2), ("ann", 1)]


def test_who_is_back_gets_pushes_again(away):
    away.look("eva")
    away.world.drain(MAILBOXES, USERS)
    assert not away.member("ann", "eva").idle
    away.post("ann")
    away.world.drain(USERS)
    assert away.inbox("eva") == away.feed("eva") == [("ann", 2), ("ann", 1)]


def test_a_late_repetition_of_idle_loses_no_post(away):
    away.look("eva")
    away.world.drain(MAILBOXES, USERS)
    away.repeat("idle")
    away.decide("ann")
    assert not away.member("ann", "eva").idle
    away.post("ann")
    assert away.feed("eva") == [("ann", 2), ("ann", 1)]


def test_a_late_repetition_of_awake_wakes_nobody(away):
    away.look("eva")
    away.world.drain(MAILBOXES, USERS)
    away.world.now += 3 * DAY
    away.post("ann")
    away.world.drain(USERS, MAILBOXES)
    assert away.member("ann", "eva").idle
    away.repeat("awake")
    away.decide("ann")
    assert away.member("ann", "eva").idle
    assert away.feed("eva") == [("ann", 2), ("ann", 1)]


def test_idle_and_awake_of_who_follows_no_more_do_nothing(away):
    away.do("unfollow", "ann", "eva")
    away.world.drain(MAILBOXES, USERS)
    away.repeat("idle")
    away.decide("ann")
    assert away.member("ann", "eva") is None
    away.follow("ann", "eva")
    away.repeat("idle")
    away.decide("ann")
    assert not away.member("ann", "eva").idle


# Commands of one's own


def test_only_system_goes_on_and_chooses_modes(scene):
    scene.post("ann")
    commands = {
        "mode": {"mode": "pull"},
        "push": {"seq": 1, "after": "eva"},
        "switch": {"after": "eva"},
        "idle": {"member": "eva", "follow": 1},
        "awake": {"member": "eva", "follow": 1},
    }
    for type_, fields in commands.items():
        error = scene.refusal(type_, "ann", **fields)
        assert (error["code"], error["message"]) == ("forbidden", "only `system` may do that")


def test_what_is_not_under_way_does_not_go_on(scene):
    scene.follow("ann", *READERS)
    scene.post("ann")
    scene.world.drain(MAILBOXES)
    scene.do("mode", "ann", SYSTEM, mode="pull")
    scene.world.drain(MAILBOXES)
    effects = len(scene.world.effects)
    for type_ in ("push", "switch"):
        for number in range(2):
            scene.repeat(type_, number)
    scene.world.drain(MAILBOXES)
    assert len(scene.world.effects) == effects


def test_a_follower_of_long_standing_posts_gets_the_newest_and_pulls_the_rest(scene, monkeypatch):
    monkeypatch.setattr(outbox, "BACKFILL", 3)
    for _ in range(5):
        scene.world.now += 1
        scene.post("ann")
    scene.do("delete", "ann", seq=4)
    scene.follow("ann", "eva")
    assert scene.inbox("eva") == [("ann", 5), ("ann", 3)]
    assert scene.follow_rows("eva")["ann"]["upto"] == [scene.row("ann", 2).ts, 2]
    for limit in (1, 2, 50):
        assert scene.feed("eva", limit) == [("ann", seq) for seq in (5, 3, 2, 1)]
