"""What the client library for browsers sends, from one tab or several, in a real browser against the real system."""

import orjson

from tests.e2e.conftest import Open, Party
from tests.e2e.page_client import PageClient, tapped
from tests.e2e.page_tab import Tab
from tests.processes import System
from tests.records import FAST

# Sending


async def test_a_send_resolves_with_its_receipt_and_is_delivered(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    one = await PageClient.start(await blank(), alice.user, stack.token(alice.user))
    outcome = await one.send(group, {"text": "Hello"})
    assert outcome["answer"]["seq"] == 1
    assert not outcome["answer"]["duplicate"]
    assert (await bob.message(group, 1))["body"] == {"text": "Hello"}
    await one.receives(group, {"text": "Hello"})
    assert await one.run("queue") == []


async def test_what_is_sent_without_a_network_arrives_once_after_a_reload(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await tab.context.set_offline(True)
    await one.state("offline")
    await one.enqueue(group, 1, 2, 3)
    assert wire.of("send") == []
    await tab.page.goto("about:blank")
    await tab.context.set_offline(False)
    again = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await again.enqueue(group, 4)
    for seq in (1, 2, 3, 4):
        assert (await bob.message(group, seq))["body"] == seq
    await again.until("queue.length === 0")
    assert (await alice.sync())[group]["head"] == 4
    assert len(wire.of("send")) == 4


async def test_a_message_whose_receipt_was_lost_is_sent_again_under_its_id(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    wire.lose_answers = True
    await one.enqueue(group, "once", "twice")
    await bob.message(group, 1)
    wire.lose_answers = False
    await wire.close(1012)
    first, second = await one.outcomes()
    assert [first["answer"]["seq"], second["answer"]["seq"]] == [1, 2]
    assert first["answer"]["duplicate"]
    once, again, twice = wire.of("send")
    assert once["id"] == again["id"] != twice["id"]
    await one.receives(group, "once", "twice")


async def test_a_refused_message_rejects_and_holds_nothing_up(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob", post="admins")
    one = await PageClient.start(await blank(), bob.user, stack.token(bob.user))
    await one.run('client.on("refused", ({ body }, { code }) => (window.refused = [body, code]))')
    await one.enqueue(group, "May I?")
    await one.enqueue(f"direct:{min(alice.user, bob.user)}~{max(alice.user, bob.user)}", "Hi")
    refused, accepted = await one.outcomes()
    assert refused["code"] == "forbidden"
    assert await one.run("refused") == ["May I?", "forbidden"]
    assert accepted["answer"]["seq"] == 1
    await one.until("queue.length === 0")
    await alice.request("policy", mailbox=group, policy={"post": "members"})
    assert (await one.send(group, "Now?"))["answer"]["seq"] == 1


async def test_no_more_is_kept_than_the_queue_takes(blank: Open, party: Party, stack: System):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    one = await PageClient.start(tab, alice.user, stack.token(alice.user), queueLimit=3)
    await tab.context.set_offline(True)
    await one.state("offline")
    await one.enqueue(group, 1, 2, 3)
    outcome = await one.send(group, "too many")
    assert (outcome["code"], outcome["retriable"]) == ("queue_full", True)
    assert "3 messages wait" in outcome["message"]
    assert [entry["body"] for entry in await one.run("queue")] == [1, 2, 3]
    await tab.context.set_offline(False)
    assert [outcome["answer"]["seq"] for outcome in await one.outcomes()] == [1, 2, 3]
    await one.until("queue.length === 0")
    assert (await one.send(group, 4))["answer"]["seq"] == 4
    await bob.message(group, 4)
    assert [event["body"] for event in bob.delivered("message", group)] == [1, 2, 3, 4]


async def test_what_waits_can_be_taken_back(blank: Open, party: Party, stack: System):
    group, alice, _ = await party("alice", "bob")
    tab = await blank()
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await tab.context.set_offline(True)
    await one.state("offline")
    await one.enqueue(group, "keep", "regret")
    await one.run("await client.discard(queue[1].id)")
    await one.until("queue.length === 1")
    await tab.context.set_offline(False)
    keep, regret = await one.outcomes()
    assert keep["answer"]["seq"] == 1
    assert regret["code"] == "discarded"
    assert (await one.send(group, "next"))["answer"]["seq"] == 2


async def test_a_frame_too_large_is_refused_here_and_costs_no_connection(
    blank: Open, party: Party, stack: System
):
    group, alice, _ = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    assert (await one.send(group, "é" * 700_000))["code"] == "too_large"
    assert wire.of("chunk") == []
    assert (await one.send(group, "small"))["answer"]["seq"] == 1
    assert len(wire.sockets) == 1


# Two tabs


async def test_two_tabs_send_what_both_have_written_once_and_in_order(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob", **FAST)
    first = await blank()
    second = Tab(first.context, await first.context.new_page(), first.url)
    wires = [await tapped(tab) for tab in (first, second)]
    tabs = [
        await PageClient.start(tab, alice.user, stack.token(alice.user)) for tab in (first, second)
    ]
    await first.context.set_offline(True)
    for number, tab in enumerate(tabs):
        await tab.state("offline")
        await tab.enqueue(group, *[[number, index] for index in range(10)])
    await first.context.set_offline(False)
    for tab in tabs:
        assert all("answer" in outcome for outcome in await tab.outcomes())
        await tab.until("queue.length === 0")
    await bob.message(group, 20)
    bodies = [event["body"] for event in bob.delivered("message", group)]
    for number in (0, 1):
        written = [index for tab, index in bodies if tab == number]
        assert written == list(range(10))
    for tab in tabs:
        await tab.receives(group, *bodies)
    assert len([*wires[0].of("send"), *wires[1].of("send")]) == 20
    assert second.problems == []


async def test_a_tab_without_a_connection_sends_through_another(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    first = await blank()
    second = Tab(first.context, await first.context.new_page(), first.url)
    await PageClient.start(first, alice.user, stack.token(alice.user))
    shut = await PageClient.start(second, alice.user, stack.token(alice.user), opened=False)
    assert (await shut.send(group, "through you"))["answer"]["seq"] == 1
    assert (await bob.message(group, 1))["body"] == "through you"


async def test_another_user_in_the_same_browser_sends_nothing_of_the_first(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    shut = await PageClient.start(tab, alice.user, stack.token(alice.user), opened=False)
    await shut.enqueue(group)
    await shut.run("void client.send(it, 'mine')", group)
    await shut.until("queue.length === 1")
    other = await PageClient.start(tab, bob.user, stack.token(bob.user))
    assert await other.run("queue") == []
    assert (await other.send(group, "yours"))["answer"]["seq"] == 1
    back = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await back.until("queue.length === 0")
    assert (await bob.message(group, 2))["body"] == "mine"


# Large bodies

LARGE = "\"€😀'\\n" * 60_000


async def test_a_megabyte_goes_and_comes_like_any_other_message(
    blank: Open, party: Party, stack: System
):
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await tapped(tab)
    one = await PageClient.start(tab, alice.user, stack.token(alice.user))
    await one.enqueue(group, LARGE, "small", LARGE)
    outcomes = await one.outcomes()
    assert [outcome["answer"]["seq"] for outcome in outcomes] == [1, 2, 3]
    for seq, body in ((1, LARGE), (2, "small"), (3, LARGE)):
        assert (await bob.message(group, seq))["body"] == body
    await one.receives(group, LARGE, "small", LARGE)
    page = await one.run('await client.request("history", { mailbox: it, before: 2 })', group)
    assert page["messages"][0]["body"] == LARGE
    chunks = wire.of("chunk")
    assert len(chunks) > 20
    assert max(len(orjson.dumps(chunk)) for chunk in chunks) <= 128 * 1024
    assert len(wire.of("send")) == 1
    assert await one.of("chunk") == []


async def test_the_largest_body_passes_and_a_byte_more_is_refused(
    blank: Open, party: Party, stack: System
):
    group, alice, _ = await party("alice", "bob")
    one = await PageClient.start(await blank(), alice.user, stack.token(alice.user))
    assert (await one.send(group, "x" * ((1 << 20) - 1)))["code"] == "too_large"
    assert (await one.send(group, "x" * ((1 << 20) - 2)))["answer"]["seq"] == 1
