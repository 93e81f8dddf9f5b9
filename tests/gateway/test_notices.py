"""Pages of notices: what they keep between two questions, and how mailboxes are merged."""

import gc
import time
import weakref
from typing import Any

from tests.e2e.client import Client
from tests.gateway.conftest import House
from tests.gateway.fakes import until
from tests.records import new_id

NEWS, TIPS = "public:news", "public:tips"


async def published(house: House, mailbox: str, alice: Client, **fields: Any) -> int:
    """Publish to everybody, and wait until alice was shown it, at a time of its own."""
    olga = await house.connect("olga", claims={"role": "operator"})
    content = {"id": new_id(), "title": "News", "body": 1, "release": {"percent": 100}}
    answer = await olga.request("publish", mailbox=mailbox, **content | fields)
    await alice.expect("notice", mailbox=mailbox, publish=answer["publish"])
    await until(lambda: int(time.time() * 1_000) > answer["ts"])
    return int(answer["publish"])


async def page(client: Client, **fields: Any) -> list[tuple[str, int, bool]]:
    answer = await client.request("notices", **fields)
    return [(one["mailbox"], one["publish"], one["opened"]) for one in answer["notices"]]


async def test_a_page_asked_for_again_shows_what_has_changed(house: House):
    alice, olga = (
        await house.synced("alice"),
        await house.connect("olga", claims={"role": "operator"}),
    )
    await published(house, NEWS, alice)
    assert await page(alice) == await page(alice) == [(NEWS, 1, False)]
    await published(house, NEWS, alice)
    assert await page(alice) == [(NEWS, 2, False), (NEWS, 1, False)]
    await alice.request("open", mailbox=NEWS, publish=1)
    await until(lambda: 1 in house.pipeline.cursors["alice"][NEWS].opened)
    assert await page(alice) == [(NEWS, 2, False), (NEWS, 1, True)]
    await olga.request("withdraw", mailbox=NEWS, publish=2, expect=2)
    await alice.expect("withdrawn", publish=2)
    assert await page(alice) == [(NEWS, 1, True)]


async def test_a_page_is_kept_no_longer_than_its_notices_stand(house: House):
    alice = await house.synced("alice")
    ends = int(time.time() * 1_000) + 500
    await published(house, NEWS, alice)
    await published(house, NEWS, alice, expires=ends)
    assert await page(alice) == [(NEWS, 2, False), (NEWS, 1, False)]
    await until(lambda: int(time.time() * 1_000) > ends)
    assert await page(alice) == [(NEWS, 1, False)]


async def test_a_page_is_kept_for_the_claims_it_was_made_for(house: House):
    alice = await house.synced("alice", platform="ios")
    await published(house, NEWS, alice, audience={"claim": "platform", "in": ["ios"]})
    await published(house, NEWS, alice)
    assert await page(alice) == [(NEWS, 2, False), (NEWS, 1, False)]
    await alice.hello(house.token("alice", platform="linux"))
    assert await page(alice) == [(NEWS, 2, False)]


async def test_mailboxes_are_merged_in_the_order_of_time(house: House):
    alice = await house.synced("alice")
    for mailbox in (NEWS, TIPS, NEWS):
        await published(house, mailbox, alice)
    assert await page(alice) == [(NEWS, 2, False), (TIPS, 1, False), (NEWS, 1, False)]
    assert await page(alice, mailbox=NEWS) == [(NEWS, 2, False), (NEWS, 1, False)]
    newest = (await alice.request("notices", limit=1))["notices"][0]
    older = await page(alice, before=newest["ts"], limit=1)
    assert older == [(TIPS, 1, False)]


async def test_public_mailboxes_that_are_loaded_again_are_in_memory_once(house: House):
    alice = await house.synced("alice")
    await published(house, NEWS, alice)
    await page(alice)
    before = weakref.ref(house.gateway._boards.get(NEWS))
    house.gateway._lost()
    await until(lambda: house.gateway.is_ready)
    gc.collect()
    assert before() is None
