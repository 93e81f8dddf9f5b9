"""The web page on a connection that fails: what is sent without one, and what comes after."""

import re

from playwright.async_api import expect

from tests.e2e.conftest import Open, Party
from tests.e2e.page_scripts import ARRIVALS, SLOW_QUEUE
from tests.e2e.page_tab import Late, Refusing, Tab, Wire
from tests.processes import System
from tests.records import new_id, unique
from tests.waiting import soon

# Sending without a network


async def test_messages_of_an_absence_arrive_once_and_in_order(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one, two = await tab(alice.user, group), await tab(bob.user, group)
    await one.say("before")
    await two.reads("before")
    await two.context.set_offline(True)
    await expect(two.status).to_contain_text("Offline")
    for text in ("one", "two", "three"):
        await one.say(text)
    await one.reads("before", "one", "two", "three")
    await expect(one.message("three")).to_have_attribute("data-state", "sent")
    for text in ("four", "five"):
        await two.say(text)
    await expect(two.message("five")).to_have_attribute("data-state", "pending")
    await two.reads("before", "four", "five")
    await two.context.set_offline(False)
    for each in (one, two):
        await each.reads("before", "one", "two", "three", "four", "five")
    await expect(two.message("five")).to_have_attribute("data-state", "sent")


async def test_a_conversation_opened_during_an_absence_lacks_nothing_of_it(
    tapped: Open, party: Party
):
    near, alice, bob = await party("alice", "bob")
    far = unique("group:g")
    await bob.request("create", mailbox=far, policy={})
    await bob.request("join", mailbox=far, members=[alice.user])
    await alice.expect("joined", mailbox=far)
    await bob.send(far, {"text": "before"})
    await bob.send(near, {"text": "loaded"})
    wire = Late("sync", passing=1)
    one = await tapped(wire, alice.user, near)
    await expect(one.row(far)).to_contain_text("before")
    await one.reads("loaded")
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    for text in ("one", "two"):
        await bob.send(far, {"text": text})
    await bob.send(near, {"text": "resumed"})
    await one.show(far)
    await one.context.set_offline(False)
    await expect(one.row(near)).to_contain_text("resumed")
    wire.release()
    await bob.send(far, {"text": "then"})
    await one.reads("before", "one", "two", "then")


async def test_what_was_not_accepted_yet_survives_a_reload(tab: Open, party: Party):
    group, alice, _ = await party("alice", "bob")
    one = await tab(alice.user, group)
    wire = await Wire().tap(one)
    wire.lose_sends = True
    await one.page.reload()
    await one.connected()
    await one.say("precious")
    await expect(one.message("precious")).to_have_attribute("data-state", "pending")

    async def is_on_its_way():
        return wire.of("send")

    await soon(is_on_its_way, "the first send")
    wire.lose_sends = False
    await one.page.reload()
    await one.reads("precious")
    await expect(one.message("precious")).to_have_attribute("data-state", "sent")
    first, second = wire.of("send")
    assert first["id"] == second["id"]


async def say_unheard(tab: Tab, wire: Wire, text: str) -> None:
    """Say something of which the page hears no more: it lacks the receipt and the message."""
    wire.lose_answers = wire.lose_events = True
    await tab.say(text)


async def test_a_message_whose_receipt_was_lost_is_sent_again_but_stands_once(
    tab: Open, tapped: Open, party: Party
):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await say_unheard(one, wire, "once")
    await bob.message(group, 1)
    wire.lose_answers = wire.lose_events = False
    await wire.close(1012)
    await expect(one.message("once")).to_have_attribute("data-state", "sent")
    await one.say("then this")
    await one.reads("once", "then this")
    await expect(one.message("then this")).to_have_attribute("data-state", "sent")
    assert (await alice.request("history", mailbox=group, after=0))["head"] == 2
    assert len({frame["id"] for frame in wire.of("send")}) == 2


async def test_a_message_found_in_the_history_before_the_queue_is_read_stands_once(
    tapped: Open, party: Party
):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await say_unheard(one, wire, "once")
    await bob.message(group, 1)
    wire.lose_events = False
    await one.page.add_init_script(SLOW_QUEUE)
    await one.page.reload()

    async def is_sent_again() -> bool:
        return len(wire.of("send")) >= 2

    await soon(is_sent_again, "the second send")
    for text in ("then", "and then"):
        await bob.send(group, {"text": text})
        await expect(one.texts.last).to_have_text(text)
    await one.reads("once", "then", "and then")
    await expect(one.message("once")).to_have_attribute("data-state", "sent")


async def test_a_refused_message_is_marked_and_can_be_retried_under_its_id(
    tapped: Open, party: Party
):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, bob.user, group)
    await alice.request("policy", mailbox=group, policy={"post": "admins"})
    await one.say("May I?")
    await expect(one.message("May I?")).to_have_attribute("data-state", "failed")
    await alice.request("policy", mailbox=group, policy={"post": "members"})
    await one.button("Retry").click()
    await expect(one.message("May I?")).to_have_attribute("data-state", "sent")
    first, second = wire.of("send")
    assert first["id"] == second["id"]


# The connection


async def test_a_lost_connection_comes_back_by_itself(tapped: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await bob.send(group, {"text": "first"})
    await one.reads("first")
    for number in range(3):
        await wire.close(1012)
        await bob.send(group, {"text": f"lost {number}"})
        await expect(one.texts).to_have_count(2 + number)
    await one.reads("first", "lost 0", "lost 1", "lost 2")
    epoch, seq = wire.of("hello")[-1]["since"][group]
    assert epoch
    assert seq == 3


async def test_a_list_for_which_there_was_no_answer_is_asked_for_again(tapped: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    wire = Refusing("sync", times=1)
    one = await tapped(wire, alice.user)
    await expect(one.row(group)).to_be_visible()
    wire.times = 1
    await wire.close(1012)
    await expect(one.page.locator("#app")).not_to_have_attribute("data-connection", "connected")
    await one.connected()
    await bob.send(group, {"text": "news"})
    await expect(one.row(group).locator(".badge")).to_have_text(re.compile("^1"))


async def test_the_wait_for_the_next_attempt_is_shown_and_can_be_cut_short(
    blank: Open, stack: System
):
    one = await blank()
    wire = await Wire().tap(one)
    await one.page.add_init_script("Math.random = () => 0.999;")
    user = unique("alice")
    await one.log_in(user, stack.token(user))
    for _ in range(4):
        await wire.close(4001)
        await expect(one.page.locator("#banner")).to_contain_text("Reconnecting in")
        await one.button("Try now").click()
        await one.connected()
    await wire.close(4001)
    await expect(one.page.locator("#banner")).to_contain_text(re.compile("in 1[456] s"))


async def test_a_leaving_gateway_is_left_when_it_says(blank: Open, stack: System):
    one = await blank()
    wire = await Wire().tap(one)
    user = unique("alice")
    await one.log_in(user, stack.token(user))
    wire.forge({"op": "reconnect", "after_ms": 300})

    async def came_back() -> bool:
        return len(wire.of("hello")) == 2

    await soon(came_back, "a second hello")
    await one.connected()


async def test_a_gap_is_filled_before_anything_later_is_shown(tapped: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await bob.send(group, {"text": "one"})
    await one.reads("one")
    wire.lose_events = True
    for text in ("two", "three", "four"):
        await bob.send(group, {"text": text})
    await alice.message(group, 4)
    wire.lose_events = False
    wire.forge(
        {"op": "gap", "mailbox": group, "from": 2, "to": 3},
        {"op": "message", "mailbox": group, "seq": 4, "id": new_id(), "from": bob.user, "ts": 1,
         "body": {"text": "four"}},
    )  # fmt: skip
    await one.reads("one", "two", "three", "four")
    assert [frame["after"] for frame in wire.of("history") if "after" in frame] == [1]


async def test_no_order_of_arrival_shows_a_hole_or_a_message_twice(blank: Open, stack: System):
    one = await blank()
    await one.page.goto(stack.http)
    await expect(one.button("alice")).to_be_visible()
    assert await one.page.evaluate(ARRIVALS) == []


async def test_a_conversation_that_cannot_be_resumed_is_loaded_anew(tapped: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await bob.send(group, {"text": "one"})
    await one.reads("one")
    wire.lose_events = True
    await bob.send(group, {"text": "two"})
    receipt = await alice.message(group, 2)
    wire.lose_events = False
    epoch = (await alice.sync())[group]["epoch"]
    wire.forge({"op": "resumed", "mailbox": group, "epoch": epoch, "head": 2, "recovered": False})
    await one.reads("one", "two")
    assert receipt["seq"] == 2
    assert [frame["before"] for frame in wire.of("history")] == [1, 3]
