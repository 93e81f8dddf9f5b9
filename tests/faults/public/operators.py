"""Operators: they publish, raise the stages, withdraw, and repeat what has no answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.clients import Event, Session
from tests.faults.public.evidence import Order, PublicEvidence
from tests.records import new_id

PRIORITIES = ("low", "normal", "urgent")
AUDIENCES: tuple[Any, ...] = (
    None,
    None,
    {"claim": "crew", "in": ["red"]},
    {"not": {"claim": "crew", "in": ["red"]}},
)
LIVES = (3.0, 8.0)
EXPIRING = 0.15
AGAIN = 0.1
STALE = 0.4
WITHDRAWN = 0.3


@dataclass
class Open:
    """A publish that can go further: its last entry, the stages to come, when it expires (ms)."""

    mailbox: str
    publish: int
    last: int
    stages: list[float]
    expires: int

    @property
    def may_have_expired(self) -> bool:
        return 0 < self.expires <= now_ms()


class Operator(Session):
    """Gives one order after another, at a rate; each until it has its answer, some once more."""

    evidence: PublicEvidence

    def __init__(
        self, *session: Any, mailboxes: Sequence[str], users: Sequence[str], rate: float
    ) -> None:
        super().__init__(*session)
        self._mailboxes = mailboxes
        self._users = users
        self._interval = 1 / rate
        self._open: list[Open] = []
        self._order: Order | None = None
        self._about: Open | None = None
        self._answered = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """Give no new orders."""
        self._ended = True

    @property
    def done(self) -> bool:
        """Whether all that was ordered is answered."""
        return self._ended and self._order is None

    async def work(self) -> None:
        while self._order is not None or not self._ended:
            order = self._order = self._order or self._next()
            self._answered.clear()
            await self.put(order.kind, ref=order.id, id=order.id, **order.fields)
            await self._answered.wait()
            await asyncio.sleep(self._interval * self.rng.uniform(0.5, 1.5))

    async def on_event(self, event: Event) -> None:
        order = self._order
        if order is None or event.get("ref") != order.id:
            return
        if event["op"] == "error":
            self._on_error(order, event)
        else:
            self._on_receipt(order, event)
        self._answered.set()

    # What comes next

    def _next(self) -> Order:
        self._open = [one for one in self._open if one.stages or self.rng.random() < WITHDRAWN]
        further = [one for one in self._open if one.stages or not one.may_have_expired]
        order = (
            self._go_on(self.rng.choice(further))
            if len(further) > 2 or (further and self.rng.random() < 0.6)
            else self._publish()
        )
        self.evidence.orders[order.id] = order
        return order

    def _publish(self) -> Order:
        stages = self.rng.choice([[100.0], [5.0, 100.0], [2.5, 20.0, 60.0], [0.0, 10.0, 50.0, 100]])
        is_expiring = self.rng.random() < EXPIRING
        expires = now_ms() + int(self.rng.uniform(*LIVES) * 1_000) if is_expiring else 0
        mailbox = self.rng.choice(self._mailboxes)
        self._about = Open(mailbox, 0, 0, stages[1:], expires)
        fields = {
            "mailbox": mailbox,
            "title": f"News of {self.user}",
            "body": {"n": self.rng.random()},
            "release": self._release(stages[0]),
            "expires": expires,
            "priority": self.rng.choice(PRIORITIES),
            "audience": self.rng.choice(AUDIENCES),
        }
        return Order("publish", new_id(), self.user, fields)

    def _go_on(self, about: Open) -> Order:
        self._about = about
        fields = {"mailbox": about.mailbox, "publish": about.publish, "expect": about.last}
        if about.last > about.publish and self.rng.random() < STALE:
            fields |= {"expect": about.publish, "release": self._release(100)}
            return Order("release", new_id(), self.user, fields, is_stale=True)
        if about.stages and (self.rng.random() > WITHDRAWN / len(about.stages)):
            fields["release"] = self._release(about.stages[0])
            return Order("release", new_id(), self.user, fields)
        return Order("withdraw", new_id(), self.user, fields)

    def _release(self, percent: float) -> dict[str, Any]:
        return {"percent": percent, "users": self.rng.sample(self._users, 2)}

    # What became of it

    def _on_receipt(self, order: Order, event: Event) -> None:
        counts = self.evidence.counts
        if order.receipts and not event["duplicate"]:
            self.problem(f"{order} was carried out before, its receipt says it is new: {event}")
        if order.is_stale:
            self.problem(f"accepted, though {order} expects what isn't the last entry: {event}")
        counts["duplicate receipts"] += bool(event["duplicate"])
        if not order.receipts:
            order.answered = (self.url, time.time() * 1_000)
            counts[f"{order.kind} entries"] += 1
            self._went_on(order, event)
        order.receipts.add(event["entry"])
        if self.rng.random() < AGAIN:
            counts["deliberate retries"] += 1
        else:
            self._order = None

    def _went_on(self, order: Order, event: Event) -> None:
        about = self._about
        assert about is not None
        about.last = event["entry"]
        match order.kind:
            case "publish":
                about.publish = event["publish"]
                self._open.append(about)
            case "release":
                about.stages.pop(0)
            case "withdraw":
                self._open.remove(about)

    def _on_error(self, order: Order, event: Event) -> None:
        self.evidence.counts[f"error {event['code']}"] += 1
        if event["retriable"]:
            return
        self._order = None
        about = self._about
        assert about is not None
        if event["code"] == "conflict" and order.is_stale:
            self.evidence.counts["stale orders refused"] += 1
        elif event["code"] in ("conflict", "bad_request") and about.may_have_expired:
            about.stages.clear()
        else:
            self.problem(f"refused {order}: {event}")


def now_ms() -> int:
    return int(time.time() * 1_000)
