"""Public mailboxes at the gateway: who is shown what, when, and how often."""

import asyncio
import time

import msgspec

from tables.rows import Reach
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.public import (
    EVERYBODY,
    NEWS,
    a_publish,
    board_of,
    keep_calm,
    look_again,
    operator,
    publish,
    quiet,
    shown,
    touches,
)


async def test_a_whitelist_then_everybody_then_a_newcomer(house: House):
    alice, bob, olga = (
        await house.synced("alice"),
        await house.synced("bob"),
        await operator(house),
    )
    first = await publish(olga, {"percent": 0, "users": ["alice"]})
    notice = await alice.expect("notice", mailbox=NEWS)
    assert (notice["publish"], notice["entry"], notice["again"]) == (first, 1, False)
    assert (notice["title"], notice["body"], notice["priority"]) == (
        "News",
        {"text": "hi"},
        "normal",
    )
    await quiet(house, alice, bob)
    assert shown(bob) == []
    await olga.request("release", mailbox=NEWS, publish=1, expect=1, release=EVERYBODY)
    assert (await bob.expect("notice", mailbox=NEWS))["entry"] == 2
    await quiet(house, alice, bob)
    assert (shown(alice), shown(bob)) == ([1], [1])
    carol = await house.synced("carol")
    await carol.expect("notice", publish=1)
    assert len(touches(house)) == 3


async def test_a_reconnect_repeats_the_last_touch_and_records_nothing(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await publish(olga)
    await quiet(house, alice)
    assert sorted(shown(alice)) == [1, 2]
    count = len(touches(house))
    await alice.close()
    again = await house.synced("alice")
    notices = [await again.expect("notice", mailbox=NEWS)]
    await quiet(house, again)
    assert shown(again) == []
    assert [one["again"] for one in notices] == [True]
    assert len(touches(house)) == count


async def test_sync_lists_what_can_be_found(house: House, group: str):
    house.pipeline.make(group, "alice")
    olga, alice = await operator(house), await house.connect("alice")
    await publish(olga, title="one")
    await publish(olga, title="two")
    assert NEWS not in await alice.sync()
    await alice.expect("notice", publish=2)
    await quiet(house, alice)
    entry = (await alice.sync())[NEWS]
    assert entry["last"] | {"ts": 0} == {"title": "two", "ts": 0, "publish": 2}
    assert (entry["head"], entry["read"], entry["unread"]) == (2, 2, 2)
    assert (entry["role"], entry["mode"], entry["epoch"]) == ("reader", "notice", "")
    assert (await alice.request("open", mailbox=NEWS, publish=2))["op"] == "opened"
    await until(lambda: 2 in house.pipeline.cursors["alice"][NEWS].opened)
    assert (await alice.sync())[NEWS]["unread"] == 1


async def test_notices_are_paged_newest_first(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    for _ in range(5):
        await publish(olga)
        await asyncio.sleep(0.003)
    await quiet(house, alice)
    page = await alice.request("notices", limit=2)
    assert [one["publish"] for one in page["notices"]] == [5, 4]
    assert page["more"] is True
    rest = await alice.request("notices", mailbox=NEWS, before=page["notices"][-1]["ts"])
    assert [one["publish"] for one in rest["notices"]] == [3, 2, 1]
    assert (rest["more"], rest["notices"][0]["opened"]) == (False, False)


async def test_what_has_not_reached_somebody_is_not_found_and_not_opened(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga, {"percent": 0, "users": ["bob"]})
    await quiet(house, alice)
    assert (await alice.request("notices"))["notices"] == []
    assert await alice.refusal("open", mailbox=NEWS, publish=1) == "not_found"
    assert await alice.refusal("history", mailbox=NEWS) == "forbidden"
    assert await alice.refusal("watch", mailbox=NEWS) == "forbidden"


async def test_a_withdrawal_removes_it_from_those_who_saw_it(house: House):
    olga, alice, bob = (
        await operator(house),
        await house.synced("alice"),
        await house.synced("bob"),
    )
    await publish(olga, {"percent": 0, "users": ["alice"]})
    await alice.expect("notice", publish=1)
    await olga.request("withdraw", mailbox=NEWS, publish=1, expect=1)
    await alice.expect("withdrawn", mailbox=NEWS, publish=1)
    await quiet(house, alice, bob)
    assert not bob.delivered("withdrawn", NEWS)
    assert (await alice.request("notices"))["notices"] == []
    assert NEWS not in await alice.sync()
    await alice.close()
    back = await house.synced("alice")
    await quiet(house, back)
    assert not back.delivered("notice", NEWS)


async def test_a_withdrawal_overtakes_a_release(house_of: Open):
    house = await house_of(public_rate=20)
    olga = await operator(house)
    clients = [await house.synced(f"user{number}") for number in range(12)]
    await publish(olga)
    await until(lambda: any(shown(client) for client in clients))
    await olga.request("withdraw", mailbox=NEWS, publish=1, expect=1)
    before = [client for client in clients if shown(client)]
    assert 0 < len(before) < len(clients)
    for client in before:
        await client.expect("withdrawn", publish=1)
    await quiet(house, *clients)
    assert all(client.events[-1]["op"] != "notice" for client in clients)
    late = [c for c in clients if shown(c) and not c.delivered("withdrawn", NEWS)]
    assert late == []


async def test_a_further_stage_joins_a_running_release(house_of: Open):
    house = await house_of(public_rate=40)
    olga = await operator(house)
    clients = [await house.synced(f"user{number}") for number in range(20)]
    await olga.request("board")
    await publish(olga, {"percent": 50, "users": []})
    await olga.request("release", mailbox=NEWS, publish=1, expect=1, release=EVERYBODY)
    await olga.wait(
        lambda event: event["op"] == "progress" and event["done"] == event["planned"] == 20,
        "the end of the release",
    )
    await quiet(house, *clients)
    assert all(shown(client) == [1] for client in clients)
    assert len(touches(house)) == len(clients)


async def test_a_release_is_spread_at_its_rate_while_chat_goes_on(house_of: Open, group: str):
    house = await house_of(public_rate=20)
    house.pipeline.make(group, "user0")
    olga = await operator(house)
    clients = [await house.synced(f"user{number}") for number in range(10)]
    started = time.monotonic()
    await publish(olga)
    await clients[0].send(group, "meanwhile")
    assert time.monotonic() - started < 0.3
    for client in clients:
        await client.expect("notice", publish=1)
    assert time.monotonic() - started > 0.3


async def test_an_audience_looks_at_the_claims_of_the_token(house: House):
    olga = await operator(house)
    phone = await house.synced("alice", platform="ios", version="3.10")
    tablet = await house.synced("bob", platform="ios", version="3.9")
    plain = await house.synced("carol")
    audience = {
        "all": [
            {"claim": "platform", "in": ["ios"]},
            {"claim": "version", "at_least": "3.10"},
        ]
    }
    await publish(olga, audience=audience)
    await phone.expect("notice", publish=1)
    await quiet(house, phone, tablet, plain)
    assert (shown(tablet), shown(plain)) == ([], [])
    await tablet.hello(house.token("bob", platform="ios", version="3.10"))
    await tablet.expect("notice", publish=1)


async def test_any_session_of_a_user_brings_their_claims(house: House):
    olga = await operator(house)
    phone = await house.synced("alice", platform="ios")
    desktop = await house.synced("alice", platform="linux")
    await publish(olga, audience={"claim": "platform", "in": ["ios"]})
    await phone.expect("notice", publish=1)
    await desktop.expect("notice", publish=1)


async def test_quiet_hours_and_the_cap_let_wait(house_of: Open):
    minute = int(time.time() // 60) % 1_440
    start, end = (minute - 60) % 1_440, (minute + 60) % 1_440
    hours = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    house = await house_of(quiet_hours=hours, daily_cap=1)
    olga = await operator(house)
    asleep = await house.synced("alice", utc_offset=0)
    awake = await house.synced("bob", utc_offset=300)
    await publish(olga)
    await publish(olga, priority="urgent")
    await publish(olga)
    await awake.expect("notice", publish=2)
    await quiet(house, asleep, awake)
    assert (shown(asleep), sorted(shown(awake))) == ([2], [1, 2])
    assert house.pipeline.cursors["alice"][NEWS].deferred == (1, 3)
    assert [one["publish"] for one in (await asleep.request("notices"))["notices"]] == [2]
    count = len(touches(house))
    house.gateway._touching.look(house.gateway._users.get("alice"))
    await quiet(house, asleep)
    assert len(touches(house)) == count


async def test_what_waited_is_shown_when_it_may(house: House):
    alice, bob = await house.synced("alice", utc_offset=0), await operator(house)
    keep_calm(house, cap=0)
    await publish(bob)
    await until(lambda: house.pipeline.cursors["alice"][NEWS].deferred == (1,))
    keep_calm(house)
    look_again(house, "alice")
    await alice.expect("notice", publish=1)


async def test_beyond_the_bound_what_is_over_goes_first_then_the_oldest(house_of: Open):
    house = await house_of(public_bytes=10_000)
    olga = await operator(house)
    for _ in range(3):
        await publish(olga, body="x" * 2_000)
    await olga.request("withdraw", mailbox=NEWS, publish=2, expect=2)
    await publish(olga, body="x" * 2_000)
    assert {one["publish"] for one in await board_of(olga)} == {1, 3, 5}
    await publish(olga, body="x" * 2_000)
    assert {one["publish"] for one in await board_of(olga)} == {3, 5, 6}
    alice = await house.synced("alice")
    await quiet(house, alice)
    assert sorted(shown(alice)) == [3, 5, 6]
    assert house.gateway.metrics.forgotten._value.get() == 1


async def test_those_who_come_at_once_are_looked_at_at_the_pace_of_a_release(house_of: Open):
    house = await house_of(public_rate=20)
    olga = await operator(house)
    await publish(olga)
    clients = await asyncio.gather(*(house.synced(f"user{number}") for number in range(12)))
    await until(lambda: any(shown(client) for client in clients))
    assert house.gateway._touching.left > 0
    for client in clients:
        await client.expect("notice", publish=1)
    await quiet(house, *clients)
    assert len(touches(house)) == len(clients)


async def test_an_opening_is_told_to_all_devices_once(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    other = await house.synced("alice")
    await publish(olga)
    await other.expect("notice", publish=1)
    await alice.request("open", mailbox=NEWS, publish=1)
    await other.expect("opened", mailbox=NEWS, publish=1)
    await alice.request("open", mailbox=NEWS, publish=1)
    await publish(olga)
    await other.expect("notice", publish=2)
    await quiet(house, alice, other)
    assert len(other.delivered("opened", NEWS)) == 1


async def test_a_publish_that_was_dropped_from_memory_is_still_withdrawn(house_of: Open):
    house = await house_of(public_bytes=4_000)
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga, body="x" * 2_000)
    await alice.expect("notice", publish=1)
    await publish(olga, body="x" * 2_000)
    await alice.expect("notice", publish=2)
    bob = await house.synced("bob")
    await bob.expect("notice", publish=2)
    await quiet(house, alice, bob)
    assert shown(bob) == [2]
    assert not alice.delivered("withdrawn", NEWS)
    await olga.request("withdraw", mailbox=NEWS, publish=1, expect=1)
    await alice.expect("withdrawn", mailbox=NEWS, publish=1)


async def test_notices_can_be_asked_for_before_sync(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    await alice.close()
    early = await house.connect("alice")
    assert [one["publish"] for one in (await early.request("notices"))["notices"]] == [1]
    assert not early.delivered("notice", NEWS)


async def test_what_waited_goes_on_waiting_for_claims_that_it_is_for(house: House):
    alice, olga = await house.synced("alice", platform="ios"), await operator(house)
    keep_calm(house, cap=0)
    await publish(olga, audience={"claim": "platform", "in": ["ios"]})
    await until(lambda: house.pipeline.cursors["alice"][NEWS].deferred == (1,))
    keep_calm(house)
    # In the morning there is only the desktop.
    await alice.hello(house.token("alice", platform="linux"))
    look_again(house, "alice")
    await asyncio.sleep(1.5)
    await quiet(house, alice)
    assert shown(alice) == []
    assert [one.touched for one in touches(house) if one.touched] == []
    await alice.hello(house.token("alice", platform="ios"))
    await alice.expect("notice", publish=1, again=False)


async def test_a_cap_holds_for_who_goes_to_a_time_zone_where_it_is_still_yesterday(house_of: Open):
    house = await house_of(daily_cap=1)
    olga = await operator(house)
    east = await house.synced("alice", utc_offset=720)
    await publish(olga)
    await east.expect("notice", publish=1)
    await quiet(house, east)
    west = await house.synced("alice", utc_offset=-720)
    for _ in range(4):
        await publish(olga)
        await quiet(house, east, west)
    # One a day: at most one of the day in the east, and one of the day before in the west.
    assert len(shown(east)) <= 2


async def test_what_was_opened_does_not_become_unread_again(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    await alice.request("open", mailbox=NEWS, publish=1)
    await until(lambda: 1 in house.pipeline.cursors["alice"][NEWS].opened)
    assert (await alice.sync())[NEWS]["unread"] == 0
    for _ in range(1_000):
        house.pipeline.decide(msgspec.structs.replace(a_publish(), release=Reach()))
    newest = await publish(olga)
    await alice.expect("notice", publish=newest)
    await quiet(house, alice)
    await alice.request("open", mailbox=NEWS, publish=newest)
    await until(lambda: newest in house.pipeline.cursors["alice"][NEWS].opened)
    assert (await alice.request("open", mailbox=NEWS, publish=1))["op"] == "opened"
    found = (await alice.request("notices"))["notices"]
    assert [(one["publish"], one["opened"]) for one in found] == [(newest, True), (1, True)]
    assert (await alice.sync())[NEWS]["unread"] == 0
