"""The operators' console, in a real browser against the real system."""

import json
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.conftest import Connect, Open
from tests.e2e.page_console import Console
from tests.e2e.page_scripts import CONTRASTS, KEEP_PROGRESS
from tests.e2e.page_tab import PHONE, Wire
from tests.processes import Gateway, System
from tests.records import new_id, unique


@pytest_asyncio.fixture(loop_scope="session")
async def console(browser: Browser, stack: System) -> AsyncIterator[Open]:
    """console(address="", url=..., **context options): a new operator's tab, logged in and connected."""
    tabs: list[Console] = []

    async def console(address: str = "", url: str = "", **options: object) -> Console:
        tabs.append(await Console.open(browser, url or stack.http, **options))
        user = unique("operator")
        await tabs[-1].operate(user, stack.token(user, role="operator"), address)
        await tabs[-1].connected()
        await expect(tabs[-1].page.locator("#me-name")).to_have_text(user)
        return tabs[-1]

    yield console
    for tab in tabs:
        await tab.context.close()
    assert [problem for tab in tabs for problem in tab.problems] == []


@pytest.fixture
def slow_release(stack: System) -> Iterator[Gateway]:
    """A gateway that shows a release to two users a second."""
    with stack.gateway(READCAST_GATEWAY_PUBLIC_RATE="2") as gateway:
        yield gateway.wait_ready()


async def test_in_the_demo_an_operator_logs_in_with_one_click(browser: Browser, stack: System):
    tab = await Console.open(browser, stack.http)
    await tab.page.goto(stack.http)
    await expect(tab.button("olga")).to_have_count(0)
    await tab.page.get_by_role("link", name="publish a notice").click()
    await expect(tab.button("alice")).to_have_count(0)
    await tab.button("olga").click()
    await tab.connected()
    await expect(tab.page.locator("#me-name")).to_have_text("olga")
    title = unique("By olga")
    await tab.publish(unique("public:news"), title, "Text", users=unique("nobody"))
    await expect(tab.state).to_have_text("1 listed")
    assert tab.problems == []


async def test_only_an_operators_token_opens_the_console(browser: Browser, stack: System):
    tab = await Console.open(browser, stack.http)
    await tab.page.route("**/demo/users", lambda route: route.fulfill(status=404))
    await tab.page.goto(f"{stack.http}/console")
    await tab.page.get_by_label("Access token").fill(stack.token("alice"))
    await tab.button("Log in").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("operator")
    user = unique("operator")
    await tab.page.get_by_label("Access token").fill(stack.token(user, role="operator"))
    await tab.button("Log in").click()
    await tab.connected()
    await tab.page.reload()
    await tab.connected()
    await expect(tab.page.locator("#me-name")).to_have_text(user)


async def test_a_gateway_that_knows_no_operator_leads_back_to_the_log_in(
    browser: Browser, stack: System
):
    tab = await Console.open(browser, stack.http)
    await tab.page.route("**/demo/users", lambda route: route.fulfill(status=404))
    await tab.operate("alice", stack.token("alice"))
    await expect(tab.page.get_by_role("alert")).to_contain_text("operator")
    await expect(tab.button("Log in")).to_be_visible()


async def test_a_notice_goes_from_the_listed_to_everybody_and_back(
    blank: Open, console: Open, stack: System
):
    crew, alice, bob = unique("crew"), unique("alice"), unique("bob")
    audience = json.dumps({"claim": "crew", "in": [crew]})
    mailbox, title = unique("public:news"), unique("Title")
    one = await (await blank()).log_in(alice, stack.token(alice, crew=crew))
    two = await (await blank()).log_in(bob, stack.token(bob, crew=crew))
    desk = await console()
    await desk.publish(mailbox, title, "Read me", users=alice, audience=audience)
    await expect(one.page.locator(".cards .card")).to_contain_text(title)
    await expect(desk.state).to_have_text("1 listed")
    await expect(desk.count("touched")).to_have_text("1")
    await expect(desk.count("online")).to_have_text("1")

    seen = await desk.look_as(alice, json.dumps({"crew": crew}))
    await expect(seen).to_contain_text(f"{alice} is listed")
    await expect(seen.locator(".card")).to_contain_text("Read me")
    seen = await desk.look_as(bob, json.dumps({"crew": crew}))
    await expect(seen).to_contain_text("not been released")
    await expect(seen.locator(".card")).to_have_count(0)

    await one.page.locator(".cards .card").get_by_role("button", name="Open").click()
    await expect(desk.count("opened")).to_have_text("1")
    seen = await desk.look_as(bob)
    await expect(seen).to_contain_text("not in the audience")
    await expect(two.page.locator(".cards .card")).to_have_count(0)
    await desk.choose(100)
    await desk.button("Raise to 100 %").click()
    await expect(desk.state).to_have_text("Everybody")
    await expect(two.page.locator(".cards .card")).to_contain_text(title)
    await expect(desk.count("touched")).to_have_text("2")
    stages = desk.page.locator("#stages tr")
    await expect(stages).to_have_count(2)
    await expect(stages.last.locator("[data-label=Touched]")).to_have_text("1")
    await expect(desk.page.locator(".plot .line.touched")).to_have_count(1)
    await expect(desk.page.locator("#trail li").first).to_contain_text("released it to 100 %")

    await desk.button("Withdraw").click()
    await desk.page.locator("#confirm-yes").click()
    await expect(desk.state).to_have_text("Withdrawn")
    await expect(two.page.locator(".cards .card")).to_have_count(0)
    await expect(one.page.locator("#notices-list > li")).to_have_count(0)
    await expect(desk.page.locator("#trail li").first).to_contain_text("withdrew")
    await expect(desk.button("Withdraw")).to_be_hidden()


async def test_the_card_is_shown_while_it_is_written(console: Open):
    desk = await console("new")
    card = desk.page.locator("#form-card .card")
    await desk.write("public:news", "A <b>title</b>", "Words", link="https://example.org/x")
    await expect(card.locator("h3")).to_have_text("A <b>title</b>")
    await expect(card).to_contain_text("Words")
    await expect(card.get_by_role("link")).to_have_attribute("href", "https://example.org/x")
    await desk.field("priority").select_option("urgent")
    await expect(card).to_have_class(re.compile("urgent"))
    await desk.field("users").fill("alice, bob")
    await desk.field("percent").fill("5")
    await expect(desk.button("Publish to 2 listed users and 5 % of all")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("mailbox", "no good name", "Letters, digits"),
        ("title", "", "has a title"),
        ("link", "http://example.org", "https://"),
        ("audience", '{"claim":', "not JSON"),
        ("audience", '{"claim": "platform", "in": []}', "a list of 1 to"),
        ("users", "al!ce", "no user's name"),
        ("percent", "0.001", "steps of 0.01"),
        ("expires", "2020-01-01T00:00", "has passed"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(console: Open, name: str, value: str, why: str):
    desk = await console()
    await desk.write(unique("public:news"), "Title", "Text", **{name: value})
    await desk.page.locator("#form-submit").click()
    await expect(desk.fault(name)).to_contain_text(why)
    await expect(desk.field(name)).to_be_focused()
    await expect(desk.field(name)).to_have_value(value)
    await expect(desk.field("text")).to_have_value("Text")


async def test_a_decision_on_what_is_no_longer_so_is_a_conflict(console: Open):
    one, two = await console(), await console()
    audience = json.dumps({"claim": "crew", "in": [unique("crew")]})
    address = await one.publish(unique("public:news"), "Title", "Text", audience=audience)
    await two.page.goto(f"{two.url}/console#{address}")
    await two.choose(50)
    await one.raise_to(20)
    await expect(two.state).to_have_text("20 %")
    await two.button("Raise to 50 %").click()
    await expect(two.conflict).to_contain_text("released it to 20 %")
    await expect(two.page.locator("#release-percent")).to_have_value("50")
    await expect(two.state).to_have_text("20 %")
    await two.button("Raise to 50 %").click()
    await expect(two.state).to_have_text("50 %")
    await expect(two.conflict).to_be_hidden()
    await expect(one.state).to_have_text("50 %")
    await one.button("Withdraw").click()
    await one.page.locator("#confirm-yes").click()
    await expect(two.state).to_have_text("Withdrawn")


async def test_earlier_entries_of_the_trail_are_loaded_on_demand(console: Open, operate: Connect):
    news, olga = unique("public:news"), await operate()
    nobody = {"all": [{"claim": "test", "in": [news]}]}
    fields = {"mailbox": news, "body": {"text": ""}, "audience": nobody}
    for number in range(53):
        await olga.request("publish", id=new_id(), title=f"{number}", **fields)
    desk = await console(f"{news}/53")
    trail = desk.page.locator("#trail li .trail-seq")
    newest = [f"#{seq}" for seq in range(53, 0, -1)]
    await expect(trail).to_have_text(newest[:50])
    await desk.button("Show earlier entries").dblclick()
    await expect(trail).to_have_text(newest)
    await expect(desk.button("Show earlier entries")).to_be_hidden()
    await desk.raise_to(1)
    await expect(trail).to_have_text(["#54", *newest[:49]])
    await expect(desk.button("Show earlier entries")).to_be_visible()


async def test_the_trail_is_that_of_the_mailbox_in_its_title(console: Open, operate: Connect):
    olga, mailboxes = await operate(), (unique("public:one"), unique("public:two"))
    for mailbox in mailboxes:
        nobody = {"all": [{"claim": "test", "in": [mailbox]}]}
        fields = {"mailbox": mailbox, "body": {"text": ""}, "audience": nobody}
        await olga.request("publish", id=new_id(), title=f"In {mailbox}", **fields)
    one, two = mailboxes
    desk = await console(f"{one}/1")
    trail = desk.page.locator("#trail li")
    await expect(trail).to_contain_text([f"In {one}"])
    await desk.context.set_offline(True)
    await expect(desk.status).to_contain_text("Offline")
    await desk.page.locator(f'#list a[href="#{two}/1"]').click()
    await expect(desk.page.locator("#trail-title")).to_contain_text(two)
    await expect(trail).to_have_count(0)
    await desk.context.set_offline(False)
    await expect(trail).to_contain_text([f"In {two}"])


async def test_a_row_that_changes_during_a_press_is_clicked(console: Open, operate: Connect):
    olga, mailbox, title = await operate(), unique("public:news"), unique("Title")
    where = {"mailbox": mailbox, "publish": 1}
    nobody = {"all": [{"claim": "test", "in": [mailbox]}]}
    fields = {"mailbox": mailbox, "title": title, "body": {"text": ""}, "audience": nobody}
    receipt = await olga.request("publish", id=new_id(), **fields)
    desk = await console()
    row = desk.page.locator(f'#list a[href="#{mailbox}/1"]')
    await row.locator(".row-name").hover()
    await desk.page.mouse.down()
    release = {"percent": 1, "users": []}
    await olga.request("release", id=new_id(), expect=receipt["entry"], release=release, **where)
    await expect(row.locator(".state")).to_have_text("1 %")
    await desk.page.mouse.up()
    await expect(desk.page.locator("#publish-title")).to_have_text(title)


async def test_a_release_that_is_being_spread_shows_how_far_it_is(
    slow_release: Gateway, console: Open, dial: Connect, stack: System
):
    crew = unique("crew")
    users = [await dial(unique("user"), url=slow_release.ws) for _ in range(6)]
    for user in users:
        await user.hello(stack.token(user.user, crew=crew))
        await user.sync()
    desk = await console(url=slow_release.http)
    audience = json.dumps({"claim": "crew", "in": [crew]})
    await desk.publish(unique("public:news"), "Title", "Text", audience=audience)
    bar = desk.page.locator("#spread-bar")
    await expect(bar).to_be_hidden()
    await desk.page.evaluate(KEEP_PROGRESS)
    await desk.raise_to(100)
    await expect(bar).to_have_attribute("max", "6")
    await expect(desk.page.locator("#list progress")).to_have_count(1)
    await expect(desk.page.locator("#spread-words")).to_have_text(
        "Spread to 6 of 6 connected users"
    )
    await expect(bar).to_have_js_property("value", 6)
    values = await desk.page.evaluate("progress")
    assert values == sorted(values)
    assert any(0 < value < 6 for value in values)
    await expect(desk.count("online")).to_have_text("6")
    await expect(bar).to_be_hidden()
    await expect(desk.page.locator("#list progress")).to_have_count(0)
    for user in users:
        await user.expect("notice", title="Title")


async def test_a_release_whose_end_nobody_told_is_not_shown_for_ever(
    browser: Browser, operate: Connect, stack: System
):
    operator = await operate()
    mailbox = unique("public:news")
    await operator.request("publish", mailbox=mailbox, title="Title", body={"text": "Text"})
    desk = await Console.open(browser, stack.http)
    wire = await Wire().tap(desk)
    user = unique("operator")
    await desk.operate(user, stack.token(user, role="operator"), f"{mailbox}/1")
    await desk.connected()
    bar = desk.page.locator("#spread-bar")
    wire.forge(
        {"op": "progress", "mailbox": mailbox, "publish": 1, "entry": 1, "planned": 6, "done": 2}
    )
    await expect(bar).to_be_visible()
    await wire.close(1012)
    await expect(bar).to_be_hidden()


async def test_the_console_works_by_keyboard(console: Open):
    desk = await console()
    await desk.page.get_by_role("link", name="New notice").focus()
    await desk.page.keyboard.press("Enter")
    await expect(desk.field("title")).to_be_focused()
    await desk.page.keyboard.type("By keys")
    await desk.page.keyboard.press("Tab")
    await desk.page.keyboard.type("Alone")
    await desk.field("mailbox").fill(unique("news"))
    await desk.field("users").fill(unique("alice"))
    await desk.page.keyboard.press("Enter")
    await expect(desk.state).to_have_text("1 listed")
    await desk.page.keyboard.press("Escape")
    await expect(desk.page.locator("#list a").filter(has_text="By keys").first).to_be_focused()


async def test_the_console_fits_a_narrow_screen(console: Open):
    desk = await console(**PHONE)
    assert await desk.width() == 360
    audience = json.dumps({"claim": "crew", "in": [unique("crew") * 5]})
    title = "T" * 120
    await desk.publish(unique("public:news"), title, "y" * 300, users="alice", audience=audience)
    assert await desk.width() == 360
    await desk.page.get_by_role("link", name="Back to the list").locator("visible=true").tap()
    await expect(desk.page.locator("#list a").first).to_be_visible()
    assert await desk.width() == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_console_has_enough_contrast(console: Open, scheme: str):
    desk = await console(color_scheme=scheme, reduced_motion="reduce")
    await desk.write("public:news", "", "Text", users="alice", audience="")
    await desk.page.locator("#form-submit").click()
    await expect(desk.fault("title")).not_to_be_empty()
    for address in ("new", await desk.publish(unique("public:news"), "Title", "Text")):
        await desk.page.goto(f"{desk.url}/console#{address}")
        disabled = "document.querySelectorAll(':disabled').forEach(one => one.hidden = true)"
        await desk.page.evaluate(disabled)
        pale = await desk.page.evaluate(CONTRASTS)
        assert {what: ratio for what, ratio in pale.items() if ratio < 4.5} == {}
