"""Gateways whose agents' rules of feeds work over real tables and logs in memory."""

from typing import Any

import pytest

from streams.feeds.limits import FeedLimits
from tests.gateway.conftest import House, Open
from tests.gateway.feed_pipeline import PARTITIONS, FeedPipeline
from tests.gateway.feeds.pages import follow


@pytest.fixture(autouse=True)
def two_partitions(monkeypatch):
    monkeypatch.setenv("READCAST_PARTITIONS", str(PARTITIONS))


@pytest.fixture
async def feeds_of(house_of: Open, tmp_path):
    """feeds_of(limits, **settings): a gateway whose pipeline decides feeds."""
    pipelines = []

    async def make(limits: FeedLimits | None = None, **settings: Any) -> House:
        pipelines.append(FeedPipeline(tmp_path, limits))
        return await house_of(pipeline=pipelines[-1], **settings)

    yield make
    for pipeline in pipelines:
        pipeline.close()


@pytest.fixture
async def house(feeds_of):
    return await feeds_of()


@pytest.fixture
async def ann(house):
    """An author who sees her own posts."""
    client = await house.connect("ann")
    await follow(client, "ann")
    return client
