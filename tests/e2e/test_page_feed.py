"""The feed on the web page: posts of whom one follows, and one's own."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from streams.feeds.order import parse_id, place
from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Open
from tests.e2e.page_scripts import CONTRASTS, LATE_OBSERVERS
from tests.e2e.page_tab import PHONE, Tab
from tests.processes import System
from tests.records import new_id, unique
from tests.waiting import soon


async def post(author: Client, text: str, **more: Any) -> str:
    """Post; returns the id of the post."""
    receipt = await author.request("post", id=new_id(), body={"text": text}, **more)
    return str(receipt["post"])


async def authors_of(connect: Connect, reader: str, *labels: str) -> list[Client]:
    """New authors whom a reader follows."""
    session = await connect(reader)
    authors = [await connect(unique(label)) for label in labels]
    for author in authors:
        await session.request("follow", author=author.user)
    return authors


async def look(one: Tab) -> Tab:
    """Turn to the feed."""
    await one.page.get_by_role("link", name="Feed").last.click()
    await expect(one.page.locator("#feed")).to_be_visible()
    return one


def posts(one: Tab) -> Locator:
    return one.page.locator(".post:visible")


def texts(one: Tab) -> Locator:
    return one.page.locator(".post:visible .text")


def pill(one: Tab) -> Locator:
    return one.page.locator("#feed-pill")


async def ids(one: Tab) -> list[str]:
    """The posts on the screen, from the top on."""
    return await posts(one).evaluate_all("posts => posts.map(post => post.dataset.key)")


def newest_first(found: Iterable[str]) -> list[str]:
    return sorted(found, key=lambda post: place(parse_id(post)))


async def scroll_to_the_oldest(one: Tab) -> None:
    scroll = one.page.locator(".scroll:visible")
    oldest = one.page.get_by_text("That was the oldest post.").locator("visible=true")

    async def reached() -> bool:
        await scroll.evaluate("element => { element.scrollTop = element.scrollHeight; }")
        return await oldest.count() == 1

    await soon(reached, "the oldest post is loaded")


async def test_whom_one_follows_by_name_comes_into_the_feed(tab: Open, connect: Connect):
    nora = await connect(unique("nora"))
    for number in range(3):
        await post(nora, f"post {number}")
    one = await look(await tab(unique("alice")))
    await expect(one.page.get_by_text("Nothing here yet.")).to_be_visible()
    await one.button("Follow somebody").click()
    await one.page.get_by_role("textbox", name="User name").fill(nora.user)
    await one.page.keyboard.press("Enter")
    await expect(texts(one)).to_have_text(["post 2", "post 1", "post 0"])
    await one.page.reload()
    await expect(texts(one)).to_have_text(["post 2", "post 1", "post 0"])


async def test_the_feed_is_scrolled_to_the_oldest_post_with_none_missing_or_doubled(
    tab: Open, connect: Connect
):
    alice = unique("alice")
    authors = await authors_of(connect, alice, "nora", "omar", "pia")
    sent = [await post(author, f"post {n}") for n in range(30) for author in authors]
    one = await look(await tab(alice))
    await scroll_to_the_oldest(one)
    assert await ids(one) == newest_first(sent)


async def test_a_busy_browser_scrolls_to_the_oldest_post_as_well(
    blank: Open, connect: Connect, stack: System
):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    sent = [await post(nora, f"post {n}") for n in range(70)]
    one = await blank()
    await one.page.add_init_script(LATE_OBSERVERS)
    await look(await one.log_in(alice, stack.token(alice)))
    await scroll_to_the_oldest(one)
    assert await ids(one) == newest_first(sent)


async def test_new_posts_wait_behind_a_pill_and_move_nothing(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    for number in range(30):
        await post(nora, f"post {number}")
    one = await look(await tab(alice))
    reading = posts(one).filter(has_text=re.compile(r"post 15$"))
    await reading.evaluate("post => post.scrollIntoView()")
    before = await reading.bounding_box()
    shown = await ids(one)
    await post(nora, "fresh")
    await expect(pill(one)).to_have_text("1 new post")
    await post(nora, "fresher")
    await expect(pill(one)).to_have_text("2 new posts")
    assert (await ids(one))[: len(shown)] == shown
    assert await reading.bounding_box() == before
    await pill(one).click()
    await expect(texts(one).first).to_have_text("fresher")
    await expect(texts(one).nth(1)).to_have_text("fresh")
    await expect(posts(one).first).to_be_in_viewport()
    await expect(pill(one)).to_be_hidden()


async def test_new_posts_are_marked_while_one_chats(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    await post(nora, "old")
    one = await look(await tab(alice))
    await expect(texts(one)).to_have_text(["old"])
    await one.page.get_by_role("link", name="Chats").click()
    await post(nora, "fresh")
    await expect(one.page.get_by_role("img", name="1 new post")).to_be_visible()
    await expect(one.page.locator("[aria-live=polite]")).to_have_text("1 new post")


async def test_live_posts_come_first_where_one_asks_for_that(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    states = {"a": "ended", "b": "live", "c": None, "d": "replay", "e": "live"}
    sent = [await post(nora, text, state=state) for text, state in states.items()]
    one = await look(await tab(alice))
    await expect(texts(one)).to_have_text(["e", "d", "c", "b", "a"])
    await one.page.get_by_text("Live first").click()
    await expect(texts(one)).to_have_text(["e", "b", "d", "a", "c"])
    await expect(posts(one).first.locator(".post-state")).to_have_text("Live")
    await nora.request("state", post=sent[0], state="live")
    await expect(pill(one)).to_have_text("The order has changed")
    await expect(texts(one)).to_have_text(["e", "b", "d", "a", "c"])
    await pill(one).click()
    await expect(texts(one)).to_have_text(["e", "b", "a", "d", "c"])
    await expect(pill(one)).to_be_hidden()
    await one.page.get_by_text("Newest", exact=True).click()
    await expect(texts(one)).to_have_text(["e", "d", "c", "b", "a"])


async def test_the_order_by_state_is_scrolled_to_its_end(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    sent = [await post(nora, f"{n}", state=None if n % 2 else "live") for n in range(50)]
    one = await look(await tab(alice))
    await one.page.get_by_text("Live first").click()
    await expect(texts(one).first).to_have_text("48")
    await scroll_to_the_oldest(one)
    assert await ids(one) == sent[-2::-2] + sent[::-2]


async def test_a_forgotten_order_is_made_anew(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    for number in range(50):
        await post(nora, f"{number}", state=None if number % 2 else "live")
    one = await look(await tab(alice))
    await one.page.get_by_text("Live first").click()
    await expect(texts(one).first).to_have_text("48")
    elsewhere = await connect(alice)
    for _ in range(12):
        await elsewhere.request("feed", order="state")
    await posts(one).last.scroll_into_view_if_needed()
    await expect(one.page.get_by_role("status")).to_have_text("The order has been made anew.")
    await scroll_to_the_oldest(one)
    await expect(posts(one)).to_have_count(50)


async def test_what_others_change_changes_on_the_screen(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    gone, changed, kept = [await post(nora, text) for text in ("gone", "draft", "kept")]
    one = await look(await tab(alice))
    await expect(texts(one)).to_have_text(["kept", "draft", "gone"])
    await nora.request("edit", post=changed, body={"text": "final"})
    await expect(texts(one)).to_have_text(["kept", "final", "gone"])
    await expect(posts(one).nth(1)).to_contain_text("edited")
    await nora.request("state", post=kept, state="live")
    await expect(posts(one).first.locator(".post-state")).to_have_text("Live")
    await nora.request("state", post=kept, state=None)
    await expect(posts(one).first.locator(".post-state")).to_have_count(0)
    await nora.request("delete", post=gone)
    await expect(texts(one)).to_have_text(["kept", "final"])
    await expect(pill(one)).to_be_hidden()


async def test_the_feed_is_found_where_it_was_left(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    for number in range(15):
        await post(nora, f"post {number}")
    one = await look(await tab(alice))
    await expect(posts(one)).to_have_count(15)
    scroll = one.page.locator("#feed-scroll")
    await scroll.evaluate("element => { element.scrollTop = 400; }")
    await posts(one).nth(5).get_by_role("link", name=nora.user).click()
    await expect(one.button("Unfollow")).to_be_visible()
    await one.button("Back to the feed").click()
    await expect(posts(one)).to_have_count(15)
    assert await scroll.evaluate("element => element.scrollTop") == 400


# One's own posts


async def test_an_own_post_is_written_marked_edited_and_deleted(tab: Open, connect: Connect):
    alice, bob = unique("alice"), unique("bob")
    reader = await connect(bob)
    await reader.request("follow", author=alice)
    one, two = await look(await tab(alice)), await look(await tab(bob))
    await expect(two.page.get_by_text("Nothing here yet.")).to_be_visible()
    await one.page.get_by_role("textbox", name="Post").fill("First\nsecond line")
    await one.page.get_by_label("State", exact=True).select_option("Live")
    await one.button("Post").click()
    await expect(one.page.get_by_role("status")).to_contain_text("on your page")
    await pill(two).click()
    await expect(texts(two)).to_have_text(["First\nsecond line"])
    await expect(posts(two).locator(".post-state")).to_have_text("Live")
    await expect(posts(two).get_by_role("button")).to_have_count(0)

    await one.page.get_by_role("link", name="Your page").first.click()
    await posts(one).get_by_role("button", name="Edit").click()
    await one.page.get_by_role("textbox", name="Text of the post").fill("Changed")
    await one.page.keyboard.press("Control+Enter")
    state = posts(one).get_by_label("State of the post")
    await state.focus()
    await state.select_option("Ended")
    for each in (one, two):
        await expect(texts(each)).to_have_text(["Changed"])
        await expect(posts(each).locator(".post-state")).to_have_text("Ended")
    await expect(state).to_be_focused()
    await posts(one).get_by_role("button", name="Delete").click()
    await one.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for each in (one, two):
        await expect(posts(each)).to_have_count(0)


async def test_who_follows_oneself_sees_own_posts_in_the_feed(tab: Open):
    one = await look(await tab(unique("alice")))
    await one.page.get_by_role("link", name="Your page").first.click()
    await one.button("Show in my feed").click()
    await expect(one.button("Hide from my feed")).to_be_visible()
    await one.button("Back to the feed").click()
    field = one.page.get_by_role("textbox", name="Post")
    await field.fill("Me too")
    await field.press("Control+Enter")
    await expect(texts(one)).to_have_text(["Me too"])
    await expect(field).to_have_value("")


async def test_a_post_written_without_a_network_is_posted_once_on_return(
    tab: Open, connect: Connect
):
    alice = unique("alice")
    one = await look(await tab(alice))
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    await one.page.get_by_role("textbox", name="Post").fill("From the tunnel")
    await one.button("Post").click()
    await expect(one.page.locator(".outgoing")).to_have_attribute("data-state", "pending")
    await one.context.set_offline(False)
    await expect(one.page.locator(".outgoing")).to_have_count(0)
    await one.page.get_by_role("link", name="Your page").first.click()
    await expect(texts(one)).to_have_text(["From the tunnel"])


# Authors


async def test_an_authors_page_shows_them_and_their_posts(tab: Open, connect: Connect):
    alice, nora = unique("alice"), await connect(unique("nora"))
    omar = await connect(unique("omar"))
    await nora.request("follow", author=omar.user)
    await omar.request("follow", author=nora.user)
    sent = [await post(nora, f"post {number}") for number in range(45)]
    one = await tab(alice)
    await one.page.goto(f"{one.url}/#author/{nora.user}")
    await expect(one.page.get_by_role("heading", name=nora.user)).to_be_visible()
    facts = one.page.locator("#author-facts")
    await expect(facts).to_have_text("1 follower · follows 1 · posted 45 times")
    await scroll_to_the_oldest(one)
    assert await ids(one) == newest_first(sent)
    await one.button("Follow").click()
    await expect(facts).to_have_text("2 followers · follows 1 · posted 45 times")
    await one.button("Back to the feed").click()
    await expect(texts(one).first).to_have_text("post 44")
    await posts(one).first.get_by_role("link", name=nora.user).click()
    await one.button("Unfollow").click()
    await expect(facts).to_have_text("1 follower · follows 1 · posted 45 times")
    await one.button("Back to the feed").click()
    await expect(posts(one)).to_have_count(0)


async def test_who_is_blocked_may_neither_read_nor_follow(tab: Open, connect: Connect):
    alice, bob = await connect(unique("alice")), unique("bob")
    await post(alice, "For friends")
    one, two = await tab(alice.user), await tab(bob)
    await one.page.goto(f"{one.url}/#author/{bob}")
    await one.button("Block").click()
    await one.page.get_by_role("dialog").get_by_role("button", name="Block").click()
    await expect(one.button("Unblock")).to_be_visible()
    await two.page.goto(f"{two.url}/#author/{alice.user}")
    await expect(two.page.get_by_text("blocked").locator("visible=true")).to_be_visible()
    await expect(posts(two)).to_have_count(0)
    await expect(two.button("Follow")).to_be_hidden()
    await one.button("Unblock").click()
    await expect(one.button("Block")).to_be_visible()
    await two.page.reload()
    await expect(texts(two)).to_have_text(["For friends"])


# The connection


async def test_a_lost_connection_brings_the_feed_back_where_it_was(tab: Open, connect: Connect):
    alice = unique("alice")
    nora, omar = await authors_of(connect, alice, "nora", "omar")
    sent = [await post(author, f"post {n}") for n in range(25) for author in (nora, omar)]
    one = await look(await tab(alice))
    await scroll_to_the_oldest(one)
    reading = one.page.locator(f'[data-key="{sent[20]}"]')
    await reading.evaluate("post => post.scrollIntoView()")
    before = await reading.bounding_box()

    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    sent += [await post(author, "fresh") for author in (nora, omar)]
    await nora.request("edit", post=sent[12], body={"text": "changed meanwhile"})
    await omar.request("delete", post=sent.pop(45))
    await one.context.set_offline(False)
    await expect(pill(one)).to_have_text("2 new posts")
    await expect(texts(one).filter(has_text="changed meanwhile")).to_have_count(1)
    assert await ids(one) == newest_first(sent)[2:]
    after = await reading.bounding_box()
    assert after["y"] == pytest.approx(before["y"], abs=1)

    sent.append(await post(nora, "freshest"))
    await expect(pill(one)).to_have_text("3 new posts")
    await pill(one).click()
    await expect(texts(one).first).to_have_text("freshest")
    await scroll_to_the_oldest(one)
    assert await ids(one) == newest_first(sent)


async def test_an_order_by_state_survives_a_lost_connection(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    sent = [await post(nora, f"{n}", state=None if n % 2 else "live") for n in range(30)]
    one = await look(await tab(alice))
    await one.page.get_by_text("Live first").click()
    await expect(texts(one).first).to_have_text("28")
    await scroll_to_the_oldest(one)
    expected = sent[-2::-2] + sent[::-2]
    assert await ids(one) == expected
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    await nora.request("delete", post=expected.pop(20))
    await one.context.set_offline(False)
    await expect(posts(one)).to_have_count(29)
    assert await ids(one) == expected


async def test_an_order_chosen_without_a_network_holds_on_return(tab: Open, connect: Connect):
    alice = unique("alice")
    authors = await authors_of(connect, alice, "nora", "omar")
    # More than is read again at once after an absence, and than one author may post at once.
    sent = [await post(authors[n % 2], f"{n}", state=None if n % 2 else "live") for n in range(120)]
    one = await look(await tab(alice))
    await expect(texts(one).first).to_have_text("119")
    await one.context.set_offline(True)
    await expect(one.status).to_contain_text("Offline")
    await one.page.get_by_text("Live first").click()
    await one.context.set_offline(False)
    await expect(texts(one).first).to_have_text("118")
    await scroll_to_the_oldest(one)
    assert await ids(one) == sent[-2::-2] + sent[::-2]


# Screens, keys and markup


async def test_markup_in_a_post_stays_text(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    evil = '<img src=x onerror="document.title=1"><b>bold</b>'
    await post(nora, evil, state="live")
    await nora.request("post", id=new_id(), body=[1, {"a": None}])
    one = await look(await tab(alice))
    await expect(texts(one)).to_have_text(['[1,{"a":null}]', evil])
    await expect(posts(one).locator("img, b")).to_have_count(0)


async def test_the_feed_fits_a_phone(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    await post(nora, "A long word: " + "x" * 300, state="replay")
    one = await look(await tab(alice, **PHONE))
    await expect(posts(one)).to_have_count(1)
    await expect(one.page.locator(".sidebar")).to_be_hidden()
    await one.page.get_by_role("textbox", name="Post").fill("y" * 200)
    assert await one.width() == 360
    await posts(one).get_by_role("link", name=nora.user).tap()
    await expect(one.button("Unfollow")).to_be_visible()
    await expect(posts(one)).to_have_count(1)
    assert await one.width() == 360
    await one.button("Back to the feed").tap()
    await one.page.get_by_role("link", name="Chats").tap()
    await expect(one.page.locator(".sidebar")).to_be_visible()
    await expect(posts(one)).to_have_count(0)


async def test_the_feed_works_by_keyboard(tab: Open, connect: Connect):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    for number in range(3):
        await post(nora, f"post {number}")
    one = await tab(alice)
    press = one.page.keyboard.press
    await one.page.get_by_role("link", name="Feed").focus()
    await press("Enter")
    await expect(one.page.locator("#feed-scroll")).to_be_focused()
    await expect(posts(one)).to_have_count(3)
    await press("Tab")
    await press("Tab")
    await expect(one.page.get_by_role("textbox", name="Post")).to_be_focused()
    for _ in range(3):
        await press("Tab")
    await expect(posts(one).first).to_be_focused()
    await press("PageDown")
    await expect(posts(one).nth(1)).to_be_focused()
    await press("Tab")
    await press("Enter")
    await expect(one.page.locator("#author-scroll")).to_be_focused()
    await press("Escape")
    await expect(one.page.locator("#feed-scroll")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_feed_has_enough_contrast(tab: Open, connect: Connect, scheme: str):
    alice = unique("alice")
    (nora,) = await authors_of(connect, alice, "nora")
    session = await connect(alice)
    await session.request("follow", author=alice)
    for author, state in ((nora, "live"), (nora, "replay"), (nora, "ended"), (session, None)):
        await post(author, "See https://example.org", state=state)
    one = await look(await tab(alice, color_scheme=scheme, reduced_motion="reduce"))
    await expect(posts(one)).to_have_count(4)
    await one.page.get_by_role("textbox", name="Post").fill("Being written")
    await post(nora, "fresh")
    await expect(pill(one)).to_be_visible()
    pale = await one.page.evaluate(CONTRASTS)
    await posts(one).nth(1).get_by_role("link", name=nora.user).click()
    await expect(one.button("Unfollow")).to_be_visible()
    pale |= await one.page.evaluate(CONTRASTS)
    assert {what: ratio for what, ratio in pale.items() if ratio < 4.5} == {}
