"""Coming back: everything that was missed, in order, or a plain no."""

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway
from tests.records import FAST, new_id, unique

pytestmark = pytest.mark.both_wires


async def epoch_of(client: Client, group: str) -> str:
    epoch = (await client.sync())[group]["epoch"]
    assert isinstance(epoch, str)
    return epoch


async def test_a_returning_client_gets_what_it_missed_before_anything_live(
    party: Party, connect: Connect
):
    group, alice, bob = await party("alice", "bob", **FAST)
    epoch = await epoch_of(bob, group)
    await bob.close()
    for number in range(1, 51):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    await alice.message(group, 50)

    again = await connect(bob.user, since={group: [epoch, 20]})
    for number in range(51, 61):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    resumed = await again.expect("resumed", mailbox=group)
    assert resumed["recovered"] is True
    assert resumed["epoch"] == epoch
    assert resumed["head"] >= 50
    await again.message(group, 60)
    assert again.seqs(group) == list(range(21, 61))
    place = again.events.index(resumed)
    before = [event["seq"] for event in again.events[:place] if event["op"] == "message"]
    assert before == list(range(21, resumed["head"] + 1))


async def test_nothing_missed_is_a_yes_too(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    await alice.send(group, "1")
    again = await connect(bob.user, since={group: [epoch, 1]})
    resumed = await again.expect("resumed", mailbox=group)
    assert (resumed["recovered"], resumed["head"]) == (True, 1)
    await alice.send(group, "2")
    await again.message(group, 2)
    assert again.seqs(group) == [2]


async def test_from_the_beginning(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    for number in range(3):
        await alice.send(group, number)
    again = await connect(bob.user, since={group: [epoch, 0]})
    assert (await again.expect("resumed", mailbox=group))["recovered"] is True
    assert again.seqs(group) == [1, 2, 3]


@pytest.mark.parametrize(
    ("epoch", "seq"),
    [("another-epoch", 1), (new_id(), 0), (None, 99), ("", 1)],
    ids=["another epoch", "a made-up epoch", "beyond the head", "no epoch"],
)
async def test_an_unknown_place_is_a_no(
    party: Party, connect: Connect, epoch: str | None, seq: int
):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, "1")
    await alice.send(group, "2")
    known = await epoch_of(bob, group)
    again = await connect(bob.user, since={group: [known if epoch is None else epoch, seq]})
    resumed = await again.expect("resumed", mailbox=group)
    assert (resumed["recovered"], resumed["epoch"], resumed["head"]) == (False, known, 2)
    await alice.send(group, "3")
    await again.message(group, 3)
    assert again.seqs(group) == [3]


async def test_too_much_missed_is_a_no_and_never_a_part(
    party: Party, connect: Connect, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob", **FAST)
    epoch = await epoch_of(bob, group)
    for number in range(30):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    await alice.message(group, 30)
    again = await connect(bob.user, url=impatient.ws, since={group: [epoch, 5]})
    resumed = await again.expect("resumed", mailbox=group)
    assert (resumed["recovered"], resumed["head"]) == (False, 30)
    await again.request("ping")
    assert again.seqs(group) == []
    nearer = await connect(bob.user, url=impatient.ws, since={group: [epoch, 15]})
    assert (await nearer.expect("resumed", mailbox=group))["recovered"] is True
    assert nearer.seqs(group) == list(range(16, 31))


async def test_each_mailbox_is_resumed_by_itself(connect: Connect):
    alice = await connect(unique("alice"))
    since = {}
    for number in range(1, 6):
        group = unique("group:g")
        epoch = (await alice.request("create", mailbox=group, policy={}))["epoch"]
        for body in range(number):
            await alice.send(group, body)
        since[group] = [epoch if number != 3 else "another", 0]
    again = await connect(alice.user, since=since)
    for number, (group, (epoch, _)) in enumerate(since.items(), 1):
        resumed = await again.expect("resumed", mailbox=group)
        assert resumed["recovered"] is (epoch != "another")
        assert again.seqs(group) == ([] if number == 3 else list(range(1, number + 1)))


async def test_a_gateway_that_just_started_knows_all(party: Party, connect: Connect, own_gateway):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    for number in range(5):
        await alice.send(group, number)
    fresh = own_gateway()
    again = await connect(bob.user, url=fresh.ws, since={group: [epoch, 2]})
    assert (await again.expect("resumed", mailbox=group))["recovered"] is True
    assert again.seqs(group) == [3, 4, 5]


async def test_a_mailbox_one_has_left_is_not_resumed(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    await bob.request("leave", mailbox=group)
    await alice.send(group, "secret")
    again = await connect(bob.user, since={group: [epoch, 0]})
    told = await again.wait(
        lambda event: event["op"] in ("resumed", "error", "left"), "an answer to since"
    )
    assert told.get("recovered") is not True
    assert again.seqs(group) == []


async def test_missed_recalls_are_told(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    await alice.send(group, "oops")
    await alice.send(group, "fine")
    await bob.message(group, 2)
    await bob.close()
    await alice.request("recall", mailbox=group, seq=1)
    await alice.send(group, "later")
    again = await connect(bob.user, since={group: [epoch, 2]})
    assert (await again.expect("resumed", mailbox=group))["recovered"] is True
    await again.expect("recalled", mailbox=group, seq=1)
    assert again.seqs(group) == [3]


async def test_a_message_recalled_meanwhile_comes_without_its_body(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = await epoch_of(bob, group)
    await alice.send(group, "oops")
    await alice.request("recall", mailbox=group, seq=1)
    again = await connect(bob.user, since={group: [epoch, 0]})
    await again.expect("resumed", mailbox=group)
    (message,) = again.delivered("message", group)
    assert message["recalled"] is True
    assert "body" not in message
