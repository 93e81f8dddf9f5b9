"""Random commands of feeds."""

from random import Random
from typing import Any

from tests.rules.commands import uuid_of

AUTHORS = ("ann", "bob", "cid", "dan")
READERS = ("eva", "fay", "gil", "hal", "ida", "jon", "ann")
DAY = 86_400_000
STATES = (None, "live", "ended")


class Actors:
    """Makes up what authors and readers do."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._made = 0
        self._posts = dict.fromkeys(AUTHORS, 0)

    def command(self) -> dict[str, Any]:
        random = self._random
        self._made += 1
        author = random.choice(AUTHORS[: random.choice((1, 4))])
        kind = random.choices(
            ("post", "follow", "unfollow", "mode", "edit", "delete", "state", "block", "unblock", "seen"),
            (40, 25, 6, 6, 3, 5, 3, 2, 2, 8),
        )[0]  # fmt: skip
        common = {"mailbox": f"author:{author}", "by": author, "id": uuid_of(self._made)}
        seq = random.randint(1, self._posts[author] + 1)
        match kind:
            case "post":
                self._posts[author] += 1
                state = random.choice(STATES)
                return {"type": kind, **common, "body": {"n": self._made}, "state": state}
            case "follow" | "unfollow":
                return {"type": kind, **common, "by": random.choice(READERS)}
            case "mode":
                mode = random.choice(("auto", "pull", "push"))
                return {"type": kind, **common, "by": "system", "mode": mode}
            case "edit":
                return {"type": kind, **common, "seq": seq, "body": self._made}
            case "delete":
                return {"type": kind, **common, "seq": seq}
            case "state":
                return {"type": kind, **common, "seq": seq, "state": random.choice(STATES)}
            case "seen":
                reader = random.choice(READERS)
                return {"type": kind, "user": reader, "by": reader}
        others = [name for name in READERS if name != author]
        return {"type": kind, **common, "members": [random.choice(others)]}
