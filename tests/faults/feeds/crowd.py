"""A trusted producer: it has crowds follow and leave, and has posts decided while the delivery is switched."""

import random
from collections.abc import Sequence
from typing import Any

from tests.faults.feeds.doers import MODES, STATES, now_ms
from tests.faults.feeds.evidence import Act, FeedEvidence
from tests.faults.feeds.order import AUTHOR
from tests.faults.producers import Writer
from tests.records import Kafka, new_id

AT_ONCE = 1_000
CROWD = [f"fan{number}" for number in range(AT_ONCE + 20)]
"""More followers than one command of an outbox pushes to or tells."""

FEW = CROWD[:40]
"""Enough to cross the threshold."""

THRESHOLD = 30


class Crowd(Writer):
    """Writes commands in the name of `system`, some at a stroke.

    The star has the whole crowd. Other authors have some of it follow and leave, which crosses the threshold.
    """

    def __init__(
        self,
        kafka: Kafka,
        star: str,
        authors: Sequence[str],
        rate: float,
        evidence: FeedEvidence,
        rng: random.Random,
    ) -> None:
        super().__init__(kafka, "system", rate, evidence, rng)
        self._star = star
        self._authors = authors
        self._evidence = evidence

    def step(self, number: int) -> None:
        if number == 1:
            self._follow(self._star, CROWD)
        elif number % 4 == 0:
            # Decided together with what stands behind it: those posts come while followers are being told.
            self._switch(self._star, ("push", "pull")[number // 4 % 2])
        elif self.rng.random() < 0.3:
            self._switch(self.rng.choice(self._authors), self.rng.choice(MODES))
        else:
            self._come_or_go(self.rng.choice(self._authors))

    def _switch(self, author: str, mode: str) -> None:
        self._do("mode", author, mode=mode)
        for _ in range(3):
            self._post(author)

    def _come_or_go(self, author: str) -> None:
        some = self.rng.sample(FEW, self.rng.randint(THRESHOLD // 3, len(FEW)))
        if self.rng.random() < 0.5:
            self._follow(author, some)
        else:
            self._do("unfollow", author, members=some)
        self._post(author)

    def _follow(self, author: str, names: Sequence[str]) -> None:
        for start in range(0, len(names), AT_ONCE):
            self._do("follow", author, members=names[start : start + AT_ONCE])

    def _post(self, author: str) -> None:
        body, state = {"of": self.user}, self.rng.choice(STATES)
        command = self._command("post", author, body=body, state=state)
        self._evidence.acts.append(Act("post", command["mailbox"], {"id": command["id"]}, now_ms()))
        self.write(command)

    def _do(self, kind: str, author: str, **fields: Any) -> None:
        self._evidence.counts[f"{kind} by system"] += 1
        self.write(self._command(kind, author, **fields))

    def _command(self, kind: str, author: str, **fields: Any) -> dict[str, Any]:
        return {
            "type": kind,
            "mailbox": AUTHOR + author,
            "by": self.user,
            "id": new_id(),
            **fields,
        }
