"""A run of public mailboxes: two workers, two gateways, operators, and users who stay, travel, or have two devices."""

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson

from tests.e2e.client import Client
from tests.faults import checker
from tests.faults.load import Load
from tests.faults.public import checker as public_checker
from tests.faults.public.evidence import Connection, Counts, Found, PublicEvidence, Told
from tests.faults.public.operators import Operator, now_ms
from tests.faults.public.readers import Reader
from tests.processes import System
from tests.records import Kafka, result_of

MAILBOXES = ("public:news", "public:offers", "public:outages")
OPERATORS = 3
RESIDENTS = 40
TRAVELLERS = 20
PAIRS = 10
NEWCOMERS = 10
CREWS = ("red", "green", "blue")
PAGE = 100


class Public(Load):
    """Operators and users of public mailboxes."""

    evidence: PublicEvidence

    def __init__(self, system: System, seed: int, rate: float) -> None:
        super().__init__(system, PublicEvidence())
        self._rng = random.Random(seed)
        kinds = {
            "resident": RESIDENTS,
            "traveller": TRAVELLERS,
            "pair": PAIRS,
            "newcomer": NEWCOMERS,
        }
        self._users = {
            kind: [f"{kind}{number}" for number in range(count)] for kind, count in kinds.items()
        }
        for user in self.users:
            self.evidence.claims[user] = {"crew": self._rng.choice(CREWS)}
        residents, travellers = self._users["resident"], self._users["traveller"]
        self.readers = [
            *(self._reader(user) for user in (*residents, *self._users["pair"] * 2)),
            *(self._reader(user, travels=True) for user in travellers),
        ]
        self.newcomers = [self._reader(user) for user in self._users["newcomer"]]
        self.operators = [
            Operator(
                *self._session(f"operator{number}", role="operator"),
                mailboxes=MAILBOXES,
                users=self.users,
                rate=rate / OPERATORS,
            )
            for number in range(OPERATORS)
        ]

    @property
    def users(self) -> list[str]:
        return [user for users in self._users.values() for user in users]

    @property
    def count(self) -> int:
        return len(self.evidence.orders)

    def _session(self, user: str, **claims: str) -> tuple[Any, ...]:
        token = functools.partial(self.system.token, **claims)
        return user, token, self.urls, self.evidence, random.Random(self._rng.random())

    def _reader(self, user: str, *, travels: bool = False) -> Reader:
        claims = self.evidence.claims[user]
        return Reader(*self._session(user, **claims), travels=travels)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.connected([*self.readers, *self.operators]):
            yield
            for operator in self.operators:
                operator.end()
            await self.noted(
                lambda: all(operator.done for operator in self.operators), "every order is answered"
            )
            # They come when everything is published.
            async with self.connected(self.newcomers):
                await self._settle()

    async def _settle(self) -> None:
        readers = [*self.readers, *self.newcomers]
        for reader in readers:
            reader.come_home()
        await self.noted(lambda: all(one.done for one in readers), "everybody is there")
        await self.noted(lambda: now_ms() > self._last_expiry(), "what expires has expired")
        await self.noted(lambda: not self._missed(), "everybody is touched and shown it")
        await self.noted(lambda: all(one.done for one in readers), "all opening is answered")
        await self.all_committed()

    def _last_expiry(self) -> int:
        orders = self.evidence.orders.values()
        return max((order.fields.get("expires", 0) for order in orders), default=0)

    def _missed(self) -> list[str]:
        self.evidence.asked = now_ms()
        run = public_checker.PublicRun(self.read_raw(), self.evidence)
        return [*public_checker.missed(run).offenders, *public_checker.told_all(run).offenders]

    async def check(self) -> checker.Report:
        self.evidence.asked = now_ms()
        for number, user in enumerate(self.users):
            await self._ask_again(user, self.urls[number % len(self.urls)])
        await self._ask_board()
        self.evidence.counts_told["the workers"] = await asyncio.to_thread(self.answers)
        await self.all_committed()
        return await asyncio.to_thread(self._check)

    def _check(self) -> checker.Report:
        self.note_offsets()
        return public_checker.check(self.read_raw(), self.evidence)

    def answers(self) -> Counts:
        return counts_of(self.system.kafka)

    async def _ask_again(self, user: str, url: str) -> None:
        """What a user meets who connects once more."""
        client = await Client.open(url, user)
        connection = Connection(user, url, now_ms())
        await client.hello(self.system.token(user, **self.evidence.claims[user]))
        entries = await client.sync()
        found = await client.request("notices", limit=PAGE)
        notices = found["notices"]
        while found["more"]:
            found = await client.request("notices", limit=PAGE, before=notices[-1]["ts"])
            notices += found["notices"]
        await client.close()
        connection.told = [
            Told("notice", one["mailbox"], one["publish"], one["entry"], one["again"])
            for one in client.events
            if one["op"] == "notice"
        ]
        self.evidence.last.append(connection)
        self.evidence.found[user] = {
            (one["mailbox"], one["publish"]): Found(one["entry"], one["opened"]) for one in notices
        }
        self.evidence.unread[user] = {name: entry["unread"] for name, entry in entries.items()}

    async def _ask_board(self) -> None:
        client = await Client.open(self.urls[0], "operator0")
        await client.hello(self.system.token("operator0", role="operator"))
        board = await client.request("board")
        await client.close()
        self.evidence.counts_told["the board"] = {
            (one["mailbox"], publish["publish"]): (publish["touched"], publish["opened"])
            for one in board["mailboxes"]
            for publish in one["publishes"]
            if publish["touched"]
        }


def counts_of(kafka: Kafka) -> Counts:
    """Ask every partition of the users for its counts, and add them up."""
    to, partition = kafka.asker.address
    asked = []
    for mailbox in MAILBOXES:
        for number in range(kafka.partitions("user-commands")):
            ref = kafka.asker.next_ref()
            query = {
                "type": "query",
                "what": "counts",
                "user": "system",
                "by": "system",
                "mailbox": mailbox,
                "reply": {"to": to, "partition": partition, "ref": ref},
            }
            kafka.put("user-commands", b"system", orjson.dumps(query), number)
            asked.append(ref)
    counts: Counts = {}
    for ref in asked:
        result = result_of(kafka.asker.answer(ref))
        for publish, (touched, opened) in result["counts"].items():
            place = result["mailbox"], int(publish)
            before = counts.get(place, (0, 0))
            counts[place] = before[0] + touched, before[1] + opened
    return counts
