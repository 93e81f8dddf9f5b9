"""Resumes that find no answer, no room, or what is not for the user, on a real socket."""

import asyncio

import pytest

from streams import commands
from tables.rows import Policy
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.test_races import NOTHING_COMES, Held, add, asks, elsewhere, resuming
from tests.records import new_id


async def test_a_resume_gives_newcomers_nothing_from_before_they_joined(house: House, group: str):
    house.pipeline.policy = Policy(history=False)
    epoch = house.pipeline.make(group, "alice")
    alice = await house.synced("alice")
    house.pipeline.post(group, count=5)
    await alice.message(group, 5)
    add(house.pipeline, group, "bob")
    bob = await house.connect("bob", since={group: [epoch, 0]})
    await bob.expect("resumed", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 6)
    assert bob.seqs(group) == [6]


async def test_a_resume_without_an_answer_is_refused_for_each_mailbox(house_of: Open, group: str):
    house = await house_of(request_seconds=0.2)
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.silent = True
    bob = await house.connect("bob", since={group: [epoch, 0]})
    error = await bob.expect("error", code="unavailable")
    assert error.get("mailbox") == group


async def test_a_resume_that_is_not_asked_for_is_refused_for_each_mailbox(
    house_of: Open, group: str
):
    house = await house_of(requests=1)
    names = (group, elsewhere(group))
    since = {name: [house.pipeline.make(name, "alice", "bob"), 0] for name in names}
    house.pipeline.silent = True
    bob = await house.connect("bob", since=since)
    await until(lambda: sum(event["op"] == "error" for event in bob.events) >= 1)
    await asyncio.sleep(NOTHING_COMES)
    told = {event.get("mailbox") for event in bob.events if event["op"] == "error"}
    assert told == set(names)


async def test_a_resume_that_waits_for_kafka_is_no_missing_hello(house_of: Open, group: str):
    house = await house_of(hello_seconds=0.3)
    epoch = house.pipeline.make(group, "alice", "bob")
    send, held = house.pipeline.send, []

    def hold(topic, *command):
        if "mailbox" in topic:
            held.append((topic, *command))
            return asyncio.get_running_loop().create_future()
        return send(topic, *command)

    house.pipeline.send = hold
    bob = await house.connect("bob", since={group: [epoch, 0]})
    await asyncio.sleep(0.6)
    for command in held:
        send(*command)
    await bob.expect("resumed", mailbox=group)


async def test_hello_after_hello_watches_no_more_than_the_limit(house_of: Open):
    house = await house_of(watched=4)
    names = [f"group:{number}" for number in range(12)]
    places = [(name, [house.pipeline.make(name, "alice", "bob"), 0]) for name in names]
    bob = await house.connect("bob", since=dict(places[:4]))
    for start in (4, 8):
        await bob.hello(since=dict(places[start : start + 4]))

    def told(event):
        return event["op"] in ("resumed", "error")

    await until(lambda: sum(map(told, bob.events)) == len(names))
    (session,) = house.gateway._pulse.sessions
    assert len(session.watches) == 4
    assert sum(event.get("code") == "forbidden" for event in bob.events) == 8


async def test_a_recall_that_was_lost_is_told_to_who_comes_back(house: House, group: str):
    epoch = house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    house.pipeline.post(group, count=3)
    await bob.message(group, 3)
    await house.connect("bob")  # another device, which watches nothing
    await bob.close()
    await until(lambda: len(house.gateway._pulse.sessions) == 1)
    with house.pipeline.losing():
        house.pipeline.decide(commands.Recall(id=new_id(), mailbox=group, by="alice", seq=2))
    house.gateway._lost()
    channel = house.hub.channels[group]
    await until(lambda: channel.is_live and house.gateway.is_ready)
    await asyncio.sleep(NOTHING_COMES)
    again = await house.connect("bob", since={group: [epoch, 3]})
    resumed = await again.expect("resumed", mailbox=group)
    assert again.delivered("recalled", group) or not resumed["recovered"]


@pytest.mark.parametrize("frame", [{"op": "sync"}, {"op": "sync", "mode": "live"}, {"op": "watch"}])
async def test_who_watches_during_a_resume_gets_nothing_before_or_twice(
    house_of: Open, group: str, frame
):
    house = await house_of(ring_events=4)
    bob, history = await resuming(house, group)
    await bob.put(
        frame | {"ref": "watched"} | ({"mailbox": group} if "watch" in frame.values() else {})
    )
    await asyncio.sleep(NOTHING_COMES)
    house.pipeline.post(group)
    await asyncio.sleep(NOTHING_COMES)
    history.let_go()
    await bob.answer("watched")
    await bob.expect("resumed", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 22)
    assert bob.seqs(group) == list(range(3, 23))


@pytest.mark.parametrize("mode", ["notify", "off"])
async def test_how_a_mailbox_is_watched_holds_from_the_end_of_its_resume(
    house_of: Open, group: str, mode: str
):
    house = await house_of(ring_events=4)
    bob, history = await resuming(house, group)
    watched = await bob.post("watch", mailbox=group, mode=mode)
    await asyncio.sleep(NOTHING_COMES)
    history.let_go()
    assert (await bob.answer(watched))["mode"] == mode
    house.pipeline.post(group)
    await asyncio.sleep(NOTHING_COMES)
    assert bob.seqs(group) == list(range(3, 21))
    assert bool(bob.delivered("head", group)) is (mode == "notify")


async def test_who_is_added_during_a_resume_gets_nothing_twice(house: House, group: str):
    epoch = house.pipeline.make(group, "alice")
    bob = await house.synced("bob")
    facts = Held(house.pipeline, asks("facts"))
    add(house.pipeline, group, "bob")
    await until(lambda: facts.calls)
    await bob.post("hello", since={group: [epoch, 0]})
    await until(lambda: len(facts.calls) == 2)
    house.pipeline.post(group, count=3)
    facts.let_go()
    await bob.expect("joined", mailbox=group)
    await bob.expect("resumed", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 4)
    assert bob.seqs(group) == [1, 2, 3, 4]
