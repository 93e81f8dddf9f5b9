"""Those who follow: what comes into an inbox, what must be pulled, and what a visit keeps."""

import itertools

import pytest

from streams.errors import Refused
from streams.feeds import outbox
from streams.feeds.followers import SEEN_MS
from streams.feeds.inboxes import SNAPSHOTS
from streams.ids import SYSTEM
from streams.partitioning import partition_of
from tests.feeds.commands import DAY
from tests.feeds.scene import Scene
from tests.feeds.world import MAILBOXES, PARTITIONS, REPLY, USERS
from tests.rules.commands import uuid_of


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path, inbox=3, idle_days=2) as scene:
        yield scene


def posts(scene, author, count):
    for _ in range(count):
        scene.world.now += 1
        scene.post(author)
    scene.world.drain(MAILBOXES, USERS)


def of_user(scene, command):
    """The answers to a command of a user."""
    line = scene.world.line(USERS, command["user"])
    scene.world.send({"reply": REPLY, **command})
    return [reply.payload for reply in scene.world.work(line, len(line.waiting))]


# Inboxes


def test_an_inbox_holds_the_newest_and_says_from_where_on_it_may_lack_some(scene):
    scene.follow("ann", "eva")
    posts(scene, "ann", 3)
    assert scene.ask("eva", "inbox")["floor"] is None
    posts(scene, "ann", 2)
    assert scene.inbox("eva") == [("ann", 5), ("ann", 4), ("ann", 3)]
    assert scene.ask("eva", "inbox")["floor"] == list(scene.id_of("ann", 2))


def test_what_an_inbox_has_displaced_is_pulled(scene):
    scene.follow("ann", "eva")
    scene.follow("bob", "eva")
    for author in ("ann", "bob") * 4:
        posts(scene, author, 1)
    expected = [(author, seq) for seq in (4, 3, 2, 1) for author in ("bob", "ann")]
    for limit in (1, 2, 3, 5, 50):
        assert scene.feed("eva", limit) == expected


def test_a_push_that_comes_again_takes_nothing_from_an_inbox(scene):
    scene.follow("ann", "eva")
    posts(scene, "ann", 5)
    floor = scene.ask("eva", "inbox")["floor"]
    for number in range(5):
        scene.repeat("pushed", number)
    assert scene.inbox("eva") == [("ann", 5), ("ann", 4), ("ann", 3)]
    assert scene.ask("eva", "inbox")["floor"] == floor
    assert scene.feed("eva") == [("ann", seq) for seq in (5, 4, 3, 2, 1)]


def test_pages_of_an_inbox_go_on_after_any_post(scene):
    scene.follow("ann", "eva")
    posts(scene, "ann", 3)
    ids = [list(scene.id_of("ann", seq)) for seq in (3, 2, 1)]
    first = scene.ask("eva", "inbox", limit=2)
    assert (first["posts"], first["reached"]) == (ids[:2], ids[1])
    rest = scene.ask("eva", "inbox", limit=2, last=ids[1])
    assert (rest["posts"], rest["reached"]) == (ids[2:], None)
    assert scene.ask("eva", "inbox", last=ids[2])["posts"] == []
    # A place at which there is no post is one, too.
    ts, seq, _ = ids[1]
    assert scene.ask("eva", "inbox", last=[ts, seq, "zzz"])["posts"] == ids[2:]
    assert scene.ask("eva", "inbox", last=[ts, seq, "aaa"])["posts"] == ids[1:]


def test_an_inbox_is_its_user_s_alone(scene):
    scene.follow("ann", "eva", "eva2")
    posts(scene, "ann", 1)
    scene.do("unfollow", "ann", "eva2")
    scene.world.drain(USERS)
    assert scene.inbox("eva") == [("ann", 1)]
    assert scene.inbox("eva2") == []
    for what in ("inbox", "follows", "snapshot"):
        with pytest.raises(Refused, match="a feed is its user's"):
            scene.ask("eva", what, by="fay")


# Following


def test_who_unfollows_sees_nothing_of_the_author_and_keeps_the_others(scene):
    scene.follow("ann", "eva")
    scene.follow("bob", "eva")
    for author in ("ann", "bob", "ann", "bob"):
        posts(scene, author, 1)
    scene.do("unfollow", "ann", "eva")
    scene.world.drain(USERS)
    assert scene.inbox("eva") == [("bob", 2), ("bob", 1)]
    assert scene.feed("eva") == [("bob", 2), ("bob", 1)]
    # The first of ann's posts was displaced: the inbox says so although the reference that did is gone.
    assert scene.ask("eva", "inbox")["floor"] == list(scene.id_of("ann", 1))
    posts(scene, "bob", 3)
    assert scene.feed("eva") == [("bob", seq) for seq in (5, 4, 3, 2, 1)]


def test_many_who_follow_no_more_at_once_get_their_inboxes_cleared(tmp_path):
    names = [name for n in range(90) if partition_of(name := f"{n:064d}", PARTITIONS) == 0]
    with Scene(tmp_path) as scene:
        scene.follow("ann", *names)
        for _ in range(28_000 // len(names)):
            scene.do("post", "ann", SYSTEM, body=1)
        scene.world.drain(USERS)
        scene.do("unfollow", "ann", SYSTEM, members=names)
        scene.world.drain(USERS)
        for name in names:
            assert scene.ask(name, "follows")["follows"] == scene.inbox(name) == []


def test_a_late_repetition_of_a_follow_brings_nobody_back(scene):
    scene.follow("ann", "eva")
    posts(scene, "ann", 1)
    scene.do("unfollow", "ann", "eva")
    scene.world.drain(USERS)
    scene.repeat("followed")
    assert scene.ask("eva", "follows")["follows"] == []
    assert scene.feed("eva") == []


def test_a_late_repetition_of_an_unfollow_takes_nobody_away(scene):
    scene.follow("ann", "eva")
    scene.do("unfollow", "ann", "eva")
    scene.follow("ann", "eva")
    posts(scene, "ann", 1)
    scene.repeat("unfollowed")
    assert [author for author, *_ in scene.ask("eva", "follows")["follows"]] == ["ann"]
    assert scene.inbox("eva") == scene.feed("eva") == [("ann", 1)]


def test_a_late_repetition_of_an_earlier_delivery_changes_nothing(scene):
    scene.follow("ann", "eva")
    for mode in ("pull", "push", "pull"):
        scene.do("mode", "ann", SYSTEM, mode=mode)
        posts(scene, "ann", 1)
    row = scene.follow_rows("eva")["ann"]
    assert row["pulled"]
    for number in range(len(scene.sent("followed"))):
        scene.repeat("followed", number)
    scene.world.drain(USERS)
    assert scene.follow_rows("eva")["ann"] == row
    assert scene.feed("eva") == [("ann", seq) for seq in (3, 2, 1)]


def test_a_change_of_delivery_makes_nobody_a_follower(scene):
    scene.follow("ann", "eva", "fay")
    scene.do("unfollow", "ann", "eva")
    scene.do("mode", "ann", SYSTEM, mode="pull")
    (told,) = [command for command in scene.sent("followed") if command["follow"] is None]
    assert told["users"] == ["fay"]
    for user in ("eva", "gil"):
        scene.send_to_followers(user, {**told, "users": [user]})
        assert scene.ask(user, "follows")["follows"] == []


def test_posts_before_the_follow_come_with_it_or_are_pulled(scene, monkeypatch):
    monkeypatch.setattr(outbox, "BACKFILL", 2)
    posts(scene, "ann", 4)
    scene.follow("ann", "eva")
    assert scene.inbox("eva") == [("ann", 4), ("ann", 3)]
    assert scene.ask("eva", "follows")["follows"] == [
        ["ann", False, [scene.row("ann", 2).ts, 2]],
    ]
    for limit in (1, 2, 3, 50):
        assert scene.feed("eva", limit) == [("ann", seq) for seq in (4, 3, 2, 1)]
    # What came before it is not put in by a push that was on its way.
    push = {"seq": 2, "ts": scene.row("ann", 2).ts, "users": ["eva"]}
    scene.send_to_followers(
        "eva", {"type": "pushed", "mailbox": "author:ann", "by": SYSTEM, **push}
    )
    assert scene.inbox("eva") == [("ann", 4), ("ann", 3)]


def test_whom_a_user_follows_is_told_by_name_page_by_page(scene):
    names = ["ann", "bob", "cid", "dan", "eve"]
    for name in names:
        scene.follow(name, "eva")
    scene.do("unfollow", "cid", "eva")
    scene.world.drain(USERS)
    found, after, more = [], "", True
    while more:
        answer = scene.ask("eva", "follows", after=after, limit=2)
        assert answer["number"] == 4
        found += [author for author, *_ in answer["follows"]]
        after, more = found[-1], answer["more"]
    assert found == ["ann", "bob", "dan", "eve"]


# Looking


def test_a_look_is_kept_once_an_hour(scene):
    line = scene.world.line(USERS, "eva")
    scene.look("eva")
    assert scene.ask("eva", "inbox")["seen"] == scene.world.now
    rows = len(line.log.records)
    first, scene.world.now = scene.world.now, scene.world.now + SEEN_MS - 1
    scene.look("eva")
    assert (scene.ask("eva", "inbox")["seen"], len(line.log.records)) == (first, rows)
    scene.world.now += 1
    scene.look("eva")
    assert scene.ask("eva", "inbox")["seen"] == scene.world.now


def test_who_looks_now_and_then_gets_pushes(scene):
    scene.follow("ann", "eva")
    for _ in range(4):
        scene.world.now += 2 * DAY
        scene.look("eva")
        posts(scene, "ann", 1)
    assert scene.sent("idle") == []
    assert scene.inbox("eva") == [("ann", seq) for seq in (4, 3, 2)]


def test_who_has_not_looked_for_long_is_idle_for_each_author_who_posts(scene):
    scene.follow("ann", "eva", "fay")
    scene.follow("bob", "eva")
    scene.world.now += 2 * DAY
    scene.look("fay")
    scene.world.now += 1
    scene.post("ann")
    scene.world.drain(USERS, MAILBOXES)
    assert [(c["mailbox"], c["member"]) for c in scene.sent("idle")] == [("author:ann", "eva")]
    assert scene.follow_rows("eva")["ann"]["idle"]
    assert "idle" not in scene.follow_rows("eva")["bob"]
    assert scene.inbox("fay") == scene.feed("eva") == [("ann", 1)]

    scene.look("eva")
    assert [(c["mailbox"], c["member"]) for c in scene.sent("awake")] == [("author:ann", "eva")]
    scene.world.drain(MAILBOXES, USERS)
    assert "idle" not in scene.follow_rows("eva")["ann"]
    assert scene.inbox("eva") == scene.feed("eva") == [("ann", 1)]


def test_who_is_away_pulls_whatever_the_author_switches_to(scene):
    scene.follow("ann", "eva")
    scene.world.now += 3 * DAY
    scene.post("ann")
    # The author has not heard of it yet, and tells eva of pushes.
    scene.world.drain(USERS)
    scene.repeat("idle")
    line = scene.world.line(MAILBOXES, "author:ann")
    held = [line.waiting.popleft() for _ in range(len(line.waiting))]
    for mode in ("pull", "push"):
        scene.do("mode", "ann", SYSTEM, mode=mode)
    scene.world.drain(USERS)
    assert scene.follow_rows("eva")["ann"]["pulled"]
    for record in held:
        line.append(record.timestamp, "author:ann", record.value)
    scene.world.drain(MAILBOXES, USERS)
    scene.post("ann")
    assert scene.feed("eva") == [("ann", 2), ("ann", 1)]
    scene.look("eva")
    scene.world.drain(MAILBOXES, USERS)
    scene.post("ann")
    assert scene.inbox("eva") == scene.feed("eva") == [("ann", 3), ("ann", 2), ("ann", 1)]


# Snapshots


def keep(scene, number, user="eva", by="eva", order=((5, 1, "ann"),)):
    command = {"type": "snapshot", "user": user, "by": by, "id": uuid_of(number), "posts": order}
    scene.world.now += 1
    (payload,) = of_user(scene, command)
    return payload


def test_a_snapshot_keeps_its_order(scene):
    order = [[5, 1, "ann"], [9, 2, "bob"], [7, 1, "bob"]]
    assert keep(scene, 1, order=order) == {"result": {"user": "eva", "id": uuid_of(1)}}
    made = scene.world.now
    assert scene.ask("eva", "snapshot", id=uuid_of(1)) == {
        "id": uuid_of(1),
        "made": made,
        "posts": order,
    }
    with pytest.raises(Refused, match="ask for the first page anew"):
        scene.ask("eva2", "snapshot", id=uuid_of(1))


def test_a_further_snapshot_displaces_the_oldest(scene):
    for number in range(SNAPSHOTS + 2):
        keep(scene, number)
    for number in (0, 1):
        with pytest.raises(Refused, match="there is no such snapshot"):
            scene.ask("eva", "snapshot", id=uuid_of(number))
    for number in range(2, SNAPSHOTS + 2):
        assert scene.ask("eva", "snapshot", id=uuid_of(number))["id"] == uuid_of(number)


def test_a_snapshot_sent_again_is_the_first_one(scene):
    keep(scene, 1, order=((5, 1, "ann"),))
    first = scene.ask("eva", "snapshot", id=uuid_of(1))
    for number in range(2, SNAPSHOTS + 1):
        keep(scene, number)
    assert "result" in keep(scene, 1, order=((6, 1, "bob"),))
    assert scene.ask("eva", "snapshot", id=uuid_of(1)) == first
    # It has not become younger, either.
    keep(scene, SNAPSHOTS + 1)
    with pytest.raises(Refused):
        scene.ask("eva", "snapshot", id=uuid_of(1))
    assert scene.ask("eva", "snapshot", id=uuid_of(2))


# Who may send what


def test_a_feed_is_its_user_s(scene):
    refused = {"code": "forbidden", "message": "a feed is its user's", "retriable": False}
    assert keep(scene, 1, by="fay") == {"error": refused}
    (payload,) = of_user(scene, {"type": "seen", "user": "eva", "by": "fay"})
    assert payload == {"error": refused}
    assert scene.world.line(USERS, "eva").log.records == []
    assert "result" in keep(scene, 1, by=SYSTEM)


@pytest.mark.parametrize("type_", ["followed", "unfollowed", "pushed"])
def test_only_system_speaks_to_followers(scene, type_):
    scene.follow("ann", "eva")
    posts(scene, "ann", 1)
    scene.do("unfollow", "ann", "eva")
    scene.world.drain(USERS)
    command = {**scene.sent(type_)[0], "by": "ann", "reply": REPLY}
    line = scene.world.line(USERS, "eva")
    rows = len(line.log.records)
    scene.send_to_followers("eva", command)
    (reply,) = scene.world.work(line)
    assert reply.payload["error"]["code"] == "forbidden"
    assert "to the author's outbox" in reply.payload["error"]["message"]
    assert len(line.log.records) == rows


def test_what_is_for_users_of_another_partition_is_no_command(scene):
    scene.follow("ann", "eva")
    command = scene.sent("followed")[0]
    line = scene.world.line(USERS, "eva")
    names = (f"x{number}" for number in itertools.count())
    other = next(name for name in names if scene.world.line(USERS, name) is not line)
    scene.send_to_followers("eva", {**command, "users": ["eva", other]})
    _, batch = line.decide(1)
    (letter,) = batch.dead_letters
    assert "belongs to another partition" in letter.error.message
