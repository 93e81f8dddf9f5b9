"""Answers that come late, and what has happened meanwhile: who has left or come back, what was lost or withdrawn."""

import asyncio
import time

import pytest

from gateway import loader
from streams import commands
from streams.partitioning import partition_of
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.pipeline import PARTITIONS
from tests.gateway.public import NEWS, operator, publish, quiet, shown
from tests.records import new_id

NOTHING_COMES = 0.1
"""Seconds in which what must not come would have come."""


class Held:
    """Commands that wait until the test says: to be decided, or with `at` "_reply" to be answered."""

    def __init__(self, pipeline, wanted, at="decide"):
        self.calls = []
        self._wanted = wanted
        self._go_on = getattr(pipeline, at)
        self._is_over = False
        setattr(pipeline, at, self._take)

    def let_go(self):
        self._is_over = True
        for call in self.calls:
            self._go_on(*call)

    def _take(self, command, *result):
        if not self._is_over and self._wanted(command):
            self.calls.append((command, *result))
        else:
            self._go_on(command, *result)


def asks(what, mailbox=None):
    """Whether a command asks this, of this mailbox or of any."""
    return lambda command: (
        getattr(command, "what", None) == what and mailbox in (None, command.mailbox)
    )


def asks_for_boards(pipeline, partition):
    wanted = asks("boards")
    return lambda command: (
        wanted(command) and pipeline.asked_partition[command.reply.ref] == partition
    )


def elsewhere(group):
    """A group in another partition."""
    names = (f"{group}-{number}" for number in range(100))
    here = partition_of(group, PARTITIONS)
    return next(name for name in names if partition_of(name, PARTITIONS) != here)


def add(pipeline, group, name):
    pipeline.decide(commands.Join(id=new_id(), mailbox=group, by="alice", members=(name,)))


def remove(pipeline, group, name):
    pipeline.decide(commands.Leave(id=new_id(), mailbox=group, by="alice", members=(name,)))


def withdraw(pipeline):
    pipeline.decide(commands.Withdraw(id=new_id(), mailbox=NEWS, by="olga", publish=1, expect=1))


async def resuming(house, group):
    """Bob, who resumes after the second of twenty messages, and the history that he waits for."""
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=20)
    history = Held(house.pipeline, asks("history"), at="_reply")
    bob = await house.connect("bob", since={group: [epoch, 2]})
    await until(lambda: history.calls)
    return bob, history


async def gets_nothing_more_once_removed(house, group, bob, history):
    """Bob is removed while a history is held back: the next message, the 21st, doesn't come."""
    remove(house.pipeline, group, "bob")
    await bob.expect("left", mailbox=group)
    history.let_go()
    await asyncio.sleep(NOTHING_COMES)
    house.pipeline.post(group)
    await asyncio.sleep(NOTHING_COMES)
    assert 21 not in bob.seqs(group)


# Members


async def test_who_was_removed_while_a_resume_pulls_gets_nothing_more(house_of: Open, group: str):
    house = await house_of(ring_events=4)
    bob, history = await resuming(house, group)
    await gets_nothing_more_once_removed(house, group, bob, history)


async def test_who_was_removed_while_being_welcomed_gets_nothing_more(house_of: Open, group: str):
    house = await house_of(ring_events=4)
    house.pipeline.make(group, "alice")
    bob = await house.synced("bob")
    facts = Held(house.pipeline, asks("facts"))
    history = Held(house.pipeline, asks("history"), at="_reply")
    add(house.pipeline, group, "bob")
    await until(lambda: facts.calls)
    house.pipeline.post(group, count=20)
    facts.let_go()
    await until(lambda: history.calls)
    await gets_nothing_more_once_removed(house, group, bob, history)


async def test_who_left_and_came_back_while_being_welcomed_is_watching(house: House, group: str):
    house.pipeline.make(group, "alice")
    bob = await house.synced("bob")
    facts = Held(house.pipeline, asks("facts"), at="_reply")
    add(house.pipeline, group, "bob")
    await until(lambda: facts.calls)
    remove(house.pipeline, group, "bob")
    add(house.pipeline, group, "bob")
    facts.let_go()
    await bob.expect("joined", mailbox=group)
    house.pipeline.post(group)
    await bob.message(group, 1)


async def test_who_was_added_while_nobody_answered_is_watching_once_somebody_does(
    house_of: Open, group: str
):
    house = await house_of(request_seconds=0.2)
    house.pipeline.make(group, "alice")
    bob = await house.synced("bob")
    facts = Held(house.pipeline, asks("facts"))
    add(house.pipeline, group, "bob")
    await until(lambda: len(facts.calls) > 1)
    facts.let_go()
    house.pipeline.post(group)
    await bob.expect("joined", mailbox=group)
    await bob.message(group, 1)


async def test_of_two_ways_to_watch_a_mailbox_the_last_one_holds_however_late_its_facts_are(
    house: House, group: str
):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.connect("bob")
    facts = Held(house.pipeline, asks("facts"))
    refs = [await bob.post("watch", mailbox=group, mode=mode) for mode in ("live", "off")]
    await until(lambda: facts.calls)
    await asyncio.sleep(NOTHING_COMES)
    facts.let_go()
    for ref in refs:
        await bob.answer(ref)
    house.pipeline.post(group)
    await asyncio.sleep(NOTHING_COMES)
    assert bob.seqs(group) == []


# Facts


async def test_a_hole_just_as_the_last_one_has_been_asked_for_is_asked_for_too(
    house: House, group: str
):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    loader, channel = house.gateway._loader, house.hub.channels[group]
    tell_recalls, another = loader._tell_recalls, asyncio.Event()

    def lose():
        loader.resync(channel)
        another.set()

    async def tell_last(*_):
        # In the next turn of the loop, in which nobody has heard yet that the task is done.
        asyncio.get_running_loop().call_soon(lose)
        loader._tell_recalls = tell_recalls

    loader._tell_recalls = tell_last
    loader.resync(channel)
    await another.wait()
    await until(lambda: channel.is_live)
    house.pipeline.post(group)
    await bob.message(group, 1)


async def test_a_hole_while_a_resume_pulls_is_told_as_a_gap_after_it(house_of: Open, group: str):
    house = await house_of(ring_events=4)
    bob, history = await resuming(house, group)
    with house.pipeline.losing():
        house.pipeline.post(group)
    house.pipeline.post(group)
    channel = house.hub.channels[group]
    await until(lambda: channel.is_live and channel.head == 22)
    history.let_go()
    assert (await bob.expect("resumed", mailbox=group))["recovered"] is True
    gap = await bob.expect("gap", mailbox=group)
    assert (gap["from"], gap["to"]) == (21, 22)
    assert bob.seqs(group) == list(range(3, 21))


async def test_facts_from_before_a_user_left_do_not_hold_once_they_are_back(
    house: House, group: str
):
    other = elsewhere(group)
    since = {name: [house.pipeline.make(name, "alice", "bob"), 0] for name in (other, group)}
    house.pipeline.post(group, count=3)
    slow = Held(house.pipeline, asks("facts", other), at="_reply")
    # The answer about the group is there, but read after that about the other one.
    bob = await house.connect("bob", since=since)
    await until(lambda: slow.calls)
    remove(house.pipeline, group, "bob")
    house.pipeline.post(group, count=5)
    late = Held(house.pipeline, asks("facts", group), at="_reply")
    add(house.pipeline, group, "bob")
    await until(lambda: late.calls)
    slow.let_go()
    await bob.expect("resumed", mailbox=other)
    late.let_go()
    assert (await bob.expect("joined", mailbox=group))["head"] == 8
    assert house.hub.channels[group].head == 8


async def test_facts_from_before_a_loss_do_not_say_who_has_left(house: House, group: str):
    other = elsewhere(group)
    since = {other: [house.pipeline.make(other, "alice", "bob"), 0]}
    since[group] = [house.pipeline.make(group, "alice"), 0]
    watcher = await house.synced("bob")
    slow = Held(house.pipeline, asks("facts", other), at="_reply")
    # Known already, it would not be asked for.
    house.hub.channels[other].reopen()
    again = await house.connect("bob", since=since)
    await until(lambda: slow.calls)
    add(house.pipeline, group, "bob")
    await watcher.expect("joined", mailbox=group)
    late = Held(house.pipeline, asks("facts", group), at="_reply")
    house.gateway._lost()
    slow.let_go()
    await again.expect("resumed", mailbox=other)
    await until(lambda: late.calls)
    late.let_go()
    (user,) = house.gateway._users
    await until(user.reloading.done)
    house.pipeline.post(group)
    await watcher.message(group, 1)
    assert not watcher.delivered("left", group)


# Public mailboxes


async def test_another_loss_while_public_mailboxes_are_loaded_has_all_of_them_loaded_again(
    house: House,
):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    last = Held(house.pipeline, asks_for_boards(house.pipeline, PARTITIONS - 1))
    house.gateway._lost()
    await until(lambda: last.calls and house.gateway._boards.get(NEWS))
    with house.pipeline.losing():
        withdraw(house.pipeline)
    first = Held(house.pipeline, asks_for_boards(house.pipeline, 0))
    house.gateway._lost()
    last.let_go()
    await until(lambda: first.calls)
    await asyncio.sleep(NOTHING_COMES)
    assert not house.gateway.is_ready
    first.let_go()
    await until(lambda: house.gateway.is_ready)
    await alice.expect("withdrawn", publish=1)


async def test_a_touch_that_is_answered_after_a_loss_shows_nothing_that_was_withdrawn(
    house: House,
):
    olga, alice = await operator(house), await house.synced("alice")
    touch = Held(house.pipeline, lambda command: isinstance(command, commands.Touch))
    await publish(olga)
    await until(lambda: touch.calls)
    with house.pipeline.losing():
        withdraw(house.pipeline)
    house.gateway._lost()
    await until(lambda: house.gateway.is_ready)
    touch.let_go()
    await quiet(house, alice)
    assert shown(alice) == []


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("notices", {}),
        ("open", {"mailbox": NEWS, "publish": 1}),
        ("sync", {}),
        ("history", {}),
    ],
)
async def test_what_needs_public_mailboxes_is_unavailable_while_they_are_loaded_again(
    house: House, op: str, fields
):
    olga, alice = await operator(house), await house.synced("alice")
    await publish(olga)
    await alice.expect("notice", publish=1)
    await quiet(house, alice)
    boards = Held(house.pipeline, asks("boards"))
    house.gateway._lost()
    await until(lambda: boards.calls)
    assert await alice.refusal(op, **fields) == "unavailable"
    boards.let_go()
    await until(lambda: house.gateway.is_ready)
    await alice.request(op, **fields)
    assert [one["publish"] for one in (await alice.request("notices"))["notices"]] == [1]


async def test_who_moves_to_where_it_is_calm_earlier_is_looked_at_earlier(house_of: Open):
    minute = int(time.time() // 60) % 1_440
    start, end = (minute - 60) % 1_440, (minute + 240) % 1_440
    hours = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    house = await house_of(quiet_hours=hours)
    olga, alice = await operator(house), await house.synced("alice", utc_offset=0)
    await publish(olga)
    when = house.gateway._touching._when
    await until(lambda: "alice" in when)
    before = when["alice"]
    await alice.hello(house.token("alice", utc_offset=200))
    await until(lambda: when["alice"] < before - 3 * 3_600)


async def test_who_is_removed_and_added_again_is_in_whichever_log_is_read_first(
    house: House, group: str
):
    house.pipeline.make(group, "alice", "bob")
    bob = await house.synced("bob")
    rows, held = house.gateway._rows, []
    take_mailbox = rows.take_mailbox
    rows.take_mailbox = lambda *record: held.append(record)  # this log is read later
    remove(house.pipeline, group, "bob")
    add(house.pipeline, group, "bob")
    rows.take_mailbox = take_mailbox
    for record in held:
        rows.take_mailbox(*record)
    await bob.expect("left", mailbox=group)
    await bob.wait(lambda event: event["op"] == "joined", "joined", within=2)
    house.pipeline.post(group)
    await bob.message(group, 1)


async def test_what_waits_to_be_read_anew_is_forgotten_with_its_last_user(
    house_of: Open, monkeypatch
):
    monkeypatch.setattr(loader, "AT_ONCE", 1)
    house = await house_of()
    for number in range(5):
        house.pipeline.make(f"group:{number}", "bob")
    bob = await house.synced("bob")
    facts = Held(house.pipeline, asks("facts"))
    for channel in list(house.hub.channels.values()):
        house.gateway._loader.resync(channel)
    await until(lambda: facts.calls)
    await bob.close()
    await until(lambda: not house.gateway._pulse.sessions)
    facts.let_go()
    await until(lambda: not house.gateway._loader._resyncing)
    assert not house.hub.channels


async def test_who_was_removed_by_a_row_that_cannot_be_read_gets_nothing_more(
    house: House, group: str
):
    house.pipeline.make(group, "alice", "bob")
    await house.synced("alice")
    bob = await house.synced("bob")
    rows = house.gateway._rows
    take_mailbox = rows.take_mailbox
    # As the tail does with what can't be taken.
    rows.take_mailbox = lambda _partition, key, _value, _headers: rows.failed(key)
    remove(house.pipeline, group, "bob")
    rows.take_mailbox = take_mailbox
    await until(lambda: house.hub.channels[group].is_live)
    await asyncio.sleep(NOTHING_COMES)
    house.pipeline.post(group)
    await asyncio.sleep(NOTHING_COMES)
    assert bob.seqs(group) == []


async def added_to_a_busy_group(house, group, **hello):
    """A notified phone and a live laptop of bob, who is added to a group in which three messages follow at once."""
    house.pipeline.make(group, "alice")
    phone, laptop = await house.connect("bob", **hello), await house.connect("bob")
    await phone.request("sync", mode="notify")
    await laptop.request("sync", mode="live")
    facts = Held(house.pipeline, asks("facts"))
    add(house.pipeline, group, "bob")
    await until(lambda: facts.calls)
    house.pipeline.post(group, count=3)
    facts.let_go()
    await laptop.message(group, 3)
    return phone


async def test_a_device_that_is_notified_hears_of_messages_sent_before_it_was_welcomed(
    house: House, group: str
):
    phone = await added_to_a_busy_group(house, group)
    joined = await phone.expect("joined", mailbox=group)
    if joined["head"] < 3:
        await phone.expect("head", mailbox=group, head=3)


async def test_a_device_that_is_notified_has_nothing_to_acknowledge(house_of: Open, group: str):
    house = await house_of(ack_seconds=0.3)
    phone = await added_to_a_busy_group(house, group, ack=True)
    await asyncio.sleep(2)
    assert phone.close_code is None
