"""What every load has: a system, evidence, and the ways to wait for the end of a run."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from tests.faults import checker
from tests.faults.clients import Session
from tests.faults.evidence import Run
from tests.processes import System
from tests.records import COMMANDS
from tests.waiting import eventually, soon

SETTLE_SECONDS = 60


class Load(ABC):
    """Clients and producers at work on a system."""

    def __init__(self, system: System, evidence: Run) -> None:
        self.system = system
        self.evidence = evidence
        self.urls = [gateway.ws for gateway in system.gateways]

    @property
    @abstractmethod
    def count(self) -> int:
        """How much somebody has begun to do."""

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[None]:
        """Load while inside; leaving ends it and waits until all is acknowledged and seen."""

    @abstractmethod
    async def check(self) -> checker.Report:
        """Ask what clients see afterwards, read the logs, and judge."""

    @abstractmethod
    def answers(self) -> object:
        """What the workers answer, to be the same once they have been rebuilt from the log."""

    @asynccontextmanager
    async def connected(self, sessions: Sequence[Session]) -> AsyncIterator[None]:
        """Keep sessions running while inside."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(session.run()) for session in sessions]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def noted(self, check: Callable[[], object], what: str) -> None:
        """Wait for a condition; if it stays untrue, the run goes on and the checker says why."""

        async def checked() -> object:
            return await asyncio.to_thread(check)

        try:
            await soon(checked, what, SETTLE_SECONDS)
        except AssertionError as error:
            self.evidence.problems.append(str(error))

    async def all_committed(self) -> None:
        """Wait until what is there now is committed; readers go on writing meanwhile."""
        kafka = self.system.kafka
        ends = await asyncio.to_thread(kafka.command_ends)
        await self.noted(lambda: kafka.lag(ends) == 0, "all commands are committed")

    def read_raw(self) -> checker.Raw:
        return checker.read_raw(self.system.bootstrap, self.system.app_id)

    def note_offsets(self) -> None:
        """Note where the command topics end, and what is committed once that had time; gateways go on writing."""
        kafka = self.system.kafka
        ends = kafka.command_ends()
        with suppress(AssertionError):
            eventually(lambda: kafka.lag(ends) == 0, "all commands are committed")
        for name in COMMANDS:
            for partition, end in ends[name].items():
                self.evidence.ends[name, partition] = end
            for partition, offset in kafka.committed(name).items():
                self.evidence.committed[name, partition] = offset
