"""What a session gets, with the logs and the answers coming in every order."""

import pytest

from tests.gateway.conftest import House, Open
from tests.gateway.fakes import DIRECT, until
from tests.records import Refused, new_id


async def test_sync_lists_and_watches_every_mailbox(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=3)
    bob = await house.connect("bob")
    entry = (await bob.sync())[group]
    assert (entry["head"], entry["unread"], entry["mode"]) == (3, 3, "live")
    assert (entry["role"], entry["members"], entry["last"]["seq"]) == ("member", 2, 3)
    house.pipeline.post(group)
    await bob.message(group, 4)
    assert bob.seqs(group) == [4]


async def test_rows_that_overtake_the_facts_are_delivered_once(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=2)
    bob = await house.connect("bob")
    house.pipeline.logs_stand_still = True
    house.pipeline.post(group, count=3)
    assert (await bob.request("watch", mailbox=group))["head"] == 5
    house.pipeline.go_on()
    house.pipeline.post(group)
    await bob.message(group, 6)
    assert bob.seqs(group) == [6]


async def test_messages_of_a_mailbox_that_is_being_opened_are_kept(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.connect("bob")
    await bob.sync()
    house.pipeline.silent = True
    before = len(house.pipeline.commands)
    ref = await bob.post("watch", mailbox=group)
    await bob.request("ping")
    house.pipeline.silent = False
    for command in house.pipeline.commands[before:]:
        house.pipeline.decide(command)
    house.pipeline.post(group)
    assert (await bob.answer(ref))["op"] == "watching"
    await bob.message(group, 1)


async def test_a_resume_ahead_of_our_log_waits_for_it(house: House, group: str):
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=2)
    watcher = await house.synced("bob")
    house.pipeline.logs_stand_still = True
    house.pipeline.post(group, count=3)
    again = await house.connect("bob", since={group: [epoch, 4]})
    await again.request("ping")
    assert not again.delivered("resumed", group)
    house.pipeline.go_on()
    resumed = await again.expect("resumed", mailbox=group)
    assert (resumed["recovered"], again.seqs(group)) == (True, [5])
    await watcher.message(group, 5)
    assert watcher.seqs(group) == [3, 4, 5]


@pytest.mark.parametrize("after", [0, 5, 9, 10])
async def test_a_resume_gets_everything_in_order_then_live(house: House, group: str, after: int):
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=10)
    bob = await house.connect("bob", since={group: [epoch, after]})
    house.pipeline.post(group, count=2)
    resumed = await bob.expect("resumed", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 13)
    assert bob.seqs(group) == list(range(after + 1, 14))
    place = bob.events.index(resumed)
    before = [event["seq"] for event in bob.events[:place] if event["op"] == "message"]
    assert before == list(range(after + 1, resumed["head"] + 1))


async def test_messages_during_the_pull_of_a_resume_come_after_it(house: House, group: str):
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=5)
    await house.synced("bob")
    house.pipeline.silent = True
    before = len(house.pipeline.commands)
    again = await house.connect("bob", since={group: [epoch, 2]})
    await until(lambda: len(house.pipeline.commands) > before)
    house.pipeline.post(group, count=2)
    house.pipeline.silent = False
    for command in house.pipeline.commands[before:]:
        house.pipeline.decide(command)
    house.pipeline.post(group)
    await again.message(group, 8)
    assert again.seqs(group) == [3, 4, 5, 6, 7, 8]
    assert (await again.expect("resumed", mailbox=group))["head"] == 5


@pytest.mark.parametrize(("epoch", "seq"), [("other", 1), (None, 99)])
async def test_an_unknown_place_is_not_recovered(house: House, group: str, epoch, seq):
    made = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=3)
    bob = await house.connect("bob", since={group: [epoch or made, seq]})
    resumed = await bob.expect("resumed", mailbox=group)
    assert (resumed["recovered"], resumed["head"], resumed["epoch"]) == (False, 3, made)
    house.pipeline.post(group)
    await bob.message(group, 4)
    assert bob.seqs(group) == [4]


async def test_too_much_missed_is_not_recovered(house_of: Open, group: str):
    house = await house_of(resume_messages=5)
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=10)
    bob = await house.connect("bob", since={group: [epoch, 4]})
    assert (await bob.expect("resumed", mailbox=group))["recovered"] is False
    assert bob.seqs(group) == []


async def test_many_mailboxes_together_are_resumed_as_far_as_they_may_wait_for_the_session(
    house_of: Open,
):
    house = await house_of(outbox_bytes=1 << 20)
    groups = [f"group:{number}" for number in range(8)]
    since = {group: [house.pipeline.make(group, "alice", "bob"), 0] for group in groups}
    for group in groups:
        house.pipeline.post(group, body="x" * 200_000)
    bob = await house.connect("bob", since=since)
    resumed = [await bob.expect("resumed", mailbox=group) for group in groups]
    recovered = {event["mailbox"] for event in resumed if event["recovered"]}
    assert 0 < len(recovered) < len(groups)
    assert {group for group in groups if bob.seqs(group)} == recovered
    assert (await bob.request("ping"))["op"] == "pong"


async def test_what_is_not_mine_is_not_resumed_but_the_rest_is(house: House, group: str):
    epoch = house.pipeline.make(group, "alice", "bob")
    other = f"{group}-other"
    house.pipeline.make(other, "alice")
    places = (other, f"{group}-none", "user:alice", "direct:bob~alice", group)
    since = {mailbox: [epoch, 0] for mailbox in places}
    bob = await house.connect("bob", since=since)
    assert (await bob.expect("resumed", mailbox=group))["recovered"] is True
    assert (await bob.expect("error", mailbox=other))["code"] == "not_member"
    assert (await bob.expect("error", mailbox=f"{group}-none"))["code"] == "not_found"
    assert (await bob.expect("error", mailbox="user:alice"))["code"] == "not_member"
    assert (await bob.expect("error", mailbox="direct:bob~alice"))["code"] == "bad_request"


async def test_missed_recalls_come_before_resumed(house: House, group: str):
    epoch = house.pipeline.make(group, "alice", "bob")
    alice = await house.synced("alice")
    await alice.send(group, "oops")
    house.pipeline.post(group)
    await alice.request("recall", mailbox=group, seq=1)
    bob = await house.connect("bob", since={group: [epoch, 2]})
    await bob.expect("resumed", mailbox=group)
    ops = [event["op"] for event in bob.events if event.get("mailbox") == group]
    assert ops[-2:] == ["recalled", "resumed"]


async def test_history_after_a_place_tells_what_was_recalled_before_it(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    alice = await house.synced("alice")
    await alice.send(group, "oops")
    await alice.request("recall", mailbox=group, seq=1)
    bob = await house.connect("bob")
    await bob.request("history", mailbox=group, after=1)
    assert [event["seq"] for event in bob.delivered("recalled", group)] == [1]


async def test_who_is_added_hears_of_it_and_gets_what_follows(house: House, group: str):
    house.pipeline.make(group, "alice")
    house.pipeline.post(group, count=3)
    bob, idle = await house.synced("bob"), await house.connect("bob")
    alice = await house.connect("alice")
    await alice.request("join", mailbox=group, members=["bob"])
    house.pipeline.post(group)
    for client in (bob, idle):
        joined = await client.expect("joined", mailbox=group)
        assert (joined["members"], joined["head"]) == (["bob"], 3)
    await bob.message(group, 4)
    await idle.request("ping")
    assert (bob.seqs(group), idle.seqs(group)) == ([4], [])


async def test_messages_that_came_before_we_looked_are_delivered(house: House):
    alice, bob = await house.synced("alice"), await house.synced("bob")
    await alice.send(DIRECT, "psst")
    await bob.message(DIRECT, 1)
    await alice.message(DIRECT, 1)
    await bob.send(DIRECT, "what?")
    for client in (alice, bob):
        await client.message(DIRECT, 2)
        assert client.seqs(DIRECT) == [1, 2]
        assert len(client.delivered("joined", DIRECT)) == 1
    assert (await bob.sync())[DIRECT]["unread"] == 0


async def test_who_is_removed_gets_what_came_before_and_nothing_after(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    house.pipeline.post(group, count=2)
    alice = await house.connect("alice")
    await alice.request("leave", mailbox=group, members=["bob"])
    house.pipeline.post(group)
    await bob.expect("left", mailbox=group)
    assert bob.seqs(group) == [1, 2]
    assert group not in await bob.sync()
    assert await bob.refusal("watch", mailbox=group) == "not_member"


async def test_who_comes_back_is_watching_again(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    await bob.request("leave", mailbox=group)
    house.pipeline.post(group)
    await bob.request("join", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 2)
    assert bob.seqs(group) == [2]


async def test_a_sync_after_my_own_create_knows_the_group(house: House, group: str):
    alice = await house.synced("alice")
    house.pipeline.logs_stand_still = True
    await alice.request("create", mailbox=group, policy={})
    assert (await alice.sync())[group]["role"] == "owner"
    house.pipeline.go_on()
    await alice.request("ping")
    assert len(alice.delivered("joined", group)) == 1


async def test_cursors_move_on_every_device(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=5)
    one, other = await house.synced("bob"), await house.synced("bob")
    cursor = await one.request("read", mailbox=group, seq=3)
    assert (cursor["read"], cursor["unread"]) == (3, 2)
    assert (await other.expect("cursor", mailbox=group))["unread"] == 2
    assert (await one.request("read", mailbox=group, seq=99))["read"] == 5
    assert (await one.request("unread", mailbox=group, seq=1))["unread"] == 4


async def test_reading_needs_no_sync(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=5)
    bob = await house.connect("bob")
    assert (await bob.request("read", mailbox=group, seq=3))["unread"] == 2
    assert await (await house.connect("eve")).refusal("read", mailbox=group, seq=1) == "not_member"


async def test_my_own_message_is_read_on_my_other_devices(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=5)
    one, other = await house.synced("bob"), await house.synced("bob")
    assert (await one.send(group, "hi"))["seq"] == 6
    assert (await other.expect("cursor", mailbox=group))["unread"] == 0


async def test_notify_tells_heads_and_off_tells_nothing(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob, quiet = await house.synced("bob"), await house.synced("bob")
    await bob.request("watch", mailbox=group, mode="notify")
    await quiet.request("watch", mailbox=group, mode="off")
    house.pipeline.post(group, count=3)
    head = await bob.expect("head", mailbox=group)
    assert (head["head"], head["unread"]) == (3, 3)
    await quiet.request("ping")
    assert not bob.seqs(group)
    assert not quiet.seqs(group)


async def test_large_groups_are_notified(house_of: Open, group: str):
    house = await house_of(notify_above=1)
    house.pipeline.make(group, "alice", "bob")
    bob = await house.connect("bob")
    assert (await bob.sync())[group]["mode"] == "notify"


async def test_a_hole_in_the_log_is_told_as_a_gap(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    house.pipeline.post(group)
    await bob.message(group, 1)
    with house.pipeline.losing():
        house.pipeline.post(group, count=2)
    house.pipeline.post(group)
    gap = await bob.expect("gap", mailbox=group)
    assert (gap["from"], gap["to"]) == (2, 4)
    house.pipeline.post(group)
    await bob.message(group, 5)
    assert bob.seqs(group) == [1, 5]


async def test_a_lost_log_is_read_anew(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    with house.pipeline.losing():
        house.pipeline.post(group, count=2)
        await (await house.connect("alice")).request("leave", mailbox=group, members=["carol"])
    house.gateway._lost()
    gap = await bob.expect("gap", mailbox=group)
    assert (gap["from"], gap["to"]) == (1, 2)
    house.pipeline.post(group)
    await bob.message(group, 3)


async def test_a_lost_log_that_had_no_message_disturbs_nobody(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=3)
    bob = await house.synced("bob")
    with house.pipeline.losing():
        alice = await house.connect("alice")
        await alice.request("recall", mailbox=group, seq=2)
    house.gateway._lost()
    assert (await bob.expect("recalled", mailbox=group))["seq"] == 2
    house.pipeline.post(group)
    await bob.message(group, 4)
    assert not bob.delivered("gap", group)


async def test_what_was_lost_is_asked_for_until_it_is_answered(house_of: Open, group: str):
    house = await house_of(request_seconds=0.2)
    bob = await house.synced("bob")
    with house.pipeline.losing():
        house.pipeline.make(group, "alice", "bob")
    house.pipeline.silent = True
    house.gateway._lost()
    (user,) = house.gateway._users
    await until(lambda: user.stale and user.reloading is not None)
    house.pipeline.silent = False
    await bob.expect("joined", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 1)


async def test_who_leaves_while_rows_are_asked_for_leaves_nothing_behind(
    house_of: Open, group: str
):
    house = await house_of(request_seconds=0.2)
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    house.pipeline.silent = True
    house.gateway._lost()
    await bob.close()
    await until(lambda: not house.gateway._hub.channels)
    house.pipeline.silent = False
    await until(lambda: house.gateway.is_ready)
    alice = await house.synced("alice")
    assert [*house.gateway._hub.channels] == [group]
    await alice.close()
    await until(lambda: not house.gateway._hub.channels)


async def test_what_one_session_lists_first_is_watched_by_the_others_too(house: House, group: str):
    one = await house.synced("bob")
    with house.pipeline.losing():
        house.pipeline.make(group, "alice", "bob")
    other = await house.connect("bob")
    await other.request("watch", mailbox=group)
    assert group in await other.sync()
    await one.expect("joined", mailbox=group)
    house.pipeline.post(group)
    for session in (one, other):
        await session.message(group, 1)
        assert session.seqs(group) == [1]


async def test_too_many_mailboxes_are_not_watched(house_of: Open, group: str):
    house = await house_of(watched=1)
    for name in ("a", "b"):
        house.pipeline.make(f"{group}-{name}", "bob")
    bob = await house.connect("bob")
    modes = sorted(entry["mode"] for entry in (await bob.sync()).values())
    assert modes == ["live", "off"]


async def test_a_gateway_without_an_answer_says_so(house_of: Open, group: str):
    house = await house_of(request_seconds=0.3)
    house.pipeline.make(group, "alice")
    alice = await house.connect("alice")
    house.pipeline.silent = True
    with pytest.raises(Refused) as refused:
        await alice.send(group, "anybody?")
    assert refused.value.code == "unavailable"
    assert refused.value.error["retriable"] is True
    assert await alice.refusal("sync") == "unavailable"
    house.pipeline.silent = False
    assert group in await alice.sync()


async def test_nothing_is_kept_of_those_who_have_gone(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    assert group in house.hub.channels
    await bob.close()
    await until(lambda: not house.hub.channels)
    assert house.gateway.connections.total == 0
    assert house.hub.ring_bytes == 0


async def test_a_duplicate_send_gets_the_first_receipt(house: House, group: str):
    house.pipeline.make(group, "alice")
    alice = await house.connect("alice")
    message_id = new_id()
    assert (await alice.send(group, "x", id=message_id))["duplicate"] is False
    again = await alice.send(group, "x", id=message_id)
    assert (again["seq"], again["duplicate"]) == (1, True)


async def test_a_group_made_anew_is_without_its_old_members(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    alice, bob = await house.synced("alice"), await house.synced("bob")
    house.pipeline.post(group)
    await bob.message(group, 1)
    created = await alice.request("create", mailbox=group, policy={})
    await bob.expect("left", mailbox=group)
    assert group not in await bob.sync()
    assert (await alice.sync())[group]["epoch"] == created["epoch"]
    house.pipeline.post(group)
    await alice.message(group, 2)
    await alice.request("join", mailbox=group, members=["bob"])
    house.pipeline.post(group)
    await bob.message(group, 3)
    assert bob.seqs(group) == [1, 3]


async def test_members_are_listed_by_page(house: House, group: str):
    house.pipeline.make(group, "alice", "bob", "carol")
    alice = await house.connect("alice")
    page = await alice.request("members", mailbox=group, after="alice", limit=1)
    assert page["members"] == [{"user": "bob", "role": "member", "joined": 0}]
    assert page["more"] is True


async def test_what_manages_a_mailbox_is_answered_when_done(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    alice = await house.connect("alice")
    done = await alice.request("role", mailbox=group, member="bob", role="admin")
    assert (done["op"], done["of"], done["mailbox"]) == ("done", "role", group)
    (command,) = [one for one in house.pipeline.commands if getattr(one, "role", None)]
    assert (command.by, command.member, command.role) == ("alice", "bob", "admin")


async def test_an_answer_that_cannot_be_read_is_an_error(house: House, group: str, monkeypatch):
    house.pipeline.make(group, "alice")
    alice = await house.connect("alice")
    monkeypatch.setattr(house.pipeline, "_page", lambda _: {"messages": 1})
    assert await alice.refusal("history", mailbox=group) == "unavailable"


async def test_names_that_were_only_asked_about_are_forgotten(house_of: Open):
    house = await house_of(frame_rate=1e6, frame_burst=1_000_000)
    bob = await house.connect("bob")
    for number in range(3_000):
        await bob.request("read", mailbox=f"direct:bob~nobody{number}", seq=0)
    assert len(house.hub.channels) <= 1_100


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"mailbox": "group:g", "after": 0, "before": 3}, "bad_request"),
        ({"mailbox": "group:g", "place": [0, "group:g", 0]}, "bad_request"),
        ({"after": 0}, "bad_request"),
        ({"mailbox": "public:news"}, "forbidden"),
        ({"mailbox": "user:alice"}, "not_member"),
    ],
)
async def test_a_history_that_there_is_not_is_refused(house: House, asked, code):
    bob = await house.connect("bob")
    with pytest.raises(Refused) as refused:
        await bob.request("history", **asked)
    assert refused.value.code == code
