"""The checker of public mailboxes sees each kind of damage. Nothing here needs a broker."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.faults.checker import Raw, Record, Report
from tests.faults.public.checker import check
from tests.faults.public.evidence import Connection, Found, Order, PublicEvidence, Told
from tests.faults.public.reach import bucket, matches

NEWS = "public:a"
FIRST, SECOND = (NEWS, 1), (NEWS, 3)
NOT_RED = {"not": {"claim": "crew", "in": ["red"]}}
ALL = {"percent": 100, "users": []}
HERE, THERE = "ws://here", "ws://there"


class Story:
    """A small healthy run, to be damaged.

    The first publish reaches alice, then bob in a release; the second reaches both and is withdrawn.
    Carol is in the audience of neither.
    """

    def __init__(self) -> None:
        publish = {"type": "publish", "mailbox": NEWS, "by": "olga", "title": "t", "body": 1}
        about = {"mailbox": NEWS, "by": "olga", "publish": 1, "expect": 1}
        listed = {"release": {"percent": 0, "users": ["alice"]}, "audience": NOT_RED}
        second = {"type": "release", **about, "id": "two", "release": ALL}
        self.commands: list[Any] = [
            {**publish, "id": "one", **listed},
            second,
            second,
            {**publish, "id": "three", "release": ALL, "audience": NOT_RED},
            {"type": "withdraw", **about, "id": "four", "publish": 3, "expect": 3},
            {"type": "release", **about, "id": "stale", "release": ALL},
        ]
        self.entries: list[tuple[str, Any]] = [
            entry(1, [0, 0], self.commands[0]),
            ("s", {"at": [0, 1], "epoch": "one"}),
            entry(2, [1, 0], self.commands[1]),
            entry(3, [3, 0], self.commands[3]),
            entry(4, [4, 0], self.commands[4]),
        ]
        self.user_commands: list[Any] = [
            touch("alice", 1, [1, 1, "normal"]),
            {"type": "open", "user": "alice", "by": "alice", "mailbox": NEWS, "publish": 1},
            touch("bob", 2, [1, 2, "normal"]),
            touch("alice", 3, [3, 3, "normal"]),
            touch("bob", 3, [3, 3, "normal"]),
            touch("bob", 3, [1, 2, "normal"]),
        ]
        self.cursors: list[tuple[str, Any]] = [
            ("alice", {"at": [0, 0], "read": 1, "touched": [1], "counts": {"1": [1, 0]}}),
            ("alice", {"at": [1, 0], "read": 1, "opened": [1], "counts": {"1": [1, 1]}}),
            ("bob", {"at": [2, 0], "read": 2, "touched": [1], "counts": {"1": [2, 1]}}),
            (
                "alice",
                {
                    "at": [3, 0],
                    "read": 3,
                    "touched": [3],
                    "opened": [1],
                    "counts": {"3": [1, 0]},
                },
            ),
            (
                "bob",
                {"at": [4, 0], "read": 3, "touched": [3], "counts": {"1": [2, 1], "3": [2, 0]}},
            ),
        ]
        self.alice = Connection(
            "alice", HERE, 0, 1, None, [shown(1, 1), shown(3, 3), Told("withdrawn", NEWS, 3)]
        )
        self.bob = Connection(
            "bob", THERE, 0, 1, None, [shown(1, 2), shown(3, 3), Told("withdrawn", NEWS, 3)]
        )
        self.carol = Connection("carol", HERE, 0, 1)
        self.evidence = PublicEvidence(
            orders={
                "one": ordered(self.commands[0], 1),
                "two": ordered(self.commands[1], 2),
                "three": ordered(self.commands[3], 3),
                "four": ordered(self.commands[4], 4),
                "stale": ordered(self.commands[5]),
            },
            claims={"alice": {"crew": "blue"}, "bob": {"crew": "green"}, "carol": {"crew": "red"}},
            connections=[self.alice, self.bob, self.carol],
            opened={("alice", FIRST)},
            last=[Connection(user, HERE, 9_000, 9_000) for user in ("alice", "bob", "carol")],
            found={"alice": {FIRST: Found(1, True)}, "bob": {FIRST: Found(2, False)}, "carol": {}},
            unread={"alice": {NEWS: 0}, "bob": {NEWS: 1}, "carol": {}},
            asked=9_000,
            counts_told={"the workers": {FIRST: (2, 1), SECOND: (2, 0)}},
            committed={("user-commands", 0): 6},
            ends={("user-commands", 0): 6},
            back_seconds=[3.0],
        )

    def check(self) -> Report:
        raw = Raw(
            records(((NEWS, command) for command in self.commands), 1_000),
            records(((f"{NEWS}/{key}", row) for key, row in self.entries), 1_000),
            records(((command["user"], command) for command in self.user_commands), 2_000),
            records(((f"{user}/c/{NEWS}", row) for user, row in self.cursors), 2_000),
        )
        return check(raw, self.evidence)


def entry(seq: int, at: list[int], command: Any) -> tuple[str, Any]:
    fields = {name: command[name] for name in command if name not in ("type", "mailbox")}
    row = {"kind": command["type"], "at": at, "seq": seq, "ts": 1_000 + at[0], **fields}
    return f"m/{seq:016d}", row


def touch(user: str, upto: int, *touched: list[Any]) -> dict[str, Any]:
    fields = {"mailbox": NEWS, "upto": upto, "touched": list(touched)}
    return {"type": "touch", "user": user, "by": user, **fields}


def shown(publish: int, at: int, *, again: bool = False) -> Told:
    return Told("notice", NEWS, publish, at, again)


def ordered(command: Any, *receipts: int) -> Order:
    answered = (HERE, 3_000.0) if receipts else None
    is_stale = command["id"] == "stale"
    kind, id_, by = command["type"], command["id"], command["by"]
    return Order(kind, id_, by, command, is_stale, set(receipts), answered)


def records(pairs: Iterable[tuple[str, Any]], since: int) -> list[Record]:
    return [
        Record(0, offset, key.encode(), json.dumps(value).encode(), ts=since + offset)
        for offset, (key, value) in enumerate(pairs)
    ]


def test_a_healthy_run_is_clean():
    report = Story().check()
    assert report.clean, str(report)


def test_the_bucket_is_that_of_the_protocol():
    assert bucket("5d3c0f6e-5a0e-4c55-9d5c-2a5b4d5e0011", "alice") == 1_213


def test_an_audience_is_that_of_the_protocol():
    red, none = {"crew": "red"}, {}
    is_red = {"claim": "crew", "in": ["red"]}
    assert matches(is_red, red)
    assert not matches(is_red, none)
    assert matches(NOT_RED, none)
    assert not matches({"all": [is_red, NOT_RED]}, red)
    assert matches({"any": [is_red, NOT_RED]}, red)


def test_late_rows_of_another_writer_are_skipped():
    story = Story()
    story.cursors.append(story.cursors[2])
    story.entries.append(story.entries[0])
    assert story.check().clean


def test_who_had_left_may_find_it_later():
    story = Story()
    story.bob.ended = 2_001.0
    story.bob.told.clear()
    assert story.check().clean


def test_two_devices_at_one_gateway_are_shown_it_both():
    story = Story()
    story.evidence.connections.append(Connection("bob", THERE, 0, 1, None, list(story.bob.told)))
    assert story.check().clean


def test_a_repetition_is_not_shown_as_new():
    story = Story()
    later = Connection("alice", THERE, 2_500, 2_501, 2_600, [shown(1, 1, again=True)])
    story.evidence.connections.append(later)
    assert story.check().clean


Damage = Callable[[Story], None]
DAMAGES: list[tuple[str, Damage]] = []


def offends(finding: str) -> Callable[[Damage], Damage]:
    """Which finding is to name the damage."""

    def noted(damage: Damage) -> Damage:
        DAMAGES.append((finding, damage))
        return damage

    return noted


# The log of entries


@offends("entries are dense from 1")
def lose_an_entry(story: Story) -> None:
    del story.entries[2]


@offends("entries are dense from 1")
def lose_the_epoch(story: Story) -> None:
    story.entries[1][1]["epoch"] = "two"


@offends("the entries are what the commands say")
def carry_out_a_retry(story: Story) -> None:
    story.entries.insert(3, entry(3, [2, 0], story.commands[2]))
    story.entries[4] = entry(4, [3, 0], story.commands[3])
    story.entries[5] = entry(5, [4, 0], story.commands[4])


@offends("the entries are what the commands say")
def lose_the_last_entry(story: Story) -> None:
    story.entries.pop()


@offends("the entries are what the commands say")
def accept_a_stale_order(story: Story) -> None:
    story.entries.append(entry(5, [5, 0], story.commands[5]))


@offends("the entries are what the commands say")
def release_further_than_said(story: Story) -> None:
    story.entries[0][1]["release"] = ALL


@offends("the entries are what the commands say")
def forget_the_audience(story: Story) -> None:
    story.entries[3][1]["audience"] = None


@offends("an accepted order is one entry")
def lose_what_was_accepted(story: Story) -> None:
    story.entries.pop()
    story.commands.pop(4)


@offends("an accepted order is one entry")
def receipt_differs(story: Story) -> None:
    story.evidence.orders["four"].receipts.add(5)


@offends("an accepted order is one entry")
def invent_an_order(story: Story) -> None:
    del story.evidence.orders["four"]


@offends("rows follow commands")
def row_of_no_command(story: Story) -> None:
    story.entries.append(entry(5, [77, 0], story.commands[4]))


# What touches users


@offends("nobody is touched twice")
def touch_twice(story: Story) -> None:
    story.cursors.append(("bob", {"at": [5, 0], "read": 3, "touched": [1]}))


@offends("cursors are what the commands say")
def lose_a_touch(story: Story) -> None:
    story.cursors[2][1]["touched"] = []


@offends("cursors are what the commands say")
def cursor_goes_back(story: Story) -> None:
    story.cursors[4][1]["read"] = 2


@offends("cursors are what the commands say")
def lose_an_opening(story: Story) -> None:
    story.cursors[3][1]["opened"] = []


@offends("only those reached are touched")
def touch_somebody_outside(story: Story) -> None:
    story.user_commands.append(touch("carol", 3, [1, 2, "normal"]))
    story.cursors.append(("carol", {"at": [6, 0], "read": 3, "touched": [1]}))


@offends("only those reached are touched")
def touch_before_the_release(story: Story) -> None:
    story.user_commands[2]["touched"] = [[1, 1, "normal"]]


@offends("only those reached are touched")
def touch_before_it_was_there(story: Story) -> None:
    story.entries[0][1]["ts"] = 2_001


@offends("everybody reached is touched")
def miss_somebody(story: Story) -> None:
    story.user_commands[2]["touched"] = []
    story.cursors[2][1]["touched"] = []


# What clients see


@offends("nothing is shown as new twice")
def show_it_at_two_gateways(story: Story) -> None:
    story.evidence.connections.append(Connection("bob", HERE, 0, 1, 1_000, [shown(1, 2)]))


@offends("nothing is shown as new twice")
def show_it_anew_after_a_reconnect(story: Story) -> None:
    story.bob.ended = 2_100.0
    story.evidence.connections.append(Connection("bob", THERE, 2_200, 2_201, None, [shown(1, 2)]))


@offends("nothing is shown as new twice")
def show_it_twice_in_a_row(story: Story) -> None:
    story.bob.told.insert(0, shown(1, 2))


@offends("nothing is shown as new twice")
def show_what_is_not_recorded(story: Story) -> None:
    del story.cursors[2]


@offends("nobody else sees anything")
def show_it_to_somebody_outside(story: Story) -> None:
    story.carol.told.append(shown(1, 2, again=True))


@offends("nobody else sees anything")
def show_it_before_the_release(story: Story) -> None:
    story.bob.told[0] = shown(1, 1)


@offends("nobody else sees anything")
def let_somebody_outside_find_it(story: Story) -> None:
    story.evidence.found["carol"] = {FIRST: Found(2, False)}


@offends("nobody else sees anything")
def tell_somebody_outside_of_the_end(story: Story) -> None:
    story.carol.told.append(Told("withdrawn", NEWS, 3))


@offends("who stays is shown what touches them")
def not_show_it(story: Story) -> None:
    del story.bob.told[0]


@offends("who stays is shown what touches them")
def not_show_it_to_the_second_device(story: Story) -> None:
    story.evidence.connections.append(Connection("bob", THERE, 0, 1))


@offends("what is withdrawn is not shown")
def show_it_after_its_withdrawal(story: Story) -> None:
    story.bob.told.append(shown(3, 3, again=True))


@offends("what is withdrawn is not shown")
def not_tell_of_the_withdrawal(story: Story) -> None:
    story.bob.told.pop()


@offends("what is withdrawn is not shown")
def show_it_to_who_comes_after_its_withdrawal(story: Story) -> None:
    late = Connection("alice", HERE, 4_000, 4_001, 5_000, [shown(3, 3, again=True)])
    story.evidence.connections.append(late)


@offends("what is withdrawn is not shown")
def show_at_the_end_what_has_expired(story: Story) -> None:
    for publish in (story.commands[0], story.entries[0][1]):
        publish["expires"] = 8_000
    story.evidence.last[0].told.append(shown(1, 1, again=True))


@offends("what was shown is found again")
def not_find_it(story: Story) -> None:
    story.evidence.found["bob"].clear()


@offends("what was shown is found again")
def find_it_unopened(story: Story) -> None:
    story.evidence.found["alice"][FIRST] = Found(1, False)


@offends("what was shown is found again")
def find_what_is_withdrawn(story: Story) -> None:
    story.evidence.found["bob"][SECOND] = Found(3, False)


@offends("what was shown is found again")
def unread_is_wrong(story: Story) -> None:
    story.evidence.unread["alice"][NEWS] = 1


# Counts and the rest


@offends("counts are right")
def count_a_touch_twice(story: Story) -> None:
    story.evidence.counts_told["the workers"][SECOND] = (3, 0)


@offends("counts are right")
def not_count_an_opening(story: Story) -> None:
    story.evidence.counts_told["the board"] = {FIRST: (2, 0), SECOND: (2, 0)}


@offends("counts are right")
def count_a_publish_that_touched_nobody(story: Story) -> None:
    story.evidence.counts_told["the workers"][NEWS, 2] = (1, 0)


@offends("counts are right")
def lose_a_total(story: Story) -> None:
    story.cursors[4][1]["counts"] = {"1": [2, 1], "3": [1, 0]}


@offends("counts are right")
def lose_an_acknowledged_opening(story: Story) -> None:
    story.evidence.opened.add(("bob", FIRST))


@offends("all commands are committed")
def commit_stands_still(story: Story) -> None:
    story.evidence.committed["user-commands", 0] = 5


@offends("a restarted worker decides within 30 s")
def worker_is_late(story: Story) -> None:
    story.evidence.back_seconds.append(31.0)


@pytest.mark.parametrize(
    ("finding", "damage"), DAMAGES, ids=[damage.__name__ for _, damage in DAMAGES]
)
def test_damage_is_seen(finding: str, damage: Damage):
    story = Story()
    damage(story)
    offended = [one.name for one in story.check().findings if not one.holds]
    assert finding in offended
