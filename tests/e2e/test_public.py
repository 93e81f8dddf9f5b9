"""Public mailboxes through broker, worker and gateways, as users and operators meet them."""

import time
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Connect
from tests.processes import Gateway, System
from tests.records import new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires

EVERYBODY = {"percent": 100, "users": []}


async def session(stack: System, dial: Connect, label: str, **claims: Any) -> Client:
    """A session with claims, of a new user or the named one."""
    user = claims.pop("user", None) or unique(label)
    client = await dial(user, url=claims.pop("url", None))
    await client.hello(stack.token(user, **claims))
    await client.sync()
    return client


def content(news: str, release: Any, *audience: Any, **fields: Any) -> dict[str, Any]:
    """A publish for users of this test only: those whose claim `test` names its mailbox."""
    mine = {"all": [{"claim": "test", "in": [news]}, *audience]}
    publish = {"id": new_id(), "title": "News", "body": {"n": 1}, "release": release}
    return {"mailbox": news, **publish, "audience": mine, **fields}


async def settled(client: Client, news: str, publish: int) -> None:
    """Once the client was shown a publish, and the session has answered again."""
    await client.expect("notice", mailbox=news, publish=publish)
    await client.request("ping")


def shown(client: Client, news: str) -> list[int]:
    return [one["publish"] for one in client.delivered("notice", news) if not one["again"]]


async def board_of(olga: Client, news: str) -> dict[str, Any]:
    boards = (await olga.request("board"))["mailboxes"]
    (publish,) = next(one for one in boards if one["mailbox"] == news)["publishes"]
    return dict(publish)


async def test_a_graded_release_touches_each_user_once(
    stack: System, dial: Connect, second: Gateway
):
    news = unique("public:n")
    olga = await session(stack, dial, "olga", role="operator")
    otto = await session(stack, dial, "otto", role="operator", url=second.ws)
    alice, bob = (
        await session(stack, dial, "alice", test=news),
        await session(stack, dial, "bob", test=news),
    )
    carol = await session(stack, dial, "carol", test=news, url=second.ws)
    listed = content(news, {"percent": 0, "users": [alice.user]})
    published = await olga.request("publish", **listed)
    assert (published["publish"], published["duplicate"]) == (1, False)
    again = await olga.request("publish", **listed)
    assert (again["publish"], again["ts"], again["duplicate"]) == (1, published["ts"], True)
    await settled(alice, news, 1)

    release = {"mailbox": news, "publish": 1, "release": EVERYBODY}
    assert await bob.refusal("release", **release, expect=1) == "forbidden"
    assert (await otto.request("release", **release, expect=1))["entry"] == 2
    assert await olga.refusal("release", **release, expect=1) == "conflict"
    for client in (bob, carol):
        await settled(client, news, 1)
    assert shown(alice, news) == shown(bob, news) == shown(carol, news) == [1]

    newcomer = await session(stack, dial, "newcomer", test=news, url=second.ws)
    await settled(newcomer, news, 1)
    await bob.close()
    back = await session(stack, dial, "bob", test=news, user=bob.user, url=second.ws)
    repeated = await back.expect("notice", mailbox=news)
    assert repeated["again"] is True
    assert (await back.sync())[news]["unread"] == 1
    assert (await back.request("open", mailbox=news, publish=1))["publish"] == 1
    await back.request("open", mailbox=news, publish=1)
    (found,) = (await back.request("notices", mailbox=news))["notices"]
    assert (found["entry"], found["opened"]) == (2, True)

    async def counted() -> bool:
        board = await board_of(otto, news)
        return (board["touched"], board["opened"]) == (4, 1)

    await soon(counted, "all counted")
    assert shown(back, news) == []

    ended = await otto.request("withdraw", mailbox=news, publish=1, expect=2)
    assert ended["op"] == "withdrew"
    for client in (alice, carol, newcomer, back):
        await client.expect("withdrawn", mailbox=news, publish=1)
    assert news not in await alice.sync()
    trail = (await olga.request("entries", mailbox=news))["entries"]
    assert [row["kind"] for row in trail] == ["withdraw", "release", "publish"]
    assert [row["by"] for row in trail] == [otto.user, otto.user, olga.user]


async def test_devices_at_two_gateways_are_shown_and_told_the_same(
    stack: System, dial: Connect, second: Gateway
):
    news = unique("public:n")
    olga = await session(stack, dial, "olga", role="operator")
    phone = await session(stack, dial, "alice", test=news)
    laptop = await session(stack, dial, "alice", test=news, user=phone.user, url=second.ws)
    await olga.request("publish", **content(news, EVERYBODY))
    for client in (phone, laptop):
        await client.expect("notice", mailbox=news, publish=1)
    assert (await phone.sync())[news]["unread"] == (await laptop.sync())[news]["unread"] == 1
    await laptop.request("open", mailbox=news, publish=1)
    await phone.expect("opened", mailbox=news, publish=1)
    assert (await phone.sync())[news]["unread"] == 0
    assert len(shown(phone, news) + shown(laptop, news)) == 1

    async def counted_once() -> bool:
        return (await board_of(olga, news))["touched"] == 1

    await soon(counted_once, "one touch")


async def test_an_audience_is_judged_by_the_token(stack: System, dial: Connect):
    news = unique("public:n")
    olga = await session(stack, dial, "olga", role="operator")
    phone = await session(stack, dial, "phone", test=news, platform="ios", version="3.10")
    desktop = await session(stack, dial, "desktop", test=news, platform="linux")
    audience = (
        {"claim": "platform", "in": ["ios"]},
        {"claim": "version", "at_least": "3.9"},
    )
    await olga.request("publish", **content(news, EVERYBODY, *audience))
    await settled(phone, news, 1)
    await olga.request("publish", **content(news, EVERYBODY))
    await settled(desktop, news, 2)
    assert shown(desktop, news) == [2]
    fields = {"mailbox": news, "publish": 1, "user": desktop.user}
    assert (await olga.request("preview", **fields))["why"] == "audience"


async def test_a_gateway_that_starts_later_knows_what_stands(
    stack: System, dial: Connect, own_gateway: Any
):
    news = unique("public:n")
    olga = await session(stack, dial, "olga", role="operator")
    expires = int(time.time() * 1_000) + 3_600_000
    await olga.request("publish", **content(news, EVERYBODY, expires=expires))
    await olga.request("publish", **content(news, EVERYBODY))
    await olga.request("withdraw", mailbox=news, publish=2, expect=2)
    alice = await session(stack, dial, "alice", test=news, url=own_gateway().ws)
    await settled(alice, news, 1)
    (found,) = (await alice.request("notices", mailbox=news))["notices"]
    assert (found["publish"], found["expires"]) == (1, expires)
