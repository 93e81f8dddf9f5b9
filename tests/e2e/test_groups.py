"""Groups: made, joined, left, governed, closed."""

import time

import pytest

from tests.e2e.client import seqs
from tests.e2e.conftest import Connect, Party
from tests.records import Refused, new_id, unique

pytestmark = pytest.mark.both_wires


async def test_create_makes_an_empty_group_owned_by_its_maker(connect: Connect):
    alice = await connect(unique("alice"))
    group = unique("group:g")
    created = await alice.request("create", mailbox=group, policy={})
    assert created["op"] == "created"
    assert created["mailbox"] == group
    assert created["epoch"]
    assert created["head"] == 0
    entry = (await alice.sync())[group]
    assert entry["epoch"] == created["epoch"]
    assert entry["role"] == "owner"
    assert entry["members"] == 1
    assert entry["unread"] == 0
    assert not entry["closed"]


async def test_create_again_by_another_is_refused(party: Party, connect: Connect):
    group, _ = await party("alice")
    mallory = await connect(unique("mallory"))
    assert await mallory.refusal("create", mailbox=group, policy={}) in ("conflict", "forbidden")


async def test_who_is_added_hears_of_it_on_every_device(party: Party, connect: Connect):
    group, alice = await party("alice")
    bob = unique("bob")
    devices = [await connect(bob) for _ in range(2)]
    for device in devices:
        await device.sync()
    joined = await alice.request("join", mailbox=group, members=[bob])
    assert joined["op"] == "joined"
    assert joined["members"] == [bob]
    for device in devices:
        told = await device.expect("joined", mailbox=group)
        assert told["members"] == [bob]
        assert told["epoch"] == joined["epoch"]
        assert told["head"] == 0
    await alice.send(group, "welcome")
    for device in devices:
        assert (await device.message(group, 1))["body"] == "welcome"


async def test_join_without_members_is_yourself(party: Party, connect: Connect):
    group, _ = await party("alice")
    bob = await connect(unique("bob"))
    joined = await bob.request("join", mailbox=group)
    assert joined["members"] == [bob.user]
    assert (await bob.send(group, "here I am"))["seq"] == 1


async def test_join_by_invitation_only(party: Party, connect: Connect):
    group, alice = await party("alice", join="invite")
    bob = await connect(unique("bob"))
    assert await bob.refusal("join", mailbox=group) == "forbidden"
    await alice.request("join", mailbox=group, members=[bob.user])
    assert (await bob.send(group, "thanks"))["seq"] == 1


async def test_joining_a_group_that_does_not_exist(connect: Connect):
    bob = await connect(unique("bob"))
    assert await bob.refusal("join", mailbox=unique("group:none")) == "not_found"


async def test_who_leaves_gets_nothing_more_on_any_device(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    other = await connect(bob.user)
    await other.sync()
    left = await bob.request("leave", mailbox=group)
    assert left["op"] == "left"
    assert left["members"] == [bob.user]
    assert (await other.expect("left", mailbox=group))["members"] == [bob.user]
    await alice.send(group, "gone?")
    await alice.message(group, 1)
    for device in (bob, other):
        assert group not in await device.sync()
        assert device.seqs(group) == []
    assert await bob.refusal("send", mailbox=group, id=new_id(), body="x") == "not_member"
    assert await bob.refusal("history", mailbox=group, after=0) == "not_member"


async def test_removed_by_the_owner(party: Party):
    group, alice, bob, carol = await party("alice", "bob", "carol")
    assert await bob.refusal("leave", mailbox=group, members=[carol.user]) == "forbidden"
    await alice.request("leave", mailbox=group, members=[carol.user])
    await carol.expect("left", mailbox=group)


async def test_members_are_listed_page_by_page(party: Party):
    group, alice = await party("alice")
    names = sorted(unique("m") for _ in range(25))
    await alice.request("join", mailbox=group, members=names)
    listed, after, pages = [], "", 0
    while True:
        page = await alice.request("members", mailbox=group, after=after, limit=10)
        listed += page["members"]
        pages += 1
        if not page["more"]:
            break
        after = listed[-1]["user"]
    assert pages == 3
    assert [member["user"] for member in listed] == sorted([alice.user, *names])
    roles = {member["user"]: member["role"] for member in listed}
    assert roles[alice.user] == "owner"
    assert roles[names[0]] == "member"
    assert {member["joined"] for member in listed} == {0}


async def test_a_stranger_sees_no_members(party: Party, connect: Connect):
    group, _ = await party("alice")
    mallory = await connect(unique("mallory"))
    assert await mallory.refusal("members", mailbox=group) == "not_member"


async def test_an_admin_may_what_a_member_may_not(party: Party):
    group, alice, bob = await party("alice", "bob")
    change = {"mailbox": group, "policy": {"post": "admins"}}
    assert await bob.refusal("policy", **change) == "forbidden"
    done = await alice.request("role", mailbox=group, member=bob.user, role="admin")
    assert (done["op"], done["of"]) == ("done", "role")
    await bob.request("policy", **change)


async def test_the_owner_hands_the_group_on(party: Party):
    group, alice, bob = await party("alice", "bob")
    await alice.request("role", mailbox=group, member=bob.user, role="owner")
    assert await alice.refusal("close", mailbox=group) == "forbidden"
    await bob.request("close", mailbox=group)


async def test_only_admins_post_where_the_policy_says_so(party: Party):
    group, alice, bob = await party("alice", "bob", post="admins")
    assert await bob.refusal("send", mailbox=group, id=new_id(), body="x") == "forbidden"
    await alice.send(group, "news")
    assert (await bob.message(group, 1))["body"] == "news"


async def test_a_muted_member_is_silent_until_a_time(party: Party):
    group, alice, bob = await party("alice", "bob")
    later = int(time.time() * 1000) + 3_600_000
    await alice.request("mute", mailbox=group, member=bob.user, until=later)
    assert await bob.refusal("send", mailbox=group, id=new_id(), body="x") == "muted"
    await alice.request("mute", mailbox=group, member=bob.user, until=0)
    assert (await bob.send(group, "free"))["seq"] == 1


async def test_all_but_admins_are_muted(party: Party):
    group, alice, bob = await party("alice", "bob")
    later = int(time.time() * 1000) + 3_600_000
    await alice.request("mute", mailbox=group, until=later)
    assert await bob.refusal("send", mailbox=group, id=new_id(), body="x") == "muted"
    assert (await alice.send(group, "listen"))["seq"] == 1


async def test_a_closed_group_can_only_be_read(party: Party):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, "last words")
    done = await alice.request("close", mailbox=group)
    assert (done["op"], done["of"]) == ("done", "close")
    assert await alice.refusal("send", mailbox=group, id=new_id(), body="x") == "forbidden"
    assert await alice.refusal("join", mailbox=group, members=["zoe"]) == "forbidden"
    history = await bob.request("history", mailbox=group, after=0)
    assert [message["body"] for message in history["messages"]] == ["last words"]
    assert (await bob.sync())[group]["closed"] is True


async def test_trimmed_messages_are_gone_and_the_last_one_stays(party: Party):
    group, alice, bob = await party("alice", "bob")
    for number in range(5):
        await alice.send(group, number)
    done = await alice.request("trim", mailbox=group, upto=3)
    assert (done["of"], done["floor"], done["more"]) == ("trim", 3, False)
    assert seqs(await bob.request("history", mailbox=group, after=0)) == [4, 5]
    await alice.request("trim", mailbox=group, upto=100)
    assert seqs(await bob.request("history", mailbox=group, after=0)) == [5]
    assert (await alice.send(group, "on"))["seq"] == 6


async def test_only_the_newest_are_kept_where_the_policy_says_so(party: Party):
    """A mailbox may outgrow its limit by a hundred messages, so that not every send trims."""
    group, alice = await party("alice", retain=3, member_rate=[1_000, 1_000])
    for number in range(110):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    await alice.message(group, 110)
    kept = seqs(await alice.request("history", mailbox=group, after=0, limit=200))
    assert 3 <= len(kept) < 103
    assert kept == list(range(kept[0], 111))


async def test_newcomers_read_only_what_the_policy_shows(party: Party, connect: Connect):
    group, alice = await party("alice", history=False)
    await alice.send(group, "before")
    bob = await connect(unique("bob"))
    await bob.request("join", mailbox=group)
    await alice.send(group, "after")
    assert seqs(await bob.request("history", mailbox=group, after=0)) == [2]


async def test_too_fast_is_refused_with_the_time_to_wait(party: Party):
    group, alice = await party("alice", member_rate=[0.1, 2])
    for number in range(2):
        await alice.send(group, number)
    with pytest.raises(Refused) as refused:
        await alice.send(group, "again")
    assert refused.value.code == "rate_limited"
    assert refused.value.error["retriable"] is True
    assert 0 < refused.value.error["retry_after"] <= 10
