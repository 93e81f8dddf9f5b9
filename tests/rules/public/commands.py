"""Random commands on a public mailbox and on its users' cursors."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.rules.commands import Command, uuid_of

NEWS = "public:news"
USERS = ("ann", "bob", "cid", "dan", "eva", "fay")
OPERATORS = ("olga", "otto")
CLAIMS: dict[str, dict[str, Any]] = {
    "ann": {"platform": "ios", "version": "3.2", "registered": 500},
    "bob": {"platform": "android", "version": "3.10.1", "registered": 5_000},
    "cid": {"platform": "ios", "version": "4.0"},
    "dan": {"platform": "web"},
    "eva": {"version": "latest", "registered": "yesterday"},
    "fay": {},
}
HOUR = 3_600_000
DAY = 24 * HOUR

_PERCENTS = (0, 0.01, 10, 25, 33.33, 50, 75, 100, 100)
_AUDIENCES: tuple[dict[str, Any] | None, ...] = (
    None, None, None,
    {"claim": "platform", "in": ["ios", "web"]},
    {"claim": "version", "at_least": "3.2", "below": "4.0"},
    {"claim": "registered", "before": 1_000},
    {"not": {"claim": "platform", "in": ["ios"]}},
    {"any": [{"claim": "registered", "after": 1_000}, {"claim": "platform", "in": ["web"]}]},
    {"all": [{"not": {"claim": "version", "below": "4"}}, {"claim": "platform", "in": ["ios"]}]},
)  # fmt: skip


class Desk:
    """Makes up operators' commands, most of which fit what was accepted before."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._head = 0
        self._last: dict[int, int] = {}
        self._percent: dict[int, float] = {}
        self._made: list[Command] = []

    def command(self, now: int) -> Command:
        random = self._random
        if self._made and random.random() < 0.1:
            return self._again()
        if not self._last or random.random() < 0.4:
            made = self._publish(now)
        elif random.random() < 0.8:
            made = self._release()
        else:
            made = self._withdraw()
        self._made.append(made)
        return made

    def accepted(self, command: Command) -> None:
        """Take note of a command that was accepted."""
        self._head += 1
        publish = command.get("publish", self._head)
        self._last[publish] = self._head
        self._percent[publish] = command.get("release", {}).get("percent", 0)

    def _again(self) -> Command:
        change = {"by": self._random.choice(OPERATORS)} if self._random.random() < 0.3 else {}
        return self._random.choice(self._made) | change

    def _common(self, type_: str) -> Command:
        by = self._random.choice(OPERATORS)
        id_ = uuid_of(self._random.randint(0, 999))
        return {"type": type_, "mailbox": NEWS, "by": by, "id": id_}

    def _users(self) -> list[str]:
        return self._random.sample(USERS, self._random.choice((0, 0, 1, 2)))

    def _publish(self, now: int) -> Command:
        random = self._random
        reach = {"percent": random.choice(_PERCENTS), "users": self._users()}
        expires = random.choice(
            (0, 0, 0, max(now - 1, 0), now, now + HOUR, now + DAY, now + 4 * DAY)
        )
        return self._common("publish") | {
            "title": random.choice(("A", "B")),
            "body": {"text": random.choice("xy")},
            "release": reach,
            "expires": expires,
            "priority": random.choice(("low", "normal", "normal", "urgent")),
            "audience": random.choice(_AUDIENCES),
        }

    def _about(self) -> Command:
        random = self._random
        publish = random.choice(list(self._last))
        expect = self._last[publish]
        if random.random() < 0.15:
            publish, expect = random.randint(1, self._head + 1), random.randint(1, self._head + 1)
        return {"publish": publish, "expect": expect}

    def _release(self) -> Command:
        about = self._about()
        percent = self._random.choice(_PERCENTS)
        if self._random.random() < 0.8:
            percent = max(percent, self._percent.get(about["publish"], 0))
        return self._common("release") | about | {
            "release": {"percent": percent, "users": self._users()}
        }  # fmt: skip

    def _withdraw(self) -> Command:
        return self._common("withdraw") | self._about()


def touch(random: Random, now: int, head: int = 12) -> Command:
    """A touch or an opening as no gateway would make it up."""
    user = random.choice(USERS)
    if random.random() < 0.25:
        return opened(user, random.randint(1, head))
    upto = random.randint(0, head)
    entries = random.sample(range(1, upto + 1), min(upto, random.choice((0, 1, 1, 2, 3))))
    publishes = sorted(random.sample(range(1, upto + 1), len(entries)))
    touched = [
        [min(publish, entry), entry, random.choice(("low", "normal", "urgent"))]
        for publish, entry in zip(publishes, sorted(entries), strict=True)
    ]
    return {
        "type": "touch",
        "user": user,
        "by": user,
        "mailbox": NEWS,
        "upto": upto,
        "day": now // DAY,
        "touched": touched,
        "deferred": random.sample(range(1, upto + 1), min(upto, random.choice((0, 0, 1, 2)))),
        "dropped": random.sample(range(1, head), random.choice((0, 0, 0, 1))),
    }


def opened(user: str, publish: int) -> Command:
    return {"type": "open", "user": user, "by": user, "mailbox": NEWS, "publish": publish}


def sequence(seed: int, length: int) -> list[tuple[int, Command]]:
    """Commands of operators and of users' gateways, with their time in ms."""
    random = Random(seed)
    desk, now, steps = Desk(random), 1_000, []
    for _ in range(length):
        now += random.choice((0, 1, HOUR))
        if random.random() < 0.5:
            command = desk.command(now)
            desk.accepted(command)
        else:
            command = touch(random, now, random.choice((12, 12, 12, 40)))
        steps.append((now, command))
    return steps


sequences = st.builds(sequence, st.integers(0, 2**32), st.integers(1, 120))
