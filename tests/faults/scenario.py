"""A run: fifty groups, two workers, two gateways, twenty listeners, and load until told to stop."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.e2e.client import Client
from tests.faults import checker
from tests.faults.clients import Listener, Sender
from tests.faults.evidence import Evidence
from tests.faults.producers import Producer
from tests.processes import System
from tests.records import COMMANDS, new_id
from tests.waiting import soon

GROUPS = 50
LISTENERS = 20
EVERYWHERE = 5
SLOW = 2
SENDERS = 6
PRODUCERS = 2
VISITORS = 8
SETTLE_SECONDS = 60
POLICY = {"member_rate": [10_000, 10_000], "mailbox_rate": [100_000, 100_000]}
GATEWAY_SETTINGS = {"READCAST_GATEWAY_RING_EVENTS": "30"}


@dataclass
class Cast:
    """Who is in which group."""

    rng: random.Random
    groups: list[str] = field(init=False)
    epochs: dict[str, str] = field(init=False)
    listeners: dict[str, list[str]] = field(init=False)
    senders: list[str] = field(init=False)
    producers: list[str] = field(init=False)
    visitors: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = [f"group:g{number}" for number in range(GROUPS)]
        self.epochs = {group: new_id() for group in self.groups}
        self.listeners = {
            f"listener{number}": self.groups
            if number < EVERYWHERE
            else self.rng.sample(self.groups, 10)
            for number in range(LISTENERS)
        }
        self.senders = [f"sender{number}" for number in range(SENDERS)]
        self.producers = [f"producer{number}" for number in range(PRODUCERS)]
        self.visitors = [f"visitor{number}" for number in range(VISITORS)]

    def commands(self) -> list[dict[str, object]]:
        members = defaultdict(list, {group: [*self.producers] for group in self.groups})
        for listener, groups in self.listeners.items():
            for group in groups:
                members[group].append(listener)
        return [command for group in self.groups for command in self._open(group, members[group])]

    def _open(self, group: str, members: list[str]) -> list[dict[str, object]]:
        by = {"mailbox": group, "by": self.senders[0]}
        return [
            {"type": "create", **by, "id": self.epochs[group], "policy": POLICY},
            {"type": "join", **by, "id": new_id(), "members": [*self.senders[1:], *members]},
        ]

    @property
    def users(self) -> list[str]:
        return [*self.listeners, *self.senders, *self.producers, *self.visitors]


class Load:
    """Clients and producers at work on a system."""

    def __init__(self, system: System, seed: int, rate: float) -> None:
        rng = random.Random(seed)
        self.evidence = Evidence()
        self.system = system
        self.cast = Cast(random.Random(rng.random()))
        self._urls = [gateway.ws for gateway in system.gateways]

        def session(user: str):
            return user, system.token, self._urls, self.evidence, random.Random(rng.random())

        self.senders = [
            Sender(*session(user), groups=self.cast.groups, rate=rate / 2 / SENDERS)
            for user in self.cast.senders
        ]
        self.listeners = [
            Listener(
                *session(user),
                epochs={group: self.cast.epochs[group] for group in groups},
                reads=number % 2 == 0,
                slow=number < SLOW,
            )
            for number, (user, groups) in enumerate(self.cast.listeners.items())
        ]
        self.producers = [
            Producer(
                system.kafka,
                user,
                self.cast.groups,
                self.cast.visitors,
                rate / 2 / PRODUCERS,
                self.evidence,
                random.Random(rng.random()),
            )
            for user in self.cast.producers
        ]

    @property
    def count(self) -> int:
        """Messages that somebody has begun to send."""
        return len(self.evidence.sent)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load while inside; leaving ends it and waits until all is acknowledged and seen."""
        await asyncio.to_thread(self.system.kafka.send_all, self.cast.commands())
        await asyncio.to_thread(self.system.kafka.wait_decides, 60)
        async with asyncio.TaskGroup() as tasks:
            sessions = [*self.listeners, *self.senders]
            running = [tasks.create_task(session.run()) for session in sessions]
            for producer in self.producers:
                producer.start()
            try:
                yield
                await self._settle()
            finally:
                for producer in self.producers:
                    producer.end()
                for task in running:
                    task.cancel()

    async def _settle(self) -> None:
        for part in (*self.producers, *self.senders):
            part.end()
        for listener in self.listeners:
            listener.hurry()
        for producer in self.producers:
            await asyncio.to_thread(producer.join)
        await self._noted(self._answered, "every send is answered")
        await self._all_committed()
        heads = await asyncio.to_thread(self._heads)
        await self._noted(lambda: self._caught_up(heads), "every listener has caught up")
        self.evidence.problems += [
            listener.state() for listener in self.listeners if not self._is_up(listener, heads)
        ]

    async def _noted(self, check: Callable[[], object], what: str) -> None:
        """Wait for a condition; if it stays untrue, the run goes on and the checker says why."""

        async def checked() -> object:
            return await asyncio.to_thread(check)

        try:
            await soon(checked, what, SETTLE_SECONDS)
        except AssertionError as error:
            self.evidence.problems.append(str(error))

    def _answered(self) -> bool:
        return all(sender.done for sender in self.senders)

    async def _all_committed(self) -> None:
        """Wait until what is there now is committed; readers go on writing meanwhile."""
        kafka = self.system.kafka
        ends = await asyncio.to_thread(kafka.command_ends)
        await self._noted(lambda: kafka.lag(ends) == 0, "all commands are committed")

    def _heads(self) -> dict[str, int]:
        raw = checker.read_raw(self.system.bootstrap, self.system.app_id)
        mailboxes = checker.mailboxes_of(checker.Log(raw.mailbox_log))
        return {name: mailbox.head for name, mailbox in mailboxes.items()}

    def _caught_up(self, heads: dict[str, int]) -> bool:
        return all(self._is_up(listener, heads) for listener in self.listeners)

    def _is_up(self, listener: Listener, heads: dict[str, int]) -> bool:
        return all(listener.shown(group) >= heads[group] for group in listener.heard.shown)

    async def check(self) -> checker.Report:
        """Ask every user's counts, read the logs, and judge."""
        for number, user in enumerate(self.cast.users):
            client = await Client.open(self._urls[number % len(self._urls)], user)
            await client.hello(self.system.token(user))
            self.evidence.syncs[user] = await client.sync()
            await client.close()
        self.evidence.heard = [listener.heard for listener in self.listeners]
        await self._all_committed()
        return await asyncio.to_thread(self._check)

    def _check(self) -> checker.Report:
        kafka = self.system.kafka
        for name in COMMANDS:
            for partition, end in kafka.ends(name).items():
                self.evidence.ends[name, partition] = end
            for partition, offset in kafka.committed(name).items():
                self.evidence.committed[name, partition] = offset
        raw = checker.read_raw(self.system.bootstrap, self.system.app_id)
        return checker.check(raw, self.evidence)


async def until_sent(load: Load, count: int, progress: Callable[[int], None]) -> None:
    """Let the load go on until it has begun to send that many messages."""
    while load.count < count:
        progress(load.count)
        await asyncio.sleep(0.2)


def seed_of_now() -> int:
    return int(time.time())
