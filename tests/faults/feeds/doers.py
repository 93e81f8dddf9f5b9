"""Those who do something to outboxes: authors, followers, and the operator who chooses how posts are delivered."""

import asyncio
import itertools
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from tests.faults.clients import Event, Session
from tests.faults.feeds.evidence import Act, FeedEvidence, Receipt
from tests.faults.feeds.order import AUTHOR
from tests.records import new_id

STATES = (None, "live", "replay", "ended")
MODES = ("auto", "pull", "push")
AGAIN = 0.08
RECENT = 12
ERROR_SECONDS = 0.2
FAST = 0.01


class Doer(Session):
    """Does one thing after another at a rate, each until it has its answer."""

    evidence: FeedEvidence

    def __init__(self, *session: Any, rate: float) -> None:
        super().__init__(*session)
        self._interval = 1 / rate
        self._act: Act | None = None
        self._frame: dict[str, Any] = {}
        self._answered = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """Begin nothing new."""
        self._ended = True

    @property
    def done(self) -> bool:
        """Whether all that was begun is answered."""
        return self._ended and self._act is None

    async def work(self) -> None:
        while self._act is not None or not self._ended:
            if self._act is None:
                self.begin()
            act = self._act
            assert act is not None
            self._answered.clear()
            await self.put(act.kind, ref=id(act), **self._frame)
            await self._answered.wait()
            await asyncio.sleep(self._interval * self.rng.uniform(0.5, 1.5))

    @abstractmethod
    def begin(self) -> None:
        """Choose what comes next, by `want`."""

    def want(self, kind: str, author: str, command: dict[str, Any], frame: dict[str, Any]) -> None:
        """Have something done. command: fields by which its record is known; frame: those of the request."""
        self._act = Act(kind, AUTHOR + author, command, now_ms())
        self._frame = frame
        self.evidence.acts.append(self._act)

    async def on_event(self, event: Event) -> None:
        act = self._act
        if act is None or event.get("ref") != id(act):
            return
        if event["op"] == "error":
            await self._on_error(act, event)
        else:
            act.done = act.done or now_ms()
            self._act = None
            self.on_done(act, event)
        self._answered.set()

    async def _on_error(self, act: Act, event: Event) -> None:
        self.evidence.counts[f"error {event['code']}"] += 1
        if event["retriable"]:
            await asyncio.sleep(ERROR_SECONDS)
        else:
            self._act = None
            self.problem(f"refused {act}: {event}")

    def on_done(self, act: Act, event: Event) -> None:
        """Called with the answer to an act."""
        self.evidence.counts[f"{act.kind} answered"] += 1


class Author(Doer):
    """Posts, and edits, deletes or sets the state of recent posts."""

    def __init__(self, *session: Any, rate: float) -> None:
        super().__init__(*session, rate=rate)
        self._numbers = itertools.count(1)
        self._posts: list[tuple[str, int]] = []

    def begin(self) -> None:
        kinds = ("post", "edit", "delete", "state")
        (kind,) = self.rng.choices(kinds, (70, 11, 8, 11))
        if kind == "post" or not self._posts:
            self._post()
        else:
            self._change(kind)

    def _post(self) -> None:
        body, state = self._body(), self.rng.choice(STATES)
        made = new_id()
        frame = {"id": made, "body": body, "state": state}
        self.want("post", self.user, {"id": made}, frame)

    def _change(self, kind: str) -> None:
        post, seq = self.rng.choice(self._posts[-RECENT:])
        if kind == "delete":
            self._posts.remove((post, seq))
            self.want(kind, self.user, {"seq": seq}, {"post": post})
        elif kind == "edit":
            body = {"body": self._body()}
            self.want(kind, self.user, {"seq": seq, **body}, {"post": post, **body})
        else:
            state = {"state": self.rng.choice(STATES)}
            self.want(kind, self.user, {"seq": seq, **state}, {"post": post, **state})

    def _body(self) -> dict[str, Any]:
        return {"n": next(self._numbers), "text": "x" * self.rng.randrange(80)}

    def on_done(self, act: Act, event: Event) -> None:
        super().on_done(act, event)
        if act.kind != "post":
            return
        duplicate = bool(event["duplicate"])
        self.evidence.counts["duplicate receipts"] += duplicate
        if not act.receipts:
            self._posts.append((event["post"], event["seq"]))
        elif not duplicate:
            self.problem(f"{act} was stored before, its receipt says it is new: {event}")
        act.receipts.add(Receipt(event["post"], event["seq"], event["ts"]))
        if self.rng.random() < AGAIN:
            self.evidence.counts["deliberate retries"] += 1
            self._act = act


class Follower(Doer):
    """A reader's device that follows authors, and unfollows some."""

    def __init__(self, *session: Any, rate: float, authors: Sequence[str], first: int) -> None:
        super().__init__(*session, rate=rate)
        self._first = first
        self._following: list[str] = []
        self._others = self.rng.sample(authors, len(authors))
        # The first ones are followed as fast as it goes.
        self._steady, self._interval = self._interval, FAST

    @property
    def is_ready(self) -> bool:
        """Whether the first authors are followed."""
        return self._first <= 0

    def begin(self) -> None:
        is_follow = not self.is_ready or self.rng.random() < 0.5
        kind = "follow" if (is_follow and self._others) or not self._following else "unfollow"
        some = self._others if kind == "follow" else self._following
        author = some.pop(self.rng.randrange(len(some)))
        self.want(kind, author, {"by": self.user}, {"author": author})

    def on_done(self, act: Act, event: Event) -> None:
        super().on_done(act, event)
        author = act.mailbox.removeprefix(AUTHOR)
        (self._following if act.kind == "follow" else self._others).append(author)
        self._first -= 1
        if self.is_ready:
            self._interval = self._steady


class Operator(Doer):
    """Chooses now and then how an author's posts are delivered."""

    def __init__(self, *session: Any, rate: float, authors: Sequence[str]) -> None:
        super().__init__(*session, rate=rate)
        self._authors = authors

    def begin(self) -> None:
        author, mode = self.rng.choice(self._authors), self.rng.choice(MODES)
        self.want("mode", author, {"mode": mode}, {"author": author, "mode": mode})


def now_ms() -> float:
    return time.time() * 1_000
