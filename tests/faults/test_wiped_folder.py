"""A worker that has lost its data folder, or some of it, answers as before: the log has everything."""

from pathlib import Path
from typing import Any

from tests.processes import System, running
from tests.records import new_id
from tests.waiting import eventually

GROUPS = [f"group:g{number}" for number in range(12)]
CHAT = "direct:alice~bob"


def test_a_wiped_data_folder_changes_no_answer(broker: str, tmp_path: Path):
    with running(broker, tmp_path, gateways=0) as system:
        system.kafka.ask_all([one for group in GROUPS for one in made(group)])
        system.kafka.send_all([one for group in GROUPS for one in used(group)])
        system.kafka.send_all([said(CHAT, number) for number in range(3)])
        ends = system.kafka.command_ends()
        eventually(lambda: system.kafka.lag(ends) == 0, "everything is decided")
        before = answers(system)
        (worker,) = system.workers
        worker.stop()
        worker.wipe()
        worker.start()
        system.kafka.wait_decides(60)
        assert answers(system) == before

        again = said(GROUPS[0], "once more")
        system.kafka.send(again)
        assert system.kafka.ask(again)["seq"] == 8
        first = {**said(GROUPS[0], 0), "id": again["id"]}
        assert code_of(system, first) == "conflict"


def test_a_killed_worker_goes_on_from_what_it_had_on_disk(broker: str, tmp_path: Path):
    with running(broker, tmp_path, gateways=0, READCAST_ROCKSDB_FLUSH_SECONDS="2") as system:
        system.kafka.ask_all([one for group in GROUPS for one in made(group)])
        (worker,) = system.workers
        eventually(lambda: any(worker.data.rglob("*.sst")), "some of it is on disk")
        system.kafka.send_all([one for group in GROUPS for one in used(group)])
        ends = system.kafka.command_ends()
        eventually(lambda: system.kafka.lag(ends) == 0, "everything is decided")
        before = answers(system)
        worker.kill()
        worker.start()
        system.kafka.wait_decides(60)
        assert answers(system) == before


def code_of(system: System, command: dict[str, Any]) -> str:
    (ref,) = system.kafka.asker.post([command])
    return str(system.kafka.asker.answer(ref)["error"]["code"])


def made(group: str) -> list[dict[str, Any]]:
    by = {"mailbox": group, "by": "alice"}
    members = ["bob", "carol", "dave"]
    return [
        {"type": "create", **by, "id": new_id(), "policy": {"retain": 0}},
        {"type": "join", **by, "id": new_id(), "members": members},
    ]


def used(group: str) -> list[dict[str, Any]]:
    by = {"mailbox": group, "by": "alice"}
    return [
        *(said(group, number) for number in range(6)),
        {"type": "recall", **by, "id": new_id(), "seq": 4},
        {"type": "trim", **by, "id": new_id(), "upto": 2},
        {"type": "leave", **by, "id": new_id(), "members": ["carol"]},
        {"type": "role", **by, "id": new_id(), "member": "dave", "role": "admin"},
        {"type": "mute", **by, "id": new_id(), "member": "bob", "until": 2**50},
        {"type": "policy", **by, "id": new_id(), "policy": {"join": "invite"}},
        said(group, "the last one"),
        {"type": "read", "user": "bob", "by": "bob", "mailbox": group, "seq": 3},
        {"type": "read", "user": "dave", "by": "dave", "mailbox": group, "seq": 6},
        {"type": "unread", "user": "dave", "by": "dave", "mailbox": group, "seq": 5},
    ]


def said(mailbox: str, body: object) -> dict[str, Any]:
    return {"type": "send", "mailbox": mailbox, "by": "alice", "id": new_id(), "body": body}


def answers(system: System) -> list[Any]:
    questions = [
        {"type": "query", "mailbox": mailbox, "by": user, **what}
        for mailbox in (*GROUPS, CHAT)
        for user in ("alice", "bob")
        for what in (
            {"what": "facts"},
            {"what": "history", "after": 0},
            {"what": "history", "before": 6, "limit": 2},
            {"what": "members"},
        )
    ]
    cursors = [
        {"type": "query", "user": user, "by": user, "what": "cursors"}
        for user in ("alice", "bob", "carol", "dave")
    ]
    asker = system.kafka.asker
    refs = asker.post([*questions, *cursors])
    return [without_place(asker.answer(ref)) for ref in refs]


def without_place(answer: dict[str, Any]) -> Any:
    """What was answered, without the offset at which it was."""
    result = answer.get("result") or answer["error"]
    return {name: value for name, value in result.items() if name != "as_of"}
