"""Kafka's own tools and kafka-python as producers and readers, with the documented lines."""

import re
import subprocess
import sys
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.client import Client
from tests.processes import ROOT, System
from tests.records import Refused, new_id, unique
from tests.waiting import eventually

KAFKA = [sys.executable, str(ROOT / "docker/local/kafka.py"), "tool"]
SEPARATOR = "|"
TOOL_SECONDS = 60
DOCUMENTED = re.findall(r"^\{\"type\":.*\}$", (ROOT / "docs/protocol.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def documented(stack: System) -> list[dict[str, object]]:
    """The example commands of docs/protocol.md, written by Kafka's console producer and decided."""
    lines = [f"{orjson.loads(line)['mailbox']}{SEPARATOR}{line}" for line in DOCUMENTED]
    produce(stack, "mailbox-commands", lines)
    commands = [orjson.loads(line) for line in DOCUMENTED]
    stack.kafka.ask(facts(commands[0]["mailbox"], commands[0]["by"]))
    return commands


def produce(stack: System, name: str, lines: list[str]) -> None:
    """Write lines of key, separator and value with Kafka's console producer."""
    keyed = ["parse.key=true", f"key.separator={SEPARATOR}"]
    options = [part for one in keyed for part in ("--reader-property", one)]
    server = ["--bootstrap-server", stack.bootstrap, "--topic", stack.kafka.topic(name)]
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        [*KAFKA, "console-producer", *server, *options],
        input=text,
        text=True,
        capture_output=True,
        timeout=TOOL_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def consume(stack: System, name: str) -> list[tuple[str, str]]:
    """Read a whole topic with Kafka's console consumer."""
    count = sum(stack.kafka.ends(name).values()) - sum(stack.kafka.begins(name).values())
    shown = ["print.key=true", f"key.separator={SEPARATOR}"]
    options = [part for one in shown for part in ("--formatter-property", one)]
    server = ["--bootstrap-server", stack.bootstrap, "--topic", stack.kafka.topic(name)]
    limits = ["--from-beginning", "--max-messages", str(count)]
    done = subprocess.run(
        [*KAFKA, "console-consumer", *server, *options, *limits],
        text=True,
        capture_output=True,
        timeout=TOOL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    pairs = [line.partition(SEPARATOR) for line in done.stdout.split("\n") if line]
    return [(key, value) for key, _, value in pairs]


def facts(mailbox: object, by: object) -> dict[str, object]:
    return {"type": "query", "mailbox": mailbox, "by": by, "what": "facts"}


def test_the_documented_commands_make_a_group_and_a_message(
    stack: System, documented: list[dict[str, object]]
):
    create, join, send = documented
    (fact,) = stack.kafka.ask(facts(create["mailbox"], "bob"))["facts"]
    assert fact["epoch"] == create["id"]
    assert fact["head"] == 1
    assert fact["members"] == 1 + len(join["members"])
    assert fact["last"]["body"] == send["body"]


def test_the_console_consumer_shows_the_log_in_readable_rows(
    stack: System, documented: list[dict[str, object]]
):
    create, join, send = documented
    group = create["mailbox"]
    members = {f"{group}/u/{member}" for member in join["members"]}
    wanted = members | {f"{group}/s", f"{group}/m/{1:016d}"}

    def shown() -> dict[str, dict[str, Any]]:
        # The log grows meanwhile, by leases at least, and what the tool counts may be those rows.
        found = {key: orjson.loads(value) for key, value in consume(stack, "mailbox-changelog")}
        return found if wanted <= found.keys() else {}

    rows = eventually(shown, "the console shows the rows of the group")
    assert rows[f"{group}/s"]["epoch"] == create["id"]
    assert rows[f"{group}/s"]["owner"] == "alice"
    assert all(rows[member]["joined"] == 0 for member in members)
    message = rows[f"{group}/m/{1:016d}"]
    assert (message["seq"], message["id"], message["from"]) == (1, send["id"], "alice")
    assert message["body"] == {"text": "hi"}
    assert message["ts"] > 1_700_000_000_000


def test_the_same_lines_again_change_nothing(stack: System, documented: list[dict[str, object]]):
    group = str(documented[0]["mailbox"])
    before = stack.kafka.rows_of(group)
    lines = [
        f"{command['mailbox']}{SEPARATOR}{orjson.dumps(command).decode()}" for command in documented
    ]
    produce(stack, "mailbox-commands", lines)
    again = stack.kafka.ask(documented[2])
    assert (again["seq"], again["duplicate"]) == (1, True)
    assert stack.kafka.rows_of(group) == before


def test_a_command_without_a_reply_address_is_obeyed_in_silence(stack: System):
    group = unique("group:g")
    before = stack.kafka.ends("replies")
    stack.kafka.send(create(group))
    stack.kafka.send(send(group))
    (fact,) = stack.kafka.ask(facts(group, "alice"))["facts"]
    assert fact["head"] == 1
    replies = stack.kafka.read("replies", before)
    assert sum(group.encode() in reply.value for reply in replies) == 1


def test_an_accepted_send_is_answered_by_its_row_and_a_retry_by_a_record(stack: System):
    group, asker = unique("group:g"), stack.kafka.asker
    made = stack.kafka.ask(create(group))
    assert (made["mailbox"], made["head"], made["members"]) == (group, 0, ["alice"])
    command = send(group)
    before = stack.kafka.ends("mailbox-changelog")
    (first,) = asker.post([command])
    (again,) = asker.post([command])
    receipt = asker.answer(again)["result"]
    assert not asker.answered([first], wait=0)
    assert receipt["duplicate"] is True
    rows = [record for record in stack.kafka.read("mailbox-changelog", before) if record.value]
    (row,) = [orjson.loads(record.value) for record in rows if b"/m/" in record.key]
    assert (row["id"], row["from"], row["seq"]) == (command["id"], "alice", receipt["seq"])


def test_a_refusal_is_an_answer_and_no_row(stack: System):
    group = unique("group:g")
    stack.kafka.ask(create(group))
    before = stack.kafka.rows_of(group)
    with pytest.raises(Refused) as refused:
        stack.kafka.ask({**send(group), "by": "mallory"})
    assert refused.value.code == "not_member"
    assert stack.kafka.rows_of(group) == before


def test_rows_carry_growing_positions_of_commands(stack: System):
    group = unique("group:g")
    stack.kafka.send_all([create(group), *[send(group) for _ in range(10)]])
    stack.kafka.ask(facts(group, "alice"))
    last: dict[int, list[int]] = {}
    for record in stack.kafka.read("mailbox-changelog"):
        at = position(record)
        assert at > last.get(record.partition, [-1, 0])
        last[record.partition] = at
    ends = stack.kafka.ends("mailbox-commands")
    assert all(at[0] < ends[partition] for partition, at in last.items())


def position(record) -> list[int]:
    if record.value is not None:
        return orjson.loads(record.value)["at"]
    return [int(part) for part in dict(record.headers)["at"].split(b",")]


def test_the_users_own_commands_and_cursors(stack: System):
    group, bob = unique("group:g"), unique("bob")
    stack.kafka.ask(create(group))
    stack.kafka.ask({"type": "join", "mailbox": group, "by": bob, "id": new_id()})
    stack.kafka.send_all([send(group) for _ in range(5)])
    read = {"type": "read", "user": bob, "by": bob, "mailbox": group}
    assert stack.kafka.ask({**read, "seq": 3})["read"] == 3
    assert stack.kafka.ask({**read, "seq": 1})["read"] == 3
    assert stack.kafka.ask({**read, "type": "unread", "seq": 2})["read"] == 2
    (cursor,) = stack.kafka.ask({"type": "query", "user": bob, "by": bob, "what": "cursors"})[
        "cursors"
    ]
    assert (cursor["mailbox"], cursor["read"], cursor["member"]) == (group, 2, True)


def test_times_are_the_brokers(stack: System):
    """A producer can't set the time of its command."""
    group = unique("group:g")
    stack.kafka.ask(create(group))
    partition = stack.kafka.partition_of(group)
    topic = stack.kafka.topic("mailbox-commands")
    value = orjson.dumps(send(group))
    stack.kafka.producer.send(
        topic, key=group.encode(), value=value, partition=partition, timestamp_ms=1
    ).get(timeout=30)
    history = {"type": "query", "mailbox": group, "by": "alice", "what": "history", "after": 0}
    (message,) = stack.kafka.ask(history)["messages"]
    assert message["ts"] > 1_700_000_000_000


async def test_what_kafka_producers_send_reaches_websocket_clients(stack: System):
    group, bob = unique("group:g"), unique("bob")
    stack.kafka.ask(create(group))
    stack.kafka.ask({"type": "join", "mailbox": group, "by": bob, "id": new_id()})
    client = await Client.open(stack.ws, bob)
    try:
        await client.hello(stack.token(bob))
        await client.sync()
        stack.kafka.send_all([send(group, number) for number in range(10)])
        await client.message(group, 10)
        assert [event["body"] for event in client.delivered("message", group)] == list(range(10))
    finally:
        await client.close()


def test_commands_are_committed_once_decided(stack: System):
    ends = stack.kafka.command_ends()
    eventually(lambda: stack.kafka.lag(ends) == 0, "nothing left to commit")


async def test_a_transaction_is_decided_as_it_comes_and_its_end_committed(stack: System):
    group = unique("group:g")
    stack.kafka.ask(create(group))
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.bootstrap, transactional_id=unique("transactions")
    )
    async with producer:
        for body in ("first", "second"):
            async with producer.transaction():
                place = stack.kafka.topic("mailbox-commands"), orjson.dumps(send(group, body))
                await producer.send_and_wait(
                    *place, key=group.encode(), partition=stack.kafka.partition_of(group)
                )
    ends = stack.kafka.command_ends()
    eventually(lambda: stack.kafka.lag(ends) == 0, "nothing left to commit")
    (fact,) = stack.kafka.ask(facts(group, "alice"))["facts"]
    assert fact["head"] == 2


def create(group: str) -> dict[str, object]:
    return {"type": "create", "mailbox": group, "by": "alice", "id": new_id(), "policy": {}}


def send(group: str, body: object = "x") -> dict[str, object]:
    return {"type": "send", "mailbox": group, "by": "alice", "id": new_id(), "body": body}
