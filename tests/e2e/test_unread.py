"""Unread counts, in each of the cases in which other systems get them wrong."""

import asyncio

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway
from tests.records import new_id, unique

pytestmark = pytest.mark.both_wires


async def say(client: Client, group: str, count: int) -> None:
    for number in range(count):
        await client.send(group, number)


async def both_agree(unread: int, group: str, *clients: Client) -> None:
    assert [await client.unread(group) for client in clients] == [unread] * len(clients)


async def test_what_others_send_is_unread_and_what_i_send_is_not(party: Party):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 3)
    assert await bob.unread(group) == 3
    assert await alice.unread(group) == 0


async def test_answering_counts_as_having_read(party: Party):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 3)
    await bob.send(group, "seen all that")
    assert await bob.unread(group) == 0
    assert await alice.unread(group) == 1


async def test_reading_takes_the_count_down_step_by_step(party: Party):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 5)
    for seq, left in ((2, 3), (4, 1), (5, 0)):
        cursor = await bob.request("read", mailbox=group, seq=seq)
        assert (cursor["op"], cursor["read"], cursor["unread"]) == ("cursor", seq, left)
        assert await bob.unread(group) == left


async def test_a_cleared_count_does_not_come_back(party: Party, connect: Connect, second: Gateway):
    group, alice, bob = await party("alice", "bob")
    first = await alice.send(group, "1", id=(message_id := new_id()))
    await bob.request("read", mailbox=group, seq=1)
    assert (await alice.send(group, "1", id=message_id))["seq"] == first["seq"]
    await both_agree(0, group, bob, await connect(bob.user), await connect(bob.user, url=second.ws))
    cursor = await bob.request("read", mailbox=group, seq=0)
    assert (cursor["read"], cursor["unread"]) == (1, 0)
    assert await bob.unread(group) == 0


async def test_a_late_read_of_a_second_device_does_not_move_the_cursor_back(
    party: Party, connect: Connect
):
    group, alice, phone = await party("alice", "bob")
    laptop = await connect(phone.user)
    await laptop.sync()
    await say(alice, group, 5)
    await phone.request("read", mailbox=group, seq=5)
    late = await laptop.request("read", mailbox=group, seq=2)
    assert (late["read"], late["unread"]) == (5, 0)
    await both_agree(0, group, phone, laptop)


async def test_a_count_is_never_negative(party: Party):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 3)
    cursor = await bob.request("read", mailbox=group, seq=999)
    assert cursor["unread"] == 0
    assert cursor["read"] <= 3
    await say(alice, group, 1)
    assert await bob.unread(group) == 1


async def test_a_cursor_beyond_the_head_from_kafka_is_no_negative_count(
    party: Party, stack, connect: Connect
):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 3)
    command = {"type": "read", "user": bob.user, "by": bob.user, "mailbox": group, "seq": 10**9}
    await asyncio.to_thread(stack.kafka.ask, command)
    await bob.expect("cursor", mailbox=group, unread=0)
    assert await bob.unread(group) == 0
    assert await (await connect(bob.user)).unread(group) == 0


async def test_a_newcomer_has_nothing_unread(party: Party, connect: Connect):
    group, alice = await party("alice")
    await say(alice, group, 5)
    for policy in ({}, {"history": False}):
        if policy:
            await alice.request("policy", mailbox=group, policy=policy)
        newcomer = await connect(unique("newcomer"))
        await newcomer.request("join", mailbox=group)
        assert await newcomer.unread(group) == 0
        await alice.send(group, "welcome")
        assert await newcomer.unread(group) == 1


async def test_two_devices_agree_at_once(party: Party, connect: Connect, second: Gateway):
    group, alice, phone = await party("alice", "bob")
    laptop = await connect(phone.user, url=second.ws)
    await laptop.sync()
    await say(alice, group, 4)
    await laptop.message(group, 4)
    assert (await phone.request("read", mailbox=group, seq=3))["unread"] == 1
    assert (await laptop.expect("cursor", mailbox=group, read=3))["unread"] == 1
    await both_agree(1, group, phone, laptop)


async def test_moved_back_on_purpose(party: Party, connect: Connect):
    group, alice, phone = await party("alice", "bob")
    laptop = await connect(phone.user)
    await laptop.sync()
    await say(alice, group, 5)
    await phone.request("read", mailbox=group, seq=5)
    await laptop.expect("cursor", mailbox=group, read=5)
    cursor = await phone.request("unread", mailbox=group, seq=2)
    assert (cursor["op"], cursor["read"], cursor["unread"]) == ("cursor", 2, 3)
    assert (await laptop.expect("cursor", mailbox=group, read=2))["unread"] == 3
    await both_agree(3, group, phone, laptop)
    await phone.request("read", mailbox=group, seq=5)
    await both_agree(0, group, phone, laptop)


async def test_trimmed_messages_are_not_unread(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 5)
    await alice.request("trim", mailbox=group, upto=3)
    await both_agree(2, group, bob, await connect(bob.user))
    await alice.request("trim", mailbox=group, upto=99)
    await both_agree(1, group, bob, await connect(bob.user))


async def test_a_recalled_message_stays_counted_until_read(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 3)
    await alice.request("recall", mailbox=group, seq=2)
    await both_agree(3, group, bob, await connect(bob.user))
    await bob.request("read", mailbox=group, seq=3)
    await both_agree(0, group, bob, await connect(bob.user))


async def test_leaving_and_coming_back_starts_anew(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 2)
    await bob.request("leave", mailbox=group)
    await say(alice, group, 3)
    await bob.request("join", mailbox=group)
    await both_agree(0, group, bob, await connect(bob.user))
    await say(alice, group, 1)
    await both_agree(1, group, bob, await connect(bob.user))


async def test_a_gateway_that_starts_anew_counts_the_same(
    party: Party, connect: Connect, own_gateway
):
    group, alice, bob = await party("alice", "bob")
    await say(alice, group, 7)
    await bob.request("read", mailbox=group, seq=3)
    gateway = own_gateway()
    before = await connect(bob.user, url=gateway.ws)
    assert await before.unread(group) == 4
    gateway.kill()
    await say(alice, group, 1)
    gateway.start().wait_ready()
    assert await (await connect(bob.user, url=gateway.ws)).unread(group) == 5
    assert await (await connect(alice.user, url=gateway.ws)).unread(group) == 0


async def test_head_events_carry_the_count(party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.request("watch", mailbox=group, mode="notify")
    await say(alice, group, 2)
    assert (await bob.expect("head", mailbox=group, head=2))["unread"] == 2
    await bob.request("read", mailbox=group, seq=2)
    await say(alice, group, 1)
    assert (await bob.expect("head", mailbox=group, head=3))["unread"] == 1


async def test_own_messages_on_one_device_are_read_on_the_other(party: Party, connect: Connect):
    group, alice, _ = await party("alice", "bob")
    laptop = await connect(alice.user)
    await laptop.sync()
    await alice.send(group, "from my phone")
    await laptop.message(group, 1)
    await both_agree(0, group, alice, laptop)
