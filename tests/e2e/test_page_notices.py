"""Public notices on the web page: shown once, found again, gone when withdrawn."""

import re
import time
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Open, Party
from tests.e2e.page_scripts import CONTRASTS
from tests.e2e.page_tab import PHONE, Tab, Wire
from tests.records import new_id, unique
from tests.waiting import soon


async def publish(operator: Client, *users: str, **fields: Any) -> dict[str, Any]:
    """Publish to these users alone; returns the receipt."""
    notice = {"title": "Good news", "body": {"text": "All is well"}, "expires": 0}
    release = {"percent": 0, "users": users}
    more = {"mailbox": unique("public:news"), "priority": "normal", "audience": None, **fields}
    return await operator.request("publish", id=new_id(), release=release, **{**notice, **more})


def cards(tab: Tab) -> Locator:
    return tab.page.locator(".cards .card")


def items(tab: Tab) -> Locator:
    return tab.page.locator("#notices-list > li")


def badge(tab: Tab) -> Locator:
    return tab.row("notices").locator(".badge")


async def test_a_notice_is_shown_once_and_found_again(tapped: Open, operate: Connect, party: Party):
    group, alice, _ = await party("alice", "bob")
    wire = Wire()
    one = await tapped(wire, alice.user, group)
    await expect(one.composer).to_be_focused()
    receipt = await publish(await operate(), alice.user)
    await expect(cards(one)).to_contain_text("Good news")
    await expect(one.composer).to_be_focused()
    await expect(one.page.locator("[aria-live=polite]")).to_have_text(re.compile("Good news"))
    await expect(badge(one)).to_have_text(re.compile("^1"))

    await one.page.reload()
    await expect(badge(one)).to_have_text(re.compile("^1"))
    notice = {name: receipt[name] for name in ("mailbox", "publish", "entry", "ts")}
    rest = {"title": "Good news", "body": {"text": "All is well"}, "expires": 0}
    wire.forge(
        {"op": "notice", **notice, **rest, "priority": "normal", "again": True}, {"op": "pong"}
    )
    await one.row("notices").click()
    await expect(items(one)).to_have_count(1)
    await expect(cards(one)).to_have_count(0)

    await one.button(re.compile("^Good news")).click()
    await expect(items(one)).to_contain_text("All is well")
    await expect(badge(one)).to_have_count(0)
    await one.page.reload()
    await expect(items(one)).to_have_count(1)
    await expect(badge(one)).to_have_count(0)


async def test_a_card_leads_to_the_notice_and_counts_as_opened(tab: Open, operate: Connect):
    alice = unique("alice")
    one = await tab(alice)
    text = "\n".join(f"line {number}" for number in range(12))
    await publish(await operate(), alice, body={"text": text})
    await cards(one).get_by_role("button", name="Open").click()
    await expect(cards(one)).to_have_count(0)
    await expect(items(one)).to_contain_text("line 11")
    await expect(one.page.get_by_role("button", expanded=True)).to_be_focused()
    await expect(badge(one)).to_have_count(0)


async def test_what_one_device_opens_is_opened_on_the_others(tab: Open, operate: Connect):
    alice = unique("alice")
    one, two, three = await tab(alice), await tab(alice), await tab(alice)
    await publish(await operate(), alice)
    for each in (one, two, three):
        await expect(cards(each)).to_have_count(1)
    await three.row("notices").click()
    await expect(items(three).get_by_role("img", name="not opened")).to_have_count(1)
    await cards(one).get_by_role("button", name="Open").click()
    for each in (one, two, three):
        await expect(cards(each)).to_have_count(0)
        await expect(badge(each)).to_have_count(0)
    await expect(items(three).get_by_role("img", name="not opened")).to_have_count(0)


async def test_a_dismissed_card_makes_room_for_the_next(tab: Open, operate: Connect):
    alice = unique("alice")
    one, operator = await tab(alice), await operate()
    for number in range(3):
        await publish(operator, alice, title=f"Number {number}")
    await expect(badge(one)).to_have_text(re.compile("^3"))
    await expect(cards(one).locator("h3")).to_have_text(["Number 0", "Number 1"])
    await cards(one).first.get_by_role("button", name="Dismiss").focus()
    await one.page.keyboard.press("Escape")
    await expect(cards(one).locator("h3")).to_have_text(["Number 1", "Number 2"])
    await expect(cards(one).first.get_by_role("button", name="Dismiss")).to_be_focused()
    await expect(badge(one)).to_have_text(re.compile("^3"))


async def test_a_phone_shows_one_card_and_the_way_to_the_others(tab: Open, operate: Connect):
    alice = unique("alice")
    one, operator = await tab(alice, **PHONE), await operate()
    for number in range(3):
        await publish(operator, alice, title=f"Number {number}")
    await expect(badge(one)).to_have_text(re.compile("^3"))
    await expect(cards(one).locator("h3")).to_have_text(["Number 0"])
    await expect(one.button("2 more")).to_be_visible()
    await one.button("Dismiss").tap()
    await expect(cards(one).locator("h3")).to_have_text(["Number 1"])
    await one.button("1 more").tap()
    await expect(items(one)).to_have_count(3)
    await expect(cards(one)).to_have_count(0)


async def test_the_text_of_a_card_has_its_whole_width(tab: Open, operate: Connect):
    alice = unique("alice")
    one = await tab(alice)
    await publish(await operate(), alice, body={"text": "y" * 400})
    words = await cards(one).locator(".card-words").bounding_box()
    dismiss = await one.button("Dismiss").bounding_box()
    assert words["x"] + words["width"] > dismiss["x"] + dismiss["width"] / 2
    assert words["y"] >= dismiss["y"] + dismiss["height"]


async def test_no_card_covers_the_list_of_notices(tab: Open, operate: Connect):
    alice = unique("alice")
    one, operator = await tab(alice), await operate()
    await publish(operator, alice, title="First")
    await one.row("notices").click()
    await expect(items(one)).to_have_count(1)
    await publish(operator, alice, title="Second")
    await expect(items(one)).to_have_count(2)
    await expect(cards(one)).to_have_count(0)
    await expect(one.page.locator("[aria-live=polite]")).to_have_text(re.compile("Second"))


async def test_a_withdrawn_notice_vanishes_from_card_and_list(tab: Open, operate: Connect):
    alice = unique("alice")
    one, two, operator = await tab(alice), await tab(alice), await operate()
    receipt = await publish(operator, alice)
    await expect(cards(one)).to_have_count(1)
    await expect(cards(two)).to_have_count(1)
    await two.row("notices").click()
    await expect(items(two)).to_have_count(1)
    where = {"mailbox": receipt["mailbox"], "publish": receipt["publish"]}
    await operator.request("withdraw", id=new_id(), expect=receipt["entry"], **where)
    for each in (one, two):
        await expect(cards(each)).to_have_count(0)
        await expect(each.row("notices")).to_have_count(0)
    await expect(items(two)).to_have_count(0)


async def test_a_notice_withdrawn_meanwhile_is_gone_on_return(tab: Open, operate: Connect):
    alice = unique("alice")
    one, operator = await tab(alice), await operate()
    receipt = await publish(operator, alice)
    await expect(cards(one)).to_have_count(1)
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    where = {"mailbox": receipt["mailbox"], "publish": receipt["publish"]}
    await operator.request("withdraw", id=new_id(), expect=receipt["entry"], **where)
    await one.context.set_offline(False)
    await expect(cards(one)).to_have_count(0)


async def test_an_expired_notice_vanishes(tab: Open, operate: Connect):
    alice = unique("alice")
    one, operator = await tab(alice), await operate()
    await publish(operator, alice, expires=int(time.time() * 1000) + 4_000)
    await expect(cards(one)).to_have_count(1)
    await expect(cards(one)).to_have_count(0)
    await expect(one.row("notices")).to_have_count(0)


async def test_what_expired_unseen_counts_no_more_once_the_list_is_seen(
    tab: Open, connect: Connect, operate: Connect
):
    alice, operator = unique("alice"), await operate()
    elsewhere = await connect(alice)
    await elsewhere.sync()
    mailbox, ends = unique("public:news"), time.time() + 8
    await publish(operator, alice, mailbox=mailbox, title="Short", expires=int(ends * 1_000))
    await publish(operator, alice, mailbox=mailbox, title="Long")
    await elsewhere.expect("notice", title="Long")
    one = await tab(alice)
    await expect(badge(one)).to_have_text(re.compile("^2"))

    async def over() -> bool:
        return time.time() > ends

    await soon(over, "the end of the short one")
    await expect(badge(one)).to_have_text(re.compile("^2"))
    await one.row("notices").click()
    await expect(items(one)).to_have_count(1)
    await expect(badge(one)).to_have_text(re.compile("^1"))


async def test_a_list_asked_for_without_a_network_comes_on_return(tab: Open, operate: Connect):
    alice = unique("alice")
    one = await tab(alice)
    await publish(await operate(), alice)
    await one.button("Dismiss").click()
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    await one.row("notices").click()
    await expect(one.page.locator("#notices")).to_be_visible()
    await one.context.set_offline(False)
    await expect(items(one)).to_have_count(1)


async def test_earlier_notices_are_loaded_on_demand(tab: Open, operate: Connect):
    alice, operator = unique("alice"), await operate()
    mailbox = unique("public:news")
    titles = [f"Number {number}" for number in range(25)]
    for title in titles:
        await publish(operator, alice, mailbox=mailbox, title=title)
    one = await tab(alice)
    await expect(badge(one)).to_have_text(re.compile("^25"))
    await one.row("notices").click()
    await expect(items(one)).to_have_count(20)
    await one.button("Show earlier notices").click()
    await expect(items(one)).to_have_count(25)
    await expect(items(one).locator(".item-title")).to_have_text(titles[::-1])
    await expect(one.button("Show earlier notices")).to_be_hidden()


async def test_markup_in_a_notice_stays_text_and_only_safe_links_are_links(
    tab: Open, operate: Connect
):
    alice = unique("alice")
    one, operator = await tab(alice), await operate()
    evil = '<img src=x onerror="document.title=1"><b>bold</b>'
    await publish(operator, alice, title=evil, body={"text": evil, "link": "javascript:alert(1)"})
    await expect(cards(one).locator("h3")).to_have_text(evil)
    await expect(cards(one).locator(".card-words")).to_have_text(evil)
    await expect(cards(one).locator("img, b, a")).to_have_count(0)
    await one.button("Dismiss").click()
    await publish(operator, alice, body={"text": "See", "link": "https://example.org/a"})
    link = cards(one).get_by_role("link", name="example.org")
    await expect(link).to_have_attribute("href", "https://example.org/a")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_a_card_fits_a_narrow_screen(tab: Open, operate: Connect):
    alice = unique("alice")
    one = await tab(alice, **PHONE)
    await publish(await operate(), alice, title="T" * 150, body={"text": "y" * 400})
    await expect(cards(one)).to_have_count(1)
    assert await one.width() == 360
    await one.button("Dismiss").tap()
    await one.row("notices").tap()
    await items(one).get_by_role("button").tap()
    assert await one.width() == 360
    await one.button("Back to conversations").tap()
    await expect(one.row("notices")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_notices_have_enough_contrast(tab: Open, operate: Connect, scheme: str):
    alice = unique("alice")
    one = await tab(alice, color_scheme=scheme, reduced_motion="reduce")
    body = {"text": "See", "link": "https://example.org"}
    await publish(await operate(), alice, priority="urgent", body=body)
    await expect(cards(one)).to_have_count(1)
    pale = await one.page.evaluate(CONTRASTS)
    await one.row("notices").click()
    await expect(items(one)).to_have_count(1)
    pale |= await one.page.evaluate(CONTRASTS)
    assert {what: ratio for what, ratio in pale.items() if ratio < 4.5} == {}
