"""The command line against real workers: what it prints, and its exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.processes import START_SECONDS, Process, System
from tests.records import new_id, unique
from tests.waiting import eventually


@pytest.fixture(scope="module")
def group(stack: System) -> str:
    """A group of alice's with three more."""
    made = unique("group:g")
    stack.kafka.ask({"type": "create", "mailbox": made, "by": "alice", "id": new_id()})
    members = ["bob", "carol", "dave"]
    join = {"type": "join", "mailbox": made, "by": "alice", "id": new_id(), "members": members}
    stack.kafka.ask(join)
    return made


def message(mailbox: str, by: str = "alice", **fields: object) -> str:
    command = {"type": "send", "mailbox": mailbox, "by": by, "id": new_id(), "body": "hi"}
    return orjson.dumps({**command, **fields}).decode()


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that failed."""
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    return line


def head(stack: System, mailbox: str) -> int:
    question = {"type": "query", "mailbox": mailbox, "by": "system", "what": "facts"}
    return stack.kafka.ask(question)["facts"][0]["head"]


def test_a_message_that_is_sent_gets_its_seq_and_the_same_one_again(stack: System, group: str):
    command, before = message(group), head(stack, group)
    first, again = (orjson.loads(stack.faust("send", command).stdout) for _ in range(2))
    assert first["seq"] == before + 1
    assert again == {**first, "duplicate": True}


def test_a_message_that_is_refused_is_an_error(stack: System, group: str):
    taken = new_id()
    assert stack.faust("send", message(group, id=taken)).returncode == 0
    refused = {
        "not_member": message(group, by="mallory"),
        "not_found": message(unique("group:none")),
        "conflict": message(group, id=taken, body="something else"),
    }
    for code, command in refused.items():
        assert failure(stack.faust("send", command)).startswith(f"Error: {code}: ")


def test_without_waiting_a_message_is_only_stored(stack: System, group: str):
    done = stack.faust("send", "--no-wait", message(group, by="mallory"))
    assert done.returncode == 0
    assert "stored, not yet decided" in done.stdout


def test_other_commands_print_their_result_or_fail(stack: System, group: str):
    leave = {"type": "leave", "mailbox": group, "id": new_id(), "members": ["nobody"]}
    done = stack.faust("send", orjson.dumps({**leave, "by": "alice"}).decode())
    assert orjson.loads(done.stdout)["mailbox"] == group
    refused = stack.faust("send", orjson.dumps({**leave, "by": "mallory"}).decode())
    assert failure(refused).startswith("Error: not_member: ")


def test_a_bad_line_of_a_file_names_itself_and_what_became_of_the_others(
    stack: System, group: str, tmp_path: Path
):
    file, before = tmp_path / "commands", head(stack, group)
    file.write_text(f'{message(group)}\n\n{message(group)}\n{{"type":"send"}}\n{message(group)}\n')
    done = stack.faust("send", "--file", str(file))
    assert failure(done).startswith("Error: line 4, from which on nothing is sent: ")
    assert "2 commands stored" in done.stdout
    eventually(lambda: head(stack, group) == before + 2, "the two before it are decided")


def test_show_tells_of_members_that_it_leaves_out(stack: System, group: str):
    assert "and 1 more" in stack.faust("show", group, "--limit", "3").stdout
    assert "more" not in stack.faust("show", group, "--limit", "4").stdout
    assert stack.faust("show", group, "--limit", "0").returncode == 2


@pytest.mark.parametrize("command", ["show", "counts"])
def test_a_mailbox_that_is_not_there_is_an_error(stack: System, command: str):
    nothing = unique("public:n")
    assert failure(stack.faust(command, nothing)) == f"Error: there is no mailbox {nothing}"


def test_a_time_that_is_none_names_the_form(stack: System):
    done = stack.faust("publish", "public:n", "A title", "{}", "--expires", "tomorrow")
    assert "2026-12-31T18:00+01:00" in failure(done)


def test_ctrl_c_ends_following_without_a_word(stack: System, group: str, tmp_path: Path):
    command = [sys.executable, "-m", "faust", "-A", "streams", "follow", group]
    with Process("follow", command, tmp_path / "follow.log", stack._env).start() as following:

        def follows() -> bool:
            stack.faust("send", message(group))
            return following.check() and f"{group}/m/" in following.tail()

        eventually(follows, "a message is shown", START_SECONDS)
        shown = following.log.stat().st_size
        os.kill(following.pid, signal.SIGINT)
        assert following.wait(START_SECONDS) == 130
        assert following.tail(after=shown) == ""


def test_following_what_is_no_mailbox_or_has_no_topics_is_an_error(
    stack: System, broker: str, tmp_path: Path
):
    assert "group:<id>" in failure(stack.faust("follow", "team"))
    with System(broker, tmp_path) as without_topics:
        for command in (("follow",), ("show", "group:team")):
            done = without_topics.faust(*command)
            assert done.returncode == 1
            assert "faust -A streams topics --check" in done.stderr.splitlines()[-1]


def test_settings_that_cannot_be_used_are_named(stack: System):
    done = stack.faust("show", "group:g", READCAST_PARTITIONS="abc", READCAST_APP_ID="a b")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["READCAST_APP_ID", "READCAST_PARTITIONS"]
