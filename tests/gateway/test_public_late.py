"""Public mailboxes at a gateway: answers, rows and logs that come late, from elsewhere, or not at all."""

import asyncio

import msgspec
import pytest

from streams import commands
from tables.rows import Reach
from tests.e2e.client import Client
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.pipeline import Pipeline
from tests.gateway.public import (
    NEWS,
    a_publish,
    operator,
    publish,
    quiet,
    repeated,
    shown,
    touches,
)
from tests.records import new_id

WITHDRAWAL = {"mailbox": NEWS, "by": "olga", "publish": 1, "expect": 1}


async def test_a_late_answer_shows_nothing_that_is_withdrawn(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    house.pipeline.silent_touches = True
    await publish(olga)
    await until(lambda: bool(touches(house)))
    await olga.request("withdraw", mailbox=NEWS, publish=1, expect=1)
    house.pipeline.silent_touches = False
    house.pipeline.decide(touches(house)[0])
    await quiet(house, alice)
    assert shown(alice) == []


async def test_never_two_touches_at_once(house: House):
    olga, alice, other = (
        await operator(house),
        await house.synced("alice"),
        await house.synced("alice"),
    )
    house.pipeline.silent_touches = True
    for _ in range(3):
        await publish(olga)
    third = await house.synced("alice")
    await quiet_spread(house)
    assert len(touches(house)) == 1
    house.pipeline.silent_touches = False
    house.pipeline.decide(touches(house)[0])
    await quiet(house, alice, other, third)
    assert sorted(shown(alice)) == sorted(shown(other)) == sorted(shown(third)) == [1, 2, 3]


async def quiet_spread(house: House) -> None:
    await until(lambda: house.gateway._spreads.left == 0)
    await asyncio.sleep(0.1)


async def test_a_session_that_comes_between_a_row_and_its_answer_takes_nothing_from_the_others(
    house: House,
):
    olga, alice = await operator(house), await house.synced("alice")
    house.pipeline.silent_touches = True
    await publish(olga)
    await until(lambda: bool(touches(house)))
    (touch,) = touches(house)
    house.pipeline.decide(msgspec.structs.replace(touch, reply=None))
    second = await house.synced("alice")
    await second.request("ping")
    house.pipeline._reply(touch, {"mailbox": NEWS, "read": 1, "touched": [1]})
    await quiet(house, alice, second)
    assert (shown(alice), shown(second)) == ([1], [1])
    assert repeated(alice) == repeated(second) == []


async def test_only_what_the_answer_names_is_shown_as_new(house: House):
    """Another gateway was first."""
    olga, alice = await operator(house), await house.synced("alice")
    house.pipeline.silent_touches = True
    await publish(olga)
    await until(lambda: bool(touches(house)))
    own = touches(house)[0]
    elsewhere = commands.Touch(
        user="alice", by="alice", mailbox=NEWS, upto=1, touched=((1, 1, "normal"),)
    )
    house.pipeline.silent_touches = False
    house.pipeline.decide(elsewhere)
    house.pipeline.decide(own)
    await quiet(house, alice)
    assert repeated(alice) == [1]
    assert shown(alice) == []


async def test_boards_are_loaded_at_start_and_followed_without_a_hole(house_of: Open):
    pipeline = Pipeline()
    with pipeline.losing():
        for _ in range(3):
            pipeline.decide(a_publish())
    house = await house_of(pipeline=pipeline)
    alice = await house.synced("alice")
    await quiet(house, alice)
    assert sorted(shown(alice)) == [1, 2, 3]
    with pipeline.losing():
        pipeline.decide(a_publish())
    pipeline.decide(a_publish())
    await alice.expect("notice", publish=4)
    await alice.expect("notice", publish=5)
    await quiet(house, alice)
    assert sorted(shown(alice)) == [1, 2, 3, 4, 5]


async def test_a_lost_log_is_loaded_anew(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    house.gateway._lost()
    assert not house.gateway.is_ready
    with house.pipeline.losing():
        house.pipeline.decide(a_publish())
    await until(lambda: house.gateway.is_ready)
    await alice.expect("notice", publish=2)
    assert [one["publish"] for one in (await alice.request("notices"))["notices"]] == [2, 1]


async def test_what_was_withdrawn_while_rows_were_lost_is_told(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await publish(olga)
    await alice.expect("notice", publish=2)
    await quiet(house, alice)
    with house.pipeline.losing():
        house.pipeline.decide(commands.Withdraw(**WITHDRAWAL, id=new_id()))
    house.gateway._lost()
    await alice.expect("withdrawn", publish=1)
    await quiet(house, alice)
    assert [one["publish"] for one in alice.delivered("withdrawn", NEWS)] == [1]


async def test_what_another_gateway_touched_while_rows_were_lost_is_shown(house: House):
    alice = await house.synced("alice")
    with house.pipeline.losing():
        house.pipeline.decide(a_publish())
        touch = {"user": "alice", "by": "alice", "mailbox": NEWS, "upto": 1}
        house.pipeline.decide(commands.Touch(**touch, touched=((1, 1, "normal"),)))
    house.gateway._lost()
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    assert (shown(alice), repeated(alice)) == ([], [1])


async def test_it_is_not_ready_before_the_boards_are_known(house: House):
    house.pipeline.silent = True
    house.gateway._lost()
    await until(lambda: not house.gateway.is_ready)


async def test_what_another_gateway_touches_is_shown_here(house_of: Open):
    house = await house_of(public_rate=0.001)
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    elsewhere = commands.Touch(
        user="alice", by="alice", mailbox=NEWS, upto=1, touched=((1, 1, "normal"),)
    )
    house.pipeline.decide(elsewhere)
    notice = await alice.expect("notice", publish=1)
    assert notice["again"] is True
    house.pipeline.decide(elsewhere)
    await alice.request("ping")
    assert repeated(alice) == [1]


@pytest.mark.parametrize("last", ["release", "withdraw"])
async def test_a_touch_that_is_ahead_of_the_board_is_shown_when_its_entry_has_come(
    house: House, last: str
):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga, {"percent": 0, "users": ["bob"]})
    await publish(olga, {"percent": 0, "users": ["bob"]})
    await quiet(house, alice)
    house.pipeline.logs_stand_still = True
    release = {"mailbox": NEWS, "by": "olga", "id": new_id(), "release": Reach(100.0)}
    house.pipeline.decide(commands.Release(**release, publish=1, expect=1))
    if last == "withdraw":
        ended = {"mailbox": NEWS, "by": "olga", "id": new_id()}
        house.pipeline.decide(commands.Withdraw(**ended, publish=2, expect=2))
    late = list(house.pipeline.stopped_log)
    house.pipeline.stopped_log.clear()
    house.pipeline.logs_stand_still = False
    upto = house.pipeline.mailboxes[NEWS].head
    house.pipeline.decide(
        commands.Touch(
            user="alice", by="alice", mailbox=NEWS, upto=upto, touched=((1, 3, "normal"),)
        )
    )
    await alice.request("ping")
    assert not alice.delivered("notice", NEWS)
    for bring in late:
        bring()
    notice = await alice.expect("notice", publish=1)
    assert (notice["entry"], notice["again"]) == (3, True)
    await quiet(house, alice)
    assert (shown(alice), repeated(alice)) == ([], [1])


async def with_a_silent_touch(house_of: Open) -> tuple[House, Client, Client]:
    """A house, its operator and alice, whose touch by a publish has no answer yet."""
    house = await house_of(request_seconds=0.3)
    olga, alice = await operator(house), await house.synced("alice")
    house.pipeline.silent_touches = True
    await publish(olga)
    await until(lambda: bool(touches(house)))
    return house, olga, alice


async def test_a_touch_without_an_answer_is_tried_again(house_of: Open):
    house, _, alice = await with_a_silent_touch(house_of)
    house.pipeline.silent_touches = False
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    assert shown(alice) == [1]


async def test_a_touch_whose_answer_is_lost_is_told_by_its_row(house_of: Open):
    house, _, alice = await with_a_silent_touch(house_of)
    house.pipeline.decide(msgspec.structs.replace(touches(house)[0], reply=None))
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    assert (shown(alice), repeated(alice), len(touches(house))) == ([], [1], 1)


async def test_a_touch_that_is_recorded_after_it_was_given_up_is_shown(house_of: Open):
    house, olga, alice = await with_a_silent_touch(house_of)
    await quiet(house, alice)
    await publish(olga)
    await until(lambda: len(touches(house)) == 2)
    first, second = touches(house)
    house.pipeline.decide(msgspec.structs.replace(first, reply=None))
    house.pipeline.decide(second)
    await alice.expect("notice", publish=2)
    await quiet(house, alice)
    assert [publish for publish, _, _ in second.touched] == [1, 2]
    assert (shown(alice), repeated(alice)) == ([2], [1])


async def test_a_row_that_comes_after_its_answer_is_waited_for(house: House):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    second = a_publish()
    house.pipeline.decide(second)
    house.pipeline.logs_stand_still = True
    await alice.expect("notice", publish=2)
    await alice.request("ping")
    assert len(touches(house)) == 2
    house.pipeline.go_on()
    await quiet(house, alice)
    assert (shown(alice), len(touches(house))) == ([1, 2], 2)
