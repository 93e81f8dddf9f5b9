"""The checker sees each kind of damage. Nothing here needs a broker."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.checker import Raw, Record, Report, check
from tests.faults.evidence import Evidence, Heard, Sent, Shown

GROUP = "group:a"


class Story:
    """A small healthy run, to be damaged: two messages of alice, read up to 1 by bob."""

    def __init__(self) -> None:
        self.commands = [
            {"type": "create", "mailbox": GROUP, "by": "alice", "id": "epoch"},
            {"type": "join", "mailbox": GROUP, "by": "alice", "id": "j", "members": ["bob"]},
            {"type": "send", "mailbox": GROUP, "by": "alice", "id": "one", "body": 1},
            {"type": "send", "mailbox": GROUP, "by": "alice", "id": "one", "body": 1},
            {"type": "send", "mailbox": GROUP, "by": "alice", "id": "two", "body": 2},
        ]
        self.rows: list[tuple[str, Any]] = [
            ("s", {"at": [0, 0], "epoch": "epoch", "owner": "alice"}),
            ("u/alice", {"at": [0, 1], "joined": 0, "role": "owner"}),
            ("u/bob", {"at": [1, 0], "joined": 0}),
            message(1, [2, 0], "one", 1),
            message(2, [4, 0], "two", 2),
        ]
        self.user_commands = [
            {"type": "subscribed", "user": "alice", "by": "system", "mailbox": GROUP, "src": 0},
            {"type": "subscribed", "user": "bob", "by": "system", "mailbox": GROUP, "src": 1},
            {"type": "read", "user": "bob", "by": "bob", "mailbox": GROUP, "seq": 1},
        ]
        self.cursors: list[tuple[str, Any]] = [
            ("alice", {"at": [0, 0], "member": True}),
            ("bob", {"at": [1, 0], "member": True, "src": 1}),
            ("bob", {"at": [2, 0], "read": 1, "member": True, "src": 1}),
        ]
        shown = [Shown(1, "one", "alice", 1), Shown(2, "two", "alice", 2)]
        self.evidence = Evidence(
            sent={
                "one": Sent(GROUP, "one", "alice", 1, {1}, acknowledged=True),
                "two": Sent(GROUP, "two", "alice", 2, {2}, acknowledged=True),
            },
            heard=[Heard("bob", {GROUP: shown})],
            syncs={"bob": {GROUP: {"epoch": "epoch", "head": 2, "read": 1, "unread": 1}}},
            committed={("mailbox-commands", 0): 5},
            ends={("mailbox-commands", 0): 5},
            back_seconds=[3.0],
        )

    def check(self) -> Report:
        raw = Raw(
            records((GROUP, command) for command in self.commands),
            records((f"{GROUP}/{key}", row) for key, row in self.rows),
            records((command["user"], command) for command in self.user_commands),
            records((f"{user}/c/{GROUP}", row) for user, row in self.cursors),
        )
        return check(raw, self.evidence)


def message(seq: int, at: list[int], name: str, body: Any) -> tuple[str, Any]:
    row = {"at": at, "seq": seq, "id": name, "from": "alice", "ts": 1, "body": body}
    return f"m/{seq:016d}", row


def records(pairs: Any) -> list[Record]:
    return [
        Record(0, offset, key.encode(), json.dumps(value).encode())
        for offset, (key, value) in enumerate(pairs)
    ]


def test_a_healthy_run_is_clean():
    report = Story().check()
    assert report.clean, str(report)


def test_late_rows_of_another_writer_are_skipped():
    story = Story()
    story.rows += [message(1, [2, 0], "one", 1), message(2, [4, 0], "two", 2)]
    assert story.check().clean


def test_rows_written_again_for_compaction_change_nothing():
    story = Story()
    story.rows.append(message(1, [4, 1], "one", 1))
    assert story.check().clean


def lose_a_row(story: Story) -> None:
    del story.rows[3]


def change_a_row_in_passing(story: Story) -> None:
    story.rows.append(message(1, [4, 1], "one", 3))


def lose_the_last_row(story: Story) -> None:
    del story.rows[-1]


def store_twice(story: Story) -> None:
    story.rows.insert(4, message(2, [3, 0], "one", 1))
    story.rows[5] = message(3, [4, 0], "two", 2)


def skip_a_seq(story: Story) -> None:
    story.rows[-1] = message(3, [4, 0], "two", 2)


def change_a_body(story: Story) -> None:
    story.rows[-1] = message(2, [4, 0], "two", 3)


def invent_a_message(story: Story) -> None:
    story.rows.append(message(3, [4, 1], "three", 3))


def swap_two(story: Story) -> None:
    story.rows[3:5] = [message(1, [2, 0], "two", 2), message(2, [4, 0], "one", 1)]


def row_of_no_command(story: Story) -> None:
    story.rows.append(message(3, [77, 0], "three", 3))


def receipt_differs(story: Story) -> None:
    story.evidence.sent["two"].receipts.add(3)


def listener_misses_one(story: Story) -> None:
    del story.evidence.heard[0].shown[GROUP][0]


def listener_misses_the_last(story: Story) -> None:
    del story.evidence.heard[0].shown[GROUP][1]


def listener_sees_one_twice(story: Story) -> None:
    shown = story.evidence.heard[0].shown[GROUP]
    shown.append(shown[-1])


def listener_sees_them_swapped(story: Story) -> None:
    story.evidence.heard[0].shown[GROUP].reverse()


def cursor_goes_back(story: Story) -> None:
    story.cursors[-1][1]["read"] = 0


def membership_is_forgotten(story: Story) -> None:
    for _, cursor in story.cursors:
        cursor["member"] = False


def unread_is_wrong(story: Story) -> None:
    story.evidence.syncs["bob"][GROUP]["unread"] = 2


def sync_leaves_one_out(story: Story) -> None:
    story.evidence.syncs["bob"] = {}


def commit_stands_still(story: Story) -> None:
    story.evidence.committed["mailbox-commands", 0] = 4


def nothing_was_committed(story: Story) -> None:
    story.evidence.committed.clear()


def worker_is_late(story: Story) -> None:
    story.evidence.back_seconds.append(31.0)


def member_is_lost(story: Story) -> None:
    del story.rows[2]


@pytest.mark.parametrize(
    "damage",
    [
        lose_a_row,
        change_a_row_in_passing,
        lose_the_last_row,
        store_twice,
        skip_a_seq,
        change_a_body,
        invent_a_message,
        swap_two,
        row_of_no_command,
        receipt_differs,
        listener_misses_one,
        listener_misses_the_last,
        listener_sees_one_twice,
        listener_sees_them_swapped,
        cursor_goes_back,
        membership_is_forgotten,
        unread_is_wrong,
        sync_leaves_one_out,
        commit_stands_still,
        nothing_was_committed,
        worker_is_late,
        member_is_lost,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damage_is_seen(damage: Callable[[Story], None]):
    story = Story()
    damage(story)
    assert not story.check().clean
