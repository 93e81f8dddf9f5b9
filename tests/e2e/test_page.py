"""The web page, in a real browser against the real system."""

import re
import time
from itertools import cycle

import pytest
from playwright.async_api import expect

from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Open, Party
from tests.e2e.page_scripts import CONTRASTS, COUNT_BUILT, HIDE, PRESS
from tests.e2e.page_tab import PHONE, Late, Tab, Wire
from tests.processes import System
from tests.records import FAST, unique
from tests.waiting import soon

KEPT = 500
"""What stays loaded of a conversation of which nobody reads the beginning."""


# Logging in


async def test_a_demo_user_logs_in_and_stays_over_a_reload(blank: Open, stack: System):
    tab = await blank()
    await tab.page.goto(stack.http)
    await tab.button("bob").click()
    await tab.connected()
    await tab.page.reload()
    await tab.connected()
    await expect(tab.page.locator("#me-name")).to_have_text("bob")


async def test_two_tabs_are_two_users(blank: Open, stack: System):
    alice, bob = await blank(), await blank()
    for tab, name in ((alice, "alice"), (bob, "bob")):
        await tab.page.goto(stack.http)
        await tab.button(name).click()
        await tab.connected()
        await expect(tab.page.locator("#me-name")).to_have_text(name)


async def test_without_the_demo_a_token_is_pasted(blank: Open, stack: System):
    tab = await blank()
    await tab.page.route("**/demo/users", lambda route: route.fulfill(status=404))
    await tab.page.goto(stack.http)
    field = tab.page.get_by_label("Access token")
    await field.fill("nonsense")
    await tab.button("Log in").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("names no user")
    user = unique("paster")
    await field.fill(stack.token(user))
    await tab.button("Log in").click()
    await tab.connected()
    await expect(tab.page.locator("#me-name")).to_have_text(user)
    assert all("404" in problem for problem in tab.problems)
    tab.problems.clear()


@pytest.mark.parametrize(("code", "notice"), [(4501, "does not accept"), (4502, "has expired")])
async def test_a_refused_token_leads_back_to_the_log_in(
    blank: Open, stack: System, code: int, notice: str
):
    tab = await blank()
    wire = await Wire().tap(tab)
    await tab.page.goto(stack.http)
    await tab.button("alice").click()
    await tab.connected()
    await wire.close(code)
    await expect(tab.page.get_by_role("alert")).to_contain_text(notice)
    await expect(tab.button("alice")).to_be_visible()
    assert len(wire.sockets) == 1


@pytest.mark.parametrize("ends", ["by itself", "on demand"])
async def test_what_was_written_outlives_a_log_in_that_ends_by_itself(
    blank: Open, stack: System, connect: Connect, ends: str
):
    bob = await connect("bob")
    group = unique("group:g")
    await bob.request("create", mailbox=group)
    await bob.request("join", mailbox=group, members=["alice"])
    tab = await blank()
    wire = await Wire().tap(tab)
    address = f"{stack.http}#{group}"
    await tab.page.goto(address)
    await tab.button("alice").click()
    await tab.composer.fill("Half a sen")
    await tab.page.reload()
    await expect(tab.composer).to_have_value("Half a sen")
    await tab.connected()
    if ends == "by itself":
        await wire.close(4502)
    else:
        await tab.button("Log out").click()
    await tab.button("alice").click()
    await tab.page.goto(address)
    await expect(tab.composer).to_have_value("Half a sen" if ends == "by itself" else "")


# Conversations


async def test_two_users_chat(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one, two = await tab(alice.user, group), await tab(bob.user, group)
    await one.say("Hello Bob")
    await two.reads("Hello Bob")
    await two.say("Hello Alice")
    for each in (one, two):
        await each.reads("Hello Bob", "Hello Alice")
    await expect(one.message("Hello Bob")).to_have_class(re.compile(r"\bown\b"))
    await expect(one.message("Hello Bob")).to_have_attribute("data-state", "sent")
    await expect(two.message("Hello Bob")).to_have_class(re.compile(r"\bother\b"))
    await expect(two.message("Hello Bob").locator(".author")).to_have_text(alice.user)


async def test_an_unread_badge_counts_and_clears(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one = await tab(alice.user)
    for number in range(3):
        await bob.send(group, {"text": f"news {number}"})
    badge = one.row(group).locator(".badge")
    await expect(badge).to_have_text(re.compile("^3"))
    await expect(one.row(group).locator(".row-last")).to_have_text(f"{bob.user}: news 2")
    await expect(one.page).to_have_title("(3) Readcast")
    await one.show(group)
    await expect(badge).to_have_count(0)
    await expect(one.page).to_have_title("Readcast")

    async def is_read() -> bool:
        return await alice.unread(group) == 0

    await soon(is_read, "the cursor reaches the head")


async def test_a_row_that_changes_during_a_press_is_clicked(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one = await tab(alice.user)
    await one.row(group).locator(".row-last").hover()
    await one.page.mouse.down()
    await bob.send(group, {"text": "news"})
    await expect(one.row(group).locator(".row-last")).to_have_text(f"{bob.user}: news")
    await one.page.mouse.up()
    await one.reads("news")


async def test_what_was_said_before_one_came_is_not_unread(
    blank: Open, party: Party, stack: System
):
    group, bob = await party("bob")
    for text in ("one", "two"):
        await bob.send(group, {"text": text})
    one, alice = await blank(), unique("alice")
    wire = await Late("sync", passing=1).tap(one)
    await one.log_in(alice, stack.token(alice))
    await bob.request("join", mailbox=group, members=[alice])
    badge = one.row(group).locator(".badge")
    await expect(one.row(group)).to_be_visible()
    await expect(badge).to_have_count(0)
    wire.release()
    await expect(one.row(group)).to_contain_text("two")
    await bob.send(group, {"text": "three"})
    await expect(badge).to_have_text(re.compile("^1"))


async def test_a_line_marks_where_the_unread_begin(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "known"})
    await alice.request("read", mailbox=group, seq=1)
    one = await tab(alice.user)
    for text in ("fresh", "fresher"):
        await bob.send(group, {"text": text})
    await expect(one.row(group).locator(".badge")).to_have_text(re.compile("^2"))
    await one.show(group)
    await expect(one.texts).to_have_count(3)
    lines = one.page.locator("#messages > li")
    await expect(lines.nth(1)).to_contain_text("known")
    await expect(lines.nth(2)).to_have_text("New messages")
    await expect(lines.nth(3)).to_contain_text("fresh")


async def test_own_messages_are_not_unread(tab: Open, party: Party):
    group, alice, _ = await party("alice", "bob")
    one = await tab(alice.user)
    await alice.send(group, {"text": "from my phone"})
    await expect(one.row(group).locator(".row-last")).to_have_text("You: from my phone")
    await expect(one.row(group).locator(".badge")).to_have_count(0)


async def test_a_message_is_not_read_while_the_reader_is_scrolled_up(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob", **FAST)
    for number in range(60):
        await bob.send(group, {"text": f"line {number}"})
    one = await tab(alice.user, group)
    await expect(one.texts.last).to_have_text("line 59")
    await expect(one.row(group).locator(".badge")).to_have_count(0)
    scroll = one.page.locator("#scroll")
    await scroll.evaluate("element => { element.scrollTop = 900; }")
    await expect(one.button("Latest")).to_be_visible()
    place = await scroll.evaluate("element => element.scrollTop")
    await bob.send(group, {"text": "the latest"})
    await expect(one.button("1 new message")).to_be_visible()
    await expect(one.row(group).locator(".badge")).to_have_text(re.compile("^1"))
    assert await scroll.evaluate("element => element.scrollTop") == place
    await one.button("1 new message").click()
    await expect(one.message("the latest")).to_be_in_viewport()
    await expect(one.row(group).locator(".badge")).to_have_count(0)


async def test_history_loads_while_scrolling_up_and_a_reload_keeps_the_order(
    tab: Open, party: Party
):
    group, alice, bob = await party("alice", "bob", **FAST)
    lines = [f"line {number}" for number in range(130)]
    for line in lines:
        await bob.send(group, {"text": line})
    one = await tab(alice.user, group)
    for _ in range(2):
        await expect(one.texts.last).to_have_text(lines[-1])
        await scroll_to_the_beginning(one)
        await one.reads(*lines)
        await one.page.reload()
    await expect(one.page.locator("#thread-title")).to_have_text(group.removeprefix("group:"))


async def scroll_to_the_beginning(tab: Tab) -> None:
    begins = tab.page.get_by_text("The beginning of this conversation")

    async def begun() -> bool:
        await tab.page.locator("#scroll").evaluate("element => { element.scrollTop = 0; }")
        return await begins.is_visible()

    await soon(begun, "the beginning is loaded")


async def test_what_loads_while_one_jumps_to_the_end_leaves_no_hole(tapped: Open, party: Party):
    group, alice, *others = await party("alice", "bob", "carol", "dave", **FAST)
    lines = await fill(group, others, KEPT + 200)
    wire = Late("history", passing=12)
    one = await tapped(wire, alice.user, group)
    scroll = one.page.locator("#scroll")

    async def asks() -> bool:
        await scroll.evaluate("element => { element.scrollTop = 0; }")
        return bool(wire.held)

    await soon(asks, "another page is on its way")
    assert await one.texts.count() > KEPT
    await one.page.locator("#pill").click()
    await expect(one.message(lines[-1])).to_be_in_viewport()
    await scroll.evaluate("element => { element.scrollTop -= 300; }")
    await expect(one.page.locator("#pill")).to_be_visible()
    wire.release()
    await scroll_to_the_beginning(one)
    await one.reads(*lines)


async def test_a_conversation_holds_no_more_than_it_may_after_one_has_left_it(
    tab: Open, party: Party
):
    group, alice, *others = await party("alice", "bob", "carol", "dave", **FAST)
    one = await tab(alice.user, group)
    await expect(one.page.get_by_text("Say hello")).to_be_visible()
    await one.page.evaluate("location.hash = ''")
    await expect(one.composer).to_be_hidden()
    *_, last = await fill(group, others, KEPT + 50)
    await expect(one.row(group).locator(".row-last")).to_contain_text(last)
    await one.page.evaluate(COUNT_BUILT)
    await one.show(group)
    await expect(one.texts.last).to_have_text(last)
    await expect(one.texts).to_have_count(KEPT)
    # Each message, and the day.
    assert await one.page.evaluate("built") <= KEPT + 1


async def test_a_page_that_nobody_sees_holds_no_more_of_a_conversation_than_it_may(
    tab: Open, party: Party
):
    group, alice, *others = await party("alice", "bob", "carol", "dave", **FAST)
    one = await tab(alice.user, group)
    await expect(one.page.get_by_text("Say hello")).to_be_visible()
    await one.page.evaluate(HIDE)
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    *_, last = await fill(group, others, KEPT + 50)
    await one.context.set_offline(False)
    await expect(one.texts.last).to_have_text(last)
    await expect(one.texts).to_have_count(KEPT)


async def fill(group: str, senders: list[Client], count: int) -> list[str]:
    """Send messages, by turns: one user may send only so many frames a second; returns the texts."""
    lines = [f"line {number}" for number in range(count)]
    for line, sender in zip(lines, cycle(senders), strict=False):
        await sender.send(group, {"text": line})
    return lines


async def test_a_recall_is_seen_by_the_other(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one, two = await tab(alice.user, group), await tab(bob.user, group)
    await two.say("Oops")
    await two.say("Fine")
    await one.reads("Oops", "Fine")
    await two.message("Oops").hover()
    await two.message("Oops").get_by_role("button", name="Recall message").click()
    await two.button("Recall").click()
    for each in (one, two):
        await each.reads("Message recalled", "Fine")
    await one.page.reload()
    await one.reads("Message recalled", "Fine")


async def test_a_message_recalled_meanwhile_is_recalled_on_return(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one = await tab(alice.user, group)
    await bob.send(group, {"text": "Oops"})
    await one.reads("Oops")
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    await bob.request("recall", mailbox=group, seq=1)
    await one.context.set_offline(False)
    await one.reads("Message recalled")


async def test_markup_stays_text_and_addresses_become_links(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    one = await tab(alice.user, group)
    evil = '<img src=x onerror="document.title=1"><b>bold</b> javascript:alert(1)'
    await bob.send(group, {"text": evil})
    await bob.send(group, {"text": "See https://example.org/a?b=1&c=2."})
    await one.reads(evil, "See https://example.org/a?b=1&c=2.")
    assert await one.page.locator(".text img, .text b").count() == 0
    links = one.page.locator(".text a")
    await expect(links).to_have_count(1)
    await expect(links).to_have_attribute("href", "https://example.org/a?b=1&c=2")
    await expect(links).to_have_attribute("rel", "noopener noreferrer")


@pytest.mark.parametrize("body", [None, 7, "plain", {"text": 5}, [1]])
async def test_a_body_of_any_shape_is_shown(tab: Open, party: Party, body: object):
    group, alice, bob = await party("alice", "bob")
    one = await tab(alice.user, group)
    await bob.send(group, body)
    await bob.send(group, {"text": "after"})
    await expect(one.texts.last).to_have_text("after")
    await expect(one.texts).to_have_count(2)


async def test_a_text_from_right_to_left_stands_so_and_its_author_does_not(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "שלום לכולם!"})
    one = await tab(alice.user, group)
    bubble = one.page.locator(".bubble")
    await expect(bubble).to_have_css("direction", "rtl")
    await expect(bubble.locator(".author")).to_have_css("direction", "ltr")


# Starting, joining and leaving


async def test_a_direct_chat_begins_with_its_first_message(tab: Open):
    alice, bob = unique("alice"), unique("bob")
    one, two = await tab(alice), await tab(bob)
    await one.button("New conversation").click()
    await one.page.get_by_role("textbox", name="User name").fill(bob)
    await one.page.keyboard.press("Enter")
    await one.say("Are you there?")
    await one.reads("Are you there?")
    await two.page.locator("#list a").click()
    await two.reads("Are you there?")
    await expect(two.page.locator("#list .row-last")).to_have_text("Are you there?")
    await two.say("Yes")
    await expect(two.page.locator("#list .row-last")).to_have_text("You: Yes")
    await one.reads("Are you there?", "Yes")
    await one.page.reload()
    await one.reads("Are you there?", "Yes")


async def test_a_group_is_made_extended_and_left(tab: Open):
    alice, bob, carol = unique("alice"), unique("bob"), unique("carol")
    name = unique("crew")
    one, two, three = await tab(alice), await tab(bob), await tab(carol)
    await one.button("New conversation").click()
    await one.page.get_by_text("New group").click()
    await one.page.get_by_label("Group name").fill(name)
    await one.page.get_by_role("textbox", name="Members").fill(bob)
    await one.button("Create").click()
    await expect(one.page.locator("#thread-subtitle")).to_have_text("2 members")
    await one.say("Welcome")
    await two.show(f"group:{name}")
    await two.reads("Welcome")
    await one.button("Members").click()
    await one.page.get_by_placeholder("User name").fill(carol)
    await one.button("Add").click()
    await expect(one.page.locator("#people-list li")).to_have_count(3)
    await expect(three.row(f"group:{name}")).to_be_visible()
    await two.button("Members").click()
    await two.button("Leave group").click()
    await two.button("Leave").click()
    await expect(two.row(f"group:{name}")).to_have_count(0)
    await expect(two.page.get_by_text("Pick a conversation.")).to_be_visible()


async def test_more_members_are_shown_on_demand_each_once(tab: Open, party: Party):
    group, alice = await party("alice")
    names = [f"member-{number:03}" for number in range(120)]
    await alice.request("join", mailbox=group, members=names)
    one = await tab(alice.user, group)
    await one.button("Members").click()
    listed = one.page.locator("#people-list li > span:not(.avatar, .rank)")
    await expect(listed).to_have_count(100)
    await one.button("Show more").dblclick()
    await expect(listed).to_have_text(sorted([alice.user, *names]))
    await expect(one.button("Show more")).to_be_hidden()


async def test_an_open_group_is_joined_by_its_name(tab: Open, party: Party):
    group, alice = await party("alice", join="open")
    await alice.send(group, {"text": "Anybody?"})
    one = await tab(unique("newcomer"))
    await one.button("New conversation").click()
    await one.page.get_by_text("Join group").click()
    await one.page.get_by_label("Group name").fill(unique("nowhere"))
    await one.button("Join").click()
    await expect(one.page.locator("#new-error")).to_have_text("There is no group of this name.")
    await one.page.get_by_label("Group name").fill(group.removeprefix("group:"))
    await one.button("Join").click()
    await one.say("Me")
    await expect(one.texts.last).to_have_text("Me")


async def test_a_group_whose_name_is_taken_is_not_made(tab: Open, party: Party):
    group, _ = await party("alice")
    one = await tab(unique("newcomer"))
    await one.button("New conversation").click()
    await one.page.get_by_text("New group").click()
    await one.page.get_by_label("Group name").fill(group.removeprefix("group:"))
    await one.button("Create").click()
    await expect(one.page.locator("#new-error")).to_contain_text("choose another name")


# Screens and keys


async def test_a_narrow_screen_shows_the_list_or_the_conversation(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "A long word: " + "x" * 300})
    one = await tab(alice.user, **PHONE)
    assert await one.width() == 360
    await expect(one.composer).to_be_hidden()
    await one.row(group).tap()
    await expect(one.row(group)).to_be_hidden()
    await one.say("And " + "y" * 200)
    await expect(one.texts).to_have_count(2)
    assert await one.width() == 360
    await one.button("Back to conversations").tap()
    await expect(one.row(group)).to_be_visible()
    await expect(one.composer).to_be_hidden()


async def test_everything_works_by_keyboard(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "Hi"})
    one = await tab(alice.user)
    await expect(one.row(group)).to_be_visible()
    press = one.page.keyboard.press
    for _ in range(3):
        await press("Tab")
    await expect(one.row(group)).to_be_focused()
    await press("Enter")
    await expect(one.composer).to_be_focused()
    await one.page.keyboard.type("First line")
    await press("Shift+Enter")
    await one.page.keyboard.type("second line")
    await press("Enter")
    await one.reads("Hi", "First line\nsecond line")
    await expect(one.message("First line")).to_have_attribute("data-state", "sent")
    await press("Shift+Tab")
    await expect(one.message("First line").locator(".recall")).to_be_focused()
    await press("Enter")
    await press("Tab")
    await expect(one.button("Recall")).to_be_focused()
    await press("Enter")
    await one.reads("Hi", "Message recalled")
    await expect(one.page.get_by_role("region", name="Messages")).to_be_focused()
    await press("Escape")
    await expect(one.row(group)).to_be_focused()
    await expect(one.composer).to_be_hidden()


async def test_keys_for_an_input_method_do_nothing_else(tab: Open, party: Party):
    group, alice, _ = await party("alice", "bob")
    one = await tab(alice.user, group)
    await one.composer.fill("かな")
    for key in (
        {"key": "Enter", "isComposing": True},
        {"key": "Enter", "keyCode": 229},
        {"key": "Escape", "isComposing": True},
    ):
        await one.composer.evaluate(PRESS, {"bubbles": True, **key})
    await expect(one.composer).to_be_visible()
    await expect(one.composer).to_have_value("かな")
    await expect(one.texts).to_have_count(0)


async def test_only_a_click_beside_a_dialog_closes_it(tab: Open):
    one = await tab(unique("alice"))
    dialog, mouse = one.page.locator("#new-dialog"), one.page.mouse
    await one.button("New conversation").click()
    box = await dialog.bounding_box()
    await mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    await expect(dialog).to_be_visible()
    name = one.page.locator("#new-name")
    await name.fill("bob")
    await name.hover()
    await mouse.down()
    await mouse.move(box["x"] - 20, box["y"] + 40)
    await mouse.up()
    await expect(dialog).to_be_visible()
    await mouse.click(box["x"] - 20, box["y"] + 40)
    await expect(dialog).to_be_hidden()


async def test_a_malformed_address_leads_to_the_list(tab: Open, party: Party):
    group, alice, _ = await party("alice", "bob")
    one = await tab(alice.user, group)
    await one.page.evaluate("location.hash = '#100%'")
    await expect(one.composer).to_be_hidden()
    await one.page.reload()
    await expect(one.row(group)).to_be_visible()


async def test_a_page_left_open_over_night_says_yesterday(tab: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "Good night"})
    one = await tab(alice.user)
    at = one.row(group).locator(".row-time")
    await expect(at).to_have_text(re.compile(":"))
    await one.page.clock.install(time=time.time())
    await one.page.reload()
    await expect(at).to_have_text(re.compile(":"))
    await one.page.clock.set_system_time(time.time() + 86_400)
    await one.page.clock.run_for(16_000)
    await expect(at).to_have_text("Yesterday")


async def test_who_leaves_a_group_finds_the_focus_in_the_list(tab: Open, party: Party):
    group, _, bob = await party("alice", "bob")
    other = unique("group:h")
    await bob.request("create", mailbox=other)
    one = await tab(bob.user, group)
    await one.button("Members").click()
    await one.button("Leave group").click()
    await one.button("Leave").click()
    await expect(one.row(group)).to_have_count(0)
    await expect(one.row(other)).to_be_focused()


async def test_new_messages_and_the_connection_are_announced(tapped: Open, party: Party):
    group, alice, bob = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await bob.send(group, {"text": "Listen"})
    live = one.page.locator("[aria-live=polite]")
    await expect(live).to_have_text(f"{bob.user}: Listen")
    await wire.close(1012)
    await expect(live).to_have_text(re.compile("Connect"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_enough_contrast(tab: Open, party: Party, scheme: str):
    group, alice, bob = await party("alice", "bob")
    await bob.send(group, {"text": "See https://example.org"})
    await alice.send(group, {"text": "Seen https://example.org"})
    one = await tab(alice.user, group, color_scheme=scheme, reduced_motion="reduce")
    await expect(one.texts).to_have_count(2)
    pale = await one.page.evaluate(CONTRASTS)
    assert {what: ratio for what, ratio in pale.items() if ratio < 4.5} == {}
