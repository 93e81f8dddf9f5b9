"""A run of chat: fifty groups, two workers, two gateways, twenty listeners, and load until told to stop."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.e2e.client import Client
from tests.faults import checker
from tests.faults.clients import Listener, Sender
from tests.faults.evidence import Evidence
from tests.faults.load import Load
from tests.faults.producers import Producer
from tests.processes import System
from tests.records import FAST, new_id

GROUPS = 50
LISTENERS = 20
EVERYWHERE = 5
SLOW = 2
SENDERS = 6
PRODUCERS = 2
VISITORS = 8
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
            {"type": "create", **by, "id": self.epochs[group], "policy": FAST},
            {"type": "join", **by, "id": new_id(), "members": [*self.senders[1:], *members]},
        ]

    @property
    def users(self) -> list[str]:
        return [*self.listeners, *self.senders, *self.producers, *self.visitors]


class Chat(Load):
    """Senders, producers and listeners of groups."""

    evidence: Evidence

    def __init__(self, system: System, seed: int, rate: float) -> None:
        super().__init__(system, Evidence())
        rng = random.Random(seed)
        self.cast = Cast(random.Random(rng.random()))

        def session(user: str):
            return user, system.token, self.urls, self.evidence, random.Random(rng.random())

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
        return len(self.evidence.sent)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self.system.kafka.send_all, self.cast.commands())
        await asyncio.to_thread(self.system.kafka.wait_decides, 60)
        async with self.connected([*self.listeners, *self.senders]):
            for producer in self.producers:
                producer.start()
            try:
                yield
                await self._settle()
            finally:
                for producer in self.producers:
                    producer.end()

    async def _settle(self) -> None:
        for part in (*self.producers, *self.senders):
            part.end()
        for listener in self.listeners:
            listener.hurry()
        for producer in self.producers:
            await asyncio.to_thread(producer.join)
        await self.noted(self._answered, "every send is answered")
        await self.all_committed()
        heads = await asyncio.to_thread(self._heads)
        await self.noted(lambda: self._caught_up(heads), "every listener has caught up")
        self.evidence.problems += [
            listener.state() for listener in self.listeners if not self._is_up(listener, heads)
        ]

    def _answered(self) -> bool:
        return all(sender.done for sender in self.senders)

    def _heads(self) -> dict[str, int]:
        mailboxes = checker.mailboxes_of(checker.Log(self.read_raw().mailbox_log))
        return {name: mailbox.head for name, mailbox in mailboxes.items()}

    def _caught_up(self, heads: dict[str, int]) -> bool:
        return all(self._is_up(listener, heads) for listener in self.listeners)

    def _is_up(self, listener: Listener, heads: dict[str, int]) -> bool:
        return all(listener.shown(group) >= heads[group] for group in listener.heard.shown)

    def answers(self) -> None:
        """Nothing that the databases themselves don't show."""

    async def check(self) -> checker.Report:
        for number, user in enumerate(self.cast.users):
            client = await Client.open(self.urls[number % len(self.urls)], user)
            await client.hello(self.system.token(user))
            self.evidence.syncs[user] = await client.sync()
            await client.close()
        self.evidence.heard = [listener.heard for listener in self.listeners]
        await self.all_committed()
        return await asyncio.to_thread(self._check)

    def _check(self) -> checker.Report:
        self.note_offsets()
        return checker.check(self.read_raw(), self.evidence)
