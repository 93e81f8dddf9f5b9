"""Faust's part of a rebalance, as the table manager has it."""

import asyncio
import gc

import pytest
from faust.tables.recovery import RebalanceAgain

from streams.pipeline import app
from tables.options import rocksdb_options
from tables.table import JournaledTable, _Recovery
from tests.tables.logs import AnyLayout, open_partition


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


async def test_partitions_that_go_elsewhere_cost_one_collection_of_garbage(tmp_path, monkeypatch):
    table = JournaledTable(
        app, name="many", layout=AnyLayout(), partitions=8, bootstrap_servers="",
        bounds=app.bounds, options=rocksdb_options(4 << 20, 4 << 20), flush_seconds=600,
    )  # fmt: skip
    table._open.update({number: open_partition(tmp_path, f"{number}") for number in range(8)})
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    await table.on_rebalance(set(), set(), set())
    assert len(collected) == 1
    for number in range(8):
        open_partition(tmp_path, f"{number}").close()
