"""Feeds on a real socket, with the agents' rules over real tables and logs in memory."""

import asyncio
import time
from random import Random
from typing import Any

import orjson
import pytest

from gateway import feed_operations, views
from streams.feeds import authors
from streams.feeds.commands import SEEN_MS
from streams.feeds.limits import FeedLimits
from streams.partitioning import partition_of
from tests.feeds.commands import READERS, Actors
from tests.feeds.model import Model
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.feed_pipeline import PARTITIONS, FeedPipeline
from tests.records import new_id


@pytest.fixture(autouse=True)
def two_partitions(monkeypatch):
    monkeypatch.setenv("READCAST_PARTITIONS", str(PARTITIONS))


@pytest.fixture
async def feeds_of(house_of: Open, tmp_path):
    """feeds_of(limits, **settings): a gateway whose pipeline decides feeds."""
    pipelines = []

    async def make(limits: FeedLimits | None = None, **settings: Any) -> House:
        pipelines.append(FeedPipeline(tmp_path, limits))
        return await house_of(pipeline=pipelines[-1], **settings)

    yield make
    for pipeline in pipelines:
        pipeline.close()


@pytest.fixture
async def house(feeds_of):
    return await feeds_of()


async def follow(client, *names):
    for name in names:
        await client.request("follow", author=name)


async def all_pages(client, limit=7, between=lambda: None, **fields):
    found, last = [], {}
    while True:
        page = await client.request("feed", limit=limit, **fields, **last)
        found += page["posts"]
        if page["last_id"] is None:
            return found
        last = {"last_id": page["last_id"]}
        between()


async def shows_whatever_the_log_brings(house, client, *bodies):
    for _ in range(3):
        house.pipeline.go_on(1)
        posts = (await client.request("feed"))["posts"]
        assert [post["body"] for post in posts] == [*bodies]


def in_order(posts):
    return sorted(posts, key=lambda post: (-post[0], -post[1], post[2]))


def shown(posts):
    return [
        (post["ts"], post["seq"], post["author"], post["body"], post.get("state")) for post in posts
    ]


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


async def test_who_gets_an_answer_sees_it_on_the_next_page_however_far_the_log_is(house):
    ann = await house.connect("ann")
    await follow(ann, "ann")
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
    monkeypatch.setattr(authors, "BACKFILL", 3)
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


async def test_a_post_that_was_deleted_at_once_stays_so_while_the_log_goes_on(house):
    ann = await house.connect("ann")
    await follow(ann, "ann")
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    posted = await ann.request("post", body=1)
    await ann.request("delete", post=posted["post"])
    assert (await ann.request("feed"))["posts"] == []
    await shows_whatever_the_log_brings(house, ann)


async def test_a_post_that_was_edited_at_once_stays_so_while_the_log_goes_on(house):
    ann = await house.connect("ann")
    await follow(ann, "ann")
    await ann.request("feed")
    house.pipeline.logs_stand_still = True
    posted = await ann.request("post", body=1)
    await ann.request("edit", post=posted["post"], body=2)
    await shows_whatever_the_log_brings(house, ann, 2)


async def test_the_last_of_two_edits_holds_while_the_log_goes_on(house):
    ann = await house.connect("ann")
    await follow(ann, "ann")
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


async def test_a_page_holds_so_many_bytes_and_no_more(house):
    ann = await house.connect("ann")
    await follow(ann, "ann")
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
