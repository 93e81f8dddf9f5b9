"""Timeline feeds through broker, worker and gateways, as authors and followers meet them."""

from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Connect
from tests.processes import Gateway, System
from tests.records import new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires

MODES = ("pull", "push", "auto")


async def authors(connect: Connect, operate: Connect, *modes: str) -> list[Client]:
    """A new author for each mode of delivery."""
    olga = await operate()
    made = [await connect(unique(mode)) for mode in modes]
    for author, mode in zip(made, modes, strict=True):
        await olga.request("mode", author=author.user, mode=mode)
    return made


async def post(author: Client, body: Any, **fields: Any) -> str:
    return str((await author.request("post", id=new_id(), body=body, **fields))["post"])


async def pages(reader: Client, limit: int, between: Any = None, **fields: Any) -> list[Any]:
    """All posts from the first page to the oldest."""
    found, last = [], {}
    while True:
        page = await reader.request("feed", limit=limit, **fields, **last)
        found += page["posts"]
        if page["last_id"] is None:
            return found
        last = {"last_id": page["last_id"]}
        if between is not None:
            await between()


def ids(posts: list[Any]) -> list[str]:
    return [one["post"] for one in posts]


async def test_a_post_is_edited_gets_a_state_and_is_deleted_in_all_feeds(connect: Connect):
    ann, eva = await connect(unique("ann")), await connect(unique("eva"))
    assert (await eva.request("follow", author=ann.user))["followers"] == 1
    fields = {"id": new_id(), "body": {"text": "one"}, "state": "live"}
    posted = await ann.request("post", **fields)
    again = await ann.request("post", **fields)
    assert (again["post"], posted["duplicate"], again["duplicate"]) == (
        posted["post"],
        False,
        True,
    )
    (shown,) = await pages(eva, 5)
    assert shown == {
        "post": posted["post"],
        "author": ann.user,
        "seq": 1,
        "ts": posted["ts"],
        "body": {"text": "one"},
        "state": "live",
    }

    edited = await ann.request("edit", post=posted["post"], body={"text": "two"})
    assert (edited["op"], edited["of"], edited["post"]) == ("done", "edit", posted["post"])
    await ann.request("state", post=posted["post"], state=None)
    (own,) = await pages(ann, 5, author=ann.user)
    assert (own["body"], "state" in own, own["edited"] >= own["ts"]) == (
        {"text": "two"},
        False,
        True,
    )
    for op in ("edit", "delete", "state"):
        value = {"edit": {"body": 1}, "state": {"state": "live"}}.get(op, {})
        assert await eva.refusal(op, post=posted["post"], **value) == "forbidden"
    await ann.request("delete", post=posted["post"])
    assert await pages(ann, 5, author=ann.user) == []


async def test_blocked_users_neither_follow_nor_look(connect: Connect):
    ann, eva = await connect(unique("ann")), await connect(unique("eva"))
    await post(ann, 1)
    await eva.request("follow", author=ann.user)
    facts = await eva.request("author", author=ann.user)
    assert {name: facts[name] for name in ("followers", "following", "posts", "follows")} == {
        "followers": 1,
        "following": 0,
        "posts": 1,
        "follows": True,
    }
    await ann.request("block", members=[eva.user])
    assert await eva.refusal("follow", author=ann.user) == "forbidden"
    assert await eva.refusal("author", author=ann.user) == "forbidden"
    assert await eva.refusal("feed", author=ann.user) == "forbidden"
    assert await pages(eva, 5) == []
    await ann.request("unblock", members=[eva.user])
    assert len(await pages(eva, 5, author=ann.user)) == 1


async def test_all_ways_of_delivery_give_the_same_pages(connect: Connect, operate: Connect):
    reader = await connect(unique("eva"))
    some = await authors(connect, operate, *MODES)
    for author in some:
        await post(author, "before the follow")
        await reader.request("follow", author=author.user)
    posted = [await post(author, number) for number in range(4) for author in some]
    seen = await pages(reader, 4)
    assert ids(seen)[: len(posted)] == posted[::-1]
    assert [one["body"] for one in seen[len(posted) :]] == ["before the follow"] * 3


async def test_chat_operations_do_not_take_outboxes(connect: Connect):
    ann = await connect(unique("ann"))
    mailbox = f"author:{ann.user}"
    await post(ann, 1)
    for op, fields in {
        "send": {"id": new_id(), "body": 1},
        "watch": {},
        "history": {},
        "read": {"seq": 1},
        "members": {},
        "join": {},
    }.items():
        assert await ann.refusal(op, mailbox=mailbox, **fields) == "forbidden"


async def test_pages_in_the_order_of_states_agree(connect: Connect):
    ann, eva = await connect(unique("ann")), await connect(unique("eva"))
    await eva.request("follow", author=ann.user)
    states = ["ended", None, "live", "odd", "replay", "live"]
    posted = [await post(ann, number, state=state) for number, state in enumerate(states)]
    first = await eva.request("feed", order="state", limit=4)
    assert ids(first["posts"]) == [posted[number] for number in (5, 2, 4, 0)]
    await ann.request("delete", post=posted[3])
    await ann.request("state", post=posted[1], state="live")
    place = {"snapshot": first["snapshot"], "last_id": first["last_id"]}
    rest = await eva.request("feed", order="state", limit=4, **place)
    assert (ids(rest["posts"]), rest["last_id"]) == ([posted[1]], None)
    place["snapshot"] = new_id()
    assert await eva.refusal("feed", order="state", **place) == "expired"


async def test_paging_misses_and_doubles_nothing_while_posts_arrive(
    connect: Connect, operate: Connect
):
    reader = await connect(unique("eva"))
    some = await authors(connect, operate, *MODES)
    for author in some:
        await reader.request("follow", author=author.user)
    before = [await post(author, number) for number in range(40) for author in some]

    async def meanwhile() -> None:
        for author in some:
            await post(author, "meanwhile")

    seen = await pages(reader, 7, between=meanwhile)
    assert ids(seen) == before[::-1]
    assert len(ids(await pages(reader, 50))) > len(before)


async def test_a_session_that_looks_hears_what_is_new_and_what_changes(connect: Connect):
    ann, eva = await connect(unique("ann")), await connect(unique("eva"))
    await eva.request("follow", author=ann.user)
    first = await post(ann, 1)
    assert ids((await eva.request("feed"))["posts"]) == [first]
    second = await post(ann, 2)
    await eva.expect("new_posts", count=1)
    await ann.request("edit", post=first, body="edited")
    assert (await eva.expect("post_changed", post=first))["body"] == "edited"
    await ann.request("delete", post=second)
    await eva.expect("post_changed", post=second, deleted=True)
    await eva.expect("new_posts", count=0)
    (left,) = (await eva.request("feed"))["posts"]
    assert left["body"] == "edited"


async def test_two_gateways_show_the_same_feed(connect: Connect, second: Gateway):
    ann = await connect(unique("ann"), url=second.ws)
    eva = await connect(unique("eva"))
    tablet = await connect(eva.user, url=second.ws)
    for client in (eva, tablet):
        assert (await client.request("feed"))["posts"] == []
    await tablet.request("follow", author=ann.user)
    posted = await post(ann, 1)
    for client in (eva, tablet):
        await client.expect("new_posts", count=1)
        assert ids((await client.request("feed"))["posts"]) == [posted]
    await eva.request("unfollow", author=ann.user)
    assert (await eva.request("feed"))["posts"] == []

    async def gone() -> bool:
        return (await tablet.request("feed"))["posts"] == []

    await soon(gone, "nothing of those who are followed no more")


async def test_a_gateway_that_starts_anew_shows_the_same(connect: Connect, own_gateway: Any):
    gateway = own_gateway()
    ann, eva = await connect(unique("ann")), await connect(unique("eva"), url=gateway.ws)
    await eva.request("follow", author=ann.user)
    posted = [await post(ann, number, state="live") for number in range(5)]
    first = await eva.request("feed", limit=2)
    ranked = await eva.request("feed", limit=2, order="state")
    gateway.kill()
    gateway.start().wait_ready()
    eva = await connect(eva.user, url=gateway.ws)
    rest = await eva.request("feed", last_id=first["last_id"])
    assert ids(first["posts"] + rest["posts"]) == posted[::-1]
    place = {"snapshot": ranked["snapshot"], "last_id": ranked["last_id"]}
    rest = await eva.request("feed", order="state", **place)
    assert ids(ranked["posts"] + rest["posts"]) == posted[::-1]


async def test_an_order_whose_time_is_over_is_expired(connect: Connect, stack: System):
    with stack.gateway(READCAST_GATEWAY_FEED_SNAPSHOT_SECONDS="0.001") as hasty:
        hasty.wait_ready()
        ann, eva = await connect(unique("ann")), await connect(unique("eva"), url=hasty.ws)
        await eva.request("follow", author=ann.user)
        for number in range(3):
            await post(ann, number)
        first = await eva.request("feed", order="state", limit=1)
        place = {"snapshot": first["snapshot"], "last_id": first["last_id"]}
        assert await eva.refusal("feed", order="state", **place) == "expired"


@pytest.mark.parametrize(
    "fields",
    [
        {"last_id": "17-alice"},
        {"snapshot": new_id()},
        {"order": "state", "author": "ann"},
        {"order": "state", "last_id": "1-1-ann"},
        {"limit": 101},
        {"last_id": "1-0-ann"},
    ],
)
async def test_a_page_that_nobody_can_mean_is_refused(connect: Connect, fields: Any):
    eva = await connect(unique("eva"))
    assert await eva.refusal("feed", **fields) == "bad_request"
