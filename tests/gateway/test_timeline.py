"""All mailboxes as one list: what it asks for, and how pages fit together."""

from typing import Any

import pytest

from streams import commands
from tests.e2e.client import Client, Event
from tests.gateway.conftest import House


def places(page: Event) -> list[tuple[int, str, int]]:
    return [
        (one["ts"], one["mailbox"], one.get("seq") or one["publish"]) for one in page["messages"]
    ]


def asked(house: House) -> list[commands.Query]:
    return [one for one in house.pipeline.commands if getattr(one, "what", "") == "timeline"]


async def whole(client: Client, limit: int) -> list[tuple[int, str, int]]:
    """All pages, in the order of time."""
    found: list[Any] = []
    place, more = None, True
    while more:
        page = await client.request("history", place=place, limit=limit)
        assert page["mailbox"] is None
        assert len(page["messages"]) <= limit
        found = places(page) + found
        place, more = page["place"], page["more"]
        assert (place is not None) == more
    return found


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_hold_every_message_once_in_the_order_of_time(house: House, limit: int):
    names = [f"group:g{number}" for number in range(12)]
    for name in names:
        house.pipeline.make(name, "alice")
    sent = []
    for number in range(30):
        name = names[number * number % 12]
        house.pipeline.post(name)
        row = house.pipeline.mailboxes[name].messages[-1]
        sent.append((row.ts, name, row.seq))
    alice = await house.synced("alice")
    assert await whole(alice, limit) == sent


@pytest.mark.parametrize("limit", [1, 2, 4, 50])
async def test_public_mailboxes_are_paged_with_the_others(house: House, group: str, limit: int):
    olga = await house.connect("olga", claims={"role": "operator"})
    house.pipeline.make(group, "alice")
    alice = await house.synced("alice")
    for number in range(9):
        news = f"public:{number % 2}"
        fields = {"title": "t", "body": number, "release": {"percent": 100}}
        await olga.request("publish", mailbox=news, **fields)
        await alice.expect("notice", mailbox=news, body=number)
        house.pipeline.post(group)
    places = await whole(alice, limit)
    assert places == sorted(places)
    assert sorted(mailbox for _, mailbox, _ in places) == sorted(
        [group] * 9 + ["public:0"] * 5 + ["public:1"] * 4
    )


async def test_of_many_mailboxes_only_those_are_asked_for_that_may_matter(house: House):
    for number in range(200):
        house.pipeline.make(f"group:g{number}", "alice")
        house.pipeline.post(f"group:g{number}")
    alice = await house.synced("alice")
    page = await alice.request("history", limit=5)
    assert [one["mailbox"] for one in page["messages"]] == [f"group:g{n}" for n in range(195, 200)]
    assert sum(len(query.mailboxes) for query in asked(house)) == 5
    earlier = await alice.request("history", limit=5, place=page["place"])
    assert [one["mailbox"] for one in earlier["messages"]] == [
        f"group:g{n}" for n in range(190, 195)
    ]
    assert sum(len(query.mailboxes) for query in asked(house)) == 15


@pytest.mark.parametrize(
    "fields",
    [
        {"after": 3},
        {"before": 3},
        {"mailbox": "group:g", "place": [1, "group:g", 1]},
        {"place": [1, "no mailbox", 1]},
    ],
)
async def test_a_place_is_for_all_mailboxes_and_a_seq_for_one(house: House, fields: Any):
    alice = await house.synced("alice")
    assert await alice.refusal("history", **fields) == "bad_request"


async def test_what_is_watched_by_notification_stays_so_unless_chosen(house: House, group: str):
    house.pipeline.make(group, "alice")
    house.pipeline.make("group:other", "alice")
    alice = await house.connect("alice")
    answer = await alice.request("sync", mode="notify")
    assert {one["mode"] for one in answer["mailboxes"]} == {"notify"}
    await alice.request("watch", mailbox=group, mode="live")
    assert (await alice.sync())[group]["mode"] == "live"
    house.pipeline.post("group:other")
    await alice.expect("head", mailbox="group:other", head=1)
    assert not alice.delivered("message", "group:other")
    house.pipeline.make("group:later", "bob", "alice")
    await alice.expect("joined", mailbox="group:later")
    house.pipeline.post("group:later", "bob")
    await alice.expect("head", mailbox="group:later", head=1)
