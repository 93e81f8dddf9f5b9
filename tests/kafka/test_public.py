"""Public mailboxes through a real broker: the operator's commands, and the documented lines."""

import re
import time

import orjson
import pytest

from tests.processes import ROOT, System
from tests.records import Refused, new_id, unique

DAY = 86_400_000
PROTOCOL = (ROOT / "docs/protocol.md").read_text()
DOCUMENTED = [
    orjson.loads(line) for line in re.findall(r"^  '[a-z:]+' '(\{.*\"public:.*\})'", PROTOCOL, re.MULTILINE)
]  # fmt: skip


def ran(stack: System, *arguments: str) -> str:
    done = stack.faust(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failed(stack: System, *arguments: str) -> str:
    done = stack.faust(*arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def touch(user: str, mailbox: str, upto: int, *publishes: int) -> dict[str, object]:
    return {
        "type": "touch",
        "user": user,
        "by": user,
        "mailbox": mailbox,
        "upto": upto,
        "day": int(time.time() * 1_000) // DAY,
        "touched": [[publish, publish, "normal"] for publish in publishes],
    }


def history(mailbox: str, by: str = "system") -> dict[str, object]:
    return {"type": "query", "mailbox": mailbox, "by": by, "what": "history"}


def test_an_operator_publishes_releases_withdraws_and_counts(stack: System):
    news = unique("public:n")
    published = ran(stack, "publish", news, "A title", '{"text":"hi"}', "--by", "olga")
    assert f"entry 1 of {news}" in published
    id_ = new_id()
    release = ("release", news, "1", "--percent", "100", "--expect", "1", "--id", id_)
    assert ran(stack, *release).strip() == f"entry 2 of {news}"
    assert ran(stack, *release).strip() == f"entry 2 of {news}, as before"
    late = failed(stack, "release", news, "1", "--percent", "100", "--expect", "1")
    assert late.startswith("Error: conflict: the last entry about publish 1 is 2, not 1")

    users = [
        stack.kafka.name_in(number) for number in range(stack.kafka.partitions("user-commands"))
    ]
    for answer in stack.kafka.ask_all([touch(user, news, 2, 1) for user in users] * 2):
        assert answer["read"] == 2
    opened = {"type": "open", "user": users[0], "by": users[0], "mailbox": news, "publish": 1}
    stack.kafka.ask_all([opened, opened])
    assert [line.split() for line in ran(stack, "counts", news).splitlines()[1:]] == [
        ["1", "all", str(len(users)), "1"],
        ["1", str(len(users)), "1"],
        ["2", "0", "0"],
    ]

    assert f"entry 3 of {news}" in ran(stack, "withdraw", news, "1", "--expect", "2")
    shown = ran(stack, "show", news)
    assert [line.split()[1] for line in shown.splitlines()[-3:]] == [
        "publish",
        "release",
        "withdraw",
    ]


def test_all_entries_are_counted_and_shown_however_large_they_are(stack: System):
    news = unique("public:n")
    publish = {"type": "publish", "mailbox": news, "by": "olga", "title": "t", "body": "x" * 60_000}
    stack.kafka.send_all([{**publish, "id": new_id()} for _ in range(40)])
    seqs = [str(number) for number in range(1, 41)]
    counted = ran(stack, "counts", news).splitlines()[1:]
    assert [line.split()[0] for line in counted] == seqs
    shown = ran(stack, "show", news, "--limit", "40").splitlines()[2:]
    assert [line.split()[0] for line in shown] == seqs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("publish", "group:g", "t", "1"), "Error: Expected `str` matching regex"),
        (("publish", "public:n", "t", "hi"), "Error: body: "),
        (("publish", "public:n", "t", "1", "--percent", "0.001"), "Error: release.percent: 0.001"),
        (("publish", "public:n", "t", "1", "--expires", "soon"), "Error: expires: "),
        (("publish", "public:n", "t", "1", "--audience", '{"all":[]}'), "Error: audience.all: "),
        (("withdraw", "public:n", "0", "--expect", "1"), "Error: Expected `int` >= 1"),
        (("counts", "news"), "Error: Expected `str` matching regex"),
    ],
)
def test_a_mistake_is_told_in_one_line(stack: System, arguments: tuple[str, ...], message: str):
    assert failed(stack, *arguments).startswith(message)


def test_the_documented_lines_publish_and_touch(stack: System):
    commands = [command for command in DOCUMENTED if command["type"] != "query"]
    assert [c["type"] for c in commands] == ["publish", "release", "withdraw", "touch", "open"]
    stack.kafka.send_all(commands)
    news = commands[0]["mailbox"]
    rows = stack.kafka.ask(history(news))["messages"]
    assert [row["kind"] for row in rows] == ["publish", "release", "withdraw"]
    # The user has other cursors, more than a page of them: ask for those of public mailboxes.
    user = commands[3]["user"]
    cursors = {"type": "query", "user": user, "by": "system", "after": "public:"}
    found = {cursor["mailbox"]: cursor for cursor in stack.kafka.ask(cursors)["cursors"]}
    assert (found[news]["opened"], found[news]["counts"]) == ([1], {"1": [1, 1]})


def test_users_do_not_read_what_may_not_have_reached_them(stack: System):
    news = unique("public:n")
    stack.kafka.send({
        "type": "publish", "mailbox": news, "by": "olga", "id": new_id(), "title": "t", "body": 1,
    })  # fmt: skip
    with pytest.raises(Refused) as refused:
        stack.kafka.ask(history(news, "alice"))
    assert refused.value.code == "not_member"
