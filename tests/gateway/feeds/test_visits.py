"""What those who look at a feed are told, orders by state, and limits, on a real socket."""

import time

import pytest

from gateway import feed_operations, views
from streams.feeds.commands import SEEN_MS
from streams.feeds.limits import FeedLimits
from tests.gateway.fakes import until
from tests.gateway.feed_pipeline import PARTITIONS
from tests.gateway.feeds.pages import all_pages, follow
from tests.records import new_id

# Visits


async def test_who_looks_hears_how_many_posts_are_new(feeds_of):
    house = await feeds_of(head_seconds=0.01)
    eva, fay = await house.connect("eva"), await house.connect("fay")
    for client in (eva, fay):
        await follow(client, "ann")
    house.pipeline.post("ann", 30)
    await eva.request("feed", limit=10)
    house.pipeline.post("ann", 2)
    await eva.expect("new_posts", count=2)
    deeper = await eva.request("feed", limit=10, last_id=f"{2**40}-1-ann")
    assert deeper["new"] == 2
    assert (await eva.request("feed"))["new"] == 0
    house.pipeline.post("ann")
    await eva.expect("new_posts", count=1)
    assert not [event for event in fay.events if event["op"] == "new_posts"]


async def test_who_looks_goes_on_hearing_while_others_read_theirs(feeds_of):
    house = await feeds_of(head_seconds=0.01, feed_views=2)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    await eva.request("feed")
    for name in ("fay", "gus", "hal"):
        reader = await house.connect(name)
        await reader.request("feed")
        await reader.close()
    house.pipeline.post("ann")
    await eva.expect("new_posts", count=1)


async def test_more_new_posts_than_memory_holds_are_said_to_be_more(feeds_of, monkeypatch):
    monkeypatch.setattr(views, "VIEW_POSTS", 10)
    monkeypatch.setattr(views, "SPARE", 2)
    house = await feeds_of(head_seconds=0.01)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 30)
    await eva.request("feed", limit=10)
    house.pipeline.post("ann", 40)
    assert (await eva.expect("new_posts"))["more"] is True


async def test_who_looks_hears_what_becomes_of_posts(feeds_of):
    house = await feeds_of(head_seconds=0.01)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 3)
    newest = (await eva.request("feed"))["posts"][0]["post"]
    house.pipeline.act("edit", "ann", seq=3, body="two")
    edited = await eva.expect("post_changed", post=newest)
    assert (edited["body"], edited["state"], edited["edited"] > 0) == ("two", None, True)
    house.pipeline.act("state", "ann", seq=3, state="live")
    assert (await eva.expect("post_changed", post=newest))["state"] == "live"
    house.pipeline.act("delete", "ann", seq=3)
    assert (await eva.expect("post_changed", post=newest))["deleted"] is True
    assert not [event for event in eva.events if event["op"] == "new_posts"]


async def test_an_author_who_looks_hears_of_no_change_when_the_log_brings_what_they_posted(
    feeds_of,
):
    house = await feeds_of(head_seconds=0.01)
    ann = await house.connect("ann")
    await follow(ann, "ann")
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    await ann.request("post", body=1)
    house.pipeline.go_on()
    await ann.expect("new_posts", count=1)
    house.pipeline.logs_stand_still = False
    house.pipeline.act("edit", "ann", seq=1, body=2)
    assert (await ann.expect("post_changed"))["body"] == 2


async def test_who_looks_hears_of_posts_of_those_followed_meanwhile(feeds_of):
    house = await feeds_of(head_seconds=0.01)
    eva = await house.connect("eva")
    await eva.request("feed")
    house.pipeline.post("ann")
    house.pipeline.act("follow", "ann", by="eva")
    await eva.expect("new_posts", count=1)
    await until(lambda: house.gateway._feeds.shows("ann"))
    house.pipeline.post("ann")
    await eva.expect("new_posts", count=2)


async def test_who_looks_hears_what_becomes_of_posts_while_their_feed_is_read_anew(feeds_of):
    house = await feeds_of(head_seconds=0.01)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 2)
    await eva.request("feed")
    house.pipeline.answers_stand_still = True
    house.pipeline.act("follow", "bob", by="eva")
    await until(lambda: house.pipeline.has_answers)
    house.pipeline.act("delete", "ann", seq=1)
    house.pipeline.answer()
    assert (await eva.expect("post_changed"))["deleted"] is True
    feeds = house.gateway._feeds
    await until(lambda: feeds.shows("bob") and len(feeds.outboxes.get("ann").views) == 1)


async def test_a_post_still_on_its_way_is_not_shown(feeds_of):
    limits = FeedLimits(mode="push", partitions=PARTITIONS, chunk=1)
    house = await feeds_of(limits, head_seconds=0.01)
    eva = await house.connect("eva")
    for name in ("eva", "fay", "gil"):
        house.pipeline.act("follow", "ann", by=name)
    await eva.request("feed")
    house.pipeline.logs_stand_still = True
    house.pipeline.post("ann")
    for _ in range(3):
        house.pipeline.go_on(1)
        assert (await eva.request("feed"))["posts"] == []
    house.pipeline.logs_stand_still = False
    house.pipeline.go_on()
    await eva.expect("new_posts", count=1)
    assert len((await eva.request("feed"))["posts"]) == 1


async def test_a_look_is_told_at_most_once_an_hour(house, monkeypatch):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    await eva.request("feed")
    await eva.request("feed")
    house.pipeline.act("follow", "bob", by="eva")
    await eva.request("feed")
    assert house.pipeline.written["seen"] == 1
    later = int(time.time() * 1_000) + SEEN_MS + 1
    monkeypatch.setattr("gateway.feed_pages.now_ms", lambda: later)
    await eva.request("feed")
    await until(lambda: house.pipeline.written["seen"] == 2)


# The order of states


async def test_an_order_by_state_stays_while_posts_change(house):
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    for state in ("ended", None, "live", "odd"):
        house.pipeline.post("ann", state=state)
        house.pipeline.post("bob", state=state)
    whole = await eva.request("feed", order="state")
    states = [post.get("state") for post in whole["posts"]]
    assert states == ["live", "live", "ended", "ended", "odd", "odd", None, None]
    first = await eva.request("feed", order="state", limit=3)
    house.pipeline.post("ann", state="live")
    house.pipeline.act("state", "ann", seq=2, state="live")
    house.pipeline.act("delete", "bob", seq=4)
    place = {"snapshot": first["snapshot"], "last_id": first["last_id"]}
    rest = await eva.request("feed", order="state", **place)
    seen = [post["post"] for post in (*first["posts"], *rest["posts"])]
    expected = [p["post"] for p in whole["posts"] if (p["author"], p["seq"]) != ("bob", 4)]
    assert (seen, rest["last_id"]) == (expected, None)


async def test_a_post_that_comes_while_an_order_is_kept_is_told_as_new(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 2)
    await eva.request("feed")
    house.pipeline.answers_stand_still = True
    ref = await eva.post("feed", order="state")
    await until(lambda: house.pipeline.has_answers)
    house.pipeline.post("ann")
    house.pipeline.answer()
    page = await eva.answer(ref)
    assert ([post["seq"] for post in page["posts"]], page["new"]) == ([2, 1], 1)
    house.pipeline.post("ann")
    await eva.expect("new_posts", count=2)


async def test_a_refresh_without_a_change_writes_nothing(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 3, state="live")
    first = await eva.request("feed", order="state")
    house.pipeline.asked.clear()
    again = await eva.request("feed", order="state", refresh=first["snapshot"])
    assert (again["snapshot"], again["expires"]) == (first["snapshot"], first["expires"])
    assert (house.pipeline.written["snapshot"], house.pipeline.asked) == (1, {})
    house.pipeline.act("state", "ann", seq=3, state="replay")
    anew = await eva.request("feed", order="state", refresh=first["snapshot"])
    assert anew["snapshot"] != first["snapshot"]
    assert [post["seq"] for post in anew["posts"]] == [2, 1, 3]


async def test_an_order_is_found_by_a_gateway_that_has_not_made_it(feeds_of):
    house = await feeds_of()
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 3, state="live")
    first = await eva.request("feed", order="state", limit=1)
    house.gateway._feeds.drop_all()
    place = {"snapshot": first["snapshot"], "last_id": first["last_id"]}
    rest = await eva.request("feed", order="state", **place)
    assert [post["seq"] for post in rest["posts"]] == [2, 1]
    assert rest["expires"] // 1_000 == pytest.approx(first["expires"] // 1_000, abs=1)


async def test_an_order_whose_time_is_over_is_expired(feeds_of):
    house = await feeds_of(feed_snapshot_seconds=1e-3)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 3)
    first = await eva.request("feed", order="state", limit=1)
    await until(lambda: time.time() * 1_000 > first["expires"])
    place = {"snapshot": first["snapshot"], "last_id": first["last_id"]}
    assert await eva.refusal("feed", order="state", **place) == "expired"
    again = await eva.request("feed", order="state", refresh=first["snapshot"])
    assert again["snapshot"] != first["snapshot"]


# Limits


async def test_a_user_follows_so_many_authors_and_no_more(house, monkeypatch):
    monkeypatch.setattr(feed_operations, "MAX_FOLLOWS", 2)
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    assert await eva.refusal("follow", author="cid") == "conflict"
    await eva.request("unfollow", author="ann")
    await follow(eva, "cid")


async def test_a_page_holds_so_many_bytes_and_no_more(house, ann):
    for number in range(40):
        await ann.request("post", body=[number, "x" * 60_000])
    first = await ann.request("feed", limit=100)
    assert len(first["posts"]) == 16
    for fields in ({}, {"author": "ann"}):
        found = await all_pages(ann, 100, **fields)
        assert [post["body"][0] for post in found] == list(range(40))[::-1]


async def test_only_operators_choose_the_delivery(house):
    eva = await house.connect("eva")
    assert await eva.refusal("mode", author="ann", mode="pull") == "forbidden"
    olga = await house.connect("olga", claims={"role": "operator"})
    assert (await olga.request("mode", author="ann", mode="pull"))["mode"] == "pull"
    assert (await eva.request("author", author="ann"))["mode"] == "pull"


async def test_nobody_answers_then_the_page_is_unavailable_and_the_next_one_asks_again(feeds_of):
    house = await feeds_of(request_seconds=0.2)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann")
    work, house.pipeline.work = house.pipeline.work, lambda: None
    assert await eva.refusal("feed") == "unavailable"
    house.pipeline.work = work
    assert len((await eva.request("feed"))["posts"]) == 1


async def test_the_same_post_again_is_the_same_post(house):
    ann = await house.connect("ann")
    fields = {"id": new_id(), "body": 1}
    posted = await ann.request("post", **fields)
    again = await ann.request("post", **fields)
    assert again | {"ref": 0, "duplicate": False} == posted | {"ref": 0}
    assert await ann.refusal("post", id=fields["id"], body=2) == "conflict"
