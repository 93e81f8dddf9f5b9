"""Pages of feeds on a real socket, whatever happens meanwhile."""

import asyncio
from random import Random
from typing import Any

import orjson
import pytest

from gateway import views
from streams.feeds import outbox
from streams.feeds.limits import FeedLimits
from streams.partitioning import partition_of
from tests.feeds.commands import READERS, Actors
from tests.feeds.model import Model
from tests.gateway.fakes import until
from tests.gateway.feed_pipeline import PARTITIONS
from tests.gateway.feeds.pages import (
    all_pages,
    follow,
    in_order,
    shown,
    shows_whatever_the_log_brings,
)

# Memory


async def test_pages_of_an_open_feed_ask_nothing(house):
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    house.pipeline.post("ann", 30)
    house.pipeline.post("bob", 30)
    first = await eva.request("feed")
    house.pipeline.asked.clear()
    house.pipeline.post("ann", 3)
    again = await eva.request("feed")
    assert shown(again["posts"])[3:] == shown(first["posts"])[:17]
    assert len(await all_pages(eva, 20)) == 63
    assert not house.pipeline.asked


async def test_a_cold_page_asks_each_partition_once(house):
    eva = await house.connect("eva")
    names = [f"author{number}" for number in range(20)]
    await follow(eva, *names)
    for name in names:
        house.pipeline.post(name, 3)
    house.pipeline.asked.clear()
    assert len((await eva.request("feed"))["posts"]) == 20
    assert house.pipeline.asked == {"follows": 2, "inbox": 1, "posts": PARTITIONS}


async def test_pages_beyond_memory_go_on_where_it_ends(house, monkeypatch):
    monkeypatch.setattr(views, "VIEW_POSTS", 100)
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    for _ in range(50):
        house.pipeline.post("ann", 3)
        house.pipeline.post("bob", 2)
    found = shown(await all_pages(eva, 30, between=lambda: house.pipeline.post("ann", 5)))
    assert found == in_order(found)
    assert len(found) == 250


async def test_a_page_that_memory_has_no_bodies_for_asks_for_them(feeds_of):
    house = await feeds_of(feed_bytes=1)
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    house.pipeline.post("ann", 9)
    house.pipeline.post("bob", 9)
    assert len(await all_pages(eva)) == 18
    house.pipeline.asked.clear()
    assert len((await eva.request("feed"))["posts"]) == 18
    assert set(house.pipeline.asked) == {"posts"}


@pytest.mark.parametrize("order", ["time", "state"])
@pytest.mark.parametrize(
    ("change", "bodies"),
    [({"kind": "edit", "body": 3}, [3, {"n": 1}]), ({"kind": "delete"}, [{"n": 1}])],
    ids=["edit", "delete"],
)
async def test_a_page_is_as_new_as_what_its_reader_was_told_while_bodies_were_asked_for(
    feeds_of, order, change, bodies
):
    house = await feeds_of(feed_bytes=1)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 2)
    await eva.request("feed")
    house.pipeline.slow = ("posts", "author:ann")
    page = asyncio.ensure_future(eva.request("feed", order=order))
    await until(lambda: house.pipeline.has_late_answers)
    house.pipeline.act(author="ann", seq=2, **change)
    house.pipeline.answer_late()
    assert [post["body"] for post in (await page)["posts"]] == bodies


async def test_the_feed_that_was_read_longest_ago_leaves_memory(feeds_of):
    house = await feeds_of(feed_views=2)
    readers = [await house.connect(f"reader{number}") for number in range(3)]
    for reader in readers:
        await follow(reader, "ann")
    house.pipeline.post("ann", 5)
    for reader in (*readers, *readers):
        assert len((await reader.request("feed"))["posts"]) == 5
    assert len(house.gateway._feeds) == 2


# While things change


async def test_what_changes_is_changed_on_the_next_page(house):
    eva, ann = await house.connect("eva"), await house.connect("ann")
    await follow(eva, "ann", "bob")
    house.pipeline.post("ann", 2)
    house.pipeline.post("bob", 2)
    posts = (await eva.request("feed"))["posts"]
    mine = [post["post"] for post in posts if post["author"] == "ann"]
    await ann.request("edit", post=mine[0], body="edited")
    await ann.request("state", post=mine[0], state="live")
    await ann.request("delete", post=mine[1])
    house.pipeline.act("unfollow", "bob", by="eva")
    (left,) = (await eva.request("feed"))["posts"]
    assert (left["post"], left["body"], left["state"]) == (mine[0], "edited", "live")
    assert left["edited"] > 0


async def test_who_gets_an_answer_sees_it_on_the_next_page_however_far_the_log_is(house, ann):
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    first = await ann.request("post", body=1)
    second = await ann.request("post", body=2)
    assert [post["body"] for post in (await ann.request("feed"))["posts"]] == [2, 1]
    await ann.request("edit", post=first["post"], body=3)
    await ann.request("delete", post=second["post"])
    assert [post["body"] for post in (await ann.request("feed"))["posts"]] == [3]
    house.pipeline.post("bob", 3)
    await follow(ann, "bob")
    assert len((await ann.request("feed"))["posts"]) == 4
    await ann.request("unfollow", author="bob")
    assert len((await ann.request("feed"))["posts"]) == 1
    house.pipeline.go_on()
    assert [post["body"] for post in (await ann.request("feed"))["posts"]] == [3]


async def test_an_answer_that_is_ahead_of_the_log_is_not_undone_by_it(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.logs_stand_still = True
    house.pipeline.post("ann", 2)
    for seq in (1, 2):
        house.pipeline.act("edit", "ann", seq=seq, body="edited")
    for _ in range(10):
        posts = (await eva.request("feed"))["posts"]
        assert [post["body"] for post in posts] == ["edited", "edited"]
        house.pipeline.go_on(1)


async def test_a_follow_that_overtakes_the_answer_is_in_the_feed(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("bob")
    house.pipeline.asked.clear()
    house.pipeline.answers_stand_still = True
    page = asyncio.ensure_future(eva.request("feed"))
    await until(lambda: house.pipeline.asked["follows"] == 1)
    house.pipeline.act("follow", "bob", by="eva")
    house.pipeline.answer()
    assert len((await page)["posts"]) == 1
    assert house.pipeline.asked["follows"] == 3
    house.pipeline.post("bob")
    assert len((await eva.request("feed"))["posts"]) == 2


async def test_what_was_heard_of_an_author_who_is_left_meanwhile_is_not_in_the_feed(house):
    eva = await house.connect("eva")
    await follow(eva, "ann", "bob")
    house.pipeline.asked.clear()
    house.pipeline.answers_stand_still = True
    page = asyncio.ensure_future(eva.request("feed"))
    await until(lambda: house.pipeline.has_answers)
    house.pipeline.answer()
    house.pipeline.answers_stand_still = True
    await until(lambda: house.pipeline.asked["follows"] == 2)
    await until(lambda: house.pipeline.has_answers)
    house.pipeline.post("ann")
    house.pipeline.post("bob")
    house.pipeline.act("unfollow", "bob", by="eva")
    house.pipeline.answer()
    assert [post["author"] for post in (await page)["posts"]] == ["ann"]
    assert [post["author"] for post in (await eva.request("feed"))["posts"]] == ["ann"]


async def test_a_post_that_is_pulled_since_an_answer_was_given_is_in_the_feed(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.asked.clear()
    house.pipeline.answers_stand_still = True
    page = asyncio.ensure_future(eva.request("feed"))
    await until(lambda: house.pipeline.asked["follows"] == 1)
    house.pipeline.act("mode", "ann", by="system", mode="pull")
    house.pipeline.post("ann")
    house.pipeline.answer()
    assert len((await page)["posts"]) == 1


@pytest.mark.parametrize("step", ["inbox", "timeline"])
async def test_what_happens_while_a_feed_is_asked_for_is_in_it(feeds_of, step):
    house = await feeds_of(FeedLimits(mode="pull", partitions=PARTITIONS))
    pipeline = house.pipeline
    eva = await house.connect("eva")
    await follow(eva, "ann")
    pipeline.post("ann", 2)
    pipeline.answers_stand_still = True
    page = asyncio.ensure_future(eva.request("feed"))
    while not pipeline.asked[step]:
        pipeline.answer()
        pipeline.answers_stand_still = True
        await asyncio.sleep(0)
    await until(lambda: pipeline.has_answers)
    pipeline.post("ann")
    pipeline.act("delete", "ann", seq=1)
    pipeline.answer()
    await page
    assert [post["seq"] for post in (await eva.request("feed"))["posts"]] == [3, 2]


async def test_a_change_far_below_leaves_no_hole_in_the_pages(house, monkeypatch):
    monkeypatch.setattr(views, "VIEW_POSTS", 10)
    monkeypatch.setattr(views, "SPARE", 2)
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 30)
    await eva.request("feed")
    for seq in (4, 5):
        house.pipeline.act("edit", "ann", seq=seq, body="edited")
    assert [post["seq"] for post in await all_pages(eva, 4)] == list(range(30, 0, -1))


async def test_nothing_stays_of_feeds_that_are_not_in_memory(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 3)
    await eva.request("feed")
    await eva.close()
    await until(lambda: not house.gateway._feeds.visits.has("eva"))
    house.gateway._feeds.drop_all()
    assert (house.gateway._feeds.outboxes.bytes, house.gateway._feeds.shows("ann")) == (0, False)


async def test_a_hole_in_the_log_is_asked_for(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann")
    await eva.request("feed")
    house.pipeline.post("ann")
    house.pipeline.is_losing = True
    house.pipeline.post("ann")
    house.pipeline.is_losing = False
    house.pipeline.post("ann")
    assert len((await eva.request("feed"))["posts"]) == 4


async def test_a_change_of_an_old_post_leaves_no_hole(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 5)
    await eva.request("feed")
    house.pipeline.act("edit", "ann", seq=2, body="edited")
    house.pipeline.asked.clear()
    house.pipeline.post("ann")
    assert len((await eva.request("feed"))["posts"]) == 6
    assert not house.pipeline.asked


@pytest.mark.parametrize("fails", [b"author:ann/m/0000000000000002", b"eva/f/ann"])
async def test_a_record_that_is_not_understood_is_asked_for(house, fails):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann")
    await eva.request("feed")
    house.pipeline.is_losing = True
    house.pipeline.post("ann")
    house.gateway._rows.failed(fails)
    assert len((await eva.request("feed"))["posts"]) == 2


async def test_a_log_that_has_lost_records_is_asked_for(house):
    eva = await house.connect("eva")
    await follow(eva, "ann")
    await eva.request("feed")
    house.pipeline.is_losing = True
    house.pipeline.post("ann")
    house.gateway._lost()
    assert len((await eva.request("feed"))["posts"]) == 1


@pytest.mark.parametrize("mode", ["hybrid", "pull", "push"])
@pytest.mark.parametrize("seed", range(3))
async def test_pages_are_the_sorted_posts_whatever_happens_and_however_far_the_logs_are(
    feeds_of, monkeypatch, mode, seed
):
    monkeypatch.setattr(outbox, "BACKFILL", 3)
    monkeypatch.setattr(views, "VIEW_POSTS", 8)
    monkeypatch.setattr(views, "SPARE", 4)
    limits = FeedLimits(mode=mode, threshold=3, partitions=PARTITIONS, inbox=6, chunk=2)
    house = await feeds_of(limits, feed_views=3, feed_bytes=6_000)
    random, model = Random(seed), Model()
    pipeline, actors = house.pipeline, Actors(random)

    def decided(record: Any) -> None:
        command = orjson.loads(record.value)
        if "mailbox" in command and "users" not in command:
            model.take(command, record.timestamp)

    pipeline.decided = decided
    clients = {name: await house.connect(name) for name in READERS}
    for number in range(200):
        pipeline.logs_stand_still = random.random() < 0.7
        pipeline.go_on(random.choice((0, 1, 3, 100)))
        pipeline.put(actors.command())
        if random.random() < 0.2:
            pages = asyncio.ensure_future(all_pages(clients[random.choice(READERS)], 3))
            while not pages.done():
                await asyncio.sleep(0)
                pipeline.go_on(random.choice((0, 1)))
            found = shown(pages.result())
            assert found == in_order(found)
        if number % 40 == 39:
            pipeline.logs_stand_still = False
            pipeline.go_on()
            for name, client in clients.items():
                assert shown(await all_pages(client, 3)) == model.feed(name)


# Late answers


async def test_a_post_that_was_deleted_at_once_stays_so_while_the_log_goes_on(house, ann):
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    posted = await ann.request("post", body=1)
    await ann.request("delete", post=posted["post"])
    assert (await ann.request("feed"))["posts"] == []
    await shows_whatever_the_log_brings(house, ann)


async def test_a_post_that_was_edited_at_once_stays_so_while_the_log_goes_on(house, ann):
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    posted = await ann.request("post", body=1)
    await ann.request("edit", post=posted["post"], body=2)
    await shows_whatever_the_log_brings(house, ann, 2)


async def test_the_last_of_two_edits_holds_while_the_log_goes_on(house, ann):
    posted = await ann.request("post", body=1)
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    for body in (2, 3):
        await ann.request("edit", post=posted["post"], body=body)
    await shows_whatever_the_log_brings(house, ann, 3)


@pytest.mark.parametrize(("op", "fields", "left"), [("delete", {}, []), ("edit", {"body": 2}, [2])])
async def test_what_was_changed_while_another_partition_is_slow_stays_so(
    feeds_of, op, fields, left
):
    house = await feeds_of(FeedLimits(mode="pull", partitions=PARTITIONS))
    here = partition_of("author:ann", PARTITIONS)
    names = (f"bob{number}" for number in range(100))
    bob = next(name for name in names if partition_of(f"author:{name}", PARTITIONS) != here)
    ann = await house.connect("ann")
    await follow(ann, "ann", bob)
    posted = await ann.request("post", body=1)
    house.pipeline.post(bob)
    house.gateway._feeds.drop("ann")
    house.pipeline.slow = ("timeline", f"author:{bob}")
    page = asyncio.ensure_future(ann.request("feed"))
    await until(lambda: house.pipeline.has_late_answers)
    house.pipeline.logs_stand_still = True
    await ann.request(op, post=posted["post"], **fields)
    house.pipeline.answer_late()
    await page
    posts = (await ann.request("feed"))["posts"]
    assert [post["body"] for post in posts if post["author"] == "ann"] == left


async def test_an_answer_for_a_dropped_feed_does_not_drop_the_next_one(house):
    feeds = house.gateway._feeds
    eva = await house.connect("eva")
    await follow(eva, "ann")
    house.pipeline.post("ann", 120)
    await eva.request("feed")
    before = await feeds.view("eva")
    house.pipeline.logs_stand_still = True
    house.pipeline.act("follow", "bob", by="eva")
    house.pipeline.answers_stand_still = True
    more = asyncio.ensure_future(feeds.extend(before, 110))
    await until(lambda: house.pipeline.has_answers)
    house.pipeline.logs_stand_still = False
    house.pipeline.go_on()
    assert not before.alive
    house.pipeline.answer()
    after = await feeds.view("eva")
    await more
    assert after.alive


async def test_who_gets_a_page_of_a_dropped_feed_hears_what_is_new_since(feeds_of):
    house = await feeds_of(head_seconds=0.01)
    one, two = await house.connect("eva"), await house.connect("eva")
    await follow(one, "ann")
    house.pipeline.post("ann", 2)
    house.pipeline.slow = ("inbox", "eva")
    first = await one.post("feed")
    await until(lambda: house.pipeline.has_late_answers)
    house.pipeline.slow = None
    house.gateway._feeds.drop("eva")
    house.pipeline.post("ann")
    assert len((await two.request("feed"))["posts"]) == 3
    house.pipeline.answer_late()
    assert len((await one.answer(first))["posts"]) == 2
    await one.expect("new_posts", count=1)


async def test_who_looks_hears_what_came_while_their_feed_was_out_of_memory(feeds_of):
    house = await feeds_of(head_seconds=0.01, feed_views=1)
    one, two = await house.connect("eva"), await house.connect("eva")
    fay = await house.connect("fay")
    await follow(one, "ann")
    house.pipeline.post("ann", 2)
    assert len((await one.request("feed"))["posts"]) == 2
    await fay.request("feed")
    house.pipeline.post("ann")
    assert len((await two.request("feed"))["posts"]) == 3
    await one.expect("new_posts", count=1)


async def test_an_unfollow_right_after_a_follow_comes_after_it(house):
    eva = await house.connect("eva")
    first = await eva.post("follow", author="ann")
    second = await eva.post("unfollow", author="ann")
    for ref in (first, second):
        assert (await eva.answer(ref))["op"] == "done"
    assert (await eva.request("author", author="ann"))["follows"] is False


async def test_a_deleted_post_stays_gone_when_its_feed_is_loaded_anew(house, ann):
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    posted = await ann.request("post", body=1)
    await ann.request("delete", post=posted["post"])
    await ann.request("follow", author="bob")
    assert (await ann.request("feed"))["posts"] == []
    await shows_whatever_the_log_brings(house, ann)
