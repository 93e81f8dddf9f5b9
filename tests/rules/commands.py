"""Random commands on a few mailboxes and users, so that they meet."""

from random import Random
from typing import Any

from hypothesis import strategies as st

USERS = ("ann", "bob", "cid", "dan")
GROUPS = ("group:g", "group:slow")
MAILBOXES = (*GROUPS, "direct:ann~bob", "user:cid")
RATES = {"group:slow": {"member_rate": [1, 2], "mailbox_rate": [2, 4]}}
"""One group has narrow rate limits, the others the default."""

_ACTORS = ("ann", "ann", "ann", "bob", "bob", "cid", "dan", "system")
_BODIES = (1, {"text": "hi"}, {"text": "ho"})
_WAITS = (0,) * 30 + (1, 1, 250, 250, 1_000, 70_000)
_WEIGHTS = {
    "send": 30,
    "join": 5,
    "recall": 5,
    "trim": 4,
    "leave": 3,
    "role": 3,
    "mute": 3,
    "policy": 3,
    "create": 2,
    "close": 1,
}

Command = dict[str, Any]


def uuid_of(number: int) -> str:
    """One of a few ids, so that some are used again."""
    return f"00000000-0000-4000-8000-{number:012d}"


def _policy(random: Random) -> dict[str, Any]:
    choices = {
        "post": ("members", "members", "admins"),
        "join": ("open", "invite"),
        "history": (True, False),
    }
    return {
        name: random.choice(values) for name, values in choices.items() if random.random() < 0.5
    }


def _names(random: Random) -> list[str] | None:
    if random.random() < 0.4:
        return None
    return random.choices((*USERS, *USERS, "system"), k=random.randint(1, 3))


def _fields(random: Random, type_: str, mailbox: str) -> dict[str, Any]:
    match type_:
        case "create":
            return {"policy": _policy(random) | RATES.get(mailbox, {})}
        case "join" | "leave":
            return {"members": _names(random)}
        case "role":
            role = random.choice(("admin", "admin", "member", "owner"))
            return {"member": random.choice(USERS), "role": role}
        case "mute":
            member = random.choice((None, *USERS))
            return {"member": member, "until": random.choice((0, 1_500, 100_000, 10**9))}
        case "send":
            return {"body": random.choice(_BODIES)}
        case "recall":
            return {"seq": random.randint(1, 12)}
        case "policy":
            return {"policy": _policy(random)}
        case "trim":
            return {"upto": random.randint(0, 12)}
    return {}


def _command(random: Random) -> Command:
    (type_,) = random.choices(list(_WEIGHTS), _WEIGHTS.values())
    mailbox = random.choice((*GROUPS, *GROUPS, *GROUPS, *MAILBOXES))
    common = {
        "type": type_,
        "mailbox": mailbox,
        "by": random.choice(_ACTORS),
        "id": uuid_of(random.randint(0, 199)),
    }
    return common | _fields(random, type_, mailbox)


def _beginning(group: str) -> list[Command]:
    made = {"type": "create", "mailbox": group, "by": "ann", "id": uuid_of(0)}
    joined = {"type": "join", "mailbox": group, "by": "ann", "id": uuid_of(1)}
    return [made | {"policy": RATES.get(group, {})}, joined | {"members": ["bob", "cid"]}]


def sequence(seed: int, length: int) -> list[tuple[int, Command]]:
    """Commands with their time in ms, times in order; a longer one begins as a shorter one."""
    random = Random(seed)
    begun = [_beginning(group) for group in GROUPS if random.random() < 0.8]
    now, steps = 1_000, [(1_000, command) for commands in begun for command in commands]
    while len(steps) < length:
        now += random.choice(_WAITS)
        steps.append((now, _again(random, steps) or _command(random)))
    return steps[:length]


def _again(random: Random, steps: list[tuple[int, Command]]) -> Command | None:
    """Now and then an earlier command, whole or with another body or sender."""
    if not steps or random.random() > 0.12:
        return None
    command = random.choice(steps)[1]
    if random.random() < 0.3:
        command = command | {"by": random.choice(_ACTORS)}
    if command["type"] == "send" and random.random() < 0.3:
        command = command | {"body": random.choice(_BODIES)}
    return command


sequences = st.builds(sequence, st.integers(0, 2**32), st.integers(1, 150))
