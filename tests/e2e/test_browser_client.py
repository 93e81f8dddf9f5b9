"""What the client library for browsers receives, and how it keeps its connection, in a real browser."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Connect, Open, Party
from tests.e2e.page_client import JITTER, PageClient, tapped
from tests.e2e.page_scripts import UNBORN
from tests.e2e.page_tab import Late
from tests.processes import Gateway, System
from tests.records import FAST, new_id, unique
from tests.waiting import soon

# Receiving


async def test_a_killed_gateway_costs_no_message_and_no_order(
    blank: Open, party: Party, stack: System, own_gateway: Callable[[], Gateway]
):
    group, alice, bob = await party("alice", "bob", **FAST)
    gateway = own_gateway()
    tab = await blank()
    tab.url = gateway.http
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    sent: list[str] = []

    async def speak(until: asyncio.Event) -> None:
        while not until.is_set():
            await bob.send(group, f"bob {len(sent)}")
            sent.append(f"bob {len(sent)}")

    for _ in range(2):
        back = asyncio.Event()
        speaking = asyncio.create_task(speak(back))
        await one.enqueue(group, *[f"before {len(sent)} {index}" for index in range(5)])
        gateway.kill()
        await one.state("waiting")
        await one.enqueue(group, *[f"while {len(sent)} {index}" for index in range(5)])
        gateway.start().wait_ready()
        await one.state("connected")
        back.set()
        await speaking
    assert all("answer" in outcome for outcome in await one.outcomes())
    head = len(sent) + 20
    await bob.message(group, head)
    await one.receives(group, *[event["body"] for event in bob.delivered("message", group)])
    assert bob.seqs(group) == list(range(1, head + 1))
    assert (await bob.sync())[group]["head"] == head
    await tab.page.goto("about:blank")
    assert [one for one in tab.problems if not one.startswith("WebSocket connection to")] == []
    tab.problems.clear()


async def test_no_order_of_frames_makes_a_hole_or_a_double(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await bob.send(group, 1)
    await one.receives(group, 1)
    wire.lose_events = True
    for number in range(2, 7):
        await bob.send(group, number)
    await alice.message(group, 6)
    wire.lose_events = False
    fields = {"op": "message", "mailbox": group, "from": bob.user, "ts": 1}
    wire.forge(
        fields | {"seq": 6, "id": new_id(), "body": 6},
        {"op": "recalled", "mailbox": group, "seq": 6, "by": bob.user},
        fields | {"seq": 4, "id": new_id(), "body": 4},
        fields | {"seq": 1, "id": new_id(), "body": 1},
    )
    await one.receives(group, *range(1, 7))
    await bob.send(group, 7)
    await one.receives(group, *range(1, 8))
    # Whoever shows the sixth message learns after it that it was recalled.
    script = "events.findLastIndex(({ op, seq }) => op === it && seq === 6)"
    assert await one.run(script, "recalled") > await one.run(script, "message")
    assert [frame["after"] for frame in wire.of("history")] == [1]


async def test_what_a_resume_cannot_bring_is_told_as_a_reset(
    blank: Open, party: Party, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob", **FAST)
    tab = await blank()
    tab.url = impatient.http
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await bob.send(group, 1)
    await one.receives(group, 1)
    await tab.context.set_offline(True)
    await one.state("offline")
    for number in range(2, 32):
        await bob.send(group, number)
    await tab.context.set_offline(False)
    await one.until('events.some(({ op }) => op === "reset")')
    [reset] = await one.of("reset")
    assert (reset["mailbox"], reset["head"]) == (group, 31)
    await bob.send(group, 32)
    await one.receives(group, 1, 32)


async def test_a_chat_begun_while_it_is_watched_lacks_nothing_that_is_on_its_way(
    blank: Open, stack: System
):
    one = await PageClient.start(await blank(), unique("alice"), "", opened=False)
    seqs, places = await one.page.evaluate(UNBORN)
    assert seqs == [1, 2]
    assert places == {"direct:alice~bob": ["e", 2]}


async def test_a_chat_begun_during_an_absence_is_told_as_a_reset(
    blank: Open, connect: Connect, stack: System
):
    alice, bob = unique("alice"), await connect(unique("bob"))
    chat = f"direct:{alice}~{bob.user}"
    one = await PageClient.start(await blank(), alice, stack.token(alice))
    await one.run('client.request("watch", { mailbox: it, mode: "live" })', chat)
    await one.tab.context.set_offline(True)
    await one.state("offline")
    await bob.send(chat, "first")
    await one.tab.context.set_offline(False)
    await one.until('events.some(({ op }) => op === "reset")')
    [reset] = await one.of("reset")
    assert (reset["mailbox"], reset["head"]) == (chat, 1)
    await bob.send(chat, "second")
    await one.receives(chat, "second")


async def test_of_a_mailbox_that_need_not_be_complete_a_gap_is_told(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user), incomplete=(group,))
    wire.forge({"op": "gap", "mailbox": group, "from": 1, "to": 3})
    await one.until('events.some(({ op }) => op === "gap")')
    assert wire.of("history") == []
    await wire.close(1012)
    await one.until('states.filter(({ name }) => name === "connected").length === 2')
    assert wire.of("hello")[-1]["since"] == {}
    await bob.send(group, "live")
    await one.receives(group, "live")


async def test_many_mailboxes_are_resumed_by_several_frames(blank: Open, stack: System):
    tab = await blank()
    wire = await tapped(tab)
    user = unique("busy")
    one = await PageClient.start(tab, user, stack.token(user))
    names = [f"group:{number}" for number in range(1_200)]
    entry = {"epoch": "e", "head": 1, "mode": "live"}
    wire.forge({"op": "sync", "mailboxes": [entry | {"mailbox": name} for name in names]})
    await one.until('events.filter(({ op }) => op === "sync").length === 2')
    await wire.close(1012)
    await one.until('states.filter(({ name }) => name === "connected").length === 2')
    first, *again = wire.of("hello")
    assert first["since"] == {}
    assert [len(frame["since"]) for frame in again] == [500, 500, 200]
    assert {name for frame in again for name in frame["since"]} == set(names)
    assert ["token" in frame for frame in again] == [True, False, False]


async def test_what_was_read_without_a_network_is_told_on_return(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    for number in (1, 2, 3):
        await bob.send(group, number)
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await tab.context.set_offline(True)
    await one.state("offline")
    await one.run("[2, 3, 1].forEach((seq) => client.read(it, seq))", group)
    await tab.context.set_offline(False)
    await alice.expect("cursor", mailbox=group, read=3, unread=0)
    assert [frame["seq"] for frame in wire.of("read")] == [3]


async def test_what_was_delivered_is_acknowledged(
    blank: Open, party: Party, stack: System, impatient: Gateway
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    tab.url = impatient.http
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user), ack=True)
    for number in (1, 2, 3):
        await bob.send(group, number)
    await one.receives(group, 1, 2, 3)

    async def acknowledged() -> bool:
        return any(frame["seq"] == 3 for frame in wire.of("ack"))

    await soon(acknowledged, "an ack of the last message")
    assert len(wire.of("ack")) <= 3
    assert wire.of("hello")[0]["ack"] is True
    await one.receives(group, 1, 2, 3)
    assert len(wire.sockets) == 1


# Requests


async def test_a_request_without_an_answer_fails_as_unavailable(
    blank: Open, party: Party, stack: System
):
    group, alice, _ = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user), timeout=300)
    wire.lose_sends = True
    frame = {"mailbox": group, "id": new_id(), "body": 1}
    outcome = await one.run('await outcome(client.request("send", it))', frame)
    assert (outcome["code"], outcome["retriable"]) == ("unavailable", True)
    wire.lose_sends = False
    outcome = await one.run('await outcome(client.insist("send", it))', frame)
    assert outcome["answer"]["seq"] == 1


async def test_a_request_without_a_connection_fails_at_once(blank: Open, stack: System):
    user = unique("alice")
    one = await PageClient.start(await blank(), user, stack.token(user), opened=False)
    outcome = await one.run('await outcome(client.request("sync"))')
    assert (outcome["code"], outcome["retriable"]) == ("disconnected", True)
    assert await one.run('await client.insist("sync")') is None


# Tokens


async def test_a_token_is_renewed_before_it_ends_on_the_same_connection(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    ends = int(time.time()) + 6
    tokens = stack.token(alice.user, exp=ends), stack.token(alice.user)
    one = await PageClient.start(tab, alice.user, *tokens)

    async def over() -> bool:
        return time.time() > ends + 1

    await soon(over, "the first token's end")
    await bob.send(group, "still here?")
    await one.receives(group, "still here?")
    assert len(wire.sockets) == 1
    assert [frame["token"] for frame in wire.of("hello")] == list(tokens)
    assert await one.run("states.map(({ name }) => name)") == ["connecting", "connected"]


async def test_a_token_that_ended_is_replaced_once(blank: Open, stack: System):
    user = unique("alice")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, user, stack.token(user))
    await wire.close(4502)
    await one.until('states.filter(({ name }) => name === "connected").length === 2')
    assert await one.run("asked") == 2


@pytest.mark.parametrize(("claims", "code"), [({"exp": 1}, 4502), ({"sub": "not a name"}, 4501)])
async def test_a_refused_token_is_not_sent_again(
    blank: Open, stack: System, claims: dict[str, object], code: int
):
    user = unique("alice")
    tab = await blank()
    wire = await tapped(tab)
    token = stack.token(user, **claims)
    one = await PageClient.start(tab, user, token, opened=False)
    await one.run("client.open()")
    assert (await one.state("closed"))["code"] == code
    await one.run("client.retryNow()")
    await tab.context.set_offline(True)
    await tab.context.set_offline(False)
    assert (await one.state("closed"))["code"] == code
    assert len(wire.of("hello")) == 1
    assert await one.run("asked") == 1


async def test_a_token_of_somebody_else_is_not_taken(blank: Open, party: Party, stack: System):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(bob.user), opened=False)
    await one.run("void client.send(it, 'as alice')", group)
    await one.run("client.open()")
    assert f"of {bob.user}" in (await one.state("closed"))["reason"]
    assert wire.of("send") == []


async def test_without_a_token_nobody_connects(blank: Open, stack: System):
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, unique("alice"), None, opened=False)
    await one.run("client.open()")
    assert (await one.state("closed"))["code"] == 4501
    assert wire.sockets == []


async def test_a_failing_provider_is_asked_again(blank: Open, stack: System):
    user = unique("alice")
    one = await PageClient.start(await blank(), user, "fail", "fail", stack.token(user))
    await one.state("connected")
    assert await one.run("asked") == 3


# Reconnecting


async def test_waits_are_spread_evenly_up_to_a_bound_that_doubles(blank: Open, stack: System):
    one = await PageClient.start(await blank(), "alice", "token", opened=False)
    for attempt, bound in enumerate([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]):
        waits = await one.page.evaluate(JITTER, attempt)
        assert min(waits) >= 0
        assert max(waits) < bound
        # Each tenth of the time gets a tenth of the clients, give or take seven deviations.
        tenths = Counter(int(wait / bound * 10) for wait in waits)
        assert all(790 < tenths[tenth] < 1_210 for tenth in range(10))


async def test_a_connection_on_which_nothing_comes_is_kept(blank: Open, stack: System):
    user = unique("quiet")
    tab = await blank()
    await tab.page.clock.install()
    await Late("sync", passing=0).tap(tab)
    one = await PageClient.start(tab, user, stack.token(user), opened=False)
    await one.run("client.open()")
    await one.state("connected")
    await tab.page.clock.fast_forward(11_000)
    assert await one.run("states.map(({ name }) => name)") == ["connecting", "connected"]
