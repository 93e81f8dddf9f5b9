"""What a session gets unasked: live messages, heads, gaps, and what it left unacknowledged."""

import itertools

import pytest

from tests.e2e.client import seqs
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway, System
from tests.records import FAST, new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires

HEAVY = "x" * 60_000
MANY = 150


async def test_watch_says_where_the_mailbox_stands(party: Party):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, "1")
    await bob.message(group, 1)
    for mode in ("notify", "off", "live"):
        watching = await bob.request("watch", mailbox=group, mode=mode)
        assert (watching["op"], watching["mode"], watching["head"]) == ("watching", mode, 1)
        assert watching["epoch"]


async def test_nothing_is_delivered_before_sync_or_watch(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    idle = await connect(bob.user)
    await alice.send(group, "1")
    await bob.message(group, 1)
    await idle.request("watch", mailbox=group, mode="live")
    await alice.send(group, "2")
    await idle.message(group, 2)
    assert idle.seqs(group) == [2]


async def test_an_unwatched_mailbox_is_silent(party: Party):
    group, alice, bob, carol = await party("alice", "bob", "carol")
    await bob.request("watch", mailbox=group, mode="off")
    await alice.send(group, "1")
    await carol.message(group, 1)
    await bob.request("watch", mailbox=group, mode="live")
    await alice.send(group, "2")
    await bob.message(group, 2)
    assert bob.seqs(group) == [2]


async def test_a_notify_mailbox_says_only_how_far_it_is(party: Party):
    group, alice, bob = await party("alice", "bob", **FAST)
    await bob.request("watch", mailbox=group, mode="notify")
    for number in range(40):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    await alice.message(group, 40)
    head = await bob.expect("head", mailbox=group, head=40)
    assert head["unread"] == 40
    heads = [event["head"] for event in bob.delivered("head", group)]
    assert heads == sorted(set(heads))
    assert len(heads) < 40
    assert bob.seqs(group) == []
    history = await bob.request("history", mailbox=group, after=0)
    assert seqs(history) == list(range(1, 41))


async def test_large_groups_are_notified_until_watched(
    party: Party, connect: Connect, impatient: Gateway
):
    group, alice, bob, _ = await party("alice", "bob", "carol")
    elsewhere = await connect(bob.user, url=impatient.ws)
    assert (await elsewhere.sync())[group]["mode"] == "notify"
    await alice.send(group, "1")
    assert (await elsewhere.expect("head", mailbox=group))["head"] == 1
    await elsewhere.request("watch", mailbox=group, mode="live")
    await alice.send(group, "2")
    await elsewhere.message(group, 2)
    assert elsewhere.seqs(group) == [2]


async def test_a_slow_reader_gets_everything_or_one_gap_that_says_what_is_missing(
    party: Party, dial: Connect, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob", **FAST)
    slow = await dial(bob.user, url=impatient.ws, small_buffers=True, deflate=False)
    await slow.hello(stack.token(bob.user))
    await slow.request("watch", mailbox=group, mode="live")
    slow.pause()
    for number in range(1, MANY + 1):
        await alice.post("send", mailbox=group, id=new_id(), body=[number, HEAVY])
    await alice.message(group, MANY)
    slow.resume()
    await slow.message(group, MANY)

    gaps = slow.delivered("gap", group)
    assert gaps, "the reader was never slow"
    missing = {seq for gap in gaps for seq in range(gap["from"], gap["to"] + 1)}
    delivered = slow.seqs(group)
    assert delivered == sorted(set(delivered))
    assert missing.isdisjoint(delivered)
    assert missing.union(delivered) == set(range(1, MANY + 1))
    await pull(slow, group, gaps[0]["from"], gaps[0]["to"])

    order = [
        (event["from"], event["to"]) if event["op"] == "gap" else (event["seq"], event["seq"])
        for event in slow.events
        if event.get("mailbox") == group and event["op"] in ("gap", "message")
    ]
    assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(order))


async def pull(client, group: str, first: int, last: int) -> None:
    pulled: list[int] = []
    while not pulled or pulled[-1] < last:
        after = pulled[-1] if pulled else first - 1
        page = await client.request("history", mailbox=group, after=after, limit=last - after)
        assert seqs(page)
        pulled += seqs(page)
    assert pulled == list(range(first, last + 1))


async def test_a_slow_reader_keeps_nobody_waiting(
    party: Party, dial: Connect, stack: System, impatient: Gateway
):
    group, alice, bob, carol = await party("alice", "bob", "carol", **FAST)
    slow = await dial(bob.user, url=impatient.ws, small_buffers=True, deflate=False)
    await slow.hello(stack.token(bob.user))
    await slow.request("watch", mailbox=group, mode="live")
    slow.pause()
    quick = await dial(carol.user, url=impatient.ws)
    await quick.hello(stack.token(carol.user))
    await quick.request("watch", mailbox=group, mode="live")
    for number in range(1, MANY + 1):
        await alice.send(group, [number, HEAVY])
    await quick.message(group, MANY)
    assert quick.seqs(group) == list(range(1, MANY + 1))


async def test_unacknowledged_messages_come_once_more_then_the_socket_closes(
    party: Party, dial: Connect, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob")
    forgetful = await dial(bob.user, url=impatient.ws)
    await forgetful.hello(stack.token(bob.user), ack=True)
    await forgetful.request("watch", mailbox=group, mode="live")
    await alice.send(group, "1")
    await alice.send(group, "2")
    await forgetful.message(group, 2)
    await forgetful.put({"op": "ack", "mailbox": group, "seq": 1})
    assert await forgetful.closed() == 4001
    assert forgetful.seqs(group) == [1, 2, 2]


async def test_acknowledged_messages_never_come_again(
    party: Party, dial: Connect, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob")
    good = await dial(bob.user, url=impatient.ws)
    bad = await dial(bob.user, url=impatient.ws)
    for client in (good, bad):
        await client.hello(stack.token(bob.user), ack=True)
        await client.request("watch", mailbox=group, mode="live")
    await alice.send(group, "1")
    await good.message(group, 1)
    await good.put({"op": "ack", "mailbox": group, "seq": 1})
    await bad.message(group, 1)
    assert await bad.closed() == 4001
    await good.request("ping")
    assert good.seqs(group) == [1]


async def test_acks_are_not_asked_of_those_who_did_not_offer_them(
    party: Party, connect: Connect, dial: Connect, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob")
    plain = await connect(bob.user, url=impatient.ws)
    acking = await dial(bob.user, url=impatient.ws)
    await acking.hello(stack.token(bob.user), ack=True)
    for client in (plain, acking):
        await client.request("watch", mailbox=group, mode="live")
    await alice.send(group, "1")
    await acking.message(group, 1)
    assert await acking.closed() == 4001
    await plain.request("ping")
    assert plain.seqs(group) == [1]


async def test_a_new_group_is_watched_without_asking(connect: Connect):
    alice, bob = await connect(unique("alice")), await connect(unique("bob"))
    await bob.sync()
    group = unique("group:g")
    await alice.request("create", mailbox=group, policy={})
    await alice.request("join", mailbox=group, members=[bob.user])
    for number in range(3):
        await alice.send(group, number)
    await bob.message(group, 3)
    assert bob.seqs(group) == [1, 2, 3]


async def test_who_joins_again_is_watching_again(party: Party):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, "1")
    await bob.message(group, 1)
    await bob.request("leave", mailbox=group)
    await alice.send(group, "2")
    await bob.request("join", mailbox=group)
    await alice.send(group, "3")
    await bob.message(group, 3)
    assert bob.seqs(group) == [1, 3]


async def test_the_last_message_and_the_order_of_mailboxes_in_sync(party: Party, connect: Connect):
    first, alice = await party("alice")
    second = unique("group:g")
    await alice.request("create", mailbox=second, policy={})
    await alice.send(second, "older")
    await alice.send(first, "newer")

    async def newest_first() -> bool:
        entries = (await alice.request("sync"))["mailboxes"]
        return [entry["mailbox"] for entry in entries] == [first, second]

    await soon(newest_first, "newest message first")
    entries = await alice.sync()
    assert entries[first]["last"]["body"] == "newer"
    assert entries[second]["last"]["seq"] == 1
