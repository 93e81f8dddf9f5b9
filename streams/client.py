"""A plain client of the pipeline for commands and tests: sends commands, asks, reads the log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streams.partitioning import partition_of
from streams.settings import Settings
from streams.topics import MAX_RECORD, topics
from tables.fetching import Record
from tables.reader import open_reader


class PipelineClient:
    """Sends commands and reads answers, straight through Kafka; waits `seconds` for each answer."""

    def __init__(self, settings: Settings, seconds: float = 10.0) -> None:
        self._settings = settings
        self._seconds = seconds
        self._topics = topics(settings)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            acks="all",
            max_request_size=MAX_RECORD,
            linger_ms=5,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except KafkaError:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._producer.stop()

    async def send(
        self, command: dict[str, Any], partition: int | None = None
    ) -> asyncio.Future[Any]:
        """Send a command to where it belongs, or to `partition`; the future is done once it is stored."""
        of_user = "user" in command
        topic = self._topics.user_commands if of_user else self._topics.mailbox_commands
        key = str(command["user" if of_user else "mailbox"])
        stored: asyncio.Future[Any] = await self._producer.send(
            topic, msgspec.json.encode(command), key=key.encode(), partition=partition
        )
        return stored

    async def ask(self, command: dict[str, Any], partition: int | None = None) -> dict[str, Any]:
        """Send a command and wait for its answer: `result` or `error`. `TimeoutError` if none comes.

        The answer to a message that is accepted is its row in the log.
        """
        name = f"cli-{uuid.uuid4().hex[:12]}"
        home = partition_of(name, self._settings.partitions)
        places = [TopicPartition(self._topics.replies, home)]
        if command["type"] == "send":
            number = partition_of(command["mailbox"], self._settings.partitions)
            places.append(TopicPartition(self._topics.mailbox_log, number))
        async with open_reader(self._settings.bootstrap_servers) as reader:
            reader.assign(places)
            await self._to_end(reader, places)
            reply = {"to": name, "partition": home, "ref": 1}
            await self.send({**command, "reply": reply}, partition)
            return await asyncio.wait_for(_answer(reader, name, command), self._seconds)

    async def follow(self) -> AsyncIterator[Record]:
        """The mailbox log from here on; `TimeoutError` if it has no end, as one that isn't there."""
        topic = self._topics.mailbox_log
        partitions = [TopicPartition(topic, number) for number in range(self._settings.partitions)]
        async with open_reader(self._settings.bootstrap_servers) as log:
            log.assign(partitions)
            await self._to_end(log, partitions)
            async for record in log:
                yield record

    async def _to_end(self, reader: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
        # The end of a topic that isn't there would be waited for for ever.
        async with asyncio.timeout(self._seconds):
            await reader.seek_to_end(*places)
            for place in places:
                await reader.position(place)


async def _answer(reader: AIOKafkaConsumer, name: str, command: dict[str, Any]) -> dict[str, Any]:
    own_row = f"{command.get('mailbox')}/m/".encode()
    async for record in reader:
        key = record.key or b""
        if key == name.encode():
            answer: dict[str, Any] = msgspec.json.decode(record.value)
            return answer
        if key.startswith(own_row) and record.value is not None:
            row = msgspec.json.decode(record.value)
            if row["id"] == command["id"]:
                return {"result": {"mailbox": command["mailbox"], **_receipt(row)}}
    raise TimeoutError


def _receipt(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "seq", "ts")}
