"""Commands of feeds: follows and posts of authors."""

import uuid
from collections.abc import Iterator, Sequence

import orjson
from aiokafka import AIOKafkaProducer

from bench.backlog import JOINED_AT_ONCE, body
from bench.topics import COMMANDS

SYSTEM = "system"


def outbox(author: str) -> str:
    return f"author:{author}"


def users(count: int, first: int = 0) -> list[str]:
    return [f"u{number}" for number in range(first, first + count)]


def follows(author: str, followers: Sequence[str]) -> Iterator[dict]:
    """Let followers follow an author, as many with each command as one may name."""
    for first in range(0, len(followers), JOINED_AT_ONCE):
        yield command("follow", author, members=followers[first : first + JOINED_AT_ONCE])


def posts(author: str, count: int) -> Iterator[dict]:
    """Posts by `system`, which no rate limits."""
    for number in range(count):
        yield command("post", author, body=body(number))


def command(kind: str, author: str, **fields: object) -> dict:
    return {
        "type": kind,
        "mailbox": outbox(author),
        "by": SYSTEM,
        "id": str(uuid.uuid4()),
        **fields,
    }


async def send_apart(bootstrap: str, commands: Iterator[dict]) -> None:
    """Append commands one after another, so that each post has a time of its own, whatever its partition."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for one in commands:
            await producer.send_and_wait(COMMANDS, orjson.dumps(one), one["mailbox"].encode())
