"""When leases are asked for."""

import asyncio

import msgspec

from gateway import leases
from gateway.leases import Leases
from gateway.routes import Routes
from gateway.settings import Settings
from streams.topics import topics
from tests.gateway.fakes import until


class Grantor:
    """Grants every lease, and counts how often it is asked for one."""

    def __init__(self):
        self.asked = 0

    def address(self):
        return None

    async def ask(self, _command, partition):
        self.asked += 1
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(msgspec.Raw(b'{"partition":0,"since":1}'))
        return answer


async def test_leases_are_renewed_after_a_third_of_their_time_and_not_at_once(monkeypatch):
    monkeypatch.setattr(leases, "TICK_SECONDS", 0.01)
    settings, grantor = Settings(lease_seconds=2), Grantor()
    names = topics(settings.pipeline)
    routes = Routes(None, names, "here", settings.pipeline.partitions, 1.0)

    async def follow(_partition):
        pass

    keeper = Leases(grantor, routes, names, "here", settings, follow, lambda: None)
    running = asyncio.create_task(keeper.run())
    try:
        await keeper.held.wait()
        held = grantor.asked
        await asyncio.sleep(0.3)
        assert grantor.asked == held
        await until(lambda: grantor.asked > held)
    finally:
        running.cancel()
