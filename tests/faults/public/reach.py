"""Whom a publish reaches, by docs/protocol.md alone: nothing here comes from the code under test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BUCKETS = 10_000

Claims = Mapping[str, Any]


class Stage(NamedTuple):
    """How far a publish reaches from the entry `seq` on."""

    seq: int
    percent: float
    users: frozenset[str]


@dataclass
class Publish:
    """A publish with all that was said about it. withdrawn: the seq of that entry, 0 if there is none."""

    row: Any
    stages: list[Stage] = field(default_factory=list)
    withdrawn: int = 0

    def reaching_entry(self, user: str, claims: Claims) -> int | None:
        """The entry that first reaches a user."""
        if not matches(self.row.get("audience"), claims):
            return None
        place = bucket(self.row["id"], user)
        return next(
            (
                stage.seq
                for stage in self.stages
                if place < round(stage.percent * 100) or user in stage.users
            ),
            None,
        )

    def over(self, now: int) -> bool:
        """Whether it is withdrawn, or expired at a time in ms."""
        return bool(self.withdrawn) or self.expired(now)

    def expired(self, now: int) -> bool:
        """Whether its time has passed."""
        return 0 < self.row.get("expires", 0) <= now


def bucket(publish_id: str, user: str) -> int:
    """The user's bucket for a publish."""
    digest = hashlib.blake2b(f"{publish_id}/{user}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def matches(audience: Any, claims: Claims) -> bool:
    """Whether claims are in an audience; of the claims only `in`, which is what the runs use."""
    match audience:
        case None:
            return True
        case {"all": some}:
            return all(matches(one, claims) for one in some)
        case {"any": some}:
            return any(matches(one, claims) for one in some)
        case {"not": one}:
            return not matches(one, claims)
        case {"claim": name, "in": values}:
            return claims.get(name) in values
    raise ValueError(f"the checker does not know this audience: {audience}")


def stage_of(entry: Any) -> Stage:
    """The stage that a publish or release entry is."""
    release = entry.get("release", {})
    users = frozenset(release.get("users", ()))
    return Stage(entry["seq"], release.get("percent", 0), users)
