"""What the rules of feeds leave to the settings."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class FeedLimits(Struct, frozen=True):
    """The same on all workers, since decisions follow from them.

    mode: how posts get to followers. threshold: in the hybrid, authors with more followers than
    that are pulled. idle_days: days without a look after which nothing is pushed to a user.
    partitions: of the user topics. inbox: references that a user's inbox holds. chunk: followers
    that one command pushes to or tells.
    """

    mode: Literal["hybrid", "pull", "push"] = "hybrid"
    threshold: int = 1_000
    idle_days: int = 30
    partitions: int = 8
    inbox: int = 1_000
    chunk: int = 1_000
