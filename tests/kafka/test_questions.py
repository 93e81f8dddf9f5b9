"""A question whose topics are not there."""

import asyncio
import uuid

import pytest
from aiokafka.errors import KafkaError

from streams.client import PipelineClient
from streams.settings import Settings


async def test_a_question_without_topics_ends_in_time(broker: str):
    settings = Settings(KAFKA_BOOTSTRAP_SERVERS=broker, app_id=f"none-{uuid.uuid4().hex[:8]}")
    async with PipelineClient(settings, seconds=1.0) as client:
        question = {"type": "query", "mailbox": "group:x", "by": "ann", "what": "facts"}
        asked = asyncio.create_task(client.ask(question))
        await asyncio.wait([asked], timeout=10)
        assert asked.done()
        with pytest.raises((KafkaError, TimeoutError)):
            await asked
