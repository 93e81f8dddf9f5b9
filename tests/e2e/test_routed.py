"""Gateways that are forwarded what they need: once each, from the first question on, until their lease ends."""

import asyncio
from collections.abc import Callable, Iterator

import orjson
import pytest

from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway, System
from tests.records import Kafka, new_id, unique
from tests.waiting import eventually

LEASE_SECONDS = 2

Start = Callable[[], Gateway]


@pytest.fixture
def routed_gateway(stack: System) -> Iterator[Start]:
    """routed_gateway(): one more gateway that is forwarded to, with a short lease."""
    started: list[Gateway] = []

    def start() -> Gateway:
        gateway = stack.gateway(
            READCAST_GATEWAY_DELIVERY="routed", READCAST_GATEWAY_LEASE_SECONDS=str(LEASE_SECONDS)
        )
        started.append(gateway)
        return gateway.wait_ready()

    yield start
    for gateway in started:
        gateway.thaw()
        gateway.stop()


class Leases:
    """Who has leases, by the two logs."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self.before = self.now()

    def now(self) -> dict[str, int]:
        """How many partitions each gateway has a lease in."""
        held: dict[tuple[str, int, str], bool] = {}
        for log in ("mailbox-changelog", "user-changelog"):
            for record in self._kafka.read(log):
                if record.key.startswith(b"gateway:"):
                    name = record.key.decode().removeprefix("gateway:").removesuffix("/l")
                    held[log, record.partition, name] = record.value is not None
        names = [name for (_, _, name), is_held in held.items() if is_held]
        return {name: names.count(name) for name in names}

    def new(self) -> str:
        """The one gateway that has come since."""
        (name,) = set(self.now()) - set(self.before)
        return name

    async def ended(self, name: str) -> None:
        """Wait until a gateway has none: it has given them up, or another one's renewal has ended them."""
        await asyncio.to_thread(eventually, lambda: name not in self.now(), "all leases are ended")


def rows_for(kafka: Kafka, gateway: str, kind: str) -> list[str]:
    """Keys of the rows of a kind that were forwarded to a gateway."""
    records = kafka.read("deliveries")
    keys = [
        dict(record.headers)["key"].decode() for record in records if record.key.decode() == gateway
    ]
    return [key for key in keys if key.split("/")[1] == kind]


async def test_a_message_is_forwarded_once_for_all_who_listen_at_a_gateway(
    stack: System, routed_gateway: Start, party: Party, connect: Connect
):
    leases = Leases(stack.kafka)
    gateway = routed_gateway()
    group, alice, bob, carol = await party("alice", "bob", "carol")
    other, dora = await party("dora")
    here = [await connect(user, url=gateway.ws) for user in (bob.user, bob.user, carol.user)]
    for client in here:
        await client.request("watch", mailbox=group, mode="live")
    await dora.send(other, "not for them")
    await alice.send(group, "for all of them")
    for client in here:
        await client.message(group, 1)
    assert rows_for(stack.kafka, leases.new(), "m") == [f"{group}/m/0000000000000001"]


async def test_who_sends_without_watching_is_answered(
    routed_gateway: Start, party: Party, connect: Connect
):
    group, alice = await party("alice")
    elsewhere = await connect(alice.user, url=routed_gateway().ws)
    sent = await elsewhere.send(group, "one")
    assert sent["seq"] == 1
    again = await elsewhere.request("send", mailbox=group, id=sent["id"], body="one")
    assert (again["seq"], again["duplicate"]) == (1, True)
    await alice.message(group, 1)


async def test_what_nobody_watches_any_more_is_not_forwarded(
    stack: System, routed_gateway: Start, party: Party, connect: Connect
):
    leases = Leases(stack.kafka)
    gateway = routed_gateway()
    group, alice, bob = await party("alice", "bob")
    elsewhere = await connect(bob.user, url=gateway.ws)
    await elsewhere.request("watch", mailbox=group, mode="live")
    name = leases.new()
    await elsewhere.close()
    route = f"{group}/r".encode()

    def is_dropped() -> bool:
        rows = [one.value for one in stack.kafka.read("mailbox-changelog") if one.key == route]
        return not rows or rows[-1] is None or name not in orjson.loads(rows[-1])["gateways"]

    await asyncio.to_thread(eventually, is_dropped, "the route is gone")
    await alice.send(group, "unheard there")
    await bob.message(group, 1)
    assert rows_for(stack.kafka, name, "m") == []


async def test_a_gateway_that_was_paused_beyond_its_lease_misses_nothing(
    stack: System, routed_gateway: Start, party: Party, connect: Connect
):
    leases = Leases(stack.kafka)
    sleeper = routed_gateway()
    name = leases.new()
    routed_gateway()
    group, alice, bob = await party("alice", "bob")
    there = await connect(bob.user, url=sleeper.ws)
    await there.sync()
    await alice.send(group, 1)
    await there.message(group, 1)
    sleeper.freeze()
    await leases.ended(name)
    for number in (2, 3):
        await alice.send(group, number)
    await alice.request("create", mailbox=(added := unique("group:g")), policy={})
    await alice.request("join", mailbox=added, members=[bob.user])
    sleeper.thaw()
    missed = await there.expect("gap", mailbox=group)
    assert (missed["from"], missed["to"]) == (2, 3)
    await there.expect("joined", mailbox=added)
    await alice.send(group, 4)
    await there.message(group, 4)
    await alice.send(added, 1)
    await there.message(added, 1)
    assert there.seqs(group) == [1, 4]


async def test_a_gateway_that_was_killed_loses_its_routes_with_its_lease(
    stack: System, routed_gateway: Start, party: Party, connect: Connect
):
    leases = Leases(stack.kafka)
    doomed = routed_gateway()
    name = leases.new()
    routed_gateway()
    group, alice, bob = await party("alice", "bob")
    there = await connect(bob.user, url=doomed.ws)
    await there.request("watch", mailbox=group, mode="live")
    doomed.kill()
    await leases.ended(name)
    await alice.send(group, "to nobody there")
    await bob.message(group, 1)
    assert rows_for(stack.kafka, name, "m") == []


async def test_a_gateway_that_leaves_ends_its_leases(stack: System, routed_gateway: Start):
    leases = Leases(stack.kafka)
    gateway = routed_gateway()
    name = leases.new()
    assert leases.now()[name] == 2 * stack.kafka.partitions("mailbox-commands")
    assert gateway.stop() == 0
    await leases.ended(name)


async def test_gateways_have_partitions_of_their_own(stack: System, routed_gateway: Start):
    leases = Leases(stack.kafka)
    await asyncio.gather(*(asyncio.to_thread(routed_gateway) for _ in range(2)))
    names = set(leases.now()) - set(leases.before)
    taken = {
        orjson.loads(record.value)["partition"]
        for record in stack.kafka.read("mailbox-changelog")
        if record.value and record.key.decode().removeprefix("gateway:").partition("/")[0] in names
    }
    assert (len(names), len(taken)) == (2, 2)


async def test_feeds_hear_of_posts_right_after_a_follow_elsewhere(
    routed_gateway: Start, connect: Connect
):
    gateway = routed_gateway()

    async def follow_and_hear() -> None:
        reader = await connect(unique("eva"), url=gateway.ws)
        tablet, author = await connect(reader.user), await connect(unique("ann"))
        await reader.request("feed")
        await tablet.request("follow", author=author.user)
        await author.request("post", id=new_id(), body=1)
        await reader.expect("new_posts", count=1)

    await asyncio.gather(*(follow_and_hear() for _ in range(10)))
