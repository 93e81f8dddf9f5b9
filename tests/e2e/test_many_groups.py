"""A user in a thousand groups: every count by one query per partition."""

import asyncio
from collections import Counter

import orjson

from tests.e2e.conftest import Connect
from tests.processes import Gateway, System
from tests.records import COMMANDS, Kafka, Offsets, new_id, unique

GROUPS = 1_000


async def test_all_counts_of_a_thousand_groups_come_by_one_query_per_partition(
    stack: System, connect: Connect, second: Gateway
):
    bob, groups = unique("bob"), [unique("group:g") for _ in range(GROUPS)]
    await asyncio.to_thread(make, stack.kafka, groups, bob)
    client = await connect(bob, url=second.ws)
    before = await asyncio.to_thread(command_ends, stack.kafka)
    entries = await client.sync()
    asked = await asyncio.to_thread(queries_since, stack.kafka, before, bob)

    assert {group: entries[group]["unread"] for group in groups} == dict.fromkeys(groups, 2)
    partitions = stack.kafka.partitions("mailbox-commands")
    assert asked["mailbox-commands"] == Counter(dict.fromkeys(range(partitions), 1))
    assert sum(asked["user-commands"].values()) <= 1

    again = await connect(bob, url=second.ws)
    assert (await again.sync()).keys() == entries.keys()


def make(kafka: Kafka, groups: list[str], member: str) -> None:
    """Groups with two messages each, all decided and told to the member's partition."""
    kafka.send_all([command for group in groups for command in opening(group, member)])
    asked = [{"type": "query", "mailbox": group, "by": member, "what": "facts"} for group in groups]
    heads = [answer["facts"][0]["head"] for answer in kafka.ask_all(asked)]
    assert heads == [2] * len(groups)
    cursors = {"type": "query", "user": member, "by": member, "what": "cursors", "limit": 2000}
    assert len(kafka.ask(cursors)["cursors"]) == len(groups)


def opening(group: str, member: str) -> list[dict[str, object]]:
    by = {"mailbox": group, "by": "alice"}
    return [
        {"type": "create", **by, "id": new_id(), "policy": {}},
        {"type": "join", **by, "id": new_id(), "members": [member]},
        {"type": "send", **by, "id": new_id(), "body": 1},
        {"type": "send", **by, "id": new_id(), "body": 2},
    ]


def command_ends(kafka: Kafka) -> dict[str, Offsets]:
    return {name: kafka.ends(name) for name in COMMANDS}


def queries_since(kafka: Kafka, before: dict[str, Offsets], user: str) -> dict[str, Counter[int]]:
    """How many questions of a user each partition got."""
    return {
        name: Counter(
            record.partition
            for record in kafka.read(name, start)
            if is_query(orjson.loads(record.value), user)
        )
        for name, start in before.items()
    }


def is_query(command: dict[str, object], user: str) -> bool:
    return command["type"] == "query" and command["by"] == user
