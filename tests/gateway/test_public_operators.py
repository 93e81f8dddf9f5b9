"""Public mailboxes at the gateway: what operators do, and what they are told."""

import asyncio
from typing import Any

import pytest

from streams import commands
from tests.gateway.conftest import House
from tests.gateway.public import (
    EVERYBODY,
    NEWS,
    board_of,
    operator,
    publish,
    quiet,
)
from tests.records import Refused

OPERATIONS = [
    ("publish", {"title": "t", "body": 1}),
    ("release", {"publish": 1, "expect": 1, "release": EVERYBODY}),
    ("withdraw", {"publish": 1, "expect": 1}),
    ("entries", {}),
    ("preview", {"publish": 1, "user": "bob"}),
]


@pytest.mark.parametrize(("op", "fields"), OPERATIONS)
async def test_only_operators_operate(house: House, op: str, fields: dict[str, Any]):
    alice = await house.connect("alice", claims={"role": "admin"})
    assert await alice.refusal(op, mailbox=NEWS, **fields) == "forbidden"
    assert await alice.refusal("board") == "forbidden"


async def test_two_operators_do_not_overwrite_each_other(house: House):
    olga, otto = await operator(house), await operator(house, "otto")
    await publish(olga, {"percent": 1, "users": []})
    await otto.request("withdraw", mailbox=NEWS, publish=1, expect=1)
    release = {"publish": 1, "expect": 1, "release": EVERYBODY}
    assert await olga.refusal("release", mailbox=NEWS, **release) == "conflict"
    entries = await olga.request("entries", mailbox=NEWS)
    assert [(row["kind"], row["by"]) for row in entries["entries"]] == [
        ("withdraw", "otto"),
        ("publish", "olga"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"audience": {"all": []}},
        {"release": {"percent": 0.001}},
        {"release": {"users": ["no name"]}},
        {"title": ""},
    ],
)
async def test_a_bad_publish_is_refused_before_it_is_sent(house: House, fields: dict[str, Any]):
    olga = await operator(house)
    content = {"title": "t", "body": 1} | fields
    assert await olga.refusal("publish", mailbox=NEWS, **content) == "bad_request"
    assert not [one for one in house.pipeline.commands if isinstance(one, commands.Publish)]


async def test_the_board_shows_stages_counts_and_who_is_listed(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga, {"percent": 0, "users": ["alice"]})
    await alice.expect("notice", publish=1)
    await alice.request("open", mailbox=NEWS, publish=1)
    reach = {"percent": 0.5, "users": ["bob", "alice"]}
    await olga.request("release", mailbox=NEWS, publish=1, expect=1, release=reach)
    await quiet(house, alice)
    (one,) = await board_of(olga)
    assert (one["percent"], one["users"], one["last"]) == (0.5, ["alice", "bob"], 2)
    assert (one["touched"], one["opened"], one["online"], one["withdrawn"]) == (1, 1, 1, False)
    stages = [(stage["entry"], stage["percent"], stage["users"]) for stage in one["stages"]]
    assert stages == [(1, 0, 1), (2, 0.5, 2)]


async def test_a_stage_is_counted_apart_and_no_more_after_many_entries(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    olga, alice = await operator(house), await house.synced("alice")
    bob = await house.synced("bob")
    await publish(olga, {"percent": 0, "users": ["alice"]})
    await alice.expect("notice", publish=1)
    await olga.request("release", mailbox=NEWS, publish=1, expect=1, release=EVERYBODY)
    await bob.expect("notice", publish=1)
    await bob.request("open", mailbox=NEWS, publish=1)
    (one,) = await board_of(olga)
    assert (one["touched"], one["opened"]) == (2, 1)
    assert [(stage["touched"], stage["opened"]) for stage in one["stages"]] == [(1, 0), (1, 1)]
    monkeypatch.setattr("streams.public.counts.COUNTED", 1)
    (one,) = await board_of(olga)
    assert (one["touched"], one["opened"]) == (None, None)
    assert [(stage["touched"], stage["opened"]) for stage in one["stages"]] == [(None, None)] * 2


async def test_counts_are_asked_once_for_all_operators(house: House):
    olga, otto = await operator(house), await operator(house, "otto")
    await publish(olga)
    await asyncio.gather(olga.request("board"), otto.request("board"))
    await olga.request("board")
    asked = [one for one in house.pipeline.commands if getattr(one, "what", "") == "counts"]
    assert len(asked) == 8


async def test_a_preview_says_why(house: House):
    olga = await operator(house)
    await publish(olga, {"percent": 0, "users": ["bob"]})

    async def preview(**fields: Any) -> Any:
        return await olga.request("preview", mailbox=NEWS, **fields)

    listed = await preview(publish=1, user="bob")
    assert (listed["reached"], listed["why"], listed["notice"]["title"]) == (1, "listed", "News")
    other = await preview(publish=1, user="carol")
    assert (other["reached"], other["why"], other["notice"]) == (None, "not yet", None)
    await olga.request("release", mailbox=NEWS, publish=1, expect=1, release=EVERYBODY)
    assert (await preview(publish=1, user="carol"))["why"] == "percent"
    await publish(olga, audience={"claim": "platform", "in": ["ios"]})
    assert (await preview(publish=3, user="carol"))["why"] == "audience"
    ios = await preview(publish=3, user="carol", claims={"platform": "ios"})
    assert ios["why"] == "percent"
    await olga.request("withdraw", mailbox=NEWS, publish=1, expect=2)
    assert (await preview(publish=1, user="bob"))["why"] == "withdrawn"
    with pytest.raises(Refused) as refused:
        await preview(publish=9, user="bob")
    assert refused.value.code == "not_found"


async def test_nobody_publishes_in_the_name_of_another(house: House):
    olga = await operator(house)
    fields = {"title": "t", "body": 1, "by": "otto"}
    assert await olga.refusal("publish", mailbox=NEWS, **fields) == "forbidden"
