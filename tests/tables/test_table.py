"""Faust's part of a rebalance, as the table manager has it."""

import asyncio

import pytest
from faust.tables.recovery import RebalanceAgain

from streams.pipeline import app
from tables.table import _Recovery


@pytest.fixture
async def recovery():
    return _Recovery(app, app.tables, loop=asyncio.get_running_loop())


async def test_a_broker_that_is_away_for_long_is_not_taken_for_the_end(recovery: _Recovery):
    back = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(recovery._wait(back, timeout=0.01))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    back.set_result(None)
    await waiting


async def test_another_rebalance_ends_the_wait(recovery: _Recovery):
    waiting = asyncio.create_task(recovery._wait(asyncio.get_running_loop().create_future()))
    recovery.signal_recovery_start.set()
    with pytest.raises(RebalanceAgain):
        await waiting
