"""Public mailboxes as docs/protocol.md has them, naively; shares no code with the rules."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tests.rules.commands import Command
from tests.rules.model import No


@dataclass
class Thing:
    """A publish with all its stages."""

    command: Command
    stages: list[tuple[int, float, set[str]]]
    last: int
    withdrawn: bool = False

    def over(self, now: int) -> bool:
        expires = self.command["expires"]
        return self.withdrawn or (expires != 0 and now >= expires)

    def reaches(self, user: str, claims: dict[str, Any]) -> int | None:
        """The entry that reaches the user first."""
        if not matches(self.command["audience"], claims):
            return None
        text = self.command["id"] + "/" + user
        place = int(blake2b(text.encode(), digest_size=8).hexdigest(), 16) % 10_000 / 100
        for seq, percent, users in self.stages:
            if user in users or place < percent - 1e-9:
                return seq
        return None


def matches(expression: Any, claims: dict[str, Any]) -> bool:
    """Whether an audience holds for claims."""
    if expression is None:
        return True
    if "all" in expression:
        return all(matches(part, claims) for part in expression["all"])
    if "any" in expression:
        return any(matches(part, claims) for part in expression["any"])
    if "not" in expression:
        return not matches(expression["not"], claims)
    if expression["claim"] not in claims:
        return False
    return fits(expression, claims[expression["claim"]])


def fits(expression: dict[str, Any], value: Any) -> bool:
    if "in" in expression:
        return value in expression["in"]
    if "after" in expression or "before" in expression:
        low, high = expression.get("after", -(2**60)), expression.get("before", 2**60)
        return isinstance(value, int) and low < value < high
    if not value.replace(".", "").isdigit():
        return False
    low, high = expression.get("at_least", "0"), expression.get("below", "999999")
    return padded(low) <= padded(value) < padded(high)


def padded(version: str) -> list[int]:
    return ([int(part) for part in version.split(".")] + [0] * 8)[:8]


@dataclass
class Office:
    """Takes operators' commands one by one; `do` returns the result or raises `No`."""

    things: dict[int, Thing] = field(default_factory=dict)
    log: list[tuple[Command, int]] = field(default_factory=list)

    def do(self, c: Command, now: int) -> dict[str, Any]:
        for seq, (command, ts) in enumerate(self.log, 1):
            if command["id"] == c["id"]:
                if command != c:
                    raise No("conflict")
                return self.receipt(c, seq, ts) | {"duplicate": True}
        seq = len(self.log) + 1
        getattr(self, "do_" + c["type"])(c, seq, now)
        self.log.append((c, now))
        return self.receipt(c, seq, now)

    def receipt(self, c: Command, seq: int, ts: int) -> dict[str, Any]:
        return {"mailbox": c["mailbox"], "id": c["id"], "seq": seq, "ts": ts}

    def do_publish(self, c: Command, seq: int, now: int) -> None:
        if c["expires"] and c["expires"] <= now:
            raise No("bad_request")
        self.things[seq] = Thing(
            c, [(seq, c["release"]["percent"], set(c["release"]["users"]))], seq
        )

    def thing(self, c: Command) -> Thing:
        if c["publish"] not in self.things:
            raise No("not_found")
        thing = self.things[c["publish"]]
        if thing.last != c["expect"] or thing.withdrawn:
            raise No("conflict")
        return thing

    def do_release(self, c: Command, seq: int, now: int) -> None:
        thing = self.thing(c)
        if thing.over(now):
            raise No("conflict")
        if c["release"]["percent"] < thing.stages[-1][1]:
            raise No("bad_request")
        thing.stages.append((seq, c["release"]["percent"], set(c["release"]["users"])))
        thing.last = seq

    def do_withdraw(self, c: Command, seq: int, now: int) -> None:
        thing = self.thing(c)
        thing.withdrawn, thing.last = True, seq
